//! GetAttribution, LookupAttributions, ExplainAttribution.

use super::server::{TestServer, reason};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, blob},
        register,
    },
};
use sentby::pb::{self, MissReason, Verdict, explain_attribution_request::Message};
use tonic::Code;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

on_both_engines! {
    /// One answer for each id, in the order asked; a miss and a non-id are answers too.
    async fn a_lookup_answers_each_id_in_order(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let records = [
            Record::mailbox_side(1, ANNA, "<A@x>", AT),
            Record::agent_side(2, "bob@contoso.com", "<B@x>", AT),
            Record::mailbox_side(3, ANNA, "<F@x>", AT).set("ResultStatus", "Failed"),
        ];
        server.post(blob(&records)).await.expect("ingested");
        let too_long = "x".repeat(999);
        let asked = ["B@x", "<A@x>", "missing", "", " A@x\r\n", "F@x", &too_long, "b@x"];
        // twice: from the store, then from the cache
        for _ in 0..2 {
            let answers = server.lookup(&asked).await;
            let short: Vec<(Verdict, &str, MissReason)> = answers
                .iter()
                .map(|a| (a.verdict(), a.agent.as_str(), a.miss_reason()))
                .collect();
            let none = MissReason::Unspecified;
            assert_eq!(
                short,
                [
                    (Verdict::Attributed, "bob@contoso.com", none),
                    (Verdict::Attributed, ANNA, none),
                    (Verdict::Pending, "", MissReason::NoEvidenceYet),
                    (Verdict::NoEvidence, "", MissReason::InvalidMessageId),
                    (Verdict::Attributed, ANNA, none),
                    (Verdict::Pending, "", MissReason::OnlyFailed),
                    (Verdict::NoEvidence, "", MissReason::InvalidMessageId),
                    (Verdict::Pending, "", MissReason::NoEvidenceYet),
                ]
            );
            assert_eq!(answers[1].message_id, "A@x");
        }
        assert!(server.lookup(&[]).await.is_empty());
    }

    /// What is cached never hides what was acknowledged.
    async fn an_acknowledged_write_is_seen(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for n in 1..30u128 {
            let id = format!("<N{n}@x>");
            let before = server.lookup(&[&id]).await;
            assert_eq!(before[0].verdict(), Verdict::Pending);
            let record = Record::mailbox_side(n, ANNA, &id, AT);
            server.post(blob(&[record])).await.expect("ingested");
            let after = server.lookup(&[&id]).await;
            assert_eq!(after[0].verdict(), Verdict::Attributed, "message {n}");
        }
    }

    /// Another process wrote: with `at_least_revision` the cache is passed by, and a revision
    /// that is not there yet is told to be tried again.
    async fn at_least_revision_is_kept(db: TestDb) {
        let one = TestServer::with_tenant(&db).await;
        let two = TestServer::start(&db).await;
        assert_eq!(two.lookup(&["A@x"]).await[0].verdict(), Verdict::Pending);
        let record = Record::mailbox_side(1, ANNA, "<A@x>", AT);
        let written = one.post(blob(&[record])).await.expect("ingested").revision;
        let lookup = |revision| pb::LookupAttributionsRequest {
            tenant_id: TENANT.to_string(),
            message_ids: vec!["A@x".into()],
            at_least_revision: revision,
            ..Default::default()
        };
        let fresh = two.attributions().lookup_attributions(lookup(written)).await;
        let fresh = fresh.expect("answered").into_inner().attributions;
        assert_eq!(fresh[0].verdict(), Verdict::Attributed);
        let future = two.attributions().lookup_attributions(lookup(written + 1)).await;
        let future = future.expect_err("not there yet");
        assert_eq!(reason(&future), (Code::Unavailable, "REVISION_NOT_REACHED".into()));
    }

    /// The same message id in two tenants is two messages.
    async fn tenants_do_not_see_each_other(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        register(&server.app, OTHER_TENANT).await;
        let record = Record::mailbox_side(1, ANNA, "<A@x>", AT);
        server.post(blob(&[record])).await.expect("ingested");
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: OTHER_TENANT.to_string(),
            message_ids: vec!["A@x".into()],
            ..Default::default()
        };
        for _ in 0..2 {
            let theirs = server.attributions().lookup_attributions(lookup.clone()).await;
            let theirs = theirs.expect("answered").into_inner().attributions;
            assert_eq!(theirs[0].verdict(), Verdict::Pending);
            assert_eq!(server.lookup(&["A@x"]).await[0].verdict(), Verdict::Attributed);
        }
    }

    /// Explain shows the evidence and the rule in words.
    async fn an_explanation_shows_the_evidence(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let records = [
            Record::mailbox_side(1, ANNA, "<A@x>", AT),
            Record::agent_side(2, ANNA, "<A@x>", "2026-03-01T09:00:02"),
            Record::plain(3, "bob@contoso.com", "<A@x>", "2026-03-01T09:00:03"),
        ];
        server.post(blob(&records)).await.expect("ingested");
        let explain = |message| pb::ExplainAttributionRequest {
            tenant_id: TENANT.to_string(),
            message,
            ..Default::default()
        };
        let asked = explain(Some(Message::MessageId("<A@x>".into())));
        let explained = server.attributions().explain_attribution(asked).await;
        let explained = explained.expect("explained").into_inner();
        let attribution = explained.attribution.expect("an attribution");
        assert!(attribution.confirmed && attribution.contradicted);
        let sides: Vec<(pb::Operation, pb::Side, &str)> = explained
            .evidence
            .iter()
            .map(|e| (e.operation(), e.side(), e.actor.as_str()))
            .collect();
        assert_eq!(
            sides,
            [
                (pb::Operation::SendAs, pb::Side::Mailbox, ANNA),
                (pb::Operation::SendAs, pb::Side::Agent, ANNA),
                (pb::Operation::Send, pb::Side::Agent, "bob@contoso.com"),
            ]
        );
        let words = explained.reasoning.join("\n");
        for part in ["the mailbox side", "ATTRIBUTED to anna@contoso.com", "Confirmed", "Contradicted"] {
            assert!(words.contains(part), "{part} in {words}");
        }
        let missing = explain(Some(Message::MessageId("missing".into())));
        let missing = server.attributions().explain_attribution(missing).await;
        assert_eq!(reason(&missing.expect_err("missing")).1, "NO_EVIDENCE_YET");
        let nothing = server.attributions().explain_attribution(explain(None)).await;
        assert_eq!(reason(&nothing.expect_err("nothing")).1, "INVALID_FIELD");
    }
}
