//! The mailbox side, the agent side, and both.

use super::*;

const ADD_SEND_AS: &str =
    "Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendAs\"}";
const ADD_ON_BEHALF: &str =
    "Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendOnBehalf\"}";
const ADD_SEND: &str = "Set-Mailbox -Identity 'anna@contoso.com' -AuditOwner @{Add=\"Send\"}";

#[test]
fn a_shared_mailbox_logs_no_delegates() {
    let lacks = |names: &str| MailboxSettings {
        audit_delegate: list(names),
        ..shared_broken()
    };
    let case = Case::with(vec![lacks("Update, SendOnBehalf"), agent(ANNA)]);
    let finding = case.repaired_by(
        "WARNING SHARED_SEND_AS_NOT_AUDITED support@contoso.com",
        &[ADD_SEND_AS],
    );
    assert_eq!(
        finding.meaning,
        "The shared mailbox does not log who sends as it; the agents' own mailboxes make up for \
         it, but nothing confirms them."
    );
    assert_eq!(
        finding.remedy.advice,
        "Or follow Microsoft's defaults from now on: Set-Mailbox -Identity 'support@contoso.com' \
         -DefaultAuditSet Admin,Delegate,Owner"
    );
    assert_eq!(
        finding.clues[0].says,
        "DefaultAuditSet is Admin, Owner; AuditDelegate is Update, SendOnBehalf"
    );
    let case = Case::with(vec![lacks("SendAs"), agent(ANNA)]);
    let expected = "WARNING SHARED_SEND_ON_BEHALF_NOT_AUDITED support@contoso.com";
    case.repaired_by(expected, &[ADD_ON_BEHALF]);
}

#[test]
fn the_two_sides_make_up_for_each_other() {
    let found = |mailboxes: Vec<MailboxSettings>| Case::with(mailboxes).found();
    let send_as = "SHARED_SEND_AS_NOT_AUDITED support@contoso.com";
    let on_behalf = "WARNING SHARED_SEND_ON_BEHALF_NOT_AUDITED support@contoso.com".to_owned();
    let send = "AGENT_SEND_NOT_AUDITED anna@contoso.com";
    let right = found(vec![shared_broken(), agent(ANNA)]);
    assert_eq!(right, [format!("WARNING {send_as}"), on_behalf.clone()]);
    let unknown = found(vec![shared_broken()]);
    assert_eq!(unknown, [format!("ERROR {send_as}"), on_behalf.clone()]);
    let both = found(vec![shared_broken(), agent_broken(ANNA), agent(BEN)]);
    let expected = [
        format!("ERROR {send_as}"),
        format!("ERROR {send}"),
        on_behalf,
    ];
    assert_eq!(both, expected);
    let agent_only = Case::with(vec![shared(), agent_broken(ANNA)]);
    let finding = agent_only.repaired_by(&format!("WARNING {send}"), &[ADD_SEND]);
    assert!(
        finding
            .meaning
            .ends_with("; the shared mailbox makes up for it, but nothing confirms it.")
    );
    assert!(finding.remedy.advice.contains("licence"));
    // with the permissions known, others do not count
    let mut case = Case::with(vec![shared_broken(), agent_broken(ANNA), agent(BEN)]);
    case.settings.permissions = permissions(&[(BEN, Right::SendAs)]);
    assert_eq!(case.found()[0], format!("WARNING {send_as}"));
    assert!(!case.found().iter().any(|line| line.contains(ANNA)));
    // a bypass takes both sides
    case.settings.bypasses = vec![bypass(BEN, true)];
    assert_eq!(
        case.found()[..2],
        [
            "ERROR AUDIT_BYPASSED ben@contoso.com".to_owned(),
            format!("ERROR {send_as}")
        ]
    );
}

#[test]
fn a_licence_without_send() {
    let owner = MailboxSettings {
        audit_owner: list("Update, SoftDelete"),
        ..agent(ANNA)
    };
    let expected = "WARNING AGENT_SEND_NOT_AUDITED anna@contoso.com";
    Case::with(vec![shared(), owner]).repaired_by(expected, &[ADD_SEND]);
}

const WHOLE: [&str; 2] = [
    "$FormatEnumerationLimit = -1",
    "Get-Mailbox -Identity 'support@contoso.com' | Format-List PrimarySmtpAddress,\
     RecipientTypeDetails,MailboxRegion,AuditEnabled,AuditLogAgeLimit,DefaultAuditSet,\
     AuditDelegate,AuditOwner,GrantSendOnBehalfTo",
];

#[test]
fn what_is_cut_off_is_unknown_and_not_missing() {
    let cut = list("Update, MoveToDeletedItems, SoftDelete, HardDelete…");
    let unknown = "UNKNOWN SHARED_SEND_AS_NOT_AUDITED support@contoso.com";
    let customised = MailboxSettings {
        audit_delegate: cut.clone(),
        ..shared_broken()
    };
    Case::with(vec![customised]).repaired_by(unknown, &WHOLE);
    // the defaults have it, cut off or not
    let default = MailboxSettings {
        audit_delegate: cut.clone(),
        audit_owner: cut.clone(),
        ..shared()
    };
    let owner = MailboxSettings {
        audit_owner: cut.clone(),
        ..agent(ANNA)
    };
    assert_eq!(Case::with(vec![default, owner]).found(), [""; 0]);
    let owner = MailboxSettings {
        default_audit_set: list("Admin"),
        audit_owner: cut,
        ..agent(ANNA)
    };
    let case = Case::with(vec![shared(), owner]);
    assert_eq!(
        case.found(),
        ["UNKNOWN AGENT_SEND_NOT_AUDITED anna@contoso.com"]
    );
    let nothing = MailboxSettings {
        default_audit_set: Property::NotGiven,
        audit_delegate: Property::NotGiven,
        ..shared()
    };
    Case::with(vec![nothing]).repaired_by(unknown, &WHOLE);
    let lost = MailboxSettings {
        default_audit_set: Property::Unknown,
        audit_delegate: Property::Unknown,
        ..shared()
    };
    Case::with(vec![lost]).repaired_by(unknown, &WHOLE);
}

/// An export of everybody has lists that do not matter.
#[test]
fn only_what_matters_is_asked_for_again() {
    let cut = list("Update, MoveToDeletedItems, SoftDelete, HardDelete…");
    // nobody knows that it is shared
    let untold = MailboxSettings {
        recipient_type: Property::NotGiven,
        default_audit_set: list("Owner"),
        audit_delegate: cut,
        ..shared()
    };
    assert_eq!(Case::with(vec![untold]).found(), [""; 0]);
    // and that of a person is not there at all
    let agent = MailboxSettings {
        default_audit_set: list("Admin"),
        audit_owner: Property::NotGiven,
        ..agent(ANNA)
    };
    assert_eq!(Case::with(vec![shared(), agent]).found(), [""; 0]);
}

#[test]
fn lists_changed_in_the_feed() {
    let send_as = "ERROR SHARED_SEND_AS_NOT_AUDITED support@contoso.com";
    let on_behalf = "WARNING SHARED_SEND_ON_BEHALF_NOT_AUDITED support@contoso.com";
    let set = |hour, value: &str| change(hour, "Set-Mailbox", SHARED, &[("AuditDelegate", value)]);
    let found = |changes: &[AdminChange]| {
        let mut case = Case::default().shared();
        case.changes = changes.to_vec();
        case.found()
    };
    for lacking in [
        "Update;SoftDelete",
        "Update, SoftDelete",
        "{Update, SoftDelete}",
        "Update",
        "$null",
        "",
    ] {
        assert_eq!(found(&[set(1, lacking)]), [send_as, on_behalf], "{lacking}");
    }
    for (value, expected) in [
        ("Update;SendAs;SendOnBehalf", vec![]),
        ("@{Remove=\"SendAs\"}", vec![send_as]),
        (
            "@{Remove='SendOnBehalf','SendAs'}",
            vec![send_as, on_behalf],
        ),
        (
            "@{Add=\"SendAs\"; Remove=\"SendOnBehalf\"}",
            vec![on_behalf],
        ),
        ("@{Add=\"Update\"}", vec![]),
        (
            "System.Collections.Hashtable",
            vec!["UNKNOWN SHARED_SEND_AS_NOT_AUDITED support@contoso.com"],
        ),
    ] {
        assert_eq!(found(&[set(1, value)]), expected, "{value}");
    }
    // broken, and repaired in one of three ways
    let broken = set(1, "Update");
    let repair = "@{Add=\"SendAs\",\"SendOnBehalf\"}";
    assert_eq!(found(&[broken.clone(), set(2, repair)]), [""; 0]);
    assert_eq!(
        found(&[set(2, "Update"), set(1, repair)]),
        [send_as, on_behalf]
    );
    let default = [("DefaultAuditSet", "Admin,Delegate,Owner")];
    let default = change(2, "Set-Mailbox", SHARED, &default);
    assert_eq!(found(&[broken.clone(), default]), [""; 0]);
    let mut case = Case::with(vec![shared(), agent(ANNA)]);
    assert_eq!(case.found(), [""; 0]);
    // newer than the settings
    case.changes = vec![set(11, "Update")];
    assert_eq!(case.found().len(), 2);
    // settings that are cut off do not take back what the feed says
    let mut case = Case::with(vec![MailboxSettings {
        audit_delegate: list("a, b, c, d…"),
        ..shared_broken()
    }]);
    case.changes = vec![broken];
    assert_eq!(case.found(), [send_as, on_behalf]);
    let clues = &case.findings()[0].clues;
    assert_eq!(clues[0].says, "AuditDelegate was set to Update");
}

/// An older export cannot vouch for defaults that a newer one says are gone.
#[test]
fn defaults_that_are_gone_tell_nothing_any_more() {
    let exported = |hour: i64, default_audit_set: &str| MailboxSettings {
        captured_at: at(hour),
        default_audit_set: list(default_audit_set),
        audit_delegate: Property::NotGiven,
        ..shared()
    };
    let defaults = exported(1, "Admin, Delegate, Owner");
    let mut case = Case::with(vec![defaults.clone(), agent(ANNA)]);
    assert_eq!(case.found(), [""; 0]);
    case.settings.mailboxes.push(exported(2, "Admin, Owner"));
    let unknown = "UNKNOWN SHARED_SEND_AS_NOT_AUDITED support@contoso.com";
    assert_eq!(case.found()[0], unknown);
    let again = MailboxSettings {
        captured_at: at(3),
        ..defaults
    };
    case.settings.mailboxes.push(again);
    assert_eq!(case.found(), [""; 0]);
}
