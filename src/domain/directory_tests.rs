//! What a directory learns from records, case by case.

use super::*;
use crate::domain::{
    Attribution, Basis, Evidence, Operation, Side, Timestamp, Verdict, attribute,
    attribute::tests::{at, event},
    send_event::UserType,
};

#[path = "directory_words_tests.rs"]
mod words;

const ANNA: &str = "anna@contoso.com";
const SUPPORT: &str = "support@contoso.com";
const SID: &str = "s-1-5-21-1-2-3-1101";
const PUID: &str = "10032001266c1101";
const OBJECT: Uuid = Uuid::from_u128(0x0b1);
const SHARED_GUID: Uuid = Uuid::from_u128(0x5a);

/// The mailbox side of a SendAs: all that tells who acted is set.
fn delegate(hour: i64, user_id: &str) -> SendEvent {
    SendEvent {
        time: at(hour * 3_600),
        side: Side::Mailbox,
        user_id: user_id.into(),
        user_key: Some(PUID.into()),
        logon_user_sid: Some(SID.into()),
        object_id: Some(OBJECT),
        owner: Some(SUPPORT.into()),
        owner_is_actor: Some(false),
        mailbox_guid: Some(SHARED_GUID),
        sent_as: None,
        ..event(hour.unsigned_abs().into())
    }
}

/// A plain Send from the actor's own mailbox.
fn own_send(hour: i64, user_id: &str, owner: &str) -> SendEvent {
    SendEvent {
        operation: Operation::Send,
        side: Side::Agent,
        owner: Some(owner.into()),
        owner_is_actor: Some(true),
        mailbox_guid: Some(Uuid::from_u128(0xa)),
        ..delegate(hour, user_id)
    }
}

fn taught(register: Vec<Mailbox>, events: &[SendEvent]) -> Directory {
    let mut lessons = Vec::new();
    for event in events {
        Directory::default().untaught(event, &mut lessons);
    }
    Directory::new(register, lessons)
}

fn answer(directory: &Directory, events: &[SendEvent]) -> Attribution {
    let mut evidence = Evidence::default();
    evidence.add(events.iter().cloned());
    attribute(&evidence, directory)
}

fn agent(directory: &Directory, event: &SendEvent) -> Option<String> {
    answer(directory, std::slice::from_ref(event)).agent
}

fn shared(address: &str) -> Mailbox {
    Mailbox {
        address: address.into(),
        kind: MailboxKind::Shared,
        aliases: vec![],
        display_name: String::new(),
        guid: None,
        object_id: None,
    }
}

#[test]
fn each_identifier_alone_leads_to_the_person() {
    let directory = taught(vec![], &[delegate(1, ANNA)]);
    let nothing = SendEvent {
        user_id: String::new(),
        user_key: None,
        logon_user_sid: None,
        object_id: None,
        ..delegate(2, "")
    };
    let named = |user_id: &str| SendEvent {
        user_id: user_id.into(),
        ..nothing.clone()
    };
    assert_eq!(agent(&directory, &nothing), None);
    for event in [
        named(SID),
        named(PUID),
        named(&OBJECT.to_string()),
        SendEvent {
            logon_user_sid: Some(SID.into()),
            ..named("not-found")
        },
        SendEvent {
            user_key: Some(PUID.into()),
            ..nothing.clone()
        },
        SendEvent {
            object_id: Some(OBJECT),
            ..nothing.clone()
        },
    ] {
        assert_eq!(
            agent(&directory, &event).as_deref(),
            Some(ANNA),
            "{event:?}"
        );
        let before = answer(&Directory::default(), std::slice::from_ref(&event));
        assert_eq!(before.verdict, Verdict::Unresolved, "{event:?}");
        assert!(!Directory::default().waits_for(&event).is_empty());
        let waits: Vec<String> = directory
            .waits_for(&event)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(waits.is_empty(), "{waits:?}");
    }
}

#[test]
fn what_teaches_nothing() {
    let unknown = |event: SendEvent| {
        let directory = taught(vec![], &[event]);
        directory.is_unknown(&Identity::Sid(SID.into()))
    };
    assert!(!unknown(delegate(1, ANNA)));
    assert!(unknown(SendEvent {
        user_type: Some(UserType::Application),
        ..delegate(1, ANNA)
    }));
    assert!(unknown(delegate(1, "app@sharepoint")));
    assert!(unknown(delegate(1, "s-1-5-18")));
    assert!(unknown(delegate(1, "")));
    assert!(unknown(SendEvent {
        sid_is_doubtful: true,
        ..delegate(1, ANNA)
    }));
    let template = SendEvent {
        owner: Some("default-1@x.templatetenant".into()),
        ..delegate(1, ANNA)
    };
    assert!(!unknown(template));
}

/// The answer does not depend on the way round.
#[test]
fn a_renamed_person_has_the_newest_name_everywhere() {
    let (old, new) = (delegate(1, ANNA), delegate(9, "anna.k@contoso.com"));
    for order in [[&old, &new], [&new, &old]] {
        let events: Vec<SendEvent> = order.into_iter().cloned().collect();
        let directory = taught(vec![], &events);
        for event in &events {
            assert_eq!(
                agent(&directory, event).as_deref(),
                Some("anna.k@contoso.com")
            );
        }
        let by_name_only = SendEvent {
            user_key: None,
            logon_user_sid: None,
            object_id: None,
            ..old.clone()
        };
        assert_eq!(
            agent(&directory, &by_name_only).as_deref(),
            Some("anna.k@contoso.com")
        );
        assert_eq!(directory.agent_name(ANNA), "anna.k@contoso.com");
        assert_eq!(answer(&directory, &events).verdict, Verdict::Attributed);
    }
}

/// Anna was renamed, and her old address went to somebody else.
#[test]
fn an_address_that_somebody_else_got_names_nobody_twice() {
    let other = |second| SendEvent {
        logon_user_sid: Some("s-1-5-21-1-2-3-2202".into()),
        user_key: Some("10032001266c2202".into()),
        object_id: Some(Uuid::from_u128(0x0b2)),
        ..delegate(second, ANNA)
    };
    let events = [
        delegate(1, ANNA),
        delegate(5, "anna.k@contoso.com"),
        other(9),
    ];
    for register in [
        vec![],
        vec![Mailbox {
            kind: MailboxKind::User,
            ..shared(ANNA)
        }],
    ] {
        let directory = taught(register, &events);
        assert_eq!(
            agent(&directory, &delegate(1, ANNA)).as_deref(),
            Some("anna.k@contoso.com")
        );
        assert_eq!(agent(&directory, &other(9)).as_deref(), Some(ANNA));
        let conflict = answer(&directory, &[delegate(1, ANNA), other(9)]);
        assert_eq!(conflict.verdict, Verdict::Conflict);
    }
}

/// One record has Bob's name and Anna's SID. Neither becomes the other.
#[test]
fn a_record_that_mixes_two_people_up_renames_nobody() {
    let bob = "bob@contoso.com";
    let bobs = |second| SendEvent {
        logon_user_sid: Some("s-1-5-21-1-2-3-2202".into()),
        user_key: Some("10032001266c2202".into()),
        object_id: Some(Uuid::from_u128(0x0b2)),
        ..delegate(second, bob)
    };
    let mixed = SendEvent {
        logon_user_sid: Some(SID.into()),
        ..bobs(9)
    };
    let by_sid = SendEvent {
        user_key: None,
        object_id: None,
        ..delegate(3, SID)
    };
    let events = [delegate(1, ANNA), bobs(2), mixed.clone()];
    for register in [
        vec![],
        vec![Mailbox {
            kind: MailboxKind::User,
            ..shared(ANNA)
        }],
    ] {
        let directory = taught(register, &events);
        for (event, expected) in [
            (&delegate(1, ANNA), ANNA),
            (&bobs(2), bob),
            (&mixed, bob),
            (&by_sid, ANNA),
        ] {
            assert_eq!(
                agent(&directory, event).as_deref(),
                Some(expected),
                "{event:?}"
            );
        }
    }
}

#[test]
fn an_account_that_was_made_anew_is_the_same_person() {
    let again = SendEvent {
        logon_user_sid: Some("s-1-5-21-9-9-9-9".into()),
        user_key: None,
        object_id: None,
        ..delegate(9, ANNA)
    };
    let directory = taught(vec![], &[delegate(1, ANNA), again.clone()]);
    let answer = answer(&directory, &[delegate(1, ANNA), again]);
    assert_eq!(answer.agent.as_deref(), Some(ANNA));
}

/// The register names the mailbox by its address, the record by the account's name.
#[test]
fn a_shared_account_is_known_by_its_mailbox() {
    let upn = "support@contoso.onmicrosoft.com";
    let register = vec![shared(SUPPORT)];
    let signed_in = own_send(1, upn, SUPPORT);
    let directory = taught(register.clone(), std::slice::from_ref(&signed_in));
    assert_eq!(
        answer(&directory, &[signed_in]).verdict,
        Verdict::NotAPerson
    );
    // also where the record itself does not tell whose mailbox it was
    let elsewhere = SendEvent {
        owner: None,
        owner_is_actor: None,
        mailbox_guid: None,
        ..own_send(2, upn, SUPPORT)
    };
    let verdict = answer(&directory, std::slice::from_ref(&elsewhere)).verdict;
    assert_eq!(verdict, Verdict::NotAPerson);
    let untaught = Directory::new(register, []);
    assert_eq!(answer(&untaught, &[elsewhere]).verdict, Verdict::Attributed);
}

fn agent_side(hour: i64, sent_as: Option<&str>, guid: Option<Uuid>) -> SendEvent {
    SendEvent {
        operation: Operation::SendAs,
        sent_as: sent_as.map(Into::into),
        sent_as_guid: guid,
        ..own_send(hour, ANNA, ANNA)
    }
}

#[test]
fn aliases_and_renames_are_one_mailbox() {
    let alias = agent_side(1, Some("help@contoso.com"), Some(SHARED_GUID));
    let bare = agent_side(2, None, Some(SHARED_GUID));
    let by_alias_only = agent_side(3, Some("help@contoso.com"), None);
    let primary = delegate(4, ANNA);
    let events = [alias.clone(), primary.clone()];
    let directory = taught(vec![], &events);
    for event in [&alias, &bare, &by_alias_only, &primary] {
        let answer = answer(&directory, std::slice::from_ref(event));
        assert_eq!(answer.mailbox.as_deref(), Some(SUPPORT), "{event:?}");
    }
    // the newest primary address, from when it shows
    let renamed = SendEvent {
        owner: Some("team@contoso.com".into()),
        ..delegate(9, ANNA)
    };
    let directory = taught(vec![], &[alias.clone(), primary.clone(), renamed.clone()]);
    for event in [&alias, &bare, &primary, &renamed] {
        let answer = answer(&directory, std::slice::from_ref(event));
        assert_eq!(answer.mailbox.as_deref(), Some("team@contoso.com"));
    }
    let name = |address| directory.mailbox_name(Some(address), None, NamedBy::SentAs);
    assert_eq!(name(SUPPORT), Some("team@contoso.com"));
    assert_eq!(name("else@contoso.com"), Some("else@contoso.com"));
    // what people registered counts, under any of its names
    let directory = taught(
        vec![shared("help@contoso.com")],
        &[alias, primary.clone(), renamed],
    );
    let answer = answer(&directory, &[primary]);
    assert_eq!(answer.mailbox.as_deref(), Some("help@contoso.com"));
    assert_eq!(answer.basis, Some(Basis::MailboxSendAs));
}

#[test]
fn a_guid_without_an_address_waits_for_it() {
    let bare = agent_side(2, None, Some(SHARED_GUID));
    let before = taught(vec![], std::slice::from_ref(&bare));
    assert_eq!(answer(&before, std::slice::from_ref(&bare)).mailbox, None);
    assert_eq!(before.waits_for(&bare), [Identity::Mailbox(SHARED_GUID)]);
    let mut lessons = Vec::new();
    before.untaught(&delegate(1, ANNA), &mut lessons);
    let learned = before.learn(&lessons);
    assert_eq!(learned.introduced, [Identity::Mailbox(SHARED_GUID)]);
    assert!(!learned.renamed);
    let after = answer(&learned.directory, std::slice::from_ref(&bare));
    assert_eq!(after.mailbox.as_deref(), Some(SUPPORT));
}

/// Used side by side, names are no rename: each record is taken at its word.
#[test]
fn a_name_that_comes_back_is_no_rename() {
    let names = ["anna@contoso.com", "ben@contoso.com"];
    let [anna, ben] = names.map(String::from);
    for register in [
        vec![],
        vec![Mailbox {
            kind: MailboxKind::User,
            ..shared(names[0])
        }],
        vec![Mailbox {
            kind: MailboxKind::User,
            ..shared(names[1])
        }],
    ] {
        let events = [delegate(1, &anna), delegate(5, &ben), delegate(9, &anna)];
        let directory = taught(register, &events);
        for (event, expected) in events.iter().zip([&anna, &ben, &anna]) {
            assert_eq!(
                agent(&directory, event).as_ref(),
                Some(expected),
                "{event:?}"
            );
        }
        let by_sid = SendEvent {
            user_key: None,
            object_id: None,
            ..delegate(5, SID)
        };
        assert_eq!(agent(&directory, &by_sid).as_ref(), Some(&anna));
        // one after the other within one hour: nothing tells yet which one lasts
        let events = [delegate(1, &anna), delegate(1, &ben)];
        let directory = taught(vec![], &events);
        for (event, expected) in events.iter().zip([&anna, &ben]) {
            assert_eq!(
                agent(&directory, event).as_ref(),
                Some(expected),
                "{event:?}"
            );
        }
    }
}

/// An agent sends as the shared mailbox, and the record has his own GUID beside its address.
#[test]
fn nobody_sends_as_himself() {
    let own_guid = Some(Uuid::from_u128(0xa));
    let private = own_send(1, ANNA, ANNA);
    let odd = SendEvent {
        mailbox_guid: own_guid,
        ..agent_side(2, Some(SUPPORT), own_guid)
    };
    for register in [vec![], vec![shared(SUPPORT)]] {
        let directory = taught(register, &[private.clone(), odd.clone()]);
        assert_eq!(
            answer(&directory, std::slice::from_ref(&private)).mailbox,
            None
        );
        assert!(!answer(&directory, std::slice::from_ref(&private)).listed);
        let answer = answer(&directory, std::slice::from_ref(&odd));
        assert_eq!(
            (answer.agent.as_deref(), answer.mailbox.as_deref()),
            (Some(ANNA), Some(SUPPORT))
        );
    }
}

/// The SIDs of an owner's session differ: an account that was moved, and private mail.
#[test]
fn a_doubtful_session_is_private() {
    let moved = SendEvent {
        owner: Some("anna.smith@contoso.com".into()),
        owner_is_actor: Some(false),
        sid_is_doubtful: true,
        ..own_send(1, ANNA, ANNA)
    };
    let answer = answer(&Directory::default(), std::slice::from_ref(&moved));
    assert_eq!(
        (answer.agent.as_deref(), answer.listed),
        (Some(ANNA), false)
    );
}

#[test]
fn a_placeholder_names_no_mailbox() {
    let template = SendEvent {
        owner: Some("default-1@contoso.templatetenant".into()),
        ..delegate(9, ANNA)
    };
    let directory = taught(vec![], &[delegate(1, ANNA), template.clone()]);
    for event in [delegate(1, ANNA), template] {
        let answer = answer(&directory, &[event]);
        assert_eq!(answer.mailbox.as_deref(), Some(SUPPORT));
    }
}

/// Thousands of mailboxes under one address would make every lesson expensive.
#[test]
fn an_address_of_very_many_tells_nothing() {
    let mailbox = |n: u128| SendEvent {
        mailbox_guid: Some(Uuid::from_u128(n)),
        ..delegate(1, ANNA)
    };
    let events: Vec<SendEvent> = (1..=5_000).map(mailbox).collect();
    let directory = taught(vec![], &events);
    assert_eq!(
        answer(&directory, &events[..1]).mailbox.as_deref(),
        Some(SUPPORT)
    );
    let mut lessons = Vec::new();
    for n in 6_000..7_000 {
        directory.untaught(&mailbox(n), &mut lessons);
    }
    assert!(!directory.learn(&lessons).renamed);
}

#[test]
fn only_what_changes_an_answer_is_a_rename() {
    let base = taught(vec![], &[delegate(5, ANNA)]);
    for (events, renamed) in [
        (vec![delegate(9, ANNA)], false),                // nothing new
        (vec![delegate(1, ANNA)], false),                // seen earlier
        (vec![delegate(9, "anna.k@contoso.com")], true), // a newer name
        (vec![delegate(1, "ann@contoso.com")], true), // an older one: a record may name her so only
        (vec![own_send(6, ANNA, "anna@mail.contoso.com")], false),
    ] {
        let mut lessons = Vec::new();
        for event in &events {
            base.untaught(event, &mut lessons);
        }
        assert_eq!(base.learn(&lessons).renamed, renamed, "{events:?}");
    }
    let mut lessons = Vec::new();
    base.untaught(&delegate(5, ANNA), &mut lessons);
    assert!(lessons.is_empty(), "{lessons:?}");
    base.untaught(&delegate(1, ANNA), &mut lessons);
    let seen: Vec<Timestamp> = lessons.iter().map(|lesson| lesson.seen.first).collect();
    assert_eq!(seen, [at(3_600); 4]);
}
