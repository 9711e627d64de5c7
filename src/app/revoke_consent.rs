//! RevokeConsent.

use super::{App, Result, now, register_tenant::check_past};
use crate::{
    domain::{Tenant, TenantId, Timestamp},
    store::retrying,
};

impl App {
    /// Under the tenant's lock, as every ingest: from its OK on nothing more is committed.
    /// A revoke with a time before the last consent changes nothing: it is a late repeat. One
    /// without a time is of now, whatever clock the consent was given by.
    pub async fn revoke_consent(&self, id: TenantId, at: Option<Timestamp>) -> Result<Tenant> {
        if let Some(at) = at {
            check_past("revoked_at", at)?;
        }
        retrying(|| self.revoke_once(id, at)).await
    }

    async fn revoke_once(&self, id: TenantId, at: Option<Timestamp>) -> Result<Tenant> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        let at = at.unwrap_or_else(|| now().max(tenant.consented_at));
        if at >= tenant.consented_at {
            tenant.revoked_at = tenant.revoked_at.max(Some(at));
            tx.put_tenant(&tenant).await?;
        }
        tx.commit(&tenant).await?;
        Ok(tenant)
    }
}
