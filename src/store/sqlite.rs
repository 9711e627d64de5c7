//! What is particular to SQLite: one writer, keys as JSON, rows in chunks.

mod check;
mod examine;

use super::{
    Hints, Problem, StoreError, queries,
    rows::{
        AdminChangeIdRow, AdminChangeRow, AttributionRow, AuditBatchRow, Micros, QuarantineRow,
    },
    sql::{Engine, SqlStore},
};
use crate::domain::{Identity, Lesson, Message, MessageKey, TenantId};
pub(super) use examine::examine;
use sqlx::{
    Connection as _, Pool, QueryBuilder, Sqlite, SqliteConnection,
    migrate::Migrator,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteQueryResult,
        SqliteSynchronous,
    },
};
use std::{path::Path, sync::Arc, time::Duration};
use uuid::Uuid;

/// Rows of one statement. 15 values a row, far below the limit of 32,766.
const CHUNK: usize = 200;

/// 16 MiB. With the default of 2 MiB a batch of thousands reads most pages of its keys again.
const WRITER_CACHE: &str = "-16384";

pub(super) fn open(path: &Path) -> SqlStore<Sqlite> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full) // an OK means committed
        .busy_timeout(Duration::from_secs(10)); // another process may write too
    let readers = SqlitePoolOptions::new()
        .max_connections(8)
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
        .connect_lazy_with(options.clone().pragma("query_only", "true"));
    // one connection: our own writers wait for each other here and never meet in the file
    let writers = SqlitePoolOptions::new()
        .max_connections(1)
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
        .connect_lazy_with(options.pragma("cache_size", WRITER_CACHE));
    let lookups = readers.clone();
    SqlStore::new(readers, writers, lookups, None)
}

/// A full or broken disk makes SQLite roll back by itself. Then sqlx, whose own rollback finds
/// nothing to do, takes the connection to be in a transaction for ever: no write begins on it.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.ping().await?; // behind the rollback, if there is one
    Ok(!connection.is_in_transaction())
}

/// Goes behind the rows.
const REPLACE: &str = " ON CONFLICT (tenant_id, message_key) DO UPDATE SET \
     sent_at = excluded.sent_at, revision = excluded.revision, verdict = excluded.verdict, \
     basis = excluded.basis, agent = excluded.agent, \
     agent_object_id = excluded.agent_object_id, mailbox = excluded.mailbox, \
     candidates = excluded.candidates, confirmed = excluded.confirmed, \
     contradicted = excluded.contradicted, listed = excluded.listed, \
     evidence = excluded.evidence";

/// Inserts messages; `if_there` says what becomes of those that are there.
async fn put(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    messages: &[Message],
    if_there: &str,
) -> Result<u64, sqlx::Error> {
    let mut put = 0;
    for some in messages.chunks(CHUNK) {
        let mut statement = QueryBuilder::new(concat!(
            "INSERT INTO attribution (",
            queries::answer_columns!(),
            ", evidence) "
        ));
        statement.push_values(some, |mut values, message| {
            let row = AttributionRow::of(tenant, message);
            values
                .push_bind(row.tenant_id)
                .push_bind(row.message_key)
                .push_bind(row.message_id)
                .push_bind(row.sent_at)
                .push_bind(row.revision)
                .push_bind(row.verdict)
                .push_bind(row.basis)
                .push_bind(row.agent)
                .push_bind(row.agent_object_id)
                .push_bind(row.mailbox)
                .push_bind(row.candidates)
                .push_bind(row.confirmed)
                .push_bind(row.contradicted)
                .push_bind(row.listed)
                .push_bind(row.evidence);
        });
        let statement = statement.push(if_there).build();
        put += statement.execute(&mut *connection).await?.rows_affected();
    }
    Ok(put)
}

macro_rules! purge {
    ($table:literal, $key:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE tenant_id = $1 AND (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE tenant_id = $1 LIMIT $2)"
        )
    };
}

impl Engine for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    // BEGIN IMMEDIATE has the lock of the whole file
    const LOCK_TENANT: &'static str = queries::tenant!("");
    const ANSWERS: &'static str =
        queries::answers!("", "IN (SELECT unhex(value) FROM json_each($2))");
    const MESSAGES: &'static str =
        queries::messages!("IN (SELECT unhex(value) FROM json_each($2))");
    const REMOVE_TAUGHT: &'static str =
        queries::remove_taught!("IN (SELECT unhex(value) FROM json_each($2))");
    const REMOVE_MESSAGES: [&'static str; 2] = [
        queries::remove_messages!("waiting", "IN (SELECT unhex(value) FROM json_each($2))"),
        queries::remove_messages!("attribution", "IN (SELECT unhex(value) FROM json_each($2))"),
    ];
    const PURGE: &'static [&'static str] = queries::purges!(purge);
    const REVISIONS: &'static str =
        queries::revisions!("IN (SELECT unhex(value) FROM json_each($1))");
    const TALLIES: &'static str = queries::tallies!("$6 + (sent_at - $6) / $7 * $7");
    const HAS_SCHEMA: &'static str =
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";

    const AUDIT_BATCHES: &'static str =
        queries::audit_batches!("IN (SELECT unhex(value) FROM json_each($2))");
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
    const EXPIRE_FAILURES: &'static str = queries::expire!("coverage_failure", "failure_id", "");

    /// A JSON array of hexadecimal keys: SQLite has no arrays.
    type Keys = String;

    fn ids(ids: Vec<Uuid>) -> String {
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        serde_json::Value::from(ids).to_string()
    }

    async fn add_messages(
        connection: &mut SqliteConnection,
        tenant: TenantId,
        messages: &[Message],
    ) -> Result<(), sqlx::Error> {
        put(connection, tenant, messages, "").await?;
        Ok(())
    }

    async fn replace_messages(
        connection: &mut SqliteConnection,
        tenant: TenantId,
        messages: &[Message],
    ) -> Result<u64, sqlx::Error> {
        put(connection, tenant, messages, REPLACE).await
    }

    async fn put_lessons(
        connection: &mut SqliteConnection,
        tenant: TenantId,
        lessons: &[Lesson],
    ) -> Result<(), sqlx::Error> {
        for some in lessons.chunks(CHUNK) {
            let mut statement = QueryBuilder::new(queries::insert_lessons!());
            statement.push_values(some, |mut row, lesson| {
                row.push_bind(tenant.0)
                    .push_bind(lesson.identity.to_string())
                    .push_bind(lesson.address.as_str())
                    .push_bind(lesson.named_by.name())
                    .push_bind(Micros::from(lesson.seen.first))
                    .push_bind(Micros::from(lesson.seen.last));
            });
            let statement = statement.push(queries::keep_both_ends!()).build();
            let statement = statement.persistent(false); // of as many rows as it happens to be
            statement.execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn put_waiting(
        connection: &mut SqliteConnection,
        tenant: TenantId,
        waiting: &[(Identity<'static>, MessageKey)],
    ) -> Result<(), sqlx::Error> {
        for some in waiting.chunks(CHUNK) {
            let mut statement = QueryBuilder::new(queries::insert_waiting!());
            statement.push_values(some, |mut row, (identity, key)| {
                row.push_bind(tenant.0)
                    .push_bind(identity.to_string())
                    .push_bind(key.0);
            });
            let statement = statement.push(queries::if_new!()).build();
            statement
                .persistent(false)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn put_admin_changes(
        connection: &mut SqliteConnection,
        rows: Vec<AdminChangeRow>,
    ) -> Result<Vec<AdminChangeIdRow>, sqlx::Error> {
        let mut new = Vec::new();
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
            let statement = statement.push(queries::if_new!());
            let statement = statement.push(queries::returning_changes!());
            let some: Vec<AdminChangeIdRow> = statement
                .build_query_as()
                .fetch_all(&mut *connection)
                .await?;
            new.extend(some);
        }
        Ok(new)
    }

    async fn put_audit_batches(
        connection: &mut SqliteConnection,
        rows: Vec<AuditBatchRow>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut statement = QueryBuilder::new(queries::insert_audit_batches!());
            statement.push_values(rows.by_ref().take(CHUNK), |mut values, row| {
                values
                    .push_bind(row.tenant_id)
                    .push_bind(row.batch_id)
                    .push_bind(row.request_id)
                    .push_bind(row.content_digest)
                    .push_bind(row.source)
                    .push_bind(row.received_at)
                    .push_bind(row.received)
                    .push_bind(row.kept)
                    .push_bind(row.repeated)
                    .push_bind(row.ignored)
                    .push_bind(row.quarantined)
                    .push_bind(row.quarantined_without_copy)
                    .push_bind(row.changed_messages)
                    .push_bind(row.revision)
                    .push_bind(row.details);
            });
            statement.build().execute(&mut *connection).await?;
        }
        Ok(())
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
                    .push_bind(row.bytes.map(Vec::from));
            });
            let statement = statement.push(queries::if_new!()).build();
            statement.execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn hint(_: &Pool<Self>, _: &[TenantId]) -> Result<(), sqlx::Error> {
        Ok(())
    }

    /// A file tells nobody that it was written to.
    async fn hints(_: &Pool<Self>) -> Result<Option<Box<dyn Hints>>, sqlx::Error> {
        Ok(None)
    }

    fn affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    fn migrator() -> Migrator {
        sqlx::migrate!("migrations/sqlite")
    }

    /// Two processes may make one file at once, and SQLite has no lock that spans a whole
    /// migration: who comes second starts over and finds it done.
    async fn migrate(pool: &Pool<Self>, migrator: Migrator) -> Result<(), StoreError> {
        for _ in 0..10 {
            if migrator.run(pool).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let done = migrator.run(pool).await;
        done.map_err(|error| StoreError::Migrate(Arc::new(error)))
    }

    async fn check(pool: &Pool<Self>) -> Result<Vec<Problem>, sqlx::Error> {
        check::check(pool).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{ConnectOptions as _, raw_sql};

    #[tokio::test]
    async fn what_a_full_disk_has_rolled_back_is_at_rest_no_more() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut connection = SqliteConnectOptions::new()
            .filename(folder.path().join("full.db"))
            .create_if_missing(true)
            .pragma("max_page_count", "8")
            .connect()
            .await
            .expect("opened");
        let table = raw_sql("CREATE TABLE t (x)").execute(&mut connection).await;
        table.expect("there is room");
        for (bytes, is_full) in [(1_000, false), (1_000_000, true)] {
            let begun = connection.begin_with("BEGIN IMMEDIATE").await;
            let mut tx = begun.expect("begun");
            let put = sqlx::query("INSERT INTO t VALUES (zeroblob($1))").bind(bytes);
            assert_eq!(put.execute(&mut *tx).await.is_err(), is_full);
            drop(tx);
            let at_rest = is_at_rest(&mut connection).await.expect("it lives");
            assert_eq!(at_rest, !is_full);
        }
    }
}
