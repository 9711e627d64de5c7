//! Content of audit records: by whatever way it is read it is the same; a record is the same in every
//! envelope; and what is bad changes none of its neighbours.

use super::wrap::{self, Wrap};
use sentby::{
    audit::{
        Decoded, MAX_DEPTH, MAX_RECORD, NotRecognised, Problem, Reader, Record, decode_content,
        decode_record, microsoft_error,
    },
    domain::{QuarantineReason, TenantId},
};
use serde_json::value::RawValue;
use std::io::{self, Read};
use uuid::Uuid;

/// Of all seeds, and of `sentby simulate` with one tenant.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111));

/// Two good ones.
pub const BEFORE: &str = r#"{"CreationTime":"2026-03-01T09:00:00","Id":"e8958887-1634-4b76-9753-08d5649b7d68","Operation":"SendAs","OrganizationId":"11111111-1111-4111-8111-111111111111","RecordType":2,"ResultStatus":"Succeeded","UserKey":"10032001266C162C","UserType":0,"Version":1,"Workload":"Exchange","UserId":"Anna.Kern@contoso.com","LogonType":2,"LogonUserSid":"S-1-5-21-1-2-3-1001","MailboxGuid":"f3d40ece-6532-495d-803d-f55d9e496be5","MailboxOwnerSid":"S-1-5-21-1-2-3-2002","MailboxOwnerUPN":"support@contoso.com","SendAsUserSmtp":"Support@contoso.com","Item":{"Id":"Unknown","InternetMessageId":"<AB12@mail.contoso.com>","Subject":"Re: {\"your\": [7]"}}"#;
pub const AFTER: &str = r#"{"CreationTime":"2026-03-01T10:00:00","Id":"0b1c2d3e-1634-4b76-9753-08d5649b7d69","Operation":"Send","OrganizationId":"11111111-1111-4111-8111-111111111111","RecordType":2,"ResultStatus":"Succeeded","UserKey":"10032001266C162C","UserType":0,"Version":1,"Workload":"Exchange","UserId":"ben@contoso.com","LogonType":0,"LogonUserSid":"S-1-5-21-1-2-3-1002","MailboxGuid":"11111111-6532-495d-803d-f55d9e496be5","MailboxOwnerSid":"S-1-5-21-1-2-3-1002","MailboxOwnerUPN":"ben@contoso.com","Item":{"InternetMessageId":"<CD34@mail.contoso.com>"}}"#;

type Answer<'a> = Result<Decoded<'a>, Problem>;

pub fn native(data: &[u8]) {
    family(&[], data);
}

pub fn search(data: &[u8]) {
    family(wrap::SEARCH, data);
}

pub fn graph(data: &[u8]) {
    family(wrap::GRAPH, data);
}

pub fn siem(data: &[u8]) {
    family(wrap::SIEM, data);
}

pub fn pages(data: &[u8]) {
    family(wrap::PAGES, data);
}

pub fn csv(data: &[u8]) {
    read_alike(data);
    read_alike(&[b"CreationDate,AuditData,Last\n", data].concat());
    in_cells(data);
}

fn family(wraps: &[Wrap], data: &[u8]) {
    read_alike(data);
    between_neighbours(data);
    if wrap::is_object(data) {
        spelled_alike(data);
        wrapped_alike(wraps, data);
    }
}

/// Gives its bytes in small portions.
struct Portions<'a>(&'a [u8], usize);

impl Read for Portions<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 5 % 509 + 1;
        let length = self.1.min(self.0.len()).min(out.len());
        out[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn shown(records: &[Record<'_>]) -> Vec<(String, Answer<'static>)> {
    let one = |record: &Record<'_>| {
        let bytes = String::from_utf8_lossy(&record.bytes).into_owned();
        (bytes, owned(record.decoded.clone()))
    };
    records.iter().map(one).collect()
}

fn owned(decoded: Answer<'_>) -> Answer<'static> {
    decoded.map(|decoded| match decoded {
        Decoded::Send { message, event } => Decoded::Send { message, event },
        Decoded::Admin(change) => Decoded::Admin(change),
        Decoded::Ignored { operation } => Decoded::Ignored {
            operation: operation.into_owned().into(),
        },
    })
}

/// In memory as a whole, and from a file in portions; and each record of it says what it may say.
fn read_alike(content: &[u8]) {
    let _ = microsoft_error(content);
    let reader = Reader::new(Portions(content, content.len())).expect("nothing that is read fails");
    let whole = decode_content(content, TENANT);
    let (reader, whole) = match (reader, whole) {
        (Ok(reader), Ok(whole)) => (reader, whole),
        (Err(NotRecognised), Err(NotRecognised)) => return,
        (reader, whole) => {
            // the reader knows UTF-16, too
            assert!(reader.is_ok() && whole.is_err());
            assert!(content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff"));
            reader.into_iter().flatten().for_each(drop);
            return;
        }
    };
    let whole: Vec<Record<'_>> = whole.collect();
    let sum: usize = whole.iter().map(|record| record.bytes.len()).sum();
    assert!(
        sum <= content.len(),
        "no record has bytes that did not come"
    );
    for record in &whole {
        says_what_it_may(record);
    }
    let mut read = Vec::new();
    for record in reader {
        let record = record.expect("nothing that is read fails");
        let decoded: Vec<Record<'_>> = decode_record(&record, TENANT).collect();
        read.extend(shown(&decoded));
    }
    assert_eq!(read, shown(&whole));
    // and again, whatever was left of the first time
    let again: Vec<Record<'_>> = decode_content(content, TENANT)
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(shown(&again), shown(&whole));
}

fn says_what_it_may(record: &Record<'_>) {
    assert!(record.bytes.len() <= MAX_RECORD);
    match &record.decoded {
        Ok(Decoded::Send { message, event }) => {
            assert!(event.time.is_plausible());
            for text in [
                &Some(event.user_id.clone()),
                &event.user_key,
                &event.logon_user_sid,
                &event.owner,
                &event.sent_as,
            ]
            .into_iter()
            .flatten()
            {
                assert!(!text.contains('\0'), "Postgres takes no NUL");
            }
            assert_eq!(
                message.id().map(|id| id.key()),
                message.id().map(|_| message.key())
            );
        }
        Ok(Decoded::Admin(_)) => {}
        Ok(Decoded::Ignored { operation }) => {
            assert!(!operation.is_empty() && operation.chars().count() <= 100);
            assert!(!operation.chars().any(char::is_control));
        }
        Err(problem) => {
            assert!(!problem.detail.is_empty() && problem.detail.chars().count() <= 200);
        }
    }
}

fn answers(content: &[u8]) -> Vec<Answer<'_>> {
    let records = decode_content(content, TENANT).expect("a form that is known");
    records.map(|record| record.decoded).collect()
}

fn one(record: &str) -> Answer<'static> {
    owned(answers(record.as_bytes()).remove(0))
}

/// The first is what it is alone, whatever comes; the last too, where what comes is JSON at all.
fn between_neighbours(data: &[u8]) {
    let (before, after) = (one(BEFORE), one(AFTER));
    let is_line = !data.contains(&b'\n') && !data.contains(&b'\r');
    let is_json = serde_json::from_slice::<&RawValue>(data).is_ok();
    for (open, between, close) in [("[", ",", "]"), ("", "\n", "\n")] {
        let parts = [
            open.as_bytes(),
            BEFORE.as_bytes(),
            between.as_bytes(),
            data,
            between.as_bytes(),
            AFTER.as_bytes(),
            close.as_bytes(),
        ];
        let content = parts.concat();
        let found = answers(&content);
        assert_eq!(found.first(), Some(&before), "the one before it");
        if is_json || is_line && open.is_empty() {
            assert_eq!(found.last(), Some(&after), "the one behind it");
        }
    }
    if is_json {
        let alone = [b"[", data, b"]"].concat();
        let content = [
            b"[",
            BEFORE.as_bytes(),
            b",",
            data,
            b",",
            AFTER.as_bytes(),
            b"]",
        ]
        .concat();
        let all = answers(&content);
        assert_eq!(
            all[1..all.len() - 1],
            answers(&alone),
            "what is between them"
        );
    }
}

/// Rows of an export, of which one has this in its cell.
fn in_cells(data: &[u8]) {
    let cell = |bytes: &[u8]| {
        let mut cell = vec![b'"'];
        for byte in bytes {
            cell.extend(if *byte == b'"' {
                &b"\"\""[..]
            } else {
                std::slice::from_ref(byte)
            });
        }
        cell.push(b'"');
        cell
    };
    let row = |bytes: &[u8]| [b"2026-03-01,", &cell(bytes)[..], b",x\r\n"].concat();
    let head = b"CreationDate,AuditData,Last\r\n".to_vec();
    let content = [
        head,
        row(BEFORE.as_bytes()),
        row(data),
        row(AFTER.as_bytes()),
    ]
    .concat();
    let found = answers(&content);
    assert_eq!(found.first(), Some(&one(BEFORE)), "the row before it");
    let is_line = !data.contains(&b'\n');
    if is_line || wrap::is_object(data) {
        assert_eq!(found.last(), Some(&one(AFTER)), "the row behind it");
    }
    if wrap::is_object(data) && is_small(data) {
        let bare: Vec<Answer<'_>> = decode_record(data, TENANT)
            .map(|record| record.decoded)
            .collect();
        assert_eq!(found[1..found.len() - 1], bare, "in a cell");
    }
}

fn is_small(data: &[u8]) -> bool {
    let open = data.iter().filter(|byte| b"{[".contains(byte)).count();
    data.len() < MAX_RECORD / 4 && open < MAX_DEPTH / 2
}

/// White space between the parts of JSON means nothing.
fn spelled_alike(data: &[u8]) {
    let (mut spelled, mut in_text, mut escaped) = (Vec::new(), false, false);
    for &byte in data {
        spelled.push(byte);
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            in_text = byte == b'"';
            if b",:{[".contains(&byte) {
                spelled.extend(b" \n");
            }
        }
    }
    let answers = |bytes: &[u8]| -> Vec<Result<Decoded<'static>, QuarantineReason>> {
        let records = decode_record(bytes, TENANT);
        let decoded = records.map(|record| owned(record.decoded));
        decoded
            .map(|answer| answer.map_err(|problem| problem.reason))
            .collect()
    };
    if is_small(data) {
        assert_eq!(answers(&spelled), answers(data), "with white space in it");
    }
}

/// Names of what records are wrapped in: with one of them inside, the envelope is not the only one.
const ENVELOPES: [&str; 17] = [
    "auditdata",
    "dynamicproperties",
    "additionalproperties",
    "raweventdata",
    "properties",
    "office365",
    "data",
    "event",
    "o365",
    "_raw",
    "result\"",
    "_source",
    "value\"",
    "records\"",
    "items",
    "organization.",
    "\\u",
];

/// A record is what it is in every envelope of the family.
fn wrapped_alike(wraps: &[Wrap], data: &[u8]) {
    let Ok(record) = std::str::from_utf8(data) else {
        return;
    };
    let lower = record.to_ascii_lowercase();
    if !is_small(data) || ENVELOPES.iter().any(|name| lower.contains(name)) {
        return;
    }
    let mut bare: Vec<Answer<'_>> = decode_record(data, TENANT)
        .map(|record| record.decoded)
        .collect();
    assert_eq!(bare.len(), 1, "one record");
    let bare = bare.remove(0);
    if bare.is_err() {
        return;
    }
    for (number, wrap) in wraps.iter().enumerate() {
        let wrapped = wrap(record);
        let found: Vec<Answer<'_>> = answers(wrapped.as_bytes());
        assert_eq!(
            found,
            std::slice::from_ref(&bare),
            "envelope {number}: {wrapped}"
        );
    }
}
