//! One value of a record, whatever type its writer chose for it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use uuid::Uuid;

/// A number may come as text and a text as a number: the readers below take both.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value<'a> {
    #[default]
    Missing,
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Bool(bool),
    /// An object, a list, a fraction or a huge number: nothing that we read has this shape.
    Other,
}

impl Value<'_> {
    /// Neither absent, nor null, nor white space only.
    pub fn is_given(&self) -> bool {
        match self {
            Self::Missing | Self::Null => false,
            Self::Text(text) => !text.trim().is_empty(),
            Self::Integer(_) | Self::Bool(_) | Self::Other => true,
        }
    }

    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Missing => Value::Missing,
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Integer(number) => Value::Integer(number),
            Self::Bool(value) => Value::Bool(value),
            Self::Other => Value::Other,
        }
    }

    /// Trimmed. `None` if there is no such value, or if it has no text.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing | Self::Null | Self::Other => None,
            Self::Text(text) => Some(Cow::Borrowed(text.trim())),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            // as .NET writes them, and so the records that have them as text
            Self::Bool(true) => Some(Cow::Borrowed("True")),
            Self::Bool(false) => Some(Cow::Borrowed("False")),
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// With or without braces and dashes, in any case. The nil GUID stands for none.
    pub fn guid(&self) -> Option<Uuid> {
        let Self::Text(text) = self else { return None };
        Uuid::try_parse(text.trim())
            .ok()
            .filter(|guid| !guid.is_nil())
    }

    /// The text is one of these, whatever its case.
    pub fn is_one_of(&self, names: &[&str]) -> bool {
        self.text()
            .is_some_and(|text| names.iter().any(|name| name.eq_ignore_ascii_case(&text)))
    }

    /// Nothing is chosen between the two: a field may stand twice if it says the same twice.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self.text(), other.text()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self == other && *self != Self::Other,
            _ => false,
        }
    }
}

/// Takes any JSON value, without recursion: what is inside of objects and lists is skipped.
pub(super) struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Value::Other, Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value<'_> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        AnyValue.deserialize(&mut deserializer).expect(json)
    }

    #[test]
    fn every_shape_of_a_value() {
        for (json, text, integer) in [
            (r#""  ExchangeItem ""#, Some("ExchangeItem"), None),
            (r#"" 2 ""#, Some("2"), Some(2)),
            ("2", Some("2"), Some(2)),
            ("-1", Some("-1"), Some(-1)),
            ("true", Some("True"), None),
            ("false", Some("False"), None),
            (r#""""#, Some(""), None),
            ("null", None, None),
            ("1.5", None, None),
            ("18446744073709551615", None, None),
            (r#"{"a":[1]}"#, None, None),
            ("[[],{}]", None, None),
        ] {
            let value = value(json);
            assert_eq!(value.text().as_deref(), text, "{json}");
            assert_eq!(value.integer(), integer, "{json}");
        }
    }

    #[test]
    fn every_written_form_of_a_guid() {
        let guid = Uuid::from_u128(0xf3d4_0ece_6532_495d_803d_f55d_9e49_6be5);
        for json in [
            r#""f3d40ece-6532-495d-803d-f55d9e496be5""#,
            r#"" {F3D40ECE-6532-495D-803D-F55D9E496BE5} ""#,
            r#""f3d40ece6532495d803df55d9e496be5""#,
        ] {
            assert_eq!(value(json).guid(), Some(guid), "{json}");
        }
        for json in [
            r#""00000000-0000-0000-0000-000000000000""#,
            r#""Unknown""#,
            r#""""#,
            "7",
            "null",
        ] {
            assert_eq!(value(json).guid(), None, "{json}");
        }
    }

    #[test]
    fn twice_the_same() {
        for (a, b, same) in [
            ("2", r#""2""#, true),
            (r#""a""#, r#"" a ""#, true),
            ("null", "null", true),
            (r#""a""#, r#""A""#, false),
            ("null", r#""a""#, false),
            ("{}", "{}", false), // what is inside was not read
        ] {
            assert_eq!(value(a).says_the_same(&value(b)), same, "{a} {b}");
        }
    }
}
