//! What a batch leaves behind: its receipt, and with a request id the answer for its repeats.

use super::{
    App, Error, Result,
    ingest_audit_batch::{Batch, Ingested, check_consent},
    now,
    secret::Secret,
};
use crate::{
    domain::{AuditBatch, BatchId, Receipt, Revision, TenantId, audit_batch::Request},
    store::Tx,
};
use std::{
    collections::{BTreeMap, HashMap},
    iter,
};
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
    pub(super) fn of(batch: &Batch, secret: &Secret) -> Self {
        // nothing of it is stored, so it is no repeat and has none
        let id = batch.request_id.clone().filter(|_| !batch.validate_only);
        let request = id.map(|id| Request {
            id,
            content_digest: content_digest(batch, secret),
        });
        Self {
            id: match &request {
                Some(request) => BatchId::of_request(&request.id),
                None => BatchId(Uuid::new_v4()),
            },
            request,
            source: batch.source.clone(),
        }
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

    /// The answers of those whose request id is known, by position, under the tenant's lock.
    pub(super) async fn answered(
        labels: impl Iterator<Item = &Self>,
        tx: &mut dyn Tx,
    ) -> Result<BTreeMap<usize, Result<Ingested>>> {
        let named = labels
            .enumerate()
            .filter(|(_, label)| label.request.is_some());
        let named: HashMap<BatchId, (usize, &Self)> =
            named.map(|(at, label)| (label.id, (at, label))).collect();
        if named.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ids: Vec<BatchId> = named.keys().copied().collect();
        let stored = tx.audit_batches(&ids).await?;
        let replay = |stored: AuditBatch| {
            let (at, label) = named.get(&stored.id)?;
            Some((*at, label.replay(stored)))
        };
        Ok(stored.into_iter().filter_map(replay).collect())
    }

    fn replay(&self, stored: AuditBatch) -> Result<Ingested> {
        if stored.request == self.request {
            Ok(Ingested {
                replayed: true,
                ..Ingested::of(stored)
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
        check_consent(&self.tenant(tenant, Revision::default()).await?)?;
        let stored = self.store.audit_batch(tenant, label.id).await?;
        stored.map(|stored| label.replay(stored)).transpose()
    }
}

/// All that the caller sent, but for who sent it.
fn content_digest(batch: &Batch, secret: &Secret) -> Uuid {
    let content = iter::once(&batch.content).chain(&batch.records);
    let content = secret.content_digest(content.map(|bytes| &bytes[..]));
    let Some(window) = &batch.window else {
        return content;
    };
    secret.content_digest([
        content.as_bytes(),
        &window.range.start.micros().to_le_bytes()[..],
        &window.range.end.micros().to_le_bytes(),
        window.clock.name().as_bytes(),
        window.outcome.name().as_bytes(),
        window.code.as_bytes(),
    ])
}
