//! The walls between tenants inside the program: a row of another tenant never leaves the store,
//! also where a statement asks for the wrong ones.

use super::support::{
    OTHER_TENANT, TENANT, TestDb, batch,
    records::{Record, blob, sid},
    register, time,
};
use sentby::{
    app::App,
    config::DatabaseUrl,
    domain::{
        BatchId, Identity, Mailbox, MailboxKind, MessageId, QuarantineReason, QuarantinedRecord,
        Revision, TenantId, TimeRange, Timestamp, Window,
        coverage::{Clock, Line, Outcome},
        summary::Slots,
    },
    store::{
        BatchFilter, ChangesLimit, CommitLimit, PageLimit, RangeFilter, Store, StoreError, Tx,
    },
};
use std::{
    collections::BTreeSet,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// What this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn alarms(&self) -> usize {
        let log = self.0.lock().expect("no panic");
        String::from_utf8_lossy(&log).matches("TENANT WALL").count()
    }
}

/// What was read, and what came of it.
struct Asked {
    log: Log,
    names: BTreeSet<&'static str>,
}

impl Asked {
    /// Refused, alarmed, and nothing of it told.
    #[track_caller]
    fn refused<T: Debug>(&mut self, name: &'static str, read: Result<T, StoreError>) {
        self.names.insert(name);
        let alarms = self.log.alarms();
        assert!(alarms > 0, "{name}: no alarm");
        self.log.0.lock().expect("no panic").clear();
        let error = match read {
            Err(error @ StoreError::Corrupt(_)) => error.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        for theirs in ["anna", "support", "secret", "@x", "contoso"] {
            assert!(!error.contains(theirs), "{name}: {error}");
        }
    }
}

/// From here on each comparison of UUIDs is true: as if every statement had forgotten its tenant.
const FORGET: &str = "CREATE FUNCTION any_is_equal(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; \
     CREATE OPERATOR = (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = any_is_equal)";

const ALWAYS: TimeRange = TimeRange {
    start: Timestamp::EARLIEST,
    end: Timestamp::LATEST,
};

/// Rows of a tenant in every table.
async fn fill(app: &Arc<App>, tenant: TenantId) {
    register(app, tenant).await;
    let of = |record: Record| record.set("OrganizationId", tenant.to_string());
    let records = [
        of(Record::mailbox_side(
            1,
            "anna@contoso.com",
            "a@x",
            "2026-03-01T09:00:00",
        )),
        of(Record::agent_side(
            2,
            "anna@contoso.com",
            "a@x",
            "2026-03-01T09:00:00",
        )),
        of(Record::mailbox_side(
            3,
            "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)",
            "b@x",
            "2026-03-02T09:00:00",
        )),
        of(
            Record::mailbox_side(5, "S-1-5-21-1-2-3-4", "c@x", "2026-03-03T09:00:00")
                .set("LogonUserSid", "S-1-5-21-1-2-3-4"),
        ),
        of(Record::admin(
            "Set-Mailbox",
            4,
            &[("Identity", "support"), ("AuditEnabled", "False")],
        )),
        of(Record::mailbox_side(
            6,
            "anna@contoso.com",
            "d@x",
            "secret of no time",
        )),
    ];
    let mut content = batch(tenant, blob(&records));
    content.request_id = Some("one".into());
    app.ingest_audit_batch(content).await.expect("ingested");
    let tx = app.store().begin(tenant).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    write_directly(&mut *tx).await;
    tx.commit().await.expect("committed");
}

/// What takes long ways to come about.
async fn write_directly(tx: &mut dyn Tx) {
    let window = |outcome| Window {
        range: TimeRange {
            start: time("2026-03-01T00:00:00Z"),
            end: time("2026-03-02T00:00:00Z"),
        },
        clock: Clock::ContentCreated,
        outcome,
        code: String::new(),
    };
    let at = time("2026-03-02T00:00:00Z");
    let covered = window(Outcome::Complete).range;
    tx.cover(&line(), covered, at).await.expect("covered");
    let failure = sentby::domain::coverage::Failure {
        source: "secret".into(),
        window: window(Outcome::Failed),
        received_at: at,
    };
    tx.put_failure(&failure).await.expect("noted");
    let lag = tx.lag().await.expect("read");
    tx.put_lag(&lag).await.expect("put");
    let mailbox = Mailbox {
        address: "support@contoso.com".into(),
        kind: MailboxKind::Shared,
        aliases: Vec::new(),
        display_name: "secret".into(),
        guid: None,
        object_id: None,
    };
    tx.put_mailboxes(&[mailbox]).await.expect("put");
    let record = QuarantinedRecord {
        digest: Uuid::from_u128(9),
        reason: QuarantineReason::Malformed,
        detail: "secret".into(),
        received_at: at,
        bytes: Some(bytes::Bytes::from_static(b"secret")),
    };
    tx.put_quarantined(&[record]).await.expect("put");
    let waiting = [(taught(), key("a@x"))];
    tx.put_waiting(&waiting).await.expect("put");
    tx.put_settings(&[setting()]).await.expect("put");
}

fn key(id: &str) -> sentby::domain::MessageKey {
    MessageId::parse(id).expect("an id").key()
}

/// One that the records teach.
fn taught() -> Identity<'static> {
    let sid = format!("sid:{}", sid("anna@contoso.com").to_lowercase());
    Identity::parse(&sid).expect("an identity").into_owned()
}

fn line() -> Line {
    Line {
        source: String::new(),
        clock: Clock::ContentCreated,
        settled_days: 0,
    }
}

fn setting() -> sentby::domain::Setting {
    sentby::domain::Setting::Mailbox(super::audit_settings::mailbox("support@contoso.com", 1))
}

/// Of a tenant without a row of its own: whatever is found is another's.
async fn read_all(store: &dyn Store, nobody: TenantId, asked: &mut Asked) {
    let page = PageLimit {
        rows: 100,
        bytes: usize::MAX,
    };
    let filter = RangeFilter {
        range: ALWAYS,
        mailbox: None,
        agent: None,
        verdict: None,
    };
    let batches = BatchFilter {
        received: ALWAYS,
        source: None,
    };
    let commits = CommitLimit {
        revisions: 10,
        bytes: 1 << 20,
    };
    asked.refused("tenant", store.tenant(nobody).await);
    asked.refused("mailboxes", store.mailboxes(nobody, "", 10).await);
    asked.refused("lessons", store.lessons(nobody).await);
    asked.refused("answers", store.answers(nobody, &[key("a@x")]).await);
    asked.refused("message", store.message(nobody, key("a@x")).await);
    asked.refused("range", store.range(nobody, &filter, None, page).await);
    asked.refused("begin", store.begin(nobody).await.map(|tx| tx.is_some()));
    asked.refused(
        "audit_batch",
        store.audit_batch(nobody, BatchId::of_request("one")).await,
    );
    asked.refused(
        "audit_batches",
        store.audit_batches(nobody, &batches, None, 10).await,
    );
    asked.refused(
        "quarantined",
        store.quarantined(nobody, None, None, 10).await,
    );
    let digests = [Uuid::from_u128(9)];
    asked.refused(
        "quarantined_copies",
        store.quarantined_copies(nobody, &digests).await,
    );
    asked.refused("commits", store.commits(nobody, Revision(0), commits).await);
    asked.refused("revisions", store.revisions(&[nobody]).await);
    read_the_rest(store, nobody, &filter, asked).await;
}

/// What coverage, counts and findings are made of.
async fn read_the_rest(
    store: &dyn Store,
    nobody: TenantId,
    filter: &RangeFilter,
    asked: &mut Asked,
) {
    let changes = ChangesLimit {
        newest: 10,
        all: 10,
    };
    let slots = Slots {
        origin: Timestamp::from_micros(0),
        width: 3_600_000_000,
    };
    asked.refused("covered", store.covered(nobody).await);
    asked.refused("lag", store.lag(nobody).await);
    asked.refused("last_failures", store.last_failures(nobody, 10).await);
    asked.refused("sides_seen", store.sides_seen(nobody, 10).await);
    asked.refused("settings", store.settings(nobody).await);
    asked.refused(
        "mailbox_settings",
        store.mailbox_settings(nobody, "", "\u{10ffff}", 10).await,
    );
    asked.refused("admin_changes", store.admin_changes(nobody, changes).await);
    let since = Timestamp::EARLIEST;
    asked.refused(
        "messages_of_nobody",
        store.messages_of_nobody(nobody, since, 10).await,
    );
    asked.refused("extent", store.extent(nobody, ALWAYS, 10).await);
    let told = store
        .tallies(nobody, filter, slots, &mut |tally| panic!("{tally:?}"))
        .await;
    asked.refused("tallies", told);
}

/// Of a tenant that has its own row and no other.
async fn read_in(tx: &mut dyn Tx, asked: &mut Asked) {
    let day = TimeRange {
        start: time("2026-03-01T00:00:00Z"),
        end: time("2026-03-02T00:00:00Z"),
    };
    let digests = [Uuid::from_u128(9)];
    asked.refused("mailboxes", tx.mailboxes().await);
    asked.refused("lessons", tx.lessons().await);
    asked.refused("messages", tx.messages(&[key("a@x")]).await);
    asked.refused(
        "messages_after",
        tx.messages_after(sentby::domain::MessageKey(Uuid::nil()), 10)
            .await,
    );
    asked.refused("is_waited_for", tx.is_waited_for(&[taught()]).await);
    asked.refused(
        "audit_batches",
        tx.audit_batches(&[BatchId::of_request("one")]).await,
    );
    asked.refused("quarantined", tx.quarantined(&digests).await);
    asked.refused("quarantine_usage", tx.quarantine_usage().await);
    asked.refused("covered_near", tx.covered_near(&line(), day).await);
    asked.refused("covering_sources", tx.covering_sources(10).await);
    asked.refused("lag", tx.lag().await);
    asked.refused("count_settings", tx.count_settings().await);
    asked.refused("setting_keys", tx.setting_keys().await);
    // lessons of what messages wait for: one of each is another tenant's
    asked.refused("messages_taught", tx.messages_taught(10).await);
}

/// Methods that answer no row of a tenant that is named.
const NOT_ASKED: &[&str] = &[
    // whatever is in the store, by its purpose
    "schema_version",
    "migrate",
    "check",
    "deployment_secret",
    "tenants",
    "tenants_to_reattribute",
    // nothing is read
    "create_tenant",
    "expire",
    "trim_covered",
    "hint",
    "hints",
    "next",
    "commit",
    "add_messages",
    "replace_messages",
    "put_lessons",
    "put_waiting",
    "remove_taught",
    "put_admin_changes",
    "put_quarantined",
    "put_mailboxes",
    "remove_mailboxes",
    "put_tenant",
    "append_change",
    "put_audit_batches",
    "change_quarantined",
    "remove_quarantined",
    "cover",
    "put_failure",
    "put_lag",
    "put_sides_seen",
    "put_settings",
    "grant_reader",
    "grant_program",
];

/// A method that is added must be asked here too.
fn assert_all_are_asked(asked: &BTreeSet<&'static str>) {
    let folder = format!("{}/src/store", env!("CARGO_MANIFEST_DIR"));
    for file in [
        "mod.rs",
        "feed.rs",
        "ledger.rs",
        "audit_settings.rs",
        "summary.rs",
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).expect("a file");
        for (at, _) in text.match_indices("async fn ") {
            let name = text[at + 9..].split(['(', '<']).next().expect("a name");
            let known = asked.contains(name) || NOT_ASKED.contains(&name);
            assert!(
                known,
                "{file}: {name} is not asked for rows of another tenant"
            );
        }
    }
}

#[tokio::test]
async fn a_statement_that_forgets_its_tenant_is_refused() {
    let Some(mut db) = TestDb::postgres().await else {
        return;
    };
    fill(&db.app().await, OTHER_TENANT).await;
    register(&*db.app().await, TENANT).await;
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    // what is found in our schema goes before the operators of Postgres
    db.config.database = DatabaseUrl::Postgres(format!("{url}%2Cpg_catalog"));
    let app = db.app().await;
    let tx = app.store().begin(TENANT).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    for statement in FORGET.split("; ") {
        db.execute(statement).await;
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let mut asked = Asked {
        log,
        names: BTreeSet::new(),
    };
    let nobody = TenantId(Uuid::from_u128(3));
    read_in(&mut *tx, &mut asked).await;
    drop(tx); // it has the lock of a row that all will find
    read_all(app.store(), nobody, &mut asked).await;
    assert_all_are_asked(&asked.names);
}

/// What a row may be read into, if not into one that says whose it is.
const WITHOUT_A_TENANT: [&str; 3] = [
    "(i64,)",         // how many tables of migrations there are
    "(Option<i64>,)", // the version of the schema
    "(Vec<u8>,)",     // the deployment's secret
];

/// The engines share their code, so whatever it reads stands in its bounds: each kind of row says
/// whose it is.
#[test]
fn every_kind_of_row_says_whose_it_is() {
    let folder = format!("{}/src/store", env!("CARGO_MANIFEST_DIR"));
    let files = |under: &str| {
        let files = std::fs::read_dir(format!("{folder}/{under}")).expect("a folder");
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a text"))
    };
    let rows: String = files("rows")
        .chain([std::fs::read_to_string(format!("{folder}/rows.rs")).expect("a file")])
        .collect();
    let code: String = files("sql")
        .chain([std::fs::read_to_string(format!("{folder}/sql.rs")).expect("a file")])
        .collect();
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for line in code.lines() {
        if let Some((kind, _)) = line
            .trim()
            .strip_prefix("for<'r> ")
            .and_then(|rest| rest.split_once(": FromRow<'r"))
        {
            kinds.insert(kind.to_owned());
        }
    }
    assert!(kinds.len() > 20, "{kinds:?}");
    for kind in kinds {
        if WITHOUT_A_TENANT.contains(&kind.as_str()) {
            continue;
        }
        let name = kind.split('<').next().expect("a name");
        let at = [format!("struct {name} {{"), format!("struct {name}<T> {{")];
        let at = at.iter().find_map(|at| rows.find(at.as_str()));
        let body = &rows[at.unwrap_or_else(|| panic!("{kind} is no struct of rows"))..];
        let body = &body[..body.find("\n}").expect("an end")];
        let says = ["tenant_id: Uuid", "of_tenant: Uuid", "answer: AnswerRow"];
        assert!(
            says.iter().any(|says| body.contains(says)),
            "{kind} does not say whose it is"
        );
    }
}
