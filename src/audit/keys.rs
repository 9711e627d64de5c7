//! What the key of an audit record means, whatever its case and the white space around it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::native::Field;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Field(Field),
    /// Another name of a field, by rank. It counts where the field itself is not given; of
    /// several the lowest. But [`PREFIXED`] ones are the record's own.
    Alias(Field, u8),
    /// What stands there may hold a record, or tell something of the one beside it: see
    /// [`super::envelope`].
    Outer(Name),
    /// The list holds the records of a page: see [`super::page`].
    List(Name),
    Unknown,
}

/// By its number in [`OTHERS`]: a key is looked up for everything that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(u8);

impl Name {
    pub fn text(self) -> &'static str {
        OTHERS[usize::from(self.0)].0
    }
}

#[derive(Clone, Copy)]
enum Other {
    Alias(Field, u8),
    Outer,
    List,
}

/// Every key that is no field.
const OTHERS: [(&str, Other); 35] = [
    // Sentinel's table OfficeActivity. Its TenantId names a workspace and says nothing.
    ("OfficeId", Other::Alias(Field::Id, 1)),
    ("SourceRecordId", Other::Alias(Field::Id, 2)),
    (TIME_GENERATED, Other::Alias(Field::CreationTime, 1)),
    ("Logon_Type", Other::Alias(Field::LogonType, 1)),
    ("OfficeObjectId", Other::Alias(Field::ObjectId, 1)),
    ("OfficeTenantId", Other::Alias(Field::OrganizationId, 1)),
    ("OfficeWorkload", Other::Alias(Field::Workload, 1)),
    // Elastic's common schema, where its keys are joined by dots
    ("event.id", Other::Alias(Field::Id, 3)),
    ("event.action", Other::Alias(Field::Operation, 1)),
    ("event.provider", Other::Alias(Field::Workload, 2)),
    ("organization.id", Other::Alias(Field::OrganizationId, 2)),
    ("user.email", Other::Alias(Field::MailboxOwnerUpn, 1)),
    // for the table of envelopes
    ("_raw", Other::Outer),
    ("_source", Other::Outer),
    ("AdditionalProperties", Other::Outer),
    ("AuditData", Other::Outer),
    ("data", Other::Outer),
    ("data.office365", Other::Outer),
    ("dynamicProperties", Other::Outer),
    ("event", Other::Outer),
    ("event.original", Other::Outer),
    ("o365", Other::Outer),
    ("o365.audit", Other::Outer),
    ("o365audit", Other::Outer),
    ("office365", Other::Outer),
    ("organization", Other::Outer),
    ("properties", Other::Outer),
    ("RawEventData", Other::Outer),
    ("result", Other::Outer),
    ("result._raw", Other::Outer),
    ("tenantId", Other::Outer),
    ("user", Other::Outer),
    // Microsoft Graph; ConvertTo-Json of Windows PowerShell
    ("value", Other::List),
    // Event Hub
    ("records", Other::List),
    // advanced hunting; Splunk
    ("results", Other::List),
];

/// The one alias that may say something else: see [`super::kept`].
pub(super) const TIME_GENERATED: &str = "TimeGenerated";

/// Before the name of a field, in documents whose keys are joined by dots.
const PREFIXES: [&str; 4] = ["o365.audit.", "o365audit.", "office365.", "data.office365."];

pub(super) const PREFIXED: u8 = 0;

impl Key {
    pub fn of(key: &str) -> Self {
        Self::of_unpadded(key.as_bytes()).unwrap_or_else(|| Self::of_trimmed(key.trim().as_bytes()))
    }

    /// `None` if there may be white space around it.
    #[inline]
    pub fn of_unpadded(key: &[u8]) -> Option<Self> {
        let is_padded = |&byte: &u8| byte <= b' ' || !byte.is_ascii();
        match key {
            [first, .., last] if is_padded(first) || is_padded(last) => None,
            _ => Some(Self::of_trimmed(key)),
        }
    }

    /// Most keys are of no interest.
    #[inline]
    fn of_trimmed(key: &[u8]) -> Self {
        let [first, second, ..] = key else {
            return Self::Unknown;
        };
        let number = TABLE.slots[slot(key, TABLE.factor)];
        if let Some(entry) = TABLE.entries.get(usize::from(number)) {
            let name = entry.name.as_bytes();
            if name == key || name.eq_ignore_ascii_case(key) {
                return entry.meaning;
            }
        }
        match [first | 0x20, second | 0x20] {
            // as the prefixes begin
            [b'o', b'3' | b'f'] | [b'd', b'a'] => prefixed(key),
            _ => Self::Unknown,
        }
    }
}

/// Without allocating.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Key::of(key))
    }
}

#[cold]
fn prefixed(key: &[u8]) -> Key {
    let name = PREFIXES.iter().find_map(|prefix| {
        let (head, name) = key.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(name)
    });
    let field = name.and_then(|name| {
        let name = std::str::from_utf8(name).ok()?;
        Field::ALL
            .into_iter()
            .find(|field| field.name().eq_ignore_ascii_case(name.trim()))
    });
    field.map_or(Key::Unknown, |field| Key::Alias(field, PREFIXED))
}

#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    meaning: Key,
}

const NAMES: usize = Field::ALL.len() + OTHERS.len();
const SLOTS: usize = 512;

/// Every name has a slot of its own.
struct Table {
    factor: u32,
    /// The number of an entry; or [`NAMES`], for none.
    slots: [u8; SLOTS],
    entries: [Entry; NAMES],
}

static TABLE: Table = {
    let entries = entries();
    let mut factor = 0x9e37_79b1;
    loop {
        if let Some(slots) = slots(&entries, factor) {
            break Table {
                factor,
                slots,
                entries,
            };
        }
        factor = factor.wrapping_mul(5) | 1;
    }
};

/// Names differ in their lengths or in these bytes.
const fn slot(key: &[u8], factor: u32) -> usize {
    let (second, middle, last) = (key[1], key[key.len() / 2], key[key.len() - 1]);
    let bytes = [second | 0x20, middle | 0x20, last | 0x20, key.len() as u8];
    let mixed = u32::from_le_bytes(bytes).wrapping_mul(factor);
    (mixed >> (u32::BITS - SLOTS.ilog2())) as usize
}

/// `None`: two names have one slot.
const fn slots(entries: &[Entry; NAMES], factor: u32) -> Option<[u8; SLOTS]> {
    let mut slots = [NAMES as u8; SLOTS];
    let mut at = 0;
    while at < NAMES {
        let slot = slot(entries[at].name.as_bytes(), factor);
        if slots[slot] != NAMES as u8 {
            return None;
        }
        slots[slot] = at as u8;
        at += 1;
    }
    Some(slots)
}

const fn entries() -> [Entry; NAMES] {
    let nothing = Entry {
        name: "",
        meaning: Key::Unknown,
    };
    let mut entries = [nothing; NAMES];
    let mut at = 0;
    while at < Field::ALL.len() {
        let field = Field::ALL[at];
        entries[at] = Entry {
            name: field.name(),
            meaning: Key::Field(field),
        };
        at += 1;
    }
    let mut at = 0;
    while at < OTHERS.len() {
        let (name, other) = OTHERS[at];
        let meaning = match other {
            Other::Alias(field, rank) => Key::Alias(field, rank),
            Other::Outer => Key::Outer(Name(at as u8)),
            Other::List => Key::List(Name(at as u8)),
        };
        entries[Field::ALL.len() + at] = Entry { name, meaning };
        at += 1;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_name() {
        let spellings = |name: &str| {
            let lower = name.to_lowercase();
            [
                name.to_owned(),
                lower,
                format!(" {}\t", name.to_uppercase()),
            ]
        };
        for field in Field::ALL {
            for key in spellings(field.name()) {
                assert_eq!(Key::of(&key), Key::Field(field), "{key}");
            }
        }
        for (name, other) in OTHERS {
            for key in spellings(name) {
                match (Key::of(&key), other) {
                    (Key::Alias(field, rank), Other::Alias(known, known_rank)) => {
                        assert_eq!((field, rank), (known, known_rank), "{key}");
                    }
                    (Key::Outer(found), Other::Outer) | (Key::List(found), Other::List) => {
                        assert_eq!(found.text(), name);
                    }
                    (found, _) => panic!("{key}: {found:?}"),
                }
            }
        }
        for (key, meaning) in [
            (
                "SendonBehalfOfUserMailboxGuid",
                Key::Field(Field::SendOnBehalfOfUserMailboxGuid),
            ),
            ("O365.Audit.userid", Key::Alias(Field::UserId, PREFIXED)),
            (
                "o365audit.SendOnBehalfOfUserMailboxGuid",
                Key::Alias(Field::SendOnBehalfOfUserMailboxGuid, PREFIXED),
            ),
            ("data.office365.Item", Key::Alias(Field::Item, PREFIXED)),
            ("office365.", Key::Unknown),
            ("o365.audit.New", Key::Unknown),
            ("Ident", Key::Unknown),
            ("", Key::Unknown),
            ("CreationTime@odata.type", Key::Unknown),
            ("d\u{e9}", Key::Unknown),
        ] {
            assert_eq!(Key::of(key), meaning, "{key}");
        }
    }
}
