//! [`SettingsStore`] and [`SettingsTx`]: the audit set-up.

use super::{
    super::{
        Result,
        audit_settings::{ChangesLimit, SettingsStore, SettingsTx},
        queries,
        rows::{
            AdminChangeReadRow, MessageRow, Micros, Owned, SettingKeyRow, SettingRow,
            setting_content,
        },
    },
    Engine, SqlStore,
    tx::SqlTx,
};
use crate::domain::{
    AdminChange, Message, Setting, SettingKey, TenantId, Timestamp, settings::MailboxSettings,
};
use async_trait::async_trait;
use sqlx::{Encode, Executor, FromRow, IntoArguments, Pool, QueryBuilder, Type, query_as};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Rows of one statement with a list of them.
const ROWS: usize = 200;

#[async_trait]
impl<E: Engine> SettingsStore for SqlStore<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'r> SettingRow: FromRow<'r, E::Row>,
    for<'r> AdminChangeReadRow: FromRow<'r, E::Row>,
    for<'r> MessageRow: FromRow<'r, E::Row>,
{
    async fn settings(&self, tenant: TenantId) -> Result<Vec<Setting>> {
        let rows: Vec<SettingRow> = query_as(queries::SETTINGS)
            .bind(tenant.0)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_setting(tenant))
            .collect()
    }

    async fn mailbox_settings(
        &self,
        tenant: TenantId,
        first: &str,
        last: &str,
        limit: u32,
    ) -> Result<Vec<(String, MailboxSettings)>> {
        let rows: Vec<SettingRow> = query_as(queries::MAILBOX_SETTINGS)
            .bind(tenant.0) // $1
            .bind(first) // $2
            .bind(last) // $3
            .bind(i64::from(limit)) // $4
            .fetch_all(&self.readers)
            .await?;
        let mut settings = Vec::with_capacity(rows.len());
        for row in rows {
            let subject = row.subject.clone();
            if let Setting::Mailbox(mailbox) = row.into_setting(tenant)? {
                settings.push((subject, mailbox));
            }
        }
        Ok(settings)
    }

    async fn admin_changes(
        &self,
        tenant: TenantId,
        limit: ChangesLimit,
    ) -> Result<Vec<AdminChange>> {
        let rows: Vec<AdminChangeReadRow> = query_as(queries::ADMIN_CHANGES)
            .bind(tenant.0) // $1
            .bind(i64::from(limit.newest)) // $2
            .bind(i64::from(limit.all)) // $3
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_change(tenant))
            .collect()
    }

    async fn messages_of_nobody(
        &self,
        tenant: TenantId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let rows: Vec<MessageRow> = query_as(queries::MESSAGES_OF_NOBODY)
            .bind(tenant.0) // $1
            .bind(Micros::from(since)) // $2
            .bind(i64::from(limit)) // $3
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_message(tenant))
            .collect()
    }
}

#[async_trait]
impl<E: Engine> SettingsTx for SqlTx<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> String: Encode<'q, E> + Type<E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'r> SettingKeyRow: FromRow<'r, E::Row>,
    for<'r> Owned<i64>: FromRow<'r, E::Row>,
{
    async fn count_settings(&mut self) -> Result<u64> {
        let tenant = self.tenant.id;
        let row: Option<Owned<i64>> = query_as(queries::COUNT_SETTINGS)
            .bind(tenant.0)
            .fetch_optional(&mut *self.tx)
            .await?;
        let count = row.map_or(Ok(0), |row| row.checked(tenant, "audit_setting"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn setting_keys(&mut self) -> Result<HashSet<SettingKey>> {
        let tenant = self.tenant.id;
        let rows: Vec<SettingKeyRow> = query_as(queries::SETTING_KEYS)
            .bind(tenant.0)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.into_iter().map(|row| row.into_key(tenant)).collect()
    }

    async fn put_settings(&mut self, settings: &[Setting]) -> Result<u64> {
        let tenant = self.tenant.id;
        // one statement cannot change a row twice
        let mut newest: BTreeMap<SettingKey, (Timestamp, String)> = BTreeMap::new();
        for setting in settings {
            let Some(key) = setting.key() else { continue };
            let this = (setting.captured_at(), setting_content(setting));
            let known = newest.entry(key).or_insert_with(|| this.clone());
            if *known < this {
                *known = this;
            }
        }
        let rows: Vec<_> = newest.into_iter().collect();
        let mut changed = 0;
        for some in rows.chunks(ROWS) {
            let mut statement = QueryBuilder::new(queries::INSERT_SETTINGS);
            statement.push_values(some, |mut row, (key, (captured_at, content))| {
                row.push_bind(tenant.0)
                    .push_bind(key.kind.name())
                    .push_bind(key.subject.as_str())
                    .push_bind(key.shape)
                    .push_bind(Micros::from(*captured_at))
                    .push_bind(content.as_str());
            });
            let statement = statement.push(queries::KEEP_THE_NEWEST).build();
            let statement = statement.persistent(false); // of as many rows as it happens to be
            changed += E::affected(&statement.execute(&mut *self.tx).await?);
        }
        Ok(changed)
    }
}
