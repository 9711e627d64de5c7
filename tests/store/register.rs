//! Registration, consent, and the register of mailboxes.

use super::support::{TENANT, assert_same_rows, records::Record, time};
use crate::on_both_engines;
use sentby::{
    app::{
        App, Error,
        put_mailboxes::RegisterChange,
        register_tenant::{Outcome, Registration},
    },
    domain::{Mailbox, MailboxKind, MessageId, Revision, Verdict, setting::KnownSettings},
};
use std::sync::Arc;

async fn register(app: &App, consented_at: &str) -> Outcome {
    let registration = Registration {
        tenant: TENANT,
        display_name: String::new(),
        consented_at: time(consented_at),
        retention_days: None,
    };
    let (tenant, outcome) = app.register_tenant(registration).await.expect("registered");
    assert_eq!(
        tenant,
        app.get_tenant(TENANT, Revision::default())
            .await
            .expect("stored")
    );
    outcome
}

async fn ingest(app: &Arc<App>, records: &[Record]) -> Result<Revision, Error> {
    let batch = crate::support::batch(TENANT, super::support::records::blob(records));
    app.ingest_audit_batch(batch)
        .await
        .map(|done| done.receipt.revision)
}

fn mailbox(address: &str, kind: MailboxKind, aliases: &[&str]) -> Mailbox {
    Mailbox {
        address: address.into(),
        kind,
        aliases: aliases.iter().map(|&alias| alias.into()).collect(),
        display_name: "K\u{fc}che".into(),
        guid: None,
        object_id: None,
    }
}

fn put(mailboxes: Vec<Mailbox>) -> RegisterChange {
    RegisterChange {
        tenant: TENANT,
        put: mailboxes,
        settings: Vec::new(),
        remove: Vec::new(),
    }
}

on_both_engines! {
    /// A late retry of an old registration revives nothing.
    async fn registration_is_safe_to_repeat(db: TestDb) {
        let app = db.app().await;
        assert_eq!(register(&app, "2026-01-02T00:00:00Z").await, Outcome::Created);
        assert_eq!(register(&app, "2026-01-02T00:00:00Z").await, Outcome::Unchanged);
        assert_eq!(register(&app, "2026-01-01T00:00:00Z").await, Outcome::Unchanged);
        assert_eq!(register(&app, "2026-01-03T00:00:00Z").await, Outcome::Updated);

        let revoked = app.revoke_consent(TENANT, Some(time("2026-02-01T00:00:00Z"))).await;
        assert!(revoked.expect("revoked").revoked_at.is_some());
        assert_eq!(register(&app, "2026-01-03T00:00:00Z").await, Outcome::Unchanged);
        assert!(app.get_tenant(TENANT, Revision::default()).await.expect("stored").revoked_at.is_some());
        assert_eq!(register(&app, "2026-03-01T00:00:00Z").await, Outcome::Reconsented);

        // and a late retry of the old revoke takes nothing away
        let late = app.revoke_consent(TENANT, Some(time("2026-02-01T00:00:00Z"))).await;
        assert_eq!(late.expect("repeated").revoked_at, None);
    }

    /// A consent given by a clock that is ahead of ours can be revoked at once.
    async fn a_revoke_is_never_too_early(db: TestDb) {
        let app = db.app().await;
        let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(180);
        let ahead = ahead.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_micros();
        let registration = Registration {
            tenant: TENANT,
            display_name: String::new(),
            consented_at: sentby::domain::Timestamp::from_micros(ahead as i64),
retention_days: None,
};
        app.register_tenant(registration).await.expect("registered");
        let revoked = app.revoke_consent(TENANT, None).await.expect("revoked");
        assert!(revoked.revoked_at.is_some());
        assert!(matches!(ingest(&app, &[]).await, Err(Error::ConsentRevoked { .. })));
    }

    /// Without consent nothing is ingested; what is there can be read.
    async fn a_revoke_stops_ingest_and_not_reads(db: TestDb) {
        let app = db.app_with_tenant().await;
        let record = Record::mailbox_side(1, "anna@contoso.com", "<A@x>", "2026-03-01T09:00:00");
        ingest(&app, std::slice::from_ref(&record)).await.expect("ingested");
        app.revoke_consent(TENANT, None).await.expect("revoked");
        let refused = ingest(&app, &[record]).await;
        assert!(matches!(refused, Err(Error::ConsentRevoked { .. })), "{refused:?}");
        let id = MessageId::parse("<A@x>").expect("an id");
        let answer = app.get_attribution(TENANT, id, None, Revision(1)).await.expect("read");
        assert_eq!(answer.attribution.agent.as_deref(), Some("anna@contoso.com"));
        db.assert_gapless(TENANT).await;
    }

    /// The same rows whether the register or the records come first.
    async fn the_register_reaches_what_is_stored(db: TestDb) {
        let app = db.app_with_tenant().await;
        let shared_account = |n: u128| {
            let id = format!("<S{n}@x>");
            Record::plain(100 + n, "Help@contoso.com", &id, "2026-03-01T09:00:00")
        };
        let records: Vec<Record> = (0..2_500).map(shared_account).collect();
        ingest(&app, &records).await.expect("ingested");
        let listed = "SELECT count(*) FROM attribution WHERE tenant_id = $1 AND listed";
        assert_eq!(db.number(listed, TENANT).await, 0, "looks like private mail");

        let support = mailbox("support@contoso.com", MailboxKind::Shared, &["help@contoso.com"]);
        let changed = app.put_mailboxes(put(vec![support.clone()])).await.expect("put");
        assert_eq!((changed.added, changed.reattributed), (1, 2_500));
        let id = MessageId::parse("<S7@x>").expect("an id");
        let answer = app.get_attribution(TENANT, id, None, changed.revision).await.expect("read");
        assert_eq!(answer.attribution.verdict, Verdict::NotAPerson);
        assert_eq!(answer.attribution.mailbox.as_deref(), Some("support@contoso.com"));
        assert_eq!(db.number(listed, TENANT).await, 2_500);
        assert_eq!(db.assert_gapless(TENANT).await, 1 + 1 + 3, "ingest, register, three chunks");

        let again = app.put_mailboxes(put(vec![support])).await.expect("put");
        assert_eq!((again.unchanged, again.reattributed), (1, 0));
        assert_eq!(again.revision, changed.revision);

        let first_way = db.dump(TENANT).await;
        let other = crate::support::TestDb::sqlite().await;
        let app = other.app_with_tenant().await;
        let support = mailbox("support@contoso.com", MailboxKind::Shared, &["help@contoso.com"]);
        app.put_mailboxes(put(vec![support])).await.expect("put");
        ingest(&app, &records).await.expect("ingested");
        assert_same_rows(&other.dump(TENANT).await, &first_way);
    }

    /// A process that died half-way through is taken over by the next one.
    async fn an_interrupted_register_change_goes_on(db: TestDb) {
        let app = db.app_with_tenant().await;
        let record = Record::plain(1, "support@contoso.com", "<S@x>", "2026-03-01T09:00:00");
        ingest(&app, &[record]).await.expect("ingested");
        let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let mut tenant = tx.tenant().clone();
        tenant.directory_version += 1;
        tenant.revision = tenant.revision.next();
        tenant.reattribute_after = Some(uuid::Uuid::nil());
        tx.put_mailboxes(&[mailbox("support@contoso.com", MailboxKind::Shared, &[])]).await.expect("put");
        tx.append_change(tenant.revision, time("2026-03-01T09:00:00Z"), &[]).await.expect("put");
        tx.put_tenant(&tenant).await.expect("put");
        tx.commit().await.expect("committed");

        let next = db.app().await;
        let id = MessageId::parse("<S@x>").expect("an id");
        let explain = async || {
            let explained = next.explain_attribution(TENANT, id.key(), Revision(0)).await;
            explained.expect("explained").reasoning.join(" ")
        };
        assert!(explain().await.contains("judged anew"));
        next.resume_reattribution().await.expect("resumed");
        assert!(!explain().await.contains("judged anew"));
        let answer = next.get_attribution(TENANT, id.clone(), None, Revision(0)).await.expect("read");
        assert_eq!(answer.attribution.verdict, Verdict::NotAPerson);
        assert_eq!(next.get_tenant(TENANT, Revision::default()).await.expect("read").reattribute_after, None);
        db.assert_gapless(TENANT).await;
    }

    /// One address leads to one mailbox.
    async fn an_address_cannot_be_shared(db: TestDb) {
        let app = db.app_with_tenant().await;
        let a = mailbox("a@contoso.com", MailboxKind::Shared, &["x@contoso.com"]);
        let b = mailbox("b@contoso.com", MailboxKind::User, &["x@contoso.com"]);
        app.put_mailboxes(put(vec![a])).await.expect("put");
        let taken = app.put_mailboxes(put(vec![b.clone()])).await;
        assert!(matches!(taken, Err(Error::AddressTaken { .. })), "{taken:?}");
        let moved = RegisterChange { remove: vec!["a@contoso.com".into()], ..put(vec![b.clone()]) };
        let moved = app.put_mailboxes(moved).await.expect("moved");
        assert_eq!((moved.added, moved.removed), (1, 1));
        let (listed, next) = app.list_mailboxes(TENANT, Revision::default(), 10, "").await.expect("listed");
        assert_eq!((listed, next.as_str()), (vec![(b, KnownSettings::default())], ""));
    }

    /// The register is paged in the order of bytes, on every engine.
    async fn the_register_is_paged(db: TestDb) {
        let app = db.app_with_tenant().await;
        let mut addresses = ["b@x.com", "a_1@x.com", "a-2@x.com", "\u{fc}@x.com", "ab@x.com"];
        let entries = addresses.map(|address| mailbox(address, MailboxKind::User, &[])).to_vec();
        app.put_mailboxes(put(entries)).await.expect("put");
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = app.list_mailboxes(TENANT, Revision::default(), 2, &token).await.expect("a page");
            listed.extend(page.into_iter().map(|(mailbox, _)| mailbox.address));
            token = next;
            if token.is_empty() { break }
        }
        addresses.sort_unstable();
        assert_eq!(listed, addresses);
    }
}
