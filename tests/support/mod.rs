//! What the suites share: a fresh store of each engine, records, a feed with everything in
//! it, the program as a process, a Redis and what can happen to it.
#![allow(dead_code, clippy::too_many_lines)] // each suite uses a part; stories are long

pub mod again;
pub mod browser;
pub mod config;
pub mod copy;
pub mod disk;
pub mod feed;
pub mod ledger;
pub mod messages;
pub mod otlp;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod records;
pub mod redis;
pub mod resp;
pub mod settings;
pub mod trip;
pub mod wire;

use sentby::{
    app::{App, ingest_audit_batch::Batch},
    config::{Config, DatabaseUrl},
    domain::{TenantId, Timestamp},
    server,
};
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use std::{path::PathBuf, sync::Arc};
use tempfile::TempDir;
use uuid::Uuid;

/// The tenant of most tests.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111));
pub const OTHER_TENANT: TenantId =
    TenantId(Uuid::from_u128(0x2222_2222_2222_4222_8222_2222_2222_2222));

/// The role that the suite serves as where it is told to.
const APP_ROLE: &str = "sentby_test_app";

/// One named test for each engine out of each case: `the_case::sqlite`, `the_case::postgres`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[doc = $doc:literal])* async fn $name:ident($db:ident: TestDb) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[doc = $doc])*
            async fn case($db: $crate::support::TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                case($crate::support::TestDb::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(db) = $crate::support::TestDb::postgres().await else { return };
                case(db).await;
            }
        }
    )*};
}

/// A store of its own: a file, or a schema in the database that `tests/run` started.
pub struct TestDb {
    pub config: Config,
    _folder: Option<TempDir>,
}

/// Runs the same on a connection of its own, of whichever engine the store has.
macro_rules! on_connection {
    ($db:expr, |$connection:ident| $run:block) => {
        match &$db.config.database {
            DatabaseUrl::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                let mut $connection = SqliteConnection::connect(&url).await.expect("SQLite");
                $run
            }
            DatabaseUrl::Postgres(url) => {
                let mut $connection = PgConnection::connect(url).await.expect("Postgres");
                $run
            }
        }
    };
}

impl TestDb {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path: PathBuf = folder.path().join("test.db");
        Self::migrated(DatabaseUrl::Sqlite(path), Some(folder)).await
    }

    /// `None`, said aloud, where there is no Postgres; that is a failure under `tests/run`.
    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
            assert!(
                std::env::var_os("REQUIRE_POSTGRES").is_none(),
                "TEST_DATABASE_URL is not set: start the suite with tests/run"
            );
            eprintln!("SKIPPED: no TEST_DATABASE_URL; tests/run starts a Postgres");
            return None;
        };
        let schema = format!("test_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&url).await.expect("Postgres");
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
            .execute(&mut connection)
            .await
            .expect("a schema");
        let url = format!("{url}?options=-csearch_path%3D{schema}");
        Some(Self::migrated(DatabaseUrl::Postgres(url), None).await)
    }

    async fn migrated(database: DatabaseUrl, folder: Option<TempDir>) -> Self {
        let config = config::config(database);
        let report = server::migrate(&config).await.expect("migrated");
        assert_eq!(report.from, None);
        Self {
            config,
            _folder: folder,
        }
    }

    /// Another process on the same store, as far as the store can tell. With
    /// SENTBY_TEST_AS_APP_ROLE it runs as a role that owns nothing.
    pub async fn app(&self) -> Arc<App> {
        let as_role = std::env::var_os("SENTBY_TEST_AS_APP_ROLE").is_some();
        let is_postgres = matches!(self.config.database, DatabaseUrl::Postgres(_));
        let config = if as_role && is_postgres {
            self.as_app_role(APP_ROLE).await
        } else {
            self.config.clone()
        };
        server::open(&config).await.expect("opened")
    }

    /// The same store by another way to it. Keep the first one.
    pub fn other(of: &Self, url: String) -> Self {
        Self {
            config: Config {
                database: DatabaseUrl::Postgres(url),
                ..of.config.clone()
            },
            _folder: None,
        }
    }

    /// The same store as a role sees it that may serve and nothing else; makes the role.
    pub async fn as_app_role(&self, role: &str) -> Config {
        server::grant_program(&self.config, role)
            .await
            .expect("granted");
        self.as_login(role).await
    }

    /// The same store as a role sees it, which may log in from now on.
    pub async fn as_login(&self, role: &str) -> Config {
        let DatabaseUrl::Postgres(url) = &self.config.database else {
            panic!("not a Postgres")
        };
        let mut connection = PgConnection::connect(url).await.expect("Postgres");
        // two tests at once may change the same role
        let login = format!(
            "SELECT pg_advisory_lock(17); ALTER ROLE {role} LOGIN; SELECT pg_advisory_unlock(17)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(login))
            .execute(&mut connection)
            .await
            .expect("it may log in");
        let (_, host) = url.split_once('@').expect("a user");
        Config {
            database: DatabaseUrl::Postgres(format!("postgres://{role}@{host}")),
            ..self.config.clone()
        }
    }

    /// An app in which [`TENANT`] is registered.
    pub async fn app_with_tenant(&self) -> Arc<App> {
        let app = self.app().await;
        register(&app, TENANT).await;
        app
    }

    /// Every stored message as text, byte for byte, in the order of keys; without the
    /// revision, which counts commits.
    pub async fn dump(&self, tenant: TenantId) -> Vec<String> {
        const COLUMNS: &str = "coalesce(message_id, '-') || '|' || verdict || '|' || \
             coalesce(basis, '-') || '|' || coalesce(agent, '-') || '|' || \
             coalesce(mailbox, '-') || '|' || coalesce(candidates, '-')";
        type Row = (String, i64, bool, bool, bool, Vec<u8>);
        let (key, object_id, sent_at) = match &self.config.database {
            DatabaseUrl::Sqlite(_) => (
                "lower(hex(message_key))",
                "CASE WHEN agent_object_id IS NULL THEN '-' ELSE lower(hex(agent_object_id)) END",
                "sent_at",
            ),
            DatabaseUrl::Postgres(_) => (
                "replace(message_key::text, '-', '')",
                "coalesce(replace(agent_object_id::text, '-', ''), '-')",
                "(extract(epoch FROM sent_at) * 1000000)::bigint",
            ),
        };
        let sql = format!(
            "SELECT {key} || '|' || {COLUMNS} || '|' || {object_id}, {sent_at}, confirmed, \
             contradicted, listed, evidence FROM attribution WHERE tenant_id = $1 \
             ORDER BY message_key"
        );
        let rows: Vec<Row> = on_connection!(self, |connection| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(tenant.0)
                .fetch_all(&mut connection)
                .await
                .expect("rows")
        });
        let rows = rows.into_iter().map(|row| format!("{row:?}"));
        rows.chain(self.lessons(tenant).await).collect()
    }

    /// What is covered and what failed, without the times of receipt.
    pub async fn ledger(&self, tenant: TenantId) -> Vec<String> {
        let time = |column: &str| match &self.config.database {
            DatabaseUrl::Sqlite(_) => column.to_owned(),
            DatabaseUrl::Postgres(_) => format!("(extract(epoch FROM {column}) * 1000000)::bigint"),
        };
        let (start, end) = (time("start_at"), time("end_at"));
        let sql = format!(
            "SELECT source || '|' || clock || '|' || settled_days || '|' || {start} || '|' || {end} \
             FROM coverage_window WHERE tenant_id = $1 \
             UNION ALL SELECT source || '|' || clock || '|' || outcome || '|' || code || '|' || {start} \
             FROM coverage_failure WHERE tenant_id = $1"
        );
        let rows: Vec<(String,)> = on_connection!(self, |connection| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(tenant.0)
                .fetch_all(&mut connection)
                .await
                .expect("rows")
        });
        let mut rows: Vec<String> = rows.into_iter().map(|(row,)| row).collect();
        rows.sort(); // each database has an order of its own for text
        rows
    }

    /// What was learned, and what waits for more.
    async fn lessons(&self, tenant: TenantId) -> Vec<String> {
        let (seen, key) = match &self.config.database {
            DatabaseUrl::Sqlite(_) => ("first_seen || '|' || last_seen", "lower(hex(message_key))"),
            DatabaseUrl::Postgres(_) => (
                "(extract(epoch FROM first_seen) * 1000000)::bigint || '|' || \
                 (extract(epoch FROM last_seen) * 1000000)::bigint",
                "replace(message_key::text, '-', '')",
            ),
        };
        let sql = format!(
            "SELECT identity || '|' || address || '|' || named_by || '|' || {seen} \
             FROM lesson WHERE tenant_id = $1 \
             UNION ALL SELECT identity || '|' || {key} FROM waiting WHERE tenant_id = $1 \
             ORDER BY 1"
        );
        let rows: Vec<(String,)> = on_connection!(self, |connection| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(tenant.0)
                .fetch_all(&mut connection)
                .await
                .expect("rows")
        });
        let mut rows: Vec<String> = rows.into_iter().map(|(row,)| row).collect();
        rows.sort(); // each database has an order of its own for text
        rows
    }

    /// Every row of every table, as text, in one buffer each. Blobs are in hexadecimal.
    pub async fn everything(&self) -> Vec<Vec<u8>> {
        let (tables, rows): (&str, fn(&str) -> String) = match &self.config.database {
            DatabaseUrl::Sqlite(_) => (
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
                |table| format!("SELECT * FROM {table}"),
            ),
            DatabaseUrl::Postgres(_) => (
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
                |table| format!("SELECT t::text FROM {table} t"),
            ),
        };
        let mut everything = Vec::new();
        for table in self.texts(tables).await {
            match &self.config.database {
                DatabaseUrl::Postgres(_) => {
                    let texts = self.texts(&rows(&table)).await;
                    everything.extend(texts.into_iter().map(String::into_bytes));
                }
                DatabaseUrl::Sqlite(path) => {
                    let url = format!("sqlite://{}", path.display());
                    let mut connection = SqliteConnection::connect(&url).await.expect("SQLite");
                    let sql = rows(&table);
                    let read = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()));
                    for row in read.fetch_all(&mut connection).await.expect("rows") {
                        let mut bytes = table.clone().into_bytes();
                        for column in 0..row.len() {
                            bytes.push(b'|');
                            let value: Vec<u8> = row.try_get_unchecked(column).unwrap_or_default();
                            bytes.extend(value);
                        }
                        everything.push(bytes);
                    }
                }
            }
        }
        everything
    }

    /// A number out of the store, by a statement that both engines take; `$1` is the tenant.
    pub async fn number(&self, sql: &'static str, tenant: TenantId) -> i64 {
        on_connection!(self, |connection| {
            let row = sqlx::query(sql).bind(tenant.0).fetch_one(&mut connection);
            row.await.expect("a row").get(0)
        })
    }

    /// The one column of all rows.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        on_connection!(self, |connection| {
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection);
            rows.await.expect("rows")
        })
    }

    pub async fn execute(&self, sql: &'static str) {
        on_connection!(self, |connection| {
            let done = sqlx::query(sql).execute(&mut connection).await;
            done.expect("executed");
        });
    }

    /// Revisions of a tenant are 1, 2, 3 … up to the tenant's own.
    pub async fn assert_gapless(&self, tenant: TenantId) -> i64 {
        let count = "SELECT count(*) FROM change WHERE tenant_id = $1";
        let last = "SELECT coalesce(max(revision), 0) FROM change WHERE tenant_id = $1";
        let current = "SELECT revision FROM tenant WHERE tenant_id = $1";
        let current = self.number(current, tenant).await;
        assert_eq!(
            self.number(count, tenant).await,
            current,
            "one change row a revision"
        );
        assert_eq!(
            self.number(last, tenant).await,
            current,
            "the last is the current one"
        );
        current
    }
}

pub async fn register(app: &App, tenant: TenantId) {
    app.register_tenant(sentby::app::register_tenant::Registration {
        tenant,
        display_name: "Contoso".into(),
        consented_at: time("2026-01-01T00:00:00Z"),
        retention_days: None,
    })
    .await
    .expect("registered");
}

/// Nothing but its content.
pub fn batch(tenant: TenantId, content: impl Into<Vec<u8>>) -> Batch {
    Batch {
        tenant,
        content: content.into().into(),
        records: Vec::new(),
        validate_only: false,
        request_id: None,
        source: String::new(),
        window: None,
    }
}

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// Equal rows, byte for byte; tells the first that differs.
#[track_caller]
pub fn assert_same_rows(left: &[String], right: &[String]) {
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
}
