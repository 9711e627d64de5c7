//! `Item` and `Parameters`: objects and lists that some exporters turn into JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::fields::{AnyValue, Value};

/// Not the shape that the field should have.
#[derive(Debug, PartialEq)]
pub(super) struct WrongShape;

/// Reads a composite value from its JSON, or from the JSON that its text is. `None` if it is
/// null or empty.
pub(super) fn read<T>(
    json: &str,
    read: impl FnOnce(&str) -> Result<T, WrongShape>,
) -> Result<Option<T>, WrongShape> {
    if json == "null" {
        return Ok(None);
    }
    if !json.starts_with('"') {
        return read(json).map(Some);
    }
    let text: String = serde_json::from_str(json).map_err(|_| WrongShape)?;
    match text.trim() {
        "" | "null" => Ok(None),
        text => read(text).map(Some),
    }
}

/// The values of `InternetMessageId` of an item: more than one if they differ.
pub(super) fn message_ids(item: &str) -> Result<Vec<String>, WrongShape> {
    let item: Pairs<'_> = serde_json::from_str(item).map_err(|_| WrongShape)?;
    let mut ids: Vec<String> = Vec::new();
    for value in item.values_of("InternetMessageId") {
        match value.text() {
            // two are a contradiction already
            Some(id) if ids.len() < 2 && !ids.iter().any(|known| *known == id) => {
                ids.push(id.into_owned());
            }
            None if *value == Value::Other => return Err(WrongShape),
            _ => {}
        }
    }
    Ok(ids)
}

/// The `Name` and `Value` of every parameter, in the order of the list. No value: it is no
/// plain text, or there are several. Elastic makes an object of the list, its keys the names;
/// and of a list of one, PowerShell makes that one.
pub(super) fn parameters(list: &str) -> Result<Vec<(String, Option<String>)>, WrongShape> {
    let list: Vec<Pairs<'_>> = if list.starts_with('{') {
        let object: Pairs<'_> = serde_json::from_str(list).map_err(|_| WrongShape)?;
        if !object.is_a_parameter() {
            return Ok(object.names_and_values());
        }
        vec![object]
    } else {
        serde_json::from_str(list).map_err(|_| WrongShape)?
    };
    list.iter()
        .map(|parameter| {
            let name = parameter.only("Name").ok_or(WrongShape)?;
            Ok((name, parameter.only("Value")))
        })
        .collect()
}

/// The entries of an object, in their order; a key may stand there more than once.
struct Pairs<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Pairs<'a> {
    fn values_of(&self, name: &str) -> impl Iterator<Item = &Value<'a>> {
        self.0
            .iter()
            .filter(move |(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Nothing but a name and its value.
    fn is_a_parameter(&self) -> bool {
        let all = self.0.iter();
        let known = self.values_of("Name").chain(self.values_of("Value"));
        all.count() == known.count() && self.values_of("Value").next().is_some()
    }

    fn names_and_values(&self) -> Vec<(String, Option<String>)> {
        let pairs = self.0.iter().map(|(key, value)| {
            let text = match value {
                Value::Other => None,
                value => Some(value.text().unwrap_or_default().into_owned()),
            };
            (key.trim().to_owned(), text)
        });
        pairs.collect()
    }

    /// The text of the one value of this name; empty if there is none.
    fn only(&self, name: &str) -> Option<String> {
        let mut values = self.values_of(name);
        let Some(value) = values.next() else {
            return Some(String::new());
        };
        if *value == Value::Other || values.any(|other| !other.says_the_same(value)) {
            return None;
        }
        Some(value.text().unwrap_or_default().into_owned())
    }
}

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(AnyValue)? {
            let value = map.next_value_seed(AnyValue)?;
            if let Value::Text(key) = key {
                pairs.push((key, value));
            }
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_or_the_text_of_one() {
        let ids = |json: &str| read(json, message_ids);
        for (json, expected) in [
            (r#"{"Id":"x","InternetMessageId":" <a@b> "}"#, vec!["<a@b>"]),
            (r#"{"internetmessageid":"<a@b>"}"#, vec!["<a@b>"]),
            (r#""{\"InternetMessageId\":\"<a@b>\"}""#, vec!["<a@b>"]),
            (
                r#"{"InternetMessageId":"a","InternetMessageId":"a"}"#,
                vec!["a"],
            ),
            (
                r#"{"InternetMessageId":"a","InternetMessageId":"b"}"#,
                vec!["a", "b"],
            ),
            (r#"{"ParentFolder":{"InternetMessageId":"x"}}"#, vec![]),
            (r#"{"InternetMessageId":null}"#, vec![]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(ids(json), Ok(Some(expected)), "{json}");
        }
        for json in ["null", r#""""#, r#"" ""#] {
            assert_eq!(ids(json), Ok(None), "{json}");
        }
        for json in [
            "[]",
            "7",
            r#""Unknown""#,
            r#""{""#,
            r#"{"InternetMessageId":[]}"#,
        ] {
            assert_eq!(ids(json), Err(WrongShape), "{json}");
        }
    }

    #[test]
    fn names_and_values() {
        let parameters = |json: &str| read(json, parameters);
        let expected = vec![
            ("Identity".to_owned(), Some("a".to_owned())),
            ("AuditEnabled".into(), Some("False".into())),
            ("Empty".into(), Some(String::new())),
            ("List".into(), None),
        ];
        for json in [
            r#"[{"Name":"Identity","Value":" a "},{"name":"AuditEnabled","VALUE":false},{"Name":"Empty"},{"Name":"List","Value":["a"]}]"#,
            r#""[{\"Name\":\"Identity\",\"Value\":\"a\"},{\"Value\":\"False\",\"Name\":\"AuditEnabled\"},{\"Name\":\"Empty\",\"Value\":null},{\"Name\":\"List\",\"Value\":\"a\",\"Value\":\"b\"}]""#,
        ] {
            assert_eq!(parameters(json), Ok(Some(expected.clone())), "{json}");
        }
        for (json, expected) in [
            (
                r#"{"Identity":" a ","AuditEnabled":false,"Empty":null,"List":["a"]}"#,
                expected,
            ),
            (
                r#"{"Value":"b","Name":"a"}"#,
                vec![("a".into(), Some("b".into()))],
            ),
            (
                r#"{"Identity":"b","Name":"a"}"#,
                vec![
                    ("Identity".into(), Some("b".into())),
                    ("Name".into(), Some("a".into())),
                ],
            ),
            ("{}", vec![]),
        ] {
            assert_eq!(parameters(json), Ok(Some(expected)), "{json}");
        }
        for json in ["[1]", "7", r#"[{"Name":["a"]}]"#] {
            assert_eq!(parameters(json), Err(WrongShape), "{json}");
        }
    }
}
