//! The in-process cache: the default.

use super::{Cached, Scope};
use crate::domain::{Generation, MessageKey, TenantId};
use foldhash::fast::RandomState;
use moka::{Expiry, ops::compute::Op, sync::Cache as Moka};
use std::time::{Duration, Instant};

/// How long an answer is kept: the longest that it can be out of date, where another process
/// writes to the same store.
pub const FOUND: Duration = Duration::from_secs(10);
/// "Nothing is stored" is wrong as soon as a record arrives.
const ABSENT: Duration = Duration::from_secs(2);

/// Entries that there is a table for from the start: growing it later stops who writes.
const GROWN: usize = 50_000;

type Key = (TenantId, Generation, MessageKey);

#[derive(Debug)]
pub struct MemoryCache(Moka<Key, Cached, RandomState>);

impl MemoryCache {
    /// Keeps at most this many messages, about 1 KB each.
    pub fn new(entries: u64) -> Self {
        let cache = Moka::builder()
            .max_capacity(entries)
            .initial_capacity(usize::try_from(entries).map_or(GROWN, |entries| entries.min(GROWN)))
            .expire_after(Ttl);
        Self(cache.build_with_hasher(RandomState::default()))
    }

    pub(super) fn get(&self, scope: &Scope, key: MessageKey) -> Option<Cached> {
        self.0.get(&(scope.tenant, scope.generation, key))
    }

    pub(super) fn put(&self, scope: &Scope, values: Vec<(MessageKey, Cached)>) {
        for (key, new) in values {
            let key = (scope.tenant, scope.generation, key);
            self.0.entry(key).and_compute_with(|old| match old {
                // a reader that was overtaken by a writer must not put the old answer back
                Some(old) if old.value().as_of > new.as_of => Op::Nop,
                _ => Op::Put(new),
            });
        }
    }
}

struct Ttl;

impl Expiry<Key, Cached> for Ttl {
    fn expire_after_create(&self, _: &Key, value: &Cached, _: Instant) -> Option<Duration> {
        Some(match value.answer {
            Some(_) => FOUND,
            None => ABSENT,
        })
    }

    fn expire_after_update(
        &self,
        key: &Key,
        value: &Cached,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, value, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;
    use uuid::Uuid;

    #[test]
    fn an_older_value_never_replaces_a_newer_one() {
        let cache = MemoryCache::new(10);
        let scope =
            |tenant, life| Scope::new(TenantId(Uuid::from_u128(tenant)), Generation(life), None);
        let key = MessageKey(Uuid::from_u128(3));
        for (put, kept) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
            let value = Cached {
                as_of: Revision(put),
                answer: None,
            };
            cache.put(&scope(1, 1), vec![(key, value)]);
            let found = cache.get(&scope(1, 1), key).expect("a value");
            assert_eq!(found.as_of, Revision(kept));
        }
        assert!(cache.get(&scope(2, 1), key).is_none());
        assert!(cache.get(&scope(1, 2), key).is_none(), "another life");
    }

    #[test]
    fn nothing_is_remembered_for_a_moment_only() {
        let (tenant, key) = (TenantId(Uuid::nil()), MessageKey(Uuid::nil()));
        let lasts = |value: &Cached| {
            let key = (tenant, Generation(1), key);
            let created = Ttl.expire_after_create(&key, value, Instant::now());
            let updated = Ttl.expire_after_update(&key, value, Instant::now(), created);
            assert_eq!(created, updated);
            created.expect("it ends")
        };
        let nothing = Cached {
            as_of: Revision(1),
            answer: None,
        };
        assert!(lasts(&nothing) <= super::super::redis::ABSENT);
        assert_eq!(lasts(&super::super::sealed::tests::cached(1, 1)), FOUND);
    }
}
