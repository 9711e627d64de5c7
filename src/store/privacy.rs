//! The part of the contract that is about what has to go: erased people, deleted tenants, messages
//! that were kept long enough.

use super::{ReceivedPosition, Result};
use crate::domain::{
    AdminChange, Identity, MessageKey, Pseudonym, Revision, Setting, TenantId, Timestamp, Tombstone,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What was done to erase a person: rows by table.
pub type Counts = BTreeMap<String, u64>;

/// The receipt of an erasure, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub pseudonym: Pseudonym,
    pub requested_at: Timestamp,
    /// First: the counts are frozen from then on.
    pub finished_at: Option<Timestamp>,
    /// Of the tenant, when it was finished.
    pub revision: Option<Revision>,
    /// Nothing is left to be gone through.
    pub is_swept: bool,
    pub counts: Counts,
}

/// Messages of which kind were kept long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// Nothing but plain sends from no known mailbox.
    Private,
    Listed,
    /// Neither.
    Unlisted,
}

/// Reads of it.
#[async_trait]
pub trait PrivacyStore {
    /// In no order.
    async fn tombstones(&self, tenant: TenantId) -> Result<Vec<Tombstone>>;

    async fn erasure(&self, tenant: TenantId, pseudonym: Pseudonym) -> Result<Option<Erasure>>;

    /// Tenants of which an erasure has not gone through all tables.
    async fn tenants_to_sweep(&self) -> Result<Vec<TenantId>>;

    /// Tenants whose rows are to be removed by now.
    async fn tenants_to_purge(&self, now: Timestamp) -> Result<Vec<TenantId>>;
}

/// Writes of it, in a write of the tenant.
#[async_trait]
pub trait PrivacyTx {
    /// In no order.
    async fn tombstones(&mut self) -> Result<Vec<Tombstone>>;

    /// Adds these; one that is there becomes this one.
    async fn put_tombstones(&mut self, tombstones: &[Tombstone]) -> Result<()>;

    /// Deletes what stands under identifiers: lessons, entries of the register, what messages
    /// wait for, sides. Tells how many rows of each table.
    async fn forget(
        &mut self,
        identities: &[Identity<'static>],
        addresses: &[String],
    ) -> Result<Counts>;

    async fn erasures(&mut self) -> Result<Vec<Erasure>>;

    async fn put_erasure(&mut self, erasure: &Erasure) -> Result<()>;

    /// At most `limit` behind a record id and digest, in their order.
    async fn admin_changes_after(
        &mut self,
        after: (Uuid, Uuid),
        limit: u32,
    ) -> Result<Vec<AdminChange>>;

    async fn remove_admin_change(&mut self, change: &AdminChange) -> Result<()>;

    /// Deletes a setting if it is still this one.
    async fn remove_setting(&mut self, setting: &Setting) -> Result<bool>;

    /// At most `limit` quarantined records strictly behind `after`, from new to old, that have a
    /// copy.
    async fn quarantine_copies_after(
        &mut self,
        after: ReceivedPosition,
        limit: u32,
    ) -> Result<Vec<(ReceivedPosition, Bytes)>>;

    /// Deletes the copy of a quarantined record; that it was there stays.
    async fn remove_quarantined_copy(&mut self, digest: Uuid) -> Result<()>;

    /// Deletes at most `limit` messages that were sent before `time`, the oldest first, with all
    /// that belongs to them.
    async fn remove_outdated(
        &mut self,
        what: Outdated,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<MessageKey>>;

    /// Deletes at most `limit` rows of the tenant, the tenant itself with the last of them. 0:
    /// there was nothing left but that.
    async fn purge(&mut self, limit: u32) -> Result<u64>;
}
