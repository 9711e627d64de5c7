//! TenantService.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{TENANT, records::Record, records::blob},
};
use sentby::pb::{self, register_tenant_response::Outcome};
use tonic::Code;

fn registration(consented_at: &str) -> pb::RegisterTenantRequest {
    pb::RegisterTenantRequest {
        tenant_id: TENANT.to_string().to_uppercase(),
        display_name: "  Contoso  ".into(),
        consented_at: timestamp(consented_at),
        retention_days: None,
    }
}

fn mailbox(address: &str, kind: pb::MailboxKind) -> pb::Mailbox {
    pb::Mailbox {
        address: address.into(),
        kind: kind.into(),
        ..Default::default()
    }
}

on_both_engines! {
    /// The life of a tenant: registered, consenting, revoked, consenting again.
    async fn a_tenants_life(db: TestDb) {
        let server = TestServer::start(&db).await;
        let mut tenants = server.tenants();
        let get = pb::GetTenantRequest { tenant_id: TENANT.to_string(), ..Default::default() };
        let unknown = tenants.get_tenant(get.clone()).await.expect_err("unknown");
        assert_eq!(reason(&unknown), (Code::NotFound, "TENANT_NOT_FOUND".into()));

        let created = tenants.register_tenant(registration("2026-01-01T00:00:00Z")).await;
        let created = created.expect("registered").into_inner();
        assert_eq!(created.outcome(), Outcome::Created);
        let tenant = created.tenant.expect("a tenant");
        assert_eq!(tenant.tenant_id, TENANT.to_string(), "in lower case");
        assert_eq!(tenant.display_name, "Contoso");
        assert_eq!(tenant.state(), pb::TenantState::Active);
        let again = tenants.register_tenant(registration("2026-01-01T00:00:00Z")).await;
        assert_eq!(again.expect("repeated").into_inner().outcome(), Outcome::Unchanged);

        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        let revoked = tenants.revoke_consent(revoke).await.expect("revoked").into_inner();
        let revoked = revoked.tenant.expect("a tenant");
        assert_eq!(revoked.state(), pb::TenantState::ConsentRevoked);
        let refused = server.post("[]").await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "CONSENT_REVOKED".into()));

        let mut later = registration("2026-01-01T00:00:00Z");
        later.consented_at = revoked.revoked_at.map(|mut at| { at.seconds += 1; at });
        let back = tenants.register_tenant(later).await.expect("registered").into_inner();
        assert_eq!(back.outcome(), Outcome::Reconsented);
        assert!(server.post("[]").await.is_ok());
        let listed = tenants.list_tenants(pb::ListTenantsRequest::default()).await;
        let listed = listed.expect("listed").into_inner();
        assert_eq!((listed.tenants.len(), listed.next_page_token.as_str()), (1, ""));
    }

    /// GetTenant tells since when each side writes.
    async fn readiness_shows_each_side(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let anna = "anna@contoso.com";
        let records = [
            Record::mailbox_side(1, anna, "<A@x>", "2026-03-01T09:00:00"),
            Record::mailbox_side(2, anna, "<B@x>", "2026-03-03T09:00:00"),
            Record::agent_side(3, anna, "<A@x>", "2026-03-01T09:00:02"),
        ];
        server.post(blob(&records)).await.expect("ingested");
        let get = pb::GetTenantRequest { tenant_id: TENANT.to_string(), ..Default::default() };
        let tenant = server.tenants().get_tenant(get).await.expect("read").into_inner();
        let tenant = tenant.tenant.expect("a tenant");
        assert_eq!(tenant.revision, 1);
        let readiness = tenant.readiness.expect("readiness");
        assert_eq!(readiness.first_mailbox_side_event, timestamp("2026-03-01T09:00:00Z"));
        assert_eq!(readiness.last_mailbox_side_event, timestamp("2026-03-03T09:00:00Z"));
        assert_eq!(readiness.first_agent_side_event, timestamp("2026-03-01T09:00:02Z"));
        assert_eq!(readiness.last_agent_side_event, timestamp("2026-03-01T09:00:02Z"));
    }

    /// The register: put, listed in pages, refused with the paths of the wrong fields.
    async fn the_register_of_mailboxes(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut tenants = server.tenants();
        let mut support = mailbox("Support@Contoso.com", pb::MailboxKind::Shared);
        support.aliases = vec!["HELP@contoso.com".into(), "support@contoso.com".into()];
        let put = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![support, mailbox("anna@contoso.com", pb::MailboxKind::User)],
            remove: vec!["unknown@contoso.com".into()],
        };
        let done = tenants.put_mailboxes(put.clone()).await.expect("put").into_inner();
        assert_eq!((done.added, done.removed, done.revision), (2, 0, 1));
        let done = tenants.put_mailboxes(put).await.expect("put").into_inner();
        assert_eq!((done.unchanged, done.revision), (2, 1));

        let mut list = pb::ListMailboxesRequest {
            tenant_id: TENANT.to_string(),
            page_size: 1,
            ..Default::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = tenants.list_mailboxes(list.clone()).await.expect("listed").into_inner();
            listed.extend(page.mailboxes);
            list.page_token = page.next_page_token;
            if list.page_token.is_empty() { break }
        }
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[1].address, "support@contoso.com");
        assert_eq!(listed[1].aliases, ["help@contoso.com"]);

        let wrong = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![
                mailbox("anna@contoso.com", pb::MailboxKind::User),
                mailbox("no address", pb::MailboxKind::Unspecified),
            ],
            remove: vec!["".into()],
        };
        let refused = tenants.put_mailboxes(wrong).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
        for path in ["mailboxes[1].address", "mailboxes[1].kind", "remove[0]"] {
            assert!(refused.message().contains(path), "{path} in {}", refused.message());
        }
    }
}
