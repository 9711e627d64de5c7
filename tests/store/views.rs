//! What others read: the views, the role that sees nothing else, and how they are read.

use super::support::{
    TENANT, TestDb, feed,
    records::{Record, blob},
    time,
};
use crate::on_both_engines;
use sentby::{
    app::App,
    config::DatabaseUrl,
    domain::TimeRange,
    server,
    store::{PageLimit, RangeFilter},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::sync::Arc;
use uuid::Uuid;

async fn ingest(app: &Arc<App>, content: Vec<u8>) {
    let batch = crate::support::batch(TENANT, content);
    app.ingest_audit_batch(batch).await.expect("ingested");
}

async fn connect(db: &TestDb) -> PgConnection {
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        panic!("not a Postgres")
    };
    PgConnection::connect(url).await.expect("Postgres")
}

async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

on_both_engines! {
    /// The views say what the API says, of what is listed.
    async fn the_views_say_what_the_api_says(db: TestDb) {
        let app = db.app_with_tenant().await;
        for content in feed::batches(&mut feed::Random(9), &feed::records(9, 200), 100) {
            ingest(&app, content).await;
        }
        let private = Record::plain(1 << 100, "anna@contoso.com", "private@x", "2026-03-01T00:00:00");
        ingest(&app, blob(&[private])).await;
        let filter = RangeFilter {
            range: TimeRange { start: time("2026-01-01T00:00:00Z"), end: time("2027-01-01T00:00:00Z") },
            mailbox: None,
            agent: None,
            verdict: None,
        };
        let limit = PageLimit { rows: 10_000, bytes: usize::MAX };
        let page = app.store().range(TENANT, &filter, None, limit).await.expect("a page");
        let mut expected: Vec<String> = page.answers.iter().map(|answer| {
            let one = &answer.attribution;
            let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
            let candidates = (!one.candidates.is_empty()).then(|| one.candidates.join(" "));
            [
                TENANT.to_string(),
                answer.key.to_string(),
                text(answer.id.as_ref().map(|id| id.as_str())),
                one.sent_at.to_string(),
                one.verdict.name().into(),
                text(one.basis.map(|basis| basis.name())),
                text(one.agent.as_deref()),
                text(one.agent_object_id.map(|id| id.to_string()).as_deref()),
                text(one.mailbox.as_deref()),
                text(candidates.as_deref()),
                i64::from(one.confirmed).to_string(),
                i64::from(one.contradicted).to_string(),
                answer.revision.0.to_string(),
            ].join("|")
        }).collect();
        expected.sort_unstable();
        assert!(expected.len() > 150);
        assert!(expected.iter().any(|row| row.contains("CONFLICT")));
        let (key, at, candidates) = match &db.config.database {
            DatabaseUrl::Sqlite(_) => ("", "sent_at", "candidates"),
            DatabaseUrl::Postgres(_) => (
                "::text",
                "to_char(sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
                "array_to_string(candidates, ' ')",
            ),
        };
        let sql = format!(
            "SELECT tenant_id{key} || '|' || message_key{key} || '|' || coalesce(message_id, '-') || '|' || {at} \
             || '|' || verdict || '|' || coalesce(basis, '-') || '|' || coalesce(agent, '-') || '|' \
             || coalesce(agent_object_id{key}, '-') || '|' || coalesce(mailbox, '-') || '|' \
             || coalesce({candidates}, '-') || '|' || CAST(CAST(confirmed AS integer) AS text) || '|' \
             || CAST(CAST(contradicted AS integer) AS text) || '|' || CAST(revision AS text) \
             FROM attribution_v1"
        );
        let mut found = db.texts(&sql).await;
        found.sort_unstable();
        assert_eq!(found, expected);

        let tenant = app.store().tenant(TENANT).await.expect("read").expect("a tenant");
        let expected = format!("{TENANT}|Contoso|{}|{}|0", tenant.revision.0, tenant.generation.0);
        let sql = format!(
            "SELECT tenant_id{key} || '|' || display_name || '|' || CAST(revision AS text) || '|' \
             || CAST(generation AS text) || '|' || CAST(CAST(settling AS integer) AS text) FROM tenant_v1 \
             WHERE revoked_at IS NULL"
        );
        assert_eq!(db.texts(&sql).await, [expected]);
        db.execute("UPDATE tenant SET taught = true").await;
        let settling = "SELECT count(*) FROM tenant_v1 WHERE settling AND $1 IS NOT NULL";
        assert_eq!(db.number(settling, TENANT).await, 1);
    }
}

#[tokio::test]
async fn the_database_documents_the_views() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let undocumented = "SELECT c.relname || '.' || a.attname FROM pg_class c \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v' \
         AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL \
              OR c.reloptions IS DISTINCT FROM '{security_barrier=true}')";
    let mut connection = connect(&db).await;
    assert_eq!(
        texts(&mut connection, undocumented).await,
        Vec::<String>::new()
    );
}

/// Refused for want of a privilege.
async fn assert_denied(connection: &mut PgConnection, sql: &str) {
    let error = connection.execute(AssertSqlSafe(sql)).await.expect_err(sql);
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines)] // a story
async fn the_reader_sees_the_views_and_nothing_else() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let app = db.app_with_tenant().await;
    let record = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T00:00:00");
    ingest(&app, blob(&[record])).await;
    // a name that must be quoted, and by Postgres
    let role = format!("r\"eader' %I; {}", Uuid::new_v4().simple());
    let mut owner = connect(&db).await;
    let quoted = sqlx::query_scalar("SELECT quote_ident($1)").bind(&role);
    let quoted: String = quoted.fetch_one(&mut owner).await.expect("quoted");
    let (one, two) = tokio::join!(
        server::grant_reader(&db.config, &role, None),
        server::grant_reader(&db.config, &role, None)
    );
    one.expect("granted");
    two.expect("granted by two at once");
    let login = format!("SELECT rolcanlogin::text FROM pg_roles WHERE rolname = $q${role}$q$");
    assert_eq!(texts(&mut owner, &login).await, ["false"]);

    // what it had besides is taken away
    for sql in [
        format!("GRANT SELECT (agent), UPDATE ON attribution TO {quoted}"),
        format!("GRANT ALL ON attribution_v1, tenant TO {quoted}"),
        format!(
            "GRANT CREATE ON SCHEMA {} TO {quoted}",
            schema(&mut owner).await
        ),
    ] {
        owner.execute(AssertSqlSafe(sql)).await.expect("granted");
    }
    server::grant_reader(&db.config, &role, None)
        .await
        .expect("again");
    owner
        .execute("CREATE TABLE later (n int)")
        .await
        .expect("made");

    let mut reader = connect(&db).await;
    let become_reader = format!("SET ROLE {quoted}");
    reader
        .execute(AssertSqlSafe(become_reader))
        .await
        .expect("its role");
    assert_eq!(
        texts(
            &mut reader,
            "SELECT message_id || ' ' || agent FROM attribution_v1"
        )
        .await,
        ["M@x anna@contoso.com"]
    );
    assert_eq!(
        texts(&mut reader, "SELECT display_name FROM tenant_v1").await,
        ["Contoso"]
    );
    let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' \
                  AND relnamespace = current_schema()::regnamespace";
    let tables = texts(&mut owner, tables).await;
    assert!(tables.len() > 8, "{tables:?}");
    for table in tables {
        assert_denied(&mut reader, &format!("SELECT count(*) FROM {table}")).await;
        assert_denied(&mut reader, &format!("DELETE FROM {table}")).await;
    }
    for sql in [
        "SELECT agent FROM attribution",
        "UPDATE attribution_v1 SET agent = 'x'",
        "INSERT INTO tenant_v1 (display_name) VALUES ('x')",
        "DELETE FROM attribution_v1",
        "CREATE TABLE mine (n int)",
    ] {
        assert_denied(&mut reader, sql).await;
    }
    reader.close().await.expect("closed");
    for sql in [
        format!("DROP OWNED BY {quoted}"),
        format!("DROP ROLE {quoted}"),
    ] {
        owner.execute(AssertSqlSafe(sql)).await.expect("dropped");
    }
}

async fn schema(connection: &mut PgConnection) -> String {
    texts(connection, "SELECT quote_ident(current_schema())")
        .await
        .remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_could_read_more_is_refused() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let mut owner = connect(&db).await;
    let superuser = texts(&mut owner, "SELECT current_user::text")
        .await
        .remove(0);
    let role = format!("member_{}", Uuid::new_v4().simple());
    let make = format!("CREATE ROLE {role}; GRANT pg_read_all_data TO {role}");
    owner.execute(AssertSqlSafe(make)).await.expect("made");
    for (name, why) in [
        (superuser.as_str(), "another way"),
        (role.as_str(), "another way"),
        ("public", "reserved"),
        ("", "1 to 63 bytes"),
        (&"x".repeat(64), "1 to 63 bytes"),
    ] {
        let error = server::grant_reader(&db.config, name, None)
            .await
            .expect_err(name);
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
    let granted = format!("SELECT relacl::text FROM pg_class WHERE relacl::text LIKE '%{role}%'");
    assert_eq!(
        texts(&mut owner, &granted).await,
        Vec::<String>::new(),
        "nothing was changed"
    );
    owner
        .execute(AssertSqlSafe(format!("DROP ROLE {role}")))
        .await
        .expect("dropped");
}

/// Two tenants of 50,000 messages each.
const FILL: &str = "INSERT INTO attribution SELECT CASE WHEN n % 2 = 0 THEN a.tenant_id ELSE \
     '22222222-2222-4222-8222-222222222222' END, md5('k' || n)::uuid, 'W' || n || '@x', \
     sent_at + n * interval '5 minutes', revision, verdict, basis, agent, agent_object_id, \
     'm' || n % 12 || '@contoso.com', candidates, confirmed, contradicted, listed, evidence \
     FROM attribution a, generate_series(1, 100000) n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_view_is_read_by_an_index() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let app = db.app_with_tenant().await;
    let record = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T00:00:00");
    ingest(&app, blob(&[record])).await;
    db.execute(FILL).await;
    db.execute("ANALYZE attribution").await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    server::grant_reader(&db.config, &role, Some(&[TENANT]))
        .await
        .expect("granted");
    let mut owner = connect(&db).await;
    let mut reader = connect(&db).await;
    let become_reader = format!("SET ROLE {role}");
    reader
        .execute(AssertSqlSafe(become_reader))
        .await
        .expect("its role");
    // for the owner, who sees all, and for a role that sees one tenant
    for connection in [&mut owner, &mut reader] {
        assert_read_by_an_index(connection).await;
    }
    reader.close().await.expect("closed");
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    for sql in drop.split("; ") {
        owner.execute(AssertSqlSafe(sql)).await.expect("dropped");
    }
}

async fn assert_read_by_an_index(connection: &mut PgConnection) {
    for (asked, by) in [
        (
            "sent_at >= '2026-03-10T00:00:00Z' AND sent_at < '2026-03-17T00:00:00Z'",
            "attribution_by_time",
        ),
        (
            "sent_at >= '2026-03-10T00:00:00Z' AND sent_at < '2026-03-17T00:00:00Z' \
             AND mailbox = 'm6@contoso.com'",
            "attribution_by_time",
        ),
        (
            "message_key = '67e14f38-68a8-e570-5274-3e85f4aa5a8c'",
            "attribution_pkey",
        ),
    ] {
        let sql = format!(
            "EXPLAIN SELECT * FROM attribution_v1 WHERE tenant_id = '{TENANT}' AND {asked}"
        );
        let rows = connection
            .fetch_all(AssertSqlSafe(sql))
            .await
            .expect("explained");
        let lines = rows.iter().map(|row| row.get::<String, _>(0));
        let plan = lines.collect::<Vec<_>>().join("\n");
        assert!(
            plan.contains(by) && !plan.contains("Seq Scan on attribution"),
            "{asked}: {plan}"
        );
        let whole_key = match by {
            "attribution_pkey" => "message_key = ",
            _ => "sent_at < ",
        };
        let condition = plan
            .lines()
            .find(|line| line.contains("Index Cond") && line.contains("tenant_id"))
            .expect("one");
        assert!(condition.contains(whole_key), "{plan}");
    }
}
