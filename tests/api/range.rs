//! ListAttributions: pages, tokens, filters.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        TENANT,
        records::{Record, SUPPORT, blob},
    },
};
use sentby::pb;
use tonic::Code;

fn march() -> pb::ListAttributionsRequest {
    pb::ListAttributionsRequest {
        tenant_id: TENANT.to_string(),
        start: timestamp("2026-03-01T00:00:00Z"),
        end: timestamp("2026-04-01T00:00:00Z"),
        page_size: 7,
        ..Default::default()
    }
}

async fn ids(server: &TestServer, mut request: pb::ListAttributionsRequest) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = server
            .attributions()
            .list_attributions(request.clone())
            .await;
        let page = page.expect("a page").into_inner();
        assert!(page.attributions.len() <= 7);
        ids.extend(page.attributions.into_iter().map(|a| a.message_id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return ids;
        }
    }
}

async fn fill(server: &TestServer) {
    let mut records: Vec<Record> = (0..40)
        .map(|n| {
            let agent = if n % 4 == 0 {
                "bob@contoso.com"
            } else {
                "anna@contoso.com"
            };
            let at = format!("2026-03-01T09:{:02}:00", n / 3);
            Record::mailbox_side(n + 1, agent, &format!("M{n:02}@x"), &at)
        })
        .collect();
    records.push(Record::plain(
        100,
        "anna@contoso.com",
        "private@x",
        "2026-03-01T09:00:00",
    ));
    server.post(blob(&records)).await.expect("ingested");
}

on_both_engines! {
    /// A walk meets every listed message once, in the order of send time; private mail is in
    /// no range.
    async fn a_walk_meets_every_message_once(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let walked = ids(&server, march()).await;
        assert_eq!(walked.len(), 40);
        let mut sorted = walked.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 40);
        let minute = |id: &String| id[1..3].parse::<u32>().expect("a number") / 3;
        assert!(walked.windows(2).all(|pair| minute(&pair[0]) <= minute(&pair[1])));

        let half_open = pb::ListAttributionsRequest {
            start: timestamp("2026-03-01T09:01:00Z"),
            end: timestamp("2026-03-01T09:02:00Z"),
            ..march()
        };
        assert_eq!(ids(&server, half_open).await.len(), 3);
        let bob = pb::ListAttributionsRequest { agent: "BOB@contoso.com".into(), ..march() };
        assert_eq!(ids(&server, bob).await.len(), 10);
        let nobody = pb::ListAttributionsRequest { agent: "nobody@contoso.com".into(), ..march() };
        assert!(ids(&server, nobody).await.is_empty());
        let mailbox = pb::ListAttributionsRequest { mailbox: SUPPORT.into(), ..march() };
        assert_eq!(ids(&server, mailbox).await.len(), 40);
        let conflict = pb::ListAttributionsRequest {
            verdict: pb::Verdict::Conflict.into(),
            ..march()
        };
        assert!(ids(&server, conflict).await.is_empty());
    }

    /// A walk begun before a write tells the revision from which changes complete it.
    async fn a_walk_keeps_its_first_revision(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let first = server.attributions().list_attributions(march()).await;
        let first = first.expect("a page").into_inner();
        assert_eq!(first.revision, 1);
        let late = Record::mailbox_side(200, "anna@contoso.com", "late@x", "2026-03-01T08:00:00");
        server.post(blob(&[late])).await.expect("ingested");
        let next = pb::ListAttributionsRequest { page_token: first.next_page_token, ..march() };
        let second = server.attributions().list_attributions(next).await;
        assert_eq!(second.expect("a page").into_inner().revision, 1);
    }

    /// A token opens for its own query only.
    async fn a_token_is_bound_to_its_query(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let first = server.attributions().list_attributions(march()).await;
        let token = first.expect("a page").into_inner().next_page_token;
        let with = |change: fn(&mut pb::ListAttributionsRequest)| {
            let mut request = pb::ListAttributionsRequest { page_token: token.clone(), ..march() };
            change(&mut request);
            request
        };
        let other_size = server.attributions().list_attributions(with(|r| r.page_size = 3)).await;
        assert_eq!(other_size.expect("a page").into_inner().attributions.len(), 3);
        let others: [fn(&mut pb::ListAttributionsRequest); 4] = [
            |r| r.agent = "bob@contoso.com".into(),
            |r| r.mailbox = SUPPORT.into(),
            |r| r.verdict = pb::Verdict::Attributed.into(),
            |r| r.end = timestamp("2026-04-02T00:00:00Z"),
        ];
        for change in others {
            let refused = server.attributions().list_attributions(with(change)).await;
            let refused = refused.expect_err("another query");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "PAGE_TOKEN_MISMATCH".into()));
        }
        let list_tenants = pb::ListTenantsRequest { page_size: 1, page_token: token.clone() };
        let refused = server.tenants().list_tenants(list_tenants).await.expect_err("refused");
        assert_eq!(reason(&refused).1, "PAGE_TOKEN_MISMATCH");
        for garbage in ["x", "%%%", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &token[1..]] {
            let request = pb::ListAttributionsRequest { page_token: garbage.into(), ..march() };
            let refused = server.attributions().list_attributions(request).await;
            let refused = refused.expect_err("garbage");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "PAGE_TOKEN_INVALID".into()));
        }
        // another replica of the deployment opens it
        let replica = TestServer::start(&db).await;
        let next = pb::ListAttributionsRequest { page_token: token, ..march() };
        assert!(replica.attributions().list_attributions(next).await.is_ok());
    }
}
