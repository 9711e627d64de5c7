//! No answer is older than promised: writers change messages through two processes while
//! readers ask both, and a checker goes through all that was written and seen.

use crate::{
    count_of_lookups,
    fault::Fault,
    history::{Checked, Promise, Read, Write, check},
    players::{self, Play, Seen},
    seed,
    stage::{Message, RECORDS, Replica},
    support::{
        TENANT, TestDb, ledger,
        proxy::{Mode, Proxy},
        redis::{Cluster, Redis},
    },
};
use sentby::simulate::Random;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Of one case in the suite.
const LOOKUPS: usize = 20_000;

/// How long a process keeps an answer that another one has overtaken, and "nothing stored"; a
/// second for the way is added.
const IN_PROCESS: Promise = Promise {
    found: Duration::from_secs(10 + 1),
    absent: Duration::from_secs(2 + 1),
    monotone: false,
};

/// The same in Redis, for a writer who does not reach it, and for one who may be held up.
pub const BROKEN: Promise = Promise {
    found: Duration::from_secs(30 + 2),
    absent: Duration::from_secs(5 + 2),
    monotone: false,
};

/// The same for a writer who lost Redis for a moment: he settles what he owes.
const HELD_UP: Promise = Promise {
    found: Duration::from_secs(5),
    absent: Duration::from_secs(5),
    monotone: false,
};

/// Nothing older than what was acknowledged. What was seen but not acknowledged yet may not
/// have reached Redis.
const SHARED: Promise = Promise {
    monotone: false,
    ..Promise::FRESH
};

/// A store with a tenant, and so many processes on it.
async fn stage(caches: &[&str]) -> Option<(TestDb, Vec<Replica>)> {
    let db = TestDb::postgres().await?;
    let start = |cache: &&str| Replica::start(&db, cache);
    let replicas: Vec<Replica> = caches.iter().map(start).collect();
    let client = replicas[0].client().await;
    client.register(TENANT).await;
    // who the agents are is learned before the play
    let school = Message {
        tenant: TENANT,
        number: u32::MAX,
    };
    let records: Vec<_> = (0..RECORDS).map(|n| school.record(n)).collect();
    client.post(TENANT, &records).await.expect("ingested");
    Some((db, replicas))
}

/// The play, in which nothing but the players happens.
async fn play(name: &str, replicas: &[Replica], least: Duration, promise: Promise) -> Checked {
    let play = Arc::new(Play::new(count_of_lookups(LOOKUPS), least, 0));
    let seed = seed();
    let (writes, mut seen) = players::run(Arc::clone(&play), replicas, seed).await;
    seen.join(players::ask_all(&play, replicas, &writes, newest(&writes)).await);
    judge(name, seed, (writes, seen), promise).1
}

fn newest(writes: &[Write]) -> u64 {
    let revisions = writes.iter().map(|write| write.revision);
    revisions.max().unwrap_or_default()
}

/// The same with a Redis that nobody disturbs.
async fn play_shared(name: &str, replicas: &[Replica], act: u32) {
    let lookups = count_of_lookups(LOOKUPS);
    let play = Arc::new(Play::new(lookups, Duration::ZERO, act));
    let seed = seed();
    let (writes, mut seen) = players::run(Arc::clone(&play), replicas, seed).await;
    seen.join(players::ask_all(&play, replicas, &writes, newest(&writes)).await);
    judge_shared(name, seed, &play, replicas, (writes, seen));
}

/// On a busy machine a process may wait for a sound Redis in vain; it says so, and until it
/// uses it again less is promised.
fn judge_shared(name: &str, seed: u64, play: &Play, replicas: &[Replica], played: Played) {
    let (writes, mut seen) = played;
    let lost: Vec<_> = replicas.iter().flat_map(|one| lost(play, one)).collect();
    let is_held_up = |read: &Read| lost.iter().any(|lost| lost.contains(&read.call));
    let (held_up, reads) = seen.reads.into_iter().partition(is_held_up);
    seen.reads = held_up;
    let held_up = format!("{name}, while it is held up");
    let ((writes, seen), _) = judge(&held_up, seed, (writes, seen), HELD_UP);
    judge(name, seed, (writes, Seen { reads, ..seen }), SHARED);
}

/// When a process did not use Redis, and a little before and after it.
fn lost(play: &Play, replica: &Replica) -> Vec<Range<Duration>> {
    let used = replica.server.logged("\"Redis is used\"");
    let lost = replica.server.logged("Redis is not used");
    let back = |lost: &Instant| used.iter().find(|used| *used >= lost).copied();
    let around = |lost: Instant| {
        let back = back(&lost).unwrap_or_else(|| lost + HELD_UP.found);
        play.at(lost).saturating_sub(A_LITTLE)..play.at(back) + A_LITTLE
    };
    let during = lost.into_iter().map(around);
    during.filter(|lost| lost.end > A_LITTLE).collect()
}

const A_LITTLE: Duration = Duration::from_millis(200);

type Played = (Vec<Write>, Seen);

const UNCACHED: &str = "no cache";

/// Tells what came out, and fails where anything is wrong.
fn judge(name: &str, seed: u64, (writes, seen): Played, promise: Promise) -> (Played, Checked) {
    let checked = check(TENANT, &writes, &seen.reads, &seen.shown, promise);
    println!(
        "freshness, {name}: {} lookups, {checked}; the slowest took {:.3} s; seed {seed}",
        seen.lookups,
        seen.slowest.as_secs_f64(),
    );
    checked.assert_right();
    if name != UNCACHED {
        let figures = [("slowest_s", seen.slowest.as_secs_f64())];
        ledger::tell("cached-reads", seen.reads.len() as u64, &figures);
    }
    ((writes, seen), checked)
}

/// Else it would be no wonder.
async fn assert_used(nodes: &[Redis]) {
    let (mut reads, mut hits) = (0, 0);
    for node in nodes {
        reads += node.reads().await;
        hits += node.hits().await;
    }
    let asked = count_of_lookups(LOOKUPS) as u64;
    assert!(
        reads > asked / 20 && hits > asked / 10,
        "{reads} reads, {hits} hits"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_every_answer_is_fresh() {
    let Some((_db, replicas)) = stage(&["none", "none"]).await else {
        return;
    };
    play(UNCACHED, &replicas, Duration::ZERO, Promise::FRESH).await;
    replicas.into_iter().for_each(Replica::stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_in_the_only_process_is_fresh() {
    let Some((_db, replicas)) = stage(&["memory"]).await else {
        return;
    };
    play("in the process", &replicas, Duration::ZERO, Promise::FRESH).await;
    replicas.into_iter().for_each(Replica::stop);
}

/// Each process knows what it wrote itself, and the rest after a while. This also shows that
/// age is seen where there is any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_in_two_processes_are_stale_for_a_while_only() {
    let Some((_db, replicas)) = stage(&["memory", "memory"]).await else {
        return;
    };
    let least = IN_PROCESS.found + Duration::from_secs(2);
    let checked = play("in two processes", &replicas, least, IN_PROCESS).await;
    assert!(checked.oldest > Duration::from_secs(1), "{checked}");
    replicas.into_iter().for_each(Replica::stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_redis_is_fresh() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let Some((_db, replicas)) = stage(&[&redis.url(), &redis.url()]).await else {
        return;
    };
    play_shared("Redis", &replicas, 0).await;
    assert_used(&[redis]).await;
    replicas.into_iter().for_each(Replica::stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_cluster_is_fresh() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let Some((_db, replicas)) = stage(&[&cluster.url(), &cluster.url()]).await else {
        return;
    };
    play_shared("Redis Cluster", &replicas, 0).await;
    assert_used(&cluster.nodes).await;
    replicas.into_iter().for_each(Replica::stop);
}

/// Each process has reached Redis again, and settled what it owed.
const SETTLED: Duration = Duration::from_secs(3);

/// What happens, and to whom: to Redis, or between it and some of the processes.
const FAULTS: [(&str, Fault, &[usize]); 11] = [
    ("frozen", Fault::Frozen, &[]),
    ("killed", Fault::Killed, &[]),
    ("flushed", Fault::Flushed, &[]),
    ("read-only", Fault::ReadOnly, &[]),
    ("out of memory", Fault::OutOfMemory, &[]),
    ("one cut off", Fault::Answers(Mode::Cut), &[0]),
    ("the other cut off", Fault::Answers(Mode::Cut), &[1]),
    (
        "late",
        Fault::Answers(Mode::Slow(Duration::from_millis(60))),
        &[0],
    ),
    ("corrupt", Fault::Answers(Mode::Corrupt(5)), &[0, 1]),
    ("torn", Fault::Answers(Mode::Torn), &[0, 1]),
    ("crossed", Fault::Answers(Mode::Crossed), &[0, 1]),
];

/// Faults at random moments, until the play is over; how many of each.
async fn disturb(
    play: &Play,
    redis: &mut Redis,
    proxies: &[Proxy],
    mut random: Random,
) -> BTreeMap<&'static str, usize> {
    let is_long = count_of_lookups(LOOKUPS) > 10 * LOOKUPS;
    let mut struck = BTreeMap::new();
    while !play.is_over() {
        let (name, fault, of) = *random.pick(&FAULTS);
        sleep(Duration::from_millis(100 + random.below(400))).await;
        fault.strike(redis, proxies, of).await;
        let longest = match random.below(100) {
            0 if is_long => 40_000, // longer than any value lasts
            0..5 => 3_000,
            _ => 700,
        };
        sleep(Duration::from_millis(50 + random.below(longest))).await;
        fault.heal(redis, proxies, of).await;
        *struck.entry(name).or_default() += 1;
    }
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_redis_is_stale_for_a_while_only() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let seed = seed();
    let proxies = [
        Proxy::start(redis.port, seed).await,
        Proxy::start(redis.port, seed + 1).await,
    ];
    let Some((_db, replicas)) = stage(&[&proxies[0].url(), &proxies[1].url()]).await else {
        return;
    };
    let lookups = count_of_lookups(LOOKUPS);
    let play = Arc::new(Play::new(lookups, Duration::from_secs(5), 0));
    let (played, struck) = tokio::join!(
        players::run(Arc::clone(&play), &replicas, seed),
        disturb(&play, &mut redis, &proxies, Random(seed)),
    );
    println!("faults: {struck:?}");
    let ((writes, _), _) = judge("Redis with faults", seed, played, BROKEN);
    // what the writers owe is settled, and all is as if nothing had happened
    sleep(SETTLED).await;
    let settled = players::ask_all(&play, &replicas, &writes, 0).await;
    let name = "what was written during the faults";
    judge_shared(name, seed, &play, &replicas, (writes, settled));
    play_shared("Redis after its faults", &replicas, 1).await;
    replicas.into_iter().for_each(Replica::stop);
}
