use super::*;
use crate::cache::sealed::tests::key;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Answers how many reads had been started when this one was.
struct Counted {
    started: AtomicUsize,
    /// A read ends when it gets one.
    ends: Semaphore,
    keys: Mutex<Vec<usize>>,
}

const PANICS: u128 = 1_000_000;
const FAILS: u128 = 2_000_000;

impl Source for Counted {
    type Of = u8;
    type Value = (MessageKey, usize);
    type Error = &'static str;

    async fn read(
        &self,
        _: &u8,
        keys: &[MessageKey],
    ) -> Result<Vec<(MessageKey, usize)>, &'static str> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        self.keys.lock().expect("unpoisoned").push(keys.len());
        assert!(keys.is_sorted_by(|a, b| a < b), "sorted and distinct");
        self.ends.acquire().await.expect("open").forget();
        assert!(!keys.contains(&key(PANICS)), "as the test wants it");
        if keys.contains(&key(FAILS)) {
            return Err("failed");
        }
        Ok(keys.iter().map(|key| (*key, number)).collect())
    }

    fn broken() -> &'static str {
        "broken"
    }
}

fn counted(ends: usize) -> Arc<Coalescer<Counted>> {
    Arc::new(Coalescer::new(Counted {
        started: AtomicUsize::new(0),
        ends: Semaphore::new(ends),
        keys: Mutex::default(),
    }))
}

type Answer = Result<Vec<(MessageKey, usize)>, &'static str>;

fn ask(
    coalescer: &Arc<Coalescer<Counted>>,
    of: u8,
    keys: &[u128],
) -> tokio::task::JoinHandle<Answer> {
    let coalescer = Arc::clone(coalescer);
    let keys: Vec<MessageKey> = keys.iter().map(|n| key(*n)).collect();
    tokio::spawn(async move { coalescer.read(&of, &keys).await })
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_comes_during_a_read_goes_with_the_next() {
    let coalescer = counted(0);
    let mut calls = Vec::new();
    for n in 0..6 {
        calls.push(ask(&coalescer, 1, &[n, 7, n]));
        settle().await;
    }
    let other = ask(&coalescer, 2, &[1]);
    settle().await;
    // two at once for one tenant, and another one waits for neither
    assert_eq!(coalescer.source().started.load(Ordering::SeqCst), 3);
    coalescer.source().ends.add_permits(100);
    let mut numbers = Vec::new();
    for (n, call) in calls.into_iter().enumerate() {
        let found = call.await.expect("no panic").expect("found");
        let asked: Vec<MessageKey> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            asked,
            [key(n as u128), key(7), key(n as u128)],
            "in the order asked"
        );
        numbers.push(found[0].1);
    }
    // the last four share one read, that began after they came
    assert_eq!(numbers, [0, 1, 3, 3, 3, 3]);
    other.await.expect("no panic").expect("found");
    assert_eq!(
        *coalescer.source().keys.lock().expect("unpoisoned"),
        [2, 2, 1, 5]
    );
    assert!(coalescer.0.lines().is_empty(), "nobody is left in a line");
}

#[tokio::test]
async fn a_read_that_fails_or_panics_is_told_to_its_own_callers() {
    let coalescer = counted(0);
    let first = [ask(&coalescer, 1, &[1]), ask(&coalescer, 1, &[PANICS])];
    settle().await;
    let second = [ask(&coalescer, 1, &[3]), ask(&coalescer, 1, &[FAILS])];
    settle().await;
    coalescer.source().ends.add_permits(100);
    let mut answers = Vec::new();
    for call in first.into_iter().chain(second) {
        answers.push(call.await.expect("no panic").map(|found| found.len()));
    }
    assert_eq!(
        answers,
        [Ok(1), Err("broken"), Err("failed"), Err("failed")]
    );
    let after = ask(&coalescer, 1, &[1]).await.expect("no panic");
    assert_eq!(after.expect("found").len(), 1);
    assert!(coalescer.0.lines().is_empty());
}

#[tokio::test]
async fn large_lookups_are_not_joined_beyond_the_bound() {
    let coalescer = counted(0);
    let keys = |from: u128| (from..from + 900).collect::<Vec<_>>();
    let mut calls = Vec::new();
    for n in 0..6u128 {
        calls.push(ask(&coalescer, 1, &keys(1_000 * n)));
        settle().await;
    }
    coalescer.source().ends.add_permits(100);
    for call in calls {
        let found = call.await.expect("no panic").expect("found");
        assert_eq!(found.len(), 900);
    }
    let keys = coalescer.source().keys.lock().expect("unpoisoned").clone();
    assert_eq!(keys, [900, 900, 1_800, 1_800]);
}

#[tokio::test]
async fn nothing_is_read_for_those_who_left() {
    let coalescer = counted(0);
    let running = [ask(&coalescer, 1, &[1]), ask(&coalescer, 1, &[2])];
    settle().await;
    let left = ask(&coalescer, 1, &[3]);
    settle().await;
    left.abort();
    settle().await;
    running[0].abort();
    coalescer.source().ends.add_permits(100);
    settle().await;
    assert_eq!(coalescer.source().started.load(Ordering::SeqCst), 2);
    assert!(coalescer.0.lines().is_empty());
}

/// Many threads, many tenants, callers that leave, reads that fail: everybody who stays gets
/// exactly what he asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten() {
    let coalescer = counted(Semaphore::MAX_PERMITS);
    let mut calls = Vec::new();
    for n in 0..20_000u128 {
        let asked = match n % 97 {
            0 => vec![n, FAILS],
            _ => vec![n, n + 1],
        };
        let call = ask(&coalescer, (n % 5) as u8, &asked);
        if n % 13 == 0 {
            call.abort();
        } else {
            calls.push((n, call));
        }
    }
    for (n, call) in calls {
        let call = tokio::time::timeout(std::time::Duration::from_secs(30), call).await;
        match call.expect("an answer").expect("no panic") {
            Ok(found) => assert_eq!(found[0].0, key(n)),
            Err(why) => assert_eq!(why, "failed"),
        }
    }
    // the last workers are just ending
    for _ in 0..1_000 {
        if coalescer.0.lines().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("somebody is left in a line");
}
