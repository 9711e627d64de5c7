//! Rows of `change`, and how far tenants are.

use super::{Micros, check_tenant, corrupt, foreign, unsigned};
use crate::{
    domain::{ChangeKind, Commit, Generation, MessageKey, Revision, TenantId},
    store::{Result, TenantRevision},
};
use sqlx::FromRow;
use uuid::Uuid;

const TABLE: &str = "change";

/// Bytes of one change: its kind, and the key.
const PACKED: usize = 1 + 16;

/// The column `messages`.
pub(in crate::store) fn pack(messages: &[(MessageKey, ChangeKind)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(PACKED * messages.len());
    for (key, kind) in messages {
        packed.push(*kind as u8);
        packed.extend_from_slice(key.0.as_bytes());
    }
    packed
}

fn unpack(packed: &[u8]) -> Option<Vec<(MessageKey, ChangeKind)>> {
    let (changes, []) = packed.as_chunks::<PACKED>() else {
        return None;
    };
    let change = |[kind, key @ ..]: &[u8; PACKED]| {
        let kind = ChangeKind::ALL.into_iter().find(|k| *k as u8 == *kind)?;
        Some((MessageKey(Uuid::from_slice(key).ok()?), kind))
    };
    changes.iter().map(change).collect()
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct CommitRow {
    tenant_id: Uuid,
    revision: i64,
    committed_at: Micros,
    messages: Vec<u8>,
}

impl CommitRow {
    pub(in crate::store) fn into_commit(self, asked: TenantId) -> Result<Commit> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        Ok(Commit {
            revision: Revision(unsigned(self.revision, TABLE)?),
            committed_at: self.committed_at.into(),
            messages: unpack(&self.messages).ok_or_else(|| corrupt(TABLE, "messages"))?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct TenantRevisionRow {
    tenant_id: Uuid,
    generation: i64,
    revision: i64,
}

impl TenantRevisionRow {
    /// `asked`: the tenants that the statement named.
    pub(in crate::store) fn checked(self, asked: &[TenantId]) -> Result<TenantRevision> {
        let tenant = TenantId(self.tenant_id);
        if !asked.contains(&tenant) {
            let asked = format!("{} others", asked.len());
            return Err(foreign(&asked, self.tenant_id, "tenant"));
        }
        Ok(TenantRevision {
            tenant,
            generation: Generation(self.generation),
            revision: Revision(unsigned(self.revision, "tenant")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let messages: Vec<_> = ChangeKind::ALL
            .into_iter()
            .zip(1..)
            .map(|(kind, n)| (MessageKey(Uuid::from_u128(n << 64 | n)), kind))
            .collect();
        let packed = pack(&messages);
        assert_eq!(packed.len(), 4 * 17);
        assert_eq!(unpack(&packed), Some(messages));
        assert_eq!(unpack(&[]), Some(Vec::new()));
        assert_eq!(unpack(&packed[1..]), None);
        assert_eq!(unpack(&[9; 17]), None);
    }
}
