//! How much of what callers send may be in memory at a time.

use crate::telemetry::meters::{meters, on_render};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a batch may wait for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// Batches that may wait so, and streams that may be open. Of each up to a megabyte has come
/// already.
const MAX_WAITING: usize = 24;
const MAX_STREAMS: usize = 32;

/// The room of the whole process for batches, in bytes as they were sent. First come, first
/// served: small batches do not keep a large one waiting for ever.
#[derive(Clone, Debug)]
pub struct Admission {
    room: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Holds room until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    room: OwnedSemaphorePermit,
}

impl Admitted {
    /// Gives back what goes beyond so many bytes.
    pub(super) fn keep(&mut self, bytes: usize) {
        let too_much = self.room.num_permits().saturating_sub(bytes);
        drop(self.room.split(too_much));
    }
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Admission {
    /// `bytes`: at least a largest batch, or that would wait in vain.
    pub fn new(bytes: usize) -> Self {
        let admission = Self {
            room: Arc::new(Semaphore::new(bytes)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        };
        let (room, waiting) = (Arc::clone(&admission.room), Arc::clone(&admission.waiting));
        on_render(move || {
            let meters = &meters().admission;
            meters.limit.set(bytes as f64);
            meters.used.set((bytes - room.available_permits()) as f64);
            let waiting = MAX_WAITING - waiting.available_permits();
            meters.waiting.set(waiting as f64);
        });
        admission
    }

    /// Waits for room, however long that takes: of a stream nothing more is read meanwhile.
    pub async fn wait(&self, bytes: u32) -> Result<Admitted, Overloaded> {
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let room = room.map_err(|_| Overloaded)?;
        Ok(Admitted { room })
    }

    /// The same with an end to it, and if not too many others wait already.
    pub async fn ask(&self, bytes: u32) -> Result<Admitted, Overloaded> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            return Ok(Admitted { room });
        }
        let _place = self.waiting.try_acquire().map_err(|_| refused())?;
        let room = timeout(PATIENCE, self.wait(bytes)).await;
        room.unwrap_or_else(|_| Err(refused()))
    }

    /// One more stream of batches.
    pub fn stream(&self) -> Result<Admitted, Overloaded> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| refused())?;
        Ok(Admitted { room: place })
    }
}

fn refused() -> Overloaded {
    meters().admission.refused.increment(1);
    Overloaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_waits_in_order() {
        let admission = Admission::new(10);
        let first = admission.ask(6).await.expect("room");
        let large = admission.ask(10);
        tokio::pin!(large);
        assert!(futures_util::poll!(&mut large).is_pending());
        // there is room for it, but another waits longer
        let small = admission.wait(1);
        tokio::pin!(small);
        assert!(futures_util::poll!(&mut small).is_pending());
        drop(first);
        drop(large.await.expect("room"));
        small.await.expect("room");
    }

    #[tokio::test]
    async fn what_is_not_kept_is_room_for_others() {
        let admission = Admission::new(10);
        let mut first = admission.ask(10).await.expect("room");
        first.keep(30);
        assert_eq!(admission.room.available_permits(), 0);
        first.keep(4);
        let second = admission.ask(6).await.expect("room");
        drop((first, second));
        assert_eq!(admission.room.available_permits(), 10);
    }

    #[tokio::test]
    async fn not_all_can_wait() {
        let admission = Admission::new(1);
        let held = admission.ask(1).await.expect("room");
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| Box::pin(admission.ask(1)))
            .collect();
        let mut waiting = futures_util::future::join_all(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(admission.ask(1).await.err(), Some(Overloaded));
        drop(held);
        waiting.await;
    }
}
