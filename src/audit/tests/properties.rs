//! What holds for any input.

use proptest::prelude::*;

use super::forms::three;
use super::*;

/// Gives its bytes in portions of these lengths, in turn.
struct Portions<'a> {
    bytes: &'a [u8],
    lengths: &'a [usize],
    turn: usize,
}

impl std::io::Read for Portions<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.lengths[self.turn % self.lengths.len()];
        self.turn += 1;
        let length = length.min(self.bytes.len()).min(out.len());
        out[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        Ok(length)
    }
}

/// The reader gives what the whole content decodes to, and each of its records is one.
fn check_reader(content: &[u8], lengths: &[usize]) -> Result<(), TestCaseError> {
    let portions = Portions {
        bytes: content,
        lengths,
        turn: 0,
    };
    let reader = Reader::new(portions).expect("no error");
    let whole = decode_content(content, TENANT);
    let (reader, whole) = match (reader, whole) {
        (Ok(reader), Ok(whole)) => (reader, whole),
        (Err(NotRecognised), Err(NotRecognised)) => return Ok(()),
        (reader, whole) => {
            // the reader knows UTF-16, too
            prop_assert!(reader.is_ok() && whole.is_err());
            prop_assert!(content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff"));
            return Ok(());
        }
    };
    let shown = |record: Record<'_>| {
        let record = record.into_owned();
        let bytes = String::from_utf8_lossy(&record.bytes).into_owned();
        (bytes, record.decoded)
    };
    let is_csv = memchr::memmem::find(content, b"AuditData").is_some();
    let mut read = Vec::new();
    for record in reader.map(|record| record.expect("no error")) {
        let decoded: Vec<_> = decode_record(&record, TENANT).map(shown).collect();
        // only a cell of a CSV file can still hold several
        prop_assert!(decoded.len() == 1 || is_csv, "{:?}", decoded);
        read.extend(decoded);
    }
    let whole: Vec<_> = whole.map(shown).collect();
    let content = String::from_utf8_lossy(content);
    prop_assert_eq!(read, whole, "{}", content);
    Ok(())
}

/// Text of what matters to the cutters, whole records among it.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let [a, b, c] = three();
    let cell = Fields::mailbox_side().to_cell();
    let punctuation = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "\n",
        "\r\n",
        " ",
        "{\"a\":",
        "{\"a\":1}",
        "{\"Operation\":\"x\",\"Id\":1}",
        "\"\"",
        "1",
        "null",
        "\u{feff}",
        "AuditData",
        "\0",
        "CreationDate,AuditData\n",
        "{\"a\":[",
        "\"x\"",
        "{\"value\":[",
        "\"records\":[{",
        "\"Id\":",
        "}]}",
        "],\"a\":1}",
        "{\"AuditData\":",
        "{\"event.original\":",
    ]);
    let piece = prop_oneof![
        8 => punctuation.prop_map(str::to_owned),
        1 => prop::sample::select(vec![a, b, c, cell]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(content in prop::collection::vec(any::<u8>(), 0..400), lengths in prop::collection::vec(1..50_usize, 1..4)) {
        check_reader(&content, &lengths)?;
        for record in decode_record(&content, TENANT) {
            prop_assert!(record.decoded.is_err());
        }
        let _ = microsoft_error(&content);
    }

    #[test]
    fn any_pieces(content in pieces(), lengths in prop::collection::vec(1..500_usize, 1..4)) {
        check_reader(&content, &lengths)?;
        let csv = [b"CreationDate,AuditData,Last\n", content.as_slice()].concat();
        check_reader(&csv, &lengths)?;
        for _ in decode_record(&content, TENANT) {}
    }

    #[test]
    fn valid_records_are_cut_exactly(
        records in prop::collection::vec((0..3_usize, any::<bool>()), 0..20),
        separators in prop::collection::vec(prop::sample::select(vec![",", "\n", "\r\n", " ", "", ",\n", "][", "]\n[", "\u{feff}", " , "]), 20),
    ) {
        let three = three();
        let pretty = Fields::mailbox_side().to_pretty_json();
        let mut content = "[".to_owned();
        let mut expected = Vec::new();
        for (at, &(which, is_pretty)) in records.iter().enumerate() {
            let record = if is_pretty { pretty.trim() } else { &three[which] };
            content += record;
            content += separators[at];
            expected.push(record.as_bytes().to_vec());
        }
        content += "]";
        let records: Vec<_> = decode_all(content.as_bytes());
        let bytes: Vec<Vec<u8>> = records.iter().map(|record| record.bytes.to_vec()).collect();
        prop_assert_eq!(&bytes, &expected);
        prop_assert!(records.iter().all(|record| record.decoded.is_ok()));
        prop_assert_eq!(read_all(content.as_bytes()), Ok(expected));
    }

    #[test]
    fn any_order_of_the_fields(order in Just((0..24_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let Fields(fields) = Fields::mailbox_side();
        let shuffled = order.iter().filter_map(|&at| fields.get(at).cloned()).collect();
        prop_assert_eq!(Fields(shuffled).event(), Fields::mailbox_side().event());
    }
}
