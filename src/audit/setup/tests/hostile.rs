//! Input made to break it, or to cost much.

use super::*;
use proptest::prelude::*;

/// Work that grows with the square of the size would not come to an end.
#[test]
fn input_made_to_cost_much() {
    const SIZE: usize = 1 << 20;
    for (start, pattern) in [
        ("AuditEnabled : x\n", "AuditEnabled : y\n"),
        ("AuditEnabled : x\n", " a\n"),
        ("AuditEnabled : x\n", "a : b\n"),
        ("AuditEnabled : x\n", "\n"),
        ("A,AuditEnabled\n", "\"\n"),
        ("A,AuditEnabled\n", "\"a"),
        ("A,AuditEnabled\n", "\"\""),
        ("A,AuditEnabled\n", ","),
        ("[", "{\"AuditEnabled\":["),
        ("[", "{\"AuditEnabled\":1},"),
        ("{\"AuditDelegate\":\"", "a,"),
    ] {
        let content = format!("{start}{}", pattern.repeat(SIZE / pattern.len()));
        let setup = read_setup(content.as_bytes(), AT, &mut None).expect("no error");
        let setup = setup.expect(pattern);
        assert!(setup.problems.len() <= MAX_PROBLEMS, "{pattern}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "AuditDelegate",
        "AuditEnabled",
        "Identity",
        "AccessRights",
        "Trustee",
        "DefaultAuditSet",
        "AuditLogAgeLimit",
        " : ",
        ":",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ";",
        "\n",
        "\r\n",
        "\n\n",
        " ",
        "…",
        "...",
        "true",
        "null",
        "1",
        "-9.99:99:99",
        "SendAs",
        "\u{feff}",
        "\0",
        "\\",
        "{\"AuditEnabled\":",
        "{\"AuditLogAgeLimit\":{\"Ticks\":9223372036854775807}}",
        "\u{e9}",
        "@{Add=",
        "#TYPE x\n",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_setup(content.as_slice(), AT, &mut None).expect("no error");
    }

    #[test]
    fn any_pieces(content in pieces(), start in prop::sample::select(vec!["", "A,AuditEnabled\n", "AuditEnabled : ", "["])) {
        let content = format!("{start}{content}");
        let _ = read_setup(content.as_bytes(), AT, &mut None).expect("no error");
        let _ = read_setup(utf16(&content).as_slice(), AT, &mut None).expect("no error");
    }

    /// A list that is printed whole, however it is wrapped, is the list.
    #[test]
    fn any_list_at_any_width(words in prop::collection::vec("[A-Z][a-z]{1,12}", 1..12), width in 8_usize..60) {
        let mut lines = vec![String::new()];
        for word in format!("{{{}}}", words.join(", ")).split(' ') {
            let last = lines.last_mut().expect("one");
            if !last.is_empty() && last.len() + word.len() > width {
                lines.push(word.to_owned());
            } else {
                *last = format!("{last} {word}");
            }
        }
        let text = format!("Identity      : x\nAuditDelegate : {}\n", lines.join("\n                "));
        let setup = read(text);
        let names = Names { names: words, is_cut: false };
        prop_assert_eq!(&setup.settings.mailboxes[0].audit_delegate, &Property::Known(names));
    }
}
