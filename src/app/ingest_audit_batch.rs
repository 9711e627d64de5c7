//! IngestAuditBatch: audit records in, attributions changed.

pub use super::prepared::MAX_RECORDS;
use super::{
    App, Error, Result,
    directories::note_waiting,
    now,
    prepared::{Prepared, prepare},
    reattribute::Until,
};
use crate::{
    domain::{
        AdminChange, Evidence, Message, MessageKey, QuarantineReason, Revision, Tenant, TenantId,
    },
    store::{Tx, retrying},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// What a batch teaches reaches older messages before it is acknowledged, up to this number
/// of transactions. More is rare, and goes on behind its back.
const SETTLE_AT_ONCE: Until = Until::Chunks(5);

#[derive(Clone, Debug)]
pub struct Batch {
    pub tenant: TenantId,
    /// As Microsoft returned it.
    pub content: Bytes,
    /// Already cut into records.
    pub records: Vec<Bytes>,
    /// Read and count, store nothing.
    pub validate_only: bool,
}

/// What became of a batch. `received = kept + repeated + ignored + quarantined`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub received: u64,
    pub kept: u64,
    pub repeated: u64,
    pub ignored: u64,
    pub quarantined: u64,
    pub ignored_operations: BTreeMap<String, u64>,
    pub problems: Vec<RecordProblem>,
    pub revision: Revision,
    /// Messages whose attribution is new or another one.
    pub changed_messages: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProblem {
    /// Position in the batch, from 0.
    pub index: u64,
    pub reason: QuarantineReason,
    pub detail: String,
}

impl App {
    pub async fn ingest_audit_batch(&self, batch: Batch) -> Result<Receipt> {
        let (tenant, validate_only) = (batch.tenant, batch.validate_only);
        let secret = Arc::clone(self.secret().await?);
        // decoding is work for a processor, not for a task that others wait behind
        let prepared = tokio::task::spawn_blocking(move || prepare(&batch, &secret))
            .await
            .map_err(|failed| Error::bug(&failed))??;
        if validate_only {
            return self.validate(tenant, prepared).await;
        }
        let (mut receipt, settled) = retrying(|| self.ingest_once(tenant, &prepared)).await?;
        if !settled {
            // it is committed: what is left to do must not fail it
            match self.reattribute(tenant, SETTLE_AT_ONCE).await {
                Ok((reattributed, revision)) => {
                    receipt.changed_messages += reattributed;
                    receipt.revision = revision;
                }
                Err(error) => {
                    tracing::warn!(%tenant, %error, "lessons have not reached all messages yet");
                }
            }
        }
        Ok(receipt)
    }

    /// The transaction: lock and consent, learn, read, merge, write what changed, commit, cache.
    /// Also tells whether every message knows what was learned.
    async fn ingest_once(&self, id: TenantId, prepared: &Prepared) -> Result<(Receipt, bool)> {
        let mut tx = self.begin(id).await?;
        check_consent(tx.tenant())?;
        let mut tenant = tx.tenant().clone();
        let mut receipt = prepared.receipt.clone();

        let admin_new = store_admin_changes(&mut *tx, prepared).await?;
        receipt.kept += admin_new;
        receipt.repeated += prepared.admin_records - admin_new;
        tx.put_quarantined(&prepared.quarantined).await?;

        let revision = tenant.revision.next();
        let events = || prepared.events.values().flat_map(|(_, events)| events);
        let directory = self
            .directories
            .learn(&mut tx, &mut tenant, events())
            .await?;
        let keys: Vec<MessageKey> = prepared.events.keys().copied().collect();
        let stored = tx.messages(&keys).await?;
        let mut stored: BTreeMap<MessageKey, Message> = stored
            .into_iter()
            .map(|message| (message.key, message))
            .collect();
        let (mut touched, mut dirty, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for (&key, (message_id, events)) in &prepared.events {
            let identity = (key, message_id.clone());
            let merged = Message::merge(
                stored.remove(&key),
                identity,
                events.iter().cloned(),
                &directory,
                revision,
            );
            receipt.kept += merged.kept;
            receipt.repeated += merged.repeated;
            receipt.changed_messages += u64::from(merged.reattributed);
            changes.extend(merged.change.map(|kind| (key, kind)));
            if merged.dirty {
                dirty.push(merged.message);
            } else {
                touched.push(merged.message);
            }
        }
        for event in events() {
            tenant.readiness.see(event.side, event.time);
        }
        if admin_new > 0 || !dirty.is_empty() {
            tenant.revision = revision;
            tx.put_messages(&dirty).await?;
            note_waiting(&mut tx, &directory, &dirty).await?;
            tx.append_change(revision, now(), &changes).await?;
        }
        if tenant != *tx.tenant() {
            tx.put_tenant(&tenant).await?;
        }
        tx.commit().await?;
        self.directories.keep(&tenant, directory);
        touched.append(&mut dirty);
        self.cache_messages(&tenant, &touched).await;
        receipt.revision = tenant.revision;
        Ok((receipt, tenant.is_settled()))
    }

    async fn validate(&self, id: TenantId, prepared: Prepared) -> Result<Receipt> {
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
        Ok(receipt)
    }
}

fn check_consent(tenant: &Tenant) -> Result<()> {
    match tenant.revoked_at {
        Some(revoked_at) => Err(Error::ConsentRevoked { revoked_at }),
        None => Ok(()),
    }
}

async fn store_admin_changes(tx: &mut dyn Tx, prepared: &Prepared) -> Result<u64> {
    let changes: Vec<AdminChange> = prepared.admin_changes.iter().cloned().collect();
    Ok(tx.put_admin_changes(&changes).await?)
}
