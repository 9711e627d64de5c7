//! What a batch leaves behind: its receipt, and with a request id the answer for its repeats.

use super::{
    App, Error, Result,
    ingest_audit_batch::{Batch, Ingested, check_consent},
    now,
    secret::Secret,
};
use crate::{
    domain::{AuditBatch, BatchId, Receipt, TenantId, audit_batch::Request},
    store::Tx,
};
use std::{iter, sync::Arc};
use uuid::Uuid;

/// Under which name a batch is stored.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) id: BatchId,
    request: Option<Request>,
    source: String,
}

impl Label {
    /// Reads all of the batch where it has a request id.
    pub(super) async fn of(batch: &Arc<Batch>, secret: &Arc<Secret>) -> Result<Self> {
        // nothing of it is stored, so it is no repeat and has none
        let id = batch.request_id.clone().filter(|_| !batch.validate_only);
        let Some(id) = id else {
            return Ok(Self {
                id: BatchId(Uuid::new_v4()),
                request: None,
                source: batch.source.clone(),
            });
        };
        let (whole, secret) = (Arc::clone(batch), Arc::clone(secret));
        let content_digest = tokio::task::spawn_blocking(move || content_digest(&whole, &secret))
            .await
            .map_err(|failed| Error::bug(&failed))?;
        Ok(Self {
            id: BatchId::of_request(&id),
            request: Some(Request { id, content_digest }),
            source: batch.source.clone(),
        })
    }

    pub(super) fn batch(&self, receipt: Receipt) -> AuditBatch {
        AuditBatch {
            id: self.id,
            request: self.request.clone(),
            source: self.source.clone(),
            received_at: now(),
            receipt,
        }
    }

    /// The earlier answer of a batch with this request id, under the tenant's lock.
    pub(super) async fn answered(&self, tx: &mut dyn Tx) -> Result<Option<Ingested>> {
        if self.request.is_none() {
            return Ok(None);
        }
        let stored = tx.audit_batch(self.id).await?;
        stored.map(|stored| self.replay(stored)).transpose()
    }

    fn replay(&self, stored: AuditBatch) -> Result<Ingested> {
        if stored.request == self.request {
            Ok(Ingested {
                batch_id: Some(stored.id),
                replayed: true,
                receipt: stored.receipt,
            })
        } else {
            Err(Error::RequestIdReused {
                batch: stored.id,
                received_at: stored.received_at,
            })
        }
    }
}

impl App {
    /// The same before anything is decoded. Not the last word: another process may store
    /// it at this moment.
    pub(super) async fn answered(
        &self,
        tenant: TenantId,
        label: &Label,
    ) -> Result<Option<Ingested>> {
        if label.request.is_none() {
            return Ok(None);
        }
        check_consent(&self.tenant(tenant).await?)?;
        let stored = self.store.audit_batch(tenant, label.id).await?;
        stored.map(|stored| label.replay(stored)).transpose()
    }
}

/// All that the caller sent, but for who sent it.
fn content_digest(batch: &Batch, secret: &Secret) -> Uuid {
    let content = iter::once(&batch.content).chain(&batch.records);
    secret.content_digest(content.map(|bytes| &bytes[..]))
}
