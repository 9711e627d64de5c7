//! Roles that read the views: each sees its tenants, whatever it tries.

use super::support::{
    OTHER_TENANT, TENANT, TestDb, batch,
    records::{Record, blob},
    register,
};
use sentby::{
    config::{Config, DatabaseUrl},
    domain::TenantId,
    server,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

pub(super) async fn connect(config: &Config) -> PgConnection {
    let DatabaseUrl::Postgres(url) = &config.database else {
        panic!("not a Postgres")
    };
    PgConnection::connect(url).await.expect("Postgres")
}

/// Refused for want of a right.
pub(super) async fn denied(connection: &mut PgConnection, sql: &str) {
    let error = connection.execute(AssertSqlSafe(sql)).await.expect_err(sql);
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection);
    rows.await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The tenants that a session sees, in both views.
async fn seen(connection: &mut PgConnection) -> Vec<String> {
    let sql = "SELECT DISTINCT tenant_id::text FROM attribution_v1 ORDER BY 1";
    let messages = texts(connection, sql).await;
    let sql = "SELECT tenant_id::text FROM tenant_v1 ORDER BY 1";
    assert_eq!(texts(connection, sql).await, messages);
    messages
}

struct Stage {
    db: TestDb,
    owner: PgConnection,
    roles: Vec<String>,
}

impl Stage {
    /// Two tenants with a message each, of the same id.
    async fn set() -> Option<Self> {
        let db = TestDb::postgres().await?;
        let app = db.app().await;
        for (tenant, agent) in [
            (TENANT, "anna@contoso.com"),
            (OTHER_TENANT, "foreign@fabrikam.com"),
        ] {
            register(&app, tenant).await;
            let record = Record::mailbox_side(1, agent, "M@x", "2026-03-02T00:00:00");
            let record = record.set("OrganizationId", tenant.to_string());
            let content = batch(tenant, blob(&[record]));
            app.ingest_audit_batch(content).await.expect("ingested");
        }
        let owner = connect(&db.config).await;
        Some(Self {
            db,
            owner,
            roles: Vec::new(),
        })
    }

    fn role(&mut self) -> String {
        let role = format!("reader_{}", Uuid::new_v4().simple());
        self.roles.push(role.clone());
        role
    }

    async fn grant(&self, role: &str, tenants: Option<&[TenantId]>) {
        server::grant_reader(&self.db.config, role, tenants)
            .await
            .expect("granted");
    }

    async fn login(&self, role: &str) -> PgConnection {
        connect(&self.db.as_login(role).await).await
    }

    async fn end(mut self) {
        for role in self.roles.iter().rev() {
            execute(
                &mut self.owner,
                &format!("DROP OWNED BY {role}; DROP ROLE {role}"),
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_its_tenants_at_once() {
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let (one, other) = (TENANT.to_string(), OTHER_TENANT.to_string());
    let role = stage.role();
    stage.grant(&role, Some(&[TENANT])).await;
    let mut open = stage.login(&role).await;
    assert_eq!(seen(&mut open).await, [one.as_str()]);
    // each run replaces the list, also for the open session, and for a statement that it has prepared
    for (tenants, expected) in [
        (Some(&[OTHER_TENANT][..]), vec![other.as_str()]),
        (
            Some(&[TENANT, OTHER_TENANT][..]),
            vec![one.as_str(), other.as_str()],
        ),
        (Some(&[][..]), vec![]),
        (None, vec![one.as_str(), other.as_str()]),
        (Some(&[TENANT][..]), vec![one.as_str()]),
    ] {
        stage.grant(&role, tenants).await;
        assert_eq!(seen(&mut open).await, expected, "{tenants:?}");
    }
    execute(
        &mut stage.owner,
        &format!("DELETE FROM reader WHERE role = '{role}'"),
    )
    .await;
    assert_eq!(
        seen(&mut open).await,
        [""; 0],
        "without a list it sees nothing"
    );
    // the views alone, by hand
    let by_hand = stage.role();
    let usage = texts(&mut stage.owner, "SELECT quote_ident(current_schema())")
        .await
        .remove(0);
    let sql = format!(
        "CREATE ROLE {by_hand}; GRANT USAGE ON SCHEMA {usage} TO {by_hand}; GRANT SELECT ON attribution_v1, tenant_v1 TO {by_hand}"
    );
    execute(&mut stage.owner, &sql).await;
    let mut by_hand = stage.login(&by_hand).await;
    assert_eq!(seen(&mut by_hand).await, [""; 0]);
    assert_eq!(
        seen(&mut stage.owner).await,
        [one.as_str(), other.as_str()],
        "the owner sees all"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_that_it_may_take_shows_it_more() {
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let (one, other) = (TENANT.to_string(), OTHER_TENANT.to_string());
    let (first, second, all, login) = (stage.role(), stage.role(), stage.role(), stage.role());
    stage.grant(&first, Some(&[TENANT])).await;
    stage.grant(&second, Some(&[OTHER_TENANT])).await;
    stage.grant(&all, None).await;
    execute(
        &mut stage.owner,
        &format!("CREATE ROLE {login}; GRANT {first} TO {login}"),
    )
    .await;
    let mut session = stage.login(&login).await;
    assert_eq!(seen(&mut session).await, [one.as_str()]);
    for role in [&second, &all] {
        denied(&mut session, &format!("SET ROLE {role}")).await;
    }
    execute(&mut session, &format!("SET ROLE {first}")).await;
    assert_eq!(seen(&mut session).await, [one.as_str()]);
    execute(&mut session, "RESET ROLE").await;
    // nothing that a session can set decides
    for setting in [
        "role",
        "sentby.reader",
        "sentby.reader_tenants",
        "sentby.program",
    ] {
        if setting != "role" {
            execute(
                &mut session,
                &format!("SET {setting} = '{{{OTHER_TENANT}}}'"),
            )
            .await;
        }
    }
    assert_eq!(seen(&mut session).await, [one.as_str()]);
    denied(&mut session, "SET session_authorization = 'postgres'").await;
    denied(&mut session, "SELECT tenants FROM reader").await;
    // a member of both sees both
    execute(&mut stage.owner, &format!("GRANT {second} TO {login}")).await;
    assert_eq!(seen(&mut session).await, [one.as_str(), other.as_str()]);
    stage.end().await;
}

/// Functions, statistics, errors, cursors, copies: what a reader may do shows no other row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_it_may_do_shows_another_row() {
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let role = stage.role();
    stage.grant(&role, Some(&[TENANT])).await;
    execute(&mut stage.owner, "ANALYZE attribution; ANALYZE tenant").await;
    let mut session = stage.login(&role).await;
    // as cheap as can be, so that it would be asked first
    execute(
        &mut session,
        "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ \
         BEGIN IF $1 LIKE '%foreign%' OR $1 LIKE '2222%' THEN RAISE EXCEPTION 'seen: %', $1; END IF; RETURN true; END $$",
    )
    .await;
    for sql in [
        "SELECT agent FROM attribution_v1 WHERE pg_temp.peek(agent)",
        "SELECT agent FROM attribution_v1 WHERE pg_temp.peek(tenant_id::text)",
        "SELECT agent FROM attribution_v1 WHERE 1 / (CASE WHEN agent LIKE 'foreign%' THEN 0 ELSE 1 END) = 1",
        "SELECT a.agent FROM attribution_v1 a JOIN tenant_v1 t ON pg_temp.peek(t.tenant_id::text) AND t.tenant_id = a.tenant_id",
        "SELECT max(agent) FROM attribution_v1",
        "SELECT agent FROM attribution_v1 WHERE message_id = 'M@x'",
    ] {
        assert_eq!(
            texts(&mut session, sql).await,
            ["anna@contoso.com"],
            "{sql}"
        );
    }
    let theirs = format!("SELECT agent FROM attribution_v1 WHERE tenant_id = '{OTHER_TENANT}'");
    assert_eq!(texts(&mut session, &theirs).await, [""; 0]);
    for statistics in [
        "SELECT coalesce(most_common_vals::text, '') || coalesce(histogram_bounds::text, '') FROM pg_stats WHERE schemaname = current_schema()",
        "SELECT stxname::text FROM pg_statistic_ext WHERE stxnamespace = current_schema()::regnamespace",
    ] {
        assert_eq!(
            texts(&mut session, statistics).await,
            [""; 0],
            "{statistics}"
        );
    }
    for sql in [
        "SELECT * FROM pg_statistic",
        "COPY attribution TO STDOUT",
        "SELECT pg_read_file('x')",
        "CREATE OR REPLACE VIEW tenant_v1 AS SELECT 1",
        "TRUNCATE attribution",
    ] {
        denied(&mut session, sql).await;
    }
    // a plan tells no value of another's row
    let explained = session
        .fetch_all(AssertSqlSafe(format!(
            "EXPLAIN (ANALYZE, VERBOSE) {theirs}"
        )))
        .await
        .expect("explained");
    for line in explained {
        let line: String = line.get(0);
        assert!(
            !line.contains("foreign") && !line.contains("fabrikam"),
            "{line}"
        );
    }
    stage.end().await;
}

/// Who could read the views before there were lists reads what it read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_from_before_keep_what_they_read() {
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let role = stage.role();
    let migration = include_str!("../../migrations/postgres/0007_privacy_and_walls.sql");
    let carry = &migration[migration
        .find("INSERT INTO reader")
        .expect("it carries them over")..];
    let carry = &carry[..=carry.find(';').expect("an end")];
    stage.grant(&role, None).await;
    execute(&mut stage.owner, "DELETE FROM reader").await;
    let mut session = stage.login(&role).await;
    assert_eq!(seen(&mut session).await, [""; 0]);
    execute(&mut stage.owner, carry).await;
    assert_eq!(seen(&mut session).await.len(), 2);
    assert_eq!(
        texts(&mut stage.owner, "SELECT role FROM reader").await,
        [role]
    );
    stage.end().await;
}
