//! How much of what callers send may be in memory at a time, and whose turn it is.

use super::places::{Place, Places};
use crate::{
    domain::TenantId,
    telemetry::meters::{meters, on_render},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// How long a batch may wait for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// Batches that may wait so, and streams that send. Of each up to a megabyte has come already.
const MAX_WAITING: usize = 24;
pub const MAX_STREAMS: usize = 32;
/// Streams of which nothing has come yet: nobody knows whose they are, and they hold next to
/// nothing.
const MAX_SILENT: usize = 512;

/// The room of the whole process for batches, in bytes as they were sent.
///
/// Tenants that wait take turns, so one that sends a hundred batches lets another's single one
/// through behind its first. Whoever has the turn is waited for: small batches do not keep a
/// large one from it for ever.
#[derive(Clone, Debug)]
pub struct Admission {
    room: Arc<Mutex<Room>>,
    streams: Places,
    silent: Arc<Semaphore>,
}

#[derive(Debug)]
struct Room {
    free: usize,
    /// Tenants that wait, the one first whose turn it is. `None`: nobody knows whose it is.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    tenant: Option<TenantId>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bytes: usize,
    /// May be refused. Of a stream nothing more is read meanwhile: it can wait.
    may_be_refused: bool,
    answer: oneshot::Sender<Result<Admitted, Overloaded>>,
}

/// Holds room until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Admission,
    bytes: usize,
}

/// A stream of batches.
#[derive(Debug)]
pub struct OpenStream {
    streams: Places,
    held: Held,
}

#[derive(Debug)]
#[allow(dead_code, reason = "held")]
enum Held {
    Silent(OwnedSemaphorePermit),
    Sending(Place),
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl OpenStream {
    /// Its first batch has begun to come: from then on it has a place among those of its tenant,
    /// or ends.
    pub fn sends(&mut self, tenant: Option<TenantId>) -> Result<(), Overloaded> {
        if let Held::Silent(_) = self.held {
            let place = self.streams.enter(tenant);
            self.held = Held::Sending(place.map_err(|Overloaded| refused())?);
        }
        Ok(())
    }
}

impl Admitted {
    /// Gives back what goes beyond so many bytes.
    pub(super) fn keep(&mut self, bytes: usize) {
        let too_much = self.bytes.saturating_sub(bytes);
        self.bytes -= too_much;
        self.admission.give_back(too_much);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.give_back(self.bytes);
    }
}

impl Admission {
    /// `bytes`: at least a largest batch, or that would wait in vain.
    pub fn new(bytes: usize) -> Self {
        let admission = Self {
            room: Arc::new(Mutex::new(Room {
                free: bytes,
                lines: VecDeque::new(),
            })),
            streams: Places::new(MAX_STREAMS),
            silent: Arc::new(Semaphore::new(MAX_SILENT)),
        };
        let sampled = admission.clone();
        on_render(move || {
            let meters = &meters().admission;
            let room = sampled.room();
            let waiting: usize = room.lines.iter().map(|line| line.waiting.len()).sum();
            meters.limit.set(bytes as f64);
            meters.used.set((bytes - room.free) as f64);
            meters.waiting.set(waiting as f64);
        });
        admission
    }

    /// Waits for room, however long that takes: of a stream nothing more is read meanwhile.
    pub async fn wait(&self, tenant: Option<TenantId>, bytes: u32) -> Result<Admitted, Overloaded> {
        let answer = self.join(tenant, bytes, false);
        answer.await.unwrap_or(Err(Overloaded))
    }

    /// The same with an end to it, and if not too many others wait already.
    pub async fn ask(&self, tenant: Option<TenantId>, bytes: u32) -> Result<Admitted, Overloaded> {
        let answer = timeout(PATIENCE, self.join(tenant, bytes, true)).await;
        let admitted = answer.unwrap_or(Ok(Err(Overloaded)));
        admitted
            .unwrap_or(Err(Overloaded))
            .map_err(|Overloaded| refused())
    }

    /// One more stream of batches.
    pub fn stream(&self) -> Result<OpenStream, Overloaded> {
        let silent = Arc::clone(&self.silent).try_acquire_owned();
        Ok(OpenStream {
            streams: self.streams.clone(),
            held: Held::Silent(silent.map_err(|_| refused())?),
        })
    }

    fn join(
        &self,
        tenant: Option<TenantId>,
        bytes: u32,
        may_be_refused: bool,
    ) -> oneshot::Receiver<Result<Admitted, Overloaded>> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            bytes: bytes as usize,
            may_be_refused,
            answer,
        };
        let mut room = self.room();
        let refused = room.join(tenant, waiting);
        let next = room.next();
        drop(room);
        if let Some(refused) = refused {
            // one that has left needs no answer
            let _ = refused.answer.send(Err(Overloaded));
        }
        self.admit(next);
        answered
    }

    fn give_back(&self, bytes: usize) {
        let mut room = self.room();
        room.free += bytes;
        let next = room.next();
        drop(room);
        self.admit(next);
    }

    /// Outside the lock: of one that has left meanwhile the room comes back by itself.
    fn admit(&self, those: Vec<Waiting>) {
        for Waiting { bytes, answer, .. } in those {
            let admission = self.clone();
            let _ = answer.send(Ok(Admitted { admission, bytes }));
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // nothing in here can leave it half-changed
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// At the end of its tenant's line. Returned is who has to be refused for that, if anybody:
    /// the last one of the tenant that has the most there.
    fn join(&mut self, tenant: Option<TenantId>, waiting: Waiting) -> Option<Waiting> {
        for line in &mut self.lines {
            line.waiting.retain(|waiting| !waiting.answer.is_closed());
        }
        self.lines.retain(|line| !line.waiting.is_empty());
        let may_be_refused = waiting.may_be_refused;
        let at = self.lines.iter().position(|line| line.tenant == tenant);
        let at = at.unwrap_or_else(|| {
            self.lines.push_back(Line {
                tenant,
                waiting: VecDeque::new(),
            });
            self.lines.len() - 1
        });
        let is_next = self.lines.len() == 1 && self.lines[at].waiting.is_empty();
        let fits = is_next && waiting.bytes <= self.free;
        self.lines[at].waiting.push_back(waiting);
        let all: usize = self.lines.iter().map(Line::refusable).sum();
        if fits || !may_be_refused || all <= MAX_WAITING {
            return None;
        }
        // of several alike the one that asks now
        let own = self.lines[at].refusable();
        let longest = self.lines.iter_mut().max_by_key(|line| line.refusable())?;
        if longest.refusable() > own {
            longest.leave()
        } else {
            self.lines[at].leave()
        }
    }

    /// Those who have room now, in turn.
    fn next(&mut self) -> Vec<Waiting> {
        let mut next = Vec::new();
        while let Some(line) = self.lines.front_mut() {
            match line.waiting.front() {
                Some(first) if first.answer.is_closed() => {
                    line.waiting.pop_front();
                }
                Some(first) if first.bytes > self.free => break,
                Some(_) => {
                    let first = line.waiting.pop_front();
                    self.free -= first.as_ref().map_or(0, |first| first.bytes);
                    next.extend(first);
                    self.lines.rotate_left(1);
                }
                None => {
                    self.lines.pop_front();
                }
            }
        }
        next
    }
}

impl Line {
    fn refusable(&self) -> usize {
        let those = self.waiting.iter().filter(|one| one.may_be_refused);
        those.count()
    }

    fn leave(&mut self) -> Option<Waiting> {
        let last = self.waiting.iter().rposition(|one| one.may_be_refused);
        self.waiting.remove(last?)
    }
}

fn refused() -> Overloaded {
    meters().admission.refused.increment(1);
    Overloaded
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{future::join_all, poll};
    use uuid::Uuid;

    fn tenant(n: u128) -> Option<TenantId> {
        Some(TenantId(Uuid::from_u128(n)))
    }

    #[tokio::test]
    async fn who_has_the_turn_is_waited_for() {
        let admission = Admission::new(10);
        let first = admission.ask(tenant(1), 6).await.expect("room");
        let large = admission.ask(tenant(1), 10);
        tokio::pin!(large);
        assert!(poll!(&mut large).is_pending());
        // there is room for it, but another waits longer
        let small = admission.wait(tenant(2), 1);
        tokio::pin!(small);
        assert!(poll!(&mut small).is_pending());
        drop(first);
        drop(large.await.expect("room"));
        small.await.expect("room");
    }

    #[tokio::test]
    async fn tenants_take_turns() {
        let admission = Admission::new(1);
        let held = admission.ask(tenant(1), 1).await.expect("room");
        let many: Vec<_> = (0..100)
            .map(|_| Box::pin(admission.wait(tenant(1), 1)))
            .collect();
        let mut many = join_all(many);
        assert!(poll!(&mut many).is_pending());
        let single = admission.ask(tenant(2), 1);
        tokio::pin!(single);
        assert!(poll!(&mut single).is_pending());
        drop(held);
        // one of the hundred has it and keeps it, the next turn is the other's
        assert!(poll!(&mut many).is_pending());
        assert!(poll!(&mut single).is_pending());
        let line = admission.room().lines.front().map(|line| line.tenant);
        assert_eq!(line, Some(tenant(2)));
    }

    #[tokio::test]
    async fn what_is_not_kept_is_room_for_others() {
        let admission = Admission::new(10);
        let mut first = admission.ask(None, 10).await.expect("room");
        first.keep(30);
        assert_eq!(admission.room().free, 0);
        first.keep(4);
        let second = admission.ask(None, 6).await.expect("room");
        drop((first, second));
        assert_eq!(admission.room().free, 10);
    }

    #[tokio::test]
    async fn who_waits_most_gives_way() {
        let admission = Admission::new(1);
        let held = admission.ask(tenant(1), 1).await.expect("room");
        let ask = async || admission.ask(tenant(1), 1).await.map(drop);
        let noisy: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(ask())).collect();
        let mut noisy = join_all(noisy);
        assert!(poll!(&mut noisy).is_pending());
        assert_eq!(admission.ask(tenant(1), 1).await.err(), Some(Overloaded));
        let single = admission.ask(tenant(2), 1);
        tokio::pin!(single);
        assert!(poll!(&mut single).is_pending(), "another one left for it");
        let free = async {
            drop(held);
            noisy.await
        };
        let (noisy, single) = tokio::join!(free, async { single.await.map(drop) });
        single.expect("room");
        let refused = noisy.iter().filter(|one| one.is_err()).count();
        assert_eq!(refused, 1);
    }

    #[tokio::test]
    async fn streams_have_a_place_from_their_first_batch_on() {
        let admission = Admission::new(1);
        let silent: Vec<_> = (0..MAX_SILENT)
            .map_while(|_| admission.stream().ok())
            .collect();
        assert_eq!(silent.len(), MAX_SILENT);
        assert!(admission.stream().is_err());
        let send = |mut stream: OpenStream, n| stream.sends(tenant(n)).map(|()| stream);
        let mut silent = silent.into_iter();
        let noisy: Vec<_> = silent.by_ref().take(100).map(|it| send(it, 1)).collect();
        let noisy: Vec<_> = noisy.into_iter().flatten().collect();
        assert_eq!(noisy.len(), MAX_STREAMS / 2);
        for n in 2..12 {
            let mut other = send(silent.next().expect("more"), n).expect("a place");
            other.sends(tenant(1)).expect("the one that it has");
            drop(other);
        }
        drop((silent, noisy));
        assert_eq!(admission.streams.count(), 0);
        assert_eq!(admission.silent.available_permits(), MAX_SILENT);
    }

    #[tokio::test]
    async fn who_leaves_keeps_nothing() {
        let admission = Admission::new(1);
        let held = admission.ask(None, 1).await.expect("room");
        for n in 0..10 {
            let left = admission.wait(tenant(n), 1);
            tokio::pin!(left);
            assert!(poll!(&mut left).is_pending());
        }
        drop(held);
        admission.ask(None, 1).await.expect("room");
        assert_eq!(admission.room().free, 1);
    }
}
