//! What has no row of a kind of its own, and whose it is.

use super::{Result, check_tenant};
use crate::domain::TenantId;
use sqlx::FromRow;
use uuid::Uuid;

/// One value of a tenant.
#[derive(Debug, FromRow)]
pub(in crate::store) struct Owned<T> {
    tenant_id: Uuid,
    value: T,
}

impl<T> Owned<T> {
    pub(in crate::store) fn checked(self, asked: TenantId, table: &str) -> Result<T> {
        check_tenant(asked, self.tenant_id, table)?;
        Ok(self.value)
    }
}

/// That a tenant is there.
#[derive(Debug, FromRow)]
pub(in crate::store) struct TenantIdRow {
    tenant_id: Uuid,
}

impl TenantIdRow {
    /// `asked`: the tenant that the statement named, if it named one.
    pub(in crate::store) fn into_id(self, asked: Option<TenantId>) -> Result<TenantId> {
        if let Some(asked) = asked {
            check_tenant(asked, self.tenant_id, "tenant")?;
        }
        Ok(TenantId(self.tenant_id))
    }
}
