//! What is left of calls that have ended: nothing.

use crate::stage::Stage;
use sentby::{
    app::{
        admission::{self, OpenStream},
        places,
    },
    domain::TenantId,
    telemetry::meters,
};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;
use uuid::Uuid;

/// Long enough for a busy machine, and too short for Postgres to end a transaction that was left
/// open (`idle_in_transaction_session_timeout`).
const PATIENCE: Duration = Duration::from_secs(40);
/// Connections that stay with lookups; SQLite has one pool for these and for readers.
const HELD: f64 = 4.0;

/// The sum of a metric's series whose labels have all of these parts.
fn metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// What is in use; nothing, where all is at rest.
async fn in_use(stage: &Stage, tasks: Option<usize>) -> Vec<String> {
    let text = meters::render();
    let used = |pool| {
        let labels = [pool, "state=\"used\""];
        metric(&text, "sentby_store_connections", &labels)
    };
    let held = if stage.alone.is_some() { 0.0 } else { HELD };
    let counted = [
        (
            "bytes of batches",
            metric(&text, "sentby_admission_bytes", &["state=\"used\""]),
        ),
        (
            "batches that wait",
            metric(&text, "sentby_admission_waiting", &[]),
        ),
        ("watches", metric(&text, "sentby_feed_watches", &[])),
        ("streams", metric(&text, "sentby_answer_streams", &[])),
        ("readers", (used("pool=\"readers\"") - held).max(0.0)),
        ("writers", used("pool=\"writers\"")),
        ("lookups", (used("pool=\"lookups\"") - HELD).max(0.0)),
    ];
    let counted = counted.into_iter().filter(|(_, count)| *count != 0.0);
    let mut left: Vec<String> = counted
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let calls = text
        .lines()
        .filter(|line| line.starts_with("sentby_grpc_calls_in_progress{") && !line.ends_with(" 0"));
    left.extend(calls.map(Into::into));
    if let Some(alone) = &stage.alone {
        let mut alone = alone.lock().await;
        for state in ["state LIKE 'idle in transaction%'", "state = 'active'"] {
            let sessions = alone.sessions(state).await;
            if sessions > 0 {
                left.push(format!("{sessions} sessions with {state}"));
            }
        }
    }
    let alive = Handle::current().metrics().num_alive_tasks();
    if tasks.is_some_and(|tasks| alive > tasks) {
        left.push(format!("{alive} tasks"));
    }
    left
}

/// Waits until nothing of any call is left, and looks whether every place can be taken. `tasks`:
/// how many there may be, if that counts: who looks after watches ends a while after the last one.
pub async fn at_rest(stage: &Stage, tasks: Option<usize>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = in_use(stage, tasks).await;
        if left.is_empty() {
            break;
        }
        assert!(
            Instant::now() < until,
            "seed {}: still there: {left:?}, of {tasks:?} tasks",
            stage.seed
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let tenant = |n: u128| Some(TenantId(Uuid::from_u128(n)));
    let places: Vec<_> = (0..10_000)
        .map_while(|n| stage.app.places().enter(tenant(n)).ok())
        .collect();
    assert_eq!(places.len(), places::MAX_CALLS, "seed {}", stage.seed);
    let open = |_| stage.app.admission().stream().ok();
    let mut streams: Vec<_> = (0..10_000).map_while(open).collect();
    // as many silent ones as at first
    static SILENT: OnceLock<usize> = OnceLock::new();
    let silent = *SILENT.get_or_init(|| streams.len());
    assert_eq!(streams.len(), silent, "seed {}", stage.seed);
    let send = |(n, stream): (usize, &mut OpenStream)| stream.sends(tenant(n as u128)).ok();
    let sending = streams.iter_mut().enumerate().map_while(send).count();
    assert_eq!(sending, admission::MAX_STREAMS, "seed {}", stage.seed);
    assert_eq!(alarms(), stage.alarms, "seed {}", stage.seed);
}

/// What nothing that a caller does may count.
pub fn alarms() -> [(&'static str, f64); 3] {
    let text = meters::render();
    [
        "sentby_cache_foreign_values_total",
        "sentby_tenant_wall_refusals_total",
        "sentby_store_errors_total",
    ]
    .map(|name| (name, metric(&text, name, &[])))
}

/// The fewest tasks of a while in which nothing is called.
pub async fn tasks() -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..50 {
        fewest = fewest.min(Handle::current().metrics().num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fewest
}

/// No session waits inside of a transaction for long, while calls come and go.
pub async fn none_is_forgotten(stage: &Stage) {
    if let Some(alone) = &stage.alone {
        let old = "state LIKE 'idle in transaction%' AND now() - state_change > interval '20 s'";
        let sessions = alone.lock().await.sessions(old).await;
        assert_eq!(
            sessions, 0,
            "seed {}: forgotten in a transaction",
            stage.seed
        );
    }
}
