//! Rows of `admin_change`.

use super::Micros;
use crate::domain::{AdminChange, TenantId};
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
