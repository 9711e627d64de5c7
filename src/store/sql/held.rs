//! Connections that stay with the lookups while these follow each other closely.
//!
//! A pool asks a connection whether it lives when it is taken and when it is returned: two more
//! round trips, each as long as the query.

use sqlx::{Database, Pool, pool::PoolConnection};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Connections that are used or held at most. The pool has them, so whoever has a turn finds
/// one here or gets one there.
pub(in crate::store) const MOST: u32 = 4;
/// One that was not used for so long goes back to the pool, which asks it.
const TRUSTED: Duration = Duration::from_secs(1);

pub(super) struct Held<E: Database> {
    pool: Pool<E>,
    held: Mutex<Vec<(PoolConnection<E>, Instant)>>,
    /// Callers wait here and not in the pool, to which a connection that is kept never comes back.
    turns: Arc<Semaphore>,
}

/// A connection, and the turn of whoever uses it.
pub(super) struct Lease<E: Database> {
    connection: PoolConnection<E>,
    _turn: OwnedSemaphorePermit,
}

impl<E: Database> Deref for Lease<E> {
    type Target = E::Connection;

    fn deref(&self) -> &E::Connection {
        &self.connection
    }
}

impl<E: Database> DerefMut for Lease<E> {
    fn deref_mut(&mut self) -> &mut E::Connection {
        &mut self.connection
    }
}

impl<E: Database> Held<E> {
    pub(super) fn new(pool: Pool<E>) -> Self {
        let turns = Arc::new(Semaphore::new(MOST as usize));
        Self {
            pool,
            held: Mutex::default(),
            turns,
        }
    }

    /// One that was just used, else one of the pool. It is gone unless it is kept again.
    pub(super) async fn take(&self) -> Result<Lease<E>, sqlx::Error> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = timeout(self.pool.options().get_acquire_timeout(), turn).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let last = self.held().pop();
        let connection = match last.filter(|(_, used)| used.elapsed() < TRUSTED) {
            Some((connection, _)) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(Lease {
            connection,
            _turn: turn,
        })
    }

    pub(super) fn keep(&self, lease: Lease<E>) {
        let Lease { connection, _turn } = lease;
        self.held().push((connection, Instant::now()));
    }

    /// One of them was broken: so the others may be.
    pub(super) fn distrust(&self) {
        let held = std::mem::take(&mut *self.held());
        drop(held); // the pool asks them
    }

    fn held(&self) -> MutexGuard<'_, Vec<(PoolConnection<E>, Instant)>> {
        // nothing in here can leave it half-changed
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Database> fmt::Debug for Held<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
