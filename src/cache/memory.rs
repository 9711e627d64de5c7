//! The in-process cache: the default.

use super::{Cache, Cached};
use crate::domain::{MessageKey, TenantId};
use async_trait::async_trait;
use moka::{Expiry, ops::compute::Op, sync::Cache as Moka};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How stale an answer may be when another process writes to the same store.
const FOUND_TTL: Duration = Duration::from_secs(10);
/// "Nothing stored" is wrong as soon as a record arrives.
const ABSENT_TTL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct MemoryCache(Moka<(TenantId, MessageKey), Cached>);

impl MemoryCache {
    /// Keeps at most this many messages, about 500 bytes each.
    pub fn new(entries: u64) -> Self {
        let cache = Moka::builder().max_capacity(entries).expire_after(Ttl);
        Self(cache.build())
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, tenant: TenantId, keys: &[MessageKey]) -> HashMap<MessageKey, Cached> {
        let cached = |&key: &MessageKey| Some((key, self.0.get(&(tenant, key))?));
        keys.iter().filter_map(cached).collect()
    }

    async fn put(&self, tenant: TenantId, values: &HashMap<MessageKey, Cached>) {
        for (&key, new) in values {
            self.0
                .entry((tenant, key))
                .and_compute_with(|old| match old {
                    // a reader that was overtaken by a writer must not put the old answer back
                    Some(old) if old.value().as_of > new.as_of => Op::Nop,
                    _ => Op::Put(new.clone()),
                });
        }
    }
}

struct Ttl;

impl<K> Expiry<K, Cached> for Ttl {
    fn expire_after_create(&self, _: &K, value: &Cached, _: Instant) -> Option<Duration> {
        Some(match value.answer {
            Some(_) => FOUND_TTL,
            None => ABSENT_TTL,
        })
    }

    fn expire_after_update(
        &self,
        key: &K,
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

    #[tokio::test]
    async fn an_older_value_never_replaces_a_newer_one() {
        let cache = MemoryCache::new(10);
        let (tenant, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let key = MessageKey(Uuid::from_u128(3));
        for (put, kept) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
            let value = Cached {
                as_of: Revision(put),
                answer: None,
            };
            cache.put(tenant, &HashMap::from([(key, value)])).await;
            let found = cache.get(tenant, &[key]).await;
            assert_eq!(found[&key].as_of, Revision(kept));
        }
        assert!(cache.get(other, &[key]).await.is_empty());
    }
}
