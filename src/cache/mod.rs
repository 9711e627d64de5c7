//! Recent answers. A hint: the store is the truth, and a cache that is slow or gone costs
//! time, never an answer.
//!
//! What a reader may rely on:
//!
//! - A value says at which revision of the tenant it was read ([`Cached::as_of`]). A caller
//!   that demands a revision is answered by a value of at least that one, else by the store.
//! - Whoever writes sets what he touched after the commit and before the acknowledgement,
//!   also where nothing changed ([`Cache::set`]). Readers keep what they read
//!   ([`Cache::fill`]); in both cases an older value never replaces a newer one. So a value is
//!   as fresh as the last acknowledgement.
//! - What a writer could not set is owed: it is made void before this process reads a value
//!   from there again. Only another process, or a writer that died, can leave an old value,
//!   and no longer than a value lasts: [`memory::FOUND`], [`redis::FOUND`].
//! - "Nothing is stored" is kept for seconds only.
//! - A value belongs to one [`Scope`], a life of a tenant, and to one key.

mod coalesce;
mod memory;
mod redis;
mod scope;
pub mod sealed;

pub use self::redis::{RedisCache, examine as examine_redis};
use crate::domain::{Answer, MessageKey, Revision};
pub use coalesce::{Coalescer, Source};
pub use memory::MemoryCache;
pub use scope::Scope;
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long it may take until this process notices that a tenant began another life.
pub const LIFE: Duration = memory::FOUND;

/// What was known of a message, and when.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The tenant's revision in the snapshot that it was read in.
    pub as_of: Revision,
    /// `None`: nothing was stored.
    pub answer: Option<Arc<Known>>,
}

/// An answer, and its form on the wire once somebody has made it.
#[derive(Debug)]
pub struct Known {
    answer: Answer,
    encoded: OnceLock<bytes::Bytes>,
}

impl Known {
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            encoded: OnceLock::new(),
        }
    }

    /// `encode` is always the same function, and is called once.
    pub fn encoded(&self, encode: impl FnOnce(&Answer) -> bytes::Bytes) -> &bytes::Bytes {
        self.encoded.get_or_init(|| encode(&self.answer))
    }
}

impl Deref for Known {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.answer
    }
}

/// `--cache`.
#[derive(Debug)]
pub enum Cache {
    None,
    Memory(MemoryCache),
    Redis(RedisCache),
}

impl Cache {
    /// What this process itself holds.
    pub fn peek(&self, scope: &Scope, key: MessageKey) -> Option<Cached> {
        match self {
            Self::Memory(memory) => memory.get(scope, key),
            Self::None | Self::Redis(_) => None,
        }
    }

    /// What other places hold: one for each key, or none at all.
    pub async fn get(&self, scope: &Arc<Scope>, keys: &[MessageKey]) -> Vec<Option<Cached>> {
        match self {
            Self::Redis(redis) => redis.get(scope, keys).await,
            Self::Memory(_) | Self::None => Vec::new(),
        }
    }

    /// Keeps what was read, where nothing newer is there. Does not wait for it.
    pub fn fill(&self, scope: &Arc<Scope>, values: Vec<(MessageKey, Cached)>) {
        match self {
            Self::Memory(memory) => memory.put(scope, values),
            Self::Redis(redis) => redis.fill(scope, values),
            Self::None => {}
        }
    }

    /// Keeps what was written. When it returns, no reader of this process finds an older value.
    pub async fn set(&self, scope: &Arc<Scope>, values: Vec<(MessageKey, Cached)>) {
        match self {
            Self::Memory(memory) => memory.put(scope, values),
            Self::Redis(redis) => redis.set(scope, values).await,
            Self::None => {}
        }
    }

    /// Whether others hold the values too: then they have to be sealed.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }
}

#[cfg(test)]
mod tests;
