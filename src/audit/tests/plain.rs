//! The fast lane says what the truth says, or nothing.

use proptest::prelude::*;
use proptest::sample::Index;

use super::fixtures::fixtures;
use super::mutations::any_record;
use super::*;
use crate::audit::cut::{Object, parse};
use crate::audit::native::Native;
use crate::audit::plain::Plain;

/// Reads objects as if there were no fast lane.
struct Slow<'a>(Native<'a>);

impl<'a> Object<'a> for Slow<'a> {
    fn read(json: &'a [u8]) -> Result<(Self, usize), serde_json::Error> {
        parse(json).map(|(native, length)| (Self(native), length))
    }

    fn may_be_a_page(&self) -> bool {
        self.0.list().is_some()
    }
}

/// As [`decode_content`] of JSON does it, without the fast lane.
fn slow(mut content: &[u8]) -> Vec<(Vec<u8>, Answer)> {
    let mut cutter = Cutter::new();
    let mut all = Vec::new();
    while !content.is_empty() {
        let view = &content[..content.len().min(WINDOW)];
        match cutter.step::<Slow<'_>>(view, view.len() == content.len()) {
            Step::Skip(length) => content = &content[length..],
            Step::Record {
                bytes,
                parsed,
                next,
            } => {
                let parsed = parsed.map(|Slow(native)| Parsed::Native(Box::new(native)));
                let decoded = decode::decode(&bytes, parsed, TENANT);
                all.push((bytes.to_vec(), decoded.map(Decoded::into_owned)));
                content = &content[next..];
            }
            Step::More => panic!("the whole window is in view"),
        }
    }
    all
}

fn fast(content: &[u8]) -> Vec<(Vec<u8>, Answer)> {
    let records = JsonRecords::new(content, Cutter::new(), TENANT);
    let owned = records.map(Record::into_owned);
    owned
        .map(|record| (record.bytes.into_owned(), record.decoded))
        .collect()
}

/// Whether the object at the beginning is plain. If so, the truth about it is the same.
fn is_plain(json: &[u8]) -> bool {
    let Some((plain, length)) = Plain::read(json) else {
        return false;
    };
    let shown = String::from_utf8_lossy(json);
    let (native, truth) = parse::<Native<'_>>(json).expect(&shown);
    assert_eq!(length, truth, "{shown}");
    assert_eq!(plain.native(), Some(native), "{shown}");
    let object = &json[..length];
    let answer = decode::decode(object, Some(Parsed::Plain(plain)), TENANT);
    assert_eq!(answer, decode::decode(object, None, TENANT), "{shown}");
    true
}

/// What may stand in an object, valid or not.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let other = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "\n",
        "\t",
        "\r",
        "\u{b}",
        "\u{a0}",
        "null",
        "true",
        "false",
        "nul",
        "0",
        "7",
        "-0",
        "-1",
        "01",
        "1.5",
        "1e9",
        "1E999",
        "é",
        "\u{7f}",
        "\\n",
        "\\u0041",
        "\\ud800",
        "\\u00",
        "\\x",
        "\0",
        "a",
        "\"\"",
        "{}",
        "[]",
        "//",
        "123456789012345678",
        "12345678901234567890",
    ]);
    let key = prop::sample::select(vec![
        "Id",
        "operation",
        "OPERATION",
        "Operation ",
        "\u{a0}Operation",
        "Op\\u0065ration",
        "OrganizationId",
        "UserId",
        "Item",
        "Parameters",
        "value",
        "Records",
        "AuditData",
        "OfficeId",
        "o365.audit.Id",
        "data",
        "x",
        "",
        "Operatiön",
    ]);
    let value = prop::sample::select(vec![
        "\"SendAs\"",
        "\" Send\\n\"",
        "\"Set-Mailbox\"",
        "\"S\\u0065nd\"",
        "\"a\\\\b\"",
        "\"\\ud800\"",
        "\"79dc228f-0000-0000-0000-000000000000\"",
        "\"00000000-0000-0000-0000-000079dc228f\"",
        "2",
        "-2",
        "null",
        "{\"InternetMessageId\":\"<a@b>\"}",
        "[{\"Name\":\"AuditEnabled\",\"Value\":\"False\"}]",
        "[[[{\"a\":[1,{}]}]]]",
        "1.0",
        "\"é\"",
    ]);
    let pair = (key, value).prop_map(|(key, value)| format!("\"{key}\":{value},").into_bytes());
    let token = prop_oneof![
        6 => pair,
        2 => other.prop_map(|token| token.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| {
        let mut object = [b"{".to_vec(), tokens.concat()].concat();
        if object.ends_with(b",") {
            object.pop();
        }
        object.push(b'}');
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_object(object in tokens(), behind in "[ ,\\]}{\"é]{0,3}") {
        is_plain(&object);
        is_plain(&[&object, behind.as_bytes()].concat());
    }

    /// As they came; cut off; a byte changed or put in between.
    #[test]
    fn any_changed_record(
        record in any_record(),
        pretty in any::<bool>(),
        at in any::<Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[]:,019-. u\n\x1f\x80".to_vec())],
    ) {
        let json = if pretty { record.to_pretty_json().trim().to_owned() } else { record.to_json() };
        let json = json.into_bytes();
        is_plain(&json);
        let at = at.index(json.len());
        prop_assert!(!is_plain(&json[..at]), "it is cut off");
        let mut changed = json.clone();
        changed[at] = byte;
        is_plain(&changed);
        let mut longer = json;
        longer.insert(at, byte);
        is_plain(&longer);
    }

    /// One broken among its neighbours: also where records begin and end is the same.
    #[test]
    fn any_content(
        records in prop::collection::vec(any_record(), 1..6),
        separator in prop::sample::select(vec![",", "\n", " , ", ""]),
        at in any::<Index>(),
        byte in prop::option::of(any::<u8>()),
    ) {
        let records: Vec<String> = records.iter().map(Fields::to_json).collect();
        let mut content = format!("[{}]", records.join(separator)).into_bytes();
        let at = at.index(content.len());
        match byte {
            Some(byte) => content[at] = byte,
            None => drop(content.remove(at)),
        }
        prop_assert_eq!(fast(&content), slow(&content), "{}", String::from_utf8_lossy(&content));
    }
}

/// Else it would not be fast.
#[test]
fn real_records_are_plain() {
    for (what, record) in fixtures() {
        let operation: String = serde_json::from_str(record.get("Operation")).expect(what);
        // of the same names as what is kept
        let is_read = record.decode()
            != Ok(Decoded::Ignored {
                operation: operation.into(),
            })
            || ["\"Send\"", "\"Set-Mailbox\""].contains(&record.get("Operation"));
        for json in [record.to_json(), record.to_pretty_json().trim().to_owned()] {
            assert!(is_plain(json.as_bytes()), "{what}");
            let (plain, _) = Plain::read(json.as_bytes()).expect(what);
            assert_eq!(plain.ignored(TENANT).is_none(), is_read, "{what}");
        }
    }
}

#[test]
fn a_number_is_read_alike_however_it_is_written() {
    for number in [
        "0",
        "-0",
        "-1",
        "999999999999999999",
        "-999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "12345678901234567890123",
        "2.0",
        "2e0",
    ] {
        for key in ["RecordType", "LogonType", "Id", "UserId", "Unknown"] {
            let record = Fields::mailbox_side().json(key, number).to_json();
            is_plain(record.as_bytes());
        }
    }
}

/// Every odd spelling of what is kept, among records that are not.
#[test]
fn nothing_of_interest_is_taken_for_noise() {
    let noise = Fields::own_send()
        .text("Operation", "MailItemsAccessed")
        .to_json();
    let send = Fields::mailbox_side().to_json();
    let change = Fields::admin(
        "Set-Mailbox",
        r#"[{"Name":"Identity","Value":"a\\b"},{"Name":"AuditEnabled","Value":"False"}]"#,
    )
    .to_json();
    for (from, to) in spellings() {
        for (record, expected) in [(&send, "S"), (&change, "A")] {
            let odd = record.replace(from, to);
            assert_eq!(outcomes(odd.as_bytes()), [expected], "{odd}");
            is_plain(odd.as_bytes());
            for content in [
                format!("[{noise},{odd},{noise}]"),
                format!("[ {noise} ,\r\n {odd}\t,{noise} ]"),
                format!("{noise}\n{odd}\n{noise}\n"),
                format!("{{\"value\":[{noise},{odd},{noise}]}}"),
                format!("[{{\"AuditData\":{noise}}},{{\"AuditData\":{odd}}},{noise}]"),
                format!(
                    "[{noise},{{\"AuditData\":{}}},{noise}]",
                    serde_json::to_string(&odd).expect("a string")
                ),
            ] {
                assert_eq!(
                    outcomes(content.as_bytes()),
                    ["-", expected, "-"],
                    "{content}"
                );
            }
        }
    }
}

/// What to replace, where it is, by what.
fn spellings() -> Vec<(&'static str, &'static str)> {
    vec![
        // keys
        ("\"Operation\"", "\"operation\""),
        ("\"Operation\"", "\"OPERATION\""),
        ("\"Operation\"", "\"oPeRaTiOn\""),
        ("\"Operation\"", "\" Operation\""),
        ("\"Operation\"", "\"Operation \""),
        ("\"Operation\"", "\"\\tOperation\\r\\n\""),
        ("\"Operation\"", "\"\u{a0}Operation\u{2003}\""),
        ("\"Operation\"", "\"\\u004fperation\""),
        ("\"Operation\"", "\"Operatio\\u006E\""),
        ("\"Operation\":", "\"Operation\" :\t"),
        ("\"Operation\":", "\"Operation\":\"\",\"event.action\":"),
        ("\"Operation\":", "\"o365.audit.Id\":null,\"Operation\":"),
        (
            "\"Operation\":",
            "\"Operation\":null,\"OPERATION\":null,\"event.action\":",
        ),
        ("\"UserId\":", "\"O\\u0052IGIN\":\"x\",\"USERID\":"),
        ("\"OrganizationId\"", "\"organizationid\""),
        ("\"Parameters\"", "\"\\u0050arameters\""),
        ("\"Parameters\"", "\" PARAMETERS \""),
        ("\"Item\"", "\"iTEM\""),
        // operations
        ("\"SendAs\"", "\"sendas\""),
        ("\"SendAs\"", "\"SENDAS\""),
        ("\"SendAs\"", "\" SendAs\\n\""),
        ("\"SendAs\"", "\"\u{a0}SendAs\u{3000}\""),
        ("\"SendAs\"", "\"\\u0053endAs\""),
        ("\"SendAs\"", "\"Send\\u0041s\""),
        ("\"SendAs\"", "\"\\u0020SendAs\""),
        (
            "\"SendAs\"",
            "\"\\u0053\\u0065\\u006e\\u0064\\u0041\\u0073\"",
        ),
        ("\"SendAs\"", "\"sEND\""),
        ("\"SendAs\"", "\"SendOnBehal\\u0066\""),
        ("\"Set-Mailbox\"", "\"set-mailbox\""),
        ("\"Set-Mailbox\"", "\"SET-MAILBOX \""),
        ("\"Set-Mailbox\"", "\"\\tSet-Mailbox\""),
        ("\"Set-Mailbox\"", "\"Set\\u002dMailbox\""),
        // parameters
        ("\"AuditEnabled\"", "\"auditenabled\""),
        ("\"AuditEnabled\"", "\" AUDITENABLED\\n\""),
        ("\"AuditEnabled\"", "\"\u{a0}AuditEnabled\""),
        ("\"AuditEnabled\"", "\"A\\u0075ditEnabled\""),
        ("\"Name\"", "\"name\""),
        ("\"Name\"", "\" NAME \""),
        ("\"Name\"", "\"Nam\\u0065\""),
        ("\"Name\":", "\"x\":[],\"Name\":"),
        ("\"Value\":\"False\"", "\"value\":false"),
        ("\"False\"", "\"F\\u0061lse\""),
        ("},{", "} , {"),
        // other types, and what is beside it
        ("\"UserType\":", "\"usertype\":"),
        ("\"RecordType\":2", "\"RecordType\":\"2\""),
        ("\"RecordType\":2", "\"RecordType\":\" 2 \""),
        ("\"RecordType\":2", "\"RecordType\":\"ExchangeItem\""),
        ("\"RecordType\":2", "\"RecordType\":null"),
        ("\"Workload\":", "\"Size\":1.5e3,\"Workload\":"),
        ("\"Workload\":", "\"Size\":-1,\"Workload\":"),
        (
            "\"Workload\":",
            "\"Folders\":[[{\"Operation\":\"Create\"}]],\"Workload\":",
        ),
        (
            "\"Workload\":",
            "\"Text\":\"\\\"Operation\\\":\\\"Create\\\"\",\"Workload\":",
        ),
        (
            "\"Workload\":",
            "\"Text\":\"\\ud83d\\ude00 é\",\"Workload\":",
        ),
        ("\"Workload\":", "\"value\":[1],\"Workload\":"),
        (
            "\"Workload\":",
            "\"data\":{\"Operation\":\"Create\"},\"Workload\":",
        ),
        ("\"Workload\":", "\"OfficeId\":\"x\",\"Workload\":"),
    ]
}
