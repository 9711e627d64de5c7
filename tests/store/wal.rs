//! How much a message costs in the write-ahead log, which is what a database under load is
//! short of. Bytes are counted, not time, so the figure is the same on every machine.
//!
//! Other tests write into the same log at the same time, so it is read record by record, and
//! what is counted is a database of our own. Alignment and page headers, some 1 %, are not.

use super::support::TestDb;
use sentby::{
    app::App,
    config::{Config, DatabaseUrl},
    domain::TenantId,
    server,
    simulate::{Plan, Story},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions,
};
use std::{str::FromStr as _, sync::Arc};
use uuid::Uuid;

/// Bytes of the log for each message of [`plan`], all that is written with it included. The
/// test prints what it has counted (`--nocapture`): when that is less, or when more is worth
/// it, write it here.
const BYTES_PER_MESSAGE: f64 = 775.0;

/// What a tenant of every day has: odd messages are rare. 40 % of the records are send events.
fn plan() -> Plan {
    Plan {
        messages: 10_000,
        days: 1,
        noise: 1.5,
        stories: vec![
            Story::BothSides,
            Story::MailboxSide,
            Story::AgentSide,
            Story::MailboxSideAndOwnSend,
            Story::OwnSend,
        ],
        ..Plan::default()
    }
}

/// So few that of a fifth of the messages the second side comes in a later batch, as with a
/// large tenant and batches of thousands.
const RECORDS_OF_A_BATCH: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_costs_no_more_than_it_did() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    // of its own: snapshots and vacuums of other tests reach no further than their database
    let own = OwnDatabase::create(&db.config).await;
    let log = own.ingested().await;
    let copied = own.copied().await;
    own.drop().await;

    println!(
        "bytes of the log for a message, by record and relation:\n{}",
        log.parts
    );
    println!(
        "{:.0} bytes for each of {} messages: {:.2}x of a COPY of the same rows into a table \
         without indexes, {:.0}",
        log.per_message(),
        log.messages,
        log.per_message() / copied.per_message(),
        copied.per_message(),
    );
    assert_eq!(log.messages, copied.messages);
    assert!(
        log.per_message() < 1.2 * BYTES_PER_MESSAGE,
        "a message costs {:.0} bytes, and did {BYTES_PER_MESSAGE:.0}",
        log.per_message()
    );
}

/// What was counted.
struct Log {
    bytes: i64,
    messages: i64,
    parts: String,
}

impl Log {
    fn per_message(&self) -> f64 {
        self.bytes as f64 / self.messages as f64
    }
}

/// A database that one test has for itself, in the server of all.
struct OwnDatabase {
    server: PgConnectOptions,
    name: String,
    config: Config,
}

impl OwnDatabase {
    async fn create(config: &Config) -> Self {
        let DatabaseUrl::Postgres(url) = &config.database else {
            unreachable!()
        };
        let (url, _) = url.split_once("?options").expect("the options of a test");
        let server = PgConnectOptions::from_str(url).expect("a URL");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let own = server.clone().database(&name).to_url_lossy();
        let own = Self {
            server,
            config: Config {
                database: DatabaseUrl::Postgres(own.into()),
                ..config.clone()
            },
            name,
        };
        own.administer(format!("CREATE DATABASE {} TEMPLATE template0", own.name))
            .await;
        server::migrate(&own.config).await.expect("migrated");
        own
    }

    async fn administer(&self, sql: String) {
        let mut connection = self.server.connect().await.expect("Postgres");
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection);
        done.await.expect("done");
        connection.close().await.expect("closed");
    }

    async fn drop(self) {
        self.administer(format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await;
    }

    async fn connect(&self) -> PgConnection {
        let options = self.server.clone().database(&self.name);
        options.connect().await.expect("Postgres")
    }

    /// The feed goes in batch by batch, through the app.
    async fn ingested(&self) -> Log {
        let mut connection = self.connect().await;
        sqlx::raw_sql(PREPARE)
            .execute(&mut connection)
            .await
            .expect(
                "the extension pg_walinspect, which comes with PostgreSQL or its contrib package",
            );
        let app = server::open(&self.config).await.expect("opened");
        let feed = plan().feeds().next().expect("a tenant");
        let tenant = TenantId(feed.tenant());
        super::support::register(&app, tenant).await;
        let start = position(&mut connection).await;
        for blob in feed.blobs(RECORDS_OF_A_BATCH) {
            ingest(&app, tenant, blob).await;
        }
        counted(&mut connection, &start).await
    }

    /// The rows that the feed has become, once more.
    async fn copied(&self) -> Log {
        let (mut from, mut to) = (self.connect().await, self.connect().await);
        let table = "CREATE TABLE copied (LIKE attribution)";
        sqlx::raw_sql(table)
            .execute(&mut to)
            .await
            .expect("a table");
        let start = position(&mut to).await;
        let source = "COPY attribution TO STDOUT (FORMAT binary)";
        let mut rows = from.copy_out_raw(source).await.expect("a copy");
        let target = "COPY copied FROM STDIN (FORMAT binary)";
        let mut copy = to.copy_in_raw(target).await.expect("a copy");
        while let Some(some) = futures_util::StreamExt::next(&mut rows).await {
            copy.send(some.expect("rows")).await.expect("sent");
        }
        copy.finish().await.expect("copied");
        counted(&mut to, &start).await
    }
}

async fn ingest(app: &Arc<App>, tenant: TenantId, blob: Vec<u8>) {
    let batch = crate::support::batch(tenant, blob);
    app.ingest_audit_batch(batch).await.expect("ingested");
}

/// Nothing but what we do is to be counted.
const PREPARE: &str = "CREATE EXTENSION pg_walinspect; \
    DO $$ DECLARE t regclass; BEGIN \
    FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
    LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', t); END LOOP; END $$";

/// Where the log is. What follows is kept as long as this connection lives.
async fn position(connection: &mut PgConnection) -> String {
    let keep = "SELECT pg_create_physical_replication_slot($1, true, true)";
    let kept = sqlx::query(keep).bind(format!("test_{}", Uuid::new_v4().simple()));
    kept.execute(&mut *connection).await.expect("a slot");
    let position = sqlx::query_scalar("SELECT pg_current_wal_insert_lsn()::text");
    position.fetch_one(connection).await.expect("a position")
}

/// All records of transactions that changed a table of this database, and what was cleaned up
/// in passing; without images of whole pages, which depend on when there was a checkpoint.
const COUNT: &str = "WITH relation AS (SELECT pg_relation_filepath(oid) AS path, relname::text AS name \
    FROM pg_class WHERE relkind IN ('r', 'i', 't') AND oid >= 16384), \
    log AS (SELECT xid::text AS xid, resource_manager || ' ' || record_type AS kind, \
        record_length - fpi_length AS bytes, name \
        FROM pg_get_wal_records_info($1::pg_lsn, pg_current_wal_flush_lsn()) LEFT JOIN relation \
        ON path = 'base/' || substring(block_ref FROM 'rel [0-9]+/([0-9]+/[0-9]+) ')) \
    SELECT kind, coalesce(name, ''), count(*), sum(bytes)::bigint FROM log \
    WHERE name IS NOT NULL OR xid <> '0' AND xid IN (SELECT xid FROM log WHERE name IS NOT NULL) \
    GROUP BY 1, 2 ORDER BY 4 DESC";

async fn counted(connection: &mut PgConnection, start: &str) -> Log {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(COUNT)
        .bind(start)
        .fetch_all(&mut *connection)
        .await
        .expect("the log");
    let messages: i64 = sqlx::query_scalar("SELECT count(*) FROM attribution")
        .fetch_one(connection)
        .await
        .expect("a count");
    let parts = rows.iter().map(|(kind, relation, count, bytes)| {
        let each = *bytes as f64 / messages as f64;
        format!("{each:8.1}  {count:>7} x {kind:<32} {relation}\n")
    });
    Log {
        bytes: rows.iter().map(|(.., bytes)| bytes).sum(),
        messages,
        parts: parts.collect(),
    }
}
