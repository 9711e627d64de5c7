//! One value of an export, whatever PowerShell made of it: a list may be an array, joined
//! text, text in braces that is cut off, or nothing but the name of its type.

use serde_json::Value;
use uuid::Uuid;

use crate::domain::settings::{
    MAX_NAME, Names, Property, RecipientType, is_type_name, parse_boolean, parse_period,
};

const TICKS_PER_SECOND: i64 = 10_000_000;

/// A name or a number, as text. Control characters have no place in it, and would reach a
/// terminal.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Object(object) => {
            let known = ["Address", "Name", "Value", "DistinguishedName", "Guid"];
            return known.iter().find_map(|key| match object.get(*key) {
                Some(value @ (Value::String(_) | Value::Number(_))) => text(value),
                _ => None,
            });
        }
        Value::Null | Value::Bool(_) | Value::Array(_) => return None,
    };
    let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.contains(char::is_control);
    (fits && !is_type_name(&text)).then_some(text)
}

pub(super) fn boolean(value: &Value) -> Property<bool> {
    match value {
        Value::Null => Property::NotGiven,
        Value::Bool(value) => Property::Known(*value),
        Value::String(text) if text.trim().is_empty() => Property::NotGiven,
        Value::Object(object) => match object.get("IsPresent") {
            Some(Value::Bool(value)) => Property::Known(*value),
            _ => Property::Unknown,
        },
        value => match text(value).as_deref().and_then(parse_boolean) {
            Some(value) => Property::Known(value),
            None => Property::Unknown,
        },
    }
}

/// A list of single words: sign-in types, actions, rights.
pub(super) fn words(value: &Value) -> Property<Names> {
    list(value, Names::push_words)
}

/// A list of names, which may have blanks.
pub(super) fn names(value: &Value) -> Property<Names> {
    list(value, Names::push_names)
}

fn list(value: &Value, push: fn(&mut Names, &str)) -> Property<Names> {
    let mut names = Names::default();
    match value {
        Value::Null => return Property::NotGiven,
        Value::Array(values) => {
            for value in values {
                match text(value) {
                    // the number of an enum: its name is not there
                    Some(text) if !value.is_number() => push(&mut names, &text),
                    _ => names.is_cut = true,
                }
            }
        }
        // what Windows PowerShell makes of some arrays
        Value::Object(object) => match object.get("value") {
            Some(values @ Value::Array(_)) => return list(values, push),
            _ => return Property::Unknown,
        },
        Value::String(text) if !is_type_name(text.trim()) => {
            let text = text.trim();
            let inside = text.strip_prefix('{').map(|text| {
                // cut in the middle, the closing brace is gone too
                names.is_cut |= !text.ends_with('}');
                text.strip_suffix('}').unwrap_or(text)
            });
            push(&mut names, inside.unwrap_or(text));
        }
        _ => return Property::Unknown,
    }
    Property::Known(names)
}

/// A period, in seconds: `90.00:00:00`, or a TimeSpan object.
pub(super) fn seconds(value: &Value) -> Property<i64> {
    let number = |key: &str| match value.get(key) {
        Some(Value::Number(number)) => number.as_f64(),
        _ => None,
    };
    let seconds = match value {
        Value::Null => return Property::NotGiven,
        Value::String(text) if text.trim().is_empty() => return Property::NotGiven,
        Value::String(text) => parse_period(text),
        Value::Object(_) => match value.get("Ticks").and_then(Value::as_i64) {
            Some(ticks) => Some(ticks / TICKS_PER_SECOND),
            None => number("TotalSeconds")
                .or_else(|| number("TotalDays").map(|days| days * 86_400.0))
                .filter(|seconds| seconds.abs() < 1e12)
                // below 1e12 a whole number fits
                .map(|seconds| seconds as i64),
        },
        _ => None,
    };
    seconds.map_or(Property::Unknown, Property::Known)
}

pub(super) fn recipient_type(value: &Value) -> Property<RecipientType> {
    // as Active Directory numbers them
    const NUMBERS: [(&str, &str); 9] = [
        ("1", "UserMailbox"),
        ("2", "LinkedMailbox"),
        ("4", "SharedMailbox"),
        ("16", "RoomMailbox"),
        ("32", "EquipmentMailbox"),
        ("536870912", "DiscoveryMailbox"),
        ("2147483648", "RemoteUserMailbox"),
        ("68719476736", "PublicFolderMailbox"),
        ("1099511627776", "GroupMailbox"),
    ];
    match value {
        Value::Null => return Property::NotGiven,
        Value::String(text) if text.trim().is_empty() => return Property::NotGiven,
        _ => {}
    }
    // {"value": 4, "Value": "SharedMailbox"}
    let Some(text) = text(value).or_else(|| text(value.get("value")?)) else {
        return Property::Unknown;
    };
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let known = NUMBERS.iter().find(|(number, _)| *number == text);
    match known {
        Some((_, name)) => Property::Known(RecipientType((*name).to_owned())),
        None if is_number => Property::Unknown,
        None => Property::Known(RecipientType(text)),
    }
}

/// One spelling of what is compared: lower case, GUIDs with dashes. The nil GUID is none.
pub(super) fn name(value: &Value) -> Option<String> {
    let text = text(value)?;
    match Uuid::try_parse(&text) {
        Ok(guid) => (!guid.is_nil()).then(|| guid.to_string()),
        Err(_) => Some(text.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Property::{Known, NotGiven, Unknown};
    use serde_json::json;

    #[test]
    fn every_shape_of_a_name() {
        let longest = "x".repeat(MAX_NAME);
        for (value, expected) in [
            (json!(" Anna "), Some("Anna")),
            (json!(7), Some("7")),
            (json!({"Name": "Anna", "Guid": "x"}), Some("Anna")),
            (json!({"Address": {}, "Value": 7}), Some("7")),
            (json!({"Colour": "red"}), None),
            (json!(null), None),
            (json!(true), None),
            (json!(["Anna"]), None),
            (json!(" "), None),
            (json!("a\u{1b}b"), None),
            (json!("System.String[]"), None),
            (json!(longest), Some(longest.as_str())),
            (json!(format!("{longest}x")), None),
        ] {
            assert_eq!(text(&value).as_deref(), expected, "{value}");
        }
        for (value, expected) in [
            ("Anna", Some("anna")),
            (
                "{A88AE17C-F562-4C1F-A377-8910B6847D76}",
                Some("a88ae17c-f562-4c1f-a377-8910b6847d76"),
            ),
            ("00000000-0000-0000-0000-000000000000", None),
        ] {
            assert_eq!(name(&json!(value)).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn every_shape_of_a_boolean() {
        for (value, expected) in [
            (json!(null), NotGiven),
            (json!(" "), NotGiven),
            (json!(true), Known(true)),
            (json!("False"), Known(false)),
            (json!(1), Known(true)),
            (json!({"IsPresent": true}), Known(true)),
            (json!({"IsPresent": "True"}), Unknown),
            (json!({"Value": "True"}), Unknown),
            (json!("yes"), Unknown),
            (json!(2), Unknown),
            (json!([true]), Unknown),
        ] {
            assert_eq!(boolean(&value), expected, "{value}");
        }
    }

    #[test]
    fn every_shape_of_a_list() {
        let list = |names: &[&str], is_cut| {
            Known(Names {
                names: names.iter().map(|&name| name.into()).collect(),
                is_cut,
            })
        };
        for (value, expected) in [
            (json!(null), NotGiven),
            (json!([]), list(&[], false)),
            (json!(["Send", "Update"]), list(&["Send", "Update"], false)),
            (json!(["Send", 4]), list(&["Send"], true)),
            (json!([null, "Send"]), list(&["Send"], true)),
            (
                json!({"value": ["Send"], "Count": 1}),
                list(&["Send"], false),
            ),
            (json!({"value": "Send"}), Unknown),
            (json!(" Send, Update "), list(&["Send", "Update"], false)),
            (json!("{Send, Update}"), list(&["Send", "Update"], false)),
            (json!("{Send, Update"), list(&["Send", "Update"], true)),
            (json!("{Send, Update…}"), list(&["Send", "Update"], true)),
            (json!("{}"), list(&[], false)),
            (json!(" System.String[]"), Unknown),
            (json!(4), Unknown),
            (json!(true), Unknown),
        ] {
            assert_eq!(words(&value), expected, "{value}");
        }
        let expected = list(&["Anna Kern", "Ben"], false);
        assert_eq!(names(&json!(["Anna Kern", "Ben"])), expected);
        assert_eq!(names(&json!("{Anna Kern, Ben}")), expected);
    }

    #[test]
    fn every_shape_of_a_period() {
        for (value, expected) in [
            (json!(null), NotGiven),
            (json!(" "), NotGiven),
            (json!("1.00:00:07"), Known(86_407)),
            (json!("soon"), Unknown),
            (json!({"Ticks": 70_000_000, "TotalSeconds": 8}), Known(7)),
            (json!({"TotalSeconds": 7.9, "TotalDays": 2}), Known(7)),
            (json!({"TotalDays": 1.5}), Known(129_600)),
            (
                json!({"TotalSeconds": -999_999_999_999_i64}),
                Known(-999_999_999_999),
            ),
            (json!({"TotalSeconds": 1e12}), Unknown),
            (json!({"TotalDays": -1e300}), Unknown),
            (json!({"TotalSeconds": "7"}), Unknown),
            (json!(7), Unknown),
        ] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn every_shape_of_a_recipient_type() {
        let known = |name: &str| Known(RecipientType(name.into()));
        for (value, expected) in [
            (json!(null), NotGiven),
            (json!(" "), NotGiven),
            (json!(4), known("SharedMailbox")),
            (json!("1"), known("UserMailbox")),
            (json!({"value": 16}), known("RoomMailbox")),
            (
                json!({"value": 4, "Value": "TeamMailbox"}),
                known("TeamMailbox"),
            ),
            (json!("TeamMailbox"), known("TeamMailbox")),
            (json!(7), Unknown),
            (json!([4]), Unknown),
            (json!(true), Unknown),
        ] {
            assert_eq!(recipient_type(&value), expected, "{value}");
        }
    }
}
