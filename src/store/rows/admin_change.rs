//! Rows of `admin_change`.

use super::{Micros, Result, check_tenant, corrupt};
use crate::domain::{AdminChange, TenantId, admin_change};
use sqlx::FromRow;
use std::collections::BTreeMap;
use uuid::Uuid;

/// As it is written.
#[derive(Debug)]
pub(in crate::store) struct AdminChangeRow {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) record_id: Uuid,
    pub(in crate::store) digest: Uuid,
    pub(in crate::store) happened_at: Micros,
    pub(in crate::store) operation: &'static str,
    pub(in crate::store) actor: String,
    pub(in crate::store) target: String,
    pub(in crate::store) failed: bool,
    pub(in crate::store) parameters: String,
}

impl AdminChangeRow {
    pub(in crate::store) fn of(tenant: TenantId, change: &AdminChange) -> Self {
        let parameters: serde_json::Map<String, serde_json::Value> = change
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        Self {
            tenant_id: tenant.0,
            record_id: change.record_id,
            digest: change.digest(),
            happened_at: change.time.into(),
            operation: change.operation,
            actor: change.actor.clone(),
            target: change.target.clone(),
            failed: change.failed,
            parameters: serde_json::Value::Object(parameters).to_string(),
        }
    }
}

/// Which one it is.
#[derive(Debug, FromRow)]
pub(in crate::store) struct AdminChangeIdRow {
    tenant_id: Uuid,
    record_id: Uuid,
    digest: Uuid,
}

impl AdminChangeIdRow {
    pub(in crate::store) fn checked(self, asked: TenantId) -> Result<(Uuid, Uuid)> {
        check_tenant(asked, self.tenant_id, "admin_change")?;
        Ok((self.record_id, self.digest))
    }
}

/// As it is read.
#[derive(Debug, FromRow)]
pub(in crate::store) struct AdminChangeReadRow {
    tenant_id: Uuid,
    record_id: Uuid,
    happened_at: Micros,
    operation: String,
    actor: String,
    target: String,
    failed: bool,
    parameters: String,
}

impl AdminChangeReadRow {
    pub(in crate::store) fn into_change(self, asked: TenantId) -> Result<AdminChange> {
        const TABLE: &str = "admin_change";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let operation = admin_change::operation(&self.operation);
        let parameters: BTreeMap<String, String> =
            serde_json::from_str(&self.parameters).map_err(|_| corrupt(TABLE, "parameters"))?;
        Ok(AdminChange {
            time: self.happened_at.into(),
            record_id: self.record_id,
            operation: operation.ok_or_else(|| corrupt(TABLE, "operation"))?,
            actor: self.actor,
            target: self.target,
            failed: self.failed,
            parameters: parameters.into_iter().collect(),
        })
    }
}
