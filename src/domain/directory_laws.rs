//! What is learned does not depend on the order, and reaches every message that it touches:
//! the workflow of a write in miniature, on generated events.

use super::*;
use crate::domain::{
    Attribution, Evidence, MailboxKind, Operation, SendEvent, attribute,
    attribute::tests::{at, event},
    send_event::Sides,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Few people and few names, so that they are renamed, reassigned and mixed up.
const NAMES: [&str; 6] = [
    "anna@contoso.com",
    "anna.k@contoso.com",
    "bob@contoso.com",
    "support@contoso.com",
    "help@contoso.com",
    "support@contoso.onmicrosoft.com",
];

fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(NAMES.to_vec()).prop_map(Into::into)
}

fn any_user_id() -> impl Strategy<Value = String> {
    let odd = vec![
        "s-1-5-21-1",
        "s-1-5-21-2",
        "1003000000000001",
        "00000000-0000-0000-0000-000000000001",
        "",
        "not-found",
        "s-1-5-18",
    ];
    prop_oneof![
        3 => any_name(),
        1 => prop::sample::select(odd).prop_map(Into::into),
    ]
}

fn any_event() -> impl Strategy<Value = (u8, SendEvent)> {
    let few = |n: u128| prop::option::of((1..=n).prop_map(Uuid::from_u128));
    let sid = || prop::option::of((1..4u8).prop_map(|n| format!("s-1-5-21-{n}")));
    let puid = prop::option::of((1..3u8).prop_map(|n| format!("100300000000000{n}")));
    let operation = prop::sample::select(vec![
        Operation::SendAs,
        Operation::SendOnBehalf,
        Operation::Send,
    ]);
    let about = (0..6u8, 0..1_000u128, 0..50i64, operation);
    let who = (any_user_id(), sid(), puid, few(2));
    let log = (prop::option::of(any_name()), sid(), few(3));
    let sent_as = (prop::option::of(any_name()), few(3));
    (about, who, log, sent_as, any::<bool>()).prop_map(
        |((message, record, second, operation), who, log, sent_as, doubtful)| {
            let (user_id, logon_user_sid, user_key, object_id) = who;
            let (owner, owner_sid, mailbox_guid) = log;
            let sent_as = match operation {
                Operation::Send => (None, None),
                _ => sent_as,
            };
            let owner_is_actor = owner_sid.zip(logon_user_sid.as_ref()).map(|(a, b)| a == *b);
            let side = Sides {
                owner_is_actor,
                mailbox_guid,
                sent_as_guid: sent_as.1,
                owner: owner.as_deref(),
                sent_as: sent_as.0.as_deref(),
                user_id: &user_id,
            }
            .side(operation);
            let event = SendEvent {
                time: at(second * 1_800),
                operation,
                side,
                user_id,
                user_key,
                logon_user_sid,
                sid_is_doubtful: doubtful && owner_is_actor == Some(false),
                object_id,
                owner,
                owner_is_actor,
                mailbox_guid,
                sent_as: sent_as.0,
                sent_as_guid: sent_as.1,
                ..event(record)
            };
            (message, event)
        },
    )
}

fn any_register() -> impl Strategy<Value = Vec<Mailbox>> {
    let entry =
        |address: &str, kind: MailboxKind, guid: Option<u128>, object: Option<u128>| Mailbox {
            address: address.into(),
            kind,
            aliases: vec![],
            display_name: String::new(),
            guid: guid.map(Uuid::from_u128),
            object_id: object.map(Uuid::from_u128),
        };
    let shared = entry("support@contoso.com", MailboxKind::Shared, None, None);
    prop::sample::select(vec![
        vec![],
        vec![shared.clone()],
        vec![
            shared,
            entry("anna@contoso.com", MailboxKind::User, Some(2), Some(1)),
        ],
        vec![entry(
            "help@contoso.com",
            MailboxKind::Shared,
            Some(1),
            None,
        )],
    ])
}

/// The store and the writes, without a database.
struct Rows {
    directory: Directory,
    rows: BTreeMap<u8, (Evidence, Attribution)>,
    waiting: BTreeSet<(Identity<'static>, u8)>,
}

impl Rows {
    fn ingest(&mut self, batch: &[(u8, SendEvent)]) {
        let mut lessons = Vec::new();
        for (_, event) in batch {
            self.directory.untaught(event, &mut lessons);
        }
        let learned = self.directory.learn(&lessons);
        self.directory = learned.directory;
        for (message, event) in batch {
            let stored = self.rows.remove(message);
            let mut evidence = stored.map(|(evidence, _)| evidence).unwrap_or_default();
            evidence.add([event.clone()]);
            let attribution = attribute(&evidence, &self.directory);
            self.rows.insert(*message, (evidence, attribution));
            let unknown = self.directory.waits_for(event);
            let unknown = unknown.into_iter().map(|id| (id.into_owned(), *message));
            self.waiting.extend(unknown);
        }
        let directory = &self.directory;
        let (taught, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(identity, _)| !directory.is_unknown(identity));
        self.waiting = waiting;
        let taught: BTreeSet<(Identity<'static>, u8)> = taught;
        assert!(
            taught
                .iter()
                .all(|(identity, _)| learned.introduced.contains(identity))
        );
        for (message, (evidence, attribution)) in &mut self.rows {
            if learned.renamed || taught.iter().any(|(_, of)| of == message) {
                *attribution = attribute(evidence, directory);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_learned_reaches_every_message(
        events in prop::collection::vec(any_event(), 1..24),
        register in any_register(),
        split in 1..6usize,
        turn in any::<prop::sample::Index>(),
    ) {
        let mut in_order = Rows {
            directory: Directory::new(register.clone(), []),
            rows: BTreeMap::new(),
            waiting: BTreeSet::new(),
        };
        for event in &events {
            in_order.ingest(std::slice::from_ref(event));
        }
        let mut turned = events.clone();
        turned.rotate_left(turn.index(events.len()));
        turned.reverse();
        let mut other_way = Rows {
            directory: Directory::new(register.clone(), []),
            rows: BTreeMap::new(),
            waiting: BTreeSet::new(),
        };
        for batch in turned.chunks(split) {
            other_way.ingest(batch);
        }
        // all lessons at once
        let mut lessons = Vec::new();
        for (_, event) in &events {
            Directory::default().untaught(event, &mut lessons);
        }
        let directory = Directory::new(register, lessons);
        for (message, (evidence, attribution)) in &in_order.rows {
            let expected = attribute(evidence, &directory);
            prop_assert_eq!(attribution, &expected);
            let (other_evidence, other_attribution) = &other_way.rows[message];
            prop_assert_eq!(other_attribution, &expected);
            prop_assert_eq!(other_evidence, evidence);
        }
    }
}
