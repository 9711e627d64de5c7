//! GetTenant.

use super::{App, Error, Result, at_least, now};
use crate::domain::{Revision, Tenant, TenantId, TimeRange};

impl App {
    /// Also of one that is deleted.
    pub async fn get_tenant(&self, id: TenantId, revision: Revision) -> Result<Tenant> {
        let tenant = self.store.tenant(id).await?;
        let tenant = tenant.ok_or(Error::TenantNotFound(id))?;
        at_least(revision, tenant.revision)?;
        Ok(tenant)
    }

    /// The send times of the tenant that are complete.
    pub async fn complete_times(&self, id: TenantId) -> Result<Option<TimeRange>> {
        let filed = self.filed_coverage(id, Revision::default()).await?;
        Ok(filed.coverage.complete(now()))
    }
}
