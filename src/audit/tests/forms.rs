//! The forms that content comes in.

use super::*;

/// Three records: mailbox side, an ignored one, agent side.
pub(super) fn three() -> [String; 3] {
    [
        Fields::mailbox_side().to_json(),
        Fields::own_send().text("Operation", "Create").to_json(),
        Fields::agent_side().to_json(),
    ]
}

#[test]
fn json_in_every_form() {
    let [a, b, c] = three();
    let pretty = Fields::mailbox_side().to_pretty_json();
    for content in [
        format!("[{a},{b},{c}]"),
        format!("\u{feff}[{a},\r\n{b},\r\n{c}]\r\n"),
        format!(" [ {a} , {b} , {c} ] "),
        format!("{a}\n{b}\n{c}\n"),
        format!("{a}\r\n\r\n{b}\r\n{c}"),
        format!("{a}{b}{c}"),
        format!("{a} {b},{c},"),
        format!("[{a}][{b},{c}]"),
        format!("[{a}]\n[]\n[{b}]\n{c}"),
        format!("[[{a},{b}],[{c}]]"),
        format!("[{a},{b}]\u{feff}[{c}]"),
        format!("[{pretty},{b},\n{c}\n]"),
        format!("{pretty}{b}{c}"),
    ] {
        assert_eq!(outcomes(content.as_bytes()), ["S", "-", "S"], "{content}");
        let records = read_all(content.as_bytes()).expect("a known form");
        assert_eq!(records.len(), 3);
        assert_eq!(records[2], c.as_bytes());
        let whole: Vec<Vec<u8>> = decode_all(content.as_bytes())
            .into_iter()
            .map(|record| record.bytes.into_owned())
            .collect();
        assert_eq!(whole, records);
    }
}

#[test]
fn nothing_is_no_records() {
    for content in [
        "",
        " \r\n",
        "\u{feff}",
        "\u{feff} ",
        "[]",
        "[ ]\n[]",
        ",",
        "[,]",
    ] {
        assert_eq!(outcomes(content.as_bytes()), [""; 0], "{content:?}");
        assert_eq!(read_all(content.as_bytes()), Ok(vec![]), "{content:?}");
    }
}

#[test]
fn what_is_no_record_is_one_that_does_not_decode() {
    let [a, _, c] = three();
    for (content, junk) in [
        (format!("[{a},null,{c}]"), vec!["null"]),
        (
            format!("[{a},null,\"x\", 1.5e7 ,true,{c}]"),
            vec!["null", "\"x\"", "1.5e7", "true"],
        ),
        (format!("{a}\nnull\n{c}"), vec!["null"]),
        (
            format!("{a}\n2024-05-06 07:08:09 INFO fetched, 3 records\n{c}"),
            vec!["2024-05-06 07:08:09 INFO fetched, 3 records"],
        ),
        (format!("[{a},[1,2],[],{c}]"), vec!["[1,2]", "[]"]),
        (format!("[{a},[7,[\"{{\"]],{c}]"), vec!["[7,[\"{\"]]"]),
        (format!("[{a}, }}}} ,{c}]"), vec!["}}"]),
        (format!("[{a},\\,{c}]"), vec!["\\"]),
        (format!("{a} \0\n{c}"), vec!["\0"]),
        (format!("[{a},[1,{c}]]"), vec!["[1"]),
    ] {
        let records = decode_all(content.as_bytes());
        let found: Vec<_> = records
            .iter()
            .filter(|record| outcome(record) == "MALFORMED")
            .map(|record| String::from_utf8_lossy(&record.bytes))
            .collect();
        assert_eq!(found, junk, "{content}");
        assert_eq!(records.len(), junk.len() + 2, "{content}");
        assert_eq!(outcome(&records[0]), "S");
        assert_eq!(records[records.len() - 1].bytes, c.as_bytes());
    }
}

#[test]
fn what_holds_no_records_is_not_recognised() {
    for content in [
        "null",
        "hello, world",
        "<html><script>{\"a\":1}</script></html>",
        "a,b,c\r\n1,2,3",
        "CreationDate,UserIds,Operations,AuditDat\n",
        "#TYPE Selected.X\r\na,b\r\n",
        "2024-05-06,a,Send,\"{\"\"Id\"\":1}\"",
        "\u{1f}\u{8b}\u{8}",
    ] {
        assert_eq!(
            decode_content(content.as_bytes(), TENANT).err(),
            Some(NotRecognised),
            "{content}"
        );
        assert_eq!(
            read_all(content.as_bytes()),
            Err(NotRecognised),
            "{content}"
        );
    }
}

#[test]
fn the_first_record_may_be_the_broken_one() {
    let [a, b, c] = three();
    for content in [
        format!("\"{}\n{b}\n{c}", &a[1..]),
        format!("x{a}\n{b}\n{c}"),
        format!("7\n{b}\n{c}"),
    ] {
        let outcomes = outcomes(content.as_bytes());
        assert_eq!(outcomes[outcomes.len() - 2..], ["-", "S"], "{content}");
        assert!(outcomes.contains(&"MALFORMED"));
    }
}

#[test]
fn the_output_of_search_unified_audit_log() {
    let expected = Fields::mailbox_side().event();
    let data = Fields::mailbox_side().to_json();
    let text = serde_json::to_string(&data).expect("a string");
    for content in [&data, &text] {
        let row = Fields(Vec::new())
            .text("RecordType", "ExchangeItem")
            .text("CreationDate", "5/6/2024 7:08:09 AM")
            .text("UserIds", "somebody@else.com")
            .text("Operations", "Create")
            .json("AuditData", content)
            .json("ResultIndex", "1")
            .text("Identity", "e8958887-1634-4b76-9753-08d5649b7d68")
            .json("IsValid", "true");
        assert_eq!(row.event(), expected);
        let other_key = row.clone().rename("AuditData", "auditdata ");
        assert_eq!(other_key.event(), expected);
        let twice = row.clone().again("AuditData", content);
        assert_eq!(twice.event(), expected);
        let other = row.again("AuditData", &Fields::agent_side().to_json());
        assert_eq!(other.reason(), Some(Reason::DuplicateField));
    }
    for (content, reason) in [
        (r#""{\"CreationTime\":""#, Reason::Malformed),
        ("7", Reason::Malformed),
        ("[]", Reason::Malformed),
        (r#""\ud800""#, Reason::Malformed),
        ("null", Reason::MissingField),
        (r#""""#, Reason::MissingField),
        (&format!("\"{}\"", "[".repeat(100)), Reason::TooDeep),
        ("{}", Reason::MissingField),
    ] {
        let row = Fields(Vec::new()).json("AuditData", content);
        assert_eq!(row.reason(), Some(reason), "{content}");
    }
    // the record itself may have an empty one
    let record = Fields::mailbox_side().json("AuditData", "null");
    assert_eq!(record.event(), expected);
}

#[test]
fn utf16_with_a_byte_order_mark() {
    let [a, b, c] = three();
    let json = format!("[{a},{b},{c}]");
    let csv = format!(
        "#TYPE X\r\n\"AuditData\"\r\n{}\r\n",
        Fields::mailbox_side().to_cell()
    );
    for (text, records) in [(json, 3), (csv, 1)] {
        let units: Vec<u16> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for content in [little, big] {
            let read = read_all(&content).expect("a known form");
            assert_eq!(read.len(), records);
            assert_eq!(read[0], a.as_bytes());
        }
    }
}

#[test]
fn an_error_of_the_source_is_told_once() {
    struct Failing(bool);
    impl std::io::Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("gone"));
            }
            let record = b"{\"a\":1}\n";
            let times = out.len() / record.len();
            out[..times * record.len()].copy_from_slice(&record.repeat(times));
            Ok(times * record.len())
        }
    }
    let mut reader = Reader::new(Failing(false))
        .expect("no error")
        .expect("a known form");
    assert!(reader.by_ref().any(|record| record.is_err()));
    assert!(reader.next().is_none());
    assert!(reader.bytes_read() > 0);
    assert!(Reader::new(Failing(true)).is_err());
}
