//! GetTenant.

use super::{App, Result};
use crate::domain::{Tenant, TenantId};

impl App {
    pub async fn get_tenant(&self, id: TenantId) -> Result<Tenant> {
        self.tenant(id).await
    }
}
