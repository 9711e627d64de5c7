//! What a record says.

use super::*;
use crate::domain::send_event::UserType;

fn guid(text: &str) -> Option<Uuid> {
    Some(Uuid::try_parse(text).expect(text))
}

#[test]
fn the_mailbox_side() {
    let (message, event) = Fields::mailbox_side().event();
    assert_eq!(
        message.id().map(|id| id.as_str()),
        Some("AB12@mail.contoso.com")
    );
    let expected = SendEvent {
        time: Timestamp::parse("2024-05-06T07:08:09Z").expect("a time"),
        record_id: guid("e8958887-1634-4b76-9753-08d5649b7d68").expect("a GUID"),
        operation: Operation::SendAs,
        side: Side::Mailbox,
        failed: false,
        admin: false,
        user_type: Some(UserType::Regular),
        user_id: "anna.kern@contoso.com".into(),
        user_key: Some("10032001266c162c".into()),
        logon_user_sid: Some("s-1-5-21-1-2-3-1001".into()),
        sid_is_doubtful: false,
        object_id: None,
        owner: Some("support@contoso.com".into()),
        owner_is_actor: Some(false),
        mailbox_guid: guid("f3d40ece-6532-495d-803d-f55d9e496be5"),
        sent_as: Some("support@contoso.com".into()),
        sent_as_guid: guid("f3d40ece-6532-495d-803d-f55d9e496be5"),
    };
    assert_eq!(event, expected);
}

#[test]
fn the_agent_side_and_the_own_send() {
    let (_, event) = Fields::agent_side().event();
    assert_eq!(event.side, Side::Agent);
    assert_eq!(event.owner_is_actor, Some(true));
    assert_eq!(event.owner.as_deref(), Some("anna.kern@contoso.com"));
    assert_eq!(event.sent_as.as_deref(), Some("support@contoso.com"));

    let (message, event) = Fields::own_send().event();
    assert_eq!(event.operation, Operation::Send);
    assert_eq!(event.side, Side::Agent);
    assert_eq!((event.sent_as, event.sent_as_guid), (None, None));
    assert_eq!(message, Fields::mailbox_side().event().0);
}

#[test]
fn on_behalf() {
    let record = Fields::mailbox_side()
        .text("Operation", "SendOnBehalf")
        .rename("SendAsUserSmtp", "SendOnBehalfOfUserSmtp")
        .rename("SendAsUserMailboxGuid", "SendonBehalfOfUserMailboxGuid");
    let (_, event) = record.event();
    assert_eq!(event.operation, Operation::SendOnBehalf);
    assert_eq!(event.side, Side::Mailbox);
    assert_eq!(event.sent_as.as_deref(), Some("support@contoso.com"));
    assert!(event.sent_as_guid.is_some());
}

#[test]
fn the_pair_of_the_operation_comes_first() {
    let both = Fields::mailbox_side()
        .text("SendOnBehalfOfUserSmtp", "sales@contoso.com")
        .text(
            "SendOnBehalfOfUserMailboxGuid",
            "22222222-6532-495d-803d-f55d9e496be5",
        );
    let sent_as = |record: Fields| {
        let (_, event) = record.event();
        (event.sent_as, event.sent_as_guid.is_some())
    };
    let on_behalf = both.clone().text("Operation", "SendOnBehalf");
    assert_eq!(
        sent_as(both.clone()),
        (Some("support@contoso.com".into()), true)
    );
    assert_eq!(sent_as(on_behalf), (Some("sales@contoso.com".into()), true));
    let other_only = both
        .clone()
        .json("SendAsUserSmtp", "null")
        .without("SendAsUserMailboxGuid");
    assert_eq!(
        sent_as(other_only),
        (Some("sales@contoso.com".into()), true)
    );
    // never half of one and half of the other
    let half = both.clone().text("SendAsUserMailboxGuid", "");
    assert_eq!(sent_as(half), (Some("support@contoso.com".into()), false));
    let plain = both.text("Operation", "Send");
    assert_eq!(sent_as(plain), (None, false));
}

#[test]
fn one_record_however_its_fields_are_written() {
    let expected = Fields::mailbox_side().event();
    let item_text = Fields::mailbox_side().get("Item").to_owned();
    for (what, record) in [
        (
            "lower case",
            Fields::mailbox_side().map_keys(str::to_lowercase),
        ),
        (
            "upper case",
            Fields::mailbox_side().map_keys(str::to_uppercase),
        ),
        (
            "white space",
            Fields::mailbox_side().map_keys(|key| format!(" {key} ")),
        ),
        ("reversed", Fields::mailbox_side().reversed()),
        (
            "numbers as text",
            Fields::mailbox_side()
                .text("RecordType", "2")
                .text("LogonType", "2")
                .text("UserType", "0"),
        ),
        (
            "names",
            Fields::mailbox_side()
                .text("RecordType", "ExchangeItem")
                .text("LogonType", "Delegated")
                .text("UserType", "Regular"),
        ),
        (
            "names in lower case",
            Fields::mailbox_side()
                .text("RecordType", "exchangeItem")
                .text("LogonType", "delegated")
                .text("UserType", "regular"),
        ),
        (
            "booleans as text",
            Fields::mailbox_side().text("ExternalAccess", "False"),
        ),
        (
            "no record type",
            Fields::mailbox_side().without("RecordType"),
        ),
        (
            "the workload only",
            Fields::mailbox_side().text("RecordType", "Unknown"),
        ),
        (
            "operation",
            Fields::mailbox_side().text("Operation", " SENDAS "),
        ),
        (
            "padded",
            Fields::mailbox_side()
                .text("UserId", " Anna.Kern@contoso.com\r\n")
                .text("Id", " {E8958887-1634-4B76-9753-08D5649B7D68} ")
                .text("MailboxOwnerSid", " s-1-5-21-1-2-3-2002 "),
        ),
        (
            "claims",
            Fields::mailbox_side().text("UserId", "i:0#.f|membership|anna.kern@contoso.com"),
        ),
        (
            "time with Z",
            Fields::mailbox_side().text("CreationTime", "2024-05-06T07:08:09Z"),
        ),
        (
            "no organization",
            Fields::mailbox_side().without("OrganizationId"),
        ),
        (
            "empty organization",
            Fields::mailbox_side().text("OrganizationId", ""),
        ),
        (
            "organization in braces",
            Fields::mailbox_side().text(
                "OrganizationId",
                &format!("{{{}}}", TENANT.to_string().to_uppercase()),
            ),
        ),
        (
            "item as text",
            Fields::mailbox_side().text("Item", &item_text),
        ),
        (
            "unknown fields",
            Fields::mailbox_side().json("New", r#"{"UserId":"x","a":[[[{}]]]}"#),
        ),
        (
            "the same twice",
            Fields::mailbox_side()
                .again("userid", r#""Anna.Kern@contoso.com ""#)
                .again("RECORDTYPE", r#""2""#),
        ),
        (
            "empty on-behalf fields",
            Fields::mailbox_side()
                .text("SendOnBehalfOfUserSmtp", "")
                .json("TokenObjectId", "null"),
        ),
    ] {
        assert_eq!(record.event(), expected, "{what}");
        let pretty = record.to_pretty_json();
        assert_eq!(outcomes(pretty.as_bytes()), ["S"], "{what}");
    }
}

#[test]
fn forms_of_the_message_id() {
    let item = |id: &str| {
        Fields::mailbox_side()
            .json("Item", &format!(r#"{{"InternetMessageId":{id}}}"#))
            .event()
            .0
    };
    let expected = Fields::mailbox_side().event().0;
    for id in [
        r#""<AB12@mail.contoso.com>""#,
        r#""AB12@mail.contoso.com""#,
        r#"" <AB12@mail.\r\n contoso.com> ""#,
    ] {
        assert_eq!(item(id), expected, "{id}");
    }
    assert_ne!(item(r#""<AB12@mail.CONTOSO.com>""#), expected);
    let record = guid("e8958887-1634-4b76-9753-08d5649b7d68").expect("a GUID");
    for id in [r#""""#, r#""<>""#, r#"" < > ""#, "null"] {
        assert_eq!(item(id), MessageRef::Record(record), "{id}");
    }
    for record in [
        Fields::mailbox_side().without("Item"),
        Fields::mailbox_side().json("Item", "null"),
        Fields::mailbox_side().text("Item", ""),
        Fields::mailbox_side().json("Item", r#"{"Id":"Unknown"}"#),
    ] {
        assert!(matches!(record.event().0, MessageRef::Record(_)));
    }
}

#[test]
fn who_and_how() {
    let record = |key: &str, json: &str| Fields::mailbox_side().json(key, json).event().1;
    for (status, failed) in [
        (r#""Failed""#, true),
        (r#"" FAILED ""#, true),
        (r#""False""#, true),
        ("false", true),
        (r#""Succeeded""#, false),
        (r#""PartiallySucceeded""#, false),
        ("null", false),
    ] {
        assert_eq!(record("ResultStatus", status).failed, failed, "{status}");
    }
    for (logon_type, admin) in [
        ("0", false),
        ("1", true),
        ("2", false),
        ("6", true),
        (r#""1""#, true),
        (r#""admin""#, true),
        (r#""DelegatedAdmin""#, true),
        (r#""Delegated""#, false),
        ("null", false),
    ] {
        assert_eq!(record("LogonType", logon_type).admin, admin, "{logon_type}");
    }
    for (user_type, expected) in [
        ("5", Some(UserType::Application)),
        (r#""5""#, Some(UserType::Application)),
        (r#""DcAdmin""#, Some(UserType::DcAdmin)),
        ("11", None),
        ("-1", None),
        (r#""Robot""#, None),
        ("null", None),
        ("[]", None),
    ] {
        assert_eq!(
            record("UserType", user_type).user_type,
            expected,
            "{user_type}"
        );
    }
    let event = record("TokenObjectId", r#""11111111-2222-3333-4444-555555555555""#);
    assert_eq!(
        event.object_id,
        guid("11111111-2222-3333-4444-555555555555")
    );
    assert_eq!(record("MailboxGuid", r#""Unknown""#).mailbox_guid, None);
    assert_eq!(record("LogonUserSid", r#""""#).owner_is_actor, None);
    assert_eq!(record("UserId", r#""""#).user_id, "");
}

#[test]
fn an_application_and_a_service_are_send_events_too() {
    let application = Fields::own_send()
        .json("UserType", "5")
        .text("UserId", "support@contoso.com")
        .text("UserKey", "1f6e9f0e-3d6c-4c52-8f3b-0d6e6f1f5a11")
        .json("SaveToSentItems", "true");
    let (_, event) = application.event();
    assert_eq!(event.user_type, Some(UserType::Application));
    let service = Fields::mailbox_side()
        .json("UserType", "2")
        .text("UserId", "S-1-5-18")
        .json("LogonType", "1")
        .json("InternalLogonType", "1");
    let (_, event) = service.event();
    assert_eq!((event.user_id.as_str(), event.admin), ("s-1-5-18", true));
}

#[test]
fn other_operations_with_the_same_message_id_are_ignored() {
    for record in [
        Fields::own_send()
            .text("Operation", "MailItemsAccessed")
            .json("RecordType", "50"),
        Fields::own_send().text("Operation", "Create"),
        Fields::own_send()
            .text("Operation", "Send")
            .json("RecordType", "25")
            .text("Workload", "MicrosoftTeams"),
        Fields::own_send()
            .json("RecordType", "25")
            .without("Workload"),
    ] {
        assert!(matches!(record.decode(), Ok(Decoded::Ignored { .. })));
    }
    // in an ignored record nothing else is looked at
    let record = Fields::own_send()
        .text(
            "Operation",
            &format!(" Mail\u{7}ItemsAccessed{} ", "x".repeat(200)),
        )
        .without("Id")
        .json("CreationTime", "{}")
        .text("OrganizationId", "no GUID");
    let expected = format!("MailItemsAccessed{}", "x".repeat(83));
    assert_eq!(
        record.decode(),
        Ok(Decoded::Ignored {
            operation: expected.into()
        })
    );
}

#[test]
fn the_changes_of_administrators() {
    let decoded = |record: &Fields| match record.decode() {
        Ok(Decoded::Admin(change)) => change,
        other => panic!("no change: {other:?}"),
    };
    for (operation, parameters, kept) in [
        (
            "Set-AdminAuditLogConfig",
            r#"[{"Name":"UnifiedAuditLogIngestionEnabled","Value":"False"}]"#,
            vec![("UnifiedAuditLogIngestionEnabled", "False")],
        ),
        (
            "Set-OrganizationConfig",
            r#"[{"Name":"AuditDisabled","Value":true},{"Name":"Other","Value":"x"}]"#,
            vec![("AuditDisabled", "True")],
        ),
        (
            "Set-MailboxAuditBypassAssociation",
            r#"[{"Name":"AuditBypassEnabled","Value":"True"},{"Name":"Identity","Value":"Alex@contoso.com"}]"#,
            // the address of what ObjectId names by a GUID
            vec![
                ("AuditBypassEnabled", "True"),
                ("Identity", "Alex@contoso.com"),
            ],
        ),
        (
            "Set-Mailbox",
            r#"[{"Name":"defaultauditset","Value":"Admin"},{"Name":"Identity","Value":"Alex"},{"Name":"AuditLogAgeLimit","Value":"00:00:00"},{"Name":"EmailAddresses","Value":["a"]}]"#,
            vec![
                ("AuditLogAgeLimit", "00:00:00"),
                ("DefaultAuditSet", "Admin"),
            ],
        ),
        (
            "Add-RecipientPermission",
            r#"[{"Name":"Identity","Value":"e4ad"},{"Name":"Trustee","Value":"311b"},{"Name":"AccessRights","Value":"SendAs"}]"#,
            vec![("AccessRights", "SendAs"), ("Trustee", "311b")],
        ),
        (
            "Remove-MailboxPermission",
            r#"[{"Name":"User","Value":"bob"},{"Name":"AccessRights","Value":"FullAccess"}]"#,
            vec![("AccessRights", "FullAccess"), ("User", "bob")],
        ),
    ] {
        let record = Fields::admin(operation, parameters);
        let change = decoded(&record);
        assert_eq!(change.operation, operation);
        assert_eq!(change.actor, "root@contoso.com");
        assert_eq!(change.target, "a88ae17c-f562-4c1f-a377-8910b6847d76");
        assert!(!change.failed);
        let kept: Vec<(String, String)> = kept
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        assert_eq!(change.parameters, kept, "{operation}");
        let as_text = record
            .clone()
            .text("Parameters", parameters)
            .text("Operation", &operation.to_uppercase());
        assert_eq!(decoded(&as_text), change);
    }
    let bypass = r#"[{"Name":"AuditBypassEnabled","Value":"True"},{"Name":"identity","Value":" Alex@contoso.com "}]"#;
    let record = Fields::admin("Set-MailboxAuditBypassAssociation", bypass)
        .text("ObjectId", "")
        .text("ResultStatus", "False");
    let change = decoded(&record);
    assert_eq!(
        (change.target.as_str(), change.failed),
        ("Alex@contoso.com", true)
    );
}

#[test]
fn changes_of_no_interest_are_ignored() {
    let forwarding = r#"[{"Name":"Identity","Value":"x"},{"Name":"ForwardingSmtpAddress","Value":"smtp:a@b.com"}]"#;
    for record in [
        Fields::admin("Set-Mailbox", forwarding),
        Fields::admin("Set-Mailbox", "[]"),
        Fields::admin("Set-Mailbox", "null"),
        Fields::admin("Set-Mailbox", "[]").without("Parameters"),
        Fields::admin("New-Mailbox", r#"[{"Name":"AuditEnabled","Value":"x"}]"#),
    ] {
        assert!(matches!(record.decode(), Ok(Decoded::Ignored { .. })));
    }
}
