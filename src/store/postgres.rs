//! What is particular to Postgres: connecting, the row lock, arrays.

mod copy;
mod examine;
mod hints;
mod migrate;
mod reach;
mod reader;
mod url;
mod walls;

use super::{
    Hints, Problem, Result, queries,
    reach::Reach,
    rows::{
        AdminChangeIdRow, AdminChangeRow, AttributionRow, AuditBatchRow, Micros, QuarantineRow,
    },
    sql::{Engine, MOST_HELD, SqlStore},
};
use crate::domain::{Identity, Lesson, Message, MessageKey, TenantId, Timestamp};
pub(super) use examine::examine;
pub(super) use reader::grant_reader;
use sqlx::{
    Connection as _, PgConnection, Pool, Postgres,
    migrate::Migrator,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult},
    query,
    query::Query,
    query_as,
};
use std::time::Duration;
use url::PostgresUrl;
use uuid::Uuid;
pub(super) use walls::grant_program;

/// Apart, so that writers that wait for each other never keep readers and health waiting.
const READERS: u32 = 6;
const WRITERS: u32 = 12;
const LOOKUPS: u32 = MOST_HELD;
/// One listens, one tells.
const HINTS: u32 = 2;

/// Bounds on the server's side, for whatever happens to us.
const SESSION: [(&str, &str); 7] = [
    ("statement_timeout", "30s"),
    ("client_connection_check_interval", "1s"), // nobody waits for it any longer
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"), // an OK means committed
    ("timezone", "UTC"),
    ("jit", "off"), // no statement of ours is worth compiling
];

/// No read of ours takes as long: [`super::bounded`] gives up by then.
const READ: &str = "10s";
/// How long an idle connection may take to answer, and one that comes back to be ready: of what
/// was given up on it the rest may still come, or never. Then it is closed.
const ALIVE: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(2);

async fn is_ready(connection: &mut PgConnection, within: Duration) -> Result<bool, sqlx::Error> {
    let answered = tokio::time::timeout(within, connection.ping()).await;
    answered
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map(|()| true)
}

/// A write goes by primary keys. Without this, what a new table's statistics do not know yet
/// makes it read the whole table, or join it as a whole, and that plan may be kept.
const WRITER: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// [`SESSION`] and [`WRITER`] for one transaction at a time, in one message with its beginning:
/// the next one has another session of the server.
const BEGIN_SHARED: &str = "BEGIN; \
     SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'; \
     SET LOCAL idle_in_transaction_session_timeout = '60s'; \
     SET LOCAL synchronous_commit = on; SET LOCAL jit = off; \
     SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
     SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL plan_cache_mode = force_generic_plan";

pub(super) fn open(url: &str) -> Result<SqlStore<Postgres>> {
    let PostgresUrl { options, is_shared } = url::parse(url)?;
    let options = options.application_name("sentby");
    // what a session is told would be another's with the next transaction
    let told = |settings: &[(&str, &str)]| match is_shared {
        true => options.clone(),
        false => options.clone().options(SESSION).options(settings.to_vec()),
    };
    let pool = |connections, options: &PgConnectOptions| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            // the pool's own questions have no end to them
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(is_ready(connection, ALIVE)))
            .after_release(|connection, _| Box::pin(is_ready(connection, REST)))
            .connect_lazy_with(options.clone())
    };
    let (reader, writer) = (told(&[("statement_timeout", READ)]), told(&WRITER));
    // by primary key in any case: planning it again for each number of keys costs a third
    let planned_once = told(&[
        ("statement_timeout", READ),
        ("plan_cache_mode", "force_generic_plan"),
    ]);
    // a hint that a crash takes away is no loss: it must not wait for the disk
    let hint = told(&[("synchronous_commit", "off")]);
    let readers = pool(READERS, &reader);
    let writers = pool(WRITERS, &writer);
    let lookups = pool(LOOKUPS, &planned_once);
    // nobody can listen on a session that is shared
    let hints = (!is_shared).then(|| pool(HINTS, &hint));
    let mut pools = vec![
        (readers.clone(), reader.clone()),
        (writers.clone(), writer),
        (lookups.clone(), planned_once),
    ];
    pools.extend(hints.clone().map(|hints| (hints, hint)));
    let reach = Reach::new(|down| reach::keep(down, reader, pools));
    let store = SqlStore::new(readers, writers, lookups, hints).reached_by(reach);
    Ok(match is_shared {
        true => store.shared(BEGIN_SHARED),
        false => store,
    })
}

/// New messages from which on they are copied. A row has some 400 bytes: see [`copy`].
const COPIED: usize = 500;

const COPY_MESSAGES: &str = concat!(
    "COPY attribution (",
    queries::answer_columns!(),
    ", evidence) FROM STDIN (FORMAT binary)"
);

/// Arrays, one a column: the text and so the plan are the same for any number of rows.
const ADD_MESSAGES: &str = "INSERT INTO attribution (tenant_id, message_key, sent_at, revision, \
     verdict, basis, agent, agent_object_id, mailbox, candidates, confirmed, contradicted, \
     listed, evidence, message_id) \
     SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], \
     $6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[], $11::boolean[], \
     $12::boolean[], $13::boolean[], $14::bytea[], $15::text[])";

/// The message id belongs to the key and is never another.
///
/// The tenant is an array too, and compared by `ANY`: so the one way that [`WRITER`] leaves is
/// to look each row up by the whole primary key. With `tenant_id = $1`, or by `=` alone, a plan
/// that was made while the table was small reads all of the tenant for each row.
const REPLACE_MESSAGES: &str = "UPDATE attribution a SET sent_at = n.sent_at, \
     revision = n.revision, verdict = n.verdict, basis = n.basis, agent = n.agent, \
     agent_object_id = n.agent_object_id, mailbox = n.mailbox, candidates = n.candidates, \
     confirmed = n.confirmed, contradicted = n.contradicted, listed = n.listed, \
     evidence = n.evidence \
     FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], \
     $6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[], $11::boolean[], \
     $12::boolean[], $13::boolean[], $14::bytea[]) \
     AS n (tenant_id, message_key, sent_at, revision, verdict, basis, agent, agent_object_id, \
     mailbox, candidates, confirmed, contradicted, listed, evidence) \
     WHERE a.tenant_id = ANY (ARRAY[n.tenant_id]) AND a.message_key = n.message_key";

const PUT_LESSONS: &str = concat!(
    queries::insert_lessons!(),
    "SELECT $1, * FROM UNNEST($2::text[], $3::text[], $4::text[], $5::timestamptz[], \
     $6::timestamptz[])",
    queries::keep_both_ends!()
);

const PUT_WAITING: &str = concat!(
    queries::insert_waiting!(),
    "SELECT $1, * FROM UNNEST($2::text[], $3::uuid[])",
    queries::if_new!()
);

const PUT_ADMIN_CHANGES: &str = concat!(
    queries::insert_admin_changes!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], \
     $6::text[], $7::text[], $8::boolean[], $9::text[])",
    queries::if_new!(),
    queries::returning_changes!()
);

const PUT_QUARANTINED: &str = concat!(
    queries::insert_quarantined!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], \
     $6::bytea[])",
    queries::if_new!()
);

const PUT_AUDIT_BATCHES: &str = concat!(
    queries::insert_audit_batches!(),
    "SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], \
     $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], \
     $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[])"
);

/// A statement over arrays with all columns but the message id, which belongs to the key.
fn with_columns(
    statement: &'static str,
    tenant: TenantId,
    rows: &[AttributionRow<'_>],
) -> Query<'static, Postgres, PgArguments> {
    let texts = |of: for<'r> fn(&'r AttributionRow<'_>) -> Option<&'r str>| {
        rows.iter().map(of).collect::<Vec<Option<&str>>>()
    };
    let flags = |of: fn(&AttributionRow<'_>) -> bool| rows.iter().map(of).collect::<Vec<bool>>();
    query(statement)
        .bind(vec![tenant.0; rows.len()]) // $1
        .bind(rows.iter().map(|r| r.message_key).collect::<Vec<Uuid>>()) // $2
        .bind(rows.iter().map(|r| r.sent_at).collect::<Vec<Micros>>()) // $3
        .bind(rows.iter().map(|r| r.revision).collect::<Vec<i64>>()) // $4
        .bind(rows.iter().map(|r| r.verdict).collect::<Vec<&str>>()) // $5
        .bind(texts(|r| r.basis)) // $6
        .bind(texts(|r| r.agent)) // $7
        .bind(rows.iter().map(|r| r.agent_object_id).collect::<Vec<_>>()) // $8
        .bind(texts(|r| r.mailbox)) // $9
        .bind(texts(|r| r.candidates.as_deref())) // $10
        .bind(flags(|r| r.confirmed)) // $11
        .bind(flags(|r| r.contradicted)) // $12
        .bind(flags(|r| r.listed)) // $13
        .bind(rows.iter().map(|r| &r.evidence[..]).collect::<Vec<_>>()) // $14
}

/// By the places of the rows: a plan that was made while the table was small would compare each row
/// of the tenant with each key.
macro_rules! purge {
    ($table:literal, $_key:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(SELECT ctid FROM ",
            $table,
            " WHERE tenant_id = $1 LIMIT $2))"
        )
    };
}

impl Engine for Postgres {
    const BEGIN: &'static str = "BEGIN";
    const LOCK_TENANT: &'static str = queries::tenant!(" FOR UPDATE");
    // looked up key by key: a plan that was made while the table was small would read all of
    // the tenant and pick the keys out of it
    const ANSWERS: &'static str = queries::answers!(
        "SELECT b.* FROM UNNEST($2) AS asked (message_key) CROSS JOIN LATERAL (",
        "= asked.message_key LIMIT 1) b"
    );
    const MESSAGES: &'static str = concat!(
        "SELECT a.* FROM UNNEST($2) AS asked (message_key) CROSS JOIN LATERAL (",
        queries::messages!("= asked.message_key LIMIT 1"),
        ") a"
    );
    const REMOVE_TAUGHT: &'static str = queries::remove_taught!("= ANY($2)");
    const REMOVE_MESSAGES: [&'static str; 2] = [
        queries::remove_messages!("waiting", "= ANY($2)"),
        queries::remove_messages!("attribution", "= ANY($2)"),
    ];
    const PURGE: &'static [&'static str] = queries::purges!(purge);
    const REVISIONS: &'static str = queries::revisions!("= ANY($1)");
    // the width is computed once, not for each row
    const TALLIES: &'static str =
        queries::tallies!("date_bin((SELECT $7::bigint * interval '1 microsecond'), sent_at, $6)");
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
    const EXPIRE_FAILURES: &'static str =
        queries::expire!("coverage_failure", "failure_id", " FOR UPDATE SKIP LOCKED");

    type Keys = Vec<Uuid>;

    fn ids(ids: Vec<Uuid>) -> Vec<Uuid> {
        ids
    }

    async fn add_messages(
        connection: &mut PgConnection,
        tenant: TenantId,
        messages: &[Message],
    ) -> Result<(), sqlx::Error> {
        let rows = messages.iter().map(|m| AttributionRow::of(tenant, m));
        if messages.len() < COPIED || walls::is_behind(connection).await? {
            let rows: Vec<AttributionRow<'_>> = rows.collect();
            let ids: Vec<Option<&str>> = rows.iter().map(|r| r.message_id).collect();
            let statement = with_columns(ADD_MESSAGES, tenant, &rows).bind(ids); // $15
            statement.execute(connection).await?;
            return Ok(());
        }
        copy::copy(connection, COPY_MESSAGES, 15, rows, |row, of| {
            row.put(of.tenant_id)?
                .put(of.message_key)?
                .put(of.message_id)?
                .put(of.sent_at)?
                .put(of.revision)?
                .put(of.verdict)?
                .put(of.basis)?
                .put(of.agent)?
                .put(of.agent_object_id)?
                .put(of.mailbox)?
                .put(of.candidates)?
                .put(of.confirmed)?
                .put(of.contradicted)?
                .put(of.listed)?
                .put(of.evidence)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn replace_messages(
        connection: &mut PgConnection,
        tenant: TenantId,
        messages: &[Message],
    ) -> Result<u64, sqlx::Error> {
        let rows = messages.iter().map(|m| AttributionRow::of(tenant, m));
        let rows: Vec<AttributionRow<'_>> = rows.collect();
        let done = with_columns(REPLACE_MESSAGES, tenant, &rows)
            .execute(connection)
            .await?;
        Ok(done.rows_affected())
    }

    async fn put_lessons(
        connection: &mut PgConnection,
        tenant: TenantId,
        lessons: &[Lesson],
    ) -> Result<(), sqlx::Error> {
        let texts = |of: fn(&Lesson) -> String| lessons.iter().map(of).collect::<Vec<_>>();
        let times = |of: fn(&Lesson) -> Timestamp| {
            lessons
                .iter()
                .map(|l| of(l).into())
                .collect::<Vec<Micros>>()
        };
        query(PUT_LESSONS)
            .bind(tenant.0) // $1
            .bind(texts(|l| l.identity.to_string())) // $2
            .bind(texts(|l| l.address.clone())) // $3
            .bind(texts(|l| l.named_by.name().into())) // $4
            .bind(times(|l| l.seen.first)) // $5
            .bind(times(|l| l.seen.last)) // $6
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn put_waiting(
        connection: &mut PgConnection,
        tenant: TenantId,
        waiting: &[(Identity<'static>, MessageKey)],
    ) -> Result<(), sqlx::Error> {
        let identities = waiting.iter().map(|(identity, _)| identity.to_string());
        query(PUT_WAITING)
            .bind(tenant.0) // $1
            .bind(identities.collect::<Vec<String>>()) // $2
            .bind(waiting.iter().map(|(_, key)| key.0).collect::<Vec<Uuid>>()) // $3
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn put_admin_changes(
        connection: &mut PgConnection,
        rows: Vec<AdminChangeRow>,
    ) -> Result<Vec<AdminChangeIdRow>, sqlx::Error> {
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
        query(PUT_AUDIT_BATCHES)
            .bind(rows.iter().map(|r| r.tenant_id).collect::<Vec<Uuid>>()) // $1
            .bind(rows.iter().map(|r| r.batch_id).collect::<Vec<Uuid>>()) // $2
            .bind(
                rows.iter()
                    .map(|r| r.request_id.as_deref())
                    .collect::<Vec<_>>(),
            ) // $3
            .bind(rows.iter().map(|r| r.content_digest).collect::<Vec<_>>()) // $4
            .bind(rows.iter().map(|r| r.source.as_str()).collect::<Vec<_>>()) // $5
            .bind(rows.iter().map(|r| r.received_at).collect::<Vec<Micros>>()) // $6
            .bind(numbers(|r| r.received)) // $7
            .bind(numbers(|r| r.kept)) // $8
            .bind(numbers(|r| r.repeated)) // $9
            .bind(numbers(|r| r.ignored)) // $10
            .bind(numbers(|r| r.quarantined)) // $11
            .bind(numbers(|r| r.quarantined_without_copy)) // $12
            .bind(numbers(|r| r.changed_messages)) // $13
            .bind(numbers(|r| r.revision)) // $14
            .bind(rows.iter().map(|r| r.details.as_str()).collect::<Vec<_>>()) // $15
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

    async fn hint(pool: &Pool<Self>, tenants: &[TenantId]) -> Result<(), sqlx::Error> {
        hints::send(pool, tenants).await
    }

    async fn hints(pool: &Pool<Self>) -> Result<Option<Box<dyn Hints>>, sqlx::Error> {
        Ok(Some(Box::new(hints::listen(pool).await?)))
    }

    fn affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    fn migrator() -> Migrator {
        sqlx::migrate!("migrations/postgres")
    }

    async fn migrate(pool: &Pool<Self>, migrator: Migrator) -> Result<()> {
        migrate::migrate(&pool.connect_options(), migrator).await
    }

    async fn check(pool: &Pool<Self>) -> Result<Vec<Problem>, sqlx::Error> {
        walls::check(pool).await
    }
}
