//! The normaliser: one normal form, which is its own, by every way to it.

use sentby::domain::{MessageId, MessageKey, message::MAX_MESSAGE_ID};

pub fn holds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = MessageId::parse(&text);
    assert_eq!(MessageId::from_text(text.clone().into_owned()), parsed);
    let key = MessageKey::parse(&text);
    assert_eq!(key, parsed.clone().map(|id| id.key()));
    for spelled in [
        format!("<{text}>"),
        format!(" \r\n\t{text}\u{a0}"),
        text.chars().flat_map(|c| [c, '\n', ' ']).collect(),
        format!("<<\t{text} > >"),
    ] {
        assert_eq!(MessageId::parse(&spelled), parsed, "{spelled:?}");
    }
    let Ok(id) = parsed else { return };
    let normal = id.as_str();
    assert_eq!(MessageId::parse(normal).as_ref(), Ok(&id));
    assert!((1..=MAX_MESSAGE_ID).contains(&normal.len()));
    assert!(!normal.contains(|c: char| c.is_whitespace() || c == '\0'));
    // nothing is made up: what is left stands in the text, in this order
    let mut all = text.chars();
    assert!(normal.chars().all(|c| all.any(|other| other == c)));
}
