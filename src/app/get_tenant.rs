//! GetTenant.

use super::{App, Result, now};
use crate::domain::{Revision, Tenant, TenantId, TimeRange};

impl App {
    /// The tenant, and the send times that are complete.
    pub async fn get_tenant(&self, id: TenantId) -> Result<(Tenant, Option<TimeRange>)> {
        let tenant = self.tenant(id).await?;
        let filed = self.filed_coverage(id, Revision::default()).await?;
        Ok((tenant, filed.coverage.complete(now())))
    }
}
