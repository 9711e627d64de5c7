//! What `Format-List` prints: `Name : value` lines, a blank line between objects.

use serde_json::Value;

use super::object::{Object, is_telling};

/// Longest name of a property, in bytes.
const MAX_NAME: usize = 64;

/// `Name : value`. PowerShell pads the name, so a blank stands before the colon.
fn property(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_padded = name.ends_with(' ');
    let name = name.trim_end();
    let is_name = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && (is_padded || value.starts_with(' '));
    is_name.then(|| (name, value.trim()))
}

/// A line of it names a property that tells something.
pub(super) fn is_format_list(text: &str) -> bool {
    let mut properties = text.lines().filter_map(property);
    properties.any(|(name, _)| is_telling(name))
}

/// The objects, one after the other. What belongs to none of them (prompts, headings) is
/// passed over.
pub(super) fn objects(text: &str) -> impl Iterator<Item = Object> {
    let mut lines = text.lines();
    let mut next: Option<(&str, String)> = None;
    std::iter::from_fn(move || {
        let mut object = Object::new();
        // the property that further lines may go on with
        let mut open: Option<(&str, String)> = next.take();
        for line in lines.by_ref() {
            let is_blank = line.trim().is_empty();
            let found = property(line);
            if !is_blank && found.is_none() {
                if let Some((_, value)) = &mut open
                    && line.starts_with([' ', '\t'])
                {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            if let Some((name, value)) = open.take() {
                object.insert(name, Value::String(value));
            }
            if let Some((name, value)) = found {
                let property = (name, value.to_owned());
                // the blank line between two objects was lost
                if object.has(name) {
                    next = Some(property);
                    return Some(object);
                }
                open = Some(property);
            } else if !object.is_empty() {
                return Some(object);
            }
        }
        if let Some((name, value)) = open {
            object.insert(name, Value::String(value));
        }
        (!object.is_empty()).then_some(object)
    })
}
