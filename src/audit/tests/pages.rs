//! Pages: objects whose list holds the records.

use super::envelopes::{object, page};
use super::forms::three;
use super::*;

/// What both ways of reading make of it; each record is one.
fn both(content: &str) -> Vec<&'static str> {
    let found = outcomes(content.as_bytes());
    let read = read_all(content.as_bytes()).expect("a known form");
    let read: Vec<_> = read
        .iter()
        .map(|record| {
            let mut records = decode_record(record, TENANT);
            let first = outcome(&records.next().expect("a record"));
            assert!(records.next().is_none(), "{content}");
            first
        })
        .collect();
    assert_eq!(read, found, "{content}");
    found
}

#[test]
fn keys_before_and_after_the_list() {
    let [a, b, c] = three();
    for content in [
        format!(r#"{{"value":[{a},{b},{c}]}}"#),
        format!(
            r#"{{ "@odata.context" : "x" , "@odata.count" : 3 , "VALUE" : [ {a} , {b} , {c} ] }}"#
        ),
        format!(
            r#"{{"value":[{a},{b},{c}],"@odata.nextLink":"https://x/?$skiptoken=\"}}]","n":12,"o":{{"a":[]}}}}"#
        ),
        format!(r#"{{"schema":[{{"Name":"Id"}}],"results":[{a},{b},{c}]}}"#),
        format!(r#"{{"records":[{a}]}}{{"records":[{b},{c}],"x":null}}"#),
        format!("{{\"value\":[{a}],\n\"Count\":1}}\r\n{{\"value\":[\n{b},\n{c}\n]}}\r\n"),
        format!(r#"[{{"records":[{a},{b}]}},{{"records":[]}},{c}]"#),
        format!(r#"{{"value":[{{"value":[{a}],"x":1}},{b},{{"records":[{c}]}}],"y":2}}"#),
        format!("\u{feff}[{a}]\n{{\"value\":[{b}]}}\n[{c}]"),
    ] {
        assert_eq!(both(&content), ["S", "-", "S"], "{content}");
    }
}

#[test]
fn an_empty_page_is_no_records() {
    for content in [
        r#"{"value":[]}"#,
        r#"{"@odata.context":"x","value":[ ],"@odata.nextLink":"y"}"#,
        r#"[{"records":[]},{"value":[]}]"#,
        r#"{"value":[{"value":[]}]}"#,
    ] {
        assert_eq!(both(content), [""; 0], "{content}");
        assert_eq!(decode_record(content.as_bytes(), TENANT).count(), 0);
    }
}

#[test]
fn a_page_that_was_cut_as_one_record() {
    let [a, b, c] = three();
    for (page, bytes) in [
        (format!(r#"{{"value":[{a}],"x":1}}"#), vec![&a]),
        (format!(" {{\"records\":[{a},{b},{c}]}} "), vec![&a, &b, &c]),
    ] {
        let records = decode_record(page.as_bytes(), TENANT);
        let found: Vec<_> = records.map(|record| record.bytes.into_owned()).collect();
        let bytes: Vec<_> = bytes.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(found, bytes);
    }
    let cell = format!(r#"{{"value":[{a},{b}]}}"#).replace('"', "\"\"");
    let csv = format!(
        "X,AuditData\n0,\"{{\"\"value\"\":[]}}\"\n1,\"{cell}\"\n2,\"{}\"\n",
        c.replace('"', "\"\"")
    );
    assert_eq!(outcomes(csv.as_bytes()), ["S", "-", "S"]);
}

/// The list is none of records, or the object is a record that has one.
#[test]
fn what_only_looks_like_a_page() {
    let record = Fields::mailbox_side();
    let list = format!("[{}]", Fields::own_send().to_json());
    for key in ["value", "Records", "results"] {
        for record in [
            record.clone().json(key, &list),
            record.clone().json(key, &list).reversed(),
            record.clone().json(key, "[]"),
            record.clone().json(key, "7").reversed(),
        ] {
            assert_eq!(both(&record.to_json()), ["S"]);
            assert_eq!(record.event(), Fields::mailbox_side().event());
        }
    }
    for (object, detail) in [
        (
            r#"{"@odata.context":"x","value":[1,2]}"#,
            "value is no list of records",
        ),
        (r#"{"value":{"Id":"x"}}"#, "value is no list of records"),
        (r#"{"records":null}"#, "records is no list of records"),
        (
            r#"{"results":"x","Operation":""}"#,
            "results is no list of records",
        ),
        (
            r#"{"value":[],"Id":"x","Operation":"Send","RecordType":2}"#,
            "Id is no GUID",
        ),
    ] {
        let problem = decode_one(object.as_bytes()).expect_err(object);
        assert_eq!(problem.detail, detail, "{object}");
        assert_eq!(both(object).len(), 1);
    }
}

#[test]
fn nothing_of_a_page_is_dropped_silently() {
    let [a, b, c] = three();
    for (content, expected) in [
        // elements that are no records
        (
            format!(r#"{{"value":[{a},7,"x",{{}},{c}]}}"#),
            vec!["S", "MALFORMED", "MALFORMED", "MISSING_FIELD", "S"],
        ),
        // the first one is broken: in a list it fails alone
        (
            format!(
                r#"{{"@odata.context":"x","value":[{},{b},{c}],"n":1}}"#,
                a.replace(":2,", ":02,")
            ),
            vec!["MALFORMED", "-", "S"],
        ),
        // cut off in the list, and behind it
        (
            format!(r#"{{"value":[{a},{b},{}"#, &c[..99]),
            vec!["S", "-", "MALFORMED"],
        ),
        (
            format!(r#"{{"value":[{a},{b},{c}],"@odata.nextLink":"htt"#),
            vec!["S", "-", "S", "MALFORMED"],
        ),
        (
            format!(r#"{{"value":[{a}],x,"n":1}}{b}"#),
            vec!["S", "MALFORMED", "MALFORMED", "-"],
        ),
        // two pages, the first one is not closed
        (
            format!("{{\"value\":[{a}\n{{\"value\":[{b},{c}],\"n\":1}}"),
            vec!["S", "-", "S"],
        ),
        (format!(r#"{{"value":[{a}}}"#), vec!["S", "MALFORMED"]),
        (r#"{"value":["#.to_owned(), vec!["MALFORMED"]),
        (
            format!(r#"{{"x":tru,"value":[{a}]}}"#),
            vec!["MALFORMED", "S", "MALFORMED"],
        ),
        // an array in a list is an element of it, behind the page it is one of records
        (
            format!(r#"{{"value":[{{"value":[{a}]}},[1,2],{c}]}}"#),
            vec!["S", "MALFORMED", "S"],
        ),
        (
            format!(r#"{{"value":[{a}]}}[1,2]"#),
            vec!["S", "MALFORMED", "MALFORMED"],
        ),
        (format!("[{a},["), vec!["S", "MALFORMED"]),
        // brackets of no page
        (format!(r#"[{a}],"n":1}}"#), vec!["S", "MALFORMED"]),
    ] {
        assert_eq!(both(&content), expected, "{content}");
    }
    // larger than a record, so that its end is not seen: what is behind is told
    let padding = Fields::own_send()
        .text("Subject", &"x".repeat(MAX_RECORD / 2))
        .to_json();
    let content =
        format!(r#"{{"value":[{padding},{padding},{padding}],"Operation":"Send","Id":"x"}}"#);
    assert_eq!(both(&content), ["S", "S", "S", "MALFORMED"]);
}

/// Cut anywhere, or with any byte changed: what stands before stays, and so does the next page.
#[test]
fn a_broken_page_fails_alone() {
    let [a, b, c] = three();
    let first = page(&[object(&Fields::mailbox_side())]).to_string();
    let second = format!(r#"{{"value":[{b}],"n":[1]}}"#);
    let check = |broken: &[u8]| {
        let content = [a.as_bytes(), b"\n", broken, b"\n", c.as_bytes(), b"\n"].concat();
        let records = decode_all(&content);
        let shown = String::from_utf8_lossy(&content);
        assert_eq!(records[0].bytes, a.as_bytes(), "{shown}");
        assert_eq!(records[records.len() - 1].bytes, c.as_bytes(), "{shown}");
        let read = read_all(&content).expect("a known form");
        let whole: Vec<&[u8]> = records.iter().map(|record| &*record.bytes).collect();
        assert_eq!(read, whole, "{shown}");
    };
    for page in [first, second] {
        for at in 0..page.len() {
            check(&page.as_bytes()[..at]);
            for byte in b"\"{}[],:\n" {
                let mut changed = page.clone().into_bytes();
                changed[at] = *byte;
                check(&changed);
            }
        }
    }
}

#[test]
fn a_page_larger_than_any_record() {
    let record = Fields::mailbox_side().to_json();
    let count = 3 * MAX_RECORD / record.len();
    let list = vec![record.as_str(); count].join(",\n");
    let content = format!(r#"{{"@odata.context":"x","value":[{list}],"@odata.nextLink":"y"}}"#);
    let found = decode_all(content.as_bytes());
    assert_eq!(found.len(), count);
    assert!(found.iter().all(|found| found.bytes == record.as_bytes()));
    let read = read_all(content.as_bytes()).expect("a known form");
    assert!(read.len() == count && read.iter().all(|read| read == record.as_bytes()));
}

/// Cut off anywhere: the end of the page may close what the cut left open, and make one valid
/// record out of it and all that follow. They are kept.
#[test]
fn a_record_that_is_cut_off_in_a_page_fails_alone() {
    let [a, _, c] = three();
    let list = r#","recipientList":[{"Address":"a@x.com","Name":"a"},{"Address":"b@x.com"}]"#;
    let plain = Fields::mailbox_side().to_json();
    let plain = format!("{}{list}}}", &plain[..plain.len() - 1]);
    let wrapped = format!(r#"{{"id":"x","units":[""],"auditData":{plain}}}"#);
    for broken in [plain, wrapped] {
        for at in (1..broken.len()).filter(|&at| broken.is_char_boundary(at)) {
            let content = format!(r#"{{"value":[{a},{},{c},{c}],"n":1}}"#, &broken[..at]);
            let found = decode_all(content.as_bytes());
            let whole = |text: &str| found.iter().filter(|r| r.bytes == text.as_bytes()).count();
            assert_eq!((whole(&a), whole(&c)), (1, 2), "{content}\n{found:?}");
            let read = read_all(content.as_bytes()).expect("a known form");
            assert_eq!(read.len(), found.len(), "{content}");
        }
    }
}
