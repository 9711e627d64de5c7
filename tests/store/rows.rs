//! What is written is what is read.

use super::support::{OTHER_TENANT, TENANT, register, time};
use crate::on_both_engines;
use sentby::{
    domain::{
        AdminChange, Directory, Gathering, Message, MessageId, MessageKey, Operation,
        QuarantineReason, QuarantinedRecord, Revision, SendEvent, Side, TenantId, TimeRange,
        Timestamp, Verdict, send_event::UserType,
    },
    store::{PageLimit, RangeFilter, RangePosition, Store, StoreError},
};
use uuid::Uuid;

fn rows(rows: u32) -> PageLimit {
    PageLimit {
        rows,
        bytes: usize::MAX,
    }
}

/// An event in which every field is set.
pub(super) fn full_event(record: u128, at: Timestamp) -> SendEvent {
    SendEvent {
        time: at,
        record_id: Uuid::from_u128(record),
        operation: Operation::SendOnBehalf,
        side: Side::Agent,
        failed: false,
        admin: true,
        user_type: Some(UserType::Guest),
        user_id: "j\u{f6}rg@contoso.com".into(),
        user_key: Some("10032001266c162c".into()),
        logon_user_sid: Some("s-1-5-21-1-2-3".into()),
        sid_is_doubtful: false,
        object_id: Some(Uuid::from_u128(5)),
        owner: Some("jorg@contoso.com".into()),
        owner_is_actor: Some(false),
        mailbox_guid: Some(Uuid::max()),
        sent_as: Some("support@contoso.com".into()),
        sent_as_guid: Some(Uuid::from_u128(7)),
    }
}

fn bare_event(record: u128, at: Timestamp) -> SendEvent {
    SendEvent {
        operation: Operation::SendAs,
        admin: false,
        user_type: None,
        user_id: String::new(),
        user_key: None,
        logon_user_sid: None,
        sid_is_doubtful: false,
        object_id: None,
        owner: None,
        owner_is_actor: None,
        mailbox_guid: None,
        sent_as: None,
        sent_as_guid: None,
        ..full_event(record, at)
    }
}

fn message(id: &str, event: SendEvent) -> Message {
    let id = MessageId::parse(id).expect("an id");
    let mut message = Gathering::new(id.key(), Some(id));
    message.add([event]);
    message.judge(&Directory::default(), Revision(1)).message
}

async fn put(store: &dyn Store, tenant: TenantId, messages: &[Message]) {
    let mut tx = store.begin(tenant).await.expect("begun").expect("a tenant");
    let keys: Vec<MessageKey> = messages.iter().map(|message| message.key).collect();
    let stored = tx.messages(&keys).await.expect("read");
    let is_stored = |message: &&Message| stored.iter().any(|s| s.key == message.key);
    let (known, new): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(is_stored);
    let owned = |some: Vec<&Message>| some.into_iter().cloned().collect::<Vec<_>>();
    tx.add_messages(&owned(new)).await.expect("added");
    tx.replace_messages(&owned(known)).await.expect("replaced");
    tx.commit().await.expect("committed");
}

fn all_of_2026() -> RangeFilter {
    RangeFilter {
        range: TimeRange {
            start: time("2026-01-01T00:00:00Z"),
            end: time("2027-01-01T00:00:00Z"),
        },
        mailbox: None,
        agent: None,
        verdict: None,
    }
}

on_both_engines! {
    /// Every field of a message comes back as it was, to the byte.
    async fn a_message_comes_back_as_it_was(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let odd_time = time("2026-03-01T09:00:07Z");
        let mut conflict = message("<C@x>", full_event(3, odd_time));
        conflict.evidence.add([SendEvent {
            user_id: "bob@contoso.com".into(),
            logon_user_sid: None,
            object_id: None,
            user_key: None,
            ..full_event(4, odd_time)
        }]);
        conflict = Gathering::from(conflict).judge(&Directory::default(), Revision(2)).message;
        assert_eq!(conflict.attribution.verdict, Verdict::Conflict);
        let mut alone = message("x", bare_event(9, odd_time));
        alone.key = MessageKey::of_record(Uuid::from_u128(9));
        alone.id = None;
        for written in [message("<A@x>", full_event(1, odd_time)), conflict, alone] {
            put(store, TENANT, std::slice::from_ref(&written)).await;
            let read = store.message(TENANT, written.key).await.expect("read").expect("a tenant");
            assert_eq!(read.value.as_ref(), Some(&written));
            let answers = store.answers(TENANT, &[written.key]).await.expect("read");
            assert_eq!(answers.expect("a tenant").value, [written.answer()]);
        }
    }

    /// A second put replaces the first; others are left alone.
    async fn put_replaces(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let at = time("2026-03-01T09:00:00Z");
        let messages: Vec<Message> = (0..500)
            .map(|n| message(&format!("m{n}@x"), full_event(n, at)))
            .collect();
        put(store, TENANT, &messages).await;
        let mut changed = messages[3].clone();
        changed.attribution.agent = Some("new@contoso.com".into());
        changed.revision = Revision(9);
        put(store, TENANT, std::slice::from_ref(&changed)).await;
        let read = store.message(TENANT, changed.key).await.expect("read").expect("a tenant");
        assert_eq!(read.value, Some(changed));
        let count = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await, 500);
    }

    /// A message that is there after all is no bad batch: the write is to start over.
    async fn who_adds_what_is_there_starts_over(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let store = app.store();
        let at = time("2026-03-01T09:00:00Z");
        let messages: Vec<Message> = (0..500).map(|n| message(&format!("m{n}@x"), full_event(n, at))).collect();
        put(store, TENANT, &messages[400..401]).await;
        put(store, OTHER_TENANT, &messages).await;
        let mut tx = store.begin(TENANT).await.expect("begun").expect("a tenant");
        let refused = tx.add_messages(&messages).await.expect_err("one is there");
        assert!(matches!(refused, StoreError::Contended(_)), "{refused:?}");
        drop(tx);
        put(store, TENANT, &messages).await;
        let count = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await, 500);
    }

    /// More than one statement, or one chunk of a copy, can take.
    async fn many_messages_come_back_as_they_were(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let at = time("2026-03-01T09:00:00Z");
        let mut messages: Vec<Message> = (0..1_500)
            .map(|n| {
                let event = if n % 3 == 0 { bare_event(n, at) } else { full_event(n, at) };
                message(&format!("{}{n}@x", "\u{fc}".repeat(n as usize % 60)), event)
            })
            .collect();
        put(store, TENANT, &messages).await;
        for message in &mut messages {
            message.evidence.add([bare_event(9_999, at)]);
            message.revision = Revision(7);
        }
        put(store, TENANT, &messages).await;
        let keys: Vec<MessageKey> = messages.iter().map(|message| message.key).collect();
        let mut tx = store.begin(TENANT).await.expect("begun").expect("a tenant");
        let mut read = tx.messages(&keys).await.expect("read");
        read.sort_by_key(|message| message.key);
        messages.sort_by_key(|message| message.key);
        assert_eq!(read, messages);
    }

    /// Dropped without a commit, nothing of a write happened, and the next one can begin.
    async fn an_uncommitted_write_leaves_nothing(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let written = message("<A@x>", full_event(1, time("2026-03-01T09:00:00Z")));
        let mut tx = store.begin(TENANT).await.expect("begun").expect("a tenant");
        tx.add_messages(std::slice::from_ref(&written)).await.expect("added");
        drop(tx);
        let read = store.message(TENANT, written.key).await.expect("read").expect("a tenant");
        assert_eq!(read.value, None);
        assert!(store.begin(TENANT).await.expect("begun").is_some());
    }

    /// What is asked for is what is answered: no neighbours, no other tenant.
    async fn answers_are_of_the_keys_and_the_tenant_asked(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let store = app.store();
        let at = time("2026-03-01T09:00:00Z");
        let (mine, theirs) = (message("<A@x>", full_event(1, at)), message("<A@x>", full_event(2, at)));
        assert_eq!(mine.key, theirs.key);
        put(store, TENANT, &[mine.clone(), message("<B@x>", full_event(3, at))]).await;
        put(store, OTHER_TENANT, std::slice::from_ref(&theirs)).await;
        let absent = MessageId::parse("absent").expect("an id").key();
        for (tenant, expected) in [(TENANT, &mine), (OTHER_TENANT, &theirs)] {
            let keys = [expected.key, absent];
            let found = store.answers(tenant, &keys).await.expect("read").expect("a tenant");
            assert_eq!(found.value, [expected.answer()]);
            let read = store.message(tenant, expected.key).await.expect("read").expect("a tenant");
            assert_eq!(read.value.as_ref(), Some(expected));
        }
        let nothing = store.answers(TENANT, &[absent]).await.expect("read").expect("a tenant");
        assert!(nothing.value.is_empty());
        let nobody = TenantId(Uuid::from_u128(3));
        assert!(store.answers(nobody, &[mine.key]).await.expect("read").is_none());
        assert!(store.message(nobody, mine.key).await.expect("read").is_none());
        let range = store.range(nobody, &all_of_2026(), None, rows(9)).await.expect("read");
        assert!(range.answers.is_empty() && !range.more);
        assert!(store.begin(nobody).await.expect("read").is_none());
        assert!(store.tenant(nobody).await.expect("read").is_none());
    }

    /// Ranges are half-open, in the order of time and then key, without gaps and repeats at
    /// the seams of pages, and hold nothing that is not listed.
    async fn a_range_is_walked_in_order(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let start = time("2026-03-01T00:00:00Z").micros();
        // many at the same time, so that pages end among equals
        let mut messages: Vec<Message> = (0..100u32)
            .map(|n| {
                let at = Timestamp::from_micros(start + i64::from(n / 10) * 1_000_000);
                message(&format!("m{n}@x"), full_event(u128::from(n), at))
            })
            .collect();
        messages[55].attribution.listed = false;
        put(store, TENANT, &messages).await;
        let mut expected: Vec<(Timestamp, MessageKey)> = messages
            .iter()
            .filter(|message| message.attribution.listed)
            .map(|message| (message.attribution.sent_at, message.key))
            .collect();
        expected.sort_unstable();

        let filter = |from: i64, to: i64| RangeFilter {
            range: TimeRange {
                start: Timestamp::from_micros(start + from * 1_000_000),
                end: Timestamp::from_micros(start + to * 1_000_000),
            },
            ..all_of_2026()
        };
        let mut walked = Vec::new();
        let mut after = None;
        loop {
            let page = store.range(TENANT, &filter(0, 10), after, rows(7)).await.expect("read");
            walked.extend(page.answers.iter().map(|a| (a.attribution.sent_at, a.key)));
            let last = page.answers.last().expect("an answer");
            after = Some(RangePosition { sent_at: last.attribution.sent_at, key: last.key });
            assert_eq!(page.more, walked.len() < expected.len());
            if !page.more {
                break;
            }
        }
        assert_eq!(walked, expected);

        let part = store.range(TENANT, &filter(3, 5), None, rows(100)).await.expect("read");
        assert_eq!(part.answers.len(), 20, "from 3 on, without 5");
        let empty = store.range(TENANT, &filter(3, 3), None, rows(100)).await.expect("read");
        assert!(empty.answers.is_empty() && !empty.more);

        // the answer that reaches the limit in bytes is the last one, and there always is one
        let size = part.answers[0].size();
        for (bytes, count) in [(0, 1), (1, 1), (size, 1), (size + 1, 2), (5 * size, 5)] {
            let limit = PageLimit { rows: 100, bytes };
            let page = store.range(TENANT, &filter(3, 5), None, limit).await.expect("read");
            assert_eq!((page.answers.len(), page.more), (count, true), "{bytes}");
        }
    }

    /// Filters are exact matches; what looks like a pattern or SQL is only text.
    async fn a_range_is_filtered(db: TestDb) {
        let app = db.app_with_tenant().await;
        let store = app.store();
        let at = time("2026-03-01T09:00:00Z");
        let mut messages = Vec::new();
        for (n, agent) in ["a@x", "a%x", "'; DROP TABLE tenant; --@x"].iter().enumerate() {
            let mut one = message(&format!("m{n}@x"), full_event(n as u128, at));
            one.attribution.agent = Some((*agent).into());
            one.attribution.mailbox = Some(format!("box{n}@x"));
            messages.push(one);
        }
        messages[2].attribution.verdict = Verdict::Conflict;
        put(store, TENANT, &messages).await;
        let count = async |filter: RangeFilter| {
            let found = store.range(TENANT, &filter, None, rows(100)).await.expect("read");
            found.answers.len()
        };
        let agent = |agent: &str| RangeFilter { agent: Some(agent.into()), ..all_of_2026() };
        assert_eq!(count(all_of_2026()).await, 3);
        assert_eq!(count(agent("a@x")).await, 1);
        assert_eq!(count(agent("a%x")).await, 1);
        assert_eq!(count(agent("%")).await, 0);
        assert_eq!(count(agent("'; DROP TABLE tenant; --@x")).await, 1);
        let mailbox = RangeFilter { mailbox: Some("box1@x".into()), ..all_of_2026() };
        assert_eq!(count(mailbox.clone()).await, 1);
        assert_eq!(count(RangeFilter { agent: Some("a@x".into()), ..mailbox }).await, 0);
        let conflict = RangeFilter { verdict: Some(Verdict::Conflict), ..all_of_2026() };
        assert_eq!(count(conflict).await, 1);
    }

    /// One record id with two contents is kept twice; the same content once.
    async fn administrators_changes_are_kept_once_by_content(db: TestDb) {
        let app = db.app_with_tenant().await;
        let change = AdminChange {
            time: time("2026-03-01T09:00:00Z"),
            record_id: Uuid::from_u128(1),
            operation: "Set-Mailbox",
            actor: "admin@contoso.com".into(),
            target: "\"support\"".into(),
            failed: false,
            parameters: vec![("AuditDelegate".into(), "Update\n\"x\"".into())],
        };
        let other = AdminChange { target: "sales".into(), ..change.clone() };
        for (changes, new) in [(vec![change.clone(), other.clone()], 2), (vec![other, change], 0)] {
            let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
            assert_eq!(tx.put_admin_changes(&changes).await.expect("put").len(), new);
            tx.commit().await.expect("committed");
        }
    }

    /// One copy of a quarantined record, whatever bytes it has; none of a foreign one.
    async fn a_quarantined_record_is_kept_once(db: TestDb) {
        let app = db.app_with_tenant().await;
        let record = QuarantinedRecord {
            digest: Uuid::from_u128(7),
            reason: QuarantineReason::Malformed,
            detail: "cut off".into(),
            received_at: time("2026-03-01T09:00:00Z"),
            bytes: Some(vec![0, 0xff, b'\'', b'"'].into()),
        };
        let foreign = QuarantinedRecord {
            digest: Uuid::from_u128(8),
            reason: QuarantineReason::ForeignTenant,
            bytes: None,
            ..record.clone()
        };
        for _ in 0..2 {
            let mut tx = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
            let records = [record.clone(), foreign.clone()];
            tx.put_quarantined(&records).await.expect("put");
            tx.commit().await.expect("committed");
        }
        let count = "SELECT count(*) FROM quarantine WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await, 2);
        let bytes = "SELECT coalesce(sum(length(bytes)), 0) FROM quarantine WHERE tenant_id = $1";
        assert_eq!(db.number(bytes, TENANT).await, 4);
    }

    /// All processes of a deployment end up with one secret.
    async fn the_deployment_has_one_secret(db: TestDb) {
        let (one, two) = (db.app().await, db.app().await);
        let at = time("2026-03-01T09:00:00Z");
        let (first, second) = tokio::join!(
            one.store().deployment_secret([1; 32], at),
            two.store().deployment_secret([2; 32], at),
        );
        let first = first.expect("a secret");
        assert_eq!(first, second.expect("a secret"));
        assert!(first == [1; 32] || first == [2; 32]);
    }

    /// Tenants are listed in the order of ids.
    async fn tenants_are_listed_in_order(db: TestDb) {
        let app = db.app().await;
        let ids: Vec<TenantId> = [9u128, 3, 0xffff_0000_0000_0000_0000_0000_0000_0000, 5]
            .map(|id| TenantId(Uuid::from_u128(id)))
            .to_vec();
        for &id in &ids {
            register(&app, id).await;
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = app.list_tenants(None, 2, &token).await.expect("a page");
            listed.extend(page.iter().map(|tenant| tenant.id));
            token = next;
            if token.is_empty() { break }
        }
        assert_eq!(listed, sorted);
    }
}
