//! Quarantine: what could not be taken in is kept within bounds, shown, and read again.

use super::server::{TestServer, counts, reason};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, TestDb, assert_same_rows,
        records::{Record, blob},
        register, time,
    },
};
use sentby::{
    app::App,
    domain::{QuarantineReason, QuarantinedRecord, Timestamp},
    pb::{
        self, ListQuarantinedRecordsRequest as List, QuarantineReason as Why,
        RetryQuarantinedRecordsRequest as Retry,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";
const ROWS: &str = "SELECT count(*) FROM quarantine WHERE tenant_id = $1";

fn sent(n: u128) -> Record {
    Record::mailbox_side(n + 1, ANNA, &format!("<Q{n}@x>"), AT)
}

/// As an older decoder left it, which could not read what is read today.
fn left_behind(n: u128, content: impl Into<Vec<u8>>) -> QuarantinedRecord {
    QuarantinedRecord {
        digest: Uuid::from_u128(n),
        reason: QuarantineReason::InvalidField,
        detail: "of that day".into(),
        received_at: Timestamp::from_micros(time("2026-11-01T00:00:00Z").micros() + n as i64),
        bytes: Some(content.into().into()),
    }
}

async fn leave(app: &App, records: &[QuarantinedRecord]) {
    let mut tx = app
        .store()
        .begin(TENANT)
        .await
        .expect("begun")
        .expect("a tenant");
    tx.put_quarantined(records).await.expect("put");
    tx.commit().await.expect("committed");
}

fn all() -> Retry {
    Retry {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    }
}

async fn retry(server: &TestServer, request: Retry) -> pb::RetryQuarantinedRecordsResponse {
    let retried = server.ingest().retry_quarantined_records(request).await;
    retried.expect("retried").into_inner()
}

/// retried, kept, repeated, ignored, still_quarantined, without_content
fn numbers(done: &pb::RetryQuarantinedRecordsResponse) -> [u64; 6] {
    [
        done.retried,
        done.kept,
        done.repeated,
        done.ignored,
        done.still_quarantined,
        done.without_content,
    ]
}

fn listing() -> List {
    List {
        tenant_id: TENANT.to_string(),
        page_size: 1_000,
        ..Default::default()
    }
}

async fn list(server: &TestServer, request: List) -> Vec<pb::QuarantinedRecord> {
    walk(server, request).await.concat()
}

/// By pages; each fits into what every client takes.
async fn walk(server: &TestServer, mut request: List) -> Vec<Vec<pb::QuarantinedRecord>> {
    let mut pages = Vec::new();
    loop {
        let page = server
            .ingest()
            .list_quarantined_records(request.clone())
            .await;
        let page = page.expect("listed").into_inner();
        assert!(prost::Message::encoded_len(&page) < 4 << 20);
        pages.push(page.records);
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

/// So many records that cannot be read, each another one.
fn broken(from: usize, to: usize) -> Vec<u8> {
    let records: Vec<String> = (from..to).map(|n| format!("{{\"Broken\":{n}}}")).collect();
    records.join("\n").into_bytes()
}

on_both_engines! {
    /// What is read today is taken in by the rules of an ingest; the rest stays with the
    /// reason of today.
    async fn what_can_be_read_now_is_taken_in(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        server.post(blob(&[sent(1)])).await.expect("ingested");
        server.post("{\"Id\": \"cut off").await.expect("ingested");
        let cut = list(&server, listing()).await.remove(0);
        db.execute("UPDATE quarantine SET reason = 'TOO_DEEP', detail = 'of that day'").await;
        let admin = Record::admin("Set-Mailbox", 7, &[("AuditDelegate", "Update")]);
        // broken, and it had swallowed two: one is fine, one names no time
        let swallowed = format!(
            "{{\"Broken\": [{},{},{{",
            sent(2).json(),
            sent(3).set("CreationTime", "yesterday").json()
        );
        let foreign = QuarantinedRecord {
            reason: QuarantineReason::ForeignTenant,
            bytes: None,
            ..left_behind(90, "")
        };
        let too_large = QuarantinedRecord {
            reason: QuarantineReason::TooLarge,
            ..left_behind(91, sent(9).json())
        };
        leave(&server.app, &[
            left_behind(10, sent(4).json()),
            left_behind(11, sent(1).json()),
            left_behind(12, admin.json()),
            left_behind(13, Record::noise("Create", 8, AT).json()),
            left_behind(15, swallowed),
            foreign,
            too_large,
        ]).await;

        let done = retry(&server, all()).await;
        assert_eq!(&numbers(&done)[..4], [6, 3, 1, 1], "{done:?}");
        assert_eq!(done.without_content, 2);
        assert_eq!((done.revision, done.changed_messages), (2, 2));
        for n in [2, 4] {
            assert_eq!(server.get(&format!("Q{n}@x")).await.expect("an answer").agent, ANNA);
        }
        db.assert_gapless(TENANT).await;

        let left = list(&server, listing()).await;
        assert_eq!(left.len() as u64, done.still_quarantined + done.without_content, "{left:?}");
        assert!(left.contains(&cut), "it stays, with the reason of today: {left:?}");
        let part = left.iter().find(|record| record.reason() == Why::InvalidField);
        let part = part.expect("what is broken of the swallowed");
        assert_ne!(part.digest, Uuid::from_u128(15).simple().to_string());
        let since = time("2026-11-01T00:00:00Z").micros() + 15;
        let received = part.received_at.expect("a time");
        assert_eq!(received.seconds * 1_000_000 + i64::from(received.nanos) / 1_000, since, "it does not start anew");

        let again = retry(&server, all()).await;
        assert_eq!(&numbers(&again)[1..4], [0, 0, 0], "{again:?}");
        assert_eq!(again.still_quarantined, done.still_quarantined);
        assert_eq!(list(&server, listing()).await, left, "nothing more comes out of it");
        assert_eq!(db.assert_gapless(TENANT).await, 2);
    }

    /// In bounded transactions, twice at once on two servers: the same rows as an ingest.
    async fn a_retry_is_an_ingest_whatever_else_goes_on(db: TestDb) {
        let servers = [TestServer::with_tenant(&db).await, TestServer::start(&db).await];
        let records: Vec<_> = (0..1_200).map(|n| left_behind(n, sent(n).json())).collect();
        leave(&servers[0].app, &records).await;
        let (one, two, ingested) = tokio::join!(
            retry(&servers[0], all()),
            retry(&servers[1], all()),
            servers[0].post(blob(&(0..50).map(sent).collect::<Vec<_>>())),
        );
        ingested.expect("ingested");
        let kept = one.kept + two.kept;
        assert!((1_150..=1_200).contains(&kept), "{one:?} {two:?}");
        assert_eq!(db.number(ROWS, TENANT).await, 0);
        assert!(db.assert_gapless(TENANT).await >= 3);

        let other = TestDb::sqlite().await;
        let direct = TestServer::with_tenant(&other).await;
        direct.post(blob(&(0..1_200).map(sent).collect::<Vec<_>>())).await.expect("ingested");
        assert_same_rows(&db.dump(TENANT).await, &other.dump(TENANT).await);
    }

    async fn some_can_be_retried(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut records: Vec<_> = (0..6).map(|n| left_behind(n, sent(n).json())).collect();
        records[4].reason = QuarantineReason::Malformed;
        records[5].reason = QuarantineReason::Malformed;
        leave(&server.app, &records).await;
        let digest = |n: u128| Uuid::from_u128(n);
        // with and without dashes, one that is not there, one twice
        let digests = vec![
            digest(0).to_string(),
            digest(1).simple().to_string().to_uppercase(),
            digest(99).to_string(),
            digest(1).to_string(),
        ];
        let some = retry(&server, Retry { digests: digests.clone(), ..all() }).await;
        assert_eq!(numbers(&some), [2, 2, 0, 0, 0, 0]);
        let again = retry(&server, Retry { digests, ..all() }).await;
        assert_eq!(numbers(&again), [0; 6]);
        let malformed = Retry { reason: Why::Malformed.into(), ..all() };
        let both = Retry { digests: vec![digest(3).to_string(), digest(5).to_string()], ..malformed.clone() };
        assert_eq!(retry(&server, both).await.retried, 1);
        assert_eq!(retry(&server, malformed).await.retried, 1);
        assert_eq!(retry(&server, all()).await.retried, 2);
        assert_eq!(db.number(ROWS, TENANT).await, 0);
    }

    /// 10,000 copies a tenant, also when two servers fill it at once; what comes then is
    /// counted, and told to have no copy.
    async fn copies_are_bounded_in_number(db: TestDb) {
        let servers = [TestServer::with_tenant(&db).await, TestServer::start(&db).await];
        let first = servers[0].post(broken(0, 9_950)).await.expect("ingested");
        assert_eq!(first.quarantined_without_copy, 0);
        let (one, two) = tokio::join!(
            servers[0].post(broken(10_000, 10_040)),
            servers[1].post(broken(20_000, 20_040))
        );
        let without = one.expect("ingested").quarantined_without_copy
            + two.expect("ingested").quarantined_without_copy;
        assert_eq!(without, 30);
        assert_eq!(db.number(ROWS, TENANT).await, 10_000);
        // those that are there have their copy, once
        let again = servers[0].post([&broken(5, 6)[..], b"\n", &broken(5, 6)].concat()).await;
        let again = again.expect("ingested");
        assert_eq!((counts(&again), again.quarantined_without_copy), ([2, 0, 0, 0, 2], 0));
        // another tenant's records have room of their own, and never a copy
        let foreign = sent(1).set("OrganizationId", OTHER_TENANT.to_string()).json();
        for _ in 0..2 {
            let told = servers[0].post(foreign.clone()).await.expect("ingested");
            assert_eq!((told.problems[0].reason(), told.quarantined_without_copy), (Why::ForeignTenant, 0));
        }
        assert_eq!(db.number(ROWS, TENANT).await, 10_001);
        // and another tenant has a quarantine of its own
        register(&servers[0].app, OTHER_TENANT).await;
        let theirs = pb::IngestAuditBatchRequest {
            tenant_id: OTHER_TENANT.to_string(),
            content: broken(0, 1).into(),
            ..Default::default()
        };
        let theirs = servers[0].ingest().ingest_audit_batch(theirs).await.expect("ingested");
        assert_eq!(theirs.into_inner().quarantined_without_copy, 0);
    }

    /// 64 MiB of copies a tenant.
    async fn copies_are_bounded_in_bytes(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let large = |n: u128, bytes: usize| left_behind(n, vec![b'x'; bytes]);
        let mut records: Vec<_> = (0..15).map(|n| large(n, 4 << 20)).collect();
        records.push(large(15, (4 << 20) - 20));
        for chunk in records.chunks(4) {
            leave(&server.app, chunk).await;
        }
        let response = server.post("{\"Broken\":\"longer than what is left\"}").await.expect("ingested");
        assert_eq!(response.quarantined_without_copy, 1);
        let response = server.post("{\"Broken\":0}").await.expect("ingested");
        assert_eq!(response.quarantined_without_copy, 0, "12 bytes fit");
        assert_eq!(db.number(ROWS, TENANT).await, 17);
        // an answer is smaller than that
        assert_eq!(list(&server, List { include_content: true, ..listing() }).await.len(), 17);
    }

    async fn records_are_listed_from_new_to_old(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut records: Vec<_> = (0..7).map(|n| left_behind(n, [b'{', n as u8, 0xff])).collect();
        records[3].received_at = records[2].received_at;
        records[4].reason = QuarantineReason::TooDeep;
        records[6].bytes = None;
        leave(&server.app, &records).await;
        let digits = |page: &[pb::QuarantinedRecord]| -> String {
            page.iter().map(|record| &record.digest[31..]).collect()
        };
        let pages = walk(&server, List { page_size: 3, ..listing() }).await;
        assert_eq!(pages.iter().map(|page| digits(page)).collect::<Vec<_>>(), ["654", "321", "0"]);
        let plain = pages.concat();
        assert!(plain.iter().all(|record| record.content.is_empty()));
        assert_eq!((plain[0].size, plain[1].size), (None, Some(3)));
        assert_eq!((plain[0].reason(), plain[0].detail.as_str()), (Why::InvalidField, "of that day"));
        let (received, expires) = (plain[0].received_at.expect("set"), plain[0].expires_at.expect("set"));
        assert_eq!(expires.seconds - received.seconds, 30 * 86_400);

        let deep = List { reason: Why::TooDeep.into(), include_content: true, ..listing() };
        let deep = list(&server, deep).await;
        assert_eq!((digits(&deep).as_str(), &deep[0].content[..]), ("4", &[b'{', 4, 0xff][..]));
    }

    /// A page with contents ends early; of a record that no page could hold it has the first
    /// 3 MiB.
    async fn contents_are_bounded(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let sizes = [4 << 20, 2 << 20, 2 << 20, 1, 1 << 20, 3 << 20];
        for (n, &size) in sizes.iter().enumerate() {
            leave(&server.app, &[left_behind(n as u128, vec![b'x'; size])]).await;
        }
        let pages = walk(&server, List { include_content: true, ..listing() }).await;
        let shape: Vec<Vec<(u64, usize)>> = pages
            .iter()
            .map(|page| page.iter().map(|r| (r.size.expect("a copy"), r.content.len())).collect())
            .collect();
        let whole = |size: usize| (size as u64, size);
        assert_eq!(
            shape,
            [
                vec![whole(3 << 20)],
                vec![whole(1 << 20), whole(1)],
                vec![whole(2 << 20)],
                vec![whole(2 << 20)],
                vec![(4 << 20, 3 << 20)],
            ]
        );
    }

    /// Wrong fields, unknown tenants, a revoked consent: a reason each.
    async fn wrong_calls_are_told(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        leave(&server.app, &[left_behind(1, sent(1).json()), left_behind(2, "{")]).await;
        let mut ingest = server.ingest();
        let mut told: Vec<(Status, Code, &str, &str)> = Vec::new();
        let (invalid, field) = (Code::InvalidArgument, "INVALID_FIELD");
        let mut retry_refused = async |request: Retry, code, reason, text| {
            let refused = server.ingest().retry_quarantined_records(request).await;
            told.push((refused.expect_err("refused"), code, reason, text));
        };
        let digests = |digests: &[&str]| digests.iter().map(|&digest| digest.into()).collect();
        retry_refused(Retry { tenant_id: String::new(), ..all() }, invalid, field, "tenant_id").await;
        retry_refused(Retry { digests: digests(&["x"]), ..all() }, invalid, field, "digests[0]").await;
        retry_refused(Retry { digests: digests(&["", "'; DROP TABLE x"]), ..all() }, invalid, field, "digests[1]").await;
        retry_refused(Retry { digests: vec!["00".into(); 1_001], ..all() }, invalid, field, "1000").await;
        retry_refused(Retry { reason: 99, ..all() }, invalid, field, "reason").await;
        retry_refused(Retry { reason: -1, ..all() }, invalid, field, "reason").await;
        let nobody = Retry { tenant_id: OTHER_TENANT.to_string(), ..all() };
        retry_refused(nobody, Code::NotFound, "TENANT_NOT_FOUND", "").await;
        let first = List { page_size: 1, ..listing() };
        let page = ingest.list_quarantined_records(first.clone()).await.expect("listed").into_inner();
        let token = page.next_page_token;
        for (request, code, reason, text) in [
            (List { tenant_id: "x".into(), ..listing() }, invalid, field, "tenant_id"),
            (List { page_size: -1, ..listing() }, invalid, field, "page_size"),
            (List { reason: 9, ..listing() }, invalid, field, "reason"),
            (List { page_token: "x".into(), ..listing() }, invalid, "PAGE_TOKEN_INVALID", ""),
            (List { page_token: token.clone(), include_content: true, ..first.clone() }, invalid, "PAGE_TOKEN_MISMATCH", ""),
            (List { tenant_id: OTHER_TENANT.to_string(), ..listing() }, Code::NotFound, "TENANT_NOT_FOUND", ""),
        ] {
            let refused = ingest.list_quarantined_records(request).await.expect_err("refused");
            told.push((refused, code, reason, text));
        }
        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        server.tenants().revoke_consent(revoke).await.expect("revoked");
        let refused = ingest.retry_quarantined_records(all()).await.expect_err("revoked");
        told.push((refused, Code::FailedPrecondition, "CONSENT_REVOKED", ""));
        for (status, code, name, text) in told {
            assert_eq!(reason(&status), (code, name.into()), "{status:?}");
            assert!(status.message().contains(text), "{text}: {}", status.message());
        }
        assert_eq!(list(&server, first).await.len(), 2, "reads go on");
        assert_eq!(db.number(ROWS, TENANT).await, 2);
    }
}
