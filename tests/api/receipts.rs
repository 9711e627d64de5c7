//! Receipts: did my batch arrive, and what is a repeated request id answered?

use super::server::{TestServer, counts, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, blob},
        register,
    },
};
use sentby::pb::{self, IngestAuditBatchRequest as Batch, IngestAuditBatchResponse as Answer};
use std::collections::HashSet;
use tonic::{Code, Status};

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";
const BATCHES: &str = "SELECT count(*) FROM audit_batch WHERE tenant_id = $1";

fn batch(request_id: &str, messages: std::ops::Range<u128>) -> Batch {
    let records: Vec<Record> = messages
        .map(|n| Record::mailbox_side(n + 1, ANNA, &format!("<R{n}@x>"), AT))
        .collect();
    Batch {
        tenant_id: TENANT.to_string(),
        content: blob(&records).into(),
        request_id: request_id.into(),
        source: "collector 1".into(),
        ..Default::default()
    }
}

async fn send(server: &TestServer, batch: Batch) -> Result<Answer, Status> {
    let answer = server.ingest().ingest_audit_batch(batch).await?;
    Ok(answer.into_inner())
}

async fn list(
    server: &TestServer,
    request: pb::ListAuditBatchesRequest,
) -> pb::ListAuditBatchesResponse {
    let listed = server.ingest().list_audit_batches(request).await;
    listed.expect("listed").into_inner()
}

fn of_tenant() -> pb::ListAuditBatchesRequest {
    pb::ListAuditBatchesRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    }
}

on_both_engines! {
    /// The stored answer, and nothing is stored; another content is refused.
    async fn a_repeated_request_id_gets_the_stored_answer(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut first_batch = batch("blob-1", 0..3);
        first_batch.records = vec!["broken".into(), Record::noise("Create", 99, AT).json().into()];
        let first = send(&server, first_batch.clone()).await.expect("ingested");
        assert_eq!((counts(&first), first.replayed), ([5, 3, 0, 1, 1], false));
        // what came in between does not show
        send(&server, batch("", 5..7)).await.expect("ingested");

        let repeat = Batch { source: "collector 2".into(), ..first_batch.clone() };
        let again = send(&server, repeat).await.expect("answered");
        assert!(again.replayed);
        assert_eq!(Answer { replayed: false, ..again }, first);
        assert_eq!(db.number(BATCHES, TENANT).await, 2);
        assert_eq!(db.assert_gapless(TENANT).await, 2);

        let moved = Batch { content: b"[".to_vec().into(), records: vec![], ..first_batch.clone() };
        let cut = Batch { records: first_batch.records[..1].to_vec(), ..first_batch.clone() };
        for other in [batch("blob-1", 0..4), cut, moved] {
            let refused = send(&server, other).await.expect_err("another content");
            assert_eq!(reason(&refused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
        }
        // of another tenant it is another batch
        register(&server.app, OTHER_TENANT).await;
        let theirs = Batch { tenant_id: OTHER_TENANT.to_string(), ..first_batch.clone() };
        assert!(!send(&server, theirs).await.expect("ingested").replayed);

        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        server.tenants().revoke_consent(revoke).await.expect("revoked");
        let refused = send(&server, first_batch).await.expect_err("revoked");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "CONSENT_REVOKED".into()));
        assert_eq!(list(&server, of_tenant()).await.batches.len(), 2, "reads go on");
    }

    /// Two collectors with one blob, at two servers, at once: one stores it, both are
    /// answered the same.
    async fn a_request_id_counts_once_at_once(db: TestDb) {
        let servers = [TestServer::with_tenant(&db).await, TestServer::start(&db).await];
        for n in 0..10u128 {
            let batch = batch(&format!("blob-{n}"), 10 * n..10 * n + 5);
            let (one, two) = tokio::join!(
                send(&servers[0], batch.clone()),
                send(&servers[1], batch.clone())
            );
            let (one, two) = (one.expect("answered"), two.expect("answered"));
            assert_eq!([one.replayed, two.replayed].iter().filter(|&&replayed| replayed).count(), 1);
            assert_eq!(Answer { replayed: false, ..one }, Answer { replayed: false, ..two });
        }
        assert_eq!(db.number(BATCHES, TENANT).await, 10);
        assert_eq!(db.assert_gapless(TENANT).await, 10);
    }

    /// Every committed batch has one, also one that changed nothing; others have none.
    async fn a_receipt_says_that_it_arrived(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let first = send(&server, batch("a/b c", 0..2)).await.expect("ingested");
        let no_op = send(&server, batch("", 0..2)).await.expect("ingested");
        assert_eq!(counts(&no_op), [2, 0, 2, 0, 0]);
        let validated = Batch { validate_only: true, ..batch("v", 0..2) };
        assert_eq!(send(&server, validated).await.expect("validated").batch_id, "");
        let garbage = Batch { content: b"<html>".to_vec().into(), ..batch("g", 0..0) };
        send(&server, garbage).await.expect_err("no records");

        let all = list(&server, of_tenant()).await;
        let answers: Vec<Answer> = all.batches.iter().flat_map(|b| b.response.clone()).collect();
        assert_eq!(answers, [no_op, first], "from new to old, as they were answered");
        let receipt = &all.batches[1];
        assert_eq!((receipt.request_id.as_str(), receipt.source.as_str()), ("a/b c", "collector 1"));
        let (received, expires) = (receipt.received_at.expect("set"), receipt.expires_at.expect("set"));
        assert_eq!(expires.seconds - received.seconds, 7 * 86_400);

        let by_id = |id: &str| pb::ListAuditBatchesRequest { request_id: id.into(), ..of_tenant() };
        assert_eq!(list(&server, by_id("a/b c")).await.batches, all.batches[1..]);
        for absent in ["v", "g", "a/b"] {
            assert!(list(&server, by_id(absent)).await.batches.is_empty(), "{absent}");
        }
    }

    /// Filters and pages.
    async fn receipts_are_paged_from_new_to_old(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for n in 0..7u128 {
            let source = if n % 2 == 0 { "even" } else { "odd" };
            let batch = Batch { source: source.into(), ..batch(&n.to_string(), n..n + 1) };
            send(&server, batch).await.expect("ingested");
        }
        let walk = async |mut request: pb::ListAuditBatchesRequest| {
            let mut ids = Vec::new();
            loop {
                let page = list(&server, request.clone()).await;
                ids.extend(page.batches.into_iter().map(|batch| batch.request_id));
                if page.next_page_token.is_empty() { return ids.join(" ") }
                request.page_token = page.next_page_token;
            }
        };
        let two = pb::ListAuditBatchesRequest { page_size: 2, ..of_tenant() };
        assert_eq!(walk(two.clone()).await, "6 5 4 3 2 1 0");
        let odd = pb::ListAuditBatchesRequest { source: "odd".into(), ..two.clone() };
        assert_eq!(walk(odd.clone()).await, "5 3 1");
        let other = pb::ListAuditBatchesRequest { source: "even".into(), request_id: "3".into(), ..two.clone() };
        assert_eq!(walk(other).await, "");

        let third = list(&server, pb::ListAuditBatchesRequest { request_id: "3".into(), ..of_tenant() }).await;
        let at = third.batches[0].received_at;
        let since = pb::ListAuditBatchesRequest { start: at, ..two.clone() };
        assert_eq!(walk(since).await, "6 5 4 3");
        let until = pb::ListAuditBatchesRequest { end: at, ..two.clone() };
        assert_eq!(walk(until).await, "2 1 0");

        let token = list(&server, two.clone()).await.next_page_token;
        let mismatch = pb::ListAuditBatchesRequest { page_token: token, ..odd };
        let refused = server.ingest().list_audit_batches(mismatch).await.expect_err("another query");
        assert_eq!(reason(&refused).1, "PAGE_TOKEN_MISMATCH");
    }

    /// A page of receipts that tell much stays below what a client takes.
    async fn a_page_of_long_receipts_is_bounded(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let operations = (0..100).map(|n| Record::noise(&format!("{n:\u{fc}>100}"), 1, AT).json());
        let broken = (0..100).map(|n| format!("{{\"Id\":{n},\"Operation\":\"SendAs\",\"OrganizationId\":\"{n}\"}}"));
        let records: Vec<_> = operations.chain(broken).map(Into::into).collect();
        for _ in 0..250 {
            let batch = Batch { records: records.clone(), ..batch("", 0..0) };
            assert_eq!(counts(&send(&server, batch).await.expect("ingested"))[3], 100);
        }
        let mut request = pb::ListAuditBatchesRequest { page_size: 1_000, ..of_tenant() };
        let (mut pages, mut ids) = (0, HashSet::new());
        loop {
            // a client of this size is the default everywhere
            let page = list(&server, request.clone()).await;
            assert!(prost::Message::encoded_len(&page) < 4 << 20);
            pages += 1;
            ids.extend(page.batches.into_iter().flat_map(|b| b.response).map(|answer| answer.batch_id));
            if page.next_page_token.is_empty() { break }
            request.page_token = page.next_page_token;
        }
        assert!(pages > 1, "it would not fit");
        assert_eq!(ids.len(), 250);
    }

    async fn wrong_fields_are_named(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let long = |n| "x".repeat(n);
        for (request, field) in [
            (Batch { request_id: long(129), ..batch("", 0..1) }, "request_id"),
            (Batch { request_id: "a\nb".into(), ..batch("", 0..1) }, "request_id"),
            (Batch { source: long(101), ..batch("", 0..1) }, "source"),
            (Batch { source: "\0".into(), ..batch("", 0..1) }, "source"),
        ] {
            let refused = send(&server, request).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        let widest = Batch { request_id: "\u{fc}".repeat(128), source: "\u{1f600}".repeat(100), ..batch("", 0..1) };
        send(&server, widest).await.expect("as long as may be");

        let (early, late) = (timestamp("2026-01-01T00:00:00Z"), timestamp("2026-01-02T00:00:00Z"));
        for (request, field) in [
            (pb::ListAuditBatchesRequest { tenant_id: "x".into(), ..of_tenant() }, "tenant_id"),
            (pb::ListAuditBatchesRequest { page_size: -1, ..of_tenant() }, "page_size"),
            (pb::ListAuditBatchesRequest { request_id: long(129), ..of_tenant() }, "request_id"),
            (pb::ListAuditBatchesRequest { source: "\u{7}".into(), ..of_tenant() }, "source"),
            (pb::ListAuditBatchesRequest { start: late, end: early, ..of_tenant() }, "end"),
        ] {
            let refused = server.ingest().list_audit_batches(request).await.expect_err("refused");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        for (token, tenant, expected) in [
            ("garbage", TENANT, "PAGE_TOKEN_INVALID"),
            ("", OTHER_TENANT, "TENANT_NOT_FOUND"),
        ] {
            let request = pb::ListAuditBatchesRequest {
                page_token: token.into(),
                tenant_id: tenant.to_string(),
                ..of_tenant()
            };
            let refused = server.ingest().list_audit_batches(request).await.expect_err("refused");
            assert_eq!(reason(&refused).1, expected);
        }
    }
}
