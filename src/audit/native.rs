//! The native audit record as it is read from JSON: the fields that matter, not yet judged.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{AnyValue, Value};

/// What is read of a record, in one pass; everything else is skipped unread.
#[derive(Clone, Debug, Default)]
pub(super) struct Native<'a> {
    values: [Value<'a>; FIELDS],
    /// Bit by [`Field`]: stands in the record twice, with different values.
    contradictions: u32,
    /// Every further `OrganizationId`: none of them may be another tenant's.
    pub more_organizations: Vec<Value<'a>>,
    /// The composite fields are looked at only in records that turn out to be of interest.
    pub item: Option<&'a RawValue>,
    pub parameters: Option<&'a RawValue>,
    /// The record itself, if this is an envelope around it. More than one if the envelope
    /// contradicts itself.
    pub contents: Vec<&'a RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    CreationTime,
    Id,
    LogonType,
    LogonUserSid,
    MailboxGuid,
    MailboxOwnerSid,
    MailboxOwnerUpn,
    ObjectId,
    Operation,
    OrganizationId,
    RecordType,
    ResultStatus,
    SendAsUserMailboxGuid,
    SendAsUserSmtp,
    SendOnBehalfOfUserMailboxGuid,
    SendOnBehalfOfUserSmtp,
    TokenObjectId,
    UserId,
    UserKey,
    UserType,
    Workload,
    Item,
    Parameters,
}

/// How many fields, from the first on, have plain values.
const FIELDS: usize = Field::Item as usize;

impl Field {
    pub fn name(self) -> &'static str {
        match self {
            Self::CreationTime => "CreationTime",
            Self::Id => "Id",
            Self::LogonType => "LogonType",
            Self::LogonUserSid => "LogonUserSid",
            Self::MailboxGuid => "MailboxGuid",
            Self::MailboxOwnerSid => "MailboxOwnerSid",
            Self::MailboxOwnerUpn => "MailboxOwnerUPN",
            Self::ObjectId => "ObjectId",
            Self::Operation => "Operation",
            Self::OrganizationId => "OrganizationId",
            Self::RecordType => "RecordType",
            Self::ResultStatus => "ResultStatus",
            Self::SendAsUserMailboxGuid => "SendAsUserMailboxGuid",
            Self::SendAsUserSmtp => "SendAsUserSmtp",
            Self::SendOnBehalfOfUserMailboxGuid => "SendOnBehalfOfUserMailboxGuid",
            Self::SendOnBehalfOfUserSmtp => "SendOnBehalfOfUserSmtp",
            Self::TokenObjectId => "TokenObjectId",
            Self::UserId => "UserId",
            Self::UserKey => "UserKey",
            Self::UserType => "UserType",
            Self::Workload => "Workload",
            Self::Item => "Item",
            Self::Parameters => "Parameters",
        }
    }

    const ALL: [Self; 23] = [
        Self::CreationTime,
        Self::Id,
        Self::LogonType,
        Self::LogonUserSid,
        Self::MailboxGuid,
        Self::MailboxOwnerSid,
        Self::MailboxOwnerUpn,
        Self::ObjectId,
        Self::Operation,
        Self::OrganizationId,
        Self::RecordType,
        Self::ResultStatus,
        Self::SendAsUserMailboxGuid,
        Self::SendAsUserSmtp,
        Self::SendOnBehalfOfUserMailboxGuid,
        Self::SendOnBehalfOfUserSmtp,
        Self::TokenObjectId,
        Self::UserId,
        Self::UserKey,
        Self::UserType,
        Self::Workload,
        Self::Item,
        Self::Parameters,
    ];

    fn of(key: &str) -> Option<Self> {
        // most keys are of no interest, and few fields share a length
        let candidates: &[Self] = match key.len() {
            2 => &[Self::Id],
            4 => &[Self::Item],
            6 => &[Self::UserId],
            7 => &[Self::UserKey],
            8 => &[Self::UserType, Self::Workload, Self::ObjectId],
            9 => &[Self::Operation, Self::LogonType],
            10 => &[Self::RecordType, Self::Parameters],
            11 => &[Self::MailboxGuid],
            12 => &[Self::CreationTime, Self::LogonUserSid, Self::ResultStatus],
            13 => &[Self::TokenObjectId],
            14 => &[Self::OrganizationId, Self::SendAsUserSmtp],
            15 => &[Self::MailboxOwnerSid, Self::MailboxOwnerUpn],
            21 => &[Self::SendAsUserMailboxGuid],
            22 => &[Self::SendOnBehalfOfUserSmtp],
            29 => &[Self::SendOnBehalfOfUserMailboxGuid],
            _ => return None,
        };
        candidates
            .iter()
            .copied()
            .find(|field| field.name().eq_ignore_ascii_case(key))
    }
}

/// The keys under which an envelope carries the record, as an object or as its JSON text.
const ENVELOPES: [&str; 1] = ["AuditData"];

impl<'a> Native<'a> {
    pub fn get(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    pub fn contradicts_itself(&self, field: Field) -> bool {
        self.contradictions & (1 << field as u32) != 0
    }

    /// The first field that stands in the record twice with different values.
    pub fn contradiction(&self) -> Option<Field> {
        Field::ALL
            .into_iter()
            .find(|&field| self.contradicts_itself(field))
    }

    /// It is an audit record, or an envelope around one, as far as the keys tell.
    pub fn looks_like_a_record(&self) -> bool {
        let given = |field| *self.get(field) != Value::Missing;
        !self.contents.is_empty() || (given(Field::Operation) && given(Field::Id))
    }

    fn put(&mut self, field: Field, value: Value<'a>) {
        let slot = &mut self.values[field as usize];
        if *slot == Value::Missing {
            *slot = value;
        } else if !slot.says_the_same(&value) {
            self.contradictions |= 1 << field as u32;
            if field == Field::OrganizationId {
                self.more_organizations.push(value);
            }
        }
    }

    fn put_composite(&mut self, field: Field, value: &'a RawValue) {
        let slot = match field {
            Field::Item => &mut self.item,
            _ => &mut self.parameters,
        };
        match slot {
            None => *slot = Some(value),
            Some(first) if first.get() == value.get() => {}
            Some(_) => self.contradictions |= 1 << field as u32,
        }
    }
}

impl<'de> Deserialize<'de> for Native<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Native<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut native = Native::default();
        while let Some(key) = map.next_key_seed(RecordKey)? {
            match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Field(field @ (Field::Item | Field::Parameters)) => {
                    native.put_composite(field, map.next_value()?);
                }
                Key::Field(field) => native.put(field, map.next_value_seed(AnyValue)?),
                Key::Envelope => {
                    let content: &RawValue = map.next_value()?;
                    let is_empty = matches!(content.get(), "null" | "\"\"");
                    // compared with the first only: all of many would cost the square of it
                    let first = native.contents.first();
                    let is_known = first.is_some_and(|first| first.get() == content.get());
                    if !is_empty && !is_known {
                        native.contents.push(content);
                    }
                }
            }
        }
        Ok(native)
    }
}

enum Key {
    Field(Field),
    Envelope,
    Unknown,
}

/// Reads a key without allocating, whatever its case and the white space around it.
struct RecordKey;

impl<'de> DeserializeSeed<'de> for RecordKey {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for RecordKey {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let key = key.trim();
        Ok(match Field::of(key) {
            Some(field) => Key::Field(field),
            None if ENVELOPES.iter().any(|name| name.eq_ignore_ascii_case(key)) => Key::Envelope,
            None => Key::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in Field::ALL {
            for key in [field.name().to_owned(), field.name().to_lowercase()] {
                assert_eq!(Field::of(&key), Some(field), "{key}");
            }
        }
        assert_eq!(
            Field::of("SendonBehalfOfUserMailboxGuid"),
            Some(Field::SendOnBehalfOfUserMailboxGuid)
        );
        assert_eq!(Field::of("Ident"), None);
        assert_eq!(Field::ALL.len(), FIELDS + 2);
    }

    #[test]
    fn keys_in_any_case_and_with_white_space() {
        let native: Native<'_> = serde_json::from_str(
            r#"{"userid":"a","OPERATION ":"Send"," recordType":"2","x":{"UserId":"b"},"\u0049d":"c"}"#,
        )
        .expect("a record");
        assert_eq!(native.get(Field::UserId).text().as_deref(), Some("a"));
        assert_eq!(native.get(Field::Operation).text().as_deref(), Some("Send"));
        assert_eq!(native.get(Field::RecordType).integer(), Some(2));
        assert_eq!(native.get(Field::Id).text().as_deref(), Some("c"));
        assert!(native.looks_like_a_record());
        assert_eq!(native.contradiction(), None);
    }
}
