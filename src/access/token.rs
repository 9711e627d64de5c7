//! Tokens: 256 random bits that are shown once and kept by nobody but their caller.

use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use std::fmt;

/// What every token begins with, for scanners that look for secrets.
pub const TOKEN_PREFIX: &str = "sentby_";

/// SHA-256 of a token. The bits of a token are random, so nothing slower is needed, and looking a
/// hash up tells by its time nothing that leads to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

const ALGORITHM: &str = "sha256:";

impl TokenHash {
    pub fn of(token: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = blake3::Hash::from_hex(text.strip_prefix(ALGORITHM)?).ok()?;
        Some(Self(*hash.as_bytes()))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", blake3::Hash::from(self.0))
    }
}

/// `None`: the system has no random bits.
pub fn new_token() -> Option<String> {
    let mut bits = [0; 32];
    SystemRandom::new().fill(&mut bits).ok()?;
    Some(format!("{TOKEN_PREFIX}{}", blake3::Hash::from(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        let hash = TokenHash::of("sentby_abc");
        assert_eq!(
            hash.to_string(),
            "sha256:67ebb489e51112e7bfc01d3778e9569f24fc4b88fbe9d20bea66b3cd19ea00d6"
        );
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash));
        for wrong in ["", "sha256:", "sha256:00", "7ee1", "md5:00"] {
            assert_eq!(TokenHash::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_two_tokens_are_equal() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one, other);
        for token in [one, other] {
            let bits = token.strip_prefix(TOKEN_PREFIX).unwrap();
            assert_eq!(bits.len(), 64, "256 bits");
        }
    }
}
