use super::*;
use crate::domain::{
    AdminChange, Evidence, Mailbox, MailboxKind, Operation, Setting, Side, Timestamp, Verdict,
    attribute,
    attribute::tests::{at, event},
    directory::parse_address,
};
use std::slice;

const ANNA: &str = "anna@contoso.com";
const BOB: &str = "bob@contoso.com";
const SUPPORT: &str = "support@contoso.com";

fn sid(of: &str) -> String {
    format!("s-1-5-21-7-{}", of.len())
}

/// Of somebody with a SID of his own, as agent.
pub(super) fn sent_by(record: u128, user_id: &str, account: &str) -> SendEvent {
    SendEvent {
        user_id: user_id.into(),
        owner: Some(account.into()),
        logon_user_sid: Some(sid(account)),
        ..event(record)
    }
}

pub(super) fn taught(events: &[SendEvent], register: Vec<Mailbox>) -> Directory {
    let nothing = Directory::new(register, []);
    let mut lessons = Vec::new();
    for event in events {
        nothing.untaught(event, &mut lessons);
    }
    nothing.learn(&lessons).directory
}

fn register(address: &str, kind: MailboxKind, aliases: &[&str]) -> Mailbox {
    Mailbox {
        address: address.into(),
        kind,
        aliases: aliases.iter().map(|&alias| alias.into()).collect(),
        display_name: String::new(),
        guid: Some(Uuid::from_u128(9)),
        object_id: Some(Uuid::from_u128(10)),
    }
}

pub(super) fn erased(person: &str, directory: &Directory) -> (Tombstones, Pseudonym) {
    let mut tombstones = Tombstones::new([7; 32], []);
    let subject = Subject::parse(person).expect("an identifier");
    let person = tombstones.collect(&subject, directory).expect("a person");
    (tombstones, person.pseudonym)
}

fn evidence(events: &[SendEvent]) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.add(events.iter().cloned());
    evidence
}

#[test]
fn a_pseudonym_is_no_address_and_is_keyed() {
    let (_, pseudonym) = erased(ANNA, &Directory::default());
    let text = pseudonym.to_string();
    assert_eq!(Pseudonym::parse(&text), Some(pseudonym));
    assert_eq!(parse_address(&text), None);
    assert!(is_pseudonym(&text) && !is_pseudonym(ANNA));
    assert_eq!(Pseudonym::parse(&text.to_uppercase()), None);
    for other in ["erased:anna", &text["erased:".len()..], &format!("{text}0")] {
        assert!(!is_pseudonym(other), "{other}");
    }
    let inside = format!("CN={text},OU=x");
    assert_eq!(Pseudonym::all_in(&inside).collect::<Vec<_>>(), [pseudonym]);
    let twice = format!("{text}{text} erased:");
    assert_eq!(Pseudonym::all_in(&twice).count(), 2);
    let mut other = Tombstones::new([8; 32], []);
    let subject = Subject::parse(ANNA).expect("an identifier");
    let person = other.collect(&subject, &Directory::default());
    assert_ne!(person.expect("a person").pseudonym, pseudonym);
    // the key is in no log, nor is who was erased
    assert_eq!(format!("{other:?}"), "Tombstones(1)");
}

#[test]
fn what_names_a_person() {
    for (text, expected) in [
        (" Anna@Contoso.com ", Some(Subject::Address(ANNA.into()))),
        (
            "i:0#.f|membership|anna@contoso.com",
            Some(Subject::Address(ANNA.into())),
        ),
        ("S-1-5-21-7-16", Some(Subject::Sid("s-1-5-21-7-16".into()))),
        (
            "10032001266C162C",
            Some(Subject::Puid("10032001266c162c".into())),
        ),
        ("S-1-5-18", None),
        ("anna", None),
        ("", None),
        ("00000000-0000-0000-0000-000000000000", None),
    ] {
        assert_eq!(Subject::parse(text), expected, "{text}");
    }
}

#[test]
fn the_message_of_an_erased_agent_is_nobody_elses() {
    let events = [sent_by(1, ANNA, ANNA), sent_by(2, &sid(ANNA), ANNA)];
    let directory = taught(&events, vec![]);
    let (tombstones, pseudonym) = erased(ANNA, &directory);
    let (evidence, whose) = evidence(&events).erased(&tombstones).expect("hers");
    assert_eq!(whose, [pseudonym].into());
    let attribution = attribute(&evidence, &Directory::default());
    assert_eq!(attribution.verdict, Verdict::Erased);
    assert_eq!(
        (attribution.agent, attribution.agent_object_id),
        (None, None)
    );
    assert_eq!(attribution.mailbox.as_deref(), Some(SUPPORT));
    assert!(attribution.candidates.is_empty() && attribution.listed);
    assert!(evidence.erased(&tombstones).is_none(), "once is enough");
}

#[test]
fn a_conflict_with_an_erased_person_stays_one() {
    let events = [sent_by(1, ANNA, ANNA), sent_by(2, BOB, BOB)];
    let (tombstones, pseudonym) = erased(ANNA, &taught(&events, vec![]));
    let (erased, _) = evidence(&events).erased(&tombstones).expect("hers");
    let attribution = attribute(&erased, &Directory::default());
    assert_eq!(attribution.verdict, Verdict::Conflict);
    assert_eq!(attribution.agent, None);
    assert_eq!(
        attribution.candidates,
        [BOB.to_owned(), pseudonym.to_string()]
    );
}

/// A SID that leads to nobody, and the plain send of an erased person: he was not the one before
/// either.
#[test]
fn an_erased_person_does_not_become_the_agent_of_what_somebody_else_sent() {
    let unknown = SendEvent {
        user_id: "s-1-5-21-99".into(),
        owner: Some(SUPPORT.into()),
        owner_is_actor: Some(false),
        side: Side::Mailbox,
        ..event(1)
    };
    let plain = SendEvent {
        operation: Operation::Send,
        sent_as: None,
        ..sent_by(2, ANNA, ANNA)
    };
    let events = [unknown, plain];
    let directory = taught(&events, vec![]);
    let before = attribute(&evidence(&events), &directory);
    let (tombstones, _) = erased(ANNA, &directory);
    let (erased, _) = evidence(&events).erased(&tombstones).expect("hers");
    let after = attribute(&erased, &directory);
    assert_eq!(
        (before.verdict, after.verdict),
        (Verdict::Unresolved, Verdict::Unresolved)
    );
}

#[test]
fn all_that_leads_to_the_person_is_his() {
    let alias = "anna.k@contoso.com";
    let events = [
        SendEvent {
            user_key: Some("10032001266c162c".into()),
            object_id: Some(Uuid::from_u128(3)),
            mailbox_guid: Some(Uuid::from_u128(4)),
            ..sent_by(1, ANNA, ANNA)
        },
        SendEvent {
            time: at(3 * 3_600),
            user_key: Some("10032001266c162c".into()),
            ..sent_by(2, "anna.new@contoso.com", "anna.new@contoso.com")
        },
    ];
    let register = vec![
        register(ANNA, MailboxKind::User, &[alias]),
        Mailbox {
            guid: None,
            object_id: None,
            ..register(SUPPORT, MailboxKind::Shared, &[])
        },
    ];
    let directory = taught(&events, register);
    for by in [
        ANNA,
        alias,
        "10032001266c162c",
        &Uuid::from_u128(10).to_string(),
    ] {
        let (tombstones, _) = erased(by, &directory);
        for known in [
            ANNA,
            alias,
            "anna.new@contoso.com",
            &sid(ANNA),
            "10032001266c162c",
        ] {
            assert!(tombstones.surely(known).is_some(), "{known} by {by}");
        }
        for guid in [3, 4, 9, 10] {
            assert!(
                tombstones.surely_guid(Uuid::from_u128(guid)).is_some(),
                "{guid} by {by}"
            );
        }
        assert!(tombstones.surely(SUPPORT).is_none());
        assert!(tombstones.surely(BOB).is_none());
    }
    let mut none = Tombstones::new([7; 32], []);
    let shared = Subject::parse(SUPPORT).expect("an identifier");
    assert_eq!(
        none.collect(&shared, &directory).expect_err("shared"),
        NobodysOwn
    );
    assert!(none.is_empty());
}

/// A record that mixes two accounts up does not erase both.
#[test]
fn who_is_mixed_up_with_an_erased_person_stays() {
    let mixed = SendEvent {
        user_id: BOB.into(),
        ..sent_by(3, ANNA, ANNA)
    };
    let events = [
        sent_by(1, ANNA, ANNA),
        sent_by(2, BOB, "bob.b@contoso.com"),
        mixed.clone(),
    ];
    let directory = taught(&events, vec![]);
    for person in [ANNA, BOB] {
        let (mut tombstones, _) = erased(person, &directory);
        for _ in 0..2 {
            for event in &events {
                tombstones.learn(event, &directory);
            }
        }
        let gone = |event: &SendEvent| tombstones.erase(event).is_some();
        assert_eq!(gone(&events[0]), person == ANNA);
        assert_eq!(gone(&events[1]), person == BOB);
        assert!(gone(&mixed), "it names {person}");
    }
}

/// A second SID that is nobody else's is hers, whether the directory knows it or not.
#[test]
fn an_erased_person_may_have_two_of_a_kind() {
    let old = sent_by(1, ANNA, ANNA);
    let new = SendEvent {
        logon_user_sid: Some("s-1-5-21-8-1".into()),
        ..sent_by(2, ANNA, ANNA)
    };
    for known in [vec![old.clone()], vec![old.clone(), new.clone()]] {
        let (mut tombstones, pseudonym) = erased(ANNA, &taught(slice::from_ref(&old), vec![]));
        let shown = tombstones.learn(&new, &taught(&known, vec![]));
        let texts: Vec<&str> = shown.iter().map(|shown| shown.text.as_str()).collect();
        assert_eq!(texts, ["s-1-5-21-8-1"]);
        assert_eq!(tombstones.surely("s-1-5-21-8-1"), Some(pseudonym));
    }
}

/// A record may say that the log of a shared mailbox is hers.
#[test]
fn a_mailbox_that_is_nobodys_own_is_not_hers() {
    let guid = Uuid::from_u128(9);
    let event = SendEvent {
        mailbox_guid: Some(guid),
        ..sent_by(1, ANNA, ANNA)
    };
    for (kind, is_hers) in [(MailboxKind::Shared, false), (MailboxKind::User, true)] {
        let directory = Directory::new(vec![register("other@contoso.com", kind, &[])], []);
        let (mut tombstones, _) = erased(ANNA, &Directory::default());
        tombstones.learn(&event, &directory);
        assert_eq!(tombstones.surely_guid(guid).is_some(), is_hers, "{kind:?}");
    }
}

#[test]
fn identifiers_are_found_inside_of_other_text() {
    let (tombstones, pseudonym) = erased(ANNA, &taught(&[sent_by(1, ANNA, ANNA)], vec![]));
    for text in [
        "Anna@Contoso.com",
        "smtp:anna@contoso.com",
        r#"{"UserId":"anna@contoso.com","x":1}"#,
        "i:0#.f|membership|ANNA@contoso.com",
        "x:y:z#anna@contoso.com",
        "to=anna@contoso.com;",
        "<anna@contoso.com>",
        "LogonUserSid: S-1-5-21-7-16,",
        "tag+anna@contoso.com",
        "S-1-5-21-7-16@contoso.com",
        "'anna@contoso.com'.",
    ] {
        assert_eq!(tombstones.named_in(text), Some(pseudonym), "{text}");
        assert!(tombstones.may_be_named_in(text.as_bytes()), "{text}");
    }
    for text in [
        "",
        "joanna@contoso.com",
        "anna@contoso.com.au",
        "anna",
        "S-1-5-21-7-161",
        BOB,
    ] {
        assert_eq!(tombstones.named_in(text), None, "{text}");
        assert!(!tombstones.may_be_named_in(text.as_bytes()), "{text}");
    }
    let utf16: Vec<u8> = ANNA.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for hidden in [
        &utf16[..],
        br#"{"UserId":"\u0061nna@contoso.com"}"#,
        b"anna%40contoso.com",
        b"\\X61nna",
        b"&#97;nna",
        b"=?utf-8?b?eA==?=",
        b"anna=40contoso.com",
        b"a\0n\0",
        b"\xff",
    ] {
        assert!(tombstones.may_be_named_in(hidden), "{hidden:?}");
    }
    let long = "+".repeat(1 << 20) + "anna@contoso.com";
    assert_eq!(tombstones.named_in(&long), Some(pseudonym));
}

#[test]
fn kinds_of_identifiers_have_names() {
    let names = Kind::ALL.map(Kind::name);
    assert_eq!(names, ["ADDRESS", "SID", "OBJECT", "PUID", "MAILBOX"]);
    let guid = Uuid::from_u128(7);
    let identities = [
        Identity::Sid("7".into()),
        Identity::Object(guid),
        Identity::Puid("7".into()),
        Identity::Mailbox(guid),
    ];
    let kinds = identities.each_ref().map(|one| Kind::of(Some(one)));
    assert_eq!(kinds, Kind::ALL[1..]);
    assert_eq!(Kind::of(None), Kind::Address);
}

#[test]
fn identifiers_become_pseudonyms_in_any_text() {
    let (tombstones, pseudonym) = erased(ANNA, &taught(&[sent_by(1, ANNA, ANNA)], vec![]));
    for (text, without) in [
        (" Anna@Contoso.com ", pseudonym.to_string()),
        ("<anna@contoso.com>", format!("<{pseudonym}>")),
        (
            "Anna@contoso.com;BOB@contoso.com;S-1-5-21-7-16",
            format!("{pseudonym};bob@contoso.com;{pseudonym}"),
        ),
    ] {
        assert_eq!(tombstones.without_names(text), Some(without), "{text}");
    }
    assert_eq!(tombstones.without_names(BOB), None);
    let none = Tombstones::default();
    assert!(none.is_empty() && !tombstones.is_empty());
    assert_eq!(none.named_in(ANNA), None);
    assert!(!none.may_be_named_in(b"\xff"));
}

/// What is of him alone goes; from what others have his name is taken.
#[test]
fn settings_of_an_erased_person_go() {
    use crate::domain::settings::{BypassSettings, Called, Names, PermissionSettings, Property};
    let (tombstones, pseudonym) = erased(ANNA, &Directory::default());
    let called = |name: &str, perhaps: &str| Called {
        name: name.into(),
        also: Vec::new(),
        perhaps: vec![perhaps.into()],
    };
    let bypass = |called| {
        Setting::Bypass(BypassSettings {
            captured_at: Timestamp::EARLIEST,
            called,
            enabled: Property::Known(true),
        })
    };
    let permission = |mailbox: &str, trustee: &str| {
        Setting::Permission(PermissionSettings {
            captured_at: Timestamp::EARLIEST,
            mailbox: mailbox.into(),
            trustee: trustee.into(),
            rights: Vec::new(),
            of_recipient: true,
            is_denied: false,
        })
    };
    for (setting, is_gone) in [
        (bypass(called(ANNA, "")), true),
        (bypass(called("x", "smtp:anna@contoso.com")), true),
        (bypass(called(BOB, "x")), false),
        (permission(ANNA, BOB), true),
        (permission(SUPPORT, ANNA), true),
        (permission(SUPPORT, BOB), false),
    ] {
        let left = if is_gone {
            Erased::Gone
        } else {
            Erased::Unchanged
        };
        assert_eq!(tombstones.erase_setting(&setting), left, "{setting:?}");
        let of = is_gone.then_some(pseudonym);
        assert_eq!(tombstones.of_setting(&setting), of, "{setting:?}");
        let kept = tombstones.erase_setting(&setting).or(setting.clone());
        assert_eq!(kept, (!is_gone).then_some(setting));
    }
    let mailbox = |name: &str, grants: &[&str]| {
        let grants = Names {
            names: grants.iter().map(|&name| name.into()).collect(),
            is_cut: false,
        };
        let mut one = crate::domain::setting::laws::untold();
        one.called = called(name, "");
        one.grant_send_on_behalf_to = Property::Known(grants);
        Setting::Mailbox(one)
    };
    assert_eq!(tombstones.erase_setting(&mailbox(ANNA, &[])), Erased::Gone);
    let unchanged = mailbox(SUPPORT, &[BOB]);
    assert_eq!(tombstones.erase_setting(&unchanged), Erased::Unchanged);
    assert_eq!(tombstones.of_setting(&unchanged), None);
    let names_her = mailbox(SUPPORT, &[ANNA, BOB]);
    assert_eq!(tombstones.of_setting(&names_her), Some(pseudonym));
    assert_eq!(
        tombstones.erase_setting(&names_her),
        Erased::Changed(unchanged)
    );
}

#[test]
fn what_else_is_kept_has_pseudonyms_too() {
    let (tombstones, pseudonym) = erased(ANNA, &Directory::default());
    let change = AdminChange {
        time: Timestamp::EARLIEST,
        record_id: Uuid::from_u128(1),
        operation: "Add-RecipientPermission",
        actor: ANNA.into(),
        target: SUPPORT.into(),
        failed: false,
        parameters: vec![("Trustee".into(), "smtp:Anna@contoso.com".into())],
    };
    let erased = tombstones
        .erase_change(&change)
        .or(change.clone())
        .expect("stays");
    assert_eq!(erased.actor, pseudonym.to_string());
    assert_eq!(erased.target, SUPPORT);
    assert_eq!(erased.parameters[0].1, format!("smtp:{pseudonym}"));
    assert_eq!(tombstones.erase_change(&erased), Erased::Unchanged);

    let hers = register(ANNA, MailboxKind::User, &[]);
    assert_eq!(tombstones.erase_mailbox(&hers), Erased::Gone);
    let heir = register(BOB, MailboxKind::User, &[ANNA]);
    let without = register(BOB, MailboxKind::User, &[]);
    assert_eq!(
        tombstones.erase_mailbox(&heir),
        Erased::Changed(without.clone())
    );
    assert_eq!(tombstones.erase_mailbox(&without), Erased::Unchanged);
}
