//! Rows of `tombstone` and `erasure`.

use super::{Micros, Result, check_tenant, corrupt, unsigned};
use crate::{
    domain::{Pseudonym, Revision, TenantId, Tombstone, erasure::Kind},
    store::{ReceivedPosition, privacy::Erasure},
};
use bytes::Bytes;
use sqlx::FromRow;
use uuid::Uuid;

#[derive(Debug, FromRow)]
pub(in crate::store) struct TombstoneRow {
    tenant_id: Uuid,
    mark: Uuid,
    pseudonym: Uuid,
    kind: String,
    is_sure: bool,
}

impl TombstoneRow {
    pub(in crate::store) fn into_tombstone(self, asked: TenantId) -> Result<Tombstone> {
        check_tenant(asked, self.tenant_id, "tombstone")?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == self.kind);
        Ok(Tombstone {
            mark: self.mark,
            pseudonym: Pseudonym(self.pseudonym),
            kind: kind.ok_or_else(|| corrupt("tombstone", "kind"))?,
            is_sure: self.is_sure,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct ErasureRow {
    tenant_id: Uuid,
    pseudonym: Uuid,
    requested_at: Micros,
    finished_at: Option<Micros>,
    revision: Option<i64>,
    is_swept: bool,
    counts: String,
}

impl ErasureRow {
    pub(in crate::store) fn into_erasure(self, asked: TenantId) -> Result<Erasure> {
        const TABLE: &str = "erasure";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let revision = self.revision.map(|revision| unsigned(revision, TABLE));
        Ok(Erasure {
            pseudonym: Pseudonym(self.pseudonym),
            requested_at: self.requested_at.into(),
            finished_at: self.finished_at.map(Into::into),
            revision: revision.transpose()?.map(Revision),
            is_swept: self.is_swept,
            counts: serde_json::from_str(&self.counts).map_err(|_| corrupt(TABLE, "counts"))?,
        })
    }
}

/// A quarantined record with its copy.
#[derive(Debug, FromRow)]
pub(in crate::store) struct CopyRow {
    tenant_id: Uuid,
    digest: Uuid,
    received_at: Micros,
    bytes: Vec<u8>,
}

impl CopyRow {
    pub(in crate::store) fn into_copy(self, asked: TenantId) -> Result<(ReceivedPosition, Bytes)> {
        check_tenant(asked, self.tenant_id, "quarantine")?;
        let position = ReceivedPosition {
            received_at: self.received_at.into(),
            id: self.digest,
        };
        Ok((position, self.bytes.into()))
    }
}
