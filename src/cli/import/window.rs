//! What the export covers, for those who know it.

use super::super::{
    client::{Api, answer, request},
    show,
};
use crate::{
    domain::{TenantId, Timestamp},
    pb::{IngestAuditBatchRequest, Window, WindowClock, WindowOutcome},
};

/// The line of the ledger.
const SOURCE: &str = "import";

/// Notes that all records of this time have been sent.
pub(super) async fn note(
    api: &Api,
    tenant: TenantId,
    start: Timestamp,
    end: Timestamp,
) -> anyhow::Result<()> {
    let batch = IngestAuditBatchRequest {
        tenant_id: tenant.to_string(),
        source: SOURCE.into(),
        window: Some(Window {
            start: Some(show::moment(start)),
            end: Some(show::moment(end)),
            clock: WindowClock::EventTime.into(),
            outcome: WindowOutcome::Complete.into(),
            code: String::new(),
        }),
        ..Default::default()
    };
    answer(api.ingest().ingest_audit_batch(request(batch)).await)?;
    Ok(())
}
