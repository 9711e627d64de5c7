//! The format that evidence is written in.
//!
//! The sides of a message name the same people, accounts and mailboxes, so a value is written
//! where it is met first, and has a number from then on. A second side adds some 30 bytes.
//!
//! | what | how |
//! |---|---|
//! | [`MARK`] | which no protobuf begins with, and the number of the format |
//! | truncated | 0 or 1 |
//! | each event, to the end | time, flags, user type, record id, eight values |
//! | time | varint, zigzag: since the event before (the first: since 1970), in seconds, or in microseconds where a flag says so |
//! | user type | its number and 1; 0 for none |
//! | value | [`NONE`], or [`NEW`], then kind and length (varint), and the bytes; or the number of a known one |

use super::{Result, corrupt, facts, flags};
use crate::domain::{Evidence, SendEvent, Timestamp};
use prost::encoding::{decode_varint, encode_varint};
use std::fmt::Write as _;
use uuid::Uuid;

/// An older program refuses it, and cannot lose what it does not understand.
pub(super) const MARK: [u8; 2] = [0, 2];
/// The same format, where an event names a person who was erased: a program that does not know of
/// such people would take one for nobody.
pub(super) const MARK_OF_ERASED: [u8; 2] = [0, 3];

const NONE: u8 = 0;
const NEW: u8 = 1;
/// The number of the first value.
const FIRST: u8 = 2;
/// Values that have a number. More than that is no usual message, and finding one stays cheap.
const NUMBERED: usize = 64;

const SECOND: i64 = 1_000_000;

/// How the bytes of a value are to be read.
mod kind {
    pub(super) const TEXT: u64 = 0;
    /// `s-1-5-21-…`: each number behind the `s-1` as a varint.
    pub(super) const SID: u64 = 1;
    /// An even number of hexadecimal digits, as a PUID has.
    pub(super) const HEX: u64 = 2;
    pub(super) const GUID: u64 = 3;
}

#[derive(Clone, Copy, PartialEq)]
enum Value<'a> {
    Text(&'a str),
    Guid(Uuid),
}

pub fn encode(evidence: &Evidence) -> Vec<u8> {
    let mut writer = Writer {
        bytes: Vec::with_capacity(256),
        known: Vec::with_capacity(16),
    };
    let is_of_erased = |event: &SendEvent| event.pseudonyms().next().is_some();
    let has_erased = evidence.events().any(is_of_erased);
    writer
        .bytes
        .extend(if has_erased { MARK_OF_ERASED } else { MARK });
    writer.bytes.push(u8::from(evidence.is_truncated()));
    let mut before = 0;
    for event in evidence.events() {
        writer.event(event, before);
        before = event.time.micros();
    }
    writer.bytes
}

struct Writer<'a> {
    bytes: Vec<u8>,
    known: Vec<Value<'a>>,
}

impl<'a> Writer<'a> {
    fn event(&mut self, event: &'a SendEvent, before: i64) {
        let since = event.time.micros().wrapping_sub(before);
        let (since, unit) = match since % SECOND {
            0 => (since / SECOND, 0),
            _ => (since, flags::MICROSECONDS),
        };
        encode_varint(zigzag(since), &mut self.bytes);
        encode_varint(u64::from(flags::of(event) | unit), &mut self.bytes);
        let user_type = event.user_type.map_or(0, |user_type| user_type as u8 + 1);
        self.bytes.push(user_type);
        self.bytes.extend(event.record_id.as_bytes());
        let text = |text: &'a Option<String>| text.as_deref().map(Value::Text);
        let guid = |guid: Option<Uuid>| guid.map(Value::Guid);
        let user_id = Some(event.user_id.as_str()).filter(|id| !id.is_empty());
        self.value(user_id.map(Value::Text));
        self.value(text(&event.user_key));
        self.value(text(&event.logon_user_sid));
        self.value(guid(event.object_id));
        self.value(text(&event.owner));
        self.value(guid(event.mailbox_guid));
        self.value(text(&event.sent_as));
        self.value(guid(event.sent_as_guid));
    }

    fn value(&mut self, value: Option<Value<'a>>) {
        let Some(value) = value else {
            return self.bytes.push(NONE);
        };
        if let Some(number) = self.known.iter().position(|known| *known == value) {
            return self.bytes.push(FIRST + number as u8); // below NUMBERED
        }
        if self.known.len() < NUMBERED {
            self.known.push(value);
        }
        self.bytes.push(NEW);
        match value {
            Value::Guid(guid) => self.bytes_of(kind::GUID, guid.as_bytes()),
            Value::Text(text) => {
                if let Some(bytes) = pack_sid(text) {
                    self.bytes_of(kind::SID, &bytes);
                } else if let Some(bytes) = pack_hex(text) {
                    self.bytes_of(kind::HEX, &bytes);
                } else {
                    self.bytes_of(kind::TEXT, text.as_bytes());
                }
            }
        }
    }

    fn bytes_of(&mut self, kind: u64, bytes: &[u8]) {
        encode_varint((bytes.len() as u64) << 2 | kind, &mut self.bytes);
        self.bytes.extend(bytes);
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// `None` where the text would not come back as it is.
fn pack_sid(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32);
    for part in text.strip_prefix("s-1-")?.split('-') {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = part == "0" || !part.starts_with('0');
        let number: u64 = part.parse().ok().filter(|_| is_number && is_plain)?;
        encode_varint(number, &mut bytes);
    }
    Some(bytes)
}

fn unpack_sid(mut bytes: &[u8]) -> Result<String> {
    let mut text = String::from("s-1");
    while !bytes.is_empty() {
        let number = decode_varint(&mut bytes).map_err(|_| corrupt("a SID"))?;
        write!(text, "-{number}").map_err(|_| corrupt("a SID"))?;
    }
    Ok(text)
}

fn pack_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn unpack_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Evidence> {
    let mut reader = Reader {
        bytes: bytes
            .strip_prefix(&MARK)
            .or_else(|| bytes.strip_prefix(&MARK_OF_ERASED))
            .ok_or_else(|| corrupt("a format that this version does not know"))?,
        known: Vec::with_capacity(16),
        time: 0,
    };
    let truncated = reader.byte()? != 0;
    let mut events = Vec::with_capacity(4);
    while !reader.bytes.is_empty() {
        events.push(reader.event()?);
    }
    Ok(Evidence::restore(events, truncated))
}

/// What a value was: the text of a SID or of digits again.
#[derive(Clone)]
enum Read {
    Text(String),
    Guid(Uuid),
}

struct Reader<'b> {
    bytes: &'b [u8],
    known: Vec<Read>,
    /// Of the event before, as it is written.
    time: i64,
}

impl<'b> Reader<'b> {
    fn event(&mut self) -> Result<SendEvent> {
        let since = unzigzag(self.varint()?);
        let flags = u32::try_from(self.varint()?).map_err(|_| corrupt("flags"))?;
        let since = match flags & flags::MICROSECONDS {
            0 => since.wrapping_mul(SECOND),
            _ => since,
        };
        let user_type = match self.byte()? {
            0 => None,
            number => Some(u32::from(number) - 1),
        };
        self.time = self.time.wrapping_add(since);
        Ok(SendEvent {
            // an older program kept fractions: with one it would be a second event of one record
            time: Timestamp::from_micros(self.time).whole_seconds(),
            record_id: self.guid_bytes()?,
            user_id: self.text()?.unwrap_or_default(),
            user_key: self.text()?,
            logon_user_sid: self.text()?,
            object_id: self.guid()?,
            owner: self.text()?,
            mailbox_guid: self.guid()?,
            sent_as: self.text()?,
            sent_as_guid: self.guid()?,
            ..facts(flags, user_type)?
        })
    }

    fn text(&mut self) -> Result<Option<String>> {
        match self.value()? {
            None => Ok(None),
            Some(Read::Text(text)) => Ok(Some(text)),
            Some(Read::Guid(_)) => Err(corrupt("a GUID for a text")),
        }
    }

    fn guid(&mut self) -> Result<Option<Uuid>> {
        match self.value()? {
            None => Ok(None),
            Some(Read::Guid(guid)) => Ok(Some(guid)),
            Some(Read::Text(_)) => Err(corrupt("a text for a GUID")),
        }
    }

    fn value(&mut self) -> Result<Option<Read>> {
        match self.byte()? {
            NONE => Ok(None),
            NEW => {
                let value = self.new_value()?;
                if self.known.len() < NUMBERED {
                    self.known.push(value.clone());
                }
                Ok(Some(value))
            }
            number => {
                let known = self.known.get(usize::from(number - FIRST));
                let known = known.ok_or_else(|| corrupt("a value that is not there"))?;
                Ok(Some(known.clone()))
            }
        }
    }

    fn new_value(&mut self) -> Result<Read> {
        let header = self.varint()?;
        let length = usize::try_from(header >> 2).map_err(|_| corrupt("a length"))?;
        if header & 3 == kind::GUID {
            return Ok(Read::Guid(self.guid_bytes()?));
        }
        let bytes = self.take(length)?;
        Ok(Read::Text(match header & 3 {
            kind::SID => unpack_sid(bytes)?,
            kind::HEX => unpack_hex(bytes),
            _ => String::from_utf8(bytes.to_vec()).map_err(|_| corrupt("a text"))?,
        }))
    }

    fn guid_bytes(&mut self) -> Result<Uuid> {
        Uuid::from_slice(self.take(16)?).map_err(|_| corrupt("a GUID"))
    }

    fn varint(&mut self) -> Result<u64> {
        decode_varint(&mut self.bytes).map_err(|_| corrupt("a number"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or_else(|| corrupt("cut off"))?;
        self.bytes = rest;
        Ok(taken)
    }
}
