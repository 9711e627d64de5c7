//! Identifiers inside of other text: what is not sure to be read is taken for one.

use super::{Pseudonym, Tombstones};
use crate::domain::directory::MAX_ADDRESS;

impl Tombstones {
    /// The first erased person that a text names by an identifier.
    pub fn named_in(&self, text: &str) -> Option<Pseudonym> {
        if self.is_empty() {
            return None;
        }
        let text = text.to_lowercase();
        let mut words = words(&text);
        words.find_map(|word| Some(self.get(word)?.0))
    }

    /// Whether bytes name an erased person, or may: what is escaped or in another encoding hides
    /// what it says.
    pub fn may_be_named_in(&self, bytes: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => hides_something(text) || self.named_in(text).is_some(),
            Err(_) => true,
        }
    }

    /// The text with pseudonyms in the place of identifiers. `None`: it has none.
    pub fn without_names(&self, text: &str) -> Option<String> {
        self.named_in(text)?;
        let lower = text.to_lowercase();
        if let Some((pseudonym, _)) = self.get(lower.trim()) {
            return Some(pseudonym.to_string());
        }
        let mut named = Vec::new();
        for word in words(&lower) {
            named.extend(self.get(word).map(|(pseudonym, _)| (word, pseudonym)));
        }
        named.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        let replaced = named.iter().fold(lower.clone(), |text, (word, pseudonym)| {
            text.replace(word, &pseudonym.to_string())
        });
        Some(replaced)
    }
}

/// UTF-16 read as bytes, and escapes of JSON, URLs, HTML and mail headers.
fn hides_something(text: &str) -> bool {
    let text = text.as_bytes();
    text.contains(&0)
        || [&b"\\u"[..], b"\\x", b"%40", b"&#", b"=?", b"=40"]
            .iter()
            .any(|escape| {
                text.windows(escape.len())
                    .any(|part| part.eq_ignore_ascii_case(escape))
            })
}

/// All that may be an identifier, in lower case: words, and what stands behind or before a sign
/// that may be a part of one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_part(c))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.len() > 2)
        .flat_map(|word| {
            // `name+tag@`, `claim#name@`, `key=name@`, and the PUID of `puid@live.com`
            let behind = word
                .char_indices()
                .filter(|(_, c)| "#=+'/&!$*~{}`^?%".contains(*c))
                .map(|(at, c)| &word[at + c.len_utf8()..]);
            let before = word.split_once('@').map(|(before, _)| before);
            [word].into_iter().chain(behind).chain(before)
        })
        // longer than any identifier: it would only cost time
        .filter(|word| word.len() <= MAX_ADDRESS)
}

/// Of an address, a SID, a GUID or a PUID.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || ".@_-#+'=/&!$*~{}`^?%".contains(c)
}
