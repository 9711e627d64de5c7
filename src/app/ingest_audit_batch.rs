//! IngestAuditBatch: audit records in, attributions changed.

pub use super::prepared::MAX_RECORDS;
use super::{
    App, Error, Result,
    admission::Admitted,
    outdated::without_outdated,
    prepared::{Prepared, prepare},
    receipt::Label,
    rounds::Ready,
};
use crate::{
    domain::{
        AuditBatch, BatchId, Evidence, MessageKey, Receipt, Revision, Tenant, TenantId, Window,
    },
    telemetry::meters,
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
    /// The period that it completes.
    pub window: Option<Window>,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.content.len() + self.records.iter().map(Bytes::len).sum::<usize>()
    }
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

impl Ingested {
    pub(super) fn of(batch: AuditBatch) -> Self {
        Self {
            batch_id: Some(batch.id),
            replayed: false,
            receipt: batch.receipt,
        }
    }
}

impl App {
    pub async fn ingest_audit_batch(self: &Arc<Self>, batch: Batch) -> Result<Ingested> {
        self.ingest_admitted(batch, None).await
    }

    /// The same of a batch that has room, which is free when it is written; most of it as soon
    /// as the batch is decoded.
    pub async fn ingest_admitted(
        self: &Arc<Self>,
        batch: Batch,
        mut room: Option<Admitted>,
    ) -> Result<Ingested> {
        let (tenant, validate_only) = (batch.tenant, batch.validate_only);
        meters().ingest.bytes.increment(batch.bytes() as u64);
        let secret = Arc::clone(self.secret().await?);
        let (batch, label) = match batch.request_id {
            None => {
                let label = Label::of(&batch, &secret);
                (batch, label)
            }
            // all of it has to be read
            Some(_) => {
                let secret = Arc::clone(&secret);
                let label = move || {
                    let label = Label::of(&batch, &secret);
                    (batch, label)
                };
                self.decoding(label).await?
            }
        };
        let earlier = self.answered(tenant, &label).await?;
        if let Some(earlier) = earlier.as_ref().filter(|_| !self.cache.is_shared()) {
            meters().ingest.replayed.increment(1);
            return Ok(earlier.clone());
        }
        let prepared = self.decoding(move || prepare(&batch, &secret)).await??;
        if let Some(earlier) = earlier {
            let keys: Vec<MessageKey> = prepared.events.keys().copied().collect();
            self.cache_again(tenant, &keys).await?;
            meters().ingest.replayed.increment(1);
            return Ok(earlier);
        }
        if validate_only {
            return self.validate(tenant, prepared).await;
        }
        if let Some(room) = &mut room {
            room.keep(prepared.size());
        }
        let prepared = Arc::new(prepared);
        self.write(tenant, Ready { prepared, label }).await
    }

    async fn validate(&self, id: TenantId, prepared: Prepared) -> Result<Ingested> {
        let tenant = self.tenant(id, Revision::default()).await?;
        check_consent(&tenant)?;
        let mut receipts = [prepared.receipt.clone()];
        let kept = without_outdated(&tenant, vec![Arc::new(prepared)], &mut receipts);
        let [mut receipt] = receipts;
        let Some(prepared) = kept.into_iter().next() else {
            return Err(Error::Bug("a batch was lost".into()));
        };
        let admin_new = prepared.admin_changes.len() as u64;
        receipt.kept += admin_new;
        receipt.repeated += prepared.admin_records - admin_new;
        for (_, events) in prepared.events.values() {
            let added = Evidence::default().add(events.iter().map(Arc::clone));
            receipt.kept += added.new;
            receipt.repeated += added.repeated;
        }
        receipt.revision = tenant.revision;
        meters().ingest.validated.increment(1);
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
