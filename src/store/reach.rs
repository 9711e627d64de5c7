//! Whether the database is reached, known without asking for each call.
//!
//! A pool that cannot connect tries on until its time is up, and so does each caller: every call
//! takes seconds to fail, and a database that comes back is met by all of them at once. So one
//! task asks, on a connection of its own, a few times a second. While it gets no answer the
//! pools connect to nowhere, which fails at once.

use super::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(super) struct Reach {
    down: Arc<Down>,
    keeper: AbortHandle,
}

/// Why it is not reached. `None`: it is, or nobody knows yet.
#[derive(Debug, Default)]
pub(super) struct Down(Mutex<Option<StoreError>>);

impl Reach {
    /// `keep` runs for ever, and says what it finds.
    pub(super) fn new<F>(keep: impl FnOnce(Arc<Down>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let down = Arc::<Down>::default();
        let keeper = tokio::spawn(keep(Arc::clone(&down))).abort_handle();
        Self { down, keeper }
    }

    pub(super) fn down(&self) -> Option<StoreError> {
        self.down.cause().clone()
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Down {
    /// `true`: that is news.
    pub(super) fn lost(&self, cause: StoreError) -> bool {
        self.cause().replace(cause).is_none()
    }

    /// `true`: that is news.
    pub(super) fn found(&self) -> bool {
        self.cause().take().is_some()
    }

    fn cause(&self) -> MutexGuard<'_, Option<StoreError>> {
        // nothing in here can leave it half-changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
