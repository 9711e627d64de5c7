//! Records and envelopes as somebody on the way may have changed them. Whatever it is: two
//! envelopes of one record never differ, and its neighbours stay what they are.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value as Json, json};

use super::envelopes::{ENVELOPES, page};
use super::fixtures::fixtures;
use super::*;

/// One change of a record that every envelope can carry.
#[derive(Clone, Debug)]
enum Mutation {
    Drop(Index),
    /// A number, a text or a Boolean becomes another one of them, or null.
    Retype(Index, usize),
    Case(Index, bool),
    Pad(Index),
    Twist(usize),
    Twice,
    Reverse,
    Extra(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        2 => index().prop_map(Mutation::Drop),
        4 => (index(), 0..6_usize).prop_map(|(at, how)| Mutation::Retype(at, how)),
        1 => (index(), any::<bool>()).prop_map(|(at, upper)| Mutation::Case(at, upper)),
        1 => index().prop_map(Mutation::Pad),
        1 => (0..TWISTS.len()).prop_map(Mutation::Twist),
        1 => Just(Mutation::Twice),
        1 => Just(Mutation::Reverse),
        2 => (0..EXTRA.len()).prop_map(Mutation::Extra),
    ]
}

/// Other values of the fields that decide.
const TWISTS: [(&str, &str); 12] = [
    ("Operation", r#""sendas""#),
    ("Operation", r#""SendOnBehalf""#),
    ("Operation", r#""Send""#),
    ("Operation", r#""MailItemsAccessed""#),
    ("CreationTime", r#""2024-05-06 07:08:09""#),
    ("CreationTime", r#""2024""#),
    ("RecordType", "25"),
    ("UserId", r#""i:0#.f|membership|Anna.Kern@contoso.com ""#),
    ("Id", r#""{E8958887-1634-4B76-9753-08D5649B7D68}""#),
    ("UserType", "5"),
    ("Item", r#"{"InternetMessageId":" <a\r\n @b> "}"#),
    ("LogonType", "1"),
];

/// Keys that are nobody's.
const EXTRA: [(&str, &str); 8] = [
    ("Version2", "2"),
    ("ParentFolder", r#"{"Operation":"Send","Id":"x"}"#),
    ("Text", r#""{\"Operation\":\"SendAs\"},\n[{""#),
    ("List", r#"[{"Name":"UserId","Value":"x"}]"#),
    ("@odata.type", r##""#microsoft.graph.x""##),
    ("UserId@odata.type", r##""#String""##),
    ("Operations", r#""Create""#),
    ("Nothing", "null"),
];

/// The JSON of a plain value, as another type: what an exporter makes of it.
fn retyped(json: &str, how: usize) -> String {
    let value: Json = serde_json::from_str(json).expect("JSON");
    let text = match &value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    match how {
        0 => json!(text).to_string(),
        1 => text
            .trim()
            .parse::<i64>()
            .map_or(json.to_owned(), |n| n.to_string()),
        2 => json!(format!(" {text}\r\n")).to_string(),
        3 => "null".into(),
        4 => "true".into(),
        _ => r#""""#.into(),
    }
}

/// What is changed: plain values.
const PLAIN: [&str; 19] = [
    "ClientInfoString",
    "CreationTime",
    "ExternalAccess",
    "Id",
    "LogonType",
    "LogonUserSid",
    "MailboxGuid",
    "MailboxOwnerSid",
    "ObjectId",
    "Operation",
    "OrganizationId",
    "RecordType",
    "ResultStatus",
    "SendAsUserMailboxGuid",
    "SendAsUserSmtp",
    "UserId",
    "UserKey",
    "UserType",
    "Workload",
];

fn mutated(record: Fields, mutation: &Mutation) -> Fields {
    let Fields(mut fields) = record;
    let plain: Vec<usize> = (0..fields.len())
        .filter(|&at| PLAIN.contains(&fields[at].0.as_str()))
        .collect();
    match mutation {
        Mutation::Drop(at) if !plain.is_empty() => {
            fields.remove(*at.get(&plain));
        }
        Mutation::Retype(at, how) if !plain.is_empty() => {
            let value = &mut fields[*at.get(&plain)].1;
            *value = retyped(value, *how);
        }
        Mutation::Case(at, upper) if !plain.is_empty() => {
            let key = &mut fields[*at.get(&plain)].0;
            *key = if *upper {
                key.to_uppercase()
            } else {
                key.to_lowercase()
            };
        }
        Mutation::Pad(at) if !plain.is_empty() => {
            let key = &mut fields[*at.get(&plain)].0;
            *key = format!("\\t{key} ");
        }
        Mutation::Twist(at) => {
            let (key, json) = TWISTS[*at];
            let is_it = |known: &str| {
                let known = known.trim_start_matches("\\t").trim();
                known.eq_ignore_ascii_case(key)
            };
            match fields.iter_mut().find(|(known, _)| is_it(known)) {
                Some((_, value)) => *value = json.to_owned(),
                None => fields.push((key.into(), json.into())),
            }
        }
        // a contradiction, by a spelling that is not there yet
        Mutation::Twice => fields.push(("uSeRiD".into(), r#""Ben@contoso.com""#.into())),
        Mutation::Reverse => fields.reverse(),
        Mutation::Extra(at) => {
            let (key, json) = EXTRA[*at];
            fields.insert(fields.len() / 2, (key.into(), json.into()));
        }
        _ => {}
    }
    Fields(fields)
}

pub(super) fn any_record() -> impl Strategy<Value = Fields> {
    let records = fixtures().into_iter().map(|(_, record)| record);
    let record = prop::sample::select(records.collect::<Vec<_>>());
    (record, prop::collection::vec(mutation(), 0..6))
        .prop_map(|(record, mutations)| mutations.iter().fold(record, mutated))
}

/// How a writer of JSON may change an envelope: the case of its keys, and white space.
fn respelled(json: &Json, how: usize) -> String {
    match how {
        0 => json.to_string(),
        1 => serde_json::to_string_pretty(json).expect("JSON"),
        // as .NET writes a text
        2 => json.to_string().replace("\\\"", "\\u0022"),
        _ => json
            .to_string()
            .replace("\":", "\" : ")
            .replace(",\"", " , \""),
    }
}

fn decoded(records: Vec<Record<'_>>) -> Vec<Answer> {
    let owned = records.into_iter().map(Record::into_owned);
    owned.map(|record| record.decoded).collect()
}

/// The reader and the whole content give the same.
fn both(content: &[u8]) -> Vec<Answer> {
    let whole = decode_content(content, TENANT);
    let Ok(whole) = whole else {
        assert!(read_all(content).is_err());
        return Vec::new();
    };
    let whole = decoded(whole.collect());
    let read = read_all(content).expect("a known form");
    let read = read
        .iter()
        .flat_map(|record| decoded(decode_record(record, TENANT).collect()));
    assert_eq!(
        read.collect::<Vec<_>>(),
        whole,
        "{}",
        String::from_utf8_lossy(content)
    );
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn two_envelopes_of_one_record_never_differ(record in any_record(), how in 0..4_usize) {
        let expected = record.decode();
        for envelope in &ENVELOPES {
            let text = respelled(&(envelope.wrap)(&record), how);
            let found = both(text.as_bytes());
            prop_assert_eq!(found, vec![expected.clone()], "{}: {}", envelope.what, text);
        }
    }

    /// One of them cut off, or with a byte changed.
    #[test]
    fn a_broken_envelope_keeps_its_neighbours(
        record in any_record(),
        which in 0..ENVELOPES.len(),
        neighbours in (0..ENVELOPES.len(), 0..ENVELOPES.len()),
        at in any::<Index>(),
        byte in prop::option::of(prop::sample::select(b"\"{}[]\\,:\n\0\xff".to_vec())),
        lines in any::<bool>(),
    ) {
        let (before, after) = (Fields::mailbox_side(), Fields::own_send());
        let wrap = |which: usize, record: &Fields| (ENVELOPES[which].wrap)(record).to_string();
        let mut broken = wrap(which, &record).into_bytes();
        let at = at.index(broken.len());
        match byte {
            Some(byte) => broken[at] = byte,
            None => broken.truncate(at),
        }
        let (open, between, close) = if lines { ("", "\n", "\n") } else { ("[", ",", "]") };
        let content = [
            open.as_bytes(),
            wrap(neighbours.0, &before).as_bytes(),
            between.as_bytes(),
            &broken,
            between.as_bytes(),
            wrap(neighbours.1, &after).as_bytes(),
            close.as_bytes(),
        ].concat();
        let found = both(&content);
        let shown = String::from_utf8_lossy(&content);
        prop_assert_eq!(&found[0], &before.decode(), "{}", shown);
        prop_assert!(found.contains(&after.decode()), "{:?} {}", found, shown);
    }

    /// `received` is what it should be.
    #[test]
    fn as_many_as_there_are(
        records in prop::collection::vec((any_record(), 0..ENVELOPES.len()), 0..12),
        pages in prop::collection::vec(0..5_usize, 1..4),
        in_lines in any::<bool>(),
    ) {
        let expected: Vec<_> = records.iter().map(|(record, _)| record.decode()).collect();
        let mut wrapped: Vec<Json> = records
            .iter()
            .map(|(record, which)| (ENVELOPES[*which].wrap)(record))
            .collect();
        let mut elements: Vec<Json> = Vec::new();
        for length in pages {
            let rest = wrapped.split_off(length.min(wrapped.len()));
            elements.push(page(&wrapped));
            wrapped = rest;
        }
        elements.append(&mut wrapped);
        let content = if in_lines {
            elements.iter().map(|element| format!("{element}\r\n")).collect()
        } else {
            json!(elements).to_string()
        };
        prop_assert_eq!(both(content.as_bytes()), expected, "{}", content);
    }
}
