//! A storm: two replicas, a Postgres, a Redis and all that is between them are killed, frozen,
//! restarted, cut, held up and made to lose answers, by a schedule that is a pure function of a seed
//! (`schedule.rs`), some of it at the same time. Callers write, read, watch and make calls of every
//! kind meanwhile (`callers.rs`), and must be told nothing but what is documented. Then all is healed:
//! everything works again, and what is stored is what was acknowledged, once (`judge.rs`).
//!
//! `SENTBY_TEST_SERVICE_KILLS`, `SENTBY_TEST_POSTGRES_KILLS` and `SENTBY_TEST_STORM` set how often is
//! struck, `SENTBY_TEST_CUTS` how often an ingest is cut, `SENTBY_TEST_TWINS` how many batches come
//! twice at once. What failed prints the command that strikes the same again, e.g.
//!
//! ```text
//! SENTBY_TEST_STORM=25 SENTBY_TEST_SEED=7 cargo test --test faults storm::everything -- --nocapture
//! ```
//!
//! How the processes interleave is of course not repeated.

mod batches;
mod callers;
mod judge;
mod schedule;
mod sweep;
mod world;

use crate::{freshness::BROKEN, history::check, seed, set, support::ledger};
use batches::{Sent, TENANTS};
use callers::{Caller, Play, Seen};
use schedule::{Fault, Schedule, Step};
use sentby::{domain::TenantId, simulate::Random};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use world::World;

const WRITERS: usize = 6;
const READERS: usize = 3;
const WATCHERS: usize = 2;
/// So many batches are acknowledged for each time that something is struck: else nothing was shown.
const PER_STRIKE: u64 = 5;
/// Within this callers go on when nothing is struck.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whoever calls.
struct Callers {
    writers: JoinSet<Vec<Sent>>,
    readers: JoinSet<Seen>,
    visitors: JoinSet<u64>,
    watchers: JoinSet<BTreeMap<TenantId, crate::support::copy::Copy>>,
}

impl Callers {
    fn begin(play: &Arc<Play>, random: &mut Random) -> Self {
        let mut callers = Self {
            writers: JoinSet::new(),
            readers: JoinSet::new(),
            visitors: JoinSet::new(),
            watchers: JoinSet::new(),
        };
        let mut random = || (Arc::clone(play), Random(random.next()));
        for _ in 0..WRITERS {
            let (play, random) = random();
            callers.writers.spawn(callers::write(play, random));
        }
        for _ in 0..READERS {
            let (play, random) = random();
            callers.readers.spawn(callers::read(play, random));
        }
        for _ in 0..WATCHERS {
            let (play, random) = random();
            callers.watchers.spawn(callers::watch(play, random));
        }
        let (play, random) = random();
        callers.visitors.spawn(callers::visit(play, random));
        callers
    }

    /// Whoever ends in the storm has failed.
    fn assert_well(&mut self) {
        if let Some(failed) = self.writers.try_join_next() {
            failed.expect("no writer fails");
        }
        if let Some(failed) = self.readers.try_join_next() {
            failed.expect("no reader fails");
        }
        if let Some(failed) = self.visitors.try_join_next() {
            failed.expect("no visitor fails");
        }
        if let Some(failed) = self.watchers.try_join_next() {
            failed.expect("no watcher fails");
        }
    }
}

/// Goes through the schedule while callers call.
async fn strike(world: &mut World, play: &Play, callers: &mut Callers, schedule: Schedule) {
    for (after, step) in schedule {
        sleep(after).await;
        println!("{step:?}");
        match step {
            Step::Strike(fault, at) => world.strike(fault, at).await,
            Step::Heal(fault, at) => world.heal(fault, at).await,
            Step::Calm(strikes) => {
                let enough = play.acknowledged.load(Relaxed) + PER_STRIKE * strikes as u64;
                let since = Instant::now();
                while play.acknowledged.load(Relaxed) < enough {
                    callers.assert_well();
                    assert!(
                        since.elapsed() < PATIENCE,
                        "nothing is acknowledged any more"
                    );
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
        callers.assert_well();
    }
}

/// `promise`: of the ledger, with as many as were struck.
async fn storm(promise: &str, seed: u64, own_postgres: bool, schedule: Schedule) {
    let strikes = schedule
        .iter()
        .filter(|(_, step)| matches!(step, Step::Strike(..)));
    let strikes = strikes.count() as u64;
    let Some(mut world) = World::start(own_postgres).await else {
        return;
    };
    let begun = Instant::now();
    let mut random = Random(seed);
    let play = Arc::new(Play::new(
        world.places.each_ref().map(|place| place.callers.port),
    ));
    let mut sent = begin(&world, &play, &mut random).await;
    let mut callers = Callers::begin(&play, &mut random);
    strike(&mut world, &play, &mut callers, schedule).await;
    let acknowledged = play.acknowledged.load(Relaxed);
    assert!(
        acknowledged >= PER_STRIKE * strikes,
        "void: {acknowledged} acknowledged"
    );

    // all is healed: everybody comes to an end, and everything works again
    play.end();
    let ended = timeout(PATIENCE, end(&mut callers)).await;
    let (written, seen, calls) = ended.expect("all end");
    let clients = world.clients().await;
    for client in &clients {
        callers::assert_all_works(&play, client).await;
    }
    sent.extend(written);
    let again = callers::send_again(Arc::clone(&play), &sent, Random(random.next()));
    sent.extend(again.await);

    let mut judged = BTreeMap::new();
    for tenant in TENANTS {
        judged.insert(
            tenant,
            judge::judge(&world.db, &clients, tenant, &sent).await,
        );
    }
    let goal = judged
        .iter()
        .map(|(tenant, judged)| (*tenant, judged.revision));
    play.goal.set(goal.collect()).expect("once");
    let copies = timeout(PATIENCE, callers.watchers.join_all()).await;
    for (tenant, copy) in copies.expect("all is told").into_iter().flatten() {
        copy.assert_is(judged[&tenant].listed.clone());
    }
    let mut reads = 0;
    for (tenant, (of_tenant, shown)) in &seen.0 {
        let writes = &judged[tenant].writes;
        check(*tenant, writes, of_tenant, shown, BROKEN).assert_right();
        reads += of_tenant.len();
    }
    judge::assert_at_rest(&world.db, TENANTS[0]).await;
    assert_eq!(world.stop().await, [""; 0], "in the logs");
    let records: u64 = judged.values().map(|judged| judged.records).sum();
    let failures = play.failures();
    println!(
        "{promise}: {strikes} strikes in {:.1} s, {acknowledged} acknowledged, {records} records stored once, \
         {reads} answers and {calls} other calls right or refused as documented; not answered: {failures:?}; seed {seed}",
        begun.elapsed().as_secs_f64(),
    );
    let figures = [
        ("acknowledged", acknowledged as f64),
        ("records", records as f64),
        ("reads", reads as f64),
        ("not_answered", failures.values().sum::<u64>() as f64),
    ];
    ledger::tell(promise, strikes, &figures);
}

/// Registers the tenants and tells who the agents are.
async fn begin(world: &World, play: &Arc<Play>, random: &mut Random) -> Vec<Sent> {
    let clients = world.clients().await;
    let mut caller = Caller::new(play, Random(random.next())).patient();
    let mut sent = Vec::new();
    for tenant in TENANTS {
        clients[0].register(tenant).await;
        sent.push(caller.send(&play.batches.lesson(tenant), None).await);
    }
    sent
}

async fn end(callers: &mut Callers) -> (Vec<Sent>, Seen, u64) {
    let mut sent = Vec::new();
    while let Some(done) = callers.writers.join_next().await {
        sent.extend(done.expect("no writer fails"));
    }
    let mut seen = Seen::default();
    while let Some(done) = callers.readers.join_next().await {
        seen.join(done.expect("no reader fails"));
    }
    let mut calls = 0;
    while let Some(done) = callers.visitors.join_next().await {
        calls += done.expect("no visitor fails");
    }
    (sent, seen, calls)
}

/// Before anything else, so that it is there whatever fails.
fn say(name: &str, test: &str, count: usize, seed: u64) {
    println!(
        "again: {name}={count} SENTBY_TEST_SEED={seed} cargo test --test faults storm::{test} -- --nocapture"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_loses_and_doubles_nothing() {
    const NAME: &str = "SENTBY_TEST_SERVICE_KILLS";
    let (kills, seed) = (set(NAME).unwrap_or(6), seed());
    say(NAME, "a_killed_service", kills, seed);
    let schedule = schedule::in_turn(seed, kills, &[Fault::ServiceKilled]);
    storm("service-killed", seed, false, schedule).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_and_doubles_nothing() {
    const NAME: &str = "SENTBY_TEST_POSTGRES_KILLS";
    let (kills, seed) = (set(NAME).unwrap_or(2), seed());
    say(NAME, "a_killed_postgres", kills, seed);
    let faults = [Fault::SessionKilled, Fault::PostgresKilled];
    let schedule = schedule::in_turn(seed, kills, &faults);
    storm("postgres-killed", seed, true, schedule).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_loses_and_doubles_nothing() {
    const NAME: &str = "SENTBY_TEST_STORM";
    let (strikes, seed) = (set(NAME).unwrap_or(10), seed());
    say(NAME, "everything", strikes, seed);
    storm("storm", seed, true, schedule::mixed(seed, strikes)).await;
}
