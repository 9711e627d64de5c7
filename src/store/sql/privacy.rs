//! [`PrivacyStore`] and [`PrivacyTx`]: what has to go.

use super::{
    super::{
        ReceivedPosition, Result, StoreError,
        privacy::{Counts, Erasure, Outdated, PrivacyStore, PrivacyTx},
        queries,
        rows::{
            AdminChangeReadRow, CopyRow, ErasureRow, Micros, Owned, TenantIdRow, TombstoneRow,
            setting_content, signed,
        },
    },
    Engine, SqlStore,
    tx::SqlTx,
};
use crate::domain::{
    AdminChange, Identity, MessageKey, Pseudonym, Setting, TenantId, Timestamp, Tombstone,
};
use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{Encode, Executor, FromRow, IntoArguments, Pool, Type, query, query_as};
use uuid::Uuid;

#[async_trait]
impl<E: Engine> PrivacyStore for SqlStore<E>
where
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'r> TenantIdRow: FromRow<'r, E::Row>,
    for<'r> TombstoneRow: FromRow<'r, E::Row>,
    for<'r> ErasureRow: FromRow<'r, E::Row>,
{
    async fn tombstones(&self, tenant: TenantId) -> Result<Vec<Tombstone>> {
        let rows: Vec<TombstoneRow> = query_as(queries::TOMBSTONES)
            .bind(tenant.0)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_tombstone(tenant))
            .collect()
    }

    async fn erasure(&self, tenant: TenantId, pseudonym: Pseudonym) -> Result<Option<Erasure>> {
        let row: Option<ErasureRow> = query_as(queries::ERASURE)
            .bind(tenant.0)
            .bind(pseudonym.0)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| row.into_erasure(tenant)).transpose()
    }

    async fn tenants_to_sweep(&self) -> Result<Vec<TenantId>> {
        let rows: Vec<TenantIdRow> = query_as(queries::TENANTS_TO_SWEEP)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.into_id(None)).collect()
    }

    async fn tenants_to_purge(&self, now: Timestamp) -> Result<Vec<TenantId>> {
        let rows: Vec<TenantIdRow> = query_as(queries::TENANTS_TO_PURGE)
            .bind(Micros::from(now))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.into_id(None)).collect()
    }
}

#[async_trait]
impl<E: Engine> PrivacyTx for SqlTx<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> String: Encode<'q, E> + Type<E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> Option<i64>: Encode<'q, E>,
    for<'q> bool: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'q> Option<Micros>: Encode<'q, E>,
    for<'r> Owned<Uuid>: FromRow<'r, E::Row>,
    for<'r> TombstoneRow: FromRow<'r, E::Row>,
    for<'r> ErasureRow: FromRow<'r, E::Row>,
    for<'r> CopyRow: FromRow<'r, E::Row>,
    for<'r> AdminChangeReadRow: FromRow<'r, E::Row>,
{
    async fn tombstones(&mut self) -> Result<Vec<Tombstone>> {
        let tenant = self.tenant.id;
        let rows: Vec<TombstoneRow> = query_as(queries::TOMBSTONES)
            .bind(tenant.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_tombstone(tenant))
            .collect()
    }

    async fn put_tombstones(&mut self, tombstones: &[Tombstone]) -> Result<()> {
        for one in tombstones {
            query(queries::PUT_TOMBSTONE)
                .bind(self.tenant.id.0) // $1 tenant_id
                .bind(one.mark) // $2 mark
                .bind(one.pseudonym.0) // $3 pseudonym
                .bind(one.kind.name()) // $4 kind
                .bind(one.is_sure) // $5 is_sure
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn forget(
        &mut self,
        identities: &[Identity<'static>],
        addresses: &[String],
    ) -> Result<Counts> {
        let identities: Vec<String> = identities.iter().map(ToString::to_string).collect();
        let mut counts = Counts::new();
        for (statements, names) in [
            (&queries::FORGET_IDENTITY[..], &identities[..]),
            (&queries::FORGET_ADDRESS[..], addresses),
        ] {
            for name in names {
                for (table, statement) in statements {
                    let done = query(*statement)
                        .bind(self.tenant.id.0)
                        .bind(name.as_str())
                        .execute(&mut *self.tx)
                        .await?;
                    *counts.entry((*table).to_owned()).or_default() += E::affected(&done);
                }
            }
        }
        counts.retain(|_, count| *count > 0);
        Ok(counts)
    }

    async fn erasures(&mut self) -> Result<Vec<Erasure>> {
        let tenant = self.tenant.id;
        let rows: Vec<ErasureRow> = query_as(queries::ERASURES)
            .bind(tenant.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_erasure(tenant))
            .collect()
    }

    async fn put_erasure(&mut self, erasure: &Erasure) -> Result<()> {
        let counts = serde_json::to_string(&erasure.counts)
            .map_err(|error| StoreError::Corrupt(format!("erasure.counts: {error}")))?;
        query(queries::PUT_ERASURE)
            .bind(self.tenant.id.0) // $1 tenant_id
            .bind(erasure.pseudonym.0) // $2 pseudonym
            .bind(Micros::from(erasure.requested_at)) // $3 requested_at
            .bind(erasure.finished_at.map(Micros::from)) // $4 finished_at
            .bind(erasure.revision.map(signed)) // $5 revision
            .bind(erasure.is_swept) // $6 is_swept
            .bind(counts) // $7 counts
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn admin_changes_after(
        &mut self,
        (record_id, digest): (Uuid, Uuid),
        limit: u32,
    ) -> Result<Vec<AdminChange>> {
        let tenant = self.tenant.id;
        let rows: Vec<AdminChangeReadRow> = query_as(queries::ADMIN_CHANGES_AFTER)
            .bind(tenant.0) // $1
            .bind(record_id) // $2
            .bind(digest) // $3
            .bind(i64::from(limit)) // $4
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter()
            .map(|row| row.into_change(tenant))
            .collect()
    }

    async fn remove_admin_change(&mut self, change: &AdminChange) -> Result<()> {
        query(queries::REMOVE_ADMIN_CHANGE)
            .bind(self.tenant.id.0) // $1
            .bind(change.record_id) // $2
            .bind(change.digest()) // $3
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn remove_setting(&mut self, setting: &Setting) -> Result<bool> {
        let Some(key) = setting.key() else {
            return Ok(false);
        };
        let done = query(queries::REMOVE_SETTING)
            .bind(self.tenant.id.0) // $1
            .bind(key.kind.name()) // $2
            .bind(key.subject.as_str()) // $3
            .bind(key.shape) // $4
            .bind(Micros::from(setting.captured_at())) // $5
            .bind(setting_content(setting)) // $6
            .execute(&mut *self.tx)
            .await?;
        Ok(E::affected(&done) > 0)
    }

    async fn quarantine_copies_after(
        &mut self,
        after: ReceivedPosition,
        limit: u32,
    ) -> Result<Vec<(ReceivedPosition, Bytes)>> {
        let tenant = self.tenant.id;
        let rows: Vec<CopyRow> = query_as(queries::QUARANTINE_COPIES)
            .bind(tenant.0) // $1
            .bind(Micros::from(after.received_at)) // $2
            .bind(after.id) // $3
            .bind(i64::from(limit)) // $4
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter().map(|row| row.into_copy(tenant)).collect()
    }

    async fn remove_quarantined_copy(&mut self, digest: Uuid) -> Result<()> {
        query(queries::REMOVE_QUARANTINED_COPY)
            .bind(self.tenant.id.0)
            .bind(digest)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn remove_outdated(
        &mut self,
        what: Outdated,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<MessageKey>> {
        let statement = match what {
            Outdated::Private => queries::OUTDATED_PRIVATE,
            Outdated::Listed => queries::OUTDATED_LISTED,
            Outdated::Unlisted => queries::OUTDATED_UNLISTED,
        };
        let tenant = self.tenant.id;
        let rows: Vec<Owned<Uuid>> = query_as(statement)
            .bind(tenant.0) // $1
            .bind(Micros::from(time)) // $2
            .bind(i64::from(limit)) // $3
            .fetch_all(&mut *self.tx)
            .await?;
        let keys = rows
            .into_iter()
            .map(|row| row.checked(tenant, "attribution").map(MessageKey))
            .collect::<Result<Vec<_>>>()?;
        if !keys.is_empty() {
            for statement in E::REMOVE_MESSAGES {
                query(statement)
                    .bind(self.tenant.id.0)
                    .bind(E::keys(&keys))
                    .execute(&mut *self.tx)
                    .await?;
            }
        }
        Ok(keys)
    }

    async fn purge(&mut self, limit: u32) -> Result<u64> {
        for statement in E::PURGE {
            let done = query(*statement)
                .bind(self.tenant.id.0)
                .bind(i64::from(limit))
                .execute(&mut *self.tx)
                .await?;
            let deleted = E::affected(&done);
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        for statement in [queries::PURGE_LAG, queries::PURGE_TENANT] {
            query(statement)
                .bind(self.tenant.id.0)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(0)
    }
}
