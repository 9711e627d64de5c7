//! A database that is not as it must be is not served from, and says what to do.

use super::support::TestDb;
use crate::on_both_engines;
use sentby::{config::DatabaseUrl, server};

/// Refused before the change is undone, and taken again after it.
async fn assert_refused(db: &TestDb, change: &'static [&'static str], says: &[&str]) {
    let app = db.app().await;
    for sql in change {
        db.execute(sql).await;
    }
    // one that is running finds it too, and serves no more
    let found = app.unfit(true).await.expect("looked").expect("not fit");
    assert!(!app.is_fit());
    app.fit().await.expect_err("it serves");
    let error = server::open(&db.config).await.expect_err("refused");
    for text in [found.to_string(), error.to_string()] {
        for says in says {
            assert!(text.contains(says), "{change:?}: {text}");
        }
    }
}

on_both_engines! {
    async fn a_fresh_database_is_fit(db: TestDb) {
        let app = db.app().await;
        assert!(app.is_fit());
        let problems = app.store().check().await.expect("looked");
        // the suite is a superuser, which is told and does no harm
        assert!(problems.iter().all(|problem| !problem.is_fatal), "{problems:?}");
        assert_eq!(app.unfit(true).await.expect("looked"), None);
    }

    async fn a_lost_index_is_found(db: TestDb) {
        assert_refused(&db, &["DROP INDEX attribution_by_time"], &["the schema lacks: index attribution_by_time"]).await;
    }

    async fn a_lost_column_is_found(db: TestDb) {
        let drop = &["ALTER TABLE coverage_failure DROP COLUMN code"];
        assert_refused(&db, drop, &["the schema lacks: column coverage_failure.code"]).await;
    }

    async fn a_view_that_shows_more_is_found(db: TestDb) {
        let (drop, create) = ("DROP VIEW tenant_v1", match &db.config.database {
            DatabaseUrl::Sqlite(_) => "CREATE VIEW tenant_v1 AS SELECT * FROM tenant",
            DatabaseUrl::Postgres(_) => "CREATE VIEW tenant_v1 WITH (security_barrier) AS SELECT tenant_id, display_name, \
                 consented_at, revoked_at, revision, generation, reattribute_after IS NOT NULL OR taught AS settling FROM tenant",
        });
        db.execute(drop).await;
        db.execute(create).await;
        assert_refused_now(&db, "the schema lacks: view tenant_v1").await;
    }

    async fn a_unique_index_over_tenants_is_found(db: TestDb) {
        let create = &["CREATE UNIQUE INDEX one_of_all ON attribution (message_id)"];
        assert_refused(&db, create, &["one_of_all", "does not begin with tenant_id", "DROP INDEX"]).await;
    }

    async fn a_table_without_a_key_is_found(db: TestDb) {
        db.execute("CREATE TABLE later (tenant_id integer, n integer)").await;
        assert_refused_now(&db, "later has no primary key").await;
    }
}

async fn assert_refused_now(db: &TestDb, says: &str) {
    let error = server::open(&db.config).await.expect_err("refused");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_that_does_not_stand_is_found() {
    for (change, says) in [
        (
            &["ALTER TABLE attribution DISABLE ROW LEVEL SECURITY"][..],
            &["attribution has no row security", "run `sentby migrate`"][..],
        ),
        (
            &["CREATE TABLE later (tenant_id uuid NOT NULL PRIMARY KEY)"],
            &["later has no row security", "run `sentby migrate`"],
        ),
        (
            &["CREATE POLICY mine ON quarantine USING (true)"],
            &[
                "the policy mine of the table quarantine",
                "run `sentby migrate`",
            ],
        ),
        (
            &["CREATE POLICY program ON reader USING (true)"],
            &["the policy program of the table reader"],
        ),
        (
            &["ALTER TABLE lag DROP CONSTRAINT lag_pkey"],
            &["lag has no primary key", "ADD PRIMARY KEY"],
        ),
        (
            &["ALTER VIEW attribution_v1 RESET (security_barrier)"],
            &["the schema lacks: view attribution_v1"],
        ),
    ] {
        let Some(db) = TestDb::postgres().await else {
            return;
        };
        assert_refused(&db, change, says).await;
        // what migrate can repair it does
        if says.contains(&"run `sentby migrate`") {
            server::migrate(&db.config).await.expect("migrated");
            db.app().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_not_let_in_is_found() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let role = format!("app_{}", uuid::Uuid::new_v4().simple());
    let config = db.as_app_role(&role).await;
    let app = server::open(&config).await.expect("opened");
    let problems = app.store().check().await.expect("looked");
    assert_eq!(
        problems,
        [],
        "nothing to say of a role that has what it needs"
    );
    drop(app);
    for change in [
        "DROP POLICY program ON side_seen",
        "DROP POLICY program ON tenant",
        "ALTER POLICY program ON change USING (tenant_id IS NULL)",
        "ALTER POLICY program ON change TO PUBLIC",
    ] {
        db.execute(change).await;
        for config in [&config, &db.config] {
            let error = server::open(config).await.expect_err(change).to_string();
            assert!(error.contains("--app-role"), "{change}: {error}");
        }
        server::grant_program(&db.config, &role)
            .await
            .expect("repaired");
        server::open(&config).await.expect(change);
    }
    let revoke = format!("REVOKE UPDATE ON mailbox FROM {role}");
    sqlx::query(sqlx::AssertSqlSafe(revoke))
        .execute(&mut super::reader_tenants::connect(&db.config).await)
        .await
        .expect("revoked");
    let error = server::open(&config)
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("may not read and write all of the table mailbox"),
        "{error}"
    );
    let mut owner = super::reader_tenants::connect(&db.config).await;
    let sql = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut owner)
        .await
        .expect("dropped");
}

/// Who may more than read the views is told, and no reason to stop: tables show nobody a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_may_do_is_told() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    db.execute("GRANT SELECT (secret) ON deployment_key TO PUBLIC")
        .await;
    db.execute("GRANT INSERT ON lesson TO pg_monitor").await;
    let app = db.app().await;
    let problems = app.store().check().await.expect("looked");
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let texts = texts.join("\n");
    for says in [
        "everybody may SELECT deployment_key",
        "REVOKE ALL ON deployment_key FROM PUBLIC",
        "pg_monitor may INSERT lesson",
    ] {
        assert!(texts.contains(says), "{texts}");
    }
}
