//! Pages: an object with a list of records in it, `{"@odata.context":…,"value":[{…},…],…}`.
//! A page may be of any size, so it is recognised by what stands before its list.

use serde::de::{Deserialize, IgnoredAny};

use super::cut::{is_space, parse};
use super::envelope::holds_a_record;
use super::keys::Key;
use super::native::Native;

/// There is something else, or nothing more.
#[derive(Debug, PartialEq)]
pub(super) enum No {
    Pair,
    MoreBytes,
}

/// Where the records begin, if the object at the beginning is a page: behind the bracket of
/// its list. Records have lists too, so before it there must be no key of a record.
pub(super) fn list_of(object: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let (key, value) = key(&object[at..]).ok()?;
        at += value;
        match key {
            Key::List(_) if object.get(at) == Some(&b'[') => {
                let first = object[at + 1..].iter().find(|&&b| !is_space(b));
                return matches!(first, Some(b'{' | b']')).then_some(at + 1);
            }
            Key::Field(_) | Key::Alias(..) | Key::Outer(_) => return None,
            Key::List(_) | Key::Unknown => {}
        }
        at += parse::<IgnoredAny>(&object[at..]).ok()?.1;
        at += spaces(&object[at..]);
        if object.get(at) != Some(&b',') {
            return None;
        }
        at += 1;
    }
}

/// Whether the object, which can be read as a whole, is a record that has a list.
pub(super) fn is_a_record(object: &[u8]) -> bool {
    parse::<Native<'_>>(object).is_ok_and(|(native, _)| holds_a_record(&native))
}

/// How long a key and its value are that stand behind the list. A key of a record does not
/// belong there; nor does a record, which would be the neighbour of a page that is cut off.
pub(super) fn pair(view: &[u8]) -> Result<usize, No> {
    let (key, at) = key(view)?;
    if !matches!(key, Key::Unknown | Key::List(_)) {
        return Err(No::Pair);
    }
    let (_, length) = read::<IgnoredAny>(&view[at..])?;
    let end = at + length;
    let object = memchr::memchr(b'{', &view[at..end]).map(|start| &view[at + start..end]);
    if object.is_some_and(|object| is_a_record(object) || list_of(object).is_some()) {
        return Err(No::Pair);
    }
    // a number may go on
    match view.get(end + spaces(&view[end..])) {
        Some(b',' | b'}') => Ok(end),
        Some(_) => Err(No::Pair),
        None => Err(No::MoreBytes),
    }
}

/// A key, and where its value begins.
fn key(bytes: &[u8]) -> Result<(Key, usize), No> {
    let mut at = spaces(bytes);
    let (key, length) = read::<Key>(&bytes[at..])?;
    at += length;
    at += spaces(&bytes[at..]);
    match bytes.get(at) {
        Some(b':') => at += 1,
        Some(_) => return Err(No::Pair),
        None => return Err(No::MoreBytes),
    }
    Ok((key, at + spaces(&bytes[at..])))
}

fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&b| is_space(b)).count()
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, usize), No> {
    parse(bytes).map_err(|error| match bytes {
        [] => No::MoreBytes,
        _ if error.is_eof() => No::MoreBytes,
        _ => No::Pair,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_page() {
        for (before, after) in [
            (r#"{"value":["#, r#"{}]}"#),
            (r#"{"Value" : [ "#.trim_end(), " {}]}"),
            (r#"{"records":["#, "]}"),
            (
                r#"{"@odata.context":"x\"y","@odata.count":2,"a":{"Id":[1]},"value":["#,
                "\n{",
            ),
            (r#"{ "value":1, "results":["#, "{"),
        ] {
            let page = format!("{before}{after}");
            assert_eq!(list_of(page.as_bytes()), Some(before.len()), "{page}");
        }
        for object in [
            "{}",
            r#"{"value":[1,{}]}"#,
            r#"{"value":[["#,
            r#"{"value":["#,
            r#"{"value":{"value":[{}]}}"#,
            r#"{"values":[{}]}"#,
            r#"{"Id":"x","value":[{}]}"#,
            r#"{"properties":{},"value":[{}]}"#,
            r#"{"OfficeId":"x","value":[{}]}"#,
            r#"{"a":tru,"value":[{}]}"#,
            r#"{"a":1;"value":[{}]}"#,
            r#"{"value" [{}]}"#,
            r#"{value:[{}]}"#,
        ] {
            assert_eq!(list_of(object.as_bytes()), None, "{object}");
        }
    }

    #[test]
    fn what_stands_behind_its_list() {
        for (view, expected) in [
            (r#""@odata.nextLink":"x"}"#, Ok(21)),
            (r#""a" : {"Id":1} ,"#, Ok(14)),
            ("\"a\":[[],{}]\n}", Ok(11)),
            (r#""a":{"Id":1,"Operation":2},"#, Err(No::Pair)),
            (r#""a":[{"AuditData":1}],"#, Err(No::Pair)),
            (r#""a":{"value":[{}]},"#, Err(No::Pair)),
            (r#""a":{}"#, Err(No::MoreBytes)),
            ("\"a\":{}\n{}", Err(No::Pair)),
            (r#""count":12"#, Err(No::MoreBytes)),
            (r#""count":12,"#, Ok(10)),
            (r#""count"#, Err(No::MoreBytes)),
            (r#""count":"#, Err(No::MoreBytes)),
            (r#""count" ,"#, Err(No::Pair)),
            (r#""Operation":"Send"}"#, Err(No::Pair)),
            (r#""a":x}"#, Err(No::Pair)),
        ] {
            assert_eq!(pair(view.as_bytes()), expected, "{view}");
        }
    }
}
