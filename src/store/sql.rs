//! [`Store`] over the statements of `queries.rs`, for any [`Engine`]; its [`Tx`] is in `tx.rs`.

mod audit_settings;
mod engine;
mod feed;
mod held;
mod ledger;
mod page;
mod privacy;
mod summary;
mod tx;

use super::{
    BatchFilter, Expiring, LedgerStore, LedgerTx, PageLimit, PrivacyStore, PrivacyTx, RangeFilter,
    RangePage, RangePosition, ReceivedPosition, Result, SettingsStore, SettingsTx, Snapshot, Store,
    StoreError, Tx,
    error::is_broken,
    queries,
    rows::{
        AnswerRow, AsOf, AuditBatchRow, CommitRow, ExtentRow, LessonRow, MailboxRow, MessageRow,
        Micros, QuarantineColumn, QuarantineEntryRow, QuarantineUsageRow, TallyRow,
        TenantRevisionRow, TenantRow, signed,
    },
};
use crate::domain::{
    Answer, AuditBatch, BatchId, Lesson, Mailbox, Message, MessageKey, QuarantineEntry,
    QuarantineReason, Tenant, TenantId, Timestamp, Verdict,
};
use async_trait::async_trait;
pub(super) use engine::Engine;
use futures_util::StreamExt as _;
use held::Held;
pub(super) use held::MOST as MOST_HELD;
use page::{range_page, snapshot};
use sqlx::{
    ConnectOptions as _, Encode, Executor, FromRow, IntoArguments, Pool, Type, query, query_as,
    query_scalar,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
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
    /// For hints: one that listens, and one that tells.
    hints: Pool<E>,
}

/// How long a database may take to say why it cannot be used.
const PATIENCE: Duration = Duration::from_secs(2);

impl<E: Engine> SqlStore<E> {
    pub(super) fn new(
        readers: Pool<E>,
        writers: Pool<E>,
        lookups: Pool<E>,
        hints: Pool<E>,
    ) -> Self {
        let lookups = Held::new(lookups);
        Self {
            readers,
            writers,
            lookups,
            hints,
        }
    }

    /// The pool tries again until its time is up and does not tell why it could not connect.
    async fn why_unreachable(&self) -> sqlx::Error {
        let options = self.readers.connect_options();
        match tokio::time::timeout(PATIENCE, options.connect()).await {
            Ok(Err(cause)) => cause,
            _ => sqlx::Error::PoolTimedOut,
        }
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
    for<'r> (Uuid,): FromRow<'r, E::Row>,
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
    Self: LedgerStore + PrivacyStore + SettingsStore,
    SqlTx<E>: LedgerTx + PrivacyTx + SettingsTx,
{
    async fn schema_version(&self) -> Result<Option<i64>> {
        let tables = query_scalar(E::HAS_SCHEMA).fetch_one(&self.readers);
        let tables: i64 = match tables.await {
            Err(sqlx::Error::PoolTimedOut) => return Err(self.why_unreachable().await.into()),
            tables => tables?,
        };
        if tables == 0 {
            return Ok(None);
        }
        Ok(query_scalar(queries::SCHEMA_VERSION)
            .fetch_one(&self.readers)
            .await?)
    }

    async fn migrate(&self) -> Result<(Option<i64>, i64)> {
        let before = self.schema_version().await?;
        E::migrate(&self.writers)
            .await
            .map_err(|error| StoreError::Migrate(Arc::new(error)))?;
        let after = self.schema_version().await?;
        Ok((before, after.unwrap_or_default()))
    }

    async fn deployment_secret(&self, candidate: [u8; 32], now: Timestamp) -> Result<[u8; 32]> {
        let mut tx = self.writers.begin_with(E::BEGIN).await?;
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
        let mut tx = self.writers.begin_with(E::BEGIN).await?;
        let created: Option<(Uuid,)> = bind_tenant!(query_as(queries::CREATE_TENANT), tenant)
            .fetch_optional(&mut *tx)
            .await?;
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
        let rows: Vec<(Uuid,)> = query_as(queries::TENANTS_TO_REATTRIBUTE)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.into_iter().map(|(id,)| TenantId(id)).collect())
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
        snapshot(rows, |row| row.into_answer(tenant))
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
        let found = snapshot(rows, |row| row.into_message(tenant))?;
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
        let mut tx = self.writers.begin_with(E::BEGIN).await?;
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

    async fn expire(
        &self,
        tenant: TenantId,
        what: Expiring,
        time: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let mut tx = self.writers.begin_with(E::BEGIN).await?;
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
