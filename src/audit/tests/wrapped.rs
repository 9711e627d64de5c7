//! What is an envelope, what is inside of it, and what only has its name.

use serde_json::{Value as Json, json};

use super::envelopes::{object, text};
use super::*;

fn decode(json: &Json) -> Answer {
    decode_one(json.to_string().as_bytes())
}

fn problem(json: &Json) -> (Reason, String) {
    let problem = decode(json).expect_err("a problem");
    (problem.reason, problem.detail)
}

/// Keys in any case and with white space around them, as all keys.
#[test]
fn keys_of_envelopes_in_any_case() {
    let record = Fields::mailbox_side();
    for (outer, inner) in [
        ("auditdata", None),
        (" AUDITDATA\t", None),
        ("RAWEVENTDATA", None),
        ("Properties", Some("rawEventData ")),
        ("Event", Some("ORIGINAL")),
        ("EVENT.ORIGINAL", None),
        ("O365", Some("AUDIT")),
        ("DATA", Some("Office365")),
    ] {
        let inside = match inner {
            Some(inner) => json!({"x": 1, (inner): object(&record)}),
            None => object(&record),
        };
        let envelope = json!({"a": 1, (outer): inside, "z": []});
        assert_eq!(decode(&envelope), record.decode(), "{envelope}");
    }
}

/// A native record is no envelope, whatever keys it has: anybody may have written what is in
/// them.
#[test]
fn a_record_that_merely_has_such_a_key() {
    let record = Fields::mailbox_side();
    let forged = Fields::mailbox_side()
        .text("Id", "ffffffff-1634-4b76-9753-08d5649b7d68")
        .text("UserId", "ben@contoso.com");
    for (key, content) in [
        ("AuditData", text(&forged)),
        ("AuditData", object(&forged)),
        ("RawEventData", json!("text")),
        ("AuditData", json!("{\"Id\":")),
        ("AuditData", json!([1])),
        ("event", json!({"original": text(&forged)})),
        ("event", json!("text")),
        ("event.original", text(&forged)),
        ("properties", json!({"RawEventData": object(&forged)})),
        ("properties", json!([{"Name": "x"}])),
        ("o365.audit.UserId", json!("ben@contoso.com")),
        ("event.action", json!("Create")),
        ("OfficeId", json!("ffffffff-1634-4b76-9753-08d5649b7d68")),
        ("TimeGenerated", json!("2024-05-07T00:00:00.1Z")),
        ("Logon_Type", json!("Admin")),
        ("tenantId", json!(WORKSPACE)),
        ("organization", json!({"id": WORKSPACE})),
        ("value", json!([object(&forged)])),
        ("records", json!([])),
        ("_source", json!({"Operation": "Send"})),
    ] {
        let mut both = object(&record);
        both[key] = content;
        assert_eq!(decode(&both), record.decode(), "{both}");
        assert_eq!(outcomes(both.to_string().as_bytes()), ["S"]);
    }
}

const WORKSPACE: &str = "99999999-9999-4999-8999-999999999999";

/// A row that repeats a part of the record beside it.
#[test]
fn the_whole_record_beside_a_part_of_it() {
    let record = Fields::mailbox_side();
    let mut row = json!({"CreationTime": "2024-05-06T07:08:09", "Id": "E8958887-1634-4B76-9753-08D5649B7D68",
        "Operation": "SendAs", "UserId": "somebody@else.com"});
    row["AuditData"] = text(&record);
    assert_eq!(decode(&row), record.decode());
    row["AuditData"] = json!(record.to_json()[..99]);
    assert!(
        matches!(decode(&row), Ok(Decoded::Send { event, .. }) if event.user_id == "somebody@else.com")
    );
}

#[test]
fn wrapped_again_and_again() {
    let record = Fields::mailbox_side();
    let wrap = |times| {
        (0..times).fold(object(&record), |inside, n| match n % 2 {
            0 => json!({"AuditData": inside}),
            _ => json!({"office365": inside, "x": 1}),
        })
    };
    assert_eq!(decode(&wrap(6)), record.decode());
    assert_eq!(
        problem(&wrap(7)),
        (Reason::TooDeep, "wrapped more than 6 times".into())
    );
    let mut texts = text(&record);
    for _ in 0..4 {
        texts = Json::String(texts.to_string());
    }
    assert_eq!(decode(&json!({"AuditData": texts})), record.decode());
    texts = Json::String(texts.to_string());
    let (reason, _) = problem(&json!({"AuditData": texts}));
    assert_eq!(reason, Reason::TooDeep);
    // a text alone is nobody's record: it may be a part of another one
    let whole = Json::String(record.to_json());
    assert_eq!(
        problem(&whole),
        (Reason::Malformed, "no JSON object".into())
    );
}

#[test]
fn what_is_wrong_inside() {
    for (content, reason, detail) in [
        (json!("{\"Id\":"), Reason::Malformed, "cut off"),
        (
            json!("text"),
            Reason::Malformed,
            "no valid JSON: expected ident at line 1 column 2",
        ),
        (json!(7), Reason::Malformed, "no JSON object"),
        (
            json!([{"Operation": "Send"}]),
            Reason::Malformed,
            "no JSON object",
        ),
        (
            json!({"a": 1}),
            Reason::MissingField,
            "Operation is missing",
        ),
        (
            json!({"Operation": "SendAs"}),
            Reason::MissingField,
            "Id is missing",
        ),
    ] {
        for key in [
            "AuditData",
            "RawEventData",
            "office365",
            "event.original",
            "o365audit",
        ] {
            let envelope = json!({"id": "x", (key): content});
            assert_eq!(
                problem(&envelope),
                (reason, detail.to_owned()),
                "{envelope}"
            );
        }
    }
    let record = Fields::mailbox_side();
    let twice = format!(
        r#"{{"event":{{"original":{}}},"event.original":{}}}"#,
        text(&record),
        text(&Fields::agent_side())
    );
    let problem = decode_one(twice.as_bytes()).expect_err("a problem");
    assert_eq!(problem.reason, Reason::DuplicateField);
    assert_eq!(
        problem.detail,
        "event.original is there twice, with different values"
    );
}

/// Of a row of OfficeActivity.
#[test]
fn aliases_of_fields() {
    let row = Fields::mailbox_side()
        .rename("Id", "OfficeId")
        .rename("CreationTime", "TimeGenerated")
        .rename("LogonType", "Logon_Type");
    let expected = Fields::mailbox_side().decode();
    let other = "ffffffff-1634-4b76-9753-08d5649b7d68";
    for (what, record) in [
        ("as it is", row.clone()),
        (
            "the native name wins",
            row.clone()
                .text("OfficeId", other)
                .text("Id", "e8958887-1634-4b76-9753-08d5649b7d68"),
        ),
        (
            "also behind",
            row.clone()
                .text("Id", "e8958887-1634-4b76-9753-08d5649b7d68")
                .text("OfficeId", "x")
                .reversed(),
        ),
        (
            "an empty one does not",
            row.clone().text("Id", " ").json("CreationTime", "null"),
        ),
        (
            "the first alias wins",
            row.clone().text("SourceRecordId", other),
        ),
        (
            "in any order",
            row.clone().text("SourceRecordId", other).reversed(),
        ),
        (
            "the second one",
            row.clone()
                .rename("OfficeId", "SourceRecordId")
                .text("OfficeId", ""),
        ),
        (
            "a fraction of nothing",
            row.clone()
                .text("TimeGenerated", "2024-05-06T07:08:09.0000000Z"),
        ),
        (
            "the same twice",
            row.clone()
                .again("officeid", r#""e8958887-1634-4b76-9753-08d5649b7d68 ""#),
        ),
        (
            "twice, but not needed",
            row.clone()
                .again("Id", r#""e8958887-1634-4b76-9753-08d5649b7d68""#)
                .again("officeid", "7"),
        ),
        (
            "no GUID",
            row.clone().text("OfficeTenantId", "$RestApiTenantId$"),
        ),
    ] {
        assert_eq!(record.decode(), expected, "{what}");
    }
    for (record, reason, detail) in [
        (
            row.clone().again("officeid", "7"),
            Reason::DuplicateField,
            "Id is there twice, with different values",
        ),
        (
            row.clone().text("TimeGenerated", "2024-05-09T00:00:01.25Z"),
            Reason::InvalidField,
            "TimeGenerated is not the record's time: it has a fraction",
        ),
        (
            row.clone().text("OfficeTenantId", WORKSPACE),
            Reason::ForeignTenant,
            "OrganizationId is another tenant's",
        ),
        (
            row.clone().without("OfficeId"),
            Reason::MissingField,
            "Id is missing",
        ),
    ] {
        let problem = record.decode().expect_err(detail);
        assert_eq!((problem.reason, problem.detail.as_str()), (reason, detail));
    }
    // a native time may have one
    let precise = Fields::mailbox_side().text("CreationTime", "2024-05-06T07:08:09.5");
    assert!(precise.decode().is_ok());
}

/// Wherever an envelope names the tenant.
#[test]
fn another_tenants_envelope() {
    let mine = Fields::mailbox_side().without("OrganizationId");
    let theirs = Fields::mailbox_side().text("OrganizationId", WORKSPACE);
    for envelope in [
        json!({"tenantId": WORKSPACE, "properties": {"RawEventData": object(&mine)}}),
        json!({"tenantId": WORKSPACE, "properties": {"RawEventData": text(&mine).to_string()}}),
        json!({"organization": {"id": WORKSPACE}, "o365": {"audit": object(&mine)}}),
        json!({"organization.id": WORKSPACE, "o365.audit": object(&mine)}),
        json!({"organizationId": WORKSPACE, "auditData": object(&mine)}),
        json!({"office365": {"AuditData": text(&theirs)}}),
        json!({"event": {"original": text(&theirs)}, "o365": {"audit": object(&mine)}}),
        // it cannot be read, and is theirs for all that
        json!({"event": {"original": text(&theirs).to_string()[..300]}}),
        json!({"AuditData": theirs.to_json()[..300]}),
        json!({"tenantId": WORKSPACE, "properties": {"RawEventData": {}}}),
        json!({"organization": {"name": "x", "id": WORKSPACE}, "o365": {"audit": {}}}),
    ] {
        assert_eq!(problem(&envelope).0, Reason::ForeignTenant, "{envelope}");
    }
    // as .NET writes text
    let text = theirs.to_json()[..300].replace('"', "\\u0022");
    let envelope = format!(r#"{{"AuditData":"{text}"}}"#);
    let problem = decode_one(envelope.as_bytes()).expect_err("a problem");
    assert_eq!(problem.reason, Reason::ForeignTenant);
}
