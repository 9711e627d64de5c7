//! Batches → the service, a few at a time.

use super::{
    super::{
        client::{Api, answer, request},
        status::Refused,
    },
    batches::{Batch, Piece},
    input::Input,
    progress::Progress,
    summary::Summary,
};
use crate::{
    domain::TenantId,
    pb::{IngestAuditBatchRequest, IngestAuditBatchResponse},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::{future::Future, time::Duration};
use tokio::{signal, sync::mpsc::Receiver};

/// Enough that the server joins batches into one transaction; few enough that memory stays
/// small.
const IN_FLIGHT: usize = 4;
/// Waits before a batch is sent again; together they outlast a restart of the server.
const BACK_OFF: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// What a server may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

type Sent = (Batch, Result<IngestAuditBatchResponse, Refused>);

/// Sends all pieces. An error of one batch ends it: the next would fail alike.
pub(super) async fn all(
    api: &Api,
    tenant: TenantId,
    inputs: &[Input],
    mut pieces: Receiver<Piece>,
) -> Summary {
    let mut progress = Progress::new(inputs);
    let mut summary = Summary::new(inputs);
    let mut in_flight = FuturesUnordered::new();
    let (mut reading, mut stopped) = (true, false);
    let mut interrupted = std::pin::pin!(interrupted());
    loop {
        tokio::select! {
            Some(sent) = in_flight.next(), if !in_flight.is_empty() => {
                let (batch, result): Sent = sent;
                match result {
                    Ok(response) => {
                        progress.advance(batch.progress, batch.records.len() as u64);
                        summary.stored(&batch, &response);
                    }
                    Err(refused) => {
                        summary.refused(&batch, &refused);
                        reading = false;
                        pieces.close();
                    }
                }
            }
            piece = pieces.recv(), if reading && in_flight.len() < IN_FLIGHT => match piece {
                Some(Piece::Batch(batch)) => {
                    in_flight.push(ingest(api, tenant, batch, &BACK_OFF));
                }
                Some(Piece::End { file, records, problem }) => {
                    if let Some(problem) = summary.ended(file, records, problem) {
                        progress.say(&problem);
                    }
                }
                None => reading = false,
            },
            () = &mut interrupted, if reading => {
                stopped = true;
                reading = false;
                pieces.close();
                progress.say("interrupted: waiting for what is in flight (again: end at once)");
            }
            else => break,
        }
    }
    progress.finish();
    summary.close(stopped);
    summary
}

/// One batch, sent again while that may help: a repeated batch is harmless.
async fn ingest(api: &Api, tenant: TenantId, batch: Batch, back_off: &[Duration]) -> Sent {
    let send = async || {
        let message = IngestAuditBatchRequest {
            tenant_id: tenant.to_string(),
            records: batch.records.clone(),
            ..Default::default()
        };
        answer(api.ingest().ingest_audit_batch(request(message)).await)
    };
    let result = patiently(send, back_off).await;
    (batch, result)
}

pub(super) async fn patiently<T, F: Future<Output = Result<T, Refused>>>(
    send: impl Fn() -> F,
    back_off: &[Duration],
) -> Result<T, Refused> {
    for wait in back_off {
        match send().await {
            Err(refused) if let Some(told) = refused.retry_after() => {
                tokio::time::sleep(told.clamp(*wait, LONGEST_WAIT.max(*wait))).await;
            }
            result => return result,
        }
    }
    send().await
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
