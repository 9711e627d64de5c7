//! Every call of the store ends in time, whatever the database does.
//!
//! A database that is frozen, or behind a network that swallows everything, answers nothing and
//! closes nothing: no bound on its side counts then. What is given up is dropped, and its
//! connection closed if it does not come to rest at once (`postgres.rs`); a statement that
//! nobody waits for is cancelled by the database when it sees that.
//!
//! Reads also end when their caller's time does ([`super::until`]), and a tenant has at most
//! [`READS`] of them at a time. A write that was begun goes on to its end.

use super::{
    BatchFilter, ChangesLimit, CommitLimit, Erasure, Expiring, FeedStore, Hints, LedgerStore,
    LedgerTx, PageLimit, PrivacyStore, PrivacyTx, Problem, RangeFilter, RangePage, RangePosition,
    ReceivedPosition, Result, SettingsStore, SettingsTx, Snapshot, Store, StoreError, SummaryStore,
    TenantRevision, Tx, deadline,
    ledger::SideSeen,
    privacy::{Counts, Outdated},
    turns::Turns,
};
use crate::domain::{
    AdminChange, Answer, AuditBatch, BatchId, ChangeKind, Commit, Identity, Lag, Lesson, Mailbox,
    Message, MessageKey, Pseudonym, QuarantineEntry, QuarantineReason, QuarantineUsage,
    QuarantinedRecord, Revision, Setting, SettingKey, Tenant, TenantId, TimeRange, Timestamp,
    Tombstone,
    coverage::{Covered, Failure, Line},
    settings::MailboxSettings,
    summary::{Slots, Tally},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout_at;
use uuid::Uuid;

/// A read, with the wait for a connection.
const READ: Duration = Duration::from_secs(10);
/// A read of answers by key, which many callers may wait for together.
const LOOKUP: Duration = Duration::from_secs(5);
/// One step of a write. The database's own bounds come first, where it is well.
const STEP: Duration = Duration::from_secs(35);
/// Reads of one tenant at a time: half of the connections, so that one that asks for ranges all
/// the time leaves the others theirs.
const READS: usize = 3;

#[derive(Debug)]
pub(super) struct Bounded {
    store: Arc<dyn Store>,
    turns: Turns,
}

struct BoundedTx(Box<dyn Tx>);

impl Bounded {
    pub(super) fn new(store: impl Store + 'static) -> Self {
        Self {
            store: Arc::new(store),
            turns: Turns::new(READS),
        }
    }

    async fn read<T>(
        &self,
        tenant: TenantId,
        read: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let turn_and_read = async {
            let _turn = self.turns.of(tenant).await;
            read.await
        };
        within(READ, turn_and_read).await
    }
}

/// Who waits no longer than that, and no longer than the caller, gives up.
async fn within<T>(longest: Duration, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let done = timeout_at(deadline::bound(longest), work).await;
    done.unwrap_or_else(|_| Err(StoreError::timed_out()))
}

/// The same for a write, whether its caller waits or not.
async fn step<T>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let done = tokio::time::timeout(STEP, work).await;
    done.unwrap_or_else(|_| Err(StoreError::timed_out()))
}

/// Methods of a trait by how they are bounded; what is particular is written out.
macro_rules! bounded_store {
    ($trait:ident
        of a tenant { $($name:ident($tenant:ident $(, $arg:ident: $type:ty)*) -> $of:ty;)* }
        bounded { $($other:ident($($other_arg:ident: $other_type:ty),*) -> $other_of:ty, $bound:expr;)* }
        $($own:item)*
    ) => {
        #[async_trait]
        impl $trait for Bounded {
            $(async fn $name(&self, $tenant: TenantId, $($arg: $type),*) -> Result<$of> {
                self.read($tenant, self.store.$name($tenant, $($arg),*)).await
            })*
            $(async fn $other(&self, $($other_arg: $other_type),*) -> Result<$other_of> {
                $bound(self.store.$other($($other_arg),*)).await
            })*
            $($own)*
        }
    };
}

async fn read<T>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    within(READ, work).await
}

async fn lookup<T>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    within(LOOKUP, work).await
}

bounded_store! { Store
    of a tenant {
        tenant(id) -> Option<Tenant>;
        mailboxes(tenant, after: &str, limit: u32) -> Vec<Mailbox>;
        lessons(tenant) -> Vec<Lesson>;
        message(tenant, key: MessageKey) -> Option<Snapshot<Option<Message>>>;
        range(tenant, filter: &RangeFilter, after: Option<RangePosition>, limit: PageLimit) -> RangePage;
        audit_batch(tenant, id: BatchId) -> Option<AuditBatch>;
        audit_batches(tenant, filter: &BatchFilter, after: Option<ReceivedPosition>, limit: u32) -> Vec<AuditBatch>;
        quarantined(tenant, reason: Option<QuarantineReason>, after: Option<ReceivedPosition>, limit: u32) -> Vec<QuarantineEntry>;
        quarantine_usage(tenant) -> QuarantineUsage;
        quarantined_copies(tenant, digests: &[Uuid]) -> HashMap<Uuid, Vec<u8>>;
    }
    bounded {
        schema_version() -> Option<i64>, read;
        check() -> Vec<Problem>, read;
        deployment_secret(candidate: [u8; 32], now: Timestamp) -> [u8; 32], step;
        create_tenant(tenant: &Tenant) -> bool, step;
        tenants(after: Option<TenantId>, limit: u32) -> Vec<Tenant>, read;
        tenants_to_reattribute() -> Vec<TenantId>, read;
        answers(tenant: TenantId, keys: &[MessageKey]) -> Option<Snapshot<Vec<Answer>>>, lookup;
        expire(tenant: TenantId, what: Expiring, time: Timestamp, limit: u32) -> u64, step;
    }
    /// As long as it takes: nobody is served meanwhile.
    async fn migrate(&self) -> Result<(Option<i64>, i64)> {
        self.store.migrate().await
    }

    async fn begin(&self, tenant: TenantId) -> Result<Option<Box<dyn Tx>>> {
        let begun = step(self.store.begin(tenant)).await?;
        Ok(begun.map(|tx| Box::new(BoundedTx(tx)) as Box<dyn Tx>))
    }
}

bounded_store! { FeedStore
    of a tenant {
        commits(tenant, after: Revision, limit: CommitLimit) -> Option<Snapshot<Vec<Commit>>>;
    }
    bounded {
        revisions(tenants: &[TenantId]) -> Vec<TenantRevision>, read;
        hint(tenants: &[TenantId]) -> (), lookup;
        hints() -> Option<Box<dyn Hints>>, read;
    }
}

bounded_store! { LedgerStore
    of a tenant {
        covered(tenant) -> Option<Snapshot<Vec<Covered>>>;
        lag(tenant) -> Lag;
        last_failures(tenant, limit: u32) -> Vec<Failure>;
        sides_seen(tenant, limit: u32) -> Vec<SideSeen>;
    }
    bounded {
        trim_covered(tenant: TenantId, keep: u32) -> u64, step;
    }
}

bounded_store! { SummaryStore
    of a tenant {
        extent(tenant, range: TimeRange, messages: u32) -> Option<TimeRange>;
        tallies(tenant, filter: &RangeFilter, slots: Slots, add: &mut (dyn FnMut(Tally) + Send)) -> ();
    }
    bounded {}
}

bounded_store! { SettingsStore
    of a tenant {
        settings(tenant) -> Vec<Setting>;
        mailbox_settings(tenant, first: &str, last: &str, limit: u32) -> Vec<(String, MailboxSettings)>;
        admin_changes(tenant, limit: ChangesLimit) -> Vec<AdminChange>;
        messages_of_nobody(tenant, since: Timestamp, limit: u32) -> Vec<Message>;
    }
    bounded {}
}

bounded_store! { PrivacyStore
    of a tenant {
        tombstones(tenant) -> Vec<Tombstone>;
        erasure(tenant, pseudonym: Pseudonym) -> Option<Erasure>;
    }
    bounded {
        tenants_to_sweep() -> Vec<TenantId>, read;
        tenants_to_purge(now: Timestamp) -> Vec<TenantId>, read;
    }
}

/// Steps of a write.
macro_rules! bounded_tx {
    ($trait:ident $($name:ident($($arg:ident: $type:ty),*) -> $of:ty;)* $({ $($own:tt)* })?) => {
        #[async_trait]
        impl $trait for BoundedTx {
            $(async fn $name(&mut self, $($arg: $type),*) -> Result<$of> {
                step(self.0.$name($($arg),*)).await
            })*
            $($($own)*)?
        }
    };
}

bounded_tx! { Tx
    mailboxes() -> Vec<Mailbox>;
    lessons() -> Vec<Lesson>;
    messages(keys: &[MessageKey]) -> Vec<Message>;
    messages_after(after: MessageKey, limit: u32) -> Vec<Message>;
    add_messages(messages: &[Message]) -> ();
    replace_messages(messages: &[Message]) -> ();
    put_lessons(lessons: &[Lesson]) -> ();
    put_waiting(waiting: &[(Identity<'static>, MessageKey)]) -> ();
    is_waited_for(identities: &[Identity<'static>]) -> bool;
    messages_taught(limit: u32) -> Vec<MessageKey>;
    remove_taught(keys: &[MessageKey]) -> ();
    put_admin_changes(changes: &[AdminChange]) -> HashSet<(Uuid, Uuid)>;
    put_quarantined(records: &[QuarantinedRecord]) -> ();
    put_mailboxes(mailboxes: &[Mailbox]) -> ();
    remove_mailboxes(addresses: &[String]) -> ();
    put_tenant(tenant: &Tenant) -> ();
    append_change(revision: Revision, committed_at: Timestamp, messages: &[(MessageKey, ChangeKind)]) -> ();
    audit_batches(ids: &[BatchId]) -> Vec<AuditBatch>;
    put_audit_batches(batches: &[AuditBatch]) -> ();
    quarantined(digests: &[Uuid]) -> HashMap<Uuid, bool>;
    quarantine_usage() -> QuarantineUsage;
    change_quarantined(entries: &[QuarantineEntry]) -> ();
    remove_quarantined(digests: &[Uuid]) -> ();
    {
        fn tenant(&self) -> &Tenant {
            self.0.tenant()
        }

        async fn commit(self: Box<Self>) -> Result<()> {
            step(self.0.commit()).await
        }
    }
}

bounded_tx! { LedgerTx
    covered_near(line: &Line, range: TimeRange) -> Vec<TimeRange>;
    cover(line: &Line, range: TimeRange, advanced_at: Timestamp) -> ();
    covering_sources(limit: u32) -> Vec<String>;
    put_failure(failure: &Failure) -> ();
    lag() -> Lag;
    put_lag(lag: &Lag) -> ();
    put_sides_seen(sides: &[SideSeen]) -> ();
}

bounded_tx! { SettingsTx
    count_settings() -> u64;
    setting_keys() -> HashSet<SettingKey>;
    put_settings(settings: &[Setting]) -> u64;
}

bounded_tx! { PrivacyTx
    tombstones() -> Vec<Tombstone>;
    put_tombstones(tombstones: &[Tombstone]) -> ();
    forget(identities: &[Identity<'static>], addresses: &[String]) -> Counts;
    erasures() -> Vec<Erasure>;
    put_erasure(erasure: &Erasure) -> ();
    admin_changes_after(after: (Uuid, Uuid), limit: u32) -> Vec<AdminChange>;
    remove_admin_change(change: &AdminChange) -> ();
    remove_setting(setting: &Setting) -> bool;
    quarantine_copies_after(after: ReceivedPosition, limit: u32) -> Vec<(ReceivedPosition, Bytes)>;
    remove_quarantined_copy(digest: Uuid) -> ();
    remove_outdated(what: Outdated, time: Timestamp, limit: u32) -> Vec<MessageKey>;
    purge(limit: u32) -> u64;
}
