//! The part of the contract that is about the audit set-up: settings as they were captured, and
//! what administrators have changed.

use super::Result;
use crate::domain::{
    AdminChange, Message, Setting, SettingKey, TenantId, Timestamp, settings::MailboxSettings,
};
use async_trait::async_trait;
use std::collections::HashSet;

/// Administrators' changes that are read.
#[derive(Clone, Copy, Debug)]
pub struct ChangesLimit {
    /// So many of the newest,
    pub newest: u32,
    /// and with them the newest of each operation and target; so many together.
    pub all: u32,
}

/// Reads of the set-up.
#[async_trait]
pub trait SettingsStore {
    /// All that is kept, in the order of kind, subject and time.
    async fn settings(&self, tenant: TenantId) -> Result<Vec<Setting>>;

    /// At most `limit` settings of mailboxes from the subject `first` to `last`, both in it, with
    /// the subject of each.
    async fn mailbox_settings(
        &self,
        tenant: TenantId,
        first: &str,
        last: &str,
        limit: u32,
    ) -> Result<Vec<(String, MailboxSettings)>>;

    /// Changes that took effect, from new to old.
    async fn admin_changes(
        &self,
        tenant: TenantId,
        limit: ChangesLimit,
    ) -> Result<Vec<AdminChange>>;

    /// At most `limit` listed messages that nobody sent (NOT_A_PERSON), sent at `since` or later,
    /// from new to old.
    async fn messages_of_nobody(
        &self,
        tenant: TenantId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>>;
}

/// Writes of the set-up, in a write of the tenant.
#[async_trait]
pub trait SettingsTx {
    async fn count_settings(&mut self) -> Result<u64>;

    /// What is kept, by key. Reads all of it.
    async fn setting_keys(&mut self) -> Result<HashSet<SettingKey>>;

    /// Keeps of each key the newest, and of one time the one with the greater content: in
    /// whatever order they come. One without a key is passed over. Tells how many have changed
    /// something.
    async fn put_settings(&mut self, settings: &[Setting]) -> Result<u64>;
}
