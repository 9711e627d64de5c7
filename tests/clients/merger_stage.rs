//! sentby on a store of its own, the reference merger with a schema of its own in the same Postgres, and a
//! look at both.

use crate::{
    python,
    support::{
        TENANT, TestDb,
        process::{database, ended, terminate},
        records::{Record, SUPPORT, blob},
        register,
    },
};
use sentby::{
    app::{App, put_mailboxes::RegisterChange},
    domain::{ChangeKind, Mailbox, MailboxKind, MessageKey, TenantId, Timestamp},
    pb::{self, Basis, Verdict, attribution_service_client::AttributionServiceClient as Client},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tonic::transport::Channel;
use uuid::Uuid;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub const AGENTS: [&str; 3] = ["anna@contoso.com", "bob@contoso.com", "carla@contoso.com"];

/// The program that its team copies.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/merger.py")
}

/// The store, the merger's schema, and a third replica in this process, by which is written.
pub struct Stage {
    pub db: TestDb,
    pub app: Arc<App>,
    pub tenants: Vec<TenantId>,
    pub python: OsString,
    /// Of the merger's database.
    pub port: u16,
    merger_url: String,
    merger_schema: String,
    sql: PgConnection,
}

impl Stage {
    /// With so many tenants. `None`, said aloud, where a part is missing.
    pub async fn with(tenants: u128) -> Option<Self> {
        let python = python()?;
        let db = TestDb::postgres().await?;
        let app = db.app().await;
        let tenants = (0..tenants).map(|n| TenantId(Uuid::from_u128(TENANT.0.as_u128() + n)));
        let tenants: Vec<TenantId> = tenants.collect();
        for &tenant in &tenants {
            register(&app, tenant).await;
        }
        let url = std::env::var("TEST_DATABASE_URL").expect("as TestDb has it");
        let mut sql = PgConnection::connect(&url).await.expect("Postgres");
        let schema = format!("merger_{}", Uuid::new_v4().simple());
        let made = sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}")));
        made.execute(&mut sql).await.expect("a schema");
        Some(Self {
            port: PgConnectOptions::from_str(&url).expect("a URL").get_port(),
            merger_url: format!("{url}?options=-csearch_path%3D{schema}"),
            merger_schema: schema,
            db,
            app,
            tenants,
            python,
            sql,
        })
    }

    /// What `--database` of `sentby serve` is.
    pub fn database(&self) -> String {
        database(&self.db.config.database)
    }

    /// The merger's database, by way of this port.
    pub fn merger_database(&self, port: u16) -> String {
        let (from, to) = (format!(":{}/", self.port), format!(":{port}/"));
        let url = self.merger_url.replacen(&from, &to, 1);
        assert!(port == self.port || url != self.merger_url, "{url}");
        url
    }

    /// A merger of all tenants, right at its database.
    pub fn merger(&self, script: &Path, server: &str, more: &[&str]) -> Merger {
        self.merger_via(script, server, self.port, more)
    }

    pub fn merger_via(&self, script: &Path, server: &str, port: u16, more: &[&str]) -> Merger {
        let tenants: Vec<String> = self.tenants.iter().map(TenantId::to_string).collect();
        let database = self.merger_database(port);
        let mut command = Command::new(&self.python);
        command.arg(script).args([server, &database]).args(more);
        command.args(tenants);
        Merger::start(command)
    }

    /// Runs it with `--once` to its end; all that it said.
    #[track_caller]
    pub fn once(&self, script: &Path, server: &str) -> String {
        let mut merger = self.merger(script, server, &["--once"]);
        assert_eq!(merger.ended(), Some(0), "{}", merger.said());
        merger.said()
    }

    /// Runs statements on sentby's own tables, in one transaction.
    pub async fn damage(&mut self, sql: &str) {
        let url = self.database();
        let (_, schema) = url.rsplit_once("%3D").expect("a schema");
        let sql = format!("BEGIN; SET LOCAL search_path = {schema}; {sql}; COMMIT");
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.sql);
        done.await.expect("executed");
    }

    /// The same on the merger's tables.
    pub async fn damage_merger(&mut self, sql: &str) {
        let schema = &self.merger_schema;
        let sql = format!("BEGIN; SET LOCAL search_path = {schema}; {sql}; COMMIT");
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.sql);
        done.await.expect("executed");
    }

    pub async fn revision(&self, tenant: TenantId) -> u64 {
        let found = self.app.store().revisions(&[tenant]).await.expect("read");
        found[0].revision.0
    }

    /// The number of the merger's walk, and how far it has applied the feed.
    pub async fn position(&mut self, tenant: TenantId) -> Option<(i64, Option<i64>)> {
        let table = format!("{}.sentby_position", self.merger_schema);
        let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&table)
            .fetch_one(&mut self.sql)
            .await
            .expect("read");
        if !there {
            return None;
        }
        let sql = format!("SELECT walk, revision FROM {table} WHERE tenant_id = $1");
        let row = sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0);
        row.fetch_optional(&mut self.sql).await.expect("read")
    }

    /// Until the merger is in the middle of a walk of this tenant.
    pub async fn is_walking(&mut self, merger: &mut Merger, tenant: TenantId) {
        let until = Instant::now() + PATIENCE;
        let sql = format!(
            "SELECT count(*) > 0 FROM {}.sentby_position \
             WHERE tenant_id = $1 AND revision IS NULL AND resume_token <> ''",
            self.merger_schema
        );
        loop {
            let found = sqlx::query_scalar(AssertSqlSafe(sql.as_str())).bind(tenant.0);
            if found.fetch_one(&mut self.sql).await.expect("read") {
                return;
            }
            merger.assert_alive();
            assert!(Instant::now() < until, "no walk\n{}", merger.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until the merger has all that is committed by now.
    pub async fn caught_up(&mut self, merger: &mut Merger) {
        let until = Instant::now() + PATIENCE;
        for tenant in self.tenants.clone() {
            let wanted = self.revision(tenant).await as i64;
            loop {
                let position = self.position(tenant).await;
                if matches!(position, Some((_, Some(revision))) if revision == wanted) {
                    break;
                }
                merger.assert_alive();
                let late = Instant::now() > until;
                assert!(
                    !late,
                    "{tenant} at {position:?}, not {wanted}\n{}",
                    merger.said()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The first row in which the merger's table differs from what a server lists.
    pub async fn difference(&mut self, url: &str) -> Option<String> {
        for tenant in self.tenants.clone() {
            let (listed, kept) = (listed(url, tenant).await, self.kept(tenant).await);
            let at = listed
                .iter()
                .zip(&kept)
                .position(|(listed, kept)| listed != kept);
            let at = at.unwrap_or(listed.len().min(kept.len()));
            if listed.len() != kept.len() || at < listed.len() {
                let (left, right) = (listed.get(at), kept.get(at));
                return Some(format!(
                    "tenant {tenant}, {} rows listed, {} kept\nlisted: {left:?}\nkept:   {right:?}",
                    listed.len(),
                    kept.len()
                ));
            }
        }
        None
    }

    /// Equal, and not because there is nothing.
    pub async fn assert_equal(&mut self, url: &str) -> usize {
        assert_eq!(self.difference(url).await, None);
        let mut rows = 0;
        for tenant in self.tenants.clone() {
            rows += self.kept(tenant).await.len();
        }
        assert!(rows > 0);
        rows
    }

    /// The merger's rows of a tenant as text, sorted.
    async fn kept(&mut self, tenant: TenantId) -> Vec<String> {
        let sql = format!(
            "SELECT concat_ws('|', message_key, coalesce(message_id, ''), verdict, coalesce(basis, ''), \
             coalesce(agent, ''), coalesce(agent_object_id::text, ''), coalesce(mailbox, ''), confirmed::text, \
             contradicted::text, extract(epoch FROM sent_at)::bigint, array_to_string(candidates, ' '), revision) \
             FROM {}.sentby_message WHERE tenant_id = $1",
            self.merger_schema
        );
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant.0);
        let mut rows: Vec<String> = rows.fetch_all(&mut self.sql).await.expect("rows");
        rows.sort();
        rows
    }

    pub async fn post(&self, tenant: TenantId, records: &[Record]) {
        let of_tenant = |record: &Record| record.clone().set("OrganizationId", tenant.to_string());
        let records: Vec<Record> = records.iter().map(of_tenant).collect();
        let batch = crate::support::batch(tenant, blob(&records));
        let done = self.app.ingest_audit_batch(batch).await.expect("ingested");
        assert_eq!(done.receipt.problems, [], "every record is one");
    }

    /// Another answer for what the mailbox itself sent, by the register.
    pub async fn put_mailbox(&self, tenant: TenantId, kind: MailboxKind) {
        let mailbox = Mailbox {
            address: SUPPORT.into(),
            kind,
            aliases: Vec::new(),
            display_name: String::new(),
            guid: None,
            object_id: None,
        };
        let change = RegisterChange {
            tenant,
            put: vec![mailbox],
            settings: Vec::new(),
            remove: Vec::new(),
        };
        self.app.put_mailboxes(change).await.expect("put");
    }

    /// Takes up to so many messages behind a key from the list, as an erasure does.
    pub async fn unlist(&self, tenant: TenantId, after: u128, count: u32) -> usize {
        let tx = self.app.store().begin(tenant).await.expect("begun");
        let mut tx = tx.expect("a tenant");
        let mut now = tx.tenant().clone();
        now.revision = now.revision.next();
        let after = MessageKey(Uuid::from_u128(after));
        let mut messages = tx.messages_after(after, count).await.expect("read");
        messages.retain(|message| message.attribution.listed);
        for message in &mut messages {
            message.attribution.listed = false;
            message.revision = now.revision;
        }
        tx.replace_messages(&messages).await.expect("replaced");
        let changes: Vec<(MessageKey, ChangeKind)> = messages
            .iter()
            .map(|message| (message.key, ChangeKind::Erased))
            .collect();
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        let at = Timestamp::from_micros(since.as_micros() as i64);
        tx.append_change(now.revision, at, &changes)
            .await
            .expect("appended");
        tx.put_tenant(&now).await.expect("put");
        tx.commit().await.expect("committed");
        changes.len()
    }
}

/// All that a server lists of a tenant, as text, sorted.
async fn listed(url: &str, tenant: TenantId) -> Vec<String> {
    let channel = Channel::from_shared(url.to_owned())
        .expect("a URI")
        .connect()
        .await;
    let mut client = Client::new(channel.expect("connected"));
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListAttributionsRequest {
            tenant_id: tenant.to_string(),
            start: Some("2000-01-01T00:00:00Z".parse().expect("a time")),
            end: Some("2099-01-01T00:00:00Z".parse().expect("a time")),
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = client
            .list_attributions(request)
            .await
            .expect("a page")
            .into_inner();
        rows.extend(page.attributions.iter().map(row));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            rows.sort();
            return rows;
        }
    }
}

fn row(of: &pb::Attribution) -> String {
    let verdict = Verdict::try_from(of.verdict).expect("known").as_str_name();
    let basis = Basis::try_from(of.basis).expect("known");
    let basis = match basis {
        Basis::Unspecified => "",
        basis => basis.as_str_name(),
    };
    [
        of.message_key.as_str(),
        &of.message_id,
        verdict.trim_start_matches("VERDICT_"),
        basis.trim_start_matches("BASIS_"),
        &of.agent,
        &of.agent_object_id,
        &of.mailbox,
        &of.confirmed.to_string(),
        &of.contradicted.to_string(),
        &of.sent_at.as_ref().expect("sent").seconds.to_string(),
        &of.candidates.join(" "),
        &of.revision.to_string(),
    ]
    .join("|")
}

/// The merger as a process, ended with the test.
pub struct Merger {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Merger {
    fn start(mut command: Command) -> Self {
        let mut process = command
            // a proxy of the surroundings is not for a server on this machine
            .env("no_grpc_proxy", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let said = Arc::default();
        follow(process.stdout.take().expect("piped"), Arc::clone(&said));
        follow(process.stderr.take().expect("piped"), Arc::clone(&said));
        Self { process, said }
    }

    pub fn said(&self) -> String {
        self.said.lock().expect("no panic").join("\n")
    }

    /// Until it says this.
    pub fn says(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            assert!(Instant::now() < until, "not said: {words}\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn assert_alive(&mut self) {
        let ended = self.process.try_wait().expect("a child");
        assert_eq!(ended, None, "the merger ended:\n{}", self.said());
    }

    /// With `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("a child");
    }

    /// With SIGTERM; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        terminate(&mut self.process)
    }

    /// Its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        ended(&mut self.process)
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a thread, to the end: a process whose output nobody reads stops at a full pipe.
fn follow(output: impl Read + Send + 'static, said: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            eprintln!("merger: {line}");
            said.lock().expect("no panic").push(line);
        }
    });
}
