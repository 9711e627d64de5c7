//! The laws of the rule, on generated evidence.

use super::tests::{ANNA, BOB, SUPPORT, agent_side, at, judged_with, mailbox_side, register};
use super::*;
use crate::domain::{Gathering, Mailbox, MailboxKind, MessageKey, Revision, send_event::UserType};
use proptest::prelude::*;

/// Events of one message from small alphabets, so that repeats, conflicts and bounds are hit.
fn any_event() -> impl Strategy<Value = SendEvent> {
    let user = prop::sample::select(vec![
        ANNA,
        BOB,
        SUPPORT,
        "anna.k@contoso.com",
        "s-1-5-18",
        "s-1-5-21-1",
        "",
        "app@sharepoint",
    ]);
    let operation = prop::sample::select(vec![
        Operation::SendAs,
        Operation::SendOnBehalf,
        Operation::Send,
    ]);
    let sid = prop::option::of(prop::sample::select(vec!["s-1-5-21-1", "s-1-5-21-2"]));
    (0u128..40, 0i64..3, operation, user, sid, any::<[bool; 3]>()).prop_map(
        |(record, second, operation, user, sid, [mailbox, failed, app])| {
            let shape = if mailbox { mailbox_side } else { agent_side };
            SendEvent {
                time: at(second),
                operation,
                failed: failed && record % 5 == 0,
                user_type: app
                    .then_some(UserType::Application)
                    .filter(|_| record % 7 == 0),
                logon_user_sid: sid.map(Into::into),
                ..shape(record, user)
            }
        },
    )
}

fn directories() -> impl Strategy<Value = Vec<Mailbox>> {
    prop::sample::select(vec![
        vec![],
        vec![register(SUPPORT, MailboxKind::Shared, &[])],
        vec![
            register(SUPPORT, MailboxKind::Shared, &[]),
            register(ANNA, MailboxKind::User, &["anna.k@contoso.com"]),
        ],
        vec![register(ANNA, MailboxKind::Shared, &[])],
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any order, any repeats, any split into parts: the same evidence, the same answer.
    #[test]
    fn order_repeats_and_split_do_not_matter(
        events in prop::collection::vec(any_event(), 1..120),
        shuffled in any::<prop::sample::Index>(),
        register in directories(),
    ) {
        let mut once = Evidence::default();
        for event in &events {
            once.add([event.clone()]);
        }
        let mut at_once = Evidence::default();
        at_once.add(events.iter().cloned());
        prop_assert_eq!(&once, &at_once);
        let mut other_way = Evidence::default();
        let turn = shuffled.index(events.len());
        let (front, back) = events.split_at(turn);
        for event in back.iter().rev().chain(front).chain(back) {
            other_way.add([event.clone()]);
        }
        prop_assert_eq!(&once, &other_way);
        // stored in between
        let mut restored = Evidence::restore(once.events().cloned(), once.is_truncated());
        for event in front {
            restored.add([event.clone()]);
        }
        prop_assert_eq!(&once, &restored);
        let directory = Directory::new(register, []);
        prop_assert_eq!(attribute(&once, &directory), attribute(&other_way, &directory));
    }

    /// Judged after each part or once after all of them: the same message.
    #[test]
    fn judged_once_is_as_judged_each_time(
        events in prop::collection::vec(any_event(), 1..40),
        cut in any::<prop::sample::Index>(),
        register in directories(),
    ) {
        let directory = Directory::new(register, []);
        let (front, back) = events.split_at(cut.index(events.len()));
        let new = || Gathering::new(MessageKey::of_record(Uuid::nil()), None);
        let mut once = new();
        let mut counts = vec![once.add(front.iter().cloned()), once.add(back.iter().cloned())];
        let once = once.judge(&directory, Revision(2));
        let mut first = new();
        counts.push(first.add(front.iter().cloned()));
        let first = first.judge(&directory, Revision(1));
        let mut second = Gathering::from(first.message);
        counts.push(second.add(back.iter().cloned()));
        let second = second.judge(&directory, Revision(2));
        prop_assert_eq!(&counts[..2], &counts[2..], "each part has its own counts");
        prop_assert_eq!(&once.message.evidence, &second.message.evidence);
        prop_assert_eq!(&once.message.attribution, &second.message.attribution);
        prop_assert_eq!((once.is_new, second.is_new), (true, false));
        let again = Gathering::from(second.message).judge(&directory, Revision(3));
        prop_assert!(!again.dirty && !again.reattributed && again.change.is_none());
    }

    /// Failed attempts change no answer, as long as one attempt did not fail.
    #[test]
    fn failed_attempts_do_not_matter(
        events in prop::collection::vec(any_event(), 1..12),
        register in directories(),
    ) {
        let successful: Vec<SendEvent> = events.iter().filter(|e| !e.failed).cloned().collect();
        if !successful.is_empty() {
            prop_assert_eq!(judged_with(&events, register.clone()), judged_with(&successful, register));
        }
    }

    /// What every answer keeps, whatever the evidence.
    #[test]
    fn an_answer_is_consistent(
        events in prop::collection::vec(any_event(), 1..12),
        register in directories(),
    ) {
        let answer = judged_with(&events, register);
        let attributed = answer.verdict == Verdict::Attributed;
        prop_assert_eq!(answer.agent.is_some(), attributed);
        prop_assert_eq!(answer.candidates.len() >= 2, answer.verdict == Verdict::Conflict);
        prop_assert_eq!(answer.basis.is_none(), answer.verdict == Verdict::Pending);
        prop_assert!(attributed || !(answer.confirmed || answer.contradicted));
        let all_failed = events.iter().all(|event| event.failed);
        prop_assert_eq!(answer.verdict == Verdict::Pending, all_failed);
        if let Some(agent) = &answer.agent {
            prop_assert_ne!(Some(agent), answer.mailbox.as_ref());
        }
    }
}
