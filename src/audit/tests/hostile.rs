//! Input made to cost much. Nothing here looks at a clock: work that grows with the square
//! of the size would not come to an end.

use super::*;

const SIZE: usize = if cfg!(debug_assertions) { 1 } else { 4 } << 20;

fn check(before: &str, pattern: &str) {
    let content = format!("{before}{}", pattern.repeat(SIZE / pattern.len()));
    let what = format!("{:.20} {pattern:?}", before.escape_debug());
    let records = decode_content(content.as_bytes(), TENANT).expect("a known form");
    let bytes: usize = records.map(|record| record.bytes.len()).sum();
    assert!(bytes <= content.len(), "{what}");
    if cfg!(debug_assertions) {
        return; // the reader has the same cutters
    }
    let reader = Reader::new(content.as_bytes())
        .expect("no error")
        .expect("a known form");
    assert!(reader.into_iter().all(|record| record.is_ok()), "{what}");
}

#[test]
fn patterns_in_json() {
    for pattern in [
        ",{\"",
        "[",
        "[],",
        "{",
        "{},",
        "\"",
        "\\",
        "\\\"",
        "7",
        "7,",
        "x",
        "\0",
        ",",
        "\n",
        "]",
        "}",
        "{\"a\":",
        "{\"a\":[{\"b\":1},",
        "{\"a\":[{\"Operation\":\"x\",\"Id\":1},",
        "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "{\"value\":[",
        "{\"value\":[{},",
        "{\"value\":[{}],",
        "{\"value\":[]},",
        "{\"a\":1,\"value\":[{\"Id\":1,\"a\":[",
        "],\"a\":1,",
        "{\"AuditData\":{\"o365\":{\"audit\":",
        "organization\":{\"id",
        "\"OrganizationId\":\"",
    ] {
        check("[", pattern);
    }
}

#[test]
fn patterns_in_json_lines() {
    for pattern in [
        "{\"a\":[\n",
        "{\"a\":\"\n",
        "{\"a\":[{\"Operation\":\"x\",\"Id\":1},\n",
    ] {
        check("{}\n", pattern);
    }
}

#[test]
fn patterns_in_csv() {
    for pattern in [
        "\"",
        "\"\"\"\n",
        "\"a\"\"\n",
        "a\",\"\"\"\n",
        "a\",\"\"\"\nx\n",
        "x",
        "\n",
        ",",
        "\"{\n",
        "1,\"{\"\"a\"\":[\"\n",
    ] {
        check("A,AuditData,B\n", pattern);
    }
    let columns = "A,".repeat(10_000);
    check(&format!("{columns}AuditData\n"), "a\",\"\"\"\n");
}

#[test]
fn long_numbers() {
    let number = "7".repeat(10_000);
    let record = Fields::mailbox_side().json("Number", &number).to_json();
    let content = format!("[{}]", vec![record.as_str(); 100].join(","));
    assert!(
        outcomes(content.as_bytes())
            .iter()
            .all(|&outcome| outcome == "S")
    );
}

/// Whole: each level is read for itself.
#[test]
fn envelopes_in_envelopes() {
    for (open, close) in [
        (r#"{"value":["#, "]}"),
        (r#"{"AuditData":"#, "}"),
        (r#"{"o365":{"audit":"#, "}}"),
        (r#"{"_source":{"event":{"original":"#, "}}}"),
    ] {
        let levels = SIZE / (open.len() + close.len()) - 1;
        let content = format!("{}{{}}{}", open.repeat(levels), close.repeat(levels));
        assert_eq!(outcomes(content.as_bytes()).len(), 1);
    }
}

/// Fields that contradict themselves again and again.
#[test]
fn many_contradictions_in_one_record() {
    let many = |key: &str| -> String {
        let pairs: Vec<String> = (0..80_000).map(|n| format!("\"{key}\":{n}")).collect();
        pairs.join(",")
    };
    let item = Fields::mailbox_side()
        .json("Item", &format!("{{{}}}", many("InternetMessageId")))
        .to_json();
    assert_eq!(outcomes(item.as_bytes()).len(), 1);
    for key in [
        "AuditData",
        "OrganizationId",
        "Operation",
        "OfficeId",
        "o365.audit.Id",
        "AuditData\":1,\"event\":{},\"o365",
    ] {
        let record = format!("{{{}}}", many(key));
        assert_eq!(outcomes(record.as_bytes()).len(), 1, "{key}");
    }
}
