//! The envelopes that a record comes in: one table. What is inside of one may be an object or
//! its JSON text, and again an envelope.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{AnyValue, Value};
use super::native::{Field, Native};

/// How often a record may be wrapped. Each object in another one counts, and each JSON text.
pub(super) const MAX_ENVELOPES: usize = 6;

pub(super) struct Envelope {
    /// Where the record is: under a key, or under the second of two in the object of the
    /// first. Two may also be one key with a dot in it.
    pub path: &'static str,
    /// What only the envelope tells of the record, where the record itself does not.
    lends: &'static [(&'static str, Field)],
}

/// In the order of precedence: what is nearest to the native text comes first.
pub(super) const ENVELOPES: [Envelope; 13] = [
    // Search-UnifiedAuditLog; the portal's CSV; Microsoft Graph
    Envelope::at("AuditData"),
    // Graph as documented: auditData has its properties in a dictionary
    Envelope::at("dynamicProperties"),
    // the same by Graph's PowerShell modules
    Envelope::at("AdditionalProperties"),
    // Defender's table CloudAppEvents
    Envelope::at("RawEventData"),
    // the same by Event Hub
    Envelope {
        path: "properties.RawEventData",
        lends: &[("tenantId", Field::OrganizationId)],
    },
    // Wazuh: the log, an alert
    Envelope::at("office365"),
    Envelope::at("data.office365"),
    // Elastic: the native text; fields that are not parsed, or not completely; parsed fields
    Envelope::at("event.original"),
    Envelope {
        path: "o365audit",
        lends: ELASTIC,
    },
    Envelope {
        path: "o365.audit",
        lends: ELASTIC,
    },
    // Splunk: an event, a line of an export
    Envelope::at("_raw"),
    Envelope::at("result._raw"),
    // what a search in Elastic's or Wazuh's index finds
    Envelope::at("_source"),
];

/// Elastic's pipeline moves these fields out of the record.
const ELASTIC: &[(&str, Field)] = &[
    ("event.id", Field::Id),
    ("event.action", Field::Operation),
    ("event.provider", Field::Workload),
    ("organization.id", Field::OrganizationId),
    ("user.email", Field::MailboxOwnerUpn),
];

/// Whether the object is a record, or an envelope around something, as far as the keys tell.
pub(super) fn holds_a_record(native: &Native<'_>) -> bool {
    native.is_a_record()
        || ENVELOPES
            .iter()
            .any(|envelope| !envelope.contents(native).is_empty())
}

impl Envelope {
    const fn at(path: &'static str) -> Self {
        Self { path, lends: &[] }
    }

    /// The JSON of what is inside: more than one if the envelope contradicts itself.
    pub fn contents<'a>(&self, native: &Native<'a>) -> Vec<Cow<'a, str>> {
        find(native, self.path)
    }

    pub fn lent(&self, native: &Native<'_>) -> Vec<(Field, Value<'static>)> {
        let mut lent = Vec::new();
        for &(path, field) in self.lends {
            for json in find(native, path) {
                let mut json = serde_json::Deserializer::from_str(&json);
                if let Ok(value) = AnyValue.deserialize(&mut json) {
                    lent.push((field, value.into_owned()));
                }
            }
        }
        lent
    }
}

/// At most two values, which differ.
fn find<'a>(native: &Native<'a>, path: &str) -> Vec<Cow<'a, str>> {
    let mut found = Found::default();
    for json in outer(native, path) {
        found.put(Cow::Borrowed(json));
    }
    if let Some((key, inner)) = path.split_once('.') {
        for object in outer(native, key) {
            found.put_all_inside(object, inner);
        }
    }
    found.0
}

fn outer<'a>(native: &Native<'a>, key: &str) -> impl Iterator<Item = &'a str> {
    let all = native.outer().iter();
    all.filter_map(move |&(name, json)| (name.text() == key).then_some(json))
}

#[derive(Default)]
struct Found<'a>(Vec<Cow<'a, str>>);

impl<'a> Found<'a> {
    fn put(&mut self, json: Cow<'a, str>) {
        let is_empty = matches!(&*json, "null" | "\"\"");
        // all of many would cost the square of it
        if !is_empty && self.0.len() < 2 && self.0.first() != Some(&json) {
            self.0.push(json);
        }
    }

    /// What stands under the key, in the object or in the object that the text is.
    fn put_all_inside(&mut self, json: &'a str, key: &str) {
        if json.starts_with('"') {
            let Ok(text) = serde_json::from_str::<String>(json) else {
                return;
            };
            for value in values(text.trim(), key) {
                self.put(Cow::Owned(value.get().to_owned()));
            }
        } else {
            for value in values(json, key) {
                self.put(Cow::Borrowed(value.get()));
            }
        }
    }
}

/// None if it is no object.
fn values<'a>(json: &'a str, key: &str) -> Vec<&'a RawValue> {
    let mut json = serde_json::Deserializer::from_str(json);
    Values { key }.deserialize(&mut json).unwrap_or_default()
}

/// Reads the values of one key of an object.
struct Values<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(key) = map.next_key_seed(AnyValue)? {
            let is_it =
                matches!(&key, Value::Text(key) if key.trim().eq_ignore_ascii_case(self.key));
            if is_it {
                values.push(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(values)
    }
}
