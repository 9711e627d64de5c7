//! One ingest, cut from its Postgres at each of its messages; and one batch through two replicas
//! at once.

use super::{
    batches::{Batch, Sent, TENANTS},
    begin,
    callers::{Caller, Play},
    judge, say,
    world::World,
};
use crate::{
    seed, set,
    support::{ledger, trip::Trip},
};
use sentby::{domain::TenantId, simulate::Random};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const TENANT: TenantId = TENANTS[0];

/// Writes that add and replace messages, and has something of each other kind.
fn everything(play: &Play, round: u32) -> Arc<Batch> {
    let first = 2 * round;
    let records = vec![
        (first, 0),
        (first, 1),
        (first + 1, 0),
        (first.saturating_sub(1), 1),
    ];
    Arc::new(Batch {
        noise: 1,
        broken: 1,
        ..Batch::of(TENANT, play.batches.number(), records)
    })
}

/// Calls, until now.
fn not_answered(play: &Play) -> u64 {
    play.failures().values().sum()
}

/// What was sent is stored once, and nothing hangs.
async fn judge_all(world: World, sent: &[Sent]) -> u64 {
    let clients = world.clients().await;
    let judged = judge::judge(&world.db, &clients, TENANT, sent).await;
    judge::assert_at_rest(&world.db, TENANT).await;
    assert_eq!(world.stop().await, [""; 0], "in the logs");
    judged.records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_is_cut_at_each_of_its_messages() {
    const NAME: &str = "SENTBY_TEST_CUTS";
    let (cuts, seed): (u64, u64) = (set(NAME).unwrap_or(24), seed());
    say(NAME, "sweep::an_ingest", cuts as usize, seed);
    let Some(world) = World::start(false).await else {
        return;
    };
    let mut random = Random(seed);
    let play = Arc::new(Play::new(
        world.places.each_ref().map(|place| place.callers.port),
    ));
    let mut sent = begin(&world, &play, &mut random).await;
    let mut caller = Caller::new(&play, Random(random.next())).patient();
    let store = &world.places[0].store;
    // the pools are warm, and what nobody disturbs tells how long the way is
    for round in 0..3 {
        store.trip(None);
        sent.push(caller.send(&everything(&play, round), Some(0)).await);
    }
    let way = store.told();
    assert!(way > 10, "{way} messages to Postgres");
    // some more: what the program asks besides is counted too
    let points = 2 * (way + 4);
    let offset = random.below(points);
    let (mut struck, mut noticed) = (0, 0);
    for cut in 0..cuts {
        // spread over the way where they are few; each at least once where they are many
        let point = (offset + cut * points.max(cuts) / cuts.max(1)) % points;
        let nth = point / 2 + 1;
        let trip = match point % 2 {
            0 => Trip::Before(nth),
            _ => Trip::After(nth),
        };
        let failed = not_answered(&play);
        store.trip(Some(trip));
        sent.push(
            caller
                .send(&everything(&play, 3 + cut as u32), Some(0))
                .await,
        );
        struck += u64::from(store.told() >= nth);
        noticed += u64::from(not_answered(&play) > failed);
        store.trip(None);
    }
    let failures = play.failures();
    let records = judge_all(world, &sent).await;
    println!(
        "ingest-cut: {struck} of {cuts} cuts on a way of {way} messages, {noticed} of them noticed by the \
         caller; {records} records stored once; not answered: {failures:?}; seed {seed}"
    );
    assert!(noticed > 0 && struck >= cuts / 2, "else nothing was shown");
    ledger::tell("ingest-cut", struck, &[("noticed", noticed as f64)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_comes_to_two_replicas_at_once_is_stored_once() {
    const NAME: &str = "SENTBY_TEST_TWINS";
    let (twins, seed): (u64, u64) = (set(NAME).unwrap_or(100), seed());
    say(NAME, "sweep::a_batch", twins as usize, seed);
    let Some(world) = World::start(false).await else {
        return;
    };
    let mut random = Random(seed);
    let play = Arc::new(Play::new(
        world.places.each_ref().map(|place| place.callers.port),
    ));
    let mut sent = begin(&world, &play, &mut random).await;
    let mut one = Caller::new(&play, Random(random.next())).patient();
    let mut other = Caller::new(&play, Random(random.next())).patient();
    for round in 0..twins {
        let batch = everything(&play, round as u32);
        // now the one comes first, now the other
        let late = Duration::from_micros(random.below(600));
        let before = not_answered(&play);
        let (a, b) = tokio::join!(one.send(&batch, Some(0)), async {
            sleep(late).await;
            other.send(&batch, Some(1)).await
        });
        let replayed = |sent: &Sent| sent.answers.iter().filter(|(_, a)| a.replayed).count();
        // who was not answered asks again: both may be told what is stored then
        let is_twice = not_answered(&play) > before && replayed(&a) + replayed(&b) == 2;
        assert!(is_twice || replayed(&a) + replayed(&b) == 1, "{a:?} {b:?}");
        sent.extend([a, b]);
    }
    let begun = Instant::now();
    let records = judge_all(world, &sent).await;
    println!(
        "twins: {twins} batches through two replicas at once, {records} records stored once, judged in \
         {:.1} s; seed {seed}",
        begun.elapsed().as_secs_f64()
    );
    ledger::tell("twins", twins, &[("records", records as f64)]);
}
