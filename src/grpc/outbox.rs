//! Answers on a stream, as fast as the caller takes them.
//!
//! One waits for the caller while the next is made, and no more: a caller that does not read is
//! not read for either. Who takes nothing for long is cut off, so that it does not keep the place
//! that others may want; what it was sent, and the place to go on at, it still has.

use super::{Handler, deadline::Deadline, status};
use crate::{access::Standing, app, telemetry::call};
use futures_util::{
    future::Future,
    stream::{self, BoxStream, StreamExt as _},
};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long an answer may wait for its caller.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// Where answers come from.
pub(super) trait Source: Send + 'static {
    type Answer: Send + 'static;

    /// `None`: that was all.
    fn next(&mut self) -> impl Future<Output = app::Result<Option<Self::Answer>>> + Send;
}

/// What a stream ends by besides its source and the server.
pub(super) struct StreamEnds {
    /// Its caller may no longer do what it does.
    pub standing: Standing,
    pub deadline: Deadline,
}

/// All answers of the source until its end, its first error, the caller's deadline, the stop of
/// the server, or the end of what its caller may. `resume` tells callers how to go on.
pub(super) fn answers<S: Source>(
    handler: &Handler,
    source: S,
    ends: StreamEnds,
    resume: &'static str,
) -> Answers<S::Answer> {
    let ends = Ends {
        stopping: handler.stopping.clone(),
        of_call: ends,
        patience: PATIENCE,
        resume,
    };
    send(source, ends)
}

/// What a stream may end by, and the words of that.
struct Ends {
    stopping: CancellationToken,
    of_call: StreamEnds,
    patience: Duration,
    resume: &'static str,
}

impl Ends {
    /// Resolves with the last word to the caller.
    async fn come(&self) -> Status {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => status::stopping(self.resume),
            denied = self.of_call.standing.lost() => status::denied(&denied),
            () = self.of_call.deadline.passed() => status::deadline_exceeded(),
        }
    }
}

fn send<S: Source>(source: S, ends: Ends) -> Answers<S::Answer> {
    let (sender, receiver) = mpsc::channel(1);
    let sending = call::spawn(async move {
        let end = send_on(source, sender, &ends).await;
        end.err().flatten()
    });
    let end = stream::once(sending).filter_map(|end| async {
        let end = end.unwrap_or_else(|failed| Some(status::from_error(app::Error::bug(&failed))));
        end.map(Err)
    });
    ReceiverStream::new(receiver).map(Ok).chain(end).boxed()
}

/// An error is the last word to the caller; none, where there is nobody to hear it.
async fn send_on<S: Source>(
    mut source: S,
    sender: mpsc::Sender<S::Answer>,
    ends: &Ends,
) -> Result<(), Option<Status>> {
    let come = ends.come();
    tokio::pin!(come);
    loop {
        let answer = tokio::select! {
            biased;
            last = &mut come => return Err(Some(last)),
            () = sender.closed() => return Err(None),
            answer = source.next() => answer.map_err(status::from_error)?,
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        let place = tokio::select! {
            biased;
            last = &mut come => return Err(Some(last)),
            place = timeout(ends.patience, sender.reserve()) => place,
        };
        match place {
            Ok(Ok(place)) => place.send(answer),
            Ok(Err(_)) => return Err(None),
            Err(_) => return Err(Some(status::reader_too_slow(ends.resume))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Shown};
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    };
    use tonic::Code;

    /// 1, 2, 3 … up to the limit; how many were asked for.
    struct Counter(Arc<AtomicU32>, u32);

    impl Source for Counter {
        type Answer = u32;

        async fn next(&mut self) -> app::Result<Option<u32>> {
            if self.0.load(Relaxed) == self.1 {
                return Ok(None);
            }
            Ok(Some(self.0.fetch_add(1, Relaxed) + 1))
        }
    }

    fn of_call(deadline: Deadline) -> StreamEnds {
        let everybody = Arc::new(Access::Everybody).admit(None, Shown::default());
        StreamEnds {
            standing: Standing::new(everybody.expect("everybody"), Vec::new()),
            deadline,
        }
    }

    fn open(limit: u32, patience: u64) -> (Answers<u32>, Arc<AtomicU32>, CancellationToken) {
        let (made, stopping) = (Arc::default(), CancellationToken::new());
        let source = Counter(Arc::clone(&made), limit);
        let ends = Ends {
            stopping: stopping.clone(),
            of_call: of_call(Deadline(None)),
            patience: Duration::from_millis(patience),
            resume: "go on",
        };
        (send(source, ends), made, stopping)
    }

    #[tokio::test]
    async fn all_of_it_comes_in_order() {
        let (answers, _, _) = open(100, 10_000);
        let all: Vec<u32> = answers.map(|one| one.expect("no error")).collect().await;
        assert_eq!(all, (1..=100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_read_for_and_cut_off() {
        let (mut answers, made, _) = open(100, 50);
        assert_eq!(answers.next().await.expect("one").expect("no error"), 1);
        // in small steps: the other task has its turn between them, also where all is late
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(made.load(Relaxed) <= 4, "{made:?}");
        // what was on the way still arrives, and then the reason
        let mut last = None;
        while let Some(answer) = answers.next().await {
            assert!(last.is_none());
            last = answer.err();
        }
        let last = last.expect("cut off");
        assert_eq!(last.code(), Code::ResourceExhausted);
        assert!(last.message().ends_with("go on"), "{last}");
    }

    #[tokio::test]
    async fn a_stop_is_told_also_to_who_does_not_read() {
        let (answers, _, stopping) = open(100, 60_000);
        stopping.cancel();
        let all: Vec<Result<u32, Status>> = answers.collect().await;
        let last = all.last().expect("one").as_ref().expect_err("the stop");
        assert_eq!(last.code(), Code::Unavailable);
        assert!(all.len() < 10);
    }

    #[tokio::test]
    async fn a_deadline_is_kept_also_where_nothing_comes() {
        struct Never;
        impl Source for Never {
            type Answer = u32;

            async fn next(&mut self) -> app::Result<Option<u32>> {
                std::future::pending().await
            }
        }
        let ends = Ends {
            stopping: CancellationToken::new(),
            of_call: of_call(Deadline(Some(
                tokio::time::Instant::now() + Duration::from_millis(20),
            ))),
            patience: PATIENCE,
            resume: "go on",
        };
        let all: Vec<Result<u32, Status>> = send(Never, ends).collect().await;
        let [Err(last)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!(last.code(), Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn who_leaves_ends_it() {
        let (answers, made, _) = open(u32::MAX, 60_000);
        drop(answers);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let then = made.load(Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(made.load(Relaxed), then);
        assert!(then < 10, "{then}");
    }
}
