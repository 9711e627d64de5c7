//! ListAuditBatches: did my batch arrive?

use super::{
    App, Result,
    page::{Behind, cut, cut_by_size},
    secret::Query,
};
use crate::{
    domain::{AuditBatch, BatchId, Revision, TenantId},
    store::{BatchFilter, ReceivedPosition},
};

impl App {
    /// A page of receipts, from new to old, and the token of the next one (empty: this was
    /// the last). `request_id` names one batch.
    pub async fn list_audit_batches(
        &self,
        tenant: TenantId,
        revision: Revision,
        request_id: Option<&str>,
        filter: &BatchFilter,
        page_size: u32,
        token: &str,
    ) -> Result<(Vec<AuditBatch>, String)> {
        let generation = self.tenant(tenant, revision).await?.generation;
        let query = Query::new(
            "ListAuditBatches",
            &[
                tenant.0.as_bytes(),
                &generation.0.to_le_bytes(),
                &filter.received.start.micros().to_le_bytes(),
                &filter.received.end.micros().to_le_bytes(),
                request_id.unwrap_or_default().as_bytes(),
                filter.source.as_deref().unwrap_or_default().as_bytes(),
            ],
        );
        let after = self.open(&query, token).await?;
        if let Some(request_id) = request_id {
            let id = BatchId::of_request(request_id);
            let found = self.store.audit_batch(tenant, id).await?;
            let found = found.filter(|batch| is_in(filter, batch));
            return Ok((found.into_iter().collect(), String::new()));
        }
        let rows = self
            .store
            .audit_batches(tenant, filter, after, page_size + 1)
            .await?;
        let (batches, more) = cut(rows, page_size);
        let (batches, more) = cut_by_size(batches, more, size);
        let next = self.seal(&query, batches.last().filter(|_| more)).await?;
        Ok((batches, next))
    }
}

impl Behind for AuditBatch {
    fn position(&self) -> ReceivedPosition {
        ReceivedPosition {
            received_at: self.received_at,
            id: self.id.0,
        }
    }
}

fn is_in(filter: &BatchFilter, batch: &AuditBatch) -> bool {
    let received = filter.received.start..filter.received.end;
    let source = filter.source.as_ref();
    received.contains(&batch.received_at) && source.is_none_or(|source| *source == batch.source)
}

/// Bytes of a receipt as it is answered, or a little more.
fn size(batch: &AuditBatch) -> usize {
    const NUMBERS: usize = 32;
    let receipt = &batch.receipt;
    let problems = receipt.problems.iter().map(|problem| problem.detail.len());
    let operations = receipt.ignored_operations.keys().map(String::len);
    let texts = problems.chain(operations).chain([
        batch.source.len(),
        batch.request.as_ref().map_or(0, |request| request.id.len()),
    ]);
    10 * NUMBERS + texts.map(|length| length + NUMBERS).sum::<usize>()
}
