//! Every wrong call gets a code, a reason and the path of the field.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{OTHER_TENANT, TENANT, TestDb},
};
use sentby::pb;
use std::time::Duration;
use tonic::{Code, Request};

on_both_engines! {
    /// Fields that are missing or wrong.
    async fn wrong_fields_are_named(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut tenants = server.tenants();
        let mut attributions = server.attributions();
        let nil = "00000000-0000-0000-0000-000000000000";
        for bad in ["", "contoso", nil, "11111111-1111-4111-8111-11111111111g"] {
            let get = pb::GetTenantRequest { tenant_id: bad.into(), ..Default::default() };
            let refused = tenants.get_tenant(get).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains("tenant_id"), "{}", refused.message());
        }
        let register = |consented_at, display_name: String| pb::RegisterTenantRequest {
            tenant_id: TENANT.to_string(),
            display_name,
            consented_at,
retention_days: None,
};
        for (request, field) in [
            (register(None, String::new()), "consented_at"),
            (register(timestamp("1999-01-01T00:00:00Z"), String::new()), "consented_at"),
            (register(timestamp("2099-01-01T00:00:00Z"), String::new()), "consented_at"),
            (register(timestamp("2026-01-01T00:00:00Z"), "x".repeat(201)), "display_name"),
            (register(timestamp("2026-01-01T00:00:00Z"), "a\0b".into()), "display_name"),
        ] {
            let refused = tenants.register_tenant(request).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        let list = |start: &str, end: &str, page_size| pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: timestamp(start),
            end: timestamp(end),
            page_size,
            ..Default::default()
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let mut pending = list(early, late, 0);
        pending.verdict = pb::Verdict::Pending.into();
        let mut agent = list(early, late, 0);
        agent.agent = "not an address".into();
        let mut open = list(early, late, 0);
        open.end = None;
        for (request, field) in [
            (list(late, early, 0), "end"),
            (list(early, late, -1), "page_size"),
            (pending, "verdict"),
            (agent, "agent"),
            (open, "end"),
        ] {
            let refused = attributions.list_attributions(request).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: TENANT.to_string(),
            message_ids: vec!["x".into(); 1_001],
            ..Default::default()
        };
        let refused = attributions.lookup_attributions(lookup).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
        let refused = server.get(" <> ").await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
    }

    /// An unknown tenant is told as such by every method.
    async fn an_unknown_tenant_is_told(db: TestDb) {
        let server = TestServer::start(&db).await;
        let (mut tenants, mut attributions) = (server.tenants(), server.attributions());
        let tenant_id = OTHER_TENANT.to_string();
        let ingest = pb::IngestAuditBatchRequest { tenant_id: tenant_id.clone(), ..Default::default() };
        let get = pb::GetAttributionRequest {
            tenant_id: tenant_id.clone(),
            message_id: "x".into(),
            ..Default::default()
        };
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: tenant_id.clone(),
            message_ids: vec!["x".into()],
            ..Default::default()
        };
        let list = pb::ListAttributionsRequest {
            tenant_id: tenant_id.clone(),
            start: timestamp("2026-01-01T00:00:00Z"),
            end: timestamp("2026-01-02T00:00:00Z"),
            ..Default::default()
        };
        let coverage = pb::GetCoverageRequest { tenant_id: tenant_id.clone(), ..Default::default() };
        let put = pb::PutMailboxesRequest { tenant_id: tenant_id.clone(), ..Default::default() };
        let mailboxes = pb::ListMailboxesRequest { tenant_id: tenant_id.clone(), ..Default::default() };
        let revoke = pb::RevokeConsentRequest { tenant_id, revoked_at: None };
        let refused = [
            server.ingest().ingest_audit_batch(ingest).await.map(drop),
            attributions.get_attribution(get).await.map(drop),
            attributions.lookup_attributions(lookup).await.map(drop),
            attributions.list_attributions(list).await.map(drop),
            server.coverage().get_coverage(coverage).await.map(drop),
            tenants.put_mailboxes(put).await.map(drop),
            tenants.list_mailboxes(mailboxes).await.map(drop),
            tenants.revoke_consent(revoke).await.map(drop),
        ];
        for refused in refused {
            let refused = refused.expect_err("unknown");
            assert_eq!(reason(&refused), (Code::NotFound, "TENANT_NOT_FOUND".into()));
        }
    }
}

/// A database that is away is UNAVAILABLE with a time to try again, and health says so;
/// when it is back, so is the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_unavailable() {
    let Some(mut db) = TestDb::postgres().await else {
        return;
    };
    // a port on which nobody listens
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let address = free.expect("a free port").local_addr().expect("an address");
    db.config.database =
        sentby::config::DatabaseUrl::Postgres(format!("postgres://nobody@{address}/nothing"));
    let server = TestServer::start(&db).await;
    let refused = server.get("x").await.expect_err("no database");
    assert_eq!(
        reason(&refused),
        (Code::Unavailable, "STORE_UNAVAILABLE".into())
    );
    let refused = server.post("[]").await.expect_err("no database");
    assert_eq!(
        reason(&refused),
        (Code::Unavailable, "STORE_UNAVAILABLE".into())
    );
    server.stop().await;
}

/// The caller's deadline is kept, and told as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_kept() {
    let db = TestDb::sqlite().await;
    let server = TestServer::with_tenant(&db).await;
    // somebody else holds the one write lock of the file
    let other = db.app().await;
    let held = other.store().begin(TENANT).await.expect("begun");
    let mut request = Request::new(pb::IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    });
    // tonic's own clock rings by it too, 20 ms after the server has answered
    request
        .metadata_mut()
        .insert("grpc-timeout", "300m".parse().expect("a value"));
    let started = std::time::Instant::now();
    let late = server.ingest().ingest_audit_batch(request).await;
    let late = late.expect_err("too late");
    assert_eq!(
        reason(&late),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into())
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(held);
    assert!(server.post("[]").await.is_ok(), "the lock is free again");
}
