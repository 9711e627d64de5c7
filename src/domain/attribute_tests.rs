//! The rule, case by case, and its laws.

use super::*;
use crate::domain::{
    Mailbox, MailboxKind,
    evidence::{MAX_ACTORS, MAX_PER_GROUP},
    send_event::UserType,
};

pub(crate) const SUPPORT: &str = "support@contoso.com";
pub(crate) const ANNA: &str = "anna@contoso.com";
pub(crate) const BOB: &str = "bob@contoso.com";

/// An agent-side SendAs of `anna@contoso.com` as `support@contoso.com`.
pub(crate) fn event(record: u128) -> SendEvent {
    SendEvent {
        time: at(0),
        record_id: Uuid::from_u128(record),
        operation: Operation::SendAs,
        side: Side::Agent,
        failed: false,
        admin: false,
        user_type: Some(UserType::Regular),
        user_id: ANNA.into(),
        user_key: None,
        logon_user_sid: None,
        sid_is_doubtful: false,
        object_id: None,
        owner: Some(ANNA.into()),
        owner_is_actor: Some(true),
        mailbox_guid: None,
        sent_as: Some(SUPPORT.into()),
        sent_as_guid: None,
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    let start = Timestamp::parse("2026-03-01T09:00:00").expect("a time");
    Timestamp::from_micros(start.micros() + second * 1_000_000)
}

/// Shape A: the shared mailbox's log, session opened on it.
pub(crate) fn mailbox_side(record: u128, user_id: &str) -> SendEvent {
    SendEvent {
        side: Side::Mailbox,
        user_id: user_id.into(),
        owner: Some(SUPPORT.into()),
        owner_is_actor: Some(false),
        sent_as: None,
        ..event(record)
    }
}

/// Shape B: the agent's log.
pub(crate) fn agent_side(record: u128, user_id: &str) -> SendEvent {
    SendEvent {
        user_id: user_id.into(),
        owner: Some(user_id.into()),
        ..event(record)
    }
}

/// Shape C: the agent's own plain Send.
pub(crate) fn plain(record: u128, user_id: &str) -> SendEvent {
    SendEvent {
        operation: Operation::Send,
        sent_as: None,
        ..agent_side(record, user_id)
    }
}

pub(crate) fn judged(events: &[SendEvent]) -> Attribution {
    judged_with(events, Vec::new())
}

pub(super) fn judged_with(events: &[SendEvent], register: Vec<Mailbox>) -> Attribution {
    let mut evidence = Evidence::default();
    evidence.add(events.iter().cloned());
    attribute(&evidence, &Directory::new(register, []))
}

pub(crate) fn register(address: &str, kind: MailboxKind, aliases: &[&str]) -> Mailbox {
    Mailbox {
        address: address.into(),
        kind,
        aliases: aliases.iter().map(|&alias| alias.into()).collect(),
        display_name: String::new(),
        guid: None,
        object_id: None,
    }
}

/// verdict, agent, basis, confirmed, contradicted
type Short<'a> = (Verdict, Option<&'a str>, Option<Basis>, bool, bool);

fn short(attribution: &Attribution) -> Short<'_> {
    (
        attribution.verdict,
        attribution.agent.as_deref(),
        attribution.basis,
        attribution.confirmed,
        attribution.contradicted,
    )
}

#[test]
fn one_side_is_attributed_and_both_sides_confirm() {
    use Verdict::Attributed;
    let a = judged(&[mailbox_side(1, ANNA)]);
    assert_eq!(
        short(&a),
        (
            Attributed,
            Some(ANNA),
            Some(Basis::MailboxSendAs),
            false,
            false
        )
    );
    assert_eq!(a.mailbox.as_deref(), Some(SUPPORT));
    assert!(a.listed);

    let b = judged(&[agent_side(1, ANNA)]);
    assert_eq!(
        short(&b),
        (
            Attributed,
            Some(ANNA),
            Some(Basis::AgentSendAs),
            false,
            false
        )
    );
    assert_eq!(b.mailbox.as_deref(), Some(SUPPORT));

    let late = SendEvent {
        time: at(2),
        ..agent_side(2, ANNA)
    };
    let both = judged(&[late, mailbox_side(1, ANNA)]);
    assert_eq!(
        short(&both),
        (
            Attributed,
            Some(ANNA),
            Some(Basis::MailboxSendAs),
            true,
            false
        )
    );
    assert_eq!(both.sent_at, at(0), "the earliest event tells the time");
}

#[test]
fn an_agents_own_send_confirms_the_mailbox_side_but_not_itself() {
    let both = judged(&[mailbox_side(1, ANNA), plain(2, ANNA)]);
    assert!(both.confirmed);
    assert_eq!(both.basis, Some(Basis::MailboxSendAs));

    let alone = judged(&[plain(1, ANNA)]);
    assert_eq!(
        short(&alone),
        (
            Verdict::Attributed,
            Some(ANNA),
            Some(Basis::Send),
            false,
            false
        )
    );
    assert_eq!(alone.mailbox, None);
    assert!(!alone.listed, "private mail is in no range");

    let same_side = judged(&[agent_side(1, ANNA), plain(2, ANNA)]);
    assert!(!same_side.confirmed, "both are the agent side");
}

#[test]
fn the_strongest_evidence_is_the_basis() {
    let on_behalf = |event: SendEvent| SendEvent {
        operation: Operation::SendOnBehalf,
        ..event
    };
    let weakest_first = [
        (plain(1, ANNA), Basis::Send),
        (on_behalf(agent_side(2, ANNA)), Basis::AgentSendOnBehalf),
        (on_behalf(mailbox_side(3, ANNA)), Basis::MailboxSendOnBehalf),
        (agent_side(4, ANNA), Basis::AgentSendAs),
        (mailbox_side(5, ANNA), Basis::MailboxSendAs),
    ];
    let mut events = Vec::new();
    for (event, basis) in weakest_first {
        events.push(event);
        assert_eq!(judged(&events).basis, Some(basis));
    }
}

#[test]
fn two_people_are_a_conflict_and_never_a_guess() {
    let conflict = judged(&[mailbox_side(1, BOB), agent_side(2, ANNA)]);
    assert_eq!(
        short(&conflict),
        (
            Verdict::Conflict,
            None,
            Some(Basis::MailboxSendAs),
            false,
            false
        )
    );
    assert_eq!(conflict.candidates, [ANNA, BOB]);

    let plain_only = judged(&[plain(1, BOB), plain(2, ANNA)]);
    assert_eq!(plain_only.verdict, Verdict::Conflict);
    assert_eq!(plain_only.candidates, [ANNA, BOB]);
    assert!(!plain_only.listed);
}

#[test]
fn a_plain_send_of_somebody_else_contradicts_and_does_not_overturn() {
    let contradicted = judged(&[mailbox_side(1, ANNA), plain(2, BOB)]);
    assert_eq!(
        short(&contradicted),
        (
            Verdict::Attributed,
            Some(ANNA),
            Some(Basis::MailboxSendAs),
            false,
            true
        )
    );
}

#[test]
fn an_application_or_the_shared_account_is_not_a_person() {
    let application = SendEvent {
        user_type: Some(UserType::Application),
        ..plain(1, SUPPORT)
    };
    let alone = judged(std::slice::from_ref(&application));
    assert_eq!(alone.verdict, Verdict::NotAPerson);
    assert!(!alone.listed, "whose mailbox that is, nobody said yet");
    let shared = vec![register(SUPPORT, MailboxKind::Shared, &[])];
    let known = judged_with(std::slice::from_ref(&application), shared.clone());
    assert_eq!(known.verdict, Verdict::NotAPerson);
    assert_eq!(known.mailbox.as_deref(), Some(SUPPORT));
    assert!(known.listed);

    // signed in to the shared account: without the register it looks like an agent
    let signed_in = plain(2, SUPPORT);
    assert_eq!(
        judged(std::slice::from_ref(&signed_in)).agent.as_deref(),
        Some(SUPPORT)
    );
    assert_eq!(
        judged_with(std::slice::from_ref(&signed_in), shared).verdict,
        Verdict::NotAPerson
    );
    // a person beats both
    let person = judged(&[application, signed_in, mailbox_side(3, ANNA)]);
    assert_eq!(
        short(&person),
        (
            Verdict::Attributed,
            Some(ANNA),
            Some(Basis::MailboxSendAs),
            false,
            false
        )
    );
}

#[test]
fn a_system_sender_is_not_a_person() {
    let connector = SendEvent {
        user_type: Some(UserType::Admin),
        ..mailbox_side(1, "s-1-5-18")
    };
    let verdict = judged(&[connector]);
    assert_eq!(
        short(&verdict),
        (
            Verdict::NotAPerson,
            None,
            Some(Basis::MailboxSendAs),
            false,
            false
        )
    );
    assert!(verdict.listed);
}

#[test]
fn an_unresolved_identifier_never_makes_a_conflict() {
    let sid = |record, user_id: &str| SendEvent {
        logon_user_sid: Some(user_id.into()),
        ..mailbox_side(record, user_id)
    };
    let unresolved = judged(&[sid(1, "s-1-5-21-1-2-3")]);
    assert_eq!(unresolved.verdict, Verdict::Unresolved);
    assert!(unresolved.listed);

    let with_person = judged(&[sid(1, "s-1-5-21-1-2-3"), agent_side(2, ANNA)]);
    assert_eq!(
        short(&with_person),
        (
            Verdict::Attributed,
            Some(ANNA),
            Some(Basis::AgentSendAs),
            false,
            false
        )
    );
    // the same SID under a name: the same person, so both sides agree
    let anna = SendEvent {
        logon_user_sid: Some("s-1-5-21-1-2-3".into()),
        ..agent_side(2, ANNA)
    };
    let resolved = judged(&[sid(1, "s-1-5-21-1-2-3"), anna]);
    assert_eq!(
        short(&resolved),
        (
            Verdict::Attributed,
            Some(ANNA),
            Some(Basis::MailboxSendAs),
            true,
            false
        )
    );
}

#[test]
fn one_person_under_two_names_is_no_conflict() {
    let named = |event: SendEvent, sid: &str| SendEvent {
        logon_user_sid: Some(sid.into()),
        ..event
    };
    let renamed = judged(&[
        named(mailbox_side(1, "anna.k@contoso.com"), "s-1-5-21-9"),
        named(agent_side(2, ANNA), "s-1-5-21-9"),
    ]);
    assert_eq!(
        short(&renamed),
        (
            Verdict::Attributed,
            Some("anna.k@contoso.com"),
            Some(Basis::MailboxSendAs),
            true,
            false
        ),
        "the strongest event has the name"
    );
    let aliases = vec![register(ANNA, MailboxKind::User, &["anna.k@contoso.com"])];
    let registered = judged_with(
        &[mailbox_side(1, "anna.k@contoso.com"), agent_side(2, ANNA)],
        aliases,
    );
    assert_eq!(registered.agent.as_deref(), Some(ANNA));
    assert!(registered.confirmed);
    // the system's SID is nobody's
    let system = judged(&[
        named(mailbox_side(1, BOB), "s-1-5-18"),
        named(agent_side(2, ANNA), "s-1-5-18"),
    ]);
    assert_eq!(system.verdict, Verdict::Conflict);
}

#[test]
fn a_failed_attempt_is_never_an_answer() {
    let failed = SendEvent {
        failed: true,
        ..mailbox_side(1, BOB)
    };
    let alone = judged(std::slice::from_ref(&failed));
    assert_eq!(short(&alone), (Verdict::Pending, None, None, false, false));
    assert!(!alone.listed);
    let with_success = judged(&[failed, mailbox_side(2, ANNA)]);
    assert_eq!(with_success.agent.as_deref(), Some(ANNA));
}

#[test]
fn a_failed_attempt_changes_no_answer() {
    // Anna tried to send Bob's draft as Bob and may not; then Bob sent it
    let failed = SendEvent {
        failed: true,
        sent_as: Some(BOB.into()),
        ..agent_side(1, ANNA)
    };
    let answer = judged(&[failed, plain(2, BOB)]);
    assert_eq!(answer, judged(&[plain(2, BOB)]));
    assert_eq!(answer.agent.as_deref(), Some(BOB));
}

#[test]
fn somebody_else_does_not_answer_for_an_unresolved_sender() {
    let by_sid = SendEvent {
        logon_user_sid: Some("s-1-5-21-1".into()),
        ..mailbox_side(1, "s-1-5-21-1")
    };
    let bob = |sid: Option<&str>| SendEvent {
        logon_user_sid: sid.map(Into::into),
        ..plain(2, BOB)
    };
    let other_account = judged(&[by_sid.clone(), bob(Some("s-1-5-21-2"))]);
    assert_eq!(other_account.verdict, Verdict::Unresolved);
    let unknown_account = judged(&[by_sid.clone(), bob(None)]);
    assert_eq!(unknown_account.agent.as_deref(), Some(BOB));
    let same_account = judged(&[by_sid, bob(Some("s-1-5-21-1"))]);
    assert_eq!(same_account.basis, Some(Basis::MailboxSendAs));
    assert!(same_account.confirmed);

    // every kind of identifier tells two accounts apart
    let puid = |n: u8| Some(format!("100320000000000{n}"));
    let object = |n| Some(Uuid::from_u128(n));
    let by_puid = SendEvent {
        user_key: puid(1),
        ..mailbox_side(1, "not-found")
    };
    let by_object = SendEvent {
        user_key: puid(1),
        ..mailbox_side(1, &Uuid::from_u128(1).to_string())
    };
    for (unresolved, user_key, object_id, somebody_else) in [
        (&by_puid, puid(2), None, true),
        (&by_puid, puid(1), None, false),
        (&by_puid, None, object(2), false),
        (&by_object, None, object(2), true),
        (&by_object, puid(1), object(2), false), // one of two is enough to be the same
    ] {
        let bob = SendEvent {
            user_key,
            object_id,
            ..bob(None)
        };
        let verdict = judged(&[unresolved.clone(), bob.clone()]).verdict;
        let expected = if somebody_else {
            Verdict::Unresolved
        } else {
            Verdict::Attributed
        };
        assert_eq!(verdict, expected, "{bob:?}");
    }
}

#[test]
fn the_mailbox_comes_from_the_best_pointer() {
    let guid = Uuid::from_u128(77);
    let by_guid = SendEvent {
        sent_as: None,
        sent_as_guid: Some(guid),
        ..agent_side(1, ANNA)
    };
    assert_eq!(judged(std::slice::from_ref(&by_guid)).mailbox, None);
    let mut shared = register(SUPPORT, MailboxKind::Shared, &["help@contoso.com"]);
    shared.guid = Some(guid);
    let known = judged_with(&[by_guid], vec![shared.clone()]);
    assert_eq!(known.mailbox.as_deref(), Some(SUPPORT));
    let by_alias = SendEvent {
        sent_as: Some("help@contoso.com".into()),
        ..agent_side(1, ANNA)
    };
    let canonical = judged_with(&[by_alias], vec![shared]);
    assert_eq!(canonical.mailbox.as_deref(), Some(SUPPORT));
}

#[test]
fn the_object_id_outlives_a_name() {
    let with_id = SendEvent {
        object_id: Some(Uuid::from_u128(5)),
        ..agent_side(2, ANNA)
    };
    let both = judged(&[mailbox_side(1, ANNA), with_id]);
    assert_eq!(both.agent_object_id, Some(Uuid::from_u128(5)));
}

#[test]
fn evidence_is_bounded_and_says_so() {
    let mut evidence = Evidence::default();
    for n in 0..MAX_PER_GROUP as u128 {
        assert_eq!(evidence.add([mailbox_side(n, ANNA)]).new, 1);
    }
    assert!(!evidence.is_truncated());
    assert_eq!(evidence.add([mailbox_side(3, ANNA)]).repeated, 1);
    assert!(!evidence.is_truncated());
    assert_eq!(evidence.add([mailbox_side(99, ANNA)]).repeated, 1);
    assert!(evidence.is_truncated());
    let of_anna = evidence.events().map(|event| event.record_id.as_u128());
    assert!(of_anna.eq(0..MAX_PER_GROUP as u128), "the smallest");
    assert_eq!(evidence.add([mailbox_side(100, BOB)]).new, 1);

    for n in 0..MAX_ACTORS as u128 + 10 {
        evidence.add([mailbox_side(1000 + n, &format!("agent{n:03}@contoso.com"))]);
    }
    let mut actors: Vec<&str> = evidence.events().map(SendEvent::actor_id).collect();
    actors.dedup();
    actors.sort_unstable();
    actors.dedup();
    assert_eq!(actors.len(), MAX_ACTORS);
}
