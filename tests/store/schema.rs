//! Both engines have the same migrations, tables and columns.

use super::support::TestDb;
use crate::on_both_engines;
use sentby::{config::DatabaseUrl, server};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::collections::BTreeSet;

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<String> {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).expect("migrations");
        files
            .map(|file| {
                file.expect("a file")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect()
    };
    assert!(!names("postgres").is_empty());
    assert_eq!(names("postgres"), names("sqlite"));
}

#[tokio::test]
async fn both_engines_have_the_same_tables_views_and_columns() {
    let Some(postgres) = TestDb::postgres().await else {
        return;
    };
    let sqlite = TestDb::sqlite().await;
    let DatabaseUrl::Postgres(url) = &postgres.config.database else {
        unreachable!()
    };
    let mut connection = PgConnection::connect(url).await.expect("Postgres");
    let in_postgres: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, is_nullable = 'YES' \
         FROM information_schema.columns WHERE table_schema = current_schema() \
         AND table_name <> '_sqlx_migrations' ORDER BY table_name, ordinal_position",
    )
    .fetch_all(&mut connection)
    .await
    .expect("columns");
    let DatabaseUrl::Sqlite(path) = &sqlite.config.database else {
        unreachable!()
    };
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("SQLite");
    let in_sqlite: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT t.name, c.name, c.\"notnull\" = 0 FROM sqlite_master t, pragma_table_xinfo(t.name) c \
         WHERE t.type IN ('table', 'view') AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
         ORDER BY t.name, c.cid",
    )
    .fetch_all(&mut connection)
    .await
    .expect("columns");
    assert!(in_postgres.len() > 40);
    for view in ["attribution_v1", "tenant_v1"] {
        assert!(in_postgres.iter().any(|(table, _, _)| table == view));
    }
    assert_eq!(in_postgres, in_sqlite);
}

#[tokio::test]
async fn a_postgres_without_the_schema_is_refused_with_what_to_do() {
    let Some(mut db) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    let (base, _) = url.split_once("?options").expect("the options of a test");
    db.config.database =
        DatabaseUrl::Postgres(format!("{base}?options=-csearch_path%3Dno_such_schema"));
    let error = server::open(&db.config).await.expect_err("refused");
    assert!(error.to_string().contains("sentby migrate"), "{error}");
}

on_both_engines! {
    /// What `serve` compares a database with. After a new migration, SENTBY_WRITE_SCHEMA=1 writes
    /// the lists anew.
    async fn the_lists_of_parts_are_what_the_migrations_make(db: TestDb) {
        let (parts, file) = match &db.config.database {
            DatabaseUrl::Sqlite(_) => (include_str!("../../src/store/sqlite/parts.sql"), "sqlite"),
            DatabaseUrl::Postgres(_) => (include_str!("../../src/store/postgres/parts.sql"), "postgres"),
        };
        let path = format!("{}/src/store/{file}/schema.txt", env!("CARGO_MANIFEST_DIR"));
        let mut made = format!(
            "# What migrations/{file} make, as parts.sql tells it. Written by the test of that name in tests/store/schema.rs.\n"
        );
        for line in db.texts(parts).await {
            made.push_str(&line);
            made.push('\n');
        }
        if std::env::var_os("SENTBY_WRITE_SCHEMA").is_some() {
            std::fs::write(&path, &made).expect("written");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("a list"), made);
    }

    /// Migrating again changes nothing.
    async fn migrating_is_safe_to_repeat(db: TestDb) {
        let again = server::migrate(&db.config).await.expect("migrated");
        assert_eq!(again.from, Some(again.to));
    }
}

/// What a purge leaves behind nobody would ever delete.
#[tokio::test]
async fn every_table_with_rows_of_tenants_is_purged() {
    let sqlite = TestDb::sqlite().await;
    let tables = sqlite
        .texts(
            "SELECT t.name FROM sqlite_master t, pragma_table_xinfo(t.name) c \
             WHERE t.type = 'table' AND c.name = 'tenant_id' ORDER BY t.name",
        )
        .await;
    assert!(tables.len() > 10, "{tables:?}");
    let purges = include_str!("../../src/store/queries/privacy.rs");
    for table in tables {
        let is_purged = [
            format!("$purge!(\"{table}\","),
            format!("\"DELETE FROM {table} WHERE tenant_id = $1\""),
        ];
        let is_purged = is_purged.iter().any(|purge| purges.contains(purge));
        assert!(is_purged, "{table} is not in `purges!`");
    }
}
