//! Calls dropped after each poll leave nothing behind: no transaction on a connection that goes on
//! to somebody else, no half of a batch, no answer that goes to another caller, no place, no task.
//!
//! Every method of every service is called through all layers, in process, and its future and the
//! bodies of both ways are dropped after one poll, two, three, until it completes; then again at
//! random, in process and over the wire, with calls of other tenants in flight.
//!
//! `SENTBY_TEST_CANCELLATIONS` says how many calls are dropped, on Postgres with Redis four of
//! five of them, and on SQLite the others; `SENTBY_TEST_SEED` which ones: each run prints its seed.
//!
//! ```text
//! SENTBY_TEST_CANCELLATIONS=50000 tests/run --test cancelled -- --nocapture
//! ```

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod call;
mod quiet;
mod requests;
mod stage;

use call::{Answer, Cut, Way};
use sentby::{simulate::Random, telemetry::meters};
use stage::{Kind, Stage, TENANTS, Target};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use support::{
    again, ledger,
    settings::{seed, set},
};
use tokio::{sync::Mutex, task::JoinSet, time::sleep};

/// Dropped calls in the suite, of both engines together.
const CANCELLATIONS: usize = 3_000;
/// Calls between two looks at what is left of them.
const ROUND: usize = 400;
/// At a time: those that are dropped, and those that nobody drops.
const CUTTERS: usize = 12;
const OTHERS: usize = 4;
/// A call that takes more polls is not dropped at each of them.
const MOST: usize = 60;
/// Polls of a client's call: its own, not the server's.
const MOST_WIRE: usize = 6;

/// Metrics are the process's: one engine at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What came of the calls of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    dropped: u64,
    completed: u64,
    most_polls: usize,
}

#[derive(Debug, Default)]
struct Run {
    counts: std::sync::Mutex<BTreeMap<Kind, Count>>,
    wire: std::sync::Mutex<Count>,
    /// Polls until a call of the method completed.
    polls: std::sync::Mutex<BTreeMap<String, usize>>,
}

impl Run {
    fn dropped(&self) -> usize {
        let counts = self.counts.lock().expect("no panic");
        counts.values().map(|count| count.dropped as usize).sum()
    }

    fn count(&self, target: &Target, way: &Way, polls: usize, is_dropped: bool) {
        let mut counts = self.counts.lock().expect("no panic");
        let mut wire = self.wire.lock().expect("no panic");
        let is_wire = matches!(way, Way::Wire(_));
        let of_kind = counts.entry(target.kind).or_default();
        let both = [Some(&mut *of_kind), is_wire.then_some(&mut *wire)];
        for count in both.into_iter().flatten() {
            count.dropped += u64::from(is_dropped);
            count.completed += u64::from(!is_dropped);
        }
        // a client's polls are not the server's
        let most = if is_wire { &mut *wire } else { of_kind };
        most.most_polls = most.most_polls.max(polls);
    }
}

/// One call, and another one while the store is busy: what was refused is neither dropped nor
/// completed, and whether it was stored is seen when it is sent again. `true`: it completed, and was
/// answered what is right.
async fn attempt(
    stage: &Stage,
    run: &Run,
    target: &Target,
    way: &Way,
    cut: Option<Cut>,
    random: &mut Random,
) -> bool {
    let tenant = random.below(TENANTS as u64 - 1) as usize;
    let method = &target.method;
    let may_last = cut.is_some_and(|cut| cut.polls > 3);
    let until = Instant::now() + again::PATIENCE;
    loop {
        let mut request = requests::request(stage, &method.name, tenant, may_last, random).await;
        let call = way.call(&method.path, request.sent.clone());
        let (polls, answer) = call::until(cut, request.is_endless, call).await;
        let is_refused = |answer: &Answer| again::may_ask_again(&answer.status);
        let is_busy = answer.as_ref().is_some_and(is_refused) && Instant::now() < until;
        if !is_busy {
            run.count(target, way, polls, answer.is_none());
            if let Some(answer) = &answer {
                answers::check(stage, target, &mut request, answer);
            }
        }
        let to_send_again = &mut request.batches;
        stage.again.lock().expect("no panic").append(to_send_again);
        if !is_busy {
            return answer.is_some();
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Dropped after one poll, two, three …, until it completes. After each of them no transaction is
/// left open, and each batch is there or not.
async fn at_every_poll(
    stage: &Stage,
    run: &Run,
    stored: &mut [u64],
    random: &mut Random,
) -> [u64; 2] {
    let mut sums = [0, 0];
    for target in &stage.targets {
        let mut polls = 1;
        loop {
            let cut = Cut { polls, pauses: 0 };
            let done = attempt(stage, run, target, &stage.ways[0], Some(cut), random).await;
            stage.at_rest(None).await;
            if target.kind != Kind::Read {
                let dropped = stage.send_again(stored).await;
                sums = [sums[0] + dropped[0], sums[1] + dropped[1]];
            }
            if done || polls == MOST {
                break;
            }
            polls += 1;
            // nothing but its caller ends it
            if target.method.name == "Watch" && polls > 4 {
                break;
            }
        }
        stage.assert_stored(stored).await;
        let mut all = run.polls.lock().expect("no panic");
        all.insert(target.method.path.clone(), polls);
    }
    sums
}

/// Calls at random until so many more were made by all of these.
async fn at_random(
    stage: &Stage,
    run: &Run,
    worker: usize,
    left: &AtomicUsize,
    mut random: Random,
) {
    let take = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
    while take().is_ok() {
        let target = random.pick(&stage.targets);
        let is_wire = random.chance(25);
        let way = match is_wire {
            true => &stage.ways[1 + worker % (stage.ways.len() - 1)],
            false => &stage.ways[0],
        };
        let is_cut = worker < CUTTERS || target.method.name == "Watch";
        let most = run.polls.lock().expect("no panic")[&target.method.path];
        let most = if is_wire { most.max(MOST_WIRE) } else { most };
        let cut = is_cut.then(|| Cut {
            polls: 1 + random.below(most as u64) as usize,
            pauses: *random.pick(&[0, 0, 1, 3, 10, 50]),
        });
        attempt(stage, run, target, way, cut, &mut random).await;
        if random.chance(10) {
            quiet::none_is_forgotten(stage).await;
        }
    }
}

async fn sweep(stage: Stage, most: usize) -> (Stage, Run) {
    let (stage, run) = (Arc::new(stage), Arc::new(Run::default()));
    let mut random = Random(stage.seed);
    let mut stored = vec![0; TENANTS];
    // whatever is there for good is there then
    for target in stage
        .targets
        .iter()
        .filter(|target| !target.method.name.starts_with("Watch"))
    {
        for way in &stage.ways {
            assert!(attempt(&stage, &run, target, way, None, &mut random).await);
        }
    }
    stage.at_rest(None).await;
    stage.send_again(&mut stored).await;
    let tasks = quiet::tasks().await;
    let mut batches = at_every_poll(&stage, &run, &mut stored, &mut random).await;
    let mut round = 0;
    while run.dropped() < most {
        round += 1;
        let left = Arc::new(AtomicUsize::new(ROUND.min(most - run.dropped() + 1)));
        let mut workers = JoinSet::new();
        for worker in 0..CUTTERS + OTHERS {
            let (stage, run, left) = (Arc::clone(&stage), Arc::clone(&run), Arc::clone(&left));
            let random = Random(random.next());
            workers.spawn(async move { at_random(&stage, &run, worker, &left, random).await });
        }
        while let Some(worker) = workers.join_next().await {
            worker.unwrap_or_else(|failed| panic!("seed {}: {failed}", stage.seed));
        }
        stage.at_rest(None).await;
        let dropped = stage.send_again(&mut stored).await;
        batches = [batches[0] + dropped[0], batches[1] + dropped[1]];
        stage.assert_stored(&stored).await;
        stage.write_everywhere(round).await;
    }
    stage.at_rest(Some(tasks)).await;
    if let Some(redis) = &stage.redis {
        assert!(redis.hits().await > 100, "lookups went by Redis");
    }
    let [were, were_not] = batches;
    assert!(
        were > 0 && were_not > 0,
        "dropped before and behind the commit: {batches:?}"
    );
    println!("batches of dropped calls: {were} were stored, {were_not} were not");
    let stage = Arc::into_inner(stage).expect("no worker is left");
    (stage, Arc::into_inner(run).expect("no worker is left"))
}

/// Prints it, and tells the ledger.
fn tell(engine: &str, seed: u64, run: &Run) {
    let dropped = run.dropped();
    println!("{engine}, seed {seed}: {dropped} calls were dropped");
    let mut figures = Vec::new();
    let counts = run.counts.lock().expect("no panic");
    let wire = *run.wire.lock().expect("no panic");
    let names = [Kind::Read, Kind::Write, Kind::Stream].map(|kind| counts[&kind]);
    let names = ["reads", "writes", "streams", "wire"]
        .iter()
        .zip(names.into_iter().chain([wire]));
    for (name, count) in names {
        println!("  {name}: {count:?}");
        figures.push((format!("{name}_dropped"), count.dropped as f64));
        figures.push((format!("{name}_completed"), count.completed as f64));
        figures.push((format!("{name}_most_polls"), count.most_polls as f64));
    }
    let polls = run.polls.lock().expect("no panic");
    println!("  polls until the end: {polls:?}");
    let figures: Vec<(&str, f64)> = figures.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    ledger::tell("cancelled", dropped as u64, &figures);
}

fn cancellations() -> usize {
    set("SENTBY_TEST_CANCELLATIONS").unwrap_or(CANCELLATIONS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_leave_nothing_behind_on_postgres() {
    let _alone = ALONE.lock().await;
    meters::install();
    let Some(stage) = Stage::postgres(seed()).await else {
        return;
    };
    let (stage, run) = sweep(stage, cancellations() / 5 * 4).await;
    tell("Postgres", stage.seed, &run);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_leave_nothing_behind_on_sqlite() {
    let _alone = ALONE.lock().await;
    meters::install();
    let stage = Stage::sqlite(seed()).await;
    let (stage, run) = sweep(stage, cancellations() / 5).await;
    tell("SQLite", stage.seed, &run);
    stage.stop().await;
}
