//! Connections that stay with the lookups while these follow each other closely.
//!
//! A pool asks a connection whether it lives when it is taken and when it is returned: two more
//! round trips, each as long as the query.

use sqlx::{Database, Pool, pool::PoolConnection};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Connections that are held at most.
const MOST: usize = 4;
/// One that was not used for so long goes back to the pool, which asks it.
const TRUSTED: Duration = Duration::from_secs(1);

pub(super) struct Held<E: Database> {
    pool: Pool<E>,
    held: Mutex<Vec<(PoolConnection<E>, Instant)>>,
}

impl<E: Database> Held<E> {
    pub(super) fn new(pool: Pool<E>) -> Self {
        let held = Mutex::default();
        Self { pool, held }
    }

    /// One that was just used, else one of the pool. It is gone unless it is kept again.
    pub(super) async fn take(&self) -> Result<PoolConnection<E>, sqlx::Error> {
        let last = self.held().pop();
        match last.filter(|(_, used)| used.elapsed() < TRUSTED) {
            Some((connection, _)) => Ok(connection),
            None => self.pool.acquire().await,
        }
    }

    pub(super) fn keep(&self, connection: PoolConnection<E>) {
        let mut held = self.held();
        if held.len() < MOST {
            held.push((connection, Instant::now()));
        }
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
