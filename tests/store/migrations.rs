//! Migrations while others are at work: two at once, a program that is one version behind, and
//! somebody who holds a table for long.

use super::support::{
    TENANT, TestDb, batch,
    postgres::Alone,
    records::{Record, blob},
    time,
};
use crate::on_both_engines;
use sentby::{
    app::App,
    config::{CacheKind, Config, DatabaseUrl},
    domain::{MessageId, Revision, TimeRange},
    server,
    store::{PageLimit, RangeFilter, SCHEMA_VERSIONS},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

async fn config(url: &str) -> Config {
    let template = TestDb::sqlite().await;
    Config {
        database: DatabaseUrl::Postgres(url.to_owned()),
        cache: CacheKind::None,
        ..template.config.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_migrate_once() {
    let Some(alone) = Alone::start().await else {
        return;
    };
    let config = config(&alone.url).await;
    let all = (0..4).map(|_| {
        let config = config.clone();
        tokio::spawn(async move { server::migrate(&config).await })
    });
    for done in futures_util::future::join_all(all).await {
        let report = done.expect("no panic").expect("migrated");
        assert_eq!(report.to, *SCHEMA_VERSIONS.start());
    }
    let again = server::migrate(&config).await.expect("migrated");
    assert_eq!(again.from, Some(again.to));
    alone.stop().await;
}

/// Whoever uses a table for long keeps a migration waiting, but not those who come later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_has_to_wait_holds_nobody_up() {
    let Some(alone) = Alone::start().await else {
        return;
    };
    let mut first = PgConnection::connect(&alone.url).await.expect("Postgres");
    let migrator = sqlx::migrate!("migrations/postgres");
    let oldest = migrator.run_to(1, &mut first).await;
    oldest.expect("the first migration alone");
    // 0002 adds a column to this table
    first.execute("BEGIN").await.expect("begun");
    first
        .execute("LOCK TABLE tenant IN ACCESS SHARE MODE")
        .await
        .expect("locked");
    let config = config(&alone.url).await;
    let migrating = tokio::spawn(async move { server::migrate(&config).await });
    let mut reader = PgConnection::connect(&alone.url).await.expect("Postgres");
    let (since, mut slowest, mut reads) = (Instant::now(), Duration::ZERO, 0);
    while since.elapsed() < Duration::from_secs(6) {
        let asked = Instant::now();
        let read = reader.execute("SELECT count(*) FROM tenant").await;
        read.expect("read");
        slowest = slowest.max(asked.elapsed());
        reads += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!migrating.is_finished(), "it waits for the transaction");
    first.execute("COMMIT").await.expect("ended");
    let report = migrating.await.expect("no panic").expect("migrated");
    assert_eq!(
        (report.from, report.to),
        (Some(1), *SCHEMA_VERSIONS.start())
    );
    println!("{reads} reads, the slowest took {slowest:?}");
    // two seconds, and what a busy machine adds
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    assert!(
        slowest > Duration::from_secs(1),
        "the migration was in the way"
    );
    alone.stop().await;
}

/// A change as the rules of `migrations/README.md` allow it.
async fn next_version(db: &TestDb, version: i64) {
    let row = "INSERT INTO _sqlx_migrations \
         (version, description, success, checksum, execution_time)";
    let (number, id) = match &db.config.database {
        DatabaseUrl::Postgres(_) => ("bigint", "uuid"),
        DatabaseUrl::Sqlite(_) => ("integer", "blob"),
    };
    let of_both = format!(
        "ALTER TABLE attribution ADD COLUMN added{version} {number} NOT NULL DEFAULT 0; \
         ALTER TABLE tenant ADD COLUMN added{version} text NOT NULL DEFAULT ''; \
         CREATE TABLE added{version} (tenant_id {id} NOT NULL PRIMARY KEY); \
         CREATE INDEX added_index{version} ON attribution (tenant_id, agent); "
    );
    match &db.config.database {
        DatabaseUrl::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.expect("Postgres");
            let sql = format!(
                "BEGIN; SET LOCAL lock_timeout = '2s'; {of_both} \
                 ALTER TABLE added{version} ENABLE ROW LEVEL SECURITY; \
                 {row} VALUES ({version}, 'next', true, '\\x00', 0); COMMIT"
            );
            // beside a program at work it may be the one that gives way, as it may with `migrate`
            let gives_way = |error: &sqlx::Error| {
                let code = error.as_database_error().and_then(|error| error.code());
                // a deadlock; a lock that was not free in time
                code.is_some_and(|code| code == "40P01" || code == "55P03")
            };
            let mut done = connection.execute(AssertSqlSafe(sql.clone())).await;
            while done.as_ref().is_err_and(gives_way) {
                connection.execute("ROLLBACK").await.expect("rolled back");
                done = connection.execute(AssertSqlSafe(sql.clone())).await;
            }
            done.expect("migrated");
        }
        DatabaseUrl::Sqlite(path) => {
            let url = format!("sqlite://{}", path.display());
            let mut connection = SqliteConnection::connect(&url).await.expect("SQLite");
            let sql = format!(
                "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE; {of_both} \
                 {row} VALUES ({version}, 'next', true, x'00', 0); COMMIT"
            );
            let done = connection.execute(AssertSqlSafe(sql)).await;
            done.expect("migrated");
        }
    }
}

fn record(n: usize) -> Record {
    let id = format!("<M{n}@x>");
    Record::mailbox_side(
        n as u128 + 1,
        "anna@contoso.com",
        &id,
        "2026-03-01T09:00:00",
    )
}

/// Writes, looks up, reads ranges; until it is told to end. Counts its rounds.
async fn at_work(app: Arc<App>, from: usize, ends: Arc<AtomicBool>, rounds: Arc<AtomicUsize>) {
    let mut n = from;
    while !ends.load(Relaxed) {
        // many at once go in by COPY
        let records: Vec<Record> = (n..n + 600).map(record).collect();
        let receipt = app
            .ingest_audit_batch(batch(TENANT, blob(&records)))
            .await
            .expect("ingested")
            .receipt;
        let id = MessageId::parse(&format!("<M{n}@x>")).expect("an id");
        let found = app
            .get_attribution(TENANT, id, None, receipt.revision)
            .await;
        found.expect("what was acknowledged is there");
        let second = Record::agent_side(
            (1 << 32) + n as u128,
            "anna@contoso.com",
            &format!("<M{n}@x>"),
            "2026-03-01T09:00:00",
        );
        let batch = batch(TENANT, blob(&[second]));
        app.ingest_audit_batch(batch).await.expect("ingested");
        let filter = RangeFilter {
            range: TimeRange {
                start: time("2026-01-01T00:00:00Z"),
                end: time("2027-01-01T00:00:00Z"),
            },
            mailbox: None,
            agent: None,
            verdict: None,
        };
        let limit = PageLimit {
            rows: 50,
            bytes: 1 << 20,
        };
        let page = app.store().range(TENANT, &filter, None, limit).await;
        assert!(!page.expect("read").answers.is_empty());
        n += 600;
        rounds.fetch_add(1, Relaxed);
    }
}

on_both_engines! {
    /// The schema goes one ahead, without a call that fails; what was opened before and what is
    /// opened after work on it; two ahead is refused.
    async fn a_program_works_on_the_schema_that_is_one_ahead(db: TestDb) {
        let app = db.app_with_tenant().await;
        let (ends, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let workers: Vec<_> = (0..3)
            .map(|n| {
                let (ends, rounds) = (Arc::clone(&ends), Arc::clone(&rounds));
                tokio::spawn(at_work(Arc::clone(&app), n * 1_000_000, ends, rounds))
            })
            .collect();
        let wait_for = async |more: usize| {
            let until = rounds.load(Relaxed) + more;
            let patience = Instant::now() + Duration::from_secs(60);
            while rounds.load(Relaxed) < until {
                assert!(Instant::now() < patience, "the work goes on");
                sleep(Duration::from_millis(10)).await;
            }
        };
        wait_for(4).await;
        next_version(&db, *SCHEMA_VERSIONS.end()).await;
        wait_for(4).await;
        let opened = server::open(&db.config).await.expect("opened on the newer schema");
        let tenant = opened.get_tenant(TENANT, Revision(0)).await;
        assert!(tenant.is_ok());
        // as the first container of a release that is rolled back
        let report = server::migrate(&db.config).await.expect("nothing to do");
        let newest = *SCHEMA_VERSIONS.end();
        assert_eq!((report.from, report.to), (Some(newest), newest));
        ends.store(true, Relaxed);
        for worker in workers {
            worker.await.expect("no call failed");
        }
        db.assert_gapless(TENANT).await;

        next_version(&db, newest + 1).await;
        for refused in [
            server::open(&db.config).await.err(),
            server::migrate(&db.config).await.err(),
        ] {
            let error = refused.expect("two ahead").to_string();
            assert!(error.contains("or a newer program"), "{error}");
        }
    }
}
