//! A broken record fails alone.

use std::sync::LazyLock;

use super::forms::three;
use super::*;

/// What the records before and after a broken one become, in every form.
fn check(broken: &[u8]) {
    static THREE: LazyLock<[String; 3]> = LazyLock::new(three);
    let [a, _, c] = &*THREE;
    for (open, separator, close) in [
        ("[", ",", "]"),
        ("[", ",\r\n", "]"),
        ("", "\n", ""),
        ("", " ", ""),
    ] {
        let content = [open, a, separator].concat().into_bytes();
        let content = [
            &content,
            broken,
            separator.as_bytes(),
            c.as_bytes(),
            close.as_bytes(),
        ]
        .concat();
        let records = decode_all(&content);
        let shown = String::from_utf8_lossy(&content);
        let (first, last) = (&records[0], &records[records.len() - 1]);
        assert_eq!(first.bytes, a.as_bytes(), "{shown}");
        assert_eq!(last.bytes, c.as_bytes(), "{shown}");
        assert!(first.decoded.is_ok() && last.decoded.is_ok());
        // nothing is dropped: what is in no record is punctuation
        let total: usize = records.iter().map(|record| record.bytes.len()).sum();
        let punctuation = content.iter().filter(|b| b"[], \r\n".contains(b)).count();
        assert!(total + punctuation >= content.len(), "{shown}");
        let read = read_all(&content).expect("a known form");
        let whole: Vec<&[u8]> = records.iter().map(|record| &*record.bytes).collect();
        assert_eq!(read, whole, "{shown}");
        for (bytes, record) in read.iter().zip(&records) {
            assert_eq!(decode_one(bytes), record.decoded, "{shown}");
        }
    }
}

#[test]
fn a_record_cut_anywhere() {
    let record = Fields::own_send().to_json();
    for at in 0..record.len() {
        check(&record.as_bytes()[..at]);
        if at > 0 {
            check(&record.as_bytes()[at..]);
        }
    }
}

#[test]
fn a_record_with_any_byte_changed() {
    let record = Fields::own_send().to_json();
    for byte in b"\"{}[]\n\\,:\0\xff" {
        for at in 0..record.len() {
            let mut changed = record.clone().into_bytes();
            changed[at] = *byte;
            check(&changed);
        }
    }
}

#[test]
fn a_record_of_many_lines_with_any_byte_changed() {
    let record = Fields::own_send().to_pretty_json();
    for byte in b"\"{}\n\\" {
        for at in 0..record.len() {
            let mut changed = record.clone().into_bytes();
            changed[at] = *byte;
            check(&changed);
        }
    }
}

#[test]
fn every_broken_record_is_one() {
    let [a, b, c] = three();
    let broken = [
        b.replace(
            "\"Version\":1",
            "\"Version\":01,\"a\":[[{\"b\":[{}]}],{\"c\":[]}]",
        ),
        b.replace("\"Version\":1", "\"Version\":01"),
        b.replace("\"Version\":1", "\"Version\":1,"),
        b.replace("\"Version\":1", "\"Version\":NaN"),
        b.replace("\"Version\"", "\"Ver\\qsion\""),
        b.replace("\"Version\"", "\"Ver\tsion\""),
        b.replace("\"Version\":1", "\"Version\" 1"),
        b.replace("\"UserId\":\"", "\"UserId\":\"\\ud800"),
    ];
    for (open, separator, close) in [("[", ",", "]"), ("", "\n", ""), ("", "", "")] {
        let mut records = vec![a.clone()];
        records.extend(broken.iter().cloned());
        records.push(c.clone());
        let content = format!("{open}{}{close}", records.join(separator));
        let found = decode_all(content.as_bytes());
        assert_eq!(found.len(), records.len());
        for (found, record) in found.iter().zip(&records) {
            assert_eq!(found.bytes, record.as_bytes());
        }
    }
    // a line that ends inside of a string is one record, whatever the next line is and however
    // the string looks
    for lines in [
        "{\"a\":\"b\n{\"Operation\":\"Send\n{\"c\":1\n",
        "{\"a\":\"b,\n{\"Operation\":\"Send:\r\n{\"c\":\"[\n",
    ] {
        assert_eq!(outcomes(lines.repeat(3).as_bytes()), ["MALFORMED"; 9]);
    }
}

#[test]
fn a_record_that_has_swallowed_its_neighbours() {
    let [a, b, c] = three();
    // cut off inside of a list: what follows reads as its elements
    let cut = r#"{"Operation":"Send","Parameters":[{"Name":"x"}"#;
    let content = format!("[{cut},{a},{b},{c}]");
    assert_eq!(outcomes(content.as_bytes()), ["MALFORMED", "S", "-", "S"]);
    let whole = format!("{cut},{a},{b}");
    let records: Vec<_> = decode_record(whole.as_bytes(), TENANT).collect();
    assert_eq!(
        records.iter().map(outcome).collect::<Vec<_>>(),
        ["MALFORMED", "S", "-"]
    );
    assert_eq!(records[0].bytes, cut.as_bytes());
}

#[test]
fn text_in_a_record_is_never_taken_for_one() {
    let forged = Fields::mailbox_side().to_json();
    for subject in [
        format!(",{forged}"),
        format!("\n{forged}\n"),
        format!("\"}}\n,{forged}"),
        format!("\\\"}},{forged}"),
    ] {
        let item = format!(
            r#"{{"Subject":{}}}"#,
            serde_json::to_string(&subject).expect("text")
        );
        let record = Fields::own_send()
            .text("Operation", "Create")
            .json("Item", &item)
            .to_json();
        for at in 0..record.len() {
            let cut = &record[..record.floor_char_boundary(at)];
            for content in [
                format!("[{cut}"),
                format!("[{cut},{{}}]"),
                format!("{cut}\n"),
            ] {
                assert!(!outcomes(content.as_bytes()).contains(&"S"), "{content}");
            }
        }
    }
}

#[test]
fn too_large_records() {
    let [a, _, c] = three();
    let large = |length: usize| {
        Fields::own_send()
            .text("Subject", &"x".repeat(length))
            .to_json()
    };
    for (record, outcome) in [
        (large(MAX_RECORD - 2000), "S"),
        (large(MAX_RECORD), "TOO_LARGE"),
        (large(3 * MAX_RECORD), "TOO_LARGE"),
        (format!("\"{}\"", "x".repeat(MAX_RECORD)), "TOO_LARGE"),
        (format!("[{}1]", "1,".repeat(MAX_RECORD)), "TOO_LARGE"),
    ] {
        for separator in [",", "\n"] {
            let content = format!("[{a}{separator}{record}{separator}{c}]");
            let records = decode_all(content.as_bytes());
            assert_eq!(
                records.iter().map(super::outcome).collect::<Vec<_>>(),
                ["S", outcome, "S"]
            );
            let kept = record.len().min(MAX_RECORD);
            assert!(*records[1].bytes == record.as_bytes()[..kept]);
            let read = read_all(content.as_bytes()).expect("a known form");
            assert_eq!(read.len(), 3);
            assert_eq!(read[1].len(), record.len().min(MAX_RECORD + 1));
            assert_eq!(decode_one(&read[1]), records[1].decoded);
        }
    }
    // exactly as long as it may be
    let padding = MAX_RECORD - large(0).len();
    let longest = large(padding);
    assert_eq!(longest.len(), MAX_RECORD);
    assert!(decode_one(longest.as_bytes()).is_ok());
    let longer = large(padding + 1);
    assert_eq!(
        decode_one(longer.as_bytes()).map_err(|p| p.reason),
        Err(Reason::TooLarge)
    );
}

#[test]
fn too_large_rows() {
    let cell = Fields::mailbox_side().to_cell();
    let large = Fields::own_send()
        .text("Subject", &"x".repeat(MAX_RECORD))
        .to_cell();
    let unclosed = format!("\"{}", "x".repeat(3 * MAX_RECORD));
    for row in [large, unclosed, "x".repeat(3 * MAX_RECORD)] {
        let content = format!("AuditData\n{cell}\n{row}\n{cell}\n");
        assert_eq!(outcomes(content.as_bytes()), ["S", "TOO_LARGE", "S"]);
        assert_eq!(read_all(content.as_bytes()).expect("a known form").len(), 3);
    }
}

/// Each is a line, so each is a record: also those that are broken one after the other.
#[test]
fn broken_lines_are_told_apart() {
    let [a, _, c] = three();
    let in_a_list = r#"{"Id":"x","recipientList":[{"Address":"a"},"#;
    let in_a_string = r#"{"Id":"x","UserId":"an"#;
    for end in ["\n", "\r\n"] {
        let lines = [
            &a,
            in_a_list,
            in_a_list,
            in_a_string,
            "{",
            in_a_string,
            in_a_list,
            &c,
        ];
        let content = lines.join(end);
        let expected = [&["S"][..], &["MALFORMED"; 6], &["S"]].concat();
        assert_eq!(outcomes(content.as_bytes()), expected, "{content}");
        let read = read_all(content.as_bytes()).expect("a known form");
        assert_eq!(read.len(), lines.len());
    }
    // nothing says so where the first one is broken, where a record has several lines, where
    // there are two on a line, or in an array: there a broken one may have taken the next along
    for first in ["{\"Id\":1,", "{\n\"Id\":1}", "{} {}", "[{}"] {
        let content = format!("{first}\n{in_a_list}\n{in_a_list}\n{a}");
        let found = outcomes(content.as_bytes());
        let broken = found.iter().filter(|&&outcome| outcome == "MALFORMED");
        assert_eq!(broken.count(), 1, "{content}");
        assert_eq!(found.last(), Some(&"S"), "{content}");
    }
}

/// What stands in it at the beginning of a line is a part of it, where a value is due.
#[test]
fn a_broken_record_of_many_lines_is_one() {
    let [a, _, c] = three();
    let broken = concat!(
        "{\"Id\":tru,\"Parameters\":[\n",
        "{\"Name\":\"x\"},\n",
        "{\"Name\":\"y\"}\n",
        "],\"Item\":\n",
        "{\"Id\":1}}"
    );
    let content = format!("[{a},\n{broken},\n{c}]");
    let records = decode_all(content.as_bytes());
    let found: Vec<_> = records.iter().map(|record| &*record.bytes).collect();
    assert_eq!(found, [a.as_bytes(), broken.as_bytes(), c.as_bytes()]);
}
