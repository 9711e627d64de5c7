//! EraseAgent, DeleteTenant and how long messages are kept, as callers see them.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        TENANT,
        records::{Record, blob},
        redis::Redis,
    },
};
use sentby::config::CacheKind;
use sentby::pb::{
    self, admin_service_client::AdminServiceClient, register_tenant_response::Outcome,
};
use std::time::{Duration, SystemTime};
use tonic::Code;

const ANNA: &str = "anna@contoso.com";
const BOB: &str = "bob@contoso.com";

async fn erase(server: &TestServer, person: &str) -> Result<pb::Erasure, tonic::Status> {
    let request = pb::EraseAgentRequest {
        tenant_id: TENANT.to_string(),
        person: person.into(),
        dry_run: false,
    };
    let mut admin = AdminServiceClient::new(server.channel.clone());
    let erased = admin.erase_agent(request).await?.into_inner();
    Ok(erased.erasure.expect("a receipt"))
}

fn both(server_records: &[(u128, &str, &str, &str)]) -> Vec<u8> {
    let records = server_records.iter().flat_map(|(n, agent, id, time)| {
        [
            Record::mailbox_side(2 * n, agent, id, time),
            Record::agent_side(2 * n + 1, agent, id, time),
        ]
    });
    blob(&records.collect::<Vec<_>>())
}

fn registration(
    consented_at: SystemTime,
    retention_days: Option<u32>,
) -> pb::RegisterTenantRequest {
    pb::RegisterTenantRequest {
        tenant_id: TENANT.to_string(),
        display_name: String::new(),
        consented_at: Some(consented_at.into()),
        retention_days,
    }
}

async fn watched(server: &TestServer) -> Vec<(pb::ChangeKind, pb::Verdict, String)> {
    let request = pb::WatchAttributionsRequest {
        positions: vec![pb::WatchPosition {
            tenant_id: TENANT.to_string(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let stream = server.attributions().watch_attributions(request).await;
    let mut stream = stream.expect("watched").into_inner();
    let mut told = Vec::new();
    while let Some(message) = stream.message().await.expect("a change") {
        for change in message.changes {
            let attribution = change.attribution.clone().unwrap_or_default();
            told.push((change.kind(), attribution.verdict(), attribution.message_id));
        }
    }
    told
}

on_both_engines! {
    /// The answers of an erased agent, at once, from the cache too; the feed; and who is no person.
    async fn an_agent_is_erased(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        server.post(both(&[
            (1, ANNA, "<1@x>", "2026-03-01T09:00:00"),
            (2, BOB, "<2@x>", "2026-03-01T09:00:01"),
        ])).await.expect("ingested");
        assert_eq!(server.get("1@x").await.expect("found").agent, ANNA, "cached by now");
        let receipt = erase(&server, ANNA).await.expect("erased");
        assert!(receipt.pseudonym.starts_with("erased:"));
        assert_eq!(receipt.rows.get("attribution"), Some(&1));
        assert!(receipt.finished_at.is_some() && receipt.revision > 0);
        let [erased, other] = &server.lookup(&["1@x", "2@x"]).await[..] else { panic!("two") };
        assert_eq!((erased.verdict(), erased.agent.as_str()), (pb::Verdict::Erased, ""));
        assert_eq!((erased.mailbox.as_str(), erased.agent_object_id.as_str()), ("support@contoso.com", ""));
        assert_eq!((other.verdict(), other.agent.as_str()), (pb::Verdict::Attributed, BOB));
        assert_eq!(erase(&server, ANNA).await.expect("again"), receipt);
        let told = watched(&server).await;
        let last = told.iter().rfind(|(_, _, id)| id == "1@x").expect("told");
        assert_eq!((last.0, last.1), (pb::ChangeKind::Corrected, pb::Verdict::Erased));

        let explained = server.attributions().explain_attribution(pb::ExplainAttributionRequest {
            tenant_id: TENANT.to_string(),
            message: Some(pb::explain_attribution_request::Message::MessageId("1@x".into())),
            at_least_revision: 0,
        }).await.expect("explained").into_inner();
        let text = format!("{explained:?}").to_lowercase();
        assert!(text.contains(&receipt.pseudonym) && !text.contains("anna"), "{text}");

        let change = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![
                pb::Mailbox { address: "support@contoso.com".into(), kind: pb::MailboxKind::Shared.into(), ..Default::default() },
                pb::Mailbox { address: ANNA.into(), kind: pb::MailboxKind::User.into(), ..Default::default() },
            ],
            remove: Vec::new(),
        };
        let put = server.tenants().put_mailboxes(change).await.expect("put").into_inner();
        assert_eq!((put.added, put.erased), (1, 1));
        let refused = erase(&server, "support@contoso.com").await.expect_err("shared");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "NOT_A_PERSONS_OWN".into()));
        let refused = erase(&server, "anna").await.expect_err("no identifier");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
    }

    /// Deleted: neither read nor written, and back with its data by a later consent only.
    async fn a_deleted_tenant_can_come_back(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let content = both(&[(1, ANNA, "<1@x>", "2026-03-01T09:00:00")]);
        server.post(content.clone()).await.expect("ingested");
        server.get("1@x").await.expect("found");
        let delete = pb::DeleteTenantRequest { tenant_id: TENANT.to_string() };
        let deleted = server.tenants().delete_tenant(delete.clone()).await.expect("deleted");
        let deleted = deleted.into_inner().tenant.expect("a tenant");
        assert_eq!(deleted.state(), pb::TenantState::Deleting);
        let again = server.tenants().delete_tenant(delete).await.expect("repeated").into_inner();
        assert_eq!(again.tenant.expect("a tenant"), deleted);
        let gone = (Code::FailedPrecondition, "TENANT_DELETED".to_owned());
        assert_eq!(reason(&server.post(content.clone()).await.expect_err("refused")), gone);
        assert_eq!(reason(&server.get("1@x").await.expect_err("refused")), gone);
        assert_eq!(reason(&server.get("none@x").await.expect_err("refused")), gone);
        assert_eq!(reason(&erase(&server, ANNA).await.expect_err("refused")), gone);
        let request = pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: timestamp("2026-01-01T00:00:00Z"),
            end: timestamp("2027-01-01T00:00:00Z"),
            ..Default::default()
        };
        let listed = server.attributions().list_attributions(request).await.expect_err("refused");
        assert_eq!(reason(&listed), gone);
        let request = pb::GetCoverageRequest { tenant_id: TENANT.to_string(), ..Default::default() };
        let covered = server.coverage().get_coverage(request).await.expect_err("refused");
        assert_eq!(reason(&covered), gone);
        let get = pb::GetTenantRequest { tenant_id: TENANT.to_string(), at_least_revision: 0 };
        let told = server.tenants().get_tenant(get).await.expect("told").into_inner();
        assert_eq!(told.tenant.expect("a tenant").state(), pb::TenantState::Deleting);

        let early = registration(SystemTime::now() - Duration::from_secs(60), None);
        let early = server.tenants().register_tenant(early).await.expect("answered").into_inner();
        assert_eq!(early.outcome(), Outcome::Unchanged);
        let later = registration(SystemTime::now() + Duration::from_secs(1), None);
        let back = server.tenants().register_tenant(later).await.expect("registered").into_inner();
        assert_eq!(back.outcome(), Outcome::Restored);
        assert_eq!(server.get("1@x").await.expect("found").agent, ANNA);
        server.post(content).await.expect("ingested");
        db.assert_gapless(TENANT).await;
    }

    /// Without grace all rows are gone, and a new registration has nothing of the old life.
    async fn a_deleted_tenant_is_purged(db: TestDb) {
        let mut db = db;
        db.config.delete_grace_days = 0;
        let server = TestServer::with_tenant(&db).await;
        server.post(both(&[(1, ANNA, "<1@x>", "2026-03-01T09:00:00")])).await.expect("ingested");
        erase(&server, BOB).await.expect("erased");
        server.get("1@x").await.expect("found");
        let generation = "SELECT generation FROM tenant WHERE tenant_id = $1";
        let old = db.number(generation, TENANT).await;
        let delete = pb::DeleteTenantRequest { tenant_id: TENANT.to_string() };
        server.tenants().delete_tenant(delete.clone()).await.expect("deleted");
        let unknown = server.get("1@x").await.expect_err("gone");
        assert_eq!(reason(&unknown), (Code::NotFound, "TENANT_NOT_FOUND".into()));
        let unknown = server.tenants().delete_tenant(delete).await.expect_err("gone");
        assert_eq!(reason(&unknown), (Code::NotFound, "TENANT_NOT_FOUND".into()));
        for row in db.everything().await {
            let text = String::from_utf8_lossy(&row).to_lowercase();
            assert!(!text.contains("11111111") && !text.contains("anna"), "{text}");
            assert!(!row.windows(16).any(|part| part == TENANT.0.as_bytes()), "{text}");
        }
        let new = registration(SystemTime::now(), None);
        server.tenants().register_tenant(new).await.expect("registered");
        assert_ne!(db.number(generation, TENANT).await, old);
        let missing = server.get("1@x").await.expect_err("nothing");
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(db.number("SELECT count(*) FROM attribution WHERE tenant_id = $1", TENANT).await, 0);
    }

    /// What is older than the tenant keeps goes, with a word in the feed, and does not come back.
    async fn old_messages_go(db: TestDb) {
        let mut db = db;
        db.config.unjoined_send_days = 30;
        let server = TestServer::with_tenant(&db).await;
        let recent = sentby::domain::Timestamp::from_micros(
            i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("now").as_micros()).expect("fits")
                / 1_000_000 * 1_000_000 - 3_600_000_000,
        ).to_string();
        let recent = recent.trim_end_matches('Z');
        let old = both(&[(1, ANNA, "<1@x>", "2026-03-01T09:00:00")]);
        server.post(old.clone()).await.expect("ingested");
        server.post(both(&[(2, ANNA, "<2@x>", recent)])).await.expect("ingested");
        // private mail: of the last month, and older
        let private = |n, id: &str, time: &str| blob(&[Record::plain(n, BOB, id, time)]);
        server.post(private(90, "<90@x>", "2026-03-01T09:00:00")).await.expect("ingested");
        server.post(private(91, "<91@x>", recent)).await.expect("ingested");
        // into a cache; or it has gone already: a server that starts expires, beside what comes
        if let Err(status) = server.get("90@x").await {
            assert_eq!(status.code(), Code::NotFound, "{status}");
        }
        server.app.expire().await.expect("expired");
        assert_eq!(server.get("90@x").await.expect_err("gone").code(), Code::NotFound);
        server.get("91@x").await.expect("stays");
        server.get("1@x").await.expect("stays without a limit");
        // the other side comes later, and is right without it
        server.post(blob(&[Record::mailbox_side(92, BOB, "<90@x>", "2026-03-01T09:00:01")])).await.expect("ingested");
        assert_eq!(server.get("90@x").await.expect("found").agent, BOB);

        let shorter = registration(SystemTime::now(), Some(30));
        let told = server.tenants().register_tenant(shorter).await.expect("set").into_inner();
        assert_eq!(told.tenant.expect("a tenant").retention_days, 30);
        server.app.expire().await.expect("expired");
        assert_eq!(server.get("1@x").await.expect_err("gone").code(), Code::NotFound);
        assert_eq!(server.get("2@x").await.expect("stays").agent, ANNA);
        let erased = watched(&server).await.into_iter();
        let erased = erased.filter(|(kind, _, _)| *kind == pb::ChangeKind::Erased).count();
        assert_eq!(erased, 4, "two old ones: that they came, and that they went");
        let late = server.post(old).await.expect("ingested");
        let counts = late.counts.expect("counts");
        assert_eq!((counts.received, counts.ignored, counts.kept), (2, 2, 0));
        assert_eq!(server.get("1@x").await.expect_err("ignored").code(), Code::NotFound);
        db.assert_gapless(TENANT).await;
    }

    /// Two servers that share a Redis: what is erased by one is so at the other at once, and what is
    /// deleted too as soon as the other looks.
    async fn a_shared_cache_forgets(db: TestDb) {
        let Some(redis) = Redis::start().await else { return };
        let mut db = db;
        db.config.cache = CacheKind::parse(&redis.url()).expect("a URL");
        let (one, other) = (TestServer::with_tenant(&db).await, TestServer::start(&db).await);
        one.post(both(&[
            (1, ANNA, "<1@x>", "2026-03-01T09:00:00"),
            (2, BOB, "<2@x>", "2026-03-01T09:00:01"),
        ])).await.expect("ingested");
        assert_eq!(other.get("1@x").await.expect("found").agent, ANNA);
        let hits = redis.hits().await;
        let from_redis = async {
            loop {
                assert_eq!(other.get("1@x").await.expect("found").agent, ANNA);
                if redis.hits().await > hits {
                    return;
                }
                // one that was late is left alone for a while
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), from_redis).await.expect("from Redis");
        erase(&one, ANNA).await.expect("erased");
        for server in [&one, &other] {
            let erased = server.get("1@x").await.expect("found");
            assert_eq!((erased.verdict(), erased.agent.as_str()), (pb::Verdict::Erased, ""));
            assert_eq!(server.get("2@x").await.expect("found").agent, BOB);
        }
        for key in redis.keys().await {
            let value = format!("{:?}", redis.ask(&[b"GET", &key]).await).to_lowercase();
            assert!(!value.contains("anna"), "{value}");
        }
        let delete = pb::DeleteTenantRequest { tenant_id: TENANT.to_string() };
        one.tenants().delete_tenant(delete).await.expect("deleted");
        let gone = one.get("2@x").await.expect_err("deleted");
        assert_eq!(reason(&gone), (Code::FailedPrecondition, "TENANT_DELETED".into()));
    }

    /// Batches and a DeleteTenant at once: from its OK on nothing is committed any more.
    async fn nothing_is_committed_after_a_delete(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let delete = pb::DeleteTenantRequest { tenant_id: TENANT.to_string() };
        let mut tenants = server.tenants();
        let ingesting = async {
            let mut refused = 0;
            for n in 0..2_000_u128 {
                let id = format!("<{n}@x>");
                let content = both(&[(n, ANNA, &id, "2026-03-01T09:00:00")]);
                if let Err(error) = server.post(content).await {
                    assert_eq!(reason(&error).1, "TENANT_DELETED");
                    refused += 1;
                    if refused == 5 {
                        break;
                    }
                }
            }
            refused
        };
        let revision = "SELECT revision FROM tenant WHERE tenant_id = $1";
        let deleting = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            tenants.delete_tenant(delete).await.expect("deleted");
            db.number(revision, TENANT).await
        };
        let (refused, at_ok) = tokio::join!(ingesting, deleting);
        assert!(refused > 0, "some came after it");
        assert_eq!(db.number(revision, TENANT).await, at_ok);
        db.assert_gapless(TENANT).await;
    }
}
