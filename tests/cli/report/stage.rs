//! Tenants that a report is made of, behind a real server.

use crate::support::process::{Server, json_lines, run, succeeded, url};
use sentby::pb::{
    self, AgentSummary, Bucket, Finding, GetCoverageRequest, GetCoverageResponse,
    IngestAuditBatchRequest, ListFindingsRequest, Mailbox, MailboxKind, SendEvent,
    SummarizeAgentsRequest, Window, WindowClock, WindowOutcome,
    attribution_service_client::AttributionServiceClient,
    coverage_service_client::CoverageServiceClient, ingest_service_client::IngestServiceClient,
    tenant_service_client::TenantServiceClient,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf, time::SystemTime};
use tempfile::TempDir;
use tonic::transport::Channel;

/// An hour before UTC, and clocks never change.
pub const ZONE: &str = "Africa/Lagos";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

pub struct Stage {
    pub folder: TempDir,
    pub database: String,
    pub tenant: String,
    /// Registered shared mailboxes.
    pub shared: Vec<String>,
    /// What was written into names, to be found as it is.
    pub names: Vec<String>,
    server: Server,
    channel: Channel,
    /// Days of the zone.
    from: String,
    to: String,
    start: i64,
    end: i64,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs().cast_signed()
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn day(seconds: i64) -> String {
    let time = sentby::domain::Timestamp::from_micros(seconds * 1_000_000);
    time.to_string()[..10].to_owned()
}

impl Stage {
    async fn over(folder: TempDir, tenant: String, days: i64) -> Self {
        let database = url(&folder.path().join("a.db"));
        let server = Server::start(&database);
        let channel = Channel::from_shared(server.url.clone()).expect("a URI");
        let today = now().div_euclid(DAY) * DAY;
        Self {
            folder,
            database,
            tenant,
            shared: Vec::new(),
            names: Vec::new(),
            channel: channel.connect().await.expect("connected"),
            server,
            from: day(today - days * DAY),
            to: day(today),
            start: today - days * DAY - HOUR,
            end: today - HOUR,
        }
    }

    /// A month of 12 registered mailboxes and 60 agents, up to yesterday, with gaps and findings.
    pub async fn simulated(messages: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let feed = folder.path().join("feed");
        let out = feed.display().to_string();
        let start = day(now() - 31 * DAY);
        let (messages, plan) = (messages.to_string(), ["--days", "30", "--agents", "60"]);
        let of = [
            "simulate",
            "--seed",
            "5",
            "--messages",
            &messages,
            "--shared",
            "10",
        ];
        let form = [
            "--noise",
            "0",
            "--envelopes",
            "blob",
            "--start",
            &start,
            "--out",
            &out,
        ];
        succeeded(&run(&[&of[..], &plan, &form].concat()));
        let summary = fs::read(feed.join("summary.json")).expect("a summary");
        let summary: Value = serde_json::from_slice(&summary).expect("JSON");
        let tenant = &summary["tenants"][0];
        let id = tenant["tenant_id"].as_str().expect("a GUID").to_owned();
        let shared: Vec<String> =
            serde_json::from_value(tenant["register"].clone()).expect("addresses");
        let database = url(&folder.path().join("a.db"));
        let mut arguments = vec!["import", "--register", "--json", "--database", &database];
        arguments.extend(["--tenant", &id]);
        arguments.extend(shared.iter().flat_map(|one| ["--shared", one.as_str()]));
        let files = fs::read_dir(feed.join(&id)).expect("a folder");
        let files: Vec<String> = files
            .map(|file| file.expect("a file").path().display().to_string())
            .collect();
        arguments.extend(files.iter().map(String::as_str));
        assert_eq!(json_lines(&run(&arguments))[0]["accounted"], true);
        let mut stage = Self::over(folder, id, 31).await;
        stage.shared = shared;
        stage.set_up().await;
        stage
    }

    /// Windows with a gap that is lost and one that is not, settings that are wrong, names.
    async fn set_up(&mut self) {
        let hours = |hours: i64| now().div_euclid(HOUR) * HOUR - hours * HOUR;
        for (start, end) in [(33 * 24, 485), (470, 96), (84, 0)] {
            self.window("collector-1", hours(start), hours(end), "")
                .await;
        }
        self.window("collector-1", hours(96), hours(84), "AF50000")
            .await;
        let settings = self.folder.path().join("settings.json");
        let json = r#"[{"PrimarySmtpAddress":"support@contoso.com","RecipientTypeDetails":"SharedMailbox","DefaultAuditSet":["Admin","Owner"],"AuditDelegate":["Update"],"GrantSendOnBehalfTo":["Anna Keller","Ben Okafor"]},
            {"Identity":"support@contoso.com","Trustee":"Anna Keller","AccessControlType":"Allow","AccessRights":["SendAs"]},
            {"Identity":"support@contoso.com","Trustee":"Ben Okafor","AccessControlType":"Allow","AccessRights":["SendAs"]},
            {"PrimarySmtpAddress":"anna.keller@contoso.com","DisplayName":"Anna Keller","RecipientTypeDetails":"UserMailbox","DefaultAuditSet":["Admin"],"AuditOwner":["Update"]}]"#;
        fs::write(&settings, json).expect("written");
        let settings = settings.display().to_string();
        let target = [
            "--server",
            &self.server.url,
            "--tenant",
            &self.tenant,
            &settings,
        ];
        run(&[&["check-setup"], &target[..]].concat());
        // what she is called only the settings know, and what he is called only the register
        let mut anna = mailbox("anna.keller@contoso.com", MailboxKind::User, "");
        anna.aliases = vec!["ak@contoso.com".into()];
        let ben = mailbox("ben.okafor@contoso.com", MailboxKind::User, "Ben Okafor");
        self.put(vec![anna, ben]).await;
    }

    /// Some messages of people and mailboxes whose names are meant to break the page.
    pub async fn hostile() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tenant = crate::support::TENANT.to_string();
        let database = url(&folder.path().join("a.db"));
        succeeded(&run(&["migrate", "--database", &database]));
        let mut stage = Self::over(folder, tenant, 10).await;
        let long = format!("{}@contoso.com", "a".repeat(288));
        let title = "</title></style><script>window.pwned=1</script>";
        let named = [
            ("support@contoso.com", "<script>window.pwned=1</script>"),
            (
                "sales@contoso.com",
                "\"><img src=x onerror=\"window.pwned=1\">",
            ),
            ("o'brien@contoso.com", "O'Brien & \"Söhne\" <!--"),
            ("rtl@contoso.com", "\u{202e}evil \u{5d0}\u{5d1}\u{5d2} (1)"),
            ("emoji@contoso.com", "👩‍💻🧑🏽‍🚀 Ünïcödé & co"),
            (&long, &"W".repeat(200)),
        ];
        stage.register(title).await;
        let mailboxes = named.iter().enumerate().map(|(at, (address, name))| {
            let shared = [MailboxKind::Shared, MailboxKind::User];
            mailbox(address, shared[usize::from(at > 1)], name)
        });
        stage.put(mailboxes.collect()).await;
        let mut events = Vec::new();
        for (from, agent) in [
            ("support", 2),
            ("support", 3),
            ("support", 5),
            ("sales", 4),
            ("sales", 3),
        ] {
            events.push(SendEvent {
                record_id: format!("a0d17000-0000-4000-8000-{:012}", events.len()),
                time: at(stage.start + (1 + events.len() as i64) * DAY),
                operation: pb::Operation::SendAs.into(),
                user_id: named[agent].0.to_owned(),
                mailbox_owner_address: format!("{from}@contoso.com"),
                internet_message_id: format!("<{}@x>", events.len()),
                ..Default::default()
            });
        }
        let batch = IngestAuditBatchRequest {
            tenant_id: stage.tenant.clone(),
            events,
            ..Default::default()
        };
        stage.ingest(batch).await;
        let source = "import <b onclick=alert(1)>x</b>.csv";
        let hour = now().div_euclid(HOUR) * HOUR;
        stage
            .window(source, hour - 5 * DAY, hour - 4 * DAY, "")
            .await;
        stage
            .window(source, hour - 3 * DAY, hour - 2 * DAY, "<i>AF1</i>")
            .await;
        let names = named.iter().map(|(_, name)| (*name).to_owned());
        stage.names = names
            .chain([title.into(), source.into(), long.clone()])
            .collect();
        stage.names.push("FAILED <i>AF1</i>".into());
        stage
    }

    /// `sentby report` of all of it; where it is.
    pub fn report(&self, more: &[&str]) -> PathBuf {
        let path = self.folder.path().join("report.html");
        let out = path.display().to_string();
        let of = [
            "report",
            "--server",
            &self.server.url,
            "--tenant",
            &self.tenant,
        ];
        let period = ["--from", &self.from, "--to", &self.to, "--time-zone", ZONE];
        succeeded(&run(&[&of[..], &period, &["--out", &out], more].concat()));
        path
    }

    pub async fn summary(&self, bucket: Bucket, mailbox: &str) -> Vec<AgentSummary> {
        let mut asked = SummarizeAgentsRequest {
            tenant_id: self.tenant.clone(),
            start: at(self.start),
            end: at(self.end),
            bucket: bucket.into(),
            time_zone: ZONE.into(),
            mailbox: mailbox.into(),
            ..Default::default()
        };
        let mut client = AttributionServiceClient::new(self.channel.clone());
        let mut rows = Vec::new();
        loop {
            let page = client
                .summarize_agents(asked.clone())
                .await
                .expect("a page");
            let page = page.into_inner();
            rows.extend(page.rows);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() {
                return rows;
            }
        }
    }

    pub async fn coverage(&self) -> GetCoverageResponse {
        let asked = GetCoverageRequest {
            tenant_id: self.tenant.clone(),
            start: at(self.start),
            end: at(self.end),
            at_least_revision: 0,
        };
        let mut client = CoverageServiceClient::new(self.channel.clone());
        client
            .get_coverage(asked)
            .await
            .expect("an answer")
            .into_inner()
    }

    pub async fn findings(&self) -> Vec<Finding> {
        let asked = ListFindingsRequest {
            tenant_id: self.tenant.clone(),
            page_size: 1_000,
            ..Default::default()
        };
        let mut client = CoverageServiceClient::new(self.channel.clone());
        let page = client
            .list_findings(asked)
            .await
            .expect("a page")
            .into_inner();
        assert_eq!(page.next_page_token, "");
        page.findings
    }

    /// Every person by every name that is known, but for shared mailboxes.
    pub async fn everybody(&self) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = [
            "Anna Keller",
            "ak@contoso.com",
            "Ben Okafor",
            "crew@contoso.com",
        ]
        .map(ToOwned::to_owned)
        .into();
        for row in self.summary(Bucket::Total, "").await {
            all.insert(row.agent);
        }
        for side in self.coverage().await.sides {
            all.insert(side.agent);
        }
        for finding in self.findings().await {
            all.insert(finding.agent);
            for clue in finding.clues {
                all.extend([clue.actor, clue.record_id]);
            }
        }
        all.retain(|name| !name.is_empty() && !self.shared.contains(name));
        all
    }

    async fn register(&self, name: &str) {
        let asked = pb::RegisterTenantRequest {
            tenant_id: self.tenant.clone(),
            display_name: name.into(),
            consented_at: at(now() - DAY),
            retention_days: None,
        };
        let mut client = TenantServiceClient::new(self.channel.clone());
        client.register_tenant(asked).await.expect("registered");
    }

    async fn put(&self, mailboxes: Vec<Mailbox>) {
        let asked = pb::PutMailboxesRequest {
            tenant_id: self.tenant.clone(),
            mailboxes,
            remove: Vec::new(),
        };
        let mut client = TenantServiceClient::new(self.channel.clone());
        client.put_mailboxes(asked).await.expect("put");
    }

    /// A `code` says that it failed.
    async fn window(&self, source: &str, start: i64, end: i64, code: &str) {
        let outcome = match code {
            "" => WindowOutcome::Complete,
            _ => WindowOutcome::Failed,
        };
        let window = Window {
            start: at(start),
            end: at(end),
            clock: WindowClock::ContentCreated.into(),
            outcome: outcome.into(),
            code: code.into(),
        };
        self.ingest(IngestAuditBatchRequest {
            tenant_id: self.tenant.clone(),
            source: source.into(),
            window: Some(window),
            ..Default::default()
        })
        .await;
    }

    async fn ingest(&self, batch: IngestAuditBatchRequest) {
        let mut client = IngestServiceClient::new(self.channel.clone());
        let answer = client.ingest_audit_batch(batch).await.expect("ingested");
        assert_eq!(
            answer
                .into_inner()
                .counts
                .map_or(0, |counts| counts.quarantined),
            0
        );
    }
}

fn mailbox(address: &str, kind: MailboxKind, name: &str) -> Mailbox {
    Mailbox {
        address: address.into(),
        kind: kind.into(),
        display_name: name.into(),
        ..Default::default()
    }
}
