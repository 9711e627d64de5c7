//! What an engine brings along.

use super::super::{
    Hints, Problem, StoreError,
    rows::{AdminChangeIdRow, AdminChangeRow, AuditBatchRow, QuarantineRow},
};
use crate::domain::{Identity, Lesson, Message, MessageKey, TenantId};
use sqlx::{Database, Encode, Pool, Type, database::HasStatementCache, migrate::Migrator};
use std::future::Future;
use uuid::Uuid;

/// What differs between the databases.
pub(in crate::store) trait Engine: Database + HasStatementCache + Sized {
    /// Starts a write. SQLite takes its one write lock here.
    const BEGIN: &'static str;
    /// [`queries::tenant`] that waits for other writers of the tenant.
    const LOCK_TENANT: &'static str;
    /// [`queries::answers`] of the keys `$2`.
    const ANSWERS: &'static str;
    /// [`queries::messages`] of the keys `$2`.
    const MESSAGES: &'static str;
    /// [`queries::remove_taught`] of the keys `$2`.
    const REMOVE_TAUGHT: &'static str;
    /// [`queries::remove_messages`] of the keys `$2`: the messages, and what they wait for.
    const REMOVE_MESSAGES: [&'static str; 2];
    /// Deletes at most `$2` rows of the tenant `$1`, a statement for each table
    /// ([`queries::purges`]).
    const PURGE: &'static [&'static str];
    /// [`queries::revisions`] of the tenants `$1`.
    const REVISIONS: &'static str;
    /// [`queries::tallies`] with the slots of this engine's times.
    const TALLIES: &'static str;
    /// 1 if the table of migrations is there.
    const HAS_SCHEMA: &'static str;

    /// [`queries::audit_batches`] of the ids `$2`.
    const AUDIT_BATCHES: &'static str;

    /// [`queries::quarantined`] of the digests `$2`: the sizes, and the bytes.
    const QUARANTINED_SIZES: &'static str;
    const QUARANTINED_COPIES: &'static str;
    /// [`queries::remove_quarantined`] of the digests `$2`.
    const REMOVE_QUARANTINED: &'static str;
    /// [`queries::expire`] that passes over what another process has locked.
    const EXPIRE_RECEIPTS: &'static str;
    const EXPIRE_QUARANTINE: &'static str;
    const EXPIRE_FAILURES: &'static str;

    /// Several keys or digests as one bound value.
    type Keys: for<'q> Encode<'q, Self> + Type<Self> + Send + 'static;
    fn ids(ids: Vec<Uuid>) -> Self::Keys;

    fn keys(keys: &[MessageKey]) -> Self::Keys {
        Self::ids(keys.iter().map(|key| key.0).collect())
    }

    /// Inserts messages, in bulk. One that is there violates the primary key.
    fn add_messages(
        connection: &mut Self::Connection,
        tenant: TenantId,
        messages: &[Message],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Replaces messages, in bulk; tells how many that were.
    fn replace_messages(
        connection: &mut Self::Connection,
        tenant: TenantId,
        messages: &[Message],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Inserts lessons, in bulk; one that is there spans both times.
    fn put_lessons(
        connection: &mut Self::Connection,
        tenant: TenantId,
        lessons: &[Lesson],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Inserts what is not there yet, in bulk.
    fn put_waiting(
        connection: &mut Self::Connection,
        tenant: TenantId,
        waiting: &[(Identity<'static>, MessageKey)],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Inserts what is not there yet, in bulk; tells which that was.
    fn put_admin_changes(
        connection: &mut Self::Connection,
        rows: Vec<AdminChangeRow>,
    ) -> impl Future<Output = Result<Vec<AdminChangeIdRow>, sqlx::Error>> + Send;

    /// Inserts receipts, in bulk.
    fn put_audit_batches(
        connection: &mut Self::Connection,
        rows: Vec<AuditBatchRow>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Inserts what is not there yet, in bulk.
    fn put_quarantined(
        connection: &mut Self::Connection,
        rows: Vec<QuarantineRow>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Hints to other processes that these tenants have changed.
    fn hint(
        pool: &Pool<Self>,
        tenants: &[TenantId],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The hints of other processes, if the engine has such a thing.
    fn hints(
        pool: &Pool<Self>,
    ) -> impl Future<Output = Result<Option<Box<dyn Hints>>, sqlx::Error>> + Send;

    /// Rows that a statement has changed.
    fn affected(result: &Self::QueryResult) -> u64;

    /// All migrations there are.
    fn migrator() -> Migrator;

    /// Applies those that are missing, one process at a time.
    fn migrate(
        pool: &Pool<Self>,
        migrator: Migrator,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What is not as the migrations have made it.
    fn check(pool: &Pool<Self>) -> impl Future<Output = Result<Vec<Problem>, sqlx::Error>> + Send;
}
