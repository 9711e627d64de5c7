//! DeleteTenant: a tenant goes with everything of it, after a time to come back in.

use super::{App, Error, Result, now, register_tenant::random_generation};
use crate::{
    domain::{Deletion, Tenant, TenantId, time::DAY},
    store::{Store, retrying},
};

/// Rows of one transaction.
const CHUNK: u32 = 2_000;
/// Transactions of a call; more is done behind its back.
const AT_ONCE: usize = 50;

impl App {
    /// Under the tenant's lock, as every ingest: from its OK on nothing more is committed or read.
    /// Asked again it answers the same, or that there is no such tenant any more.
    pub async fn delete_tenant(&self, id: TenantId) -> Result<Tenant> {
        let tenant = retrying(|| self.delete_once(id)).await?;
        if is_due(&tenant) {
            for _ in 0..AT_ONCE {
                if retrying(|| self.purge_some(id)).await? {
                    return Ok(tenant);
                }
            }
            self.unsettled.notify_one();
        }
        Ok(tenant)
    }

    async fn delete_once(&self, id: TenantId) -> Result<Tenant> {
        let mut tx = self.begin_any(id).await?;
        let mut tenant = tx.tenant().clone();
        if tenant.deletion.is_some() {
            return Ok(tenant);
        }
        let deleted_at = now().max(tenant.consented_at);
        tenant.deletion = Some(Deletion {
            deleted_at,
            delete_after: deleted_at.plus(i64::from(self.limits.delete_grace_days) * DAY),
        });
        // what others hold of it is of a life that has ended, also if it comes back
        tenant.generation = random_generation()?;
        tenant.revision = tenant.revision.next(); // wakes whoever watches it
        tx.append_change(tenant.revision, now(), &[]).await?;
        tx.put_tenant(&tenant).await?;
        tx.commit(&tenant).await?;
        self.scopes.see(id, tenant.generation).await?;
        self.forget_tenant(&tenant);
        Ok(tenant)
    }

    /// Removes the rows of tenants whose time is up. Several processes may do so at once.
    pub async fn resume_purges(&self) -> Result<()> {
        for id in self.store.tenants_to_purge(now()).await? {
            loop {
                match retrying(|| self.purge_some(id)).await {
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::info!(tenant = %id, "a deleted tenant is gone");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(tenant = %id, %error, "a deleted tenant is not gone yet");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// `true`: nothing of it is left to be removed.
    async fn purge_some(&self, id: TenantId) -> Result<bool> {
        let mut tx = match self.begin_any(id).await {
            Err(Error::TenantNotFound(_)) => return Ok(true),
            tx => tx?,
        };
        let tenant = tx.tenant().clone();
        if !is_due(&tenant) {
            return Ok(true); // it has come back
        }
        let removed = tx.purge(CHUNK).await?;
        tx.commit(&tenant).await?;
        if removed == 0 {
            self.scopes.forget(id);
            self.forget_tenant(&tenant);
        }
        Ok(removed == 0)
    }
}

/// Its rows are removed, or will be at any moment.
pub(super) fn is_due(tenant: &Tenant) -> bool {
    let deletion = tenant.deletion.as_ref();
    deletion.is_some_and(|deletion| deletion.delete_after <= now())
}

pub(super) fn check_not_deleted(tenant: &Tenant) -> Result<()> {
    match tenant.deletion {
        None => Ok(()),
        Some(Deletion {
            deleted_at,
            delete_after,
        }) => Err(Error::TenantDeleted {
            deleted_at,
            delete_after,
        }),
    }
}

/// What the store found of a tenant; a deleted one has nothing.
pub(super) async fn found<T>(store: &dyn Store, id: TenantId, found: Option<T>) -> Result<T> {
    if let Some(found) = found {
        return Ok(found);
    }
    let tenant = store.tenant(id).await?;
    let tenant = tenant.ok_or(Error::TenantNotFound(id))?;
    check_not_deleted(&tenant)?;
    Err(Error::TenantNotFound(id)) // registered at this moment
}
