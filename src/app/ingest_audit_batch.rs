//! IngestAuditBatch: audit records in, attributions changed.

pub use super::prepared::MAX_RECORDS;
use super::{
    App, Error, Result,
    prepared::{Prepared, prepare},
    quarantine::quarantine,
    receipt::Label,
};
use crate::{
    domain::{BatchId, Evidence, Receipt, Tenant, TenantId},
    store::retrying,
};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Batch {
    pub tenant: TenantId,
    /// As Microsoft returned it.
    pub content: Bytes,
    /// Already cut into records.
    pub records: Vec<Bytes>,
    /// Read and count, store nothing.
    pub validate_only: bool,
    /// The caller's name for this batch: a batch with a known one is answered as the first.
    pub request_id: Option<String>,
    /// Who sends it. May be empty.
    pub source: String,
}

/// What a batch was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// `None` with `validate_only`, of which nothing is stored.
    pub batch_id: Option<BatchId>,
    /// The request id was known: this is the answer it got then, and nothing was stored.
    pub replayed: bool,
    pub receipt: Receipt,
}

impl App {
    pub async fn ingest_audit_batch(&self, batch: Batch) -> Result<Ingested> {
        let (tenant, validate_only) = (batch.tenant, batch.validate_only);
        let secret = Arc::clone(self.secret().await?);
        let batch = Arc::new(batch);
        let label = Label::of(&batch, &secret).await?;
        if let Some(earlier) = self.answered(tenant, &label).await? {
            return Ok(earlier);
        }
        // decoding is work for a processor, not for a task that others wait behind
        let prepared = tokio::task::spawn_blocking(move || prepare(&batch, &secret))
            .await
            .map_err(|failed| Error::bug(&failed))??;
        if validate_only {
            return self.validate(tenant, prepared).await;
        }
        retrying(|| self.ingest_once(tenant, &prepared, &label)).await
    }

    /// The transaction: lock and consent, merge, quarantine, receipt, commit.
    async fn ingest_once(
        &self,
        id: TenantId,
        prepared: &Prepared,
        label: &Label,
    ) -> Result<Ingested> {
        let mut tx = self.begin(id).await?;
        check_consent(tx.tenant())?;
        if let Some(earlier) = label.answered(&mut *tx).await? {
            return Ok(earlier);
        }
        let mut merged = self.merge(&mut *tx, prepared).await?;
        merged.receipt.quarantined_without_copy =
            quarantine(&mut *tx, &prepared.quarantined).await?;
        let batch = label.batch(merged.receipt.clone());
        tx.put_audit_batches(std::slice::from_ref(&batch)).await?;
        self.finish(tx, merged).await?;
        Ok(Ingested {
            batch_id: Some(batch.id),
            replayed: false,
            receipt: batch.receipt,
        })
    }

    async fn validate(&self, id: TenantId, prepared: Prepared) -> Result<Ingested> {
        let tenant = self.tenant(id).await?;
        check_consent(&tenant)?;
        let mut receipt = prepared.receipt;
        let admin_new = prepared.admin_changes.len() as u64;
        receipt.kept += admin_new;
        receipt.repeated += prepared.admin_records - admin_new;
        for (_, events) in prepared.events.into_values() {
            let added = Evidence::default().add(events);
            receipt.kept += added.new;
            receipt.repeated += added.repeated;
        }
        receipt.revision = tenant.revision;
        Ok(Ingested {
            batch_id: None,
            replayed: false,
            receipt,
        })
    }
}

pub(super) fn check_consent(tenant: &Tenant) -> Result<()> {
    match tenant.revoked_at {
        Some(revoked_at) => Err(Error::ConsentRevoked { revoked_at }),
        None => Ok(()),
    }
}
