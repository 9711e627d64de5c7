//! How good things are spoilt: values, records, messages on the wire, what goes with a call.

use sentby::simulate::Random;
use serde_json::{Map, Value as Json};

/// JSON that stands in the place of a value. Not all of it is JSON.
const VALUES: [&str; 40] = [
    "null",
    "true",
    "-0",
    "1e309",
    "-1e309",
    "1e131071",
    "[1e131071]",
    "0.0000000000000000000000001",
    "18446744073709551616",
    "-9223372036854775809",
    "2147483648",
    "\"\"",
    "\" \\t\\r\\n\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ud83d\\ude00\"",
    "\"\\u202e\\ufeff\\u200b@x\"",
    "\"\\u001b[2J\\r\\nX-Injected: 1\"",
    "\"'; DROP TABLE attribution; --\"",
    "\"%_\\\\'\\\"\"",
    "\"9999-99-99T99:99:99\"",
    "\"1601-01-01T00:00:00\"",
    "\"294277-01-09T04:00:54\"",
    "\"2026-03-02T24:00:00\"",
    "\"2026-02-29T12:00:00\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"{E8958887-1634-4B76-9753-08D5649B7D68}\"",
    "\"22222222-2222-4222-8222-222222222222\"",
    "\"S-1-5-18\"",
    "\"S-1-5-21-99999999999999999999-1\"",
    "\"i:0#.f|membership|anna@contoso.com\"",
    "\"SendAs\"",
    "\"SENDONBEHALF \"",
    "\"Send\"",
    "[]",
    "{}",
    "{\"InternetMessageId\":[\"<a@x>\"]}",
    "{\"InternetMessageId\":\"<a@x>\",\"internetmessageid\":\"<b@x>\"}",
    "[{\"Name\":\"Identity\",\"Value\":{\"a\":[1]}},{\"Name\":null}]",
    "NaN",
];

const KEYS: [&str; 14] = [
    "Operation",
    "UserId",
    "Id",
    "CreationTime",
    "OrganizationId",
    "MailboxOwnerUPN",
    "Item",
    "LogonUserSid",
    "AuditData",
    "RecordType",
    "Parameters",
    "TokenObjectId",
    "o365.audit.UserId",
    "\\u0055serId",
];

const TEXTS: [&str; 20] = [
    "\0",
    "a\0b@x",
    " ",
    "\u{feff}",
    "\u{202e}moc.osotnoc@anna",
    "\x1b[31m\r\nlevel=ERROR panicked",
    "'; DROP TABLE tenant; --",
    "%",
    "_\\",
    "<<<>>>",
    "<",
    "00000000-0000-0000-0000-000000000000",
    "11111111-1111-4111-8111-111111111111",
    "{11111111-1111-4111-8111-111111111111}",
    "not a guid",
    "Europe/Nowhere",
    "../../etc/localtime",
    "sha256:00",
    "Bearer x",
    "é\u{301}@ünïcode.example",
];

pub struct Spoiler {
    pub random: Random,
}

impl Spoiler {
    fn at(&mut self, length: usize) -> usize {
        usize::try_from(self.random.below(length.max(1) as u64)).expect("an index")
    }

    /// A text of a request.
    pub fn text(&mut self, good: &str) -> String {
        match self.random.below(8) {
            0 => good.to_uppercase(),
            1 => format!(" {good}\r\n"),
            2 => format!("{good}\0"),
            3 => good.chars().rev().collect(),
            4 => "x".repeat(1 << self.random.below(13)),
            5 => good.chars().skip(1).collect(),
            _ => (*self.random.pick(&TEXTS)).into(),
        }
    }

    pub fn number(&mut self) -> u64 {
        let edges = [
            0,
            1,
            1 << 31,
            (1 << 31) - 1,
            1 << 32,
            1 << 63,
            (1 << 63) - 1,
            u64::MAX,
            253_402_300_800,
        ];
        match self.random.chance(70) {
            true => *self.random.pick(&edges),
            false => self.random.next(),
        }
    }

    /// Bytes with one to three changes somewhere.
    pub fn bytes(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.random.below(3) {
            let at = self.at(bytes.len());
            match self.random.below(6) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.random.below(8),
                2 if !bytes.is_empty() => {
                    bytes[at] = *self.random.pick(b"\"{}[]\\,:\0\xff\xed\x80 \t0-")
                }
                3 => bytes.insert(at, *self.random.pick(b"\"{}[]\\,\0\xc0")),
                4 => {
                    let end = (at + 1 + self.at(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let end = (at + 1 + self.at(60)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
        bytes
    }

    /// A record of which some fields are not what they should be. It stays one object.
    pub fn record(&mut self, json: &str) -> String {
        let fields: Map<String, Json> = serde_json::from_str(json).expect("a record");
        let mut fields: Vec<(String, String)> = fields
            .into_iter()
            .map(|(key, value)| (key, value.to_string()))
            .collect();
        for _ in 0..=self.random.below(4) {
            let at = self.at(fields.len());
            match self.random.below(10) {
                0 => drop(fields.remove(at)),
                1 => fields[at].0 = fields[at].0.to_lowercase(),
                2 => fields[at].0 = format!("\\t{} ", fields[at].0),
                3 => {
                    let key = (*self.random.pick(&KEYS)).into();
                    fields.push((key, self.value()));
                }
                4 => {
                    let key = fields[at].0.clone();
                    fields.insert(at, (key, self.value()));
                }
                5 => fields[at].1 = Json::from(fields[at].1.as_str()).to_string(),
                _ => fields[at].1 = self.value(),
            }
            if fields.is_empty() {
                break;
            }
        }
        let pairs: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }

    fn value(&mut self) -> String {
        match self.random.below(12) {
            0 => "9".repeat(1 << self.random.below(12)),
            1 => {
                let depth = 1 + self.at(200);
                format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
            }
            2 => {
                let depth = 1 + self.at(100);
                format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
            }
            3 => format!("\"{}\"", "y".repeat(1 << self.random.below(13))),
            _ => (*self.random.pick(&VALUES)).into(),
        }
    }

    /// A request whose bytes are no longer what its fields say.
    pub fn message(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        match self.random.below(7) {
            0 => message.truncate(self.at(message.len())),
            // a field of another wire type, of any number
            1 => {
                let tag = 1 + self.random.below(40);
                let wire = self.random.below(8);
                message.push(u8::try_from((tag << 3 | wire) & 0x7f).expect("small"));
                message.extend(self.random.next().to_le_bytes());
            }
            // groups in groups
            2 => message.extend(std::iter::repeat_n(0x0b, self.at(300))),
            // a length that is longer than all that comes
            3 => message.extend([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            // a varint without an end
            4 => message.extend([0xff; 11]),
            5 => {
                message = (0..self.at(64))
                    .map(|_| self.random.next().to_le_bytes()[0])
                    .collect()
            }
            _ => message = self.bytes(message),
        }
        message
    }

    /// What goes with a call, nothing of it as it should be.
    pub fn metadata(&mut self) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        let long = "v".repeat(1 << self.random.below(12));
        let (name, value): (&'static str, &[u8]) = *self.random.pick(&[
            ("authorization", b"Bearer " as &[u8]),
            ("authorization", b"Basic \xff\xfe"),
            (
                "authorization",
                b"bearer sentby_0000000000000000000000000000000000000000000000000000000000000000",
            ),
            ("grpc-timeout", b"1n"),
            ("grpc-timeout", b"99999999H"),
            ("grpc-timeout", b"-1S"),
            ("grpc-timeout", b"999999999999m"),
            ("x-request-id", b"\xff\x80"),
            ("x-request-id", b"a b;c=\"d\""),
            ("x-odd-bin", b"!not base64!"),
            ("traceparent", b"00-0000-0000-00"),
            (
                "traceparent",
                b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            ("grpc-accept-encoding", b"br,,identity;q=x"),
            ("x-long", long.as_bytes()),
        ]);
        if let Ok(value) = http::HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
        headers
    }
}
