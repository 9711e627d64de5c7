//! What a directory holds, and what an address is.

use super::*;

#[test]
fn a_directory_holds_entries_lessons_and_the_erased() {
    let lessons = {
        let mut lessons = Vec::new();
        Directory::default().untaught(&delegate(1, ANNA), &mut lessons);
        lessons
    };
    for (register, lessons) in [
        (vec![], vec![]),
        (vec![shared(SUPPORT)], vec![]),
        (vec![], lessons.clone()),
        (vec![shared(SUPPORT), shared("sales@contoso.com")], lessons),
    ] {
        let held = register.len() + lessons.len();
        let directory = Directory::new(register, lessons);
        assert_eq!((directory.len(), directory.is_empty()), (held, held == 0));
    }
    let mut erased = Tombstones::new([7; 32], []);
    let anna = crate::domain::erasure::Subject::parse(ANNA).expect("an address");
    erased
        .collect(&anna, &Directory::default())
        .expect("a person");
    let directory = Directory::default().with_tombstones(erased);
    assert_eq!(directory.tombstones().len(), 1);
    assert!(directory.tombstones().surely(ANNA).is_some());
}

#[test]
fn only_a_users_mailbox_is_a_persons() {
    use MailboxKind::{Group, Resource, Shared, User};
    let kinds = [Shared, User, Group, Resource];
    let persons = kinds.map(MailboxKind::is_person);
    assert_eq!(persons, [false, true, false, false]);
}

#[test]
fn what_is_an_address() {
    let longest = format!("{}@b.c", "a".repeat(MAX_ADDRESS - 4));
    for (text, is_one, is_somebodys) in [
        (ANNA, true, true),
        ("app@sharepoint", true, false),
        ("{user}@{name}.templatetenant", true, false),
        ("\"a@b\"@c.d", true, true),
        ("", false, false),
        ("anna", false, false),
        ("a.b", false, false),
        ("@contoso.com", false, false),
        ("anna@", false, false),
        ("anna kern@contoso.com", false, false),
        ("anna\u{7}@contoso.com", false, false),
        (&longest, true, true),
        (&format!("a{longest}"), false, false),
    ] {
        assert_eq!(parse_address(text).is_some(), is_one, "{text}");
        assert_eq!(has_domain(text), is_somebodys, "{text}");
    }
    assert_eq!(parse_address(" Anna@Contoso.COM\n").as_deref(), Some(ANNA));
}
