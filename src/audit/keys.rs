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
        let is_padded = |&byte: &u8| byte <= b' ' || !byte.is_ascii();
        match key.as_bytes() {
            [first, .., last] if is_padded(first) || is_padded(last) => {
                Self::of_trimmed(key.trim())
            }
            _ => Self::of_trimmed(key),
        }
    }

    /// Most keys are of no interest, and few names share a length and both ends.
    fn of_trimmed(key: &str) -> Self {
        let [first, .., last] = key.as_bytes() else {
            return Self::Unknown;
        };
        let ends = [first | 0x20, last | 0x20];
        for entry in BY_LENGTH.get(key.len()).into_iter().flatten() {
            let Some(entry) = entry else { break };
            if entry.ends == ends && entry.name.eq_ignore_ascii_case(key) {
                return entry.meaning;
            }
        }
        match ends {
            [b'o' | b'd', _] => prefixed(key),
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
fn prefixed(key: &str) -> Key {
    let name = PREFIXES.iter().find_map(|prefix| {
        let (head, name) = key.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(name)
    });
    let field = name.and_then(|name| {
        Field::ALL
            .into_iter()
            .find(|field| field.name().eq_ignore_ascii_case(name.trim()))
    });
    field.map_or(Key::Unknown, |field| Key::Alias(field, PREFIXED))
}

const LONGEST: usize = 29;
const WIDEST: usize = 10;

#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    /// In lower case.
    ends: [u8; 2],
    meaning: Key,
}

impl Entry {
    const fn new(name: &'static str, meaning: Key) -> Self {
        let bytes = name.as_bytes();
        Self {
            name,
            ends: [bytes[0] | 0x20, bytes[bytes.len() - 1] | 0x20],
            meaning,
        }
    }
}

/// For every length the names that have it.
static BY_LENGTH: [[Option<Entry>; WIDEST]; LONGEST + 1] = {
    let mut table = [[None; WIDEST]; LONGEST + 1];
    let mut at = 0;
    while at < Field::ALL.len() {
        let field = Field::ALL[at];
        put(&mut table, Entry::new(field.name(), Key::Field(field)));
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
        put(&mut table, Entry::new(name, meaning));
        at += 1;
    }
    table
};

const fn put(table: &mut [[Option<Entry>; WIDEST]; LONGEST + 1], entry: Entry) {
    let entries = &mut table[entry.name.len()];
    let mut free = 0;
    while entries[free].is_some() {
        free += 1;
    }
    entries[free] = Some(entry);
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
