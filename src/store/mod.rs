//! What is kept, and the only place that knows sqlx.
//!
//! [`Store`] and [`Tx`] are the contract.
//! The workflow of a write is in `app`, once, over `dyn Tx`; an engine offers statements.
//!
//! | file | |
//! |---|---|
//! | `feed.rs` | the part of the contract that is about the change feed |
//! | `ledger.rs` | the part of the contract that is about covered time |
//! | `summary.rs` | the part of the contract that is about counts |
//! | `audit_settings.rs` | the part of the contract that is about the audit set-up |
//! | `privacy.rs` | the part of the contract that is about what has to go |
//! | `queries.rs`, `queries/` | every statement that both engines run, as text |
//! | `sql.rs`, `sql/` | `Store` and `Tx` over these statements, for any engine |
//! | `postgres.rs`, `sqlite.rs` | what differs: connecting, locking, bulk reads and writes |
//! | `rows.rs`, `rows/`, `evidence.rs` | rows and evidence bytes ⇄ domain |
//! | `check.rs` | what of the database is not as it must be |
//! | `examine.rs` | what a server needs of its database, looked at one by one |
//! | `bounded.rs`, `deadline.rs` | every call ends in time |
//! | `turns.rs` | so many of one tenant at a time |
//! | `error.rs` | which database errors mean what |
//! | `reach.rs` | whether the database is reached, known without asking |

mod audit_settings;
mod bounded;
mod check;
mod deadline;
mod error;
pub mod evidence;
mod examine;
mod feed;
pub mod ledger;
mod postgres;
pub mod privacy;
mod queries;
mod reach;
mod rows;
mod sql;
mod sqlite;
mod summary;
mod turns;

use crate::domain::{
    AdminChange, Answer, AuditBatch, BatchId, ChangeKind, Generation, Identity, Lesson, Mailbox,
    Message, MessageKey, QuarantineEntry, QuarantineReason, QuarantineUsage, QuarantinedRecord,
    Revision, Tenant, TenantId, TimeRange, Timestamp, Verdict,
};
use async_trait::async_trait;
pub use audit_settings::{ChangesLimit, SettingsStore, SettingsTx};
use bounded::Bounded;
pub use check::Problem;
pub use deadline::{deadline, inherited, until};
pub use error::{AsContended, Result, StoreError, retrying};
pub use examine::{clock as examine_clock, examine_postgres, examine_sqlite};
pub use feed::{CommitLimit, FeedStore, Hints, TenantRevision};
pub use ledger::{LedgerStore, LedgerTx};
pub use privacy::{Erasure, PrivacyStore, PrivacyTx};
use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    path::Path,
    sync::Arc,
};
pub use summary::SummaryStore;
pub use turns::Turns;
use uuid::Uuid;

/// The schema versions (numbers of the newest migration) that this program can work with.
/// A schema one ahead is accepted, so that migrations can go first (expand, then contract).
pub const SCHEMA_VERSIONS: std::ops::RangeInclusive<i64> = 7..=8;

/// What was read, and the tenant's life and revision in the snapshot it was read in.
#[derive(Debug)]
pub struct Snapshot<T> {
    pub generation: Generation,
    pub as_of: Revision,
    pub value: T,
}

/// Which messages of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeFilter {
    /// Send time.
    pub range: TimeRange,
    pub mailbox: Option<String>,
    pub agent: Option<String>,
    pub verdict: Option<Verdict>,
}

/// Where a page of a range ends: the next one starts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangePosition {
    pub sent_at: Timestamp,
    pub key: MessageKey,
}

/// How much a page of a range holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    pub rows: u32,
    /// The row that reaches it ([`Answer::size`]) is the last one: most rows are small, and one
    /// with many candidates is a hundred times as large.
    pub bytes: usize,
}

/// A page of a range.
#[derive(Debug, Default)]
pub struct RangePage {
    pub answers: Vec<Answer>,
    /// There are more behind the last one.
    pub more: bool,
}

/// Which receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFilter {
    /// Time of receipt.
    pub received: TimeRange,
    pub source: Option<String>,
}

/// Where a page that goes from new to old ends: the next one starts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedPosition {
    pub received_at: Timestamp,
    /// Of a batch its id, of a quarantined record its digest.
    pub id: Uuid,
}

/// What is kept for a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiring {
    Receipts,
    Quarantine,
    /// What revisions changed: the beginning of the feed.
    Changes,
    /// Windows that were not complete.
    Failures,
}

/// The rows of all tenants. Every read of a tenant's data takes its id, and every row is
/// checked to be that tenant's before it leaves.
///
/// A call must not be dropped half-way (a dropped `begin` can leave an open transaction on
/// a pooled connection): run it in a task of its own.
#[async_trait]
pub trait Store:
    FeedStore + LedgerStore + PrivacyStore + SettingsStore + SummaryStore + Send + Sync + Debug
{
    /// Reaches the store and tells its schema version. `None`: no schema.
    async fn schema_version(&self) -> Result<Option<i64>>;

    /// Applies the migrations that are missing; tells the version before and after.
    async fn migrate(&self) -> Result<(Option<i64>, i64)>;

    /// What of the database is not as the migrations have made it, and what of its walls between
    /// tenants does not stand. For a schema of [`SCHEMA_VERSIONS`].
    async fn check(&self) -> Result<Vec<Problem>>;

    /// The deployment's secret; `candidate` becomes it if there is none yet.
    async fn deployment_secret(&self, candidate: [u8; 32], now: Timestamp) -> Result<[u8; 32]>;

    /// Adds a tenant. `false`: its id is there already, nothing was changed.
    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool>;

    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>>;

    /// At most `limit` tenants behind `after`, in the order of ids.
    async fn tenants(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>>;

    /// Tenants whose stored messages a changed directory has not reached yet.
    async fn tenants_to_reattribute(&self) -> Result<Vec<TenantId>>;

    /// At most `limit` entries of the register behind `after`, in the order of addresses.
    async fn mailboxes(&self, tenant: TenantId, after: &str, limit: u32) -> Result<Vec<Mailbox>>;

    /// All lessons of a tenant, in no order.
    async fn lessons(&self, tenant: TenantId) -> Result<Vec<Lesson>>;

    /// The answers of those keys that are stored, in no order. The keys must be distinct.
    /// `None`: no such tenant.
    async fn answers(
        &self,
        tenant: TenantId,
        keys: &[MessageKey],
    ) -> Result<Option<Snapshot<Vec<Answer>>>>;

    /// One message with its evidence. `None`: no such tenant.
    async fn message(
        &self,
        tenant: TenantId,
        key: MessageKey,
    ) -> Result<Option<Snapshot<Option<Message>>>>;

    /// Listed answers by (send time, key), strictly behind `after`.
    async fn range(
        &self,
        tenant: TenantId,
        filter: &RangeFilter,
        after: Option<RangePosition>,
        limit: PageLimit,
    ) -> Result<RangePage>;

    /// Starts a write of this tenant and locks its row: writes of one tenant follow one
    /// another, so revisions are gapless and in the order of commits. `None`: no such tenant.
    async fn begin(&self, tenant: TenantId) -> Result<Option<Box<dyn Tx>>>;

    async fn audit_batch(&self, tenant: TenantId, id: BatchId) -> Result<Option<AuditBatch>>;

    /// At most `limit` batches strictly behind `after`, from new to old.
    async fn audit_batches(
        &self,
        tenant: TenantId,
        filter: &BatchFilter,
        after: Option<ReceivedPosition>,
        limit: u32,
    ) -> Result<Vec<AuditBatch>>;

    /// At most `limit` quarantined records strictly behind `after`, from new to old.
    async fn quarantined(
        &self,
        tenant: TenantId,
        reason: Option<QuarantineReason>,
        after: Option<ReceivedPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantineEntry>>;

    /// The copies of those of these records that have one, by digest.
    async fn quarantined_copies(
        &self,
        tenant: TenantId,
        digests: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<u8>>>;

    /// What the tenant's quarantine holds.
    async fn quarantine_usage(&self, tenant: TenantId) -> Result<QuarantineUsage>;

    /// Deletes at most `limit` of what was received (or committed) before `time`, oldest first;
    /// tells how many that were. What another process is working on is passed over.
    async fn expire(
        &self,
        tenant: TenantId,
        what: Expiring,
        time: Timestamp,
        limit: u32,
    ) -> Result<u64>;
}

/// One write of one tenant. Dropped without [`Tx::commit`], nothing of it happened.
#[async_trait]
pub trait Tx: LedgerTx + PrivacyTx + SettingsTx + Send {
    /// The tenant as it was when the lock was taken.
    fn tenant(&self) -> &Tenant;

    /// The whole register, in the order of addresses.
    async fn mailboxes(&mut self) -> Result<Vec<Mailbox>>;

    /// All lessons, in no order.
    async fn lessons(&mut self) -> Result<Vec<Lesson>>;

    /// The stored messages of these keys, in no order. The keys must be distinct.
    async fn messages(&mut self, keys: &[MessageKey]) -> Result<Vec<Message>>;

    /// At most `limit` messages behind `after`, in the order of keys.
    async fn messages_after(&mut self, after: MessageKey, limit: u32) -> Result<Vec<Message>>;

    /// Stores messages that are not there yet. The keys must be distinct. One that is there
    /// fails the write as [`StoreError::Contended`]: read again what is stored.
    async fn add_messages(&mut self, messages: &[Message]) -> Result<()>;

    /// Replaces messages that are there. The keys must be distinct.
    async fn replace_messages(&mut self, messages: &[Message]) -> Result<()>;

    /// Adds lessons, each once; one that is there spans both times.
    async fn put_lessons(&mut self, lessons: &[Lesson]) -> Result<()>;

    /// Notes that messages wait for a lesson about an identity.
    async fn put_waiting(&mut self, waiting: &[(Identity<'static>, MessageKey)]) -> Result<()>;

    /// Whether a message waits for any of these.
    async fn is_waited_for(&mut self, identities: &[Identity<'static>]) -> Result<bool>;

    /// At most `limit` messages that wait for an identity of which there is a lesson by now,
    /// in the order of keys.
    async fn messages_taught(&mut self, limit: u32) -> Result<Vec<MessageKey>>;

    /// These messages wait no longer for what there are lessons of.
    async fn remove_taught(&mut self, keys: &[MessageKey]) -> Result<()>;

    /// Stores what is not there yet; tells the record ids and digests of that.
    async fn put_admin_changes(&mut self, changes: &[AdminChange])
    -> Result<HashSet<(Uuid, Uuid)>>;

    /// Stores what is not there yet (by digest).
    async fn put_quarantined(&mut self, records: &[QuarantinedRecord]) -> Result<()>;

    /// Inserts or replaces entries of the register by address.
    async fn put_mailboxes(&mut self, mailboxes: &[Mailbox]) -> Result<()>;

    async fn remove_mailboxes(&mut self, addresses: &[String]) -> Result<()>;

    /// Replaces the tenant's row.
    async fn put_tenant(&mut self, tenant: &Tenant) -> Result<()>;

    /// Appends what a revision changed.
    async fn append_change(
        &mut self,
        revision: Revision,
        committed_at: Timestamp,
        messages: &[(MessageKey, ChangeKind)],
    ) -> Result<()>;

    /// On an error it is unknown whether it was committed.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Those of these batches that are stored, in no order.
    async fn audit_batches(&mut self, ids: &[BatchId]) -> Result<Vec<AuditBatch>>;

    /// Stores the receipts of several batches. Their ids must be new.
    async fn put_audit_batches(&mut self, batches: &[AuditBatch]) -> Result<()>;

    /// Those of these records that are in quarantine, and whether there is a copy of each.
    async fn quarantined(&mut self, digests: &[Uuid]) -> Result<HashMap<Uuid, bool>>;

    async fn quarantine_usage(&mut self) -> Result<QuarantineUsage>;

    /// Gives records that stay in quarantine the reason and detail of these entries.
    async fn change_quarantined(&mut self, entries: &[QuarantineEntry]) -> Result<()>;

    async fn remove_quarantined(&mut self, digests: &[Uuid]) -> Result<()>;
}

/// The embedded store: one file, made if it is not there. Connects on first use.
pub fn open_sqlite(path: &Path) -> Arc<dyn Store> {
    Arc::new(Bounded::new(sqlite::open(path)))
}

/// Lets a role of Postgres read the views and nothing else; makes it if it is not there.
/// `tenants`: whose rows it reads; `None`: all.
pub async fn grant_reader(url: &str, role: &str, tenants: Option<&[TenantId]>) -> Result<()> {
    postgres::grant_reader(url, role, tenants).await
}

/// Lets a role of Postgres serve and nothing else; makes it if it is not there.
pub async fn grant_program(url: &str, role: &str) -> Result<()> {
    postgres::grant_program(url, role).await
}

/// Connects on first use, so a database that is down does not keep the program from
/// starting.
pub fn open_postgres(url: &str) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(Bounded::new(postgres::open(url)?)))
}
