//! What is particular to Postgres: connecting, the row lock, arrays.

use super::{
    Result, StoreError, queries,
    rows::{AdminChangeRow, AuditBatchRow, MessageRow, Micros, QuarantineRow},
    sql::{Engine, SqlStore},
};
use sqlx::{
    PgConnection, Pool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult},
    query, query_as,
};
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

/// Apart, so that writers that wait for each other never keep readers and health waiting.
const READERS: u32 = 8;
const WRITERS: u32 = 12;

/// Bounds on the server's side, for whatever happens to us.
const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"), // an OK means committed
    ("timezone", "UTC"),
];

pub(super) fn open(url: &str) -> Result<SqlStore<Postgres>> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Url(error.to_string()))?
        .application_name("sentby")
        .options(SESSION);
    let pool = |connections| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options.clone())
    };
    Ok(SqlStore {
        readers: pool(READERS),
        writers: pool(WRITERS),
    })
}

/// Arrays, one a column: the text and so the plan are the same for any number of rows.
const PUT_MESSAGES: &str = concat!(
    "INSERT INTO attribution (",
    queries::answer_columns!(),
    ", evidence) SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], \
     $5::bigint[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::text[], $11::text[], \
     $12::boolean[], $13::boolean[], $14::boolean[], $15::bytea[]) \
     ON CONFLICT (tenant_id, message_key) DO UPDATE SET message_id = excluded.message_id, \
     sent_at = excluded.sent_at, revision = excluded.revision, verdict = excluded.verdict, \
     basis = excluded.basis, agent = excluded.agent, \
     agent_object_id = excluded.agent_object_id, mailbox = excluded.mailbox, \
     candidates = excluded.candidates, confirmed = excluded.confirmed, \
     contradicted = excluded.contradicted, listed = excluded.listed, \
     evidence = excluded.evidence"
);

const PUT_ADMIN_CHANGES: &str = concat!(
    queries::insert_admin_changes!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], \
     $6::text[], $7::text[], $8::boolean[], $9::text[])",
    queries::if_new!(),
    queries::returning_changes!()
);

const PUT_AUDIT_BATCHES: &str = concat!(
    queries::insert_audit_batches!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], \
     $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], \
     $12::bigint[], $13::bigint[], $14::bigint[], $15::text[])"
);

const PUT_QUARANTINED: &str = concat!(
    queries::insert_quarantined!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], \
     $6::bytea[])",
    queries::if_new!()
);

impl Engine for Postgres {
    const BEGIN: &'static str = "BEGIN";
    const LOCK_TENANT: &'static str = queries::tenant!(" FOR UPDATE");
    const ANSWERS: &'static str = queries::answers!("= ANY($2)");
    const MESSAGES: &'static str = queries::messages!("= ANY($2)");
    const REMOVE_TAUGHT: &'static str = queries::remove_taught!("= ANY($2)");
    const HAS_SCHEMA: &'static str =
        "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('_sqlx_migrations')";

    const AUDIT_BATCHES: &'static str = queries::audit_batches!("= ANY($2)");
    const QUARANTINED_SIZES: &'static str = queries::quarantined!("size AS value", "= ANY($2)");
    const QUARANTINED_COPIES: &'static str =
        queries::quarantined!("bytes AS value", "= ANY($2) AND bytes IS NOT NULL");
    const REMOVE_QUARANTINED: &'static str = queries::remove_quarantined!("= ANY($2)");
    const EXPIRE_RECEIPTS: &'static str =
        queries::expire!("audit_batch", "batch_id", " FOR UPDATE SKIP LOCKED");
    const EXPIRE_QUARANTINE: &'static str =
        queries::expire!("quarantine", "digest", " FOR UPDATE SKIP LOCKED");

    type Keys = Vec<Uuid>;

    fn ids(ids: Vec<Uuid>) -> Vec<Uuid> {
        ids
    }

    async fn put_messages(
        connection: &mut PgConnection,
        rows: Vec<MessageRow>,
    ) -> Result<(), sqlx::Error> {
        let answers = || rows.iter().map(|row| &row.answer);
        query(PUT_MESSAGES)
            .bind(answers().map(|a| a.tenant_id).collect::<Vec<Uuid>>()) // $1
            .bind(answers().map(|a| a.message_key).collect::<Vec<Uuid>>()) // $2
            .bind(
                answers()
                    .map(|a| a.message_id.as_deref())
                    .collect::<Vec<_>>(),
            ) // $3
            .bind(answers().map(|a| a.sent_at).collect::<Vec<Micros>>()) // $4
            .bind(answers().map(|a| a.revision).collect::<Vec<i64>>()) // $5
            .bind(answers().map(|a| a.verdict.as_str()).collect::<Vec<_>>()) // $6
            .bind(answers().map(|a| a.basis.as_deref()).collect::<Vec<_>>()) // $7
            .bind(answers().map(|a| a.agent.as_deref()).collect::<Vec<_>>()) // $8
            .bind(
                answers()
                    .map(|a| a.agent_object_id)
                    .collect::<Vec<Option<Uuid>>>(),
            ) // $9
            .bind(answers().map(|a| a.mailbox.as_deref()).collect::<Vec<_>>()) // $10
            .bind(
                answers()
                    .map(|a| a.candidates.as_deref())
                    .collect::<Vec<_>>(),
            ) // $11
            .bind(answers().map(|a| a.confirmed).collect::<Vec<bool>>()) // $12
            .bind(answers().map(|a| a.contradicted).collect::<Vec<bool>>()) // $13
            .bind(answers().map(|a| a.listed).collect::<Vec<bool>>()) // $14
            .bind(
                rows.iter()
                    .map(|r| r.evidence.as_slice())
                    .collect::<Vec<_>>(),
            ) // $15
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn put_admin_changes(
        connection: &mut PgConnection,
        rows: Vec<AdminChangeRow>,
    ) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
        query_as(PUT_ADMIN_CHANGES)
            .bind(rows.iter().map(|r| r.tenant_id).collect::<Vec<Uuid>>()) // $1
            .bind(rows.iter().map(|r| r.record_id).collect::<Vec<Uuid>>()) // $2
            .bind(rows.iter().map(|r| r.digest).collect::<Vec<Uuid>>()) // $3
            .bind(rows.iter().map(|r| r.happened_at).collect::<Vec<Micros>>()) // $4
            .bind(rows.iter().map(|r| r.operation).collect::<Vec<&str>>()) // $5
            .bind(rows.iter().map(|r| r.actor.as_str()).collect::<Vec<_>>()) // $6
            .bind(rows.iter().map(|r| r.target.as_str()).collect::<Vec<_>>()) // $7
            .bind(rows.iter().map(|r| r.failed).collect::<Vec<bool>>()) // $8
            .bind(
                rows.iter()
                    .map(|r| r.parameters.as_str())
                    .collect::<Vec<_>>(),
            ) // $9
            .fetch_all(connection)
            .await
    }

    async fn put_audit_batches(
        connection: &mut PgConnection,
        rows: Vec<AuditBatchRow>,
    ) -> Result<(), sqlx::Error> {
        let numbers = |of: fn(&AuditBatchRow) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
        let texts = |of: fn(&AuditBatchRow) -> &str| rows.iter().map(of).collect::<Vec<&str>>();
        query(PUT_AUDIT_BATCHES)
            .bind(rows.iter().map(|r| r.tenant_id).collect::<Vec<Uuid>>()) // $1
            .bind(rows.iter().map(|r| r.batch_id).collect::<Vec<Uuid>>()) // $2
            .bind(
                rows.iter()
                    .map(|r| r.request_id.as_deref())
                    .collect::<Vec<_>>(),
            ) // $3
            .bind(
                rows.iter()
                    .map(|r| r.content_digest)
                    .collect::<Vec<Option<Uuid>>>(),
            ) // $4
            .bind(texts(|r| &r.source)) // $5
            .bind(rows.iter().map(|r| r.received_at).collect::<Vec<Micros>>()) // $6
            .bind(numbers(|r| r.received)) // $7
            .bind(numbers(|r| r.kept)) // $8
            .bind(numbers(|r| r.repeated)) // $9
            .bind(numbers(|r| r.ignored)) // $10
            .bind(numbers(|r| r.quarantined)) // $11
            .bind(numbers(|r| r.quarantined_without_copy)) // $12
            .bind(numbers(|r| r.changed_messages)) // $13
            .bind(numbers(|r| r.revision)) // $14
            .bind(texts(|r| &r.details)) // $15
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn put_quarantined(
        connection: &mut PgConnection,
        rows: Vec<QuarantineRow>,
    ) -> Result<(), sqlx::Error> {
        query(PUT_QUARANTINED)
            .bind(rows.iter().map(|r| r.tenant_id).collect::<Vec<Uuid>>()) // $1
            .bind(rows.iter().map(|r| r.digest).collect::<Vec<Uuid>>()) // $2
            .bind(rows.iter().map(|r| r.reason).collect::<Vec<&str>>()) // $3
            .bind(rows.iter().map(|r| r.detail.as_str()).collect::<Vec<_>>()) // $4
            .bind(rows.iter().map(|r| r.received_at).collect::<Vec<Micros>>()) // $5
            .bind(rows.iter().map(|r| r.bytes.as_deref()).collect::<Vec<_>>()) // $6
            .execute(connection)
            .await?;
        Ok(())
    }

    fn affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    async fn migrate(pool: &Pool<Self>) -> Result<(), sqlx::migrate::MigrateError> {
        sqlx::migrate!("migrations/postgres").run(pool).await
    }
}
