//! Batches → the service, on one stream, a few at a time.
//!
//! Every batch has a request id of this run: one that is sent again because its answer was
//! lost gets the answer of the first time, so the summary stays exact. The ids are not made
//! of the content, although another run could then be answered without decoding: an import
//! makes sure that its records are in the store as it is now, and a receipt only says that
//! they once were.

use super::{
    super::{
        client::{Api, BackOff},
        status::Refused,
    },
    batches::{Batch, Piece},
    input::Input,
    progress::Progress,
    summary::Summary,
};
use crate::{
    domain::TenantId,
    pb::{
        IngestAuditBatchRequest, StreamAuditBatchesRequest, StreamAuditBatchesResponse,
        stream_audit_batches_response::Result as Outcome,
    },
};
use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};
use tokio::{
    signal,
    sync::mpsc::{self, Receiver},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use uuid::Uuid;

/// What the server works on at a time; few enough that memory stays small.
const IN_FLIGHT: usize = 4;
/// How long a stream may take to open.
const OPENING: Duration = Duration::from_secs(10);
/// How long a server that owes an answer may be silent. It gives itself 60 s for a batch.
const SILENCE: Duration = Duration::from_secs(90);

/// Sends all pieces. A refusal of one batch ends it: the next would fail alike.
pub(super) async fn all(
    api: &Api,
    tenant: TenantId,
    inputs: &[Input],
    pieces: Receiver<Piece>,
    back_off: BackOff,
) -> Summary {
    let mut import = Import {
        tenant,
        inputs,
        run: Uuid::new_v4(),
        pieces,
        reading: true,
        interrupted: Box::pin(interrupted()),
        stopped: false,
        unanswered: BTreeMap::new(),
        next: 1,
        back_off,
        progress: Progress::new(inputs),
        summary: Summary::new(tenant, inputs),
    };
    while let Err(broken) = import.on_one_stream(api).await {
        if !import.back_off.wait_after(&broken).await {
            import.give_up(&broken);
            break;
        }
    }
    import.progress.finish();
    import.summary.close(import.stopped);
    import.summary
}

struct Import<'a> {
    tenant: TenantId,
    inputs: &'a [Input],
    /// Part of the request ids.
    run: Uuid,
    pieces: Receiver<Piece>,
    reading: bool,
    interrupted: Pin<Box<dyn Future<Output = ()> + Send>>,
    stopped: bool,
    /// By their sequence on every stream.
    unanswered: BTreeMap<u64, Batch>,
    next: u64,
    back_off: BackOff,
    progress: Progress,
    summary: Summary,
}

struct Line {
    batches: mpsc::Sender<StreamAuditBatchesRequest>,
    answers: Streaming<StreamAuditBatchesResponse>,
}

impl Import<'_> {
    /// Sends what is unanswered again, then the rest, until all is answered. An error says
    /// that this stream is of no more use.
    async fn on_one_stream(&mut self, api: &Api) -> Result<(), Refused> {
        let mut line = Line::open(api).await?;
        for (&sequence, batch) in &self.unanswered {
            line.send(self.message(sequence, batch));
        }
        while self.reading || !self.unanswered.is_empty() {
            let room = self.unanswered.len() < IN_FLIGHT;
            tokio::select! {
                answer = line.answers.message() => match answer.map_err(Refused)? {
                    Some(answer) => self.answered(answer)?,
                    None => return Err(Refused(Status::unavailable("the server ended the stream"))),
                },
                piece = self.pieces.recv(), if self.reading && room => match piece {
                    Some(Piece::Batch(batch)) => {
                        line.send(self.message(self.next, &batch));
                        self.unanswered.insert(self.next, batch);
                        self.next += 1;
                    }
                    Some(Piece::End { file, records, problem }) => {
                        if let Some(problem) = self.summary.ended(file, records, problem) {
                            self.progress.say(&problem);
                        }
                    }
                    None => self.reading = false,
                },
                () = &mut self.interrupted, if self.reading => {
                    self.stopped = true;
                    self.stop_reading();
                    let line = "interrupted: waiting for what is in flight (again: end at once)";
                    self.progress.say(line);
                }
                () = tokio::time::sleep(SILENCE), if !self.unanswered.is_empty() => {
                    return Err(Refused(Status::deadline_exceeded("the server is silent")));
                }
            }
        }
        Ok(())
    }

    /// An error that may pass is one of the stream: the others of this moment fail alike.
    fn answered(&mut self, answer: StreamAuditBatchesResponse) -> Result<(), Refused> {
        let refused = match answer.result {
            Some(Outcome::Response(response)) => {
                self.back_off.reset();
                if let Some(batch) = self.unanswered.remove(&answer.sequence) {
                    let records = batch.records.len() as u64;
                    self.progress.advance(batch.progress, records);
                    self.summary.stored(&batch, &response);
                }
                return Ok(());
            }
            Some(Outcome::Error(error)) => Refused::of_batch(error),
            None => Refused(Status::unknown("an answer of a kind that is not known")),
        };
        if refused.retry_after().is_some() {
            return Err(refused);
        }
        if let Some(batch) = self.unanswered.remove(&answer.sequence) {
            self.summary.refused(&batch, &refused);
        }
        self.stop_reading();
        Ok(())
    }

    fn give_up(&mut self, refused: &Refused) {
        self.stop_reading();
        if self.unanswered.is_empty() {
            self.summary.failed(refused);
        }
        for batch in self.unanswered.values() {
            self.summary.refused(batch, refused);
        }
    }

    fn stop_reading(&mut self) {
        self.reading = false;
        self.pieces.close();
    }

    fn message(&self, sequence: u64, batch: &Batch) -> StreamAuditBatchesRequest {
        StreamAuditBatchesRequest {
            sequence,
            batch: Some(IngestAuditBatchRequest {
                tenant_id: self.tenant.to_string(),
                records: batch.records.clone(),
                request_id: format!("import {} {sequence}", self.run),
                source: self.inputs[batch.file].source(),
                ..Default::default()
            }),
        }
    }
}

impl Line {
    async fn open(api: &Api) -> Result<Self, Refused> {
        // as many as can be unanswered, so that sending never waits
        let (batches, messages) = mpsc::channel(IN_FLIGHT);
        let mut service = api.ingest();
        let opening = service.stream_audit_batches(ReceiverStream::new(messages));
        let opened = tokio::time::timeout(OPENING, opening).await;
        let opened =
            opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("the server does not answer")));
        Ok(Self {
            batches,
            answers: opened.map_err(Refused)?.into_inner(),
        })
    }

    /// A broken stream is told where the answers come from.
    fn send(&self, message: StreamAuditBatchesRequest) {
        let _ = self.batches.try_send(message);
    }
}

/// Resolves at the first SIGINT; the second ends the process.
async fn interrupted() {
    if signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    tokio::spawn(async {
        let _ = signal::ctrl_c().await;
        // as the shell reports a process that SIGINT ended
        std::process::exit(130);
    });
}
