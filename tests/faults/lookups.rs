//! Whatever happens to Redis, a lookup is right and does not hang, and the cache comes back.

use crate::{
    count_of_lookups,
    fault::Fault,
    seed,
    stage::Replica,
    support::{
        TENANT, TestDb,
        proxy::{Mode, Proxy},
        redis::Redis,
    },
    truth::{MESSAGES, Truth, hits_are_back},
};
use sentby::simulate::Random;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Of each of the two servers under each fault, in the suite.
const LOOKUPS: usize = 2_000;
const CLIENTS: usize = 8;
/// A lookup that takes so much longer than the slowest without a cache hangs.
const HANG: Duration = Duration::from_secs(1);

pub const FAULTS: [(&str, Fault); 13] = [
    ("none", Fault::Answers(Mode::Pass)),
    ("frozen", Fault::Frozen),
    ("killed", Fault::Killed),
    ("flushed", Fault::Flushed),
    ("read-only", Fault::ReadOnly),
    ("out of memory", Fault::OutOfMemory),
    ("cut off", Fault::Answers(Mode::Cut)),
    (
        "200 ms late",
        Fault::Answers(Mode::Slow(Duration::from_millis(200))),
    ),
    ("random bytes", Fault::Answers(Mode::Noise)),
    ("wrong types", Fault::Answers(Mode::WrongTypes)),
    ("5 % corrupt", Fault::Answers(Mode::Corrupt(5))),
    ("5 % torn", Fault::Answers(Mode::Torn)),
    ("crossed answers", Fault::Answers(Mode::Crossed)),
];

/// How long each lookup took.
#[derive(Default)]
struct Taken {
    /// The first five after the fault.
    first: Vec<Duration>,
    rest: Vec<Duration>,
}

impl Taken {
    fn of_hundred(&self, percent: usize) -> f64 {
        let at = (self.rest.len() * percent / 100).min(self.rest.len() - 1);
        self.rest[at].as_secs_f64() * 1_000.0
    }
}

/// The same questions to each server, in turn, by several callers at once.
async fn ask(
    truth: &Truth,
    servers: [&Replica; 2],
    count: usize,
    seed: u64,
    what: &'static str,
) -> [Taken; 2] {
    let mut random = Random(seed);
    let asked = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let taken = Arc::new(Mutex::new([Taken::default(), Taken::default()]));
    let mut callers = JoinSet::new();
    for _ in 0..CLIENTS {
        let clients = [servers[0].client().await, servers[1].client().await];
        let (truth, asked, taken) = (truth.clone(), Arc::clone(&asked), Arc::clone(&taken));
        let mut random = Random(random.next());
        callers.spawn(async move {
            for n in 0..count.div_ceil(CLIENTS) {
                let ids = if random.chance(10) { 20 } else { 1 };
                let number = |_| random.below(u64::from(MESSAGES)) as usize;
                let numbers: Vec<usize> = (0..ids).map(number).collect();
                for server in [n % 2, 1 - n % 2] {
                    let is_first = asked[server].fetch_add(1, Relaxed) < 5;
                    let start = Instant::now();
                    truth
                        .assert_answered(&clients[server], &numbers, what)
                        .await;
                    let mut taken = taken.lock().expect("no panic");
                    let Taken { first, rest } = &mut taken[server];
                    if is_first { first } else { rest }.push(start.elapsed());
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("every answer is right");
    }
    let mut taken = std::mem::take(&mut *taken.lock().expect("no panic"));
    taken.iter_mut().for_each(|taken| taken.rest.sort());
    taken
}

/// One line of the table.
async fn under(
    name: &'static str,
    fault: Fault,
    db: &TestDb,
    truth: &Truth,
    none: &Replica,
) -> Option<String> {
    let seed = seed();
    let mut redis = Redis::start().await?;
    let proxies = [Proxy::start(redis.port, seed).await];
    // what needs no proxy is measured without one
    let url = match fault {
        Fault::Answers(_) => proxies[0].url(),
        _ => redis.url(),
    };
    let server = Replica::start(db, &url);
    let client = server.client().await;
    truth.assert_all(&client, "before").await;
    hits_are_back(std::slice::from_ref(truth), &client, &[&redis], "before").await;

    fault.strike(&mut redis, &proxies, &[0]).await;
    let [bare, cached] = ask(
        truth,
        [none, &server],
        count_of_lookups(LOOKUPS),
        seed,
        name,
    )
    .await;
    fault.heal(&mut redis, &proxies, &[0]).await;
    let back = hits_are_back(std::slice::from_ref(truth), &client, &[&redis], name).await;
    truth.assert_all(&client, name).await;
    server.stop();

    let slowest = |taken: &Taken| taken.first.iter().chain(&taken.rest).max().copied();
    let (bare_most, most) = (
        slowest(&bare).expect("some"),
        slowest(&cached).expect("some"),
    );
    assert!(
        most < bare_most + HANG,
        "{name}: a lookup took {most:?}, without a cache {bare_most:?}"
    );
    let first: Vec<u128> = cached.first.iter().map(Duration::as_millis).collect();
    let (bare99, cached99) = (bare.of_hundred(99), cached.of_hundred(99));
    Some(format!(
        "{name:<16} {:>7.2} {bare99:>7.2} {:>7.2} {cached99:>7.2} {:>6.2} {:>6} {:>21} {:>7.2} {seed:>11}",
        bare.of_hundred(50),
        cached.of_hundred(50),
        cached99 / bare99,
        most.as_millis(),
        format!("{first:?}"),
        back.as_secs_f64(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_stay_right_whatever_happens_to_redis() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let none = Replica::start(&db, "none");
    let truth = Truth::store(&none.client().await, TENANT).await;
    let mut table = Vec::new();
    for (name, fault) in FAULTS {
        let Some(line) = under(name, fault, &db, &truth, &none).await else {
            return;
        };
        table.push(line);
    }
    println!(
        "lookups, ms      none p50     p99     p50 redis p99  ratio    max            first five  back s        seed\n{}",
        table.join("\n")
    );
}
