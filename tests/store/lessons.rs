//! What records teach about people and mailboxes reaches what is stored already.

use super::support::{
    OTHER_TENANT, TENANT, TestDb, assert_same_rows,
    records::{Record, blob, sid},
    register, time,
};
use crate::on_both_engines;
use sentby::{
    app::App,
    domain::{
        Answer, Identity, Lesson, MessageId, Receipt, Revision, TenantId, Verdict,
        lesson::{NamedBy, Seen},
    },
};
use std::sync::Arc;

const ANNA: &str = "anna@contoso.com";
const NOON: &str = "2026-03-01T12:00:00";

async fn ingest(app: &Arc<App>, tenant: TenantId, records: &[Record]) -> Receipt {
    let batch = crate::support::batch(tenant, blob(records));
    let ingested = app.ingest_audit_batch(batch).await;
    ingested.expect("ingested").receipt
}

async fn answer(app: &Arc<App>, tenant: TenantId, id: &str) -> Answer {
    let id = MessageId::parse(id).expect("an id");
    let answer = app.get_attribution(tenant, id, None, Revision(0)).await;
    Answer::clone(&answer.expect("an answer"))
}

/// Anna sent it, and the record has nothing but her SID.
fn by_sid(n: u128) -> Record {
    let id = format!("<S{n}@x>");
    Record::mailbox_side(n, ANNA, &id, NOON)
        .set("UserId", sid(ANNA))
        .set("UserKey", "Not Available")
}

/// The account is called so, by another message.
fn named(n: u128, name: &str, at: &str) -> Record {
    Record::mailbox_side(n, ANNA, &format!("<N{n}@x>"), at).set("UserId", name)
}

const WAITING: &str = "SELECT count(*) FROM waiting WHERE tenant_id = $1";
const UNSETTLED: &str = "SELECT count(*) FROM tenant WHERE tenant_id = $1 AND (taught OR reattribute_after IS NOT NULL)";

on_both_engines! {
    /// As an ordinary revision, that the cache and the change rows know too.
    async fn a_lesson_reaches_the_message_that_waits(db: TestDb) {
        let app = db.app_with_tenant().await;
        let first = ingest(&app, TENANT, &[by_sid(1)]).await;
        assert_eq!(answer(&app, TENANT, "S1@x").await.attribution.verdict, Verdict::Unresolved);
        assert_eq!(db.number(WAITING, TENANT).await, 1);

        let taught = ingest(&app, TENANT, &[named(2, ANNA, "2026-03-04T08:00:00")]).await;
        let after = answer(&app, TENANT, "S1@x").await;
        assert_eq!(after.attribution.agent.as_deref(), Some(ANNA));
        assert_eq!(after.revision, taught.revision);
        assert_eq!(taught.revision, first.revision.next(), "with what it taught");
        assert_eq!(taught.changed_messages, 2);
        assert_eq!(db.number(WAITING, TENANT).await, 0);
        db.assert_gapless(TENANT).await;

        // the other way round there is nothing to wait for
        let other = TestDb::sqlite().await;
        let app = other.app_with_tenant().await;
        ingest(&app, TENANT, &[named(2, ANNA, "2026-03-04T08:00:00"), by_sid(1)]).await;
        assert_same_rows(&other.dump(TENANT).await, &db.dump(TENANT).await);
    }

    /// More than one transaction takes.
    async fn a_lesson_reaches_all_that_wait(db: TestDb) {
        let app = db.app_with_tenant().await;
        let waiting: Vec<Record> = (1..=2_100).map(by_sid).collect();
        ingest(&app, TENANT, &waiting).await;
        assert_eq!(db.number(WAITING, TENANT).await, 2_100);
        let taught = ingest(&app, TENANT, &[named(9_000, ANNA, NOON)]).await;
        assert_eq!(taught.changed_messages, 1_001, "the rest follows in revisions of its own");
        assert_eq!(answer(&app, TENANT, "S2099@x").await.attribution.agent.as_deref(), Some(ANNA));
        assert_eq!((db.number(WAITING, TENANT).await, db.number(UNSETTLED, TENANT).await), (0, 0));
        db.assert_gapless(TENANT).await;
    }

    /// A renamed person has one name everywhere. What a call does not get done goes on.
    async fn a_new_name_reaches_every_message(db: TestDb) {
        let app = db.app_with_tenant().await;
        let old: Vec<Record> = (1..=6_000).map(|n| named(n, ANNA, NOON)).collect();
        ingest(&app, TENANT, &old).await;
        let renamed = named(9_000, "anna.k@contoso.com", "2026-03-05T08:00:00");
        ingest(&app, TENANT, &[renamed]).await;
        assert_eq!(db.number(UNSETTLED, TENANT).await, 1);
        assert!(!app.get_tenant(TENANT, Revision::default()).await.expect("a tenant").is_settled());
        app.unsettled().await; // rung
        app.resume_reattribution().await.expect("resumed");
        let named_old = "SELECT count(*) FROM attribution WHERE tenant_id = $1 AND agent <> 'anna.k@contoso.com'";
        assert_eq!((db.number(named_old, TENANT).await, db.number(UNSETTLED, TENANT).await), (0, 0));
        assert_eq!(answer(&app, TENANT, "N7@x").await.attribution.agent.as_deref(), Some("anna.k@contoso.com"));
        db.assert_gapless(TENANT).await;
    }

    /// A process that died between the lesson and the messages is taken over by the next one.
    async fn an_interrupted_lesson_goes_on(db: TestDb) {
        let app = db.app_with_tenant().await;
        ingest(&app, TENANT, &[by_sid(1)]).await;
        let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let mut tenant = tx.tenant().clone();
        tx.put_lessons(&[Lesson {
            identity: Identity::Sid(sid(ANNA).to_lowercase().into()),
            address: ANNA.into(),
            named_by: NamedBy::UserId,
            seen: Seen::at(time("2026-03-01T09:00:00Z")),
        }]).await.expect("put");
        tenant.directory_version += 1;
        tenant.taught = true;
        tx.put_tenant(&tenant).await.expect("put");
        tx.commit().await.expect("committed");

        let next = db.app().await;
        next.resume_reattribution().await.expect("resumed");
        assert_eq!(answer(&next, TENANT, "S1@x").await.attribution.agent.as_deref(), Some(ANNA));
        assert_eq!((db.number(WAITING, TENANT).await, db.number(UNSETTLED, TENANT).await), (0, 0));
    }

    /// Messages that a program stored which did not learn yet teach when they are judged anew,
    /// which the migration asks for.
    async fn what_an_older_program_stored_teaches_too(db: TestDb) {
        let app = db.app_with_tenant().await;
        let renamed = named(11, "anna.k@contoso.com", "2026-03-05T08:00:00");
        ingest(&app, TENANT, &[by_sid(1), named(10, ANNA, NOON), renamed]).await;
        let learned = db.dump(TENANT).await;
        db.execute("DELETE FROM lesson").await;
        db.execute("DELETE FROM waiting").await;
        db.execute("UPDATE attribution SET agent = NULL, verdict = 'UNRESOLVED' WHERE agent = 'anna.k@contoso.com'").await;
        let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let mut tenant = tx.tenant().clone();
        tenant.directory_version += 1;
        tenant.reattribute_after = Some(uuid::Uuid::nil());
        tx.put_tenant(&tenant).await.expect("put");
        tx.commit().await.expect("committed");

        db.app().await.resume_reattribution().await.expect("resumed");
        assert_same_rows(&db.dump(TENANT).await, &learned);
        assert_eq!(db.number(UNSETTLED, TENANT).await, 0);
    }

    /// While that goes on, a batch may bring what an old message teaches about: its own message
    /// is created once.
    async fn a_batch_among_old_messages_tells_each_change_once(db: TestDb) {
        let app = db.app_with_tenant().await;
        ingest(&app, TENANT, &[named(10, ANNA, NOON)]).await;
        db.execute("DELETE FROM lesson").await;
        let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let mut tenant = tx.tenant().clone();
        tenant.directory_version += 1;
        tenant.reattribute_after = Some(uuid::Uuid::nil());
        tx.put_tenant(&tenant).await.expect("put");
        tx.commit().await.expect("committed");

        let app = db.app().await;
        let receipt = ingest(&app, TENANT, &[by_sid(1)]).await;
        assert_eq!(receipt.changed_messages, 1);
        assert_eq!(answer(&app, TENANT, "S1@x").await.attribution.agent.as_deref(), Some(ANNA));
        let packed = "SELECT CAST(length(messages) AS bigint) FROM change WHERE tenant_id = $1 \
                      ORDER BY revision DESC LIMIT 1";
        assert_eq!(db.number(packed, TENANT).await, 17, "a kind and a key");
        assert_eq!((db.number(WAITING, TENANT).await, db.number(UNSETTLED, TENANT).await), (0, 0));
        db.assert_gapless(TENANT).await;
    }

    /// From the first event to the last, whichever comes first.
    async fn a_lesson_keeps_both_its_ends(db: TestDb) {
        let app = db.app_with_tenant().await;
        for at in ["2026-03-04T08:00:00", "2026-03-06T08:00:00", "2026-03-02T08:00:00"] {
            let n = u128::from(at.as_bytes()[9]);
            ingest(&app, TENANT, &[named(n, ANNA, at)]).await;
        }
        let lessons = app.store().lessons(TENANT).await.expect("lessons");
        assert!(lessons.len() >= 3);
        for lesson in &lessons {
            let expected = Seen { first: time("2026-03-02T08:00:00Z"), last: time("2026-03-06T08:00:00Z") };
            assert_eq!(lesson.seen, expected, "{lesson:?}");
        }
        // another process learns from what this one knows not to be current
        let other = db.app().await;
        ingest(&other, TENANT, &[named(1, ANNA, "2026-03-01T08:00:00")]).await;
        ingest(&app, TENANT, &[named(2, ANNA, "2026-03-01T09:00:00")]).await;
        let lessons = app.store().lessons(TENANT).await.expect("lessons");
        let earliest = lessons.iter().map(|lesson| lesson.seen.first).max();
        assert_eq!(earliest, Some(time("2026-03-01T08:00:00Z")));
    }

    /// One SID in two tenants' logs is two accounts.
    async fn tenants_teach_each_other_nothing(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let own = OTHER_TENANT.to_string();
        ingest(&app, OTHER_TENANT, &[by_sid(1).set("OrganizationId", own)]).await;
        ingest(&app, TENANT, &[named(2, ANNA, NOON), by_sid(1)]).await;
        assert_eq!(answer(&app, TENANT, "S1@x").await.attribution.agent.as_deref(), Some(ANNA));
        let other = answer(&app, OTHER_TENANT, "S1@x").await;
        assert_eq!(other.attribution.verdict, Verdict::Unresolved);
        assert!(app.store().lessons(OTHER_TENANT).await.expect("lessons").iter().all(|lesson| lesson.identity.is_mailbox()));
    }
}
