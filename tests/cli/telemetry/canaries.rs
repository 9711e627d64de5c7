//! A tenant whose people, mailboxes, messages and identifiers are all known by a mark. It goes
//! through every call, well and badly; then the mark is looked for in all that the program tells.

use super::{get, wait_until};
use crate::support::{
    OTHER_TENANT, TENANT, TestDb,
    otlp::Receiver,
    process::{Server, database},
    records::{Record, blob, guid, puid, sid},
    redis::Redis,
};
use prost_types::Timestamp;
use sentby::pb::{
    self, attribution_service_client::AttributionServiceClient,
    coverage_service_client::CoverageServiceClient, explain_attribution_request,
    ingest_service_client::IngestServiceClient, lookup_attributions_request::Query,
    tenant_service_client::TenantServiceClient, watch_position,
};
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Request, Status, transport::Channel};

const SHARED: &str = "canary-support@canary.example";
const AGENT: &str = "canary-agent@canary.example";
const OTHER: &str = "canary-other@canary.example";
const MESSAGE: &str = "Canary-message@canary.example";
const SUBJECT: &str = "canary-subject";
const ADDRESS: &str = "198.51.100.77";
const TIME: &str = "2026-03-01T09:00:00";

/// What must be nowhere. Compared without case; also where it is written backwards or encoded
/// there is no reason for it, but that nobody would do by mistake.
fn canaries() -> Vec<String> {
    let mut all = vec!["canary".to_owned(), ADDRESS.to_owned()];
    for account in [SHARED, AGENT, OTHER] {
        all.extend([sid(account), puid(account), guid(account)]);
    }
    // the domain part of identifiers is enough to know somebody by
    all.push("2732292425-2947708389".into());
    all.into_iter()
        .map(|canary| canary.to_lowercase())
        .collect()
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    let text = text.to_lowercase();
    for canary in canaries() {
        if let Some(at) = text.find(&canary) {
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(300)
                .map_or(0, |(at, _)| at);
            let to = text[at..]
                .char_indices()
                .nth(200)
                .map_or(text.len(), |(n, _)| at + n);
            panic!("{what} tells {canary}: …{}…", &text[from..to]);
        }
    }
}

fn marked(record: Record) -> Record {
    record
        .set("MailboxOwnerUPN", SHARED)
        .set("MailboxGuid", guid(SHARED))
        .set("MailboxOwnerSid", sid(SHARED))
        .set("ClientIP", ADDRESS)
        .set("ClientInfoString", "Client=canary-client")
        .set(
            "Item",
            json!({"InternetMessageId": format!("<{MESSAGE}>"), "Subject": SUBJECT}),
        )
}

fn records() -> Vec<Record> {
    let message = format!("<{MESSAGE}>");
    vec![
        marked(Record::mailbox_side(1, AGENT, &message, TIME)),
        // a conflict
        marked(Record::mailbox_side(2, OTHER, &message, TIME)),
        Record::agent_side(3, AGENT, "<canary-second@canary.example>", TIME)
            .set("SendAsUserSmtp", SHARED),
        Record::plain(4, AGENT, "<canary-private@canary.example>", TIME),
        // quarantined: a field that cannot be, a time that is none, another tenant's
        marked(Record::mailbox_side(5, AGENT, &message, "canary-time")),
        marked(Record::mailbox_side(6, AGENT, &message, TIME)).set("UserId", json!({"canary": 1})),
        marked(Record::mailbox_side(7, AGENT, &message, TIME))
            .set("OrganizationId", OTHER_TENANT.to_string()),
        Record::noise("canary-operation", 8, TIME),
        Record::admin(
            "Set-Mailbox",
            9,
            &[("Identity", SHARED), ("AuditDelegate", "canary")],
        ),
    ]
}

/// How calls ended, so that none is thought to go well that does not.
#[derive(Default)]
struct Calls(Vec<(String, Code)>);

impl Calls {
    fn note<T>(&mut self, what: &str, done: Result<T, Status>) -> Option<T> {
        let code = done.as_ref().err().map_or(Code::Ok, Status::code);
        self.0.push((what.to_owned(), code));
        done.ok()
    }

    #[track_caller]
    fn well<T>(&mut self, what: &str, done: Result<T, Status>) -> T {
        let done = done.unwrap_or_else(|status| panic!("{what}: {status:?}"));
        self.0.push((what.to_owned(), Code::Ok));
        done
    }

    #[track_caller]
    fn badly<T>(&mut self, what: &str, done: Result<T, Status>) {
        let Err(status) = done else {
            panic!("{what} went well")
        };
        assert!(
            !matches!(status.code(), Code::Internal | Code::Unknown),
            "{what}: {status:?}"
        );
        self.0.push((what.to_owned(), status.code()));
    }
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

const FROM: i64 = 1_772_000_000;
const TO: i64 = 1_773_000_000;

async fn tenants(channel: &Channel, tenant: &str, calls: &mut Calls) {
    let mut client = TenantServiceClient::new(channel.clone());
    let register = |id: &str| pb::RegisterTenantRequest {
        tenant_id: id.into(),
        display_name: "Canary Ltd".into(),
        consented_at: at(FROM),
        ..Default::default()
    };
    calls.well("register", client.register_tenant(register(tenant)).await);
    calls.badly("register", client.register_tenant(register("canary")).await);
    let mailbox = |address: &str, alias: &str| pb::Mailbox {
        address: address.into(),
        kind: pb::MailboxKind::Shared.into(),
        aliases: vec![alias.into()],
        display_name: "Canary Support".into(),
        mailbox_guid: guid(SHARED),
        ..Default::default()
    };
    let put = |mailboxes| pb::PutMailboxesRequest {
        tenant_id: tenant.into(),
        mailboxes,
        ..Default::default()
    };
    let fine = put(vec![mailbox(SHARED, "canary-alias@canary.example")]);
    calls.well("put", client.put_mailboxes(fine).await);
    let taken = put(vec![mailbox("canary-new@canary.example", SHARED)]);
    calls.badly("taken", client.put_mailboxes(taken).await);
    let bad = put(vec![mailbox("canary no address", "canary\u{1b}[31m\n")]);
    calls.badly("bad address", client.put_mailboxes(bad).await);
    for token in ["", "canary-token"] {
        let list = pb::ListMailboxesRequest {
            tenant_id: tenant.into(),
            page_token: token.into(),
            ..Default::default()
        };
        calls.note("list mailboxes", client.list_mailboxes(list).await);
        let list = pb::ListTenantsRequest {
            page_token: token.into(),
            ..Default::default()
        };
        calls.note("list tenants", client.list_tenants(list).await);
    }
    let get = |id: &str, revision| pb::GetTenantRequest {
        tenant_id: id.into(),
        at_least_revision: revision,
    };
    calls.well("get tenant", client.get_tenant(get(tenant, 0)).await);
    calls.badly(
        "not there yet",
        client.get_tenant(get(tenant, 1 << 40)).await,
    );
    calls.badly(
        "get tenant",
        client.get_tenant(get("canary-tenant", 0)).await,
    );
}

async fn ingest(channel: &Channel, tenant: &str, calls: &mut Calls) {
    let mut client = IngestServiceClient::new(channel.clone());
    let batch = |content: Vec<u8>, request_id: &str| pb::IngestAuditBatchRequest {
        tenant_id: tenant.into(),
        content: content.into(),
        request_id: request_id.into(),
        source: "canary-source".into(),
        ..Default::default()
    };
    let content = blob(&records());
    for again in [false, true] {
        let stored = client
            .ingest_audit_batch(batch(content.clone(), "canary-request"))
            .await;
        let stored = calls.well("ingest", stored).into_inner();
        let counts = stored.counts.expect("counts");
        assert_eq!(
            (counts.quarantined, stored.replayed),
            (3, again),
            "{counts:?}"
        );
    }
    let reused = client
        .ingest_audit_batch(batch(b"[]".to_vec(), "canary-request"))
        .await;
    calls.badly("reused", reused);
    for content in [
        "canary, but no records",
        r#"{"error": {"code": "canary-code", "message": "canary"}}"#,
        "{\"canary\": ",
    ] {
        let done = client.ingest_audit_batch(batch(content.into(), "")).await;
        calls.note("no records", done);
    }
    let event = |user: &str, message: &str| pb::SendEvent {
        record_id: "canary-record".into(),
        user_id: user.into(),
        internet_message_id: message.into(),
        mailbox_owner_address: SHARED.into(),
        operation: pb::Operation::SendAs.into(),
        time: at(FROM + 10),
        ..Default::default()
    };
    let mut events = batch(Vec::new(), "");
    events.events = vec![event(AGENT, MESSAGE), event("canary\0", "")];
    calls.note("events", client.ingest_audit_batch(events).await);
    let mut label = batch(Vec::new(), &"canary".repeat(100));
    label.source = "canary\u{1b}[2J\n".into();
    calls.badly("label", client.ingest_audit_batch(label).await);

    let stream = [
        pb::StreamAuditBatchesRequest {
            sequence: 1,
            batch: Some(batch(content, "canary-streamed")),
        },
        pb::StreamAuditBatchesRequest {
            sequence: 2,
            batch: Some(batch(b"canary".to_vec(), "")),
        },
    ];
    let answers = client
        .stream_audit_batches(tokio_stream::iter(stream))
        .await;
    let mut answers = calls.well("stream", answers).into_inner();
    while let Some(answer) = calls.well("streamed", answers.message().await) {
        drop(answer);
    }
    for (request_id, token) in [("", ""), ("canary-request", ""), ("", "canary-token")] {
        let list = pb::ListAuditBatchesRequest {
            tenant_id: tenant.into(),
            request_id: request_id.into(),
            source: "canary-source".into(),
            page_token: token.into(),
            ..Default::default()
        };
        calls.note("receipts", client.list_audit_batches(list).await);
    }
    let list = pb::ListQuarantinedRecordsRequest {
        tenant_id: tenant.into(),
        include_content: true,
        ..Default::default()
    };
    calls.well("quarantine", client.list_quarantined_records(list).await);
    for digests in [vec![], vec!["canary-digest".to_owned()]] {
        let retry = pb::RetryQuarantinedRecordsRequest {
            tenant_id: tenant.into(),
            digests,
            ..Default::default()
        };
        calls.note("retry", client.retry_quarantined_records(retry).await);
    }
}

async fn ask(channel: &Channel, tenant: &str, calls: &mut Calls) {
    let mut client = AttributionServiceClient::new(channel.clone());
    for message in [
        MESSAGE,
        "canary-nothing@canary.example",
        "canary \n not an id",
        "",
    ] {
        for sent_at in [None, at(FROM)] {
            let get = pb::GetAttributionRequest {
                tenant_id: tenant.into(),
                message_id: message.into(),
                sent_at,
                ..Default::default()
            };
            calls.note("get", client.get_attribution(get).await);
        }
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: tenant.into(),
            message_ids: vec![message.into(), MESSAGE.into()],
            queries: vec![],
            ..Default::default()
        };
        calls.note("look up", client.lookup_attributions(lookup).await);
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: tenant.into(),
            queries: vec![Query {
                message_id: message.into(),
                sent_at: at(FROM),
            }],
            ..Default::default()
        };
        calls.note("look up", client.lookup_attributions(lookup).await);
        let explain = pb::ExplainAttributionRequest {
            tenant_id: tenant.into(),
            message: Some(explain_attribution_request::Message::MessageId(
                message.into(),
            )),
            ..Default::default()
        };
        calls.note("explain", client.explain_attribution(explain).await);
    }
    let key = pb::ExplainAttributionRequest {
        tenant_id: tenant.into(),
        message: Some(explain_attribution_request::Message::MessageKey(
            "canary".into(),
        )),
        ..Default::default()
    };
    calls.badly("explain", client.explain_attribution(key).await);
    for (mailbox, token) in [
        ("", ""),
        (SHARED, ""),
        ("canary no address", ""),
        ("", "canary"),
    ] {
        let list = pb::ListAttributionsRequest {
            tenant_id: tenant.into(),
            start: at(FROM),
            end: at(TO),
            mailbox: mailbox.into(),
            page_token: token.into(),
            ..Default::default()
        };
        calls.note("list", client.list_attributions(list).await);
        let stream = pb::StreamAttributionsRequest {
            tenant_id: tenant.into(),
            start: at(FROM),
            end: at(TO),
            mailbox: mailbox.into(),
            resume_token: token.into(),
            ..Default::default()
        };
        let stream = calls.note("stream", client.stream_attributions(stream).await);
        if let Some(stream) = stream {
            let mut stream = stream.into_inner();
            while let Ok(Some(_)) = stream.message().await {}
        }
        let summary = pb::SummarizeAgentsRequest {
            tenant_id: tenant.into(),
            start: at(FROM),
            end: at(TO),
            time_zone: if token.is_empty() { "" } else { "Canary/Zone" }.into(),
            mailbox: mailbox.into(),
            agent: AGENT.into(),
            ..Default::default()
        };
        calls.note("summary", client.summarize_agents(summary).await);
    }
    for token in ["", "canary-token"] {
        let start = (!token.is_empty()).then(|| watch_position::Start::ResumeToken(token.into()));
        let watch = pb::WatchAttributionsRequest {
            positions: vec![pb::WatchPosition {
                tenant_id: tenant.into(),
                start,
                ..Default::default()
            }],
            ..Default::default()
        };
        if let Some(told) = calls.note("watch", client.watch_attributions(watch).await) {
            let mut told = told.into_inner();
            while let Ok(Some(_)) = told.message().await {}
        }
    }
}

async fn coverage(channel: &Channel, tenant: &str, calls: &mut Calls) {
    let mut client = CoverageServiceClient::new(channel.clone());
    let get = pb::GetCoverageRequest {
        tenant_id: tenant.into(),
        ..Default::default()
    };
    calls.well("coverage", client.get_coverage(get).await);
    for (mailbox, token) in [
        ("", ""),
        (SHARED, ""),
        ("canary no address", ""),
        ("", "canary"),
    ] {
        let list = pb::ListFindingsRequest {
            tenant_id: tenant.into(),
            mailbox: mailbox.into(),
            page_token: token.into(),
            ..Default::default()
        };
        calls.note("findings", client.list_findings(list).await);
    }
    let settings = format!(
        "PrimarySmtpAddress   : {SHARED}\nRecipientTypeDetails : SharedMailbox\n\
         DefaultAuditSet      : {{Admin, Owner}}\nAuditDelegate        : {{Update}}\n"
    );
    for content in [settings.as_str(), "canary: nonsense", "{\"canary\""] {
        let check = pb::CheckAuditSettingsRequest {
            tenant_id: tenant.into(),
            content: content.as_bytes().to_vec(),
            captured_at: at(FROM),
            ..Default::default()
        };
        calls.note("check", client.check_audit_settings(check).await);
    }
}

/// Bytes that are no message, and methods that are none.
async fn nonsense(channel: &Channel) {
    let mut client = tonic::client::Grpc::new(channel.clone());
    for path in [
        "/canary.Service/Canary",
        "/sentby.v1.TenantService/Canary",
        "/sentby.v1.TenantService/GetTenant",
    ] {
        client.ready().await.expect("ready");
        let path = path.parse().expect("a path");
        // a tenant whose id is no text
        let codec = tonic_prost::ProstCodec::<Garbage, ()>::default();
        let mut request = Request::new(Garbage {
            canary: b"canary\xff\xfe".to_vec(),
        });
        let metadata = request.metadata_mut();
        metadata.insert("canary-header", "canary".parse().expect("ASCII"));
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        metadata.insert("traceparent", parent.parse().expect("ASCII"));
        metadata.insert("tracestate", "vendor=canary".parse().expect("ASCII"));
        metadata.insert("baggage", "user=canary".parse().expect("ASCII"));
        metadata.insert("authorization", "Bearer canary".parse().expect("ASCII"));
        metadata.insert(
            "x-request-id",
            "canary@canary.example".parse().expect("ASCII"),
        );
        let done: Result<tonic::Response<()>, Status> = client.unary(request, path, codec).await;
        assert!(done.is_err());
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Garbage {
    #[prost(bytes = "vec", tag = "1")]
    canary: Vec<u8>,
}

async fn revoke(channel: &Channel, tenant: &str, calls: &mut Calls) {
    let mut tenants = TenantServiceClient::new(channel.clone());
    let revoke = pb::RevokeConsentRequest {
        tenant_id: tenant.into(),
        ..Default::default()
    };
    calls.well("revoke", tenants.revoke_consent(revoke).await);
    let mut ingest = IngestServiceClient::new(channel.clone());
    let late = pb::IngestAuditBatchRequest {
        tenant_id: tenant.into(),
        content: blob(&records()).into(),
        ..Default::default()
    };
    calls.badly("revoked", ingest.ingest_audit_batch(late).await);
}

async fn nothing_is_told(db: TestDb) {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let (receiver, endpoint) = Receiver::start().await;
    let (cache, endpoint) = (redis.url(), format!("http://{endpoint}"));
    let server = Server::start_logging(
        &database(&db.config.database),
        "trace",
        &[
            "--ops-listen",
            "127.0.0.1:0",
            "--cache",
            &cache,
            "--otlp-endpoint",
            &endpoint,
        ],
    );
    let channel = tonic::transport::Endpoint::new(server.url.clone()).expect("a URL");
    let channel = channel.connect().await.expect("it serves");
    let (tenant, mut calls) = (TENANT.to_string(), Calls::default());
    for round in 0..2 {
        if round == 0 {
            tenants(&channel, &tenant, &mut calls).await;
            ingest(&channel, &tenant, &mut calls).await;
        }
        ask(&channel, &tenant, &mut calls).await;
        coverage(&channel, &tenant, &mut calls).await;
        // the second from the cache
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
    let keys = redis.keys().await;
    nonsense(&channel).await;
    revoke(&channel, &tenant, &mut calls).await;

    // all of it happened, and was seen
    let refused = calls.0.iter().filter(|(_, code)| *code != Code::Ok).count();
    assert!(calls.0.len() > 100 && refused > 30, "{:?}", calls.0);
    assert!(keys.len() >= 2, "{keys:?}");
    let ops = server.ops();
    wait_until("spans arrive", || receiver.spans().len() > 20);
    // what the last call said may still be on its way to this test
    wait_until("the last line of the log", || {
        let log = server.log();
        log.iter().any(|line| line["reason"] == "CONSENT_REVOKED")
    });
    let metrics = get(&ops, "/metrics").1;
    assert!(
        metrics.contains("sentby_ingest_quarantined_records_total{reason="),
        "{metrics}"
    );
    let log = server.log();
    let told = |field: &str, value: &str| log.iter().any(|line| line[field] == value);
    for reason in [
        "INVALID_FIELD",
        "ADDRESS_TAKEN",
        "PAGE_TOKEN_INVALID",
        "CONSENT_REVOKED",
    ] {
        assert!(told("reason", reason), "{reason}");
    }
    assert!(told("level", "TRACE") || told("level", "DEBUG"));
    assert!(!told("level", "ERROR"), "{log:?}");

    for line in &log {
        assert_clean("the log", &line.to_string());
    }
    assert_clean("metrics", &metrics);
    for key in &keys {
        assert_clean("a key of Redis", &String::from_utf8_lossy(key));
        let value = redis.ask(&[b"GET", key]).await;
        let value = value.bytes().unwrap_or_default().to_vec();
        assert_clean("a value of Redis", &String::from_utf8_lossy(&value));
    }
    assert_eq!(server.stop(), Some(0));
    assert_clean("a trace", &receiver.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_person_is_told_sqlite() {
    nothing_is_told(TestDb::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_person_is_told_postgres() {
    if let Some(db) = TestDb::postgres().await {
        nothing_is_told(db).await;
    }
}
