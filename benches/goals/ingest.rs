//! Durable ingest: raw JSON → committed, by us and by the peers, from the same files.

use crate::{
    postgres::{self, Postgres},
    process::{self, Server},
    table::{Goal, Results},
};
use bytes::Bytes;
use sentby::{
    pb::{
        self, IngestAuditBatchRequest, PutMailboxesRequest, RegisterTenantRequest,
        ingest_service_client::IngestServiceClient, tenant_service_client::TenantServiceClient,
    },
    simulate::{Plan, Story},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tonic::transport::{Channel, Endpoint};

/// Records of one batch: about 8 MB.
const BATCH: usize = 5_000;
/// Batches in flight.
const IN_FLIGHT: usize = 8;

/// Content blobs in a folder.
pub struct Feed {
    pub folder: PathBuf,
    files: Vec<PathBuf>,
    pub bytes: u64,
    pub tenant: String,
    register: Vec<String>,
}

impl Feed {
    /// `noise`: records of other operations for each send event. The stories are those that
    /// every peer can tell: whose SendAs it was, which sides are in, when.
    pub fn write(folder: &Path, messages: u64, noise: f64) -> Self {
        let plan = Plan {
            messages,
            noise,
            stories: vec![
                Story::BothSides,
                Story::MailboxSide,
                Story::AgentSide,
                Story::MailboxSideAndOwnSend,
                Story::OwnSend,
            ],
            ..Plan::default()
        };
        let feed = plan.feeds().next().expect("one tenant");
        let (tenant, register) = (feed.tenant().to_string(), feed.register());
        fs::create_dir_all(folder).expect("a folder");
        let (mut files, mut bytes) = (Vec::new(), 0);
        for (number, blob) in feed.blobs(BATCH).enumerate() {
            let file = folder.join(format!("{number:06}.json"));
            bytes += blob.len() as u64;
            fs::write(&file, blob).expect("room on the disk");
            files.push(file);
        }
        Self {
            folder: folder.to_owned(),
            files,
            bytes,
            tenant,
            register,
        }
    }

    pub fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }
}

#[derive(Clone, Copy, Default)]
pub struct Sent {
    pub records: u64,
    pub kept: u64,
    pub repeated: u64,
    pub time: Duration,
    /// What the client itself took of the processors.
    pub client: Duration,
}

impl Sent {
    pub fn rate(self) -> f64 {
        self.records as f64 / self.time.as_secs_f64()
    }
}

async fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("it answers")
}

/// A tenant that consented, with its shared mailboxes.
pub async fn register(address: &str, feed: &Feed) {
    let mut tenants = TenantServiceClient::new(channel(address).await);
    let request = RegisterTenantRequest {
        tenant_id: feed.tenant.clone(),
        display_name: "Bench".into(),
        consented_at: Some(prost_types::Timestamp {
            seconds: 1_600_000_000,
            nanos: 0,
        }),
        retention_days: None,
    };
    tenants.register_tenant(request).await.expect("registered");
    let mailboxes = feed.register.iter().map(|address| pb::Mailbox {
        address: address.clone(),
        kind: pb::MailboxKind::Shared.into(),
        ..pb::Mailbox::default()
    });
    let request = PutMailboxesRequest {
        tenant_id: feed.tenant.clone(),
        mailboxes: mailboxes.collect(),
        ..PutMailboxesRequest::default()
    };
    tenants.put_mailboxes(request).await.expect("put");
}

/// Sends every file as one batch, a few at a time; done when all are answered.
pub async fn send(address: &str, feed: &Feed, validate_only: bool) -> Sent {
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = IngestServiceClient::new(channel(address).await);
        clients.push(client.max_encoding_message_size(16 << 20));
    }
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let (start, client) = (Instant::now(), process::own_cpu());
    let mut calls = Vec::new();
    for (number, file) in feed.files.iter().enumerate() {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("open");
        let request = IngestAuditBatchRequest {
            tenant_id: feed.tenant.clone(),
            content: Bytes::from(fs::read(file).expect("a file")),
            validate_only,
            ..IngestAuditBatchRequest::default()
        };
        let mut client = clients[number % clients.len()].clone();
        calls.push(tokio::spawn(async move {
            let answer = client.ingest_audit_batch(request).await.expect("taken");
            drop(slot);
            answer.into_inner().counts.expect("counts")
        }));
    }
    let mut sent = Sent::default();
    for call in calls {
        let counts = call.await.expect("a call");
        sent.records += counts.received;
        sent.kept += counts.kept;
        sent.repeated += counts.repeated;
        assert_eq!(counts.quarantined, 0, "nothing of this feed is broken");
    }
    sent.time = start.elapsed();
    sent.client = process::own_cpu() - client;
    sent
}

/// What every peer must have made of the feed, in one order.
const OURS: &str = "SELECT md5(string_agg(concat_ws('|', message_id, agent, mailbox, basis, \
    confirmed, extract(epoch FROM sent_at)::bigint), ',' ORDER BY message_id COLLATE \"C\")) \
    FROM attribution";
const THEIRS: &str = "SELECT md5(string_agg(concat_ws('|', message_id, agent, mailbox, \
    CASE rank WHEN 1 THEN 'MAILBOX_SEND_AS' WHEN 2 THEN 'AGENT_SEND_AS' ELSE 'SEND' END, \
    mailbox_side AND agent_side, extract(epoch FROM sent_at)::bigint), ',' \
    ORDER BY message_id COLLATE \"C\")) FROM attribution";

/// The kept-heavy feed: us, DuckDB and Python in turn, each into an empty database.
pub async fn kept_heavy(
    postgres: &Postgres,
    feed: &Feed,
    python_feed: &Feed,
    peers: &Peers,
    results: &mut Results,
) {
    let ours = one_of_ours(postgres, feed, results).await;
    let duckdb = peers.duckdb(postgres, feed, &ours.digest).await;
    let python = peers.python(postgres, python_feed).await;
    results.add(
        "durable ingest, 40 % send events, against DuckDB → CSV → \\copy → upsert",
        Goal::AtLeast {
            gate: 1.2,
            aim: 1.5,
        },
        "x",
        ours.sent.rate() / duckdb,
        &[
            ("ours, records/s", ours.sent.rate()),
            ("DuckDB, records/s", duckdb),
        ],
    );
    results.add(
        "the same against a Python grpc.aio + asyncpg service",
        Goal::AtLeast {
            gate: 4.0,
            aim: 6.0,
        },
        "x",
        ours.sent.rate() / python,
        &[
            ("ours, records/s", ours.sent.rate()),
            ("Python, records/s", python),
        ],
    );
}

struct Ours {
    sent: Sent,
    digest: String,
}

/// With the processors, the log and the memory that it took.
async fn one_of_ours(postgres: &Postgres, feed: &Feed, results: &mut Results) -> Ours {
    let url = postgres.create("bench_ingest", true).await;
    let server = Server::sentby(&url, "memory");
    register(&server.address, feed).await;
    postgres.checkpoint().await;
    let (wal, cpu) = (postgres.wal().await, (server.cpu(), postgres.cpu()));
    let sent = send(&server.address, feed, false).await;
    let per_record = |cpu: Duration| cpu.as_secs_f64() * 1e6 / sent.records as f64;
    let (own, database) = (
        per_record(server.cpu() - cpu.0),
        per_record(postgres.cpu() - cpu.1),
    );
    let wal = postgres.wal().await - wal;
    results.add(
        "server + Postgres CPU per record, 40 % send events",
        Goal::AtMost {
            gate: 6.5,
            aim: 4.5,
        },
        " µs",
        own + database,
        &[
            ("server, µs", own),
            ("Postgres, µs", database),
            ("client (not in it), µs", per_record(sent.client)),
        ],
    );
    results.add(
        "memory while ingesting (the most that the server had)",
        Goal::AtMost {
            gate: 128.0,
            aim: 64.0,
        },
        " MiB",
        server.peak_memory(),
        &[],
    );
    let mut connection = postgres.connect("bench_ingest").await;
    let messages: i64 = postgres::number(&mut connection, "SELECT count(*) FROM attribution").await;
    let copied = copied(postgres, &mut connection).await;
    results.add(
        "WAL per message against unindexed COPY of the same rows",
        Goal::AtMost {
            gate: 2.6,
            aim: 2.2,
        },
        "x",
        wal as f64 / copied as f64,
        &[
            ("ours, bytes/message", wal as f64 / messages as f64),
            ("COPY, bytes/message", copied as f64 / messages as f64),
            (
                "new or changed evidence per message",
                sent.kept as f64 / messages as f64,
            ),
        ],
    );
    let digest = postgres::number(&mut connection, OURS).await;
    Ours { sent, digest }
}

/// Write-ahead log of the rows copied into a table without an index.
async fn copied(postgres: &Postgres, connection: &mut sqlx::PgConnection) -> i64 {
    let folder: String =
        postgres::number(connection, "SELECT current_setting('data_directory')").await;
    let file = format!("{folder}/bench_rows");
    postgres::run(
        connection,
        &format!("COPY attribution TO '{file}' (FORMAT binary)"),
    )
    .await;
    postgres::run(connection, "CREATE TABLE bare (LIKE attribution)").await;
    let before = postgres.wal().await;
    postgres::run(
        connection,
        &format!("COPY bare FROM '{file}' (FORMAT binary)"),
    )
    .await;
    let copied = postgres.wal().await - before;
    postgres::run(connection, "DROP TABLE bare").await;
    copied
}

/// The programs that are not ours.
pub struct Peers {
    /// Python with `peers/requirements.txt`.
    pub python: String,
    pub folder: PathBuf,
}

impl Peers {
    async fn database(&self, postgres: &Postgres) -> String {
        let url = postgres.create("bench_peer", false).await;
        let schema = fs::read_to_string(self.folder.join("schema.sql")).expect("a file");
        postgres::run(&mut postgres.connect("bench_peer").await, &schema).await;
        url
    }

    /// Records per second.
    async fn duckdb(&self, postgres: &Postgres, feed: &Feed, expected: &str) -> f64 {
        let url = self.database(postgres).await;
        postgres.checkpoint().await;
        let output = Command::new(&self.python)
            .arg(self.folder.join("duckdb_job.py"))
            .args([
                &feed.folder,
                &PathBuf::from(&url),
                &PathBuf::from(&feed.tenant),
            ])
            .output()
            .expect("Python runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said: Value = serde_json::from_str(&said).expect("JSON");
        self.check(postgres, expected).await;
        let figure = |name: &str| said[name].as_f64().expect("a figure");
        figure("records") / figure("seconds")
    }

    async fn check(&self, postgres: &Postgres, expected: &str) {
        let mut connection = postgres.connect("bench_peer").await;
        let theirs: String = postgres::number(&mut connection, THEIRS).await;
        assert_eq!(
            theirs, expected,
            "the peer made other attributions of the same feed"
        );
    }

    /// Records per second.
    async fn python(&self, postgres: &Postgres, feed: &Feed) -> f64 {
        let url = self.database(postgres).await;
        let mut command = Command::new(&self.python);
        let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        command
            .arg(self.folder.join("asyncpg_service.py"))
            .arg(protos)
            .arg(&url);
        let service = Server::start(command);
        postgres.checkpoint().await;
        let sent = send(&service.address, feed, false).await;
        drop(service);
        // what we make of this smaller feed
        let ours = postgres.create("bench_check", true).await;
        let server = Server::sentby(&ours, "none");
        register(&server.address, feed).await;
        send(&server.address, feed, false).await;
        let mut connection = postgres.connect("bench_check").await;
        let expected: String = postgres::number(&mut connection, OURS).await;
        self.check(postgres, &expected).await;
        sent.rate()
    }
}

/// The realistic feed: us into an empty database, and a service that only parses.
pub async fn realistic(postgres: &Postgres, feed: &Feed, results: &mut Results) {
    let url = postgres.create("bench_ingest", true).await;
    let server = Server::sentby(&url, "memory");
    register(&server.address, feed).await;
    postgres.checkpoint().await;
    let before = (server.cpu(), postgres.cpu());
    let ours = send(&server.address, feed, false).await;
    let (own, database) = (server.cpu() - before.0, postgres.cpu() - before.1);
    let parser = Server::peer("parse", &[]);
    let before = parser.cpu();
    let parsed = send(&parser.address, feed, false).await;
    assert_eq!(parsed.records, ours.records);
    assert_eq!(
        parsed.kept,
        ours.kept + ours.repeated,
        "the same send events"
    );
    let per_record = |cpu: Duration| cpu.as_secs_f64() * 1e6 / ours.records as f64;
    results.add(
        "durable ingest, 1–5 % send events, against parse-only",
        Goal::AtLeast {
            gate: 0.85,
            aim: 0.95,
        },
        "x",
        ours.rate() / parsed.rate(),
        &[
            ("ours, records/s", ours.rate()),
            ("parse-only, records/s", parsed.rate()),
            ("ours, server µs/record", per_record(own)),
            ("ours, Postgres µs/record", per_record(database)),
            ("parse-only, µs/record", per_record(parser.cpu() - before)),
        ],
    );
}
