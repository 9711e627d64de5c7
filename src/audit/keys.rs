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
    /// [`super::envelope`]. Under its name in the table.
    Outer(&'static str),
    /// The list of this name holds the records of a page: see [`super::page`].
    List(&'static str),
    Unknown,
}

/// Every key that is no field.
const OTHERS: [(&str, Key); 35] = [
    // Sentinel's table OfficeActivity. Its TenantId names a workspace and says nothing.
    ("OfficeId", Key::Alias(Field::Id, 1)),
    ("SourceRecordId", Key::Alias(Field::Id, 2)),
    (TIME_GENERATED, Key::Alias(Field::CreationTime, 1)),
    ("Logon_Type", Key::Alias(Field::LogonType, 1)),
    ("OfficeObjectId", Key::Alias(Field::ObjectId, 1)),
    ("OfficeTenantId", Key::Alias(Field::OrganizationId, 1)),
    ("OfficeWorkload", Key::Alias(Field::Workload, 1)),
    // Elastic's common schema, where its keys are joined by dots; and for `envelope`
    ("event.id", Key::Alias(Field::Id, 3)),
    ("event.action", Key::Alias(Field::Operation, 1)),
    ("event.provider", Key::Alias(Field::Workload, 2)),
    ("organization.id", Key::Alias(Field::OrganizationId, 2)),
    ("user.email", Key::Alias(Field::MailboxOwnerUpn, 1)),
    ("_raw", Key::Outer("_raw")),
    ("_source", Key::Outer("_source")),
    ("AdditionalProperties", Key::Outer("AdditionalProperties")),
    ("AuditData", Key::Outer("AuditData")),
    ("data", Key::Outer("data")),
    ("data.office365", Key::Outer("data.office365")),
    ("dynamicProperties", Key::Outer("dynamicProperties")),
    ("event", Key::Outer("event")),
    ("event.original", Key::Outer("event.original")),
    ("o365", Key::Outer("o365")),
    ("o365.audit", Key::Outer("o365.audit")),
    ("o365audit", Key::Outer("o365audit")),
    ("office365", Key::Outer("office365")),
    ("organization", Key::Outer("organization")),
    ("properties", Key::Outer("properties")),
    ("RawEventData", Key::Outer("RawEventData")),
    ("result", Key::Outer("result")),
    ("result._raw", Key::Outer("result._raw")),
    ("tenantId", Key::Outer("tenantId")),
    ("user", Key::Outer("user")),
    // Microsoft Graph; ConvertTo-Json of Windows PowerShell
    ("value", Key::List("value")),
    // Event Hub
    ("records", Key::List("records")),
    // advanced hunting; Splunk
    ("results", Key::List("results")),
];

/// The one alias that may say something else: see [`super::kept`].
pub(super) const TIME_GENERATED: &str = "TimeGenerated";

/// Before the name of a field, in documents whose keys are joined by dots.
const PREFIXES: [&str; 4] = ["o365.audit.", "o365audit.", "office365.", "data.office365."];

pub(super) const PREFIXED: u8 = 0;

impl Key {
    pub fn of(key: &str) -> Self {
        let known = Self::of_trimmed(key);
        let is_padded = |&byte: &u8| byte <= b' ' || !byte.is_ascii();
        match key.as_bytes() {
            [first, .., last]
                if known == Self::Unknown && (is_padded(first) || is_padded(last)) =>
            {
                Self::of_trimmed(key.trim())
            }
            _ => known,
        }
    }

    /// Most keys are of no interest, and few names share a length and both ends.
    fn of_trimmed(key: &str) -> Self {
        let ([first, .., last], Some(names)) = (key.as_bytes(), BY_LENGTH.get(key.len())) else {
            return prefixed(key);
        };
        let ends = [first | 0x20, last | 0x20];
        for name in names {
            let Some(name) = name else { break };
            if name.ends == ends && name.name.eq_ignore_ascii_case(key) {
                return name.meaning;
            }
        }
        prefixed(key)
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

fn prefixed(key: &str) -> Key {
    if !matches!(key.as_bytes(), [b'o' | b'O' | b'd' | b'D', ..]) {
        return Key::Unknown;
    }
    let name = PREFIXES.iter().find_map(|prefix| {
        let (head, name) = key.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(name)
    });
    let field = name.and_then(|name| {
        Field::ALL
            .into_iter()
            .find(|field| field.name().eq_ignore_ascii_case(name))
    });
    field.map_or(Key::Unknown, |field| Key::Alias(field, PREFIXED))
}

const LONGEST: usize = 29;
const WIDEST: usize = 10;

#[derive(Clone, Copy)]
struct Name {
    name: &'static str,
    /// In lower case.
    ends: [u8; 2],
    meaning: Key,
}

/// For every length the names that have it.
static BY_LENGTH: [[Option<Name>; WIDEST]; LONGEST + 1] = {
    let mut table = [[None; WIDEST]; LONGEST + 1];
    let mut at = 0;
    while at < Field::ALL.len() + OTHERS.len() {
        let (name, meaning) = if at < OTHERS.len() {
            OTHERS[at]
        } else {
            let field = Field::ALL[at - OTHERS.len()];
            (field.name(), Key::Field(field))
        };
        let bytes = name.as_bytes();
        let ends = [bytes[0] | 0x20, bytes[bytes.len() - 1] | 0x20];
        let names = &mut table[name.len()];
        let mut free = 0;
        while names[free].is_some() {
            free += 1;
        }
        names[free] = Some(Name {
            name,
            ends,
            meaning,
        });
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_name() {
        let fields = Field::ALL.map(|field| (field.name(), Key::Field(field)));
        for (name, meaning) in fields.into_iter().chain(OTHERS) {
            for key in [
                name.to_owned(),
                name.to_lowercase(),
                format!(" {}\t", name.to_uppercase()),
            ] {
                assert_eq!(Key::of(&key), meaning, "{key}");
            }
            if let Key::Outer(outer) = meaning {
                assert_eq!(outer, name);
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
