//! GetTenant.

use super::{App, Result};
use crate::domain::{Revision, Tenant, TenantId};

impl App {
    pub async fn get_tenant(&self, id: TenantId, revision: Revision) -> Result<Tenant> {
        self.tenant(id, revision).await
    }
}
