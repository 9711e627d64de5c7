//! The deployment's secret and what is made with it: sealed page tokens, keyed digests. What makes tokens is
//! public for those who try it with any bytes (`fuzz/`).

use super::{Error, Result, now};
use crate::{
    domain::{Generation, TenantId},
    store::Store,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use std::{fmt, sync::Arc};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The deployment's secret, read once: from the key file, else from the store, which makes it.
#[derive(Debug)]
pub(super) struct SecretCell {
    store: Arc<dyn Store>,
    secret: OnceCell<Arc<Secret>>,
}

impl SecretCell {
    pub(super) fn new(store: Arc<dyn Store>, secret: Option<[u8; 32]>) -> Self {
        let secret = secret.map(|secret| Arc::new(Secret::new(&secret)));
        Self {
            store,
            secret: OnceCell::new_with(secret),
        }
    }

    pub(super) async fn get(&self) -> Result<&Arc<Secret>> {
        self.secret
            .get_or_try_init(|| async {
                let stored = self.store.deployment_secret(random()?, now()).await?;
                Ok(Arc::new(Secret::new(&stored)))
            })
            .await
    }
}

/// Keys derived from the deployment's secret, one for each use.
pub struct Secret {
    tokens: LessSafeKey,
    digests: [u8; 32],
    contents: [u8; 32],
    cached: [u8; 32],
    tombstones: [u8; 32],
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Length of the hash that binds a token to its query.
const BINDING: usize = 16;

impl Secret {
    pub fn new(secret: &[u8; 32]) -> Self {
        let tokens = blake3::derive_key("sentby v1 page tokens", secret);
        let tokens = UnboundKey::new(&CHACHA20_POLY1305, &tokens).expect("a key of 32 bytes");
        Self {
            tokens: LessSafeKey::new(tokens),
            digests: blake3::derive_key("sentby v1 digests of quarantined records", secret),
            contents: blake3::derive_key("sentby v1 contents of batches", secret),
            cached: blake3::derive_key("sentby v1 cached values", secret),
            tombstones: blake3::derive_key("sentby v1 tombstones of people", secret),
        }
    }

    /// What values of one life of a tenant are sealed with where others hold them.
    pub(super) fn cache_key(&self, tenant: TenantId, generation: Generation) -> [u8; 32] {
        let mut life = [0; 24];
        life[..16].copy_from_slice(tenant.0.as_bytes());
        life[16..].copy_from_slice(&generation.0.to_le_bytes());
        *blake3::keyed_hash(&self.cached, &life).as_bytes()
    }

    /// What identifiers of a tenant's erased people are hashed with. Not bound to its life, so
    /// that they stay erased.
    pub(super) fn tombstone_key(&self, tenant: TenantId) -> [u8; 32] {
        *blake3::keyed_hash(&self.tombstones, tenant.0.as_bytes()).as_bytes()
    }

    /// Names a record without telling what it says.
    pub(super) fn digest(&self, bytes: &[u8]) -> Uuid {
        uuid(&blake3::keyed_hash(&self.digests, bytes))
    }

    /// Tells two contents of a batch apart. `parts` are length-prefixed.
    pub(super) fn content_digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Uuid {
        let mut hasher = blake3::Hasher::new_keyed(&self.contents);
        parts.into_iter().for_each(|part| add(&mut hasher, part));
        uuid(&hasher.finalize())
    }

    /// Seals a position within a query. Nobody can read, change or make one, and it opens
    /// for the same `query` only.
    pub fn seal(&self, query: &Query, position: &[u8]) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| Error::Bug("no randomness".into()))?;
        let mut sealed = query.0.to_vec();
        sealed.extend_from_slice(position);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.tokens
            .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
            .map_err(|_| Error::Bug("a page token could not be sealed".into()))?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What [`Self::seal`] was given. Anything else is [`Error::PageTokenInvalid`], or
    /// [`Error::PageTokenMismatch`] where the token is ours, of another query.
    pub fn open(&self, query: &Query, token: &str) -> Result<Vec<u8>> {
        let invalid = |_| Error::PageTokenInvalid;
        let mut bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| Error::PageTokenInvalid)?;
        let (nonce, sealed) = bytes
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(Error::PageTokenInvalid)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .tokens
            .open_in_place(nonce, Aad::empty(), sealed)
            .map_err(invalid)?;
        let (bound, position) = opened
            .split_at_checked(BINDING)
            .ok_or(Error::PageTokenInvalid)?;
        if bound == query.0 {
            Ok(position.to_vec())
        } else {
            Err(Error::PageTokenMismatch)
        }
    }
}

/// What a token is bound to: the method and all arguments but the page size.
#[derive(Debug)]
pub struct Query([u8; BINDING]);

impl Query {
    /// `parts` are length-prefixed, so that no two queries look alike.
    pub fn new(method: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in std::iter::once(&method.as_bytes()).chain(parts) {
            add(&mut hasher, part);
        }
        let mut binding = [0; BINDING];
        binding.copy_from_slice(&hasher.finalize().as_bytes()[..BINDING]);
        Self(binding)
    }
}

/// With its length before it, so that no two lists of parts look alike.
fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn uuid(hash: &blake3::Hash) -> Uuid {
    let (first, _) = hash.as_bytes().split_at(16);
    Uuid::from_slice(first).expect("16 bytes are a UUID")
}

/// A new secret.
pub(super) fn random() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Error::Bug("no randomness".into()))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_its_query_and_deployment_only() {
        let secret = Secret::new(&[7; 32]);
        let query = Query::new("List", &[b"a", b"bc"]);
        let token = secret.seal(&query, b"here").expect("sealed");
        assert_eq!(secret.open(&query, &token).expect("opens"), b"here");

        let other_query = Query::new("List", &[b"ab", b"c"]);
        assert!(matches!(
            secret.open(&other_query, &token),
            Err(Error::PageTokenMismatch)
        ));
        let other_deployment = Secret::new(&[8; 32]);
        assert!(matches!(
            other_deployment.open(&query, &token),
            Err(Error::PageTokenInvalid)
        ));
    }

    #[test]
    fn a_token_with_any_bit_changed_is_refused() {
        let secret = Secret::new(&[7; 32]);
        let query = Query::new("List", &[]);
        let token = secret.seal(&query, b"somewhere").expect("sealed");
        let bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(matches!(
                secret.open(&query, &changed),
                Err(Error::PageTokenInvalid)
            ));
        }
        for garbage in ["", "x", "!!!", "AAAA", &token[1..]] {
            assert!(secret.open(&query, garbage).is_err(), "{garbage}");
        }
    }
}
