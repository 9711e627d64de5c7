//! From which mailbox a message was sent, and when that is nobody's business.

use super::{
    tests::{ANNA, BOB, SUPPORT, judged, judged_with, mailbox_side, plain, register},
    *,
};
use crate::domain::{MailboxKind, send_event::UserType};

/// His mailbox may have another address than the name that he signs in with.
#[test]
fn own_mail_stays_private_whoever_names_the_mailbox() {
    const PRIMARY: &str = "first.last@contoso.com";
    let own = SendEvent {
        owner: Some(PRIMARY.into()),
        ..plain(1, ANNA)
    };
    let administrator = SendEvent {
        user_type: Some(UserType::Admin),
        admin: true,
        user_id: "s-1-5-18".into(),
        owner_is_actor: Some(false),
        side: Side::Mailbox,
        ..plain(2, PRIMARY)
    };
    let administrator = SendEvent {
        owner: Some(PRIMARY.into()),
        ..administrator
    };
    let both = [own.clone(), administrator.clone()];
    let private = judged(&both);
    assert_eq!(private.agent.as_deref(), Some(ANNA));
    assert_eq!((private.mailbox, private.listed), (None, false));
    // an attempt that failed tells nothing of who sent
    let failed = SendEvent {
        failed: true,
        ..own
    };
    assert!(judged(&[failed, administrator.clone()]).listed);
    // somebody else's own mail, or a mailbox that people registered as a team's
    let others = SendEvent {
        owner: Some(BOB.into()),
        ..administrator
    };
    let of_bob = judged(&[both[0].clone(), others]);
    assert_eq!(of_bob.mailbox.as_deref(), Some(BOB));
    assert!(of_bob.listed);
    let team = vec![
        register(PRIMARY, MailboxKind::Shared, &[]),
        register(ANNA, MailboxKind::User, &[]),
    ];
    let listed = judged_with(&both, team);
    assert_eq!(listed.agent.as_deref(), Some(ANNA));
    assert_eq!(listed.mailbox.as_deref(), Some(PRIMARY));
    assert!(listed.listed);
}

/// The GUID of the log will do for its address, once a record has told which one that is.
#[test]
fn a_log_without_an_address_is_told_by_its_guid() {
    let guid = Some(Uuid::from_u128(0x5a));
    let told = SendEvent {
        mailbox_guid: guid,
        ..mailbox_side(1, ANNA)
    };
    let bare = SendEvent {
        owner: None,
        mailbox_guid: guid,
        ..mailbox_side(2, ANNA)
    };
    let mut evidence = Evidence::default();
    evidence.add([bare.clone()]);
    let mailbox = |directory: &Directory| attribute(&evidence, directory).mailbox;
    let before = Directory::default();
    assert_eq!(mailbox(&before), None);
    let waited_for: Vec<_> = bare.mailbox_guids().map(Identity::Mailbox).collect();
    assert_eq!(before.waits_for(&bare), waited_for);
    let mut lessons = Vec::new();
    before.untaught(&told, &mut lessons);
    let after = before.learn(&lessons).directory;
    assert_eq!(mailbox(&after).as_deref(), Some(SUPPORT));

    // the agent's own log is not what he sent from
    let own = SendEvent {
        side: Side::Agent,
        owner_is_actor: Some(true),
        sent_as: None,
        ..bare
    };
    evidence = Evidence::default();
    evidence.add([own]);
    assert_eq!(attribute(&evidence, &after).mailbox, None);
}
