//! GetTenant.

use super::{App, Result, now};
use crate::domain::{Revision, Tenant, TenantId, TimeRange};

impl App {
    pub async fn get_tenant(&self, id: TenantId, revision: Revision) -> Result<Tenant> {
        self.tenant(id, revision).await
    }

    /// The send times of the tenant that are complete.
    pub async fn complete_times(&self, id: TenantId) -> Result<Option<TimeRange>> {
        let filed = self.filed_coverage(id, Revision::default()).await?;
        Ok(filed.coverage.complete(now()))
    }
}
