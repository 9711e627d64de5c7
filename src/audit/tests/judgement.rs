//! Why a record is not taken in, and which reason comes first.

use super::*;

fn problem(record: &Fields) -> (Reason, String) {
    let problem = record.decode().expect_err("a problem");
    (problem.reason, problem.detail)
}

#[test]
fn one_reason_for_every_defect() {
    let long = "x".repeat(513);
    let other = "11111111-2222-3333-4444-555555555555";
    for (record, reason, detail) in [
        (
            Fields::mailbox_side().without("Operation"),
            Reason::MissingField,
            "Operation is missing",
        ),
        (
            Fields::mailbox_side().text("Operation", "  "),
            Reason::MissingField,
            "Operation is missing",
        ),
        (
            Fields::mailbox_side().json("Operation", "null"),
            Reason::MissingField,
            "Operation is missing",
        ),
        (
            Fields::mailbox_side().json("Operation", "{}"),
            Reason::InvalidField,
            "Operation is no text",
        ),
        (
            Fields::mailbox_side().text("Operation", "\u{7}"),
            Reason::InvalidField,
            "Operation is no text",
        ),
        (
            Fields::mailbox_side().without("Id"),
            Reason::MissingField,
            "Id is missing",
        ),
        (
            Fields::mailbox_side().text("Id", ""),
            Reason::MissingField,
            "Id is missing",
        ),
        (
            Fields::mailbox_side().text("Id", "7"),
            Reason::InvalidField,
            "Id is no GUID",
        ),
        (
            Fields::mailbox_side().json("Id", "[]"),
            Reason::InvalidField,
            "Id is no GUID",
        ),
        (
            Fields::mailbox_side().text("Id", "00000000-0000-0000-0000-000000000000"),
            Reason::InvalidField,
            "Id is no GUID",
        ),
        (
            Fields::mailbox_side().without("CreationTime"),
            Reason::MissingField,
            "CreationTime is missing",
        ),
        (
            Fields::mailbox_side().text("CreationTime", "5/6/2024 7:08:09 AM"),
            Reason::InvalidField,
            "CreationTime is no time",
        ),
        (
            Fields::mailbox_side().json("CreationTime", "1714979289"),
            Reason::InvalidField,
            "CreationTime is no time",
        ),
        (
            Fields::mailbox_side().text("CreationTime", "1601-01-01T00:00:00"),
            Reason::InvalidField,
            "CreationTime is not of this century",
        ),
        (
            Fields::mailbox_side().text("CreationTime", "9999-12-31T23:59:59"),
            Reason::InvalidField,
            "CreationTime is not of this century",
        ),
        (
            Fields::mailbox_side().text("OrganizationId", other),
            Reason::ForeignTenant,
            "OrganizationId is another tenant's",
        ),
        (
            Fields::mailbox_side().text("OrganizationId", "contoso"),
            Reason::InvalidField,
            "OrganizationId is no GUID",
        ),
        (
            Fields::mailbox_side().json("OrganizationId", "{}"),
            Reason::InvalidField,
            "OrganizationId is no GUID",
        ),
        (
            Fields::mailbox_side().text("UserId", &long),
            Reason::InvalidField,
            "UserId is longer than 512 bytes",
        ),
        (
            Fields::mailbox_side().text("UserId", "a\0b"),
            Reason::InvalidField,
            "UserId contains a NUL character",
        ),
        (
            Fields::mailbox_side().json("UserId", "{}"),
            Reason::InvalidField,
            "UserId is no text",
        ),
        (
            Fields::mailbox_side().text("UserKey", "\0"),
            Reason::InvalidField,
            "UserKey contains a NUL character",
        ),
        (
            Fields::mailbox_side().text("LogonUserSid", &long),
            Reason::InvalidField,
            "LogonUserSid is longer than 512 bytes",
        ),
        (
            Fields::mailbox_side().text("MailboxOwnerUPN", &long),
            Reason::InvalidField,
            "MailboxOwnerUPN is longer than 512 bytes",
        ),
        (
            Fields::mailbox_side().text("SendAsUserSmtp", "\0"),
            Reason::InvalidField,
            "SendAsUserSmtp contains a NUL character",
        ),
        (
            Fields::mailbox_side().json("Item", r#"{"InternetMessageId":"a\u0000"}"#),
            Reason::InvalidField,
            "Item.InternetMessageId contains a NUL character",
        ),
        (
            Fields::mailbox_side().json(
                "Item",
                &format!(r#"{{"InternetMessageId":"{}"}}"#, "x".repeat(999)),
            ),
            Reason::InvalidField,
            "Item.InternetMessageId is longer than 998 bytes",
        ),
        (
            Fields::mailbox_side().json(
                "Item",
                r#"{"InternetMessageId":"a","internetMessageId":"b"}"#,
            ),
            Reason::DuplicateField,
            "Item.InternetMessageId is there twice, with different values",
        ),
        (
            Fields::mailbox_side().json("Item", "[]"),
            Reason::InvalidField,
            "Item is no item",
        ),
        (
            Fields::mailbox_side().text("Item", "Unknown"),
            Reason::InvalidField,
            "Item is no item",
        ),
        (
            Fields::mailbox_side().again("userid", r#""bob@contoso.com""#),
            Reason::DuplicateField,
            "UserId is there twice, with different values",
        ),
        (
            Fields::mailbox_side().again("Item", "{}"),
            Reason::DuplicateField,
            "Item is there twice, with different values",
        ),
        (
            Fields::mailbox_side().again("Operation", r#""Create""#),
            Reason::DuplicateField,
            "Operation is there twice, with different values",
        ),
        (
            Fields::mailbox_side().again("MailboxOwnerUPN", "null"),
            Reason::DuplicateField,
            "MailboxOwnerUPN is there twice, with different values",
        ),
        (
            Fields::admin("Set-Mailbox", "7"),
            Reason::InvalidField,
            "Parameters is no list of names and values",
        ),
        (
            Fields::admin("Set-Mailbox", r#"[{"Name":"AuditEnabled","Value":{}}]"#),
            Reason::InvalidField,
            "Parameters has a value that is no text",
        ),
        (
            Fields::admin(
                "Set-Mailbox",
                r#"[{"Name":"AuditEnabled","Value":"True"},{"Name":"auditenabled","Value":"False"}]"#,
            ),
            Reason::DuplicateField,
            "Parameters is there twice, with different values",
        ),
        (
            Fields::admin(
                "Set-Mailbox",
                r#"[{"Name":"AuditEnabled","Value":"\u0000"}]"#,
            ),
            Reason::InvalidField,
            "Parameters contains a NUL character",
        ),
        (
            Fields::admin("Set-Mailbox", r#"[{"Name":"AuditEnabled","Value":"1"}]"#).without("Id"),
            Reason::MissingField,
            "Id is missing",
        ),
    ] {
        assert_eq!(
            problem(&record),
            (reason, detail.to_owned()),
            "{}",
            record.to_json()
        );
    }
}

#[test]
fn another_tenants_record_is_that_first_of_all() {
    let other = r#""11111111-2222-3333-4444-555555555555""#;
    for record in [
        Fields::mailbox_side().json("OrganizationId", other),
        Fields::mailbox_side().again("organizationid", other),
        Fields::mailbox_side()
            .json("OrganizationId", other)
            .again("OrganizationId", &format!("\"{TENANT}\"")),
        Fields::mailbox_side()
            .again("OrganizationId", r#""x""#)
            .again("OrganizationId", other),
        Fields::mailbox_side()
            .json("OrganizationId", other)
            .text("Operation", "Create"),
        Fields::mailbox_side()
            .json("OrganizationId", other)
            .without("Operation"),
        Fields::mailbox_side()
            .json("OrganizationId", other)
            .again("UserId", "1"),
    ] {
        assert_eq!(record.reason(), Some(Reason::ForeignTenant));
        let envelope = |content: &str| format!(r#"{{"AuditData":{content}}}"#);
        let text = serde_json::to_string(&record.to_json()).expect("a string");
        let mine = Fields::mailbox_side().to_json();
        for envelope in [
            envelope(&record.to_json()),
            envelope(&text),
            format!(r#"{{"AuditData":{mine},"AuditData":{text}}}"#),
            format!(r#"{{"OrganizationId":{other},"AuditData":{mine}}}"#),
        ] {
            let decoded = decode_one(envelope.as_bytes());
            assert_eq!(
                decoded.map_err(|problem| problem.reason),
                Err(Reason::ForeignTenant)
            );
        }
    }
}

#[test]
fn what_is_no_json_object() {
    let mut no_utf8 = Fields::mailbox_side()
        .text("Subject", "?")
        .to_json()
        .into_bytes();
    let at = no_utf8.iter().position(|&b| b == b'?').expect("the mark");
    no_utf8[at] = 0xff;
    let deep = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        Fields::mailbox_side()
            .json("Deep", &value)
            .to_json()
            .into_bytes()
    };
    let text = |text: &str| {
        Fields::mailbox_side()
            .text("Text", text)
            .to_json()
            .into_bytes()
    };
    let brackets = "{[".repeat(200);
    for (record, reason) in [
        (no_utf8, Some(Reason::InvalidUtf8)),
        (deep(MAX_DEPTH), None),
        (deep(MAX_DEPTH + 1), Some(Reason::TooDeep)),
        (deep(100_000), Some(Reason::TooDeep)),
        ("[".repeat(100_000).into_bytes(), Some(Reason::TooDeep)),
        (text(&brackets), None),
        (text(&format!("\"{brackets}")), None),
        (b"".to_vec(), Some(Reason::Malformed)),
        (b" \n".to_vec(), Some(Reason::Malformed)),
        (b"null".to_vec(), Some(Reason::Malformed)),
        (b"7".to_vec(), Some(Reason::Malformed)),
        (b"[1, 2]".to_vec(), Some(Reason::Malformed)),
        (b"\"a\", \"b\"".to_vec(), Some(Reason::Malformed)),
        (b"{".to_vec(), Some(Reason::Malformed)),
        (b"\0".to_vec(), Some(Reason::Malformed)),
        (
            Fields::mailbox_side()
                .json("UserId", r#""\ud800""#)
                .to_json()
                .into_bytes(),
            Some(Reason::Malformed),
        ),
        (
            Fields::mailbox_side()
                .json("UserId", r#""\x""#)
                .to_json()
                .into_bytes(),
            Some(Reason::Malformed),
        ),
        (
            Fields::mailbox_side()
                .json("Number", "01")
                .to_json()
                .into_bytes(),
            Some(Reason::Malformed),
        ),
        (
            Fields::mailbox_side()
                .json("RecordType", &"1".repeat(10_000))
                .to_json()
                .into_bytes(),
            Some(Reason::Malformed),
        ),
        (
            Fields::mailbox_side()
                .json("Number", &"1".repeat(10_000))
                .to_json()
                .into_bytes(),
            None,
        ),
        (
            Fields::mailbox_side()
                .json("Number", "-1e999")
                .to_json()
                .into_bytes(),
            None,
        ),
    ] {
        let decoded = decode_one(&record).map_err(|problem| problem.reason);
        assert_eq!(
            decoded.err(),
            reason,
            "{}",
            String::from_utf8_lossy(&record[..record.len().min(100)])
        );
    }
}

#[test]
fn details_tell_nothing_of_the_record() {
    let secret = "zq7secret";
    for record in [
        format!(r#"{{"UserId":"{secret}" "x":1}}"#),
        format!(r#""{secret}""#),
        format!(r#"["{secret}"]"#),
        format!(r#"{{"AuditData":"{secret}"}}"#),
        format!(r#"{{"{secret}":{secret}}}"#),
        Fields::mailbox_side().text("Id", secret).to_json(),
        Fields::mailbox_side()
            .text("CreationTime", secret)
            .to_json(),
        Fields::mailbox_side()
            .json("UserId", &format!(r#"{{"{secret}":1}}"#))
            .to_json(),
        Fields::mailbox_side().text("Item", secret).to_json(),
        Fields::mailbox_side()
            .again("UserId", &format!("\"{secret}\""))
            .to_json(),
    ] {
        let problem = decode_one(record.as_bytes()).expect_err("a problem");
        assert!(!problem.detail.contains(secret), "{}", problem.detail);
        assert!(!problem.detail.is_empty() && problem.detail.chars().count() <= 200);
    }
}
