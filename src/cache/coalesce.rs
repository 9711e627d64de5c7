//! Concurrent reads of one tenant become one.
//!
//! There is no timer: the first caller is read for at once; whoever comes while [`AT_ONCE`]
//! reads are under way is collected, and goes with the next. So a read has always started
//! after those who wait for it have come, and what it finds is as fresh as one of their own.

use crate::domain::MessageKey;
use futures_util::FutureExt as _;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Reads of one tenant at a time.
const AT_ONCE: usize = 2;
/// Keys that callers are collected up to. One that asks for more is read for alone.
const MOST_KEYS: usize = 2_000;

/// What is read.
pub trait Source: Send + Sync + 'static {
    /// Reads of different ones are never joined.
    type Of: Clone + Eq + Hash + Send + Sync + 'static;
    type Value: Clone + Send + Sync + 'static;
    type Error: Clone + Send + Sync + 'static;

    /// One value for each key, in their order. The keys are sorted and distinct.
    fn read(
        &self,
        of: &Self::Of,
        keys: &[MessageKey],
    ) -> impl Future<Output = Result<Vec<Self::Value>, Self::Error>> + Send;

    /// What those are told whose read ended without a result: a bug.
    fn broken() -> Self::Error;
}

pub struct Coalescer<S: Source>(Arc<Shared<S>>);

struct Shared<S: Source> {
    source: S,
    /// Of those alone that are being read for.
    lines: Mutex<HashMap<S::Of, Line<S>>>,
}

/// Who waits for one tenant's reads.
struct Line<S: Source> {
    running: usize,
    waiting: VecDeque<Group<S>>,
}

/// Callers who are read for together.
struct Group<S: Source> {
    keys: Vec<MessageKey>,
    callers: Vec<oneshot::Sender<Outcome<S>>>,
}

type Outcome<S> = Result<Arc<Read<S>>, <S as Source>::Error>;

struct Read<S: Source> {
    /// Sorted.
    keys: Vec<MessageKey>,
    values: Vec<S::Value>,
}

impl<S: Source> Coalescer<S> {
    pub fn new(source: S) -> Self {
        let lines = Mutex::default();
        Self(Arc::new(Shared { source, lines }))
    }

    pub fn source(&self) -> &S {
        &self.0.source
    }

    /// One value for each key, in the order asked. A caller may leave at any time: the read
    /// is a task of its own.
    pub async fn read(&self, of: &S::Of, keys: &[MessageKey]) -> Result<Vec<S::Value>, S::Error> {
        let (caller, outcome) = oneshot::channel();
        if let Some(group) = self.0.join(of, keys, caller) {
            tokio::spawn(Arc::clone(&self.0).work(of.clone(), group));
        }
        let read = outcome.await.unwrap_or_else(|_| Err(S::broken()))?;
        let value = |key| read.values.get(read.keys.binary_search(key).ok()?).cloned();
        let values = keys.iter().map(value);
        values.collect::<Option<_>>().ok_or_else(S::broken)
    }
}

impl<S: Source> Shared<S> {
    /// Adds a caller. Returned is what has to be read at once.
    fn join(
        &self,
        of: &S::Of,
        keys: &[MessageKey],
        caller: oneshot::Sender<Outcome<S>>,
    ) -> Option<Group<S>> {
        let alone = |caller| Group {
            keys: keys.to_vec(),
            callers: vec![caller],
        };
        let mut lines = self.lines();
        let line = lines.entry(of.clone()).or_insert_with(|| Line {
            running: 0,
            waiting: VecDeque::new(),
        });
        if line.running < AT_ONCE {
            line.running += 1;
            return Some(alone(caller));
        }
        match line.waiting.back_mut() {
            Some(last) if last.keys.len() + keys.len() <= MOST_KEYS => {
                last.keys.extend_from_slice(keys);
                last.callers.push(caller);
            }
            _ => line.waiting.push_back(alone(caller)),
        }
        None
    }

    /// Reads for a group, and for those who came meanwhile, until nobody waits.
    async fn work(self: Arc<Self>, of: S::Of, group: Group<S>) {
        let mut next = Some(group);
        while let Some(group) = next {
            self.serve(&of, group).await;
            next = self.next(&of);
        }
    }

    async fn serve(&self, of: &S::Of, group: Group<S>) {
        let Group { mut keys, callers } = group;
        if callers.iter().all(oneshot::Sender::is_closed) {
            return; // all have left
        }
        keys.sort_unstable();
        keys.dedup();
        let read = async { self.source.read(of, &keys).await };
        let outcome = match AssertUnwindSafe(read).catch_unwind().await {
            Ok(Ok(values)) => Ok(Arc::new(Read { keys, values })),
            Ok(Err(error)) => Err(error),
            Err(_panic) => Err(S::broken()),
        };
        for caller in callers {
            // one that has left needs no answer
            let _ = caller.send(outcome.clone());
        }
    }

    /// The next group of a line; else this worker is done.
    fn next(&self, of: &S::Of) -> Option<Group<S>> {
        let mut lines = self.lines();
        let line = lines.get_mut(of)?;
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.running -= 1;
            if line.running == 0 {
                lines.remove(of);
            }
        }
        next
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<S::Of, Line<S>>> {
        // nothing in here can leave it half-changed
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source> fmt::Debug for Coalescer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Coalescer")
    }
}

#[cfg(test)]
#[path = "coalesce_tests.rs"]
mod tests;
