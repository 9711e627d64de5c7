//! `at_least_revision` on every read: never older, else UNAVAILABLE.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        TENANT,
        records::{Record, blob},
    },
};
use prost::Message as _;
use sentby::{grpc::DESCRIPTORS, pb};
use tonic::{Code, Status};

/// Methods that read a tenant's data, by how their names begin.
const READS: [&str; 7] = [
    "Get",
    "List",
    "Lookup",
    "Stream",
    "Explain",
    "Watch",
    "Summarize",
];

/// A read without the field would be one that nobody can rely on. StreamAuditBatches writes, and
/// ListTenants is about all tenants.
#[test]
fn every_read_has_the_field() {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).expect("our own");
    let files = set.file.iter().filter(|file| file.package() == "sentby.v1");
    let messages: Vec<_> = files.clone().flat_map(|file| &file.message_type).collect();
    let has = |name: &str, field: &str| {
        let message = messages.iter().find(|message| message.name() == name);
        let message = message.unwrap_or_else(|| panic!("{name}"));
        message.field.iter().any(|known| known.name() == field)
    };
    let methods = files.flat_map(|file| file.service.iter().flat_map(|service| &service.method));
    let mut count = 0;
    for method in methods {
        let name = method.name();
        if ["StreamAuditBatches", "ListTenants", "GetServerInfo"].contains(&name)
            || !READS.iter().any(|read| name.starts_with(read))
        {
            continue;
        }
        count += 1;
        let request = match name {
            "WatchAttributions" => "WatchPosition".to_owned(),
            _ => format!("{name}Request"),
        };
        assert!(has(&request, "tenant_id"), "{request}");
        assert!(has(&request, "at_least_revision"), "{request}");
    }
    assert!(count >= 10, "{count}");
}

on_both_engines! {
    /// One revision too far is refused with a time to try again, and the one that is there is
    /// read.
    async fn every_read_keeps_it(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let record = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T09:00:00");
        let revision = server.post(blob(&[record])).await.expect("ingested").revision;
        for (name, read) in all(&server, revision).await {
            assert!(read.is_ok(), "{name}: {read:?}");
        }
        for (name, read) in all(&server, revision + 1).await {
            let refused = reason(&read.expect_err(name));
            assert_eq!(refused, (Code::Unavailable, "REVISION_NOT_REACHED".into()), "{name}");
        }
    }
}

#[allow(clippy::too_many_lines)] // a list
async fn all(
    server: &TestServer,
    at_least_revision: u64,
) -> Vec<(&'static str, Result<(), Status>)> {
    let (mut answers, mut tenants, mut ingest) =
        (server.attributions(), server.tenants(), server.ingest());
    let tenant_id = TENANT.to_string();
    let (start, end) = (
        timestamp("2026-03-01T00:00:00Z"),
        timestamp("2026-04-01T00:00:00Z"),
    );
    let get = pb::GetAttributionRequest {
        tenant_id: tenant_id.clone(),
        message_id: "M@x".into(),
        at_least_revision,
        ..Default::default()
    };
    let lookup = pb::LookupAttributionsRequest {
        tenant_id: tenant_id.clone(),
        message_ids: vec!["M@x".into()],
        at_least_revision,
        ..Default::default()
    };
    let list = pb::ListAttributionsRequest {
        tenant_id: tenant_id.clone(),
        start,
        end,
        at_least_revision,
        ..Default::default()
    };
    let stream = pb::StreamAttributionsRequest {
        tenant_id: tenant_id.clone(),
        start,
        end,
        at_least_revision,
        ..Default::default()
    };
    let explain = pb::ExplainAttributionRequest {
        tenant_id: tenant_id.clone(),
        message: Some(pb::explain_attribution_request::Message::MessageId(
            "M@x".into(),
        )),
        at_least_revision,
    };
    let watch = pb::WatchAttributionsRequest {
        positions: vec![pb::WatchPosition {
            tenant_id: tenant_id.clone(),
            start: None,
            at_least_revision,
        }],
        ..Default::default()
    };
    let summarize = pb::SummarizeAgentsRequest {
        tenant_id: tenant_id.clone(),
        start,
        end,
        bucket: pb::Bucket::Day.into(),
        at_least_revision,
        ..Default::default()
    };
    let coverage = pb::GetCoverageRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision,
        ..Default::default()
    };
    let findings = pb::ListFindingsRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision,
        ..Default::default()
    };
    let tenant = pb::GetTenantRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision,
    };
    let mailboxes = pb::ListMailboxesRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision,
        ..Default::default()
    };
    let batches = pb::ListAuditBatchesRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision,
        ..Default::default()
    };
    let quarantined = pb::ListQuarantinedRecordsRequest {
        tenant_id,
        at_least_revision,
        ..Default::default()
    };
    vec![
        ("get", answers.get_attribution(get).await.map(drop)),
        (
            "lookup",
            answers.lookup_attributions(lookup).await.map(drop),
        ),
        ("list", answers.list_attributions(list).await.map(drop)),
        (
            "stream",
            answers.stream_attributions(stream).await.map(drop),
        ),
        (
            "explain",
            answers.explain_attribution(explain).await.map(drop),
        ),
        ("watch", answers.watch_attributions(watch).await.map(drop)),
        (
            "summarize",
            answers.summarize_agents(summarize).await.map(drop),
        ),
        (
            "coverage",
            server.coverage().get_coverage(coverage).await.map(drop),
        ),
        (
            "findings",
            server.coverage().list_findings(findings).await.map(drop),
        ),
        ("tenant", tenants.get_tenant(tenant).await.map(drop)),
        (
            "mailboxes",
            tenants.list_mailboxes(mailboxes).await.map(drop),
        ),
        (
            "batches",
            ingest.list_audit_batches(batches).await.map(drop),
        ),
        (
            "quarantined",
            ingest.list_quarantined_records(quarantined).await.map(drop),
        ),
    ]
}
