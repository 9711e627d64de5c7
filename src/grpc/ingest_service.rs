//! IngestService.

use super::{
    Handler,
    convert::{Fields, caller, revision, timestamp},
    coverage_service,
    deadline::Deadline,
    inbox::Inbox,
    ingest_stream::{self, Answers},
    quarantine, send_event,
};
use crate::{
    app::{
        admission::Admitted,
        expire::receipt_expires,
        ingest_audit_batch::{Batch, Ingested},
        retry_quarantined_records::Retry,
    },
    domain::{AuditBatch, Receipt},
    pb::{self, StreamAuditBatchesRequest, ingest_service_server::IngestService},
    store::BatchFilter,
};
use futures_util::StreamExt as _;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// Characters of a request id and of a source.
const MAX_REQUEST_ID: usize = 128;
const MAX_SOURCE: usize = 100;

#[async_trait]
impl IngestService for Handler {
    async fn ingest_audit_batch(
        &self,
        request: Request<pb::IngestAuditBatchRequest>,
    ) -> Result<Response<pb::IngestAuditBatchResponse>, Status> {
        let arrived = Inbox::of(&request).take()?;
        let (fields, _) = Fields::open(request);
        let answer = self.ingest(fields, arrived.message, arrived.admitted);
        let answer = answer.await?;
        Ok(Response::new(answer))
    }

    type StreamAuditBatchesStream = Answers;

    async fn stream_audit_batches(
        &self,
        request: Request<Streaming<pb::StreamAuditBatchesRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (inbox, caller) = (Inbox::of(&request), caller(&request));
        let deadline = Deadline::of_request(&request);
        let batches = request.into_inner().map(move |seen| {
            let StreamAuditBatchesRequest { .. } = seen?;
            inbox.take()
        });
        Ok(Response::new(ingest_stream::answers(
            self.clone(),
            caller,
            batches,
            deadline,
        )))
    }

    async fn list_audit_batches(
        &self,
        request: Request<pb::ListAuditBatchesRequest>,
    ) -> Result<Response<pb::ListAuditBatchesResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let request_id = fields.label("request_id", &request.request_id, MAX_REQUEST_ID);
        let filter = BatchFilter {
            received: fields.open_range(request.start, request.end),
            source: fields.label("source", &request.source, MAX_SOURCE),
        };
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let (batches, next_page_token) = self
            .run(move |app| async move {
                let (request_id, token) = (request_id.as_deref(), &request.page_token);
                let at_least = revision(request.at_least_revision);
                app.list_audit_batches(tenant, at_least, request_id, &filter, page_size, token)
                    .await
            })
            .await?;
        Ok(Response::new(pb::ListAuditBatchesResponse {
            batches: batches.into_iter().map(pb_batch).collect(),
            next_page_token,
        }))
    }

    async fn list_quarantined_records(
        &self,
        request: Request<pb::ListQuarantinedRecordsRequest>,
    ) -> Result<Response<pb::ListQuarantinedRecordsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let reason = quarantine::reason_filter(&mut fields, request.reason);
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let page = self
            .run(move |app| async move {
                let (content, token) = (request.include_content, &request.page_token);
                let at_least = revision(request.at_least_revision);
                app.list_quarantined_records(tenant, at_least, reason, content, page_size, token)
                    .await
            })
            .await?;
        Ok(Response::new(pb::ListQuarantinedRecordsResponse {
            records: page.records.into_iter().map(quarantine::record).collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn retry_quarantined_records(
        &self,
        request: Request<pb::RetryQuarantinedRecordsRequest>,
    ) -> Result<Response<pb::RetryQuarantinedRecordsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let retry = Retry {
            digests: quarantine::digests(&mut fields, &request.digests),
            reason: quarantine::reason_filter(&mut fields, request.reason),
        };
        fields.check()?;
        let retried = self
            .run(move |app| async move { app.retry_quarantined_records(tenant, &retry).await })
            .await?;
        Ok(Response::new(quarantine::retried(retried)))
    }
}

impl Handler {
    /// One batch, by whichever method it came. Its room is free again when it is written, also
    /// if the caller does not wait for that.
    pub(super) async fn ingest(
        &self,
        fields: Fields,
        request: pb::IngestAuditBatchRequest,
        admitted: Admitted,
    ) -> Result<pb::IngestAuditBatchResponse, Status> {
        let batch = batch(fields, request)?;
        let ingested = self
            .run(|app| async move { app.ingest_admitted(batch, Some(admitted)).await })
            .await?;
        Ok(pb_ingested(ingested))
    }
}

fn batch(mut fields: Fields, request: pb::IngestAuditBatchRequest) -> Result<Batch, Status> {
    let tenant = fields.tenant_id(&request.tenant_id);
    let request_id = fields.label("request_id", &request.request_id, MAX_REQUEST_ID);
    let source = fields.label("source", &request.source, MAX_SOURCE);
    let window = coverage_service::window(&mut fields, request.window);
    fields.check()?;
    // one decoder judges both, and the quarantine keeps what a retry can read
    let mut records = request.records;
    records.extend(request.events.iter().map(send_event::record));
    Ok(Batch {
        tenant,
        content: request.content,
        records,
        validate_only: request.validate_only,
        request_id,
        source: source.unwrap_or_default(),
        window,
    })
}

fn pb_batch(batch: AuditBatch) -> pb::AuditBatch {
    let ingested = Ingested {
        batch_id: Some(batch.id),
        replayed: false,
        receipt: batch.receipt,
    };
    pb::AuditBatch {
        request_id: batch.request.map(|request| request.id).unwrap_or_default(),
        source: batch.source,
        received_at: Some(timestamp(batch.received_at)),
        expires_at: Some(timestamp(receipt_expires(batch.received_at))),
        response: Some(pb_ingested(ingested)),
    }
}

fn pb_ingested(ingested: Ingested) -> pb::IngestAuditBatchResponse {
    let receipt: Receipt = ingested.receipt;
    pb::IngestAuditBatchResponse {
        problems_omitted: receipt.problems_omitted(),
        counts: Some(pb::Counts {
            received: receipt.received,
            kept: receipt.kept,
            repeated: receipt.repeated,
            ignored: receipt.ignored,
            quarantined: receipt.quarantined,
        }),
        ignored_operations: receipt.ignored_operations.into_iter().collect(),
        problems: receipt
            .problems
            .into_iter()
            .map(|problem| pb::RecordProblem {
                index: problem.index,
                reason: quarantine::reason(problem.reason).into(),
                detail: problem.detail,
            })
            .collect(),
        revision: receipt.revision.0,
        changed_messages: receipt.changed_messages,
        batch_id: ingested
            .batch_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        replayed: ingested.replayed,
        quarantined_without_copy: receipt.quarantined_without_copy,
    }
}
