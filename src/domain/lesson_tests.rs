//! What lessons say, one by one. What follows for answers is in the tests of the directory.

use super::*;
use crate::domain::time::MINUTE;

const ANNA: &str = "anna@contoso.com";
const BOB: &str = "bob@contoso.com";

fn at(minutes: i64) -> Timestamp {
    Timestamp::EARLIEST.plus(minutes * MINUTE)
}

fn sid(n: u128) -> Identity<'static> {
    Identity::Sid(format!("s-1-5-21-{n}").into())
}

fn mailbox(n: u128) -> Identity<'static> {
    Identity::Mailbox(Uuid::from_u128(n))
}

/// Seen in these hours.
fn lesson(
    identity: Identity<'static>,
    address: &str,
    named_by: NamedBy,
    (first, last): (i64, i64),
) -> Lesson {
    Lesson {
        identity,
        address: address.into(),
        named_by,
        seen: Seen {
            first: at(first * 60),
            last: at(last * 60),
        },
    }
}

fn addresses<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<&'a str> {
    names.map(|name| name.address.as_str()).collect()
}

#[test]
fn where_a_name_stands_has_a_name() {
    let names = NamedBy::ALL.map(NamedBy::name);
    assert_eq!(names, ["USER_ID", "OWNER", "SENT_AS"]);
    assert!(NamedBy::ALL.is_sorted(), "what is better known comes first");
}

#[test]
fn times_are_known_from_the_first_to_the_hour_of_the_last() {
    let seen = Seen::at(at(90));
    assert_eq!((seen.first, seen.last), (at(90), at(60)));
    let both = seen.and(Seen::at(at(200)));
    assert_eq!((both.first, both.last), (at(90), at(180)));
    let lessons = Lessons::new([Lesson {
        seen: both,
        ..lesson(sid(1), ANNA, NamedBy::UserId, (0, 0))
    }]);
    let holds =
        |minute, named_by, address| lessons.holds(&sid(1), address, named_by, Seen::at(at(minute)));
    for (minute, is_held) in [(89, false), (90, true), (239, true), (240, false)] {
        assert_eq!(holds(minute, NamedBy::UserId, ANNA), is_held, "{minute}");
    }
    assert!(!holds(90, NamedBy::Owner, ANNA) && !holds(90, NamedBy::UserId, BOB));
}

#[test]
fn lessons_are_counted_once() {
    let one = |identity| lesson(identity, ANNA, NamedBy::UserId, (1, 2));
    let mut lessons = Lessons::new([]);
    assert!(lessons.is_empty());
    let all = [
        sid(1),
        Identity::Puid("7".into()),
        Identity::Object(Uuid::from_u128(7)),
        mailbox(7),
    ];
    for _ in 0..2 {
        lessons.extend(all.clone().map(one));
        assert_eq!((lessons.len(), lessons.is_empty()), (4, false));
    }
    lessons.extend([lesson(sid(1), ANNA, NamedBy::UserId, (0, 9))]);
    assert_eq!(lessons.len(), 4);
    let expected = Seen {
        first: at(0),
        last: at(9 * 60),
    };
    assert_eq!(lessons.names(&sid(1))[0].seen, expected);
    lessons.extend([lesson(sid(1), ANNA, NamedBy::Owner, (0, 9))]);
    assert_eq!(lessons.len(), 5);
    assert_eq!(lessons.names(&sid(2)), []);
}

/// One name follows the other; or both are used side by side.
#[test]
fn a_name_makes_way_for_one_that_begins_when_it_has_ended() {
    for (old, new, makes_way) in [
        ((0, 4), (5, 9), true),
        ((0, 4), (4, 9), true),
        ((0, 4), (3, 9), false),
        ((0, 4), (4, 4), false),
    ] {
        let lessons = Lessons::new([
            lesson(sid(1), "ann@contoso.com", NamedBy::UserId, old),
            lesson(sid(1), ANNA, NamedBy::UserId, new),
            lesson(sid(1), "mail@contoso.com", NamedBy::Owner, (0, 20)),
        ]);
        let identity = sid(1);
        let current = lessons.current(&identity).expect("a name");
        assert_eq!(current.address, ANNA, "{old:?} {new:?}");
        let doubtful = addresses(lessons.doubtful(&identity));
        let own = addresses(lessons.own_names(&identity, NamedBy::UserId));
        let all = addresses(lessons.own_names(&identity, NamedBy::SentAs));
        if makes_way {
            assert_eq!(doubtful, [""; 0]);
            assert_eq!(own, [ANNA, "ann@contoso.com"]);
            assert_eq!(all, [ANNA, "ann@contoso.com", "mail@contoso.com"]);
        } else {
            assert_eq!(doubtful, ["ann@contoso.com"], "{old:?} {new:?}");
            assert_eq!(own, [ANNA]);
            assert_eq!(all, [ANNA, "mail@contoso.com"]);
        }
        let now = lessons.account_now("ann@contoso.com");
        let expected = if makes_way { ANNA } else { "ann@contoso.com" };
        assert_eq!((now.name, now.reassigned), (expected, false));
        assert_eq!(lessons.account_now(ANNA).name, ANNA);
    }
}

/// As long as the second is in use, what another account is called meanwhile does not follow it.
#[test]
fn names_follow_one_another_in_time() {
    for (last, now) in [(9, BOB), (10, "c@contoso.com")] {
        let puid = || Identity::Puid("7".into());
        let lessons = Lessons::new([
            lesson(sid(1), ANNA, NamedBy::UserId, (0, 2)),
            lesson(sid(1), BOB, NamedBy::UserId, (3, 9)),
            lesson(puid(), BOB, NamedBy::UserId, (3, 4)),
            lesson(puid(), "c@contoso.com", NamedBy::UserId, (5, last)),
        ]);
        assert_eq!(lessons.account_now(ANNA).name, now, "{last}");
    }
}

#[test]
fn a_name_of_two_accounts_is_neithers_own() {
    let lessons = Lessons::new([
        lesson(sid(1), ANNA, NamedBy::UserId, (0, 4)),
        lesson(sid(1), BOB, NamedBy::UserId, (9, 9)),
        lesson(sid(2), BOB, NamedBy::UserId, (2, 9)),
        // of another kind, so perhaps the same account
        lesson(Identity::Puid("7".into()), ANNA, NamedBy::UserId, (0, 4)),
    ]);
    let anna = lessons.current(&sid(1)).expect("a name");
    assert_eq!(anna.address, ANNA, "the newest that no other has");
    let bob = lessons.current(&sid(2)).expect("a name");
    assert_eq!(bob.address, BOB, "there is no other");
    assert_eq!(lessons.current(&sid(3)), None);
    // his own mailbox may be sent from by others too
    let mut owners = lessons.clone();
    owners.extend([sid(1), sid(2)].map(|one| lesson(one, "x@y.z", NamedBy::Owner, (0, 9))));
    let (one, own) = (sid(2), NamedBy::Owner);
    assert_eq!(addresses(owners.own_names(&one, own)), [BOB, "x@y.z"]);
    assert_eq!(owners.accounts_named("x@y.z"), []);
}

#[test]
fn an_address_that_two_people_had_tells_nothing() {
    let lessons = Lessons::new([
        lesson(sid(1), ANNA, NamedBy::UserId, (0, 2)),
        lesson(sid(1), "anna.k@contoso.com", NamedBy::UserId, (3, 9)),
        lesson(sid(2), ANNA, NamedBy::UserId, (5, 9)),
    ]);
    let now = lessons.account_now(ANNA);
    assert_eq!((now.name, now.reassigned), (ANNA, true));
    let mailboxes = Lessons::new([
        lesson(mailbox(1), ANNA, NamedBy::Owner, (0, 2)),
        lesson(mailbox(1), "help@contoso.com", NamedBy::SentAs, (0, 2)),
        lesson(mailbox(2), BOB, NamedBy::Owner, (0, 2)),
        lesson(mailbox(2), "help@contoso.com", NamedBy::SentAs, (0, 2)),
        lesson(mailbox(2), "team@contoso.com", NamedBy::SentAs, (0, 2)),
    ]);
    let now = |address, most| mailboxes.mailbox_now(address, most);
    assert_eq!(now("help@contoso.com", NamedBy::SentAs), None);
    assert_eq!(now("team@contoso.com", NamedBy::SentAs), Some(BOB));
    assert_eq!(now("team@contoso.com", NamedBy::Owner), None);
    assert_eq!(now(ANNA, NamedBy::Owner), Some(ANNA));
}

/// So many may still be one; one more tells nothing.
#[test]
fn very_many_under_one_address_tell_nothing() {
    for (count, tells) in [(1, true), (MANY, true), (MANY + 1, false)] {
        let all = 0..count as u128;
        let of = |n| {
            [
                lesson(sid(n), ANNA, NamedBy::UserId, (0, 2)),
                lesson(sid(n), BOB, NamedBy::UserId, (3, 9)),
                lesson(mailbox(n), ANNA, NamedBy::Owner, (0, 2)),
            ]
        };
        let lessons = Lessons::new(all.flat_map(of));
        let accounts = lessons.accounts_named(ANNA).len();
        assert_eq!(accounts, if tells { count } else { 0 });
        let mailboxes = lessons.mailboxes_named(ANNA, NamedBy::Owner).count();
        assert_eq!(mailboxes, if tells { count } else { 0 });
        assert_eq!(lessons.mailboxes_named(ANNA, NamedBy::UserId).count(), 0);
        let now = lessons.mailbox_now(ANNA, NamedBy::Owner);
        assert_eq!(now.is_some(), tells, "{count}");
    }
}

#[test]
fn what_is_connected_is_reached_through_others() {
    let lessons = Lessons::new([
        lesson(sid(1), ANNA, NamedBy::UserId, (0, 2)),
        lesson(sid(2), ANNA, NamedBy::UserId, (3, 9)),
        lesson(sid(2), BOB, NamedBy::UserId, (0, 2)),
        lesson(sid(2), "x@y.z", NamedBy::Owner, (0, 2)),
        lesson(sid(3), "x@y.z", NamedBy::UserId, (0, 2)),
        lesson(mailbox(1), ANNA, NamedBy::Owner, (0, 2)),
    ]);
    let (identities, addresses) = lessons.connected(&Lessons::default(), [sid(1)]);
    assert_eq!(identities, BTreeSet::from([sid(1), sid(2)]));
    assert_eq!(addresses, BTreeSet::from([ANNA, BOB]));
    let (identities, addresses) = lessons.connected(&Lessons::default(), [mailbox(1)]);
    assert_eq!(identities, BTreeSet::from([mailbox(1)]));
    assert_eq!(addresses, BTreeSet::from([ANNA]));
    // one that too many had before has told nothing since
    for (count, is_reached) in [(MANY, true), (MANY + 1, false)] {
        let many = (10..10 + count as u128).map(|n| lesson(sid(n), ANNA, NamedBy::UserId, (0, 2)));
        let before = Lessons::new(many);
        let (identities, _) = lessons.connected(&before, [sid(1)]);
        assert_eq!(identities.contains(&sid(2)), is_reached, "{count}");
    }
}
