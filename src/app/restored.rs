//! After a restore from a backup: tenants begin another life, so that what was told in the lost
//! future (positions of the feed, cached answers, page tokens) is refused and not taken for
//! what is stored now.

use super::{App, Result, register_tenant::random_generation};
use crate::{
    domain::{Revision, TenantId, TimeRange, Timestamp},
    store::{BatchFilter, retrying},
};

/// Tenants that are read at a time.
const PAGE: u32 = 500;

/// A tenant, and what is stored of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    pub tenant: TenantId,
    pub revision: Revision,
    /// When the newest batch came in that is stored. Receipts are kept for 7 days; `None`: none
    /// is there.
    pub newest_batch: Option<Timestamp>,
}

impl App {
    /// Of this tenant, or of all. Safe to repeat: each time the lives before are over.
    pub async fn restored(&self, only: Option<TenantId>) -> Result<Vec<Restored>> {
        if let Some(tenant) = only {
            return Ok(vec![self.begin_another_life(tenant).await?]);
        }
        let (mut restored, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.tenants(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(restored);
            };
            after = Some(last.id);
            for tenant in page {
                restored.push(self.begin_another_life(tenant.id).await?);
            }
        }
    }

    async fn begin_another_life(&self, id: TenantId) -> Result<Restored> {
        let revision = retrying(|| self.renew(id)).await?;
        let any = BatchFilter {
            received: TimeRange {
                start: Timestamp::EARLIEST,
                end: Timestamp::LATEST,
            },
            source: None,
        };
        let newest = self.store.audit_batches(id, &any, None, 1).await?;
        Ok(Restored {
            tenant: id,
            revision,
            newest_batch: newest.first().map(|batch| batch.received_at),
        })
    }

    async fn renew(&self, id: TenantId) -> Result<Revision> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        tenant.generation = random_generation()?;
        tx.put_tenant(&tenant).await?;
        tx.commit(&tenant).await?;
        Ok(tenant.revision)
    }
}
