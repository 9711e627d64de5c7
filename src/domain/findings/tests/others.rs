//! Single mailboxes, pairs, and what was observed.

use super::*;

#[test]
fn the_same_mailbox_by_any_of_its_names() {
    let off = [("AuditLogAgeLimit", "00:00:00")];
    let expected = "WARNING NO_RETENTION support@contoso.com";
    for name in [
        "Support@Contoso.com",
        "help@contoso.com",
        "{00000000-0000-0000-0000-000000000007}",
        "EURPR05A001.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/contoso/00000000-0000-0000-0000-000000000007",
    ] {
        let case = Case::default()
            .shared()
            .change(change(1, "Set-Mailbox", name, &off));
        assert_eq!(case.found(), [expected], "{name}");
    }
    // Identity says what the GUID is called, here and in other records
    let guid = "a88ae17c-f562-4c1f-a377-8910b6847d76";
    let both = [
        ("AuditLogAgeLimit", "00:00:00"),
        ("Identity", "Alex@contoso.com"),
    ];
    let case = Case::default().change(change(1, "Set-Mailbox", guid, &both));
    case.repaired_by(
        "WARNING NO_RETENTION alex@contoso.com",
        &["Set-Mailbox -Identity 'alex@contoso.com' -AuditLogAgeLimit 90.00:00:00"],
    );
    let repaired = change(
        2,
        "Set-Mailbox",
        guid,
        &[("AuditLogAgeLimit", "30.00:00:00")],
    );
    assert_eq!(case.change(repaired).found(), [""; 0]);
    let case = Case::default().change(change(1, "Set-Mailbox", guid, &off));
    assert_eq!(case.found(), [format!("WARNING NO_RETENTION {guid}")]);
}

#[test]
fn single_mailboxes() {
    let zero = MailboxSettings {
        audit_log_age_limit: Property::Known(0),
        ..shared()
    };
    let finding = Case::with(vec![zero.clone()]).repaired_by(
        "WARNING NO_RETENTION support@contoso.com",
        &["Set-Mailbox -Identity 'support@contoso.com' -AuditLogAgeLimit 90.00:00:00"],
    );
    assert_eq!(finding.clues[0].says, "AuditLogAgeLimit is 00:00:00");
    let newer = MailboxSettings {
        captured_at: at(11),
        ..shared()
    };
    assert_eq!(Case::with(vec![zero, newer]).found(), [""; 0]);

    let disabled = MailboxSettings {
        audit_enabled: Property::Known(false),
        ..agent(ANNA)
    };
    let expected = "WARNING AUDIT_NOT_ENABLED anna@contoso.com";
    let command = "Set-Mailbox -Identity 'anna@contoso.com' -AuditEnabled $true";
    let case = Case::with(vec![shared(), disabled]);
    case.repaired_by(expected, &[command]);
    let repaired = change(11, "Set-Mailbox", ANNA, &[("AuditEnabled", "True")]);
    assert_eq!(case.change(repaired).found(), [""; 0]);
    // True in settings proves nothing
    let off = change(5, "Set-Mailbox", ANNA, &[("AuditEnabled", "False")]);
    Case::default()
        .change(off.clone())
        .repaired_by(expected, &[command]);
    Case::with(vec![agent(ANNA)]).change(off).repaired_by(
        "UNKNOWN AUDIT_NOT_ENABLED anna@contoso.com",
        &[
            "Get-Mailbox -ResultSize Unlimited -Filter {AuditEnabled -eq \"True\"} | Format-Table \
           PrimarySmtpAddress",
        ],
    );

    let room = mailbox(SHARED, "RoomMailbox");
    let case = Case::with(vec![room]).shared();
    case.repaired_by("WARNING KIND_NOT_AUDITED support@contoso.com", &[]);
    let group = mailbox(SHARED, "GroupMailbox");
    let mut case = Case::with(vec![group, agent(ANNA)]);
    case.settings.permissions = permissions(&[(ANNA, Right::SendAs)]);
    case.repaired_by("INFO KIND_NOT_AUDITED support@contoso.com", &[]);
}

#[test]
fn a_bypass() {
    let mut case = Case::healthy();
    case.settings.bypasses = vec![bypass(ANNA, true)];
    let command =
        "Set-MailboxAuditBypassAssociation -Identity 'anna@contoso.com' -AuditBypassEnabled $false";
    case.repaired_by("ERROR AUDIT_BYPASSED anna@contoso.com", &[command]);
    let operation = "Set-MailboxAuditBypassAssociation";
    let off = change(11, operation, ANNA, &[("AuditBypassEnabled", "False")]);
    assert_eq!(case.change(off).found(), [""; 0]);
    // nothing else is known
    let mut alone = Case::default();
    alone.settings.bypasses = vec![bypass(ANNA, true), bypass(BEN, false)];
    alone.repaired_by("ERROR AUDIT_BYPASSED anna@contoso.com", &[command]);
    // of somebody who sends from no shared mailbox
    let on = change(
        11,
        operation,
        "backup@contoso.com",
        &[("AuditBypassEnabled", "True")],
    );
    let case = Case::healthy().change(on);
    assert_eq!(case.found(), ["INFO AUDIT_BYPASSED backup@contoso.com"]);
}

#[test]
fn regions() {
    let far = MailboxSettings {
        region: Property::Known("NAM".into()),
        ..agent(ANNA)
    };
    let mut case = Case::healthy();
    case.settings.mailboxes[1] = far.clone();
    let pair = "ERROR REGIONS_DIFFER support@contoso.com anna@contoso.com";
    let finding = case.repaired_by(pair, &[]);
    assert_eq!(
        finding.clues[1].says,
        "MailboxRegion of anna@contoso.com is NAM"
    );
    // nobody knows who the agents are
    let case = Case::with(vec![shared(), far.clone(), agent(BEN)]);
    let finding = case.repaired_by("ERROR REGIONS_DIFFER support@contoso.com", &[]);
    assert!(
        finding
            .meaning
            .ends_with("that is so for anna@contoso.com, if they send from it.")
    );
    // the mail itself names who sends on behalf
    let mut case = Case::with(vec![
        MailboxSettings {
            grant_send_on_behalf_to: people(ANNA),
            ..shared()
        },
        far,
    ]);
    case.settings.permissions = permissions(&[]);
    assert_eq!(case.found(), [""; 0]);
    // several regions, and that of the mailbox was not exported
    let mut case = Case::healthy();
    case.settings.organizations[0].allowed_regions = list("EUR, NAM");
    assert_eq!(case.found(), [""; 0]);
    case.settings.mailboxes[0].region = Property::NotGiven;
    assert_eq!(case.found(), ["UNKNOWN REGIONS_DIFFER support@contoso.com"]);
}

#[test]
fn permissions_that_are_missing_or_too_many() {
    let mut case = Case::healthy();
    case.settings.mailboxes[0].grant_send_on_behalf_to = people("Anna Kern");
    case.settings.mailboxes[1].called.perhaps = vec!["anna kern".into()];
    case.repaired_by(
        "INFO SEND_AS_AND_SEND_ON_BEHALF support@contoso.com anna@contoso.com",
        &["Remove-RecipientPermission -Identity 'support@contoso.com' -AccessRights SendAs -Trustee \
           'anna@contoso.com' -Confirm:$false"],
    );
    let without = "WARNING AGENT_WITHOUT_SEND_AS support@contoso.com anna@contoso.com";
    let command = "Add-RecipientPermission -Identity 'support@contoso.com' -AccessRights SendAs \
                   -Trustee 'anna@contoso.com' -Confirm:$false";
    let mut case = Case::healthy();
    case.settings.permissions = permissions(&[(ANNA, Right::FullAccess)]);
    case.repaired_by(without, &[command]);
    // not if only a part of the rows was exported, or a group may have it
    case.settings.permissions.retain(|row| row.trustee == ANNA);
    assert_eq!(case.found(), [""; 0]);
    case.settings.permissions = permissions(&[(ANNA, Right::FullAccess), ("team", Right::SendAs)]);
    assert_eq!(case.found(), [""; 0]);
    // taken away, and given again
    let trustee = [("AccessRights", "SendAs"), ("Trustee", ANNA)];
    let taken = change(11, "Remove-RecipientPermission", SHARED, &trustee);
    let given = change(12, "Add-RecipientPermission", SHARED, &trustee);
    let case = Case::healthy().change(taken);
    let finding = case.repaired_by(without, &[command]);
    assert_eq!(
        finding.clues[0].says,
        "SendAs was taken from anna@contoso.com"
    );
    assert_eq!(case.change(given.clone()).found(), [""; 0]);
    assert_eq!(Case::default().change(given).found(), [""; 0]);
}

/// Exports call people by display names. The clues call them as the finding does.
#[test]
fn a_trustee_has_one_name_in_a_finding() {
    let anna = MailboxSettings {
        called: Called {
            perhaps: vec!["Anna Keller".into()],
            ..agent(ANNA).called
        },
        ..agent(ANNA)
    };
    let support = MailboxSettings {
        grant_send_on_behalf_to: people("Anna Keller"),
        ..shared()
    };
    let mut case = Case::with(vec![support, anna]);
    let trustee = [("AccessRights", "SendAs"), ("Trustee", "Anna Keller")];
    case.settings.permissions = permissions(&[("anna keller", Right::SendAs)]);
    let says = |case: &Case, cause| {
        let found = case.findings();
        let of_cause = found.into_iter().find(|one| one.cause == cause);
        let clues = of_cause.expect("a finding").clues.into_iter();
        clues.map(|clue| clue.says).collect::<Vec<String>>()
    };
    assert_eq!(
        says(&case, Cause::SendAsAndSendOnBehalf),
        [
            format!("{ANNA} has SendAs"),
            format!("GrantSendOnBehalfTo has {ANNA}")
        ]
    );
    case.settings.mailboxes[0] = shared();
    let taken = change(11, "Remove-RecipientPermission", SHARED, &trustee);
    assert_eq!(
        says(&case.change(taken), Cause::AgentWithoutSendAs),
        [format!("SendAs was taken from {ANNA}")]
    );
}

#[test]
fn what_was_observed() {
    let span = |first, last| {
        Some(Span {
            first: day(first),
            last: day(last),
        })
    };
    let sides = |mailbox_side, agent_side| {
        let mut case = Case::healthy();
        case.observed.sides = vec![Sides {
            mailbox: SHARED.into(),
            agent: ANNA.into(),
            mailbox_side,
            agent_side,
        }];
        case.found()
    };
    let pair = "support@contoso.com anna@contoso.com";
    let silent = [format!("WARNING SIDE_WENT_SILENT {pair}")];
    assert_eq!(sides(span(0, 10), span(0, 17)), silent);
    assert_eq!(sides(span(0, 17), span(0, 10)), silent);
    assert_eq!(sides(span(0, 17), span(0, 11)), [""; 0]);
    assert_eq!(
        sides(span(0, 7), None),
        [format!("INFO AGENT_SIDE_NEVER_SEEN {pair}")]
    );
    assert_eq!(sides(span(0, 6), None), [""; 0]);
    assert_eq!(sides(None, span(0, 50)), [""; 0]);

    let sender = |is_application| {
        let mut case = Case::healthy();
        case.observed.senders = vec![Sender {
            mailbox: SHARED.into(),
            is_application,
            messages: 3,
            seen: Span {
                first: day(1),
                last: day(2),
            },
        }];
        case
    };
    let signs_in = sender(false).repaired_by("ERROR SHARED_ACCOUNT_SENDS support@contoso.com", &[]);
    assert!(
        signs_in
            .remedy
            .advice
            .contains("Send As on 'support@contoso.com'")
    );
    sender(true).repaired_by("INFO APPLICATION_SENDS support@contoso.com", &[]);
}

#[test]
fn consent_and_collector() {
    let mut case = Case::healthy();
    case.observed.revoked_at = Some(day(1));
    case.repaired_by("ERROR CONSENT_REVOKED", &[]);
    for (code, expected) in [
        ("AF10001", "ERROR PERMISSION_MISSING"),
        ("af20022", "ERROR NO_SUBSCRIPTION"),
        ("AF20051", "WARNING CONTENT_EXPIRED"),
        ("AF20010", "ERROR COLLECTOR_FAILS"),
        ("AF429", ""),
    ] {
        let mut case = Case::healthy();
        let failure = Failure {
            at: day(2),
            code: code.into(),
        };
        case.observed.collector.last_failure = Some(failure);
        case.observed.collector.last_success = Some(day(1));
        assert_eq!(case.found().concat(), expected);
        case.observed.collector.last_success = Some(day(3));
        let stays = if code == "AF20051" { expected } else { "" };
        assert_eq!(case.found().concat(), stays, "it works again");
    }
}

#[test]
fn names_cannot_leave_their_quotes() {
    assert_eq!(quoted("o'brien@contoso.com"), "'o''brien@contoso.com'");
    assert_eq!(quoted("a\u{2019}; rm *\n"), "'a\u{2019}\u{2019}; rm *'");
    let name = "o'brien{agent}@contoso.com";
    let case = Case::with(vec![MailboxSettings {
        audit_log_age_limit: Property::Known(0),
        ..mailbox(name, "SharedMailbox")
    }]);
    let command =
        "Set-Mailbox -Identity 'o''brien{agent}@contoso.com' -AuditLogAgeLimit 90.00:00:00";
    assert_eq!(case.only().remedy.commands, [command]);
}

/// Work that grows with accounts times changes or bypasses would not come to an end.
#[test]
fn a_large_tenant() {
    let names: Vec<String> = (0..20_000).map(|n| format!("a{n}@contoso.com")).collect();
    let mut case = Case::with(vec![shared_broken()]);
    for (n, name) in (0..).zip(&names) {
        case.settings.mailboxes.push(agent(name));
        case.settings.bypasses.push(bypass(name, n == 7));
        let on = [("AuditBypassEnabled", "True")];
        let off = [("AuditBypassEnabled", "False")];
        let of = if n == 11 { &on } else { &off };
        case.changes
            .push(change(n, "Set-MailboxAuditBypassAssociation", name, of));
    }
    let found = case.found();
    assert_eq!(found.len(), 4, "{found:?}");
}
