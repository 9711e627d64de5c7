//! [`Tx`]: one write of one tenant.

use super::{
    super::{
        LedgerTx, PrivacyTx, Result, SettingsTx, StoreError, Tx, queries,
        rows::{
            AdminChangeRow, AuditBatchRow, LessonRow, MailboxRow, MessageRow, Micros, Owned,
            QuarantineColumn, QuarantineRow, QuarantineUsageRow, mailbox_kind, pack, signed,
        },
    },
    Engine, bind_tenant,
};
use crate::domain::{
    AdminChange, AuditBatch, BatchId, ChangeKind, Identity, Lesson, Mailbox, Message, MessageKey,
    QuarantineEntry, QuarantineUsage, QuarantinedRecord, Revision, Tenant, Timestamp,
};
use async_trait::async_trait;
use sqlx::{
    Encode, Executor, FromRow, IntoArguments, QueryBuilder, Transaction, Type, query, query_as,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Rows of one statement with a list of them.
const ROWS: usize = 500;

pub(super) struct SqlTx<E: Engine> {
    pub(super) tx: Transaction<'static, E>,
    pub(super) tenant: Tenant,
}

#[async_trait]
impl<E: Engine> Tx for SqlTx<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> Option<Uuid>: Encode<'q, E>,
    for<'q> String: Encode<'q, E> + Type<E>,
    for<'q> Option<String>: Encode<'q, E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> bool: Encode<'q, E> + Type<E>,
    for<'q> Vec<u8>: Encode<'q, E> + Type<E>,
    for<'q> Option<Vec<u8>>: Encode<'q, E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'q> Option<Micros>: Encode<'q, E>,
    for<'r> MailboxRow: FromRow<'r, E::Row>,
    for<'r> LessonRow: FromRow<'r, E::Row>,
    for<'r> MessageRow: FromRow<'r, E::Row>,
    for<'r> AuditBatchRow: FromRow<'r, E::Row>,
    for<'r> QuarantineColumn<Option<i64>>: FromRow<'r, E::Row>,
    for<'r> QuarantineUsageRow: FromRow<'r, E::Row>,
    for<'r> Owned<Uuid>: FromRow<'r, E::Row>,
    Self: LedgerTx + PrivacyTx + SettingsTx,
{
    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    async fn mailboxes(&mut self) -> Result<Vec<Mailbox>> {
        let tenant = self.tenant.id;
        let rows: Vec<MailboxRow> = query_as(queries::MAILBOXES)
            .bind(tenant.0)
            .bind("")
            .bind(i64::MAX)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_mailbox(tenant))
            .collect()
    }

    async fn lessons(&mut self) -> Result<Vec<Lesson>> {
        let tenant = self.tenant.id;
        let rows: Vec<LessonRow> = query_as(queries::LESSONS)
            .bind(tenant.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_lesson(tenant))
            .collect()
    }

    async fn messages(&mut self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant.id;
        let rows: Vec<MessageRow> = query_as(E::MESSAGES)
            .bind(tenant.0)
            .bind(E::keys(keys))
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_message(tenant))
            .collect()
    }

    async fn messages_after(&mut self, after: MessageKey, limit: u32) -> Result<Vec<Message>> {
        let tenant = self.tenant.id;
        let rows: Vec<MessageRow> = query_as(queries::MESSAGES_AFTER)
            .bind(tenant.0)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_message(tenant))
            .collect()
    }

    async fn add_messages(&mut self, messages: &[Message]) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let added = E::add_messages(&mut self.tx, self.tenant.id, messages).await;
        added.map_err(StoreError::of_row_that_is_there)
    }

    async fn replace_messages(&mut self, messages: &[Message]) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let replaced = E::replace_messages(&mut self.tx, self.tenant.id, messages).await?;
        if replaced == messages.len() as u64 {
            Ok(())
        } else {
            // somebody who does not take the tenant's lock has deleted some
            Err(StoreError::Contended(Arc::new(sqlx::Error::RowNotFound)))
        }
    }

    async fn put_lessons(&mut self, lessons: &[Lesson]) -> Result<()> {
        if lessons.is_empty() {
            return Ok(());
        }
        Ok(E::put_lessons(&mut self.tx, self.tenant.id, lessons).await?)
    }

    async fn put_waiting(&mut self, waiting: &[(Identity<'static>, MessageKey)]) -> Result<()> {
        if waiting.is_empty() {
            return Ok(());
        }
        Ok(E::put_waiting(&mut self.tx, self.tenant.id, waiting).await?)
    }

    async fn is_waited_for(&mut self, identities: &[Identity<'static>]) -> Result<bool> {
        let tenant = self.tenant.id;
        for some in identities.chunks(ROWS) {
            let mut statement = QueryBuilder::new(queries::IS_WAITED_FOR);
            statement.push_bind(tenant.0).push(" AND identity IN (");
            let mut list = statement.separated(", ");
            for identity in some {
                list.push_bind(identity.to_string());
            }
            statement.push(") LIMIT 1");
            let found: Option<Owned<Uuid>> = statement
                .build_query_as()
                .persistent(false)
                .fetch_optional(&mut *self.tx)
                .await?;
            if let Some(found) = found {
                found.checked(tenant, "waiting")?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn messages_taught(&mut self, limit: u32) -> Result<Vec<MessageKey>> {
        let tenant = self.tenant.id;
        let rows: Vec<Owned<Uuid>> = query_as(queries::MESSAGES_TAUGHT)
            .bind(tenant.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| Ok(MessageKey(row.checked(tenant, "waiting")?)))
            .collect()
    }

    async fn remove_taught(&mut self, keys: &[MessageKey]) -> Result<()> {
        query(E::REMOVE_TAUGHT)
            .bind(self.tenant.id.0)
            .bind(E::keys(keys))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn put_admin_changes(
        &mut self,
        changes: &[AdminChange],
    ) -> Result<HashSet<(Uuid, Uuid)>> {
        if changes.is_empty() {
            return Ok(HashSet::new());
        }
        let tenant = self.tenant.id;
        let rows = changes.iter().map(|c| AdminChangeRow::of(tenant, c));
        let new = E::put_admin_changes(&mut self.tx, rows.collect()).await?;
        new.into_iter().map(|row| row.checked(tenant)).collect()
    }

    async fn put_quarantined(&mut self, records: &[QuarantinedRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.id;
        let rows = records.iter().map(|r| QuarantineRow::of(tenant, r));
        Ok(E::put_quarantined(&mut self.tx, rows.collect()).await?)
    }

    async fn put_mailboxes(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        for mailbox in mailboxes {
            query(queries::PUT_MAILBOX)
                .bind(self.tenant.id.0) // $1 tenant_id
                .bind(mailbox.address.as_str()) // $2 address
                .bind(mailbox_kind(mailbox.kind)) // $3 kind
                .bind(mailbox.aliases.join(" ")) // $4 aliases
                .bind(mailbox.display_name.as_str()) // $5 display_name
                .bind(mailbox.guid) // $6 mailbox_guid
                .bind(mailbox.object_id) // $7 object_id
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn remove_mailboxes(&mut self, addresses: &[String]) -> Result<()> {
        for address in addresses {
            query(queries::REMOVE_MAILBOX)
                .bind(self.tenant.id.0) // $1 tenant_id
                .bind(address.as_str()) // $2 address
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn put_tenant(&mut self, tenant: &Tenant) -> Result<()> {
        bind_tenant!(query(queries::PUT_TENANT), tenant)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn append_change(
        &mut self,
        revision: Revision,
        committed_at: Timestamp,
        messages: &[(MessageKey, ChangeKind)],
    ) -> Result<()> {
        query(queries::APPEND_CHANGE)
            .bind(self.tenant.id.0) // $1 tenant_id
            .bind(signed(revision)) // $2 revision
            .bind(Micros::from(committed_at)) // $3 committed_at
            .bind(pack(messages)) // $4 messages
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    async fn audit_batches(&mut self, ids: &[BatchId]) -> Result<Vec<AuditBatch>> {
        let tenant = self.tenant.id;
        let rows: Vec<AuditBatchRow> = query_as(E::AUDIT_BATCHES)
            .bind(tenant.0)
            .bind(E::ids(ids.iter().map(|id| id.0).collect()))
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter().map(|row| row.into_batch(tenant)).collect()
    }

    async fn put_audit_batches(&mut self, batches: &[AuditBatch]) -> Result<()> {
        let tenant = self.tenant.id;
        let rows = batches.iter().map(|b| AuditBatchRow::of(tenant, b));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        Ok(E::put_audit_batches(&mut self.tx, rows).await?)
    }

    async fn quarantined(&mut self, digests: &[Uuid]) -> Result<HashMap<Uuid, bool>> {
        let tenant = self.tenant.id;
        let rows: Vec<QuarantineColumn<Option<i64>>> = query_as(E::QUARANTINED_SIZES)
            .bind(tenant.0)
            .bind(E::ids(digests.to_vec()))
            .fetch_all(&mut *self.tx)
            .await?;
        let known = rows.into_iter().map(|row| {
            let (digest, size) = row.checked(tenant)?;
            Ok((digest, size.is_some()))
        });
        known.collect()
    }

    async fn quarantine_usage(&mut self) -> Result<QuarantineUsage> {
        let tenant = self.tenant.id;
        let row: Option<QuarantineUsageRow> = query_as(queries::QUARANTINE_USAGE)
            .bind(tenant.0)
            .bind(Micros::from(Timestamp::LATEST))
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map_or(Ok(QuarantineUsage::default()), |row| row.into_usage(tenant))
    }

    async fn change_quarantined(&mut self, entries: &[QuarantineEntry]) -> Result<()> {
        for entry in entries {
            query(queries::CHANGE_QUARANTINED)
                .bind(self.tenant.id.0) // $1 tenant_id
                .bind(entry.digest) // $2 digest
                .bind(entry.reason.name()) // $3 reason
                .bind(entry.detail.as_str()) // $4 detail
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn remove_quarantined(&mut self, digests: &[Uuid]) -> Result<()> {
        query(E::REMOVE_QUARANTINED)
            .bind(self.tenant.id.0)
            .bind(E::ids(digests.to_vec()))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
