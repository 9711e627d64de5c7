//! The role that the program serves as: it reads and writes rows, and can do nothing else.

use super::{
    reader_tenants::{connect, denied},
    support::{OTHER_TENANT, TENANT, TestDb, assert_same_rows, batch, feed, register},
};
use sentby::{app::App, config::Config, server};
use sqlx::{AssertSqlSafe, Executor as _};
use std::sync::Arc;
use uuid::Uuid;

async fn ingest(app: &Arc<App>, content: Vec<u8>) {
    let batch = batch(TENANT, content);
    app.ingest_audit_batch(batch).await.expect("ingested");
}

async fn drop_role(db: &TestDb, role: &str) {
    let mut owner = connect(&db.config).await;
    let sql = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    owner.execute(AssertSqlSafe(sql)).await.expect("dropped");
}

fn role() -> String {
    format!("app_{}", Uuid::new_v4().simple())
}

/// Single rows, and so many that the owner would copy them, which row security does not allow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_owns_nothing_writes_the_same_rows() {
    let (Some(db), Some(by_owner)) = (TestDb::postgres().await, TestDb::postgres().await) else {
        return;
    };
    let role = role();
    let app = server::open(&db.as_app_role(&role).await)
        .await
        .expect("opened");
    register(&app, TENANT).await;
    let owners = by_owner.app_with_tenant().await;
    let batches = feed::batches(&mut feed::Random(5), &feed::records(5, 900), 1_500);
    for content in batches {
        ingest(&app, content.clone()).await;
        ingest(&owners, content).await;
    }
    assert!(db.dump(TENANT).await.len() > 500);
    assert_same_rows(&db.dump(TENANT).await, &by_owner.dump(TENANT).await);
    app.expire().await.expect("housekeeping");
    app.resume_reattribution().await.expect("housekeeping");
    drop(app);
    drop_role(&db, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_change_no_table() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let role = role();
    let config = db.as_app_role(&role).await;
    let mut program = connect(&config).await;
    for sql in [
        "CREATE TABLE mine (n int)",
        "ALTER TABLE attribution ADD COLUMN mine int",
        "ALTER TABLE attribution DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY all_of_it ON attribution USING (true)",
        "DROP VIEW tenant_v1",
        "TRUNCATE attribution",
        "DELETE FROM deployment_key",
        "UPDATE deployment_key SET secret = ''",
        "DELETE FROM _sqlx_migrations",
        "SELECT * FROM reader",
        "INSERT INTO reader (role) VALUES ('everybody')",
        "SELECT * FROM attribution_v1",
        "CREATE ROLE another",
    ] {
        denied(&mut program, sql).await;
    }
    // a migration keeps it in, also after a table was added
    db.execute("CREATE TABLE later (tenant_id uuid NOT NULL PRIMARY KEY)")
        .await;
    denied(&mut program, "SELECT count(*) FROM later").await;
    server::migrate(&db.config).await.expect("migrated");
    program
        .execute("INSERT INTO later VALUES (gen_random_uuid())")
        .await
        .expect("written");
    drop_role(&db, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_could_do_more_is_refused() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let mut owner = connect(&db.config).await;
    let (exempt, member) = (role(), role());
    let sql = format!(
        "CREATE ROLE {exempt} BYPASSRLS; CREATE ROLE {member}; GRANT CURRENT_USER TO {member}"
    );
    let sql = match sqlx::query_scalar::<_, String>("SELECT quote_ident(current_user)")
        .fetch_one(&mut owner)
        .await
    {
        Ok(user) => sql.replace("CURRENT_USER", &user),
        Err(error) => panic!("{error}"),
    };
    owner.execute(AssertSqlSafe(sql)).await.expect("made");
    for (name, why) in [
        (exempt.as_str(), "exempt from row security"),
        (member.as_str(), "rights of the owner"),
        ("postgres", "superuser"),
        (&"x".repeat(64), "1 to 63 bytes"),
    ] {
        let error = server::grant_program(&db.config, name)
            .await
            .expect_err(name);
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
    let sql = format!("DROP ROLE {exempt}; DROP ROLE {member}");
    owner.execute(AssertSqlSafe(sql)).await.expect("dropped");
}

/// A grant by mistake shows no row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_shows_nobody_else_a_row() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let app = db.app_with_tenant().await;
    register(&app, OTHER_TENANT).await;
    drop(app);
    let role = role();
    let mut owner = connect(&db.config).await;
    let sql = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA {} TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA {} TO {role}",
        schema(&db.config),
        schema(&db.config)
    );
    owner.execute(AssertSqlSafe(sql)).await.expect("granted");
    let mut bob = connect(&db.as_login(&role).await).await;
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM tenant")
        .fetch_one(&mut bob)
        .await
        .expect("read");
    assert_eq!(found, 0);
    denied(
        &mut bob,
        "INSERT INTO waiting VALUES (gen_random_uuid(), '', gen_random_uuid())",
    )
    .await;
    let lost = bob.execute("DELETE FROM tenant").await.expect("none");
    assert_eq!(lost.rows_affected(), 0);
    drop_role(&db, &role).await;
}

fn schema(config: &Config) -> String {
    let sentby::config::DatabaseUrl::Postgres(url) = &config.database else {
        panic!("not a Postgres")
    };
    url.rsplit_once("%3D").expect("a search path").1.to_owned()
}
