//! What is particular to SQLite: one writer, keys as JSON, rows in chunks.

use super::{
    queries,
    rows::{AdminChangeRow, MessageRow, QuarantineRow},
    sql::{Engine, SqlStore},
};
use sqlx::{
    Pool, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteQueryResult,
        SqliteSynchronous,
    },
};
use std::{path::Path, time::Duration};
use uuid::Uuid;

/// Rows of one statement. 15 values a row, far below the limit of 32,766.
const CHUNK: usize = 200;

pub(super) fn open(path: &Path) -> SqlStore<Sqlite> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full) // an OK means committed
        .busy_timeout(Duration::from_secs(10)); // another process may write too
    let readers = SqlitePoolOptions::new()
        .max_connections(8)
        .connect_lazy_with(options.clone().pragma("query_only", "true"));
    // one connection: our own writers wait for each other here and never meet in the file
    let writers = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let lookups = readers.clone();
    SqlStore::new(readers, writers, lookups)
}

impl Engine for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    // BEGIN IMMEDIATE has the lock of the whole file
    const LOCK_TENANT: &'static str = queries::tenant!("");
    const ANSWERS: &'static str = queries::answers!("IN (SELECT unhex(value) FROM json_each($2))");
    const MESSAGES: &'static str =
        queries::messages!("IN (SELECT unhex(value) FROM json_each($2))");
    const REMOVE_TAUGHT: &'static str =
        queries::remove_taught!("IN (SELECT unhex(value) FROM json_each($2))");
    const HAS_SCHEMA: &'static str =
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";

    const QUARANTINED_SIZES: &'static str = queries::quarantined!(
        "size AS value",
        "IN (SELECT unhex(value) FROM json_each($2))"
    );
    const QUARANTINED_COPIES: &'static str = queries::quarantined!(
        "bytes AS value",
        "IN (SELECT unhex(value) FROM json_each($2)) AND bytes IS NOT NULL"
    );
    const REMOVE_QUARANTINED: &'static str =
        queries::remove_quarantined!("IN (SELECT unhex(value) FROM json_each($2))");
    const EXPIRE_RECEIPTS: &'static str = queries::expire!("audit_batch", "batch_id", "");
    const EXPIRE_QUARANTINE: &'static str = queries::expire!("quarantine", "digest", "");

    /// A JSON array of hexadecimal keys: SQLite has no arrays.
    type Keys = String;

    fn ids(ids: Vec<Uuid>) -> String {
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        serde_json::Value::from(ids).to_string()
    }

    async fn put_messages(
        connection: &mut SqliteConnection,
        rows: Vec<MessageRow>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut statement = QueryBuilder::new(concat!(
                "INSERT OR REPLACE INTO attribution (",
                queries::answer_columns!(),
                ", evidence) "
            ));
            statement.push_values(rows.by_ref().take(CHUNK), |mut values, row| {
                let answer = row.answer;
                values
                    .push_bind(answer.tenant_id)
                    .push_bind(answer.message_key)
                    .push_bind(answer.message_id)
                    .push_bind(answer.sent_at)
                    .push_bind(answer.revision)
                    .push_bind(answer.verdict)
                    .push_bind(answer.basis)
                    .push_bind(answer.agent)
                    .push_bind(answer.agent_object_id)
                    .push_bind(answer.mailbox)
                    .push_bind(answer.candidates)
                    .push_bind(answer.confirmed)
                    .push_bind(answer.contradicted)
                    .push_bind(answer.listed)
                    .push_bind(row.evidence);
            });
            statement.build().execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn put_admin_changes(
        connection: &mut SqliteConnection,
        rows: Vec<AdminChangeRow>,
    ) -> Result<u64, sqlx::Error> {
        let mut new = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut statement = QueryBuilder::new(queries::insert_admin_changes!());
            statement.push_values(rows.by_ref().take(CHUNK), |mut values, row| {
                values
                    .push_bind(row.tenant_id)
                    .push_bind(row.record_id)
                    .push_bind(row.digest)
                    .push_bind(row.happened_at)
                    .push_bind(row.operation)
                    .push_bind(row.actor)
                    .push_bind(row.target)
                    .push_bind(row.failed)
                    .push_bind(row.parameters);
            });
            let statement = statement.push(queries::if_new!()).build();
            new += statement.execute(&mut *connection).await?.rows_affected();
        }
        Ok(new)
    }

    async fn put_quarantined(
        connection: &mut SqliteConnection,
        rows: Vec<QuarantineRow>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut statement = QueryBuilder::new(queries::insert_quarantined!());
            statement.push_values(rows.by_ref().take(CHUNK), |mut values, row| {
                values
                    .push_bind(row.tenant_id)
                    .push_bind(row.digest)
                    .push_bind(row.reason)
                    .push_bind(row.detail)
                    .push_bind(row.received_at)
                    .push_bind(row.bytes);
            });
            let statement = statement.push(queries::if_new!()).build();
            statement.execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    /// Two processes may make one file at once, and SQLite has no lock that spans a whole
    /// migration: who comes second starts over and finds it done.
    async fn migrate(pool: &Pool<Self>) -> Result<(), sqlx::migrate::MigrateError> {
        let migrator = sqlx::migrate!("migrations/sqlite");
        for _ in 0..10 {
            if migrator.run(pool).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        migrator.run(pool).await
    }
}
