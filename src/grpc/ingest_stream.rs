//! StreamAuditBatches: several batches in flight, an answer each.
//!
//! Nothing runs here but what the caller's connection polls: a caller that does not read its
//! answers is not read from either, and one that leaves takes the stream with it. A batch
//! that was begun then ends by itself (`App::detached`), whole.

use super::{
    Handler,
    convert::Fields,
    deadline::{Deadline, LONGEST},
    inbox::Arrived,
    status::{batch_error, deadline_exceeded, denied, from_transport, invalid, stopping},
};
use crate::{
    access::{Caller, Denied, Standing},
    app::FieldError,
    pb::{
        StreamAuditBatchesRequest, StreamAuditBatchesResponse,
        stream_audit_batches_response::Result as Outcome,
    },
};
use futures_util::{
    Stream,
    future::BoxFuture,
    stream::{self, BoxStream, FuturesUnordered, StreamExt as _},
};
use tonic::Status;

/// Batches of one stream that are worked on at a time: they bound its memory.
const IN_FLIGHT: usize = 4;

const SEND_THE_REST: &str = "what it had read is answered: open a new stream and send the rest";

pub(super) type Answers = BoxStream<'static, Result<StreamAuditBatchesResponse, Status>>;

/// Answers batches as they are done, until the caller closes its side, an error of the
/// connection, the caller's deadline, the stop of the server, or the end of what its caller may;
/// what was read is answered in any case, but behind a deadline, where nobody waits for what is
/// not done.
pub(super) fn answers(
    handler: Handler,
    caller: Caller,
    batches: impl Stream<Item = Result<Arrived<StreamAuditBatchesRequest>, Status>>
    + Send
    + Unpin
    + 'static,
    deadline: Deadline,
) -> Answers {
    let standing = Standing::new(caller.clone(), Vec::new());
    let dialogue = Dialogue {
        handler,
        caller,
        lost: Box::pin(async move { standing.lost().await }),
        batches,
        in_flight: FuturesUnordered::new(),
        deadline: Box::pin(deadline.passed()),
        end: None,
    };
    stream::unfold(dialogue, |mut dialogue| async move {
        let answer = dialogue.next().await?;
        Some((answer, dialogue))
    })
    .boxed()
}

struct Dialogue<B> {
    handler: Handler,
    caller: Caller,
    /// Ends when the caller may no longer send batches.
    lost: BoxFuture<'static, Denied>,
    batches: B,
    in_flight: FuturesUnordered<BoxFuture<'static, StreamAuditBatchesResponse>>,
    deadline: BoxFuture<'static, ()>,
    /// Nothing more is read, and how the stream ends.
    end: Option<Result<(), Status>>,
}

impl<B> Dialogue<B>
where
    B: Stream<Item = Result<Arrived<StreamAuditBatchesRequest>, Status>> + Unpin,
{
    async fn next(&mut self) -> Option<Result<StreamAuditBatchesResponse, Status>> {
        loop {
            let reading = self.end.is_none() && self.in_flight.len() < IN_FLIGHT;
            tokio::select! {
                biased;
                Some(answer) = self.in_flight.next() => return Some(Ok(answer)),
                () = &mut self.deadline, if !self.is_late() => {
                    // what was begun is written all the same
                    self.in_flight.clear();
                    self.end = Some(Err(deadline_exceeded()));
                }
                () = self.handler.stopping.cancelled(), if self.end.is_none() => {
                    self.end = Some(Err(stopping(SEND_THE_REST)));
                }
                lost = &mut self.lost, if self.end.is_none() => {
                    self.end = Some(Err(denied(&lost)));
                }
                message = self.batches.next(), if reading => match message {
                    Some(Ok(arrived)) => {
                        let (handler, caller) = (self.handler.clone(), self.caller.again());
                        self.in_flight.push(Box::pin(answer(handler, caller, arrived)));
                    }
                    Some(Err(status)) => {
                        self.end = Some(Err(from_transport(&status).unwrap_or(status)));
                    }
                    None => self.end = Some(Ok(())),
                },
                else => return self.last_word().map(Err),
            }
        }
    }

    /// The deadline has passed, or does not matter any more.
    fn is_late(&self) -> bool {
        self.end.is_some() && self.in_flight.is_empty()
    }

    /// The error that the stream ends with, once.
    fn last_word(&mut self) -> Option<Status> {
        self.end.replace(Ok(()))?.err()
    }
}

async fn answer(
    handler: Handler,
    caller: Result<Caller, Denied>,
    Arrived { message, admitted }: Arrived<StreamAuditBatchesRequest>,
) -> StreamAuditBatchesResponse {
    let done = async {
        // its grant may be another one by now than when the stream began
        let fields = Fields::of(caller.map_err(|lost| denied(&lost))?);
        match message.batch {
            Some(batch) => handler.ingest(fields, batch, admitted).await,
            None => Err(invalid(&[FieldError {
                field: "batch".into(),
                why: "is required".into(),
            }])),
        }
    };
    let done = tokio::time::timeout(LONGEST, done).await;
    StreamAuditBatchesResponse {
        sequence: message.sequence,
        result: Some(match done.unwrap_or_else(|_| Err(deadline_exceeded())) {
            Ok(response) => Outcome::Response(response),
            Err(status) => Outcome::Error(batch_error(&status)),
        }),
    }
}
