//! Messages that were kept long enough: private mail, and what is older than a tenant keeps.

use super::{App, Result, now, prepared::Prepared};
use crate::{
    domain::{ChangeKind, Receipt, Tenant, TenantId, Timestamp, time::DAY},
    store::{privacy::Outdated, retrying},
};
use std::{collections::BTreeMap, sync::Arc};

/// Messages of one transaction: other writers wait no longer than for a batch.
const CHUNK: u32 = 1_000;
/// Transactions of one tenant in a row: what is left then waits for the next time.
const CHUNKS: u32 = 100;

impl App {
    pub(super) async fn remove_outdated(&self, tenant: &Tenant) -> Result<()> {
        let private = now().plus(-i64::from(self.limits.unjoined_send_days) * DAY);
        self.remove_all(tenant.id, Outdated::Private, private)
            .await?;
        if let Some(since) = kept_since(tenant) {
            self.remove_all(tenant.id, Outdated::Listed, since).await?;
            self.remove_all(tenant.id, Outdated::Unlisted, since)
                .await?;
        }
        Ok(())
    }

    async fn remove_all(&self, id: TenantId, what: Outdated, before: Timestamp) -> Result<()> {
        let mut removed = 0;
        for _ in 0..CHUNKS {
            let some = retrying(|| self.remove_some(id, what, before)).await?;
            removed += some;
            if some < CHUNK as usize {
                break;
            }
        }
        if removed > 0 {
            tracing::info!(tenant = %id, ?what, removed, "messages were kept long enough");
        }
        Ok(())
    }

    /// As any write: a revision of its own, and the feed tells of what was listed.
    async fn remove_some(&self, id: TenantId, what: Outdated, before: Timestamp) -> Result<usize> {
        let mut tx = self.begin(id).await?;
        let keys = tx.remove_outdated(what, before, CHUNK).await?;
        if keys.is_empty() {
            return Ok(0);
        }
        let mut tenant = tx.tenant().clone();
        tenant.revision = tenant.revision.next();
        let told = keys.iter().filter(|_| what == Outdated::Listed);
        let told: Vec<_> = told.map(|key| (*key, ChangeKind::Erased)).collect();
        tx.append_change(tenant.revision, now(), &told).await?;
        tx.put_tenant(&tenant).await?;
        tx.commit(&tenant).await?;
        self.cache_absent(&tenant, &keys).await;
        Ok(keys.len())
    }
}

/// Messages of the tenant are kept that were sent then or later. `None`: all.
pub(super) fn kept_since(tenant: &Tenant) -> Option<Timestamp> {
    let days = i64::from(tenant.retention_days);
    (days > 0).then(|| now().plus(-days * DAY))
}

/// The batches without what is older than the tenant keeps. Their receipts count it as ignored.
pub(super) fn without_outdated(
    tenant: &Tenant,
    batches: Vec<Arc<Prepared>>,
    receipts: &mut [Receipt],
) -> Vec<Arc<Prepared>> {
    let Some(since) = kept_since(tenant) else {
        return batches;
    };
    let kept = batches.into_iter().zip(receipts).map(|(batch, receipt)| {
        let is_old = batch.all_events().any(|event| event.time < since);
        if is_old {
            Arc::new(batch.since(since, receipt))
        } else {
            batch
        }
    });
    kept.collect()
}

impl Prepared {
    fn since(&self, since: Timestamp, receipt: &mut Receipt) -> Self {
        let mut ignored: BTreeMap<&str, u64> = BTreeMap::new();
        let mut kept = self.clone();
        kept.events.retain(|_, (_, events)| {
            events.retain(|event| {
                let is_old = event.time < since;
                if is_old {
                    *ignored.entry(event.operation.name()).or_default() += 1;
                }
                !is_old
            });
            !events.is_empty()
        });
        for (operation, count) in ignored {
            receipt.ignored += count;
            let operations = &mut receipt.ignored_operations;
            *operations.entry(operation.to_owned()).or_default() += count;
        }
        kept
    }
}
