//! Which message an event is about.

use std::fmt;
use uuid::Uuid;

/// Longest line that RFC 5322 allows: no message id is longer.
pub const MAX_MESSAGE_ID: usize = 998;

/// An internet message id in its one normal form: no white space (headers are folded), no
/// enclosing `<>`, case kept. The normal form of a normal form is itself, so an answered id
/// can be asked for: of `<<a@b>>` one pair less would be answered as `<a@b>`, which is asked
/// for as `a@b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageIdError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {MAX_MESSAGE_ID} bytes")]
    TooLong,
    #[error("contains a NUL character")]
    Nul,
}

impl MessageId {
    pub fn parse(text: &str) -> Result<Self, MessageIdError> {
        normal(text, |id| Self(id.to_owned()))
    }

    /// The same of a text that may be kept as it is: most are in their normal form already.
    pub fn from_text(text: String) -> Result<Self, MessageIdError> {
        if is_normal(&text) {
            Ok(Self(text))
        } else {
            Self::parse(&text)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }

    pub fn key(&self) -> MessageKey {
        MessageKey::of(self.0.as_bytes())
    }
}

/// Whether it is a normal form for certain, told at a glance: visible ASCII without a `<`.
fn is_normal(text: &str) -> bool {
    (1..=MAX_MESSAGE_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'<')
}

/// What is made of the normal form of an id.
fn normal<T>(text: &str, make: impl FnOnce(&str) -> T) -> Result<T, MessageIdError> {
    // nearly no id has white space in it
    let may_be_folded = text.bytes().fold(false, |may_be, byte| {
        may_be | (byte <= b' ') | !byte.is_ascii()
    });
    let folded: String;
    let mut id = text;
    if may_be_folded {
        folded = text.chars().filter(|c| !c.is_whitespace()).collect();
        id = &folded;
    }
    while let Some(inner) = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')) {
        id = inner;
    }
    if id.is_empty() {
        Err(MessageIdError::Empty)
    } else if id.len() > MAX_MESSAGE_ID {
        Err(MessageIdError::TooLong)
    } else if id.contains('\0') {
        Err(MessageIdError::Nul)
    } else {
        Ok(make(id))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a message inside a tenant: the first 16 bytes of BLAKE3 of the normalised id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey(pub Uuid);

impl MessageKey {
    /// The key of a message id, as [`MessageId::parse`] takes it.
    pub fn parse(text: &str) -> Result<Self, MessageIdError> {
        normal(text, |id| Self::of(id.as_bytes()))
    }

    /// The key of an event whose record has no message id. Begins with a space, which no
    /// normalised message id contains, so the two kinds never meet.
    pub fn of_record(record_id: Uuid) -> Self {
        let mut bytes = *b" record                 ";
        bytes[8..].copy_from_slice(record_id.as_bytes());
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        let (first, _) = hash.as_bytes().split_at(16);
        Self(Uuid::from_slice(first).expect("16 bytes are a UUID"))
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_has_one_key_however_its_id_is_written() {
        let key = |text| MessageId::parse(text).expect(text).key();
        let plain = key("AB12@mail.contoso.com");
        assert_eq!(key("<AB12@mail.contoso.com>"), plain);
        assert_eq!(key(" <AB12@mail.contoso.com>\r\n"), plain);
        assert_eq!(key("<AB12@mail.\r\n contoso.com>"), plain);
        assert_ne!(key("<ab12@mail.contoso.com>"), plain, "case is kept");
        assert_eq!(key("<<AB12@mail.contoso.com>>"), plain);
        assert_eq!(key("<AB12@mail.  contoso.com>"), plain);
        assert_eq!(key("<AB12@mail. \u{2003}contoso.com>"), plain);
        assert_ne!(key("<AB12@mail.contoso.com"), plain, "not enclosed");
        for written in ["AB12@c", "<AB12@c>", "<<AB12@c>>", "<<<AB12@c>>>"] {
            let id = MessageId::parse(written).expect(written);
            assert_eq!(id, MessageId::parse(id.as_str()).expect("normal"));
            assert_eq!(MessageKey::parse(written), Ok(id.key()));
            assert_eq!((id.to_string(), id.as_str()), ("AB12@c".into(), "AB12@c"));
            assert_eq!(id.into_string(), "AB12@c");
        }
        // stored keys depend on it: this value must never change
        assert_eq!(plain.to_string(), "67e14f38-68a8-e570-5274-3e85f4aa5a8c");
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        assert_eq!(MessageId::parse(" <> "), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse("<<>>"), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse(""), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse(" \r\n"), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse("\u{2003}"), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse("a\0b"), Err(MessageIdError::Nul));
        assert_eq!(
            MessageId::parse(&"x".repeat(999)),
            Err(MessageIdError::TooLong)
        );
        assert!(MessageId::parse(&"x".repeat(998)).is_ok());
    }

    #[test]
    fn a_text_that_is_kept_as_it_is_is_what_parsing_it_gives() {
        for text in [
            "a@b",
            "<a@b>",
            "a b",
            "a@b>",
            "<a@b",
            "a\0b",
            "",
            "<>",
            "ä@b",
            "a\u{2003}b",
        ] {
            assert_eq!(
                MessageId::from_text(text.into()),
                MessageId::parse(text),
                "{text:?}"
            );
        }
        for length in [998, 999] {
            let text = "x".repeat(length);
            assert_eq!(
                MessageId::from_text(text.clone()),
                MessageId::parse(&text),
                "{length}"
            );
        }
    }

    #[test]
    fn a_record_key_is_no_message_id_key() {
        let record = Uuid::from_u128(7);
        let text = format!(" record {record}");
        let id = MessageId::parse(&text).expect("an id");
        assert_ne!(MessageKey::of_record(record), id.key());
    }
}
