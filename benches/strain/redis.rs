//! Redis is dead, or frozen: as if there were none, and not worse. And back.

use crate::{
    Bound, Round,
    calls::{Caller, Client, End, Loop, Seen, arriving, failed, looping, percentile, rate, those},
    stage::{Stage, batches, lookups, serve},
    support::{process::Server, redis::Redis},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const HOW_LONG: Duration = Duration::from_millis(1_500);
const TURN: Duration = Duration::from_millis(250);
const TURNS: usize = 16;

/// A server, and what is asked of it.
struct Side {
    _server: Server,
    get: Caller,
    /// Of few messages: each is asked for again at once.
    few: Caller,
    ingest: Caller,
}

impl Side {
    fn start(stage: &Stage, cache: &str) -> Self {
        let server = serve(&stage.postgres.url(), cache);
        let client = Client::to(&server.address);
        Self {
            few: client.calls(lookups(&stage.tenants)[..20].to_vec()),
            get: client.calls(lookups(&stage.tenants)),
            ingest: batches(&client, &stage.tenants),
            _server: server,
        }
    }

    async fn lookups(&self, rate: f64) -> Vec<Seen> {
        arriving(&self.get, rate, HOW_LONG).await
    }

    /// One batch after the other, of two callers.
    async fn batches(&self, how_long: Duration) -> Vec<Seen> {
        looping(&self.ingest, 2, how_long).await
    }
}

/// Batches to both, by turns: the disk is not as fast at all times. Who is first takes turns, too.
#[derive(Default)]
struct InTurn {
    ours: Vec<Seen>,
    theirs: Vec<Seen>,
    /// Of ours against theirs: p50 of each turn.
    ratios: Vec<f64>,
}

impl InTurn {
    async fn of(with: &Side, none: &Side) -> Self {
        let mut all = Self::default();
        for turn in 0..TURNS {
            let (ours, theirs) = if turn % 2 == 0 {
                let ours = with.batches(TURN).await;
                (ours, none.batches(TURN).await)
            } else {
                let theirs = none.batches(TURN).await;
                (with.batches(TURN).await, theirs)
            };
            all.ratios.push(p50(&ours) / p50(&theirs));
            all.ours.extend(ours);
            all.theirs.extend(theirs);
        }
        all.ratios.sort_by(f64::total_cmp);
        all
    }
}

fn p50(seen: &[Seen]) -> f64 {
    percentile(&those(seen, End::Answered), 50)
}

fn p99(seen: &[Seen]) -> f64 {
    percentile(&those(seen, End::Answered), 99)
}

pub async fn round(stage: &Stage, round: &mut Round<'_>) {
    let mut redis = Redis::start().await.expect("a Redis");
    let (none, with) = (Side::start(stage, "none"), Side::start(stage, &redis.url()));
    let begin = Instant::now();
    let most = rate(
        &looping(&none.get, 32, HOW_LONG).await,
        begin,
        begin + HOW_LONG,
    );
    looping(&with.get, 32, HOW_LONG).await;
    for state in ["killed", "frozen"] {
        let before = with.lookups(0.3 * most).await;
        let writes_before = with.batches(HOW_LONG / 2).await;
        match state {
            "killed" => redis.kill(),
            _ => redis.freeze(),
        }
        let lost = with.lookups(0.3 * most).await;
        let without = none.lookups(0.3 * most).await;
        let batches = InTurn::of(&with, &none).await;
        round.is(
            &format!("Redis {state}: p99 of lookups, against no cache"),
            Bound::AtMost(2.0),
            "x",
            p99(&lost) / p99(&without),
            &[
                ("p99, ms", p99(&lost)),
                ("no cache, ms", p99(&without)),
                ("before, ms", p99(&before)),
                ("calls/s", 0.3 * most),
            ],
        );
        let errors =
            [&lost, &batches.ours].map(|seen| failed(seen) + those(seen, End::Refused).len());
        round.is(
            &format!("Redis {state}: calls that fail"),
            Bound::AtMost(0.0),
            "",
            errors.iter().sum::<usize>() as f64,
            &[],
        );
        round.is(
            &format!("Redis {state}: p50 of batches, against no cache, median of the turns"),
            Bound::Usually(1.05),
            "x",
            batches.ratios[TURNS / 2],
            &[
                ("p50, ms", p50(&batches.ours)),
                ("no cache, ms", p50(&batches.theirs)),
                ("before, ms", p50(&writes_before)),
            ],
        );
        let asking = Loop::start(&with.few, 8, Duration::ZERO);
        match state {
            "killed" => redis.restart().await,
            _ => redis.thaw(),
        }
        let hit = first_hit(&redis).await;
        asking.stop().await;
        round.is(
            &format!("Redis {state}, and back: until the first hit"),
            Bound::AtMost(2.0),
            " s",
            hit.as_secs_f64(),
            &[],
        );
    }
}

async fn first_hit(redis: &Redis) -> Duration {
    let (begin, hits) = (Instant::now(), redis.hits().await);
    while redis.hits().await == hits && begin.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(10)).await;
    }
    begin.elapsed()
}
