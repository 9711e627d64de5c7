//! IngestService.

use super::{
    Handler,
    convert::{Fields, pb_quarantine_reason},
};
use crate::{
    app::ingest_audit_batch::{Batch, Receipt},
    pb::{self, ingest_service_server::IngestService},
};
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl IngestService for Handler {
    async fn ingest_audit_batch(
        &self,
        request: Request<pb::IngestAuditBatchRequest>,
    ) -> Result<Response<pb::IngestAuditBatchResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let tenant = fields.tenant_id(&request.tenant_id);
        fields.check()?;
        let batch = Batch {
            tenant,
            content: request.content,
            records: request.records,
            validate_only: request.validate_only,
        };
        let receipt = self
            .run(|app| async move { app.ingest_audit_batch(batch).await })
            .await?;
        Ok(Response::new(pb_receipt(receipt)))
    }
}

fn pb_receipt(receipt: Receipt) -> pb::IngestAuditBatchResponse {
    let told = receipt.problems.len() as u64;
    pb::IngestAuditBatchResponse {
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
                reason: pb_quarantine_reason(problem.reason).into(),
                detail: problem.detail,
            })
            .collect(),
        problems_omitted: receipt.quarantined - told,
        revision: receipt.revision.0,
        changed_messages: receipt.changed_messages,
    }
}
