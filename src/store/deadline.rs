//! Until when somebody waits for what is read.
//!
//! It goes with the task, not through every signature: a use case that reads ten times has one
//! deadline. Tasks that read for several callers have none.

use std::{future::Future, time::Duration};
use tokio::time::Instant;

tokio::task_local! {
    static UNTIL: Instant;
}

/// What is read in there is read for somebody who waits until then.
pub fn until<F: Future>(until: Instant, work: F) -> impl Future<Output = F::Output> {
    UNTIL.scope(until, work)
}

/// The same for a task of its own, if whoever starts it has a deadline.
pub async fn inherited<F: Future>(deadline: Option<Instant>, work: F) -> F::Output {
    match deadline {
        Some(deadline) => until(deadline, work).await,
        None => work.await,
    }
}

pub fn deadline() -> Option<Instant> {
    UNTIL.try_with(|until| *until).ok()
}

/// Behind the deadline: who waits is told that by those who keep it, and not that the store is away.
const BEHIND: Duration = Duration::from_millis(20);

/// `longest`, or what is left until the deadline.
pub(super) fn bound(longest: Duration) -> Instant {
    let bound = Instant::now() + longest;
    deadline().map_or(bound, |until| (until + BEHIND).min(bound))
}
