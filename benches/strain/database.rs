//! Postgres is killed under load, and comes back.

use crate::{
    Bound, Round,
    calls::{Client, End, Loop, Seen, rate},
    stage::{Stage, batches, lookups, serve},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const WRITERS: u64 = 4;
const READERS: u64 = 8;
const BEFORE: Duration = Duration::from_secs(2);
/// The rate is that of so long.
const STRETCH: Duration = Duration::from_millis(500);

pub async fn round(stage: &mut Stage, round: &mut Round<'_>) {
    let server = serve(&stage.postgres.url(), "none");
    let client = Client::to(&server.address);
    let pause = Duration::from_millis(20);
    let readers = Loop::start(&client.calls(lookups(&stage.tenants)), READERS, pause);
    let writers = Loop::start(&batches(&client, &stage.tenants), WRITERS, pause);
    sleep(STRETCH).await;
    let measured = Instant::now();
    sleep(BEFORE).await;
    let killed = Instant::now();
    stage.postgres.crash();
    sleep(STRETCH).await;
    let back = stage
        .postgres
        .start_with(&["-c", "max_connections=200"])
        .await;
    sleep(Duration::from_secs(5)).await;
    for (who, seen) in [
        ("reads", readers.stop().await),
        ("writes", writers.stop().await),
    ] {
        let before = rate(&seen, measured, killed);
        let away = (back - killed).as_secs_f64();
        round.is(
            &format!("Postgres is back: {who} until the first OK"),
            Bound::AtMost(1.0),
            " s",
            first_answer(&seen, back).as_secs_f64(),
            &[("away, s", away)],
        );
        round.is(
            &format!("Postgres is back: {who} until 90 % of the rate before"),
            Bound::AtMost(3.0),
            " s",
            full_rate(&seen, back, 0.9 * before).as_secs_f64(),
            &[
                ("before, calls/s", before),
                ("most after, calls/s", most_after(&seen, back)),
            ],
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

/// Stretches after it, and how much is answered in each.
fn stretches(seen: &[Seen], back: Instant) -> impl Iterator<Item = (Duration, f64)> {
    let starts = (0..90).map(|n| n * Duration::from_millis(50));
    starts.map(move |at| (at, rate(seen, back + at, back + at + STRETCH)))
}

/// When the first stretch begins in which so much is answered.
fn full_rate(seen: &[Seen], back: Instant, wanted: f64) -> Duration {
    let mut full = stretches(seen, back).filter(|(_, rate)| *rate >= wanted);
    full.next().map_or(NEVER, |(at, _)| at)
}

fn most_after(seen: &[Seen], back: Instant) -> f64 {
    stretches(seen, back)
        .map(|(_, rate)| rate)
        .fold(0.0, f64::max)
}
