//! No answer is older than promised: writers change messages through two processes while
//! readers ask both, and a checker goes through all that was written and seen.

use crate::{
    history::{Checked, Promise, check},
    lookups,
    players::{self, Play},
    seed,
    stage::{Message, RECORDS, Replica},
    support::{TENANT, TestDb},
};
use std::{sync::Arc, time::Duration};

/// Of one case in the suite.
const LOOKUPS: usize = 20_000;

/// How long a process keeps an answer that another one has overtaken, and how long "nothing
/// stored"; a second for the way is added.
const STALE: Promise = Promise {
    found: Duration::from_secs(10 + 1),
    absent: Duration::from_secs(5 + 1),
    monotone: false,
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

async fn play(name: &str, replicas: &[Replica], least: Duration, promise: Promise) -> Checked {
    let seed = seed();
    let play = Arc::new(Play::new(lookups(LOOKUPS), least));
    let (writes, seen) = players::run(play, replicas, seed).await;
    let checked = check(TENANT, &writes, &seen.reads, &seen.shown, promise);
    println!(
        "freshness, {name}: {} lookups, {checked}; the slowest took {:.3} s; seed {seed}",
        seen.lookups,
        seen.slowest.as_secs_f64(),
    );
    checked.assert_right();
    checked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_every_answer_is_fresh() {
    let Some((_db, replicas)) = stage(&["none", "none"]).await else {
        return;
    };
    play("no cache", &replicas, Duration::ZERO, Promise::FRESH).await;
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
    let least = STALE.found + Duration::from_secs(2);
    let checked = play("in two processes", &replicas, least, STALE).await;
    assert!(checked.oldest > Duration::from_secs(1), "{checked}");
    replicas.into_iter().for_each(Replica::stop);
}
