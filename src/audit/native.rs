//! The native audit record as it is read from JSON: the fields that matter, not yet judged.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{AnyValue, Value};
use super::keys::{Key, Name, PREFIXED};

/// What is read of a record, in one pass; everything else is skipped unread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Native<'a> {
    values: [Value<'a>; FIELDS],
    /// Bit by [`Field`]: stands in the record twice, with different values.
    contradictions: u32,
    /// The composite fields are looked at only in records that turn out to be of interest.
    /// Their JSON.
    pub item: Option<&'a str>,
    pub parameters: Option<&'a str>,
    more: Option<Box<More<'a>>>,
}

/// What hardly any native record has.
#[derive(Clone, Debug, Default, PartialEq)]
struct More<'a> {
    organizations: Vec<Value<'a>>,
    /// Of one key at most two, the first and another one: then it contradicts itself.
    outer: Vec<(Name, &'a str)>,
    aliases: Vec<Alias<'a>>,
    list: Option<Name>,
    is_time_generated: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Alias<'a> {
    field: Field,
    rank: u8,
    value: Value<'a>,
    contradicts_itself: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    CreationTime,
    Id,
    /// Where the keys are joined by dots.
    InternetMessageId,
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
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreationTime => "CreationTime",
            Self::Id => "Id",
            Self::InternetMessageId => "Item.InternetMessageId",
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

    pub const ALL: [Self; 24] = [
        Self::CreationTime,
        Self::Id,
        Self::InternetMessageId,
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
}

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

    /// Every `OrganizationId`: none of them may be another tenant's.
    pub fn organizations(&self) -> impl Iterator<Item = &Value<'a>> {
        let more = self.more.iter().flat_map(|more| &more.organizations);
        std::iter::once(self.get(Field::OrganizationId)).chain(more)
    }

    /// What may hold a record, by key: see [`super::envelope`].
    pub fn outer(&self) -> &[(Name, &'a str)] {
        self.more.as_ref().map_or(&[], |more| &more.outer)
    }

    /// What would make it a page of records: see [`super::page`].
    pub fn list(&self) -> Option<Name> {
        self.more.as_ref().and_then(|more| more.list)
    }

    /// `CreationTime` has no other source than `TimeGenerated`.
    pub fn is_time_generated(&self) -> bool {
        self.more
            .as_ref()
            .is_some_and(|more| more.is_time_generated)
    }

    #[cold]
    fn more(&mut self) -> &mut More<'a> {
        self.more.get_or_insert_default()
    }

    /// It has what every audit record has.
    pub fn is_a_record(&self) -> bool {
        self.get(Field::Operation).is_given() && self.get(Field::Id).is_given()
    }

    /// It can be nothing else than a record.
    pub fn is_complete(&self) -> bool {
        self.is_a_record() && self.get(Field::CreationTime).is_given()
    }

    /// Something beside the record says this of it.
    pub fn lend(&mut self, field: Field, value: Value<'a>) {
        if field == Field::OrganizationId {
            self.more().organizations.push(value.clone());
        }
        if !self.get(field).is_given() {
            self.values[field as usize] = value;
        }
    }

    /// A plain field that is not there twice.
    pub fn set(&mut self, field: Field, value: Value<'a>) {
        self.values[field as usize] = value;
    }

    fn put(&mut self, field: Field, value: Value<'a>) {
        let slot = &mut self.values[field as usize];
        if *slot == Value::Missing {
            *slot = value;
        } else if !slot.says_the_same(&value) {
            self.contradictions |= 1 << field as u32;
            if field == Field::OrganizationId {
                self.more().organizations.push(value);
            }
        }
    }

    fn put_composite(&mut self, field: Field, value: &'a str) {
        let slot = match field {
            Field::Item => &mut self.item,
            _ => &mut self.parameters,
        };
        match slot {
            None => *slot = Some(value),
            Some(first) if *first == value => {}
            Some(_) => self.contradictions |= 1 << field as u32,
        }
    }

    #[cold]
    fn put_alias(&mut self, field: Field, rank: u8, value: Value<'a>) {
        if field == Field::OrganizationId {
            self.more().organizations.push(value.clone());
        }
        // Sentinel names no organization where it knows none, and so with other fields
        if rank != PREFIXED && (!value.is_given() || field == Field::OrganizationId) {
            return;
        }
        let aliases = &mut self.more().aliases;
        let mut known = aliases.iter_mut();
        match known.find(|known| (known.field, known.rank) == (field, rank)) {
            Some(known) => known.contradicts_itself |= !known.value.says_the_same(&value),
            None => aliases.push(Alias {
                field,
                rank,
                value,
                contradicts_itself: false,
            }),
        }
    }

    fn put_outer(&mut self, key: Name, content: &'a str) {
        if matches!(content, "null" | "\"\"") {
            return;
        }
        let outer = &mut self.more().outer;
        let mut known = outer.iter().filter(|(known, _)| *known == key);
        let is_new = match (known.next(), known.next()) {
            (None, _) => true,
            (Some((_, first)), None) => *first != content,
            (Some(_), Some(_)) => false, // all of many would cost the square of it
        };
        if is_new {
            outer.push((key, content));
        }
    }

    /// Aliases are no contradiction to what they stand for.
    #[cold]
    fn settle_aliases(&mut self) {
        let mut aliases = std::mem::take(&mut self.more().aliases);
        aliases.sort_by_key(|alias| alias.rank);
        let has_prefix = aliases.first().is_some_and(|alias| alias.rank == PREFIXED);
        if has_prefix && !self.is_complete() {
            // what has no prefix belongs to the document around the record
            let mut values = std::mem::take(&mut self.values);
            let organization = std::mem::take(&mut values[Field::OrganizationId as usize]);
            self.more().organizations.push(organization);
            self.contradictions = 0;
        }
        for alias in aliases {
            if self.get(alias.field).is_given() {
                continue;
            }
            if alias.field == Field::CreationTime && alias.rank != PREFIXED {
                self.more().is_time_generated = true;
            }
            self.contradictions |= u32::from(alias.contradicts_itself) << alias.field as u32;
            self.values[alias.field as usize] = alias.value;
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
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::List(name) => {
                    map.next_value::<IgnoredAny>()?;
                    native.more().list = Some(name);
                }
                Key::Field(field @ (Field::Item | Field::Parameters))
                | Key::Alias(field @ (Field::Item | Field::Parameters), _) => {
                    native.put_composite(field, json(&mut map)?);
                }
                Key::Field(field) => native.put(field, map.next_value_seed(AnyValue)?),
                Key::Alias(field, rank) => {
                    native.put_alias(field, rank, map.next_value_seed(AnyValue)?);
                }
                Key::Outer(key) => native.put_outer(key, json(&mut map)?),
            }
        }
        if native.more.is_some() {
            native.settle_aliases();
        }
        Ok(native)
    }
}

/// Of the next value.
fn json<'de, A: MapAccess<'de>>(map: &mut A) -> Result<&'de str, A::Error> {
    map.next_value::<&RawValue>().map(RawValue::get)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(native.is_a_record());
        assert_eq!(native.contradiction(), None);
    }
}
