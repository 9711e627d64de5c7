//! The call that something is done for: what every line of the log tells of it. It goes with the
//! tasks that go on with its work, as the span of its trace does.

use std::{future::Future, sync::Arc};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

tokio::task_local! {
    static CALL: Option<Arc<Call>>;
}

/// What is told of a call.
#[derive(Debug)]
pub struct Call {
    pub request_id: Arc<str>,
    pub method: &'static str,
    /// If it is traced.
    pub trace_id: Option<String>,
}

/// The call that this is done for, if it is done for one.
pub fn current() -> Option<Arc<Call>> {
    CALL.try_with(Clone::clone).ok().flatten()
}

/// Does this for a call.
pub fn scope<F: Future>(call: Arc<Call>, work: F) -> impl Future<Output = F::Output> {
    CALL.scope(Some(call), work)
}

/// The same at once.
pub fn sync_scope<T>(call: &Arc<Call>, work: impl FnOnce() -> T) -> T {
    CALL.sync_scope(Some(Arc::clone(call)), work)
}

/// A task that goes on with the work of this one.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(CALL.scope(current(), work.in_current_span()))
}

/// The same for work that blocks, in a span of its own.
pub fn spawn_blocking<T: Send + 'static>(
    span: Span,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let call = current();
    tokio::task::spawn_blocking(move || CALL.sync_scope(call, || span.in_scope(work)))
}

/// For whom something was asked, so that another task can do it for them.
#[derive(Clone, Debug)]
pub struct Behalf {
    call: Option<Arc<Call>>,
    span: Span,
}

impl Behalf {
    pub fn current() -> Self {
        Self {
            call: current(),
            span: Span::current(),
        }
    }

    pub fn of_nobody() -> Self {
        Self {
            call: None,
            span: Span::none(),
        }
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CALL.scope(self.call, work.instrument(self.span))
    }
}
