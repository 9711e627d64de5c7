//! Values as others hold them: readable and changeable for nobody, and each good for one key
//! of one life of a tenant only. Public for those who try it with any bytes (`fuzz/`).
//!
//! | bytes | |
//! |---|---|
//! | 16 | `as_of` in hexadecimal digits, so that a script can compare two values as texts |
//! | 12 | nonce |
//! | rest | [`Body`], AES-256-GCM; `as_of` and the key are authenticated with it |

use super::{Cached, Known};
use crate::domain::{
    Answer, Attribution, Basis, MessageId, MessageKey, Revision, Timestamp, Verdict,
};
use prost::Message as _;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use std::sync::Arc;
use uuid::Uuid;

/// Length of `as_of` in front.
pub(super) const AS_OF: usize = 16;

/// Seals and opens the values of one [`super::Scope`].
pub struct Sealer(LessSafeKey);

/// What is in a sealed value.
#[derive(Debug)]
pub enum Opened {
    Value(Cached),
    /// Ask the store. It stays there to keep older values out.
    ///
    /// A writer could not set what it wrote; or a newer program says what this one does not
    /// understand.
    Void,
}

/// Newer programs may add tags; a tag is never used again for anything else.
#[derive(Clone, PartialEq, prost::Message)]
struct Body {
    /// See [`kind`].
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, optional, tag = "2")]
    message_id: Option<String>,
    /// Microseconds since 1970.
    #[prost(int64, tag = "3")]
    sent_at: i64,
    #[prost(uint64, tag = "4")]
    revision: u64,
    #[prost(string, tag = "5")]
    verdict: String,
    #[prost(string, optional, tag = "6")]
    basis: Option<String>,
    #[prost(string, optional, tag = "7")]
    agent: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    agent_object_id: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    mailbox: Option<String>,
    #[prost(string, repeated, tag = "10")]
    candidates: Vec<String>,
    #[prost(bool, tag = "11")]
    confirmed: bool,
    #[prost(bool, tag = "12")]
    contradicted: bool,
    #[prost(bool, tag = "13")]
    listed: bool,
}

mod kind {
    pub(super) const VOID: u32 = 1;
    pub(super) const ABSENT: u32 = 2;
    pub(super) const FOUND: u32 = 3;
}

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// `None`: there is no randomness.
    pub fn seal(&self, key: MessageKey, cached: &Cached) -> Option<Vec<u8>> {
        let body = match &cached.answer {
            Some(known) => found(known),
            None => Body {
                kind: kind::ABSENT,
                ..Body::default()
            },
        };
        self.seal_body(key, cached.as_of, &body)
    }

    pub(super) fn seal_void(&self, key: MessageKey, as_of: Revision) -> Option<Vec<u8>> {
        let body = Body {
            kind: kind::VOID,
            ..Body::default()
        };
        self.seal_body(key, as_of, &body)
    }

    fn seal_body(&self, key: MessageKey, as_of: Revision, body: &Body) -> Option<Vec<u8>> {
        let tag = AES_256_GCM.tag_len();
        let mut value = Vec::with_capacity(AS_OF + NONCE_LEN + body.encoded_len() + tag);
        value.extend_from_slice(
            format!("{as_of:0width$x}", as_of = as_of.0, width = AS_OF).as_bytes(),
        );
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        value.extend_from_slice(&nonce);
        body.encode(&mut value).expect("a Vec grows");
        let aad = Aad::from(bound(&value[..AS_OF], key));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = &mut value[AS_OF + NONCE_LEN..];
        let tag = self.0.seal_in_place_separate_tag(nonce, aad, sealed).ok()?;
        value.extend_from_slice(tag.as_ref());
        Some(value)
    }

    /// `None`: no value of this key in this life of the tenant.
    pub fn open(&self, key: MessageKey, value: &mut [u8]) -> Option<Opened> {
        let (as_of, rest) = value.split_at_mut_checked(AS_OF)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let aad = Aad::from(bound(as_of, key));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let body = self.0.open_in_place(nonce, aad, sealed).ok()?;
        // from here on it is ours
        let as_of = std::str::from_utf8(as_of).ok()?;
        let as_of = Revision(u64::from_str_radix(as_of, 16).ok()?);
        let value = Body::decode(&*body).ok().and_then(|body| {
            let answer = match body.kind {
                kind::ABSENT => None,
                kind::FOUND => Some(Arc::new(Known::new(answer(key, body)?))),
                _ => return None,
            };
            Some(Cached { as_of, answer })
        });
        Some(value.map_or(Opened::Void, Opened::Value))
    }
}

/// What is authenticated with a body.
fn bound(as_of: &[u8], key: MessageKey) -> [u8; AS_OF + 16] {
    let mut bound = [0; AS_OF + 16];
    bound[..AS_OF].copy_from_slice(as_of);
    bound[AS_OF..].copy_from_slice(key.0.as_bytes());
    bound
}

fn found(answer: &Answer) -> Body {
    let attribution = &answer.attribution;
    Body {
        kind: kind::FOUND,
        message_id: answer.id.as_ref().map(|id| id.as_str().to_owned()),
        sent_at: attribution.sent_at.micros(),
        revision: answer.revision.0,
        verdict: attribution.verdict.name().into(),
        basis: attribution.basis.map(|basis| basis.name().into()),
        agent: attribution.agent.clone(),
        agent_object_id: attribution.agent_object_id.map(|id| id.as_bytes().to_vec()),
        mailbox: attribution.mailbox.clone(),
        candidates: attribution.candidates.clone(),
        confirmed: attribution.confirmed,
        contradicted: attribution.contradicted,
        listed: attribution.listed,
    }
}

/// `None`: it has a word of a newer program.
fn answer(key: MessageKey, body: Body) -> Option<Answer> {
    let verdict = Verdict::ALL.into_iter().find(|v| v.name() == body.verdict);
    let basis = |name: String| Basis::ALL.into_iter().find(|b| b.name() == name);
    let object_id = |bytes: Vec<u8>| Uuid::from_slice(&bytes);
    Some(Answer {
        key,
        id: match body.message_id {
            Some(id) => Some(MessageId::parse(&id).ok()?),
            None => None,
        },
        revision: Revision(body.revision),
        attribution: Attribution {
            verdict: verdict?,
            basis: match body.basis {
                Some(name) => Some(basis(name)?),
                None => None,
            },
            agent: body.agent,
            agent_object_id: body.agent_object_id.map(object_id).transpose().ok()?,
            mailbox: body.mailbox,
            confirmed: body.confirmed,
            contradicted: body.contradicted,
            sent_at: Timestamp::from_micros(body.sent_at),
            candidates: body.candidates,
            listed: body.listed,
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn key(n: u128) -> MessageKey {
        MessageKey(Uuid::from_u128(n))
    }

    pub(in super::super) fn cached(n: u128, as_of: u64) -> Cached {
        let known = Known::new(Answer {
            key: key(n),
            id: Some(MessageId::parse("a@x").expect("an id")),
            revision: Revision(3),
            attribution: Attribution {
                verdict: Verdict::Conflict,
                basis: Some(Basis::AgentSendOnBehalf),
                agent: None,
                agent_object_id: Some(Uuid::from_u128(9)),
                mailbox: Some("support@contoso.com".into()),
                confirmed: false,
                contradicted: true,
                sent_at: Timestamp::from_micros(1_772_000_000_000_000),
                candidates: vec!["anna@contoso.com".into(), "bob@contoso.com".into()],
                listed: true,
            },
        });
        Cached {
            as_of: Revision(as_of),
            answer: Some(Arc::new(known)),
        }
    }

    fn same(opened: Option<Opened>, cached: &Cached) -> bool {
        let Some(Opened::Value(opened)) = opened else {
            return false;
        };
        let answer = |cached: &Cached| cached.answer.as_ref().map(|known| Answer::clone(known));
        opened.as_of == cached.as_of && answer(&opened) == answer(cached)
    }

    #[test]
    fn a_value_is_opened_as_it_was_sealed() {
        let sealer = Sealer::new(&[1; 32]);
        let nothing = Cached {
            as_of: Revision(u64::MAX),
            answer: None,
        };
        for cached in [cached(7, 5), nothing] {
            let mut value = sealer.seal(key(7), &cached).expect("sealed");
            assert!(same(sealer.open(key(7), &mut value), &cached));
        }
        let mut void = sealer.seal_void(key(7), Revision(5)).expect("sealed");
        assert!(matches!(sealer.open(key(7), &mut void), Some(Opened::Void)));
    }

    #[test]
    fn newer_values_are_greater_texts() {
        let sealer = Sealer::new(&[1; 32]);
        let seal = |as_of| sealer.seal_void(key(7), Revision(as_of)).expect("sealed");
        // above 2^53 numbers of a script would be equal
        let revisions = [0, 9, 10, 15, 16, 1 << 53, (1 << 53) + 1, u64::MAX];
        for pair in revisions.windows(2) {
            assert!(seal(pair[0])[..AS_OF] < seal(pair[1])[..AS_OF], "{pair:?}");
        }
    }

    #[test]
    fn nothing_else_opens() {
        let sealer = Sealer::new(&[1; 32]);
        let value = sealer.seal(key(7), &cached(7, 5)).expect("sealed");
        let opens =
            |sealer: &Sealer, key, value: &[u8]| sealer.open(key, &mut value.to_vec()).is_some();
        assert!(opens(&sealer, key(7), &value));
        assert!(!opens(&sealer, key(8), &value), "another key's");
        assert!(
            !opens(&Sealer::new(&[2; 32]), key(7), &value),
            "another life's"
        );
        for bit in 0..value.len() * 8 {
            let mut changed = value.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&sealer, key(7), &changed), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(!opens(&sealer, key(7), &value[..length]), "{length}");
        }
    }
}
