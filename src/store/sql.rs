//! [`Store`] over the statements of `queries.rs`, for any [`Engine`]; its [`Tx`] is in `tx.rs`.

mod audit_settings;
mod engine;
mod feed;
mod held;
mod ledger;
mod page;
mod privacy;
mod sampled;
mod summary;
mod tx;

use super::{
    BatchFilter, Expiring, LedgerStore, LedgerTx, PageLimit, PrivacyStore, PrivacyTx, Problem,
    RangeFilter, RangePage, RangePosition, ReceivedPosition, Result, SettingsStore, SettingsTx,
    Snapshot, Store, StoreError, Tx,
    error::is_broken,
    queries,
    reach::Reach,
    rows::{
        AnswerRow, AsOf, AuditBatchRow, CommitRow, ExtentRow, LessonRow, MailboxRow, MessageRow,
        Micros, Owned, QuarantineColumn, QuarantineEntryRow, QuarantineUsageRow, TallyRow,
        TenantIdRow, TenantRevisionRow, TenantRow, signed,
    },
};
use crate::domain::{
    Answer, AuditBatch, BatchId, Lesson, Mailbox, Message, MessageKey, QuarantineEntry,
    QuarantineReason, QuarantineUsage, Tenant, TenantId, Timestamp, Verdict,
};
use async_trait::async_trait;
pub(super) use engine::Engine;
use futures_util::StreamExt as _;
use held::Held;
pub(super) use held::MOST as MOST_HELD;
use page::{range_page, snapshot};
use sampled::sampled;
use sqlx::{
    Encode, Executor, FromRow, IntoArguments, Pool, Transaction, Type, query, query_as,
    query_scalar,
};
use std::collections::HashMap;
use tx::SqlTx;
use uuid::Uuid;

/// Binds the columns of `tenant`, $1 to $17, to a query of either kind.
macro_rules! bind_tenant {
    ($query:expr, $tenant:expr) => {{
        let tenant: &Tenant = $tenant;
        let first =
            |span: Option<(Timestamp, Timestamp)>| span.map(|(first, _)| Micros::from(first));
        let last = |span: Option<(Timestamp, Timestamp)>| span.map(|(_, last)| Micros::from(last));
        $query
            .bind(tenant.id.0)
            .bind(tenant.display_name.clone())
            .bind(Micros::from(tenant.consented_at))
            .bind(tenant.revoked_at.map(Micros::from))
            .bind(Micros::from(tenant.registered_at))
            .bind(tenant.generation.0)
            .bind(signed(tenant.revision))
            .bind(tenant.directory_version)
            .bind(tenant.reattribute_after)
            .bind(tenant.taught)
            .bind(first(tenant.readiness.mailbox_side))
            .bind(last(tenant.readiness.mailbox_side))
            .bind(first(tenant.readiness.agent_side))
            .bind(last(tenant.readiness.agent_side))
            .bind(tenant.deletion.map(|one| Micros::from(one.deleted_at)))
            .bind(tenant.deletion.map(|one| Micros::from(one.delete_after)))
            .bind(i64::from(tenant.retention_days))
    }};
}

use bind_tenant;

#[derive(Debug)]
pub(super) struct SqlStore<E: Engine> {
    readers: Pool<E>,
    writers: Pool<E>,
    /// For answers by key.
    lookups: Held<E>,
    /// For hints: one that listens, and one that tells. `None`: nobody can.
    hints: Option<Pool<E>>,
    /// The beginning of a write.
    begin: &'static str,
    /// Sessions of the database are shared with others, between transactions.
    is_shared: bool,
    reach: Option<Reach>,
}

impl<E: Engine> SqlStore<E> {
    pub(super) fn new(
        readers: Pool<E>,
        writers: Pool<E>,
        lookups: Pool<E>,
        hints: Option<Pool<E>>,
    ) -> Self {
        for (name, pool) in [
            ("readers", &readers),
            ("writers", &writers),
            ("lookups", &lookups),
        ] {
            sampled(name, pool);
        }
        if let Some(hints) = &hints {
            sampled("hints", hints);
        }
        let lookups = Held::new(lookups);
        Self {
            readers,
            writers,
            lookups,
            hints,
            begin: E::BEGIN,
            is_shared: false,
            reach: None,
        }
    }

    /// Who knows whether the database is reached.
    pub(super) fn reached_by(mut self, reach: Reach) -> Self {
        self.reach = Some(reach);
        self
    }

    /// Each transaction has another session: `begin` also says what a session is told once
    /// otherwise.
    pub(super) fn shared(mut self, begin: &'static str) -> Self {
        (self.begin, self.is_shared) = (begin, true);
        self
    }

    /// Starts a write, in a task of its own: a `begin` that is dropped half-way leaves an open
    /// transaction on a connection that goes back to the pool (sqlx 0.9).
    async fn begin_write(&self) -> Result<Transaction<'static, E>, sqlx::Error> {
        let (writers, begin) = (self.writers.clone(), self.begin);
        let begun = tokio::spawn(async move { writers.begin_with(begin).await });
        begun
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed))
    }

    fn down(&self) -> Option<StoreError> {
        self.reach.as_ref().and_then(Reach::down)
    }
}

#[async_trait]
impl<E: Engine> Store for SqlStore<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> Option<Uuid>: Encode<'q, E>,
    for<'q> String: Encode<'q, E> + Type<E>,
    for<'q> Option<String>: Encode<'q, E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> Option<&'q str>: Encode<'q, E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> bool: Encode<'q, E> + Type<E>,
    for<'q> Vec<u8>: Encode<'q, E> + Type<E>,
    for<'q> Option<Vec<u8>>: Encode<'q, E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'q> Option<Micros>: Encode<'q, E>,
    for<'r> (i64,): FromRow<'r, E::Row>,
    for<'r> (Option<i64>,): FromRow<'r, E::Row>,
    for<'r> TenantIdRow: FromRow<'r, E::Row>,
    for<'r> (Vec<u8>,): FromRow<'r, E::Row>,
    for<'r> TenantRow: FromRow<'r, E::Row>,
    for<'r> MailboxRow: FromRow<'r, E::Row>,
    for<'r> LessonRow: FromRow<'r, E::Row>,
    for<'r> MessageRow: FromRow<'r, E::Row>,
    for<'r> AnswerRow: FromRow<'r, E::Row>,
    for<'r> ExtentRow: FromRow<'r, E::Row>,
    for<'r> TallyRow: FromRow<'r, E::Row>,
    for<'r> AsOf<AnswerRow>: FromRow<'r, E::Row>,
    for<'r> AsOf<MessageRow>: FromRow<'r, E::Row>,
    for<'r> AsOf<CommitRow>: FromRow<'r, E::Row>,
    for<'r> TenantRevisionRow: FromRow<'r, E::Row>,
    for<'r> AuditBatchRow: FromRow<'r, E::Row>,
    for<'r> QuarantineEntryRow: FromRow<'r, E::Row>,
    for<'r> QuarantineColumn<Option<i64>>: FromRow<'r, E::Row>,
    for<'r> QuarantineColumn<Vec<u8>>: FromRow<'r, E::Row>,
    for<'r> QuarantineUsageRow: FromRow<'r, E::Row>,
    for<'r> Owned<Uuid>: FromRow<'r, E::Row>,
    Self: LedgerStore + PrivacyStore + SettingsStore,
    SqlTx<E>: LedgerTx + PrivacyTx + SettingsTx,
{
    async fn schema_version(&self) -> Result<Option<i64>> {
        if let Some(cause) = self.down() {
            return Err(cause);
        }
        let found = async {
            let tables: i64 = query_scalar(E::HAS_SCHEMA).fetch_one(&self.readers).await?;
            if tables == 0 {
                return Ok(None);
            }
            let version = query_scalar(queries::SCHEMA_VERSION);
            version.fetch_one(&self.readers).await
        };
        // who waited for a connection does not know the cause
        found
            .await
            .map_err(|error: sqlx::Error| self.down().unwrap_or_else(|| error.into()))
    }

    async fn migrate(&self) -> Result<(Option<i64>, i64)> {
        if self.is_shared {
            let why = "migrate needs a session of its own: name the database itself, not the \
                       pooler, and leave pool=transaction out";
            return Err(StoreError::Url(why.into()));
        }
        let before = self.schema_version().await?;
        let migrator = E::migrator();
        let newest = migrator.iter().map(|migration| migration.version).max();
        // made by a newer program: this one has nothing to add
        if let Some(before) = before.filter(|before| Some(*before) > newest) {
            return Ok((Some(before), before));
        }
        E::migrate(&self.writers, migrator).await?;
        let after = self.schema_version().await?;
        Ok((before, after.unwrap_or_default()))
    }

    async fn check(&self) -> Result<Vec<Problem>> {
        Ok(E::check(&self.readers).await?)
    }

    async fn deployment_secret(&self, candidate: [u8; 32], now: Timestamp) -> Result<[u8; 32]> {
        let mut tx = self.begin_write().await?;
        query(queries::PUT_DEPLOYMENT_KEY)
            .bind(candidate.to_vec()) // $1 secret
            .bind(Micros::from(now)) // $2 created_at
            .execute(&mut *tx)
            .await?;
        let secret: Vec<u8> = query_scalar(queries::DEPLOYMENT_KEY)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        secret
            .try_into()
            .map_err(|_| StoreError::Corrupt("deployment_key.secret is not 32 bytes".into()))
    }

    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool> {
        let mut tx = self.begin_write().await?;
        let created: Option<TenantIdRow> = bind_tenant!(query_as(queries::CREATE_TENANT), tenant)
            .fetch_optional(&mut *tx)
            .await?;
        let created = created
            .map(|row| row.into_id(Some(tenant.id)))
            .transpose()?;
        tx.commit().await?;
        Ok(created.is_some())
    }

    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        query_as(queries::TENANT)
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await?
            .map(|row: TenantRow| row.into_tenant(Some(id)))
            .transpose()
    }

    async fn tenants(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        let page = match after {
            None => query_as(queries::FIRST_TENANTS).bind(i64::from(limit)),
            Some(after) => query_as(queries::TENANTS)
                .bind(after.0)
                .bind(i64::from(limit)),
        };
        let rows: Vec<TenantRow> = page.fetch_all(&self.readers).await?;
        rows.into_iter().map(|row| row.into_tenant(None)).collect()
    }

    async fn tenants_to_reattribute(&self) -> Result<Vec<TenantId>> {
        let rows: Vec<TenantIdRow> = query_as(queries::TENANTS_TO_REATTRIBUTE)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.into_id(None)).collect()
    }

    async fn mailboxes(&self, tenant: TenantId, after: &str, limit: u32) -> Result<Vec<Mailbox>> {
        let rows: Vec<MailboxRow> = query_as(queries::MAILBOXES)
            .bind(tenant.0)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_mailbox(tenant))
            .collect()
    }

    async fn lessons(&self, tenant: TenantId) -> Result<Vec<Lesson>> {
        let rows: Vec<LessonRow> = query_as(queries::LESSONS)
            .bind(tenant.0)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_lesson(tenant))
            .collect()
    }

    async fn answers(
        &self,
        tenant: TenantId,
        keys: &[MessageKey],
    ) -> Result<Option<Snapshot<Vec<Answer>>>> {
        let mut again = true;
        let rows: Vec<AsOf<AnswerRow>> = loop {
            let mut connection = self.lookups.take().await?;
            let read = query_as(E::ANSWERS)
                .bind(tenant.0)
                .bind(E::keys(keys))
                .fetch_all(&mut *connection)
                .await;
            match read {
                Ok(rows) => {
                    self.lookups.keep(connection);
                    break rows;
                }
                Err(error) => {
                    drop(connection);
                    self.lookups.distrust();
                    // it may have been broken since it was used last: the pool's are asked
                    if !(again && is_broken(&error)) {
                        return Err(error.into());
                    }
                    again = false;
                }
            }
        };
        snapshot(tenant, rows, |row| row.into_answer(tenant))
    }

    async fn message(
        &self,
        tenant: TenantId,
        key: MessageKey,
    ) -> Result<Option<Snapshot<Option<Message>>>> {
        let rows: Vec<AsOf<MessageRow>> = query_as(queries::MESSAGE)
            .bind(tenant.0)
            .bind(key.0)
            .fetch_all(&self.readers)
            .await?;
        let found = snapshot(tenant, rows, |row| row.into_message(tenant))?;
        Ok(found.map(|mut found| Snapshot {
            generation: found.generation,
            as_of: found.as_of,
            value: found.value.pop(),
        }))
    }

    async fn range(
        &self,
        tenant: TenantId,
        filter: &RangeFilter,
        after: Option<RangePosition>,
        limit: PageLimit,
    ) -> Result<RangePage> {
        // before the first: just before the start, behind every key
        let after = after.unwrap_or(RangePosition {
            sent_at: Timestamp::from_micros(filter.range.start.micros() - 1),
            key: MessageKey(Uuid::max()),
        });
        // the pool itself would hand every row on once more
        let mut connection = self.readers.acquire().await?;
        let rows = query_as(queries::RANGE)
            .bind(tenant.0) // $1
            .bind(Micros::from(after.sent_at)) // $2
            .bind(after.key.0) // $3
            .bind(Micros::from(filter.range.end)) // $4
            .bind(filter.mailbox.as_deref()) // $5
            .bind(filter.agent.as_deref()) // $6
            .bind(filter.verdict.map(Verdict::name)) // $7
            .bind(i64::from(limit.rows) + 1) // $8: one more tells whether there are more
            .fetch(&mut *connection);
        let answers = rows.map(|row: Result<AnswerRow, _>| row?.into_answer(tenant));
        range_page(answers, limit).await
    }

    async fn begin(&self, tenant: TenantId) -> Result<Option<Box<dyn Tx>>> {
        let mut tx = self.begin_write().await?;
        let row: Option<TenantRow> = query_as(E::LOCK_TENANT)
            .bind(tenant.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let tenant = row.into_tenant(Some(tenant))?;
        Ok(Some(Box::new(SqlTx { tx, tenant })))
    }

    async fn audit_batch(&self, tenant: TenantId, id: BatchId) -> Result<Option<AuditBatch>> {
        query_as(queries::AUDIT_BATCH)
            .bind(tenant.0)
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await?
            .map(|row: AuditBatchRow| row.into_batch(tenant))
            .transpose()
    }

    async fn audit_batches(
        &self,
        tenant: TenantId,
        filter: &BatchFilter,
        after: Option<ReceivedPosition>,
        limit: u32,
    ) -> Result<Vec<AuditBatch>> {
        let after = after.unwrap_or(NEWEST);
        let rows: Vec<AuditBatchRow> = query_as(queries::AUDIT_BATCHES)
            .bind(tenant.0) // $1
            .bind(Micros::from(filter.received.start)) // $2
            .bind(Micros::from(filter.received.end)) // $3
            .bind(Micros::from(after.received_at)) // $4
            .bind(after.id) // $5
            .bind(filter.source.as_deref()) // $6
            .bind(i64::from(limit)) // $7
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.into_batch(tenant)).collect()
    }

    async fn quarantined(
        &self,
        tenant: TenantId,
        reason: Option<QuarantineReason>,
        after: Option<ReceivedPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantineEntry>> {
        let after = after.unwrap_or(NEWEST);
        let rows: Vec<QuarantineEntryRow> = query_as(queries::QUARANTINED)
            .bind(tenant.0) // $1
            .bind(Micros::from(after.received_at)) // $2
            .bind(after.id) // $3
            .bind(reason.map(QuarantineReason::name)) // $4
            .bind(i64::from(limit)) // $5
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.into_entry(tenant)).collect()
    }

    async fn quarantined_copies(
        &self,
        tenant: TenantId,
        digests: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<u8>>> {
        let rows: Vec<QuarantineColumn<Vec<u8>>> = query_as(E::QUARANTINED_COPIES)
            .bind(tenant.0)
            .bind(E::ids(digests.to_vec()))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.checked(tenant)).collect()
    }

    async fn quarantine_usage(&self, tenant: TenantId) -> Result<QuarantineUsage> {
        let row: Option<QuarantineUsageRow> = query_as(queries::QUARANTINE_USAGE)
            .bind(tenant.0)
            .bind(Micros::from(Timestamp::LATEST))
            .fetch_optional(&self.readers)
            .await?;
        row.map_or(Ok(QuarantineUsage::default()), |row| row.into_usage(tenant))
    }

    async fn expire(
        &self,
        tenant: TenantId,
        what: Expiring,
        time: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let mut tx = self.begin_write().await?;
        let deleted = query(match what {
            Expiring::Receipts => E::EXPIRE_RECEIPTS,
            Expiring::Quarantine => E::EXPIRE_QUARANTINE,
            Expiring::Changes => queries::EXPIRE_CHANGES,
            Expiring::Failures => E::EXPIRE_FAILURES,
        })
        .bind(tenant.0) // $1
        .bind(Micros::from(time)) // $2
        .bind(i64::from(limit)) // $3
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(E::affected(&deleted))
    }
}

/// Before the first page of what goes from new to old.
const NEWEST: ReceivedPosition = ReceivedPosition {
    received_at: Timestamp::LATEST,
    id: Uuid::max(),
};
