//! Hints of Postgres between processes: they come, they may be nonsense, they outlive their
//! connection; and what no hint tells is found all the same.

use super::support::{OTHER_TENANT, TENANT, TestDb, register};
use sentby::{
    app::{
        App,
        watch_attributions::{Asked, Place, Start},
    },
    config::{CacheKind, Config, DatabaseUrl},
    domain::{Revision, Tenant, TenantId, Timestamp},
    server,
    store::{Hints, Store, open_postgres},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database of its own: hints of other tests are not heard, and their sessions not ended.
struct Alone {
    name: String,
    server: PgConnection,
    url: String,
}

impl Alone {
    async fn start() -> Option<Self> {
        let db = TestDb::postgres().await?;
        let DatabaseUrl::Postgres(shared) = &db.config.database else {
            unreachable!("a case of Postgres")
        };
        let mut server = PgConnection::connect(shared).await.expect("Postgres");
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(&mut server, format!("CREATE DATABASE {name}")).await;
        let (address, _) = shared.split_once('?').expect("a schema");
        let (address, _) = address.rsplit_once('/').expect("a database");
        let url = format!("{address}/{name}");
        Some(Self { name, server, url })
    }

    fn store(&self) -> Arc<dyn Store> {
        open_postgres(&self.url).expect("a URL")
    }

    /// How many sessions that listen were ended, and are gone.
    async fn end_listeners(&mut self) -> usize {
        let ended: Result<Vec<(i32, bool)>, _> = sqlx::query_as(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = $1 AND query LIKE 'LISTEN%'",
        )
        .bind(&self.name)
        .fetch_all(&mut self.server)
        .await;
        let ended: Vec<i32> = ended.expect("ended").iter().map(|(pid, _)| *pid).collect();
        let left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";
        let gone = async {
            loop {
                let left = sqlx::query_scalar(left).bind(&ended);
                let left: i64 = left.fetch_one(&mut self.server).await.expect("told");
                if left == 0 {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("they end");
        ended.len()
    }

    /// The one session that listens, as soon as it does.
    async fn end_the_listener(&mut self) {
        let ended = async {
            loop {
                match self.end_listeners().await {
                    0 => sleep(Duration::from_millis(5)).await,
                    ended => return ended,
                }
            }
        };
        let ended = timeout(PATIENCE, ended).await.expect("one listens");
        assert_eq!(ended, 1);
    }

    async fn stop(mut self) {
        execute(
            &mut self.server,
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        )
        .await;
    }
}

async fn execute(connection: &mut PgConnection, sql: String) {
    let done = sqlx::query(AssertSqlSafe(sql)).execute(connection).await;
    done.expect("executed");
}

async fn listen(store: &Arc<dyn Store>) -> Box<dyn Hints> {
    store
        .hints()
        .await
        .expect("listening")
        .expect("Postgres has them")
}

async fn next(hints: &mut Box<dyn Hints>) -> Vec<TenantId> {
    let next = timeout(PATIENCE, hints.next()).await;
    next.expect("a hint comes").expect("no error")
}

fn tenants(numbers: std::ops::Range<u128>) -> Vec<TenantId> {
    numbers.map(|n| TenantId(Uuid::from_u128(n))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_arrives_at_every_process() {
    let Some(alone) = Alone::start().await else {
        return;
    };
    let stores = [alone.store(), alone.store(), alone.store()];
    let mut listening = Vec::new();
    for store in &stores {
        listening.push(listen(store).await);
    }
    // also its own: whoever hints need not know who listens
    for (n, store) in (1..).zip(&stores) {
        store.hint(&tenants(n..n + 2)).await.expect("sent");
        for hints in &mut listening {
            assert_eq!(next(hints).await, tenants(n..n + 2));
        }
    }
    stores[0].hint(&[]).await.expect("nothing to tell");
    // more than one payload holds
    stores[0].hint(&tenants(100..1_100)).await.expect("sent");
    for hints in &mut listening {
        let mut told = BTreeSet::new();
        while told.len() < 1_000 {
            told.extend(next(hints).await);
        }
        assert_eq!(told.into_iter().collect::<Vec<_>>(), tenants(100..1_100));
    }
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_hint_is_passed_over() {
    let Some(mut alone) = Alone::start().await else {
        return;
    };
    let store = alone.store();
    let mut hints = listen(&store).await;
    let mut other = PgConnection::connect(&alone.url).await.expect("Postgres");
    let known = Uuid::from_u128(7);
    for payload in [
        "",
        "nonsense",
        "  ",
        "\u{fc}\u{1f980} 123",
        "{\"tenant\": 1}",
    ] {
        let sql = format!("SELECT pg_notify('sentby_changed', '{payload} {known} x')");
        execute(&mut other, sql).await;
        assert_eq!(next(&mut hints).await, [TenantId(known)], "{payload:?}");
    }
    execute(
        &mut other,
        "SELECT pg_notify('another_channel', 'x')".into(),
    )
    .await;
    execute(&mut other, "NOTIFY sentby_changed".into()).await;
    assert_eq!(next(&mut hints).await, []);
    drop(hints);
    assert!(alone.end_listeners().await <= 1);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_go_on_after_their_session_was_ended() {
    let Some(mut alone) = Alone::start().await else {
        return;
    };
    let (here, there) = (alone.store(), alone.store());
    let mut hints = listen(&here).await;
    for round in 1..=3 {
        there.hint(&tenants(round..round + 1)).await.expect("sent");
        // of the round before there may be some left
        while next(&mut hints).await != tenants(round..round + 1) {}
        alone.end_the_listener().await;
        // it connects again by itself; what is sent meanwhile is lost
        let wanted = tenants(100 + round..101 + round);
        let again = async {
            loop {
                there.hint(&wanted).await.expect("sent");
                if let Ok(hint) = timeout(Duration::from_millis(500), hints.next()).await {
                    return hint.expect("no error");
                }
            }
        };
        let again = timeout(PATIENCE, again).await.expect("hints go on");
        assert_eq!(again, wanted);
    }
    alone.stop().await;
}

/// A commit of which nobody is told, as by a process that dies right after it.
async fn commit_silently(app: &App, tenant: TenantId) {
    let mut tx = app
        .store()
        .begin(tenant)
        .await
        .expect("begun")
        .expect("a tenant");
    let revision = tx.tenant().revision.next();
    let at = Timestamp::from_micros(1_772_000_000_000_000);
    tx.append_change(revision, at, &[]).await.expect("appended");
    let tenant = Tenant {
        revision,
        ..tx.tenant().clone()
    };
    tx.put_tenant(&tenant).await.expect("put");
    tx.commit().await.expect("committed");
}

/// Watchers ask for what no hint tells, also while hints of others never end, and after
/// whoever listens was cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_hint_is_no_lost_change() {
    let Some(mut alone) = Alone::start().await else {
        return;
    };
    let template = TestDb::sqlite().await;
    let config = Config {
        database: DatabaseUrl::Postgres(alone.url.clone()),
        cache: CacheKind::None,
        ..template.config.clone()
    };
    server::migrate(&config).await.expect("migrated");
    let app = server::open(&config).await.expect("opened");
    register(&app, TENANT).await;
    register(&app, OTHER_TENANT).await;
    let place = |tenant| Place {
        tenant,
        start: Start::Beginning,
        at_least: Revision(0),
    };
    let asked = Asked {
        places: vec![place(TENANT), place(OTHER_TENANT)],
        follow: true,
        checkpoint: Duration::from_secs(60),
    };
    let mut watch = Arc::clone(&app)
        .watch_attributions(asked)
        .await
        .expect("opened");
    for _ in 0..2 {
        watch.next().await.expect("told").expect("it follows");
    }
    let other = alone.store();
    let hinting = tokio::spawn(async move {
        loop {
            other.hint(&[OTHER_TENANT]).await.expect("sent");
            sleep(Duration::from_millis(50)).await;
        }
    });
    let mut slowest = Duration::ZERO;
    for round in 1..=4 {
        if round == 3 {
            alone.end_the_listener().await;
        }
        commit_silently(&app, TENANT).await;
        let committed = Instant::now();
        let told = timeout(Duration::from_secs(10), watch.next()).await;
        let told = told
            .expect("it is found by asking")
            .expect("told")
            .expect("it follows");
        assert_eq!((told.tenant, told.revision), (TENANT, Revision(round)));
        slowest = slowest.max(committed.elapsed());
    }
    hinting.abort();
    println!("without a hint: told within {:.3} s", slowest.as_secs_f64());
    drop(watch);
    alone.stop().await;
}
