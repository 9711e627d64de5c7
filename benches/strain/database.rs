//! Postgres is killed under load, and comes back.

use crate::{
    Bound, Round,
    calls::{Client, End, Seen, arriving},
    stage::{Stage, batches, lookups, serve},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Calls a second, whatever becomes of them: about the half of what this machine answers beside
/// what asks. How much it answers at most differs from one second to the next.
const READS: f64 = 1_500.0;
const WRITES: f64 = 200.0;
const BEFORE: Duration = Duration::from_secs(2);
const AWAY: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(5);
/// What is answered is that of calls of so long, and within so long.
const STRETCH: Duration = Duration::from_millis(500);

pub async fn round(stage: &mut Stage, round: &mut Round<'_>) {
    let server = serve(&stage.postgres.url(), "none");
    let client = Client::to(&server.address);
    // the start of Postgres takes a moment more
    let how_long = BEFORE + 2 * AWAY + AFTER;
    let (read, write) = (
        client.calls(lookups(&stage.tenants)),
        batches(&client, &stage.tenants),
    );
    let reads = tokio::spawn(async move { arriving(&read, READS, how_long).await });
    let writes = tokio::spawn(async move { arriving(&write, WRITES, how_long).await });
    sleep(BEFORE).await;
    let killed = Instant::now();
    stage.postgres.crash();
    sleep(AWAY).await;
    let back = stage
        .postgres
        .start_with(&["-c", "max_connections=200"])
        .await;
    let away = (back - killed).as_secs_f64();
    for (who, calls) in [("reads", reads), ("writes", writes)] {
        let seen = calls.await.expect("calls");
        round.is(
            &format!("Postgres is back: {who} until the first OK"),
            Bound::AtMost(1.0),
            " s",
            first_answer(&seen, back).as_secs_f64(),
            &[("away, s", away)],
        );
        let before = answered(&seen, killed - BEFORE / 2, BEFORE / 2);
        round.is(
            &format!("Postgres is back: {who} until as many are answered as before"),
            Bound::AtMost(3.0),
            " s",
            full_rate(&seen, back, 0.95 * before).as_secs_f64(),
            &[("answered before, of all", before)],
        );
    }
}

const NEVER: Duration = Duration::from_secs(3_600);

fn first_answer(seen: &[Seen], back: Instant) -> Duration {
    let answers = seen
        .iter()
        .filter(|seen| seen.end == End::Answered && seen.at() >= back);
    answers.map(|seen| seen.at() - back).min().unwrap_or(NEVER)
}

/// Of the calls that came in this time, the part that is answered soon.
fn answered(seen: &[Seen], from: Instant, how_long: Duration) -> f64 {
    let came = seen.iter();
    let came = came.filter(|seen| (from..from + how_long).contains(&seen.due));
    let is_soon = |seen: &&Seen| seen.end == End::Answered && seen.took <= STRETCH;
    came.clone().filter(is_soon).count() as f64 / came.count() as f64
}

/// When the first stretch begins in which so much is answered.
fn full_rate(seen: &[Seen], back: Instant, wanted: f64) -> Duration {
    let mut starts = (0..80).map(|n| n * Duration::from_millis(50));
    let full = starts.find(|at| answered(seen, back + *at, STRETCH) >= wanted);
    full.unwrap_or(NEVER)
}
