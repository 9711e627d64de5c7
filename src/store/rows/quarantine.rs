//! Rows of `quarantine`.

use super::{Micros, Result, check_tenant, corrupt};
use crate::domain::{
    QuarantineEntry, QuarantineReason, QuarantineUsage, QuarantinedRecord, TenantId,
};
use bytes::Bytes;
use sqlx::FromRow;
use uuid::Uuid;

const TABLE: &str = "quarantine";

/// As it is written.
#[derive(Debug)]
pub(in crate::store) struct QuarantineRow {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) digest: Uuid,
    pub(in crate::store) reason: &'static str,
    pub(in crate::store) detail: String,
    pub(in crate::store) received_at: Micros,
    pub(in crate::store) bytes: Option<Bytes>,
}

impl QuarantineRow {
    pub(in crate::store) fn of(tenant: TenantId, record: &QuarantinedRecord) -> Self {
        Self {
            tenant_id: tenant.0,
            digest: record.digest,
            reason: record.reason.name(),
            detail: record.detail.clone(),
            received_at: record.received_at.into(),
            bytes: record.bytes.clone(),
        }
    }
}

/// As it is read, without the bytes.
#[derive(Debug, FromRow)]
pub(in crate::store) struct QuarantineEntryRow {
    tenant_id: Uuid,
    digest: Uuid,
    reason: String,
    detail: String,
    received_at: Micros,
    size: Option<i64>,
}

impl QuarantineEntryRow {
    pub(in crate::store) fn into_entry(self, asked: TenantId) -> Result<QuarantineEntry> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        let reason = QuarantineReason::from_name(&self.reason);
        let size = self.size.map(u64::try_from).transpose();
        Ok(QuarantineEntry {
            digest: self.digest,
            reason: reason.ok_or_else(|| corrupt(TABLE, "reason"))?,
            detail: self.detail,
            received_at: self.received_at.into(),
            size: size.map_err(|_| corrupt(TABLE, "size"))?,
        })
    }
}

/// One more column of a record that was asked for by its digest.
#[derive(Debug, FromRow)]
pub(in crate::store) struct QuarantineColumn<T> {
    tenant_id: Uuid,
    digest: Uuid,
    value: T,
}

impl<T> QuarantineColumn<T> {
    pub(in crate::store) fn checked(self, asked: TenantId) -> Result<(Uuid, T)> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        Ok((self.digest, self.value))
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct QuarantineUsageRow {
    tenant_id: Uuid,
    copies: i64,
    bytes: i64,
    without_copy: i64,
}

impl QuarantineUsageRow {
    pub(in crate::store) fn into_usage(self, asked: TenantId) -> Result<QuarantineUsage> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        let count = |number: i64| u64::try_from(number).map_err(|_| corrupt(TABLE, "size"));
        Ok(QuarantineUsage {
            copies: count(self.copies)?,
            bytes: count(self.bytes)?,
            without_copy: count(self.without_copy)?,
        })
    }
}
