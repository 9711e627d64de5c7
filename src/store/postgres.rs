//! What is particular to Postgres: connecting, the row lock, arrays.

use super::{
    Result, StoreError, queries,
    rows::{AdminChangeRow, MessageRow, Micros, QuarantineRow},
    sql::{Engine, SqlStore},
};
use sqlx::{
    PgConnection, Pool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult},
    query,
};
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

/// Apart, so that writers that wait for each other never keep readers and health waiting.
const READERS: u32 = 6;
const WRITERS: u32 = 12;
const LOOKUPS: u32 = 4;

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
    let pool = |connections, options: &PgConnectOptions| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options.clone())
    };
    // by primary key in any case: planning it again for each number of keys costs a third
    let planned_once = options
        .clone()
        .options([("plan_cache_mode", "force_generic_plan")]);
    Ok(SqlStore::new(
        pool(READERS, &options),
        pool(WRITERS, &options),
        pool(LOOKUPS, &planned_once),
    ))
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
    queries::if_new!()
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
    ) -> Result<u64, sqlx::Error> {
        let done = query(PUT_ADMIN_CHANGES)
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
            .execute(connection)
            .await?;
        Ok(done.rows_affected())
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
