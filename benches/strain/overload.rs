//! More calls than can be answered: what can be is answered, about as soon as ever, and the rest
//! is told so at once.

use crate::{
    Bound, Round,
    calls::{Client, End, Seen, arriving, failed, looping, percentile, rate, those},
    stage::{Stage, pages, serve},
    support::wire::{Flow, Wire},
};
use std::time::{Duration, Instant};

/// Two hundred answers: of a hundred p99 is the slowest one.
const HOW_LONG: Duration = Duration::from_secs(8);
/// What all is compared with, of five hundred: of less it depends on one or two of them.
const USUAL: Duration = Duration::from_secs(24);
/// In flight where the store is busy and nobody is refused.
const BUSY: u64 = 12;
/// Before that the first of them are not answered yet.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// Until then nobody can say whether it stays, and the server takes on more than it answers soon.
const AT_FIRST: Duration = Duration::from_secs(3);
/// What makes the store the limit: each piece takes so much longer on its way, there and back.
const SLOW: Duration = Duration::from_millis(10);

pub async fn round(stage: &Stage, round: &mut Round<'_>) {
    let wire = Wire::to(stage.postgres.port).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", wire.port);
    let server = serve(&url, "none");
    let list = Client::to(&server.address).calls(pages(&stage.tenants, 10));
    looping(&list, BUSY, Duration::from_millis(500)).await; // connections are made
    wire.set(Flow::Slow(SLOW));
    let begin = Instant::now() + UNDER_WAY;
    let most = looping(&list, BUSY, UNDER_WAY + HOW_LONG).await;
    let peak = rate(&most, begin, begin + HOW_LONG);
    let usual = arriving(&list, 0.8 * peak, USUAL).await;
    let usual_p99 = percentile(&those(&usual, End::Answered), 99);
    eprintln!("  {peak:.0} calls/s at most; at 80 % of that p99 is {usual_p99:.0} ms");
    for (times, gate) in [(2, 0.95), (5, 0.9), (10, 0.85)] {
        // what stays is too much, what passes is not
        let begin = Instant::now() + AT_FIRST;
        let mut seen = arriving(&list, f64::from(times) * peak, AT_FIRST + HOW_LONG).await;
        seen.retain(|seen| seen.due >= begin);
        let over = Instant::now();
        let answered = those(&seen, End::Answered).len() as f64;
        let goodput = answered / HOW_LONG.as_secs_f64() / peak;
        let admitted = percentile(&those(&seen, End::Answered), 99);
        let refused = those(&seen, End::Refused);
        round.is(
            &format!("{times} times what can be answered: answers against the most"),
            Bound::AtLeast(gate),
            "x",
            goodput,
            &[
                ("most, calls/s", peak),
                ("refused", refused.len() as f64),
                ("neither answered nor refused", failed(&seen) as f64),
            ],
        );
        round.is(
            &format!("{times} times: p99 of what is answered, against that at 80 %"),
            Bound::AtMost(2.0),
            "x",
            admitted / usual_p99,
            &[
                ("answered p99, ms", admitted),
                ("p50, ms", percentile(&those(&seen, End::Answered), 50)),
                ("at 80 %, ms", usual_p99),
            ],
        );
        round.is(
            &format!("{times} times: p99 of refusals"),
            Bound::AtMost(10.0),
            " ms",
            percentile(&refused, 99),
            &[("p50, ms", percentile(&refused, 50))],
        );
        let after = arriving(&list, 0.5 * peak, Duration::from_secs(1)).await;
        round.is(
            &format!("{times} times: as before, after"),
            Bound::AtMost(2.0),
            " s",
            unusual_until(&after, over, usual_p99).as_secs_f64(),
            &[],
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// How long after that something was not answered, or late.
fn unusual_until(seen: &[Seen], over: Instant, usual_p99: f64) -> Duration {
    let is_unusual =
        |seen: &&Seen| seen.end != End::Answered || seen.took.as_secs_f64() * 1e3 > 2.0 * usual_p99;
    let unusual = seen.iter().filter(is_unusual).map(|seen| seen.due - over);
    unusual.max().unwrap_or_default()
}
