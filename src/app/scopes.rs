//! Which life of a tenant its cached values belong to, known without asking the store.

use super::{Result, secret::SecretCell};
use crate::{
    cache::{self, Scope},
    domain::{Generation, TenantId},
    store::TenantRevision,
};
use moka::sync::Cache;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Tenants that are known at a time. Values of one that falls out are found again after the
/// next read of the store.
const CAPACITY: u64 = 10_000;

/// Every snapshot of the store tells the generation. It is forgotten as soon as a value in
/// this process would be, so that another life of the tenant is noticed by then.
#[derive(Debug)]
pub(super) struct Scopes {
    known: Cache<TenantId, Arc<Scope>>,
    /// The newest revision that the store was seen at.
    newest: Cache<TenantId, TenantRevision>,
    /// Lives of which the store has lost commits: nothing cached counts any more.
    lost: Cache<TenantId, Generation>,
    is_any_lost: AtomicBool,
    /// Where values have to be sealed.
    secret: Option<Arc<SecretCell>>,
}

impl Scopes {
    pub(super) fn new(secret: Option<Arc<SecretCell>>) -> Self {
        let known = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(cache::LIFE);
        Self {
            known: known.build(),
            newest: Cache::new(CAPACITY),
            lost: Cache::new(CAPACITY),
            is_any_lost: AtomicBool::new(false),
            secret,
        }
    }

    pub(super) fn get(&self, tenant: TenantId) -> Option<Arc<Scope>> {
        let scope = self.known.get(&tenant)?;
        let is_lost =
            self.is_any_lost.load(Relaxed) && self.lost.get(&tenant) == Some(scope.generation);
        (!is_lost).then_some(scope)
    }

    /// Before a read of the store: what it cannot be behind.
    pub(super) fn newest(&self, tenant: TenantId) -> Option<TenantRevision> {
        self.newest.get(&tenant)
    }

    /// Where the store was found. `before`: [`Scopes::newest`] before it was asked. Within a life
    /// of the tenant a revision that was committed stays so, unless a backup was restored, or
    /// another server took over that had not got it yet. Then revisions of two histories look
    /// the same, and what was cached may be of the lost one.
    pub(super) fn found(&self, before: Option<TenantRevision>, now: TenantRevision) {
        let before = before.filter(|before| before.generation == now.generation);
        if before.is_some_and(|before| now.revision < before.revision) {
            self.lose(before.unwrap_or(now), now);
        }
        let is_newer = self.newest.get(&now.tenant).is_none_or(|known| {
            known.generation != now.generation || known.revision < now.revision
        });
        if is_newer {
            self.newest.insert(now.tenant, now);
        }
    }

    fn lose(&self, before: TenantRevision, now: TenantRevision) {
        if self.lost.get(&now.tenant) == Some(now.generation) {
            return;
        }
        self.lost.insert(now.tenant, now.generation);
        self.is_any_lost.store(true, Relaxed);
        tracing::error!(
            tenant = %now.tenant,
            was = before.revision.0,
            is = now.revision.0,
            "RESTORED: the store has lost commits of this tenant. Stop all servers, run `sentby \
             migrate --restored`, and start them again; until then this one takes nothing of the \
             tenant from a cache"
        );
    }

    /// A tenant that is gone.
    pub(super) fn forget(&self, tenant: TenantId) {
        self.known.invalidate(&tenant);
    }

    /// A writer calls it first: after its commit nothing must be able to fail.
    pub(super) async fn ready(&self) -> Result<()> {
        if let Some(secret) = &self.secret {
            secret.get().await?;
        }
        Ok(())
    }

    /// Notes the tenant's life as the store has it.
    pub(super) async fn see(&self, tenant: TenantId, generation: Generation) -> Result<Arc<Scope>> {
        let known = self.get(tenant);
        let scope = match known.filter(|known| known.generation == generation) {
            Some(known) => known,
            None => {
                let key = match &self.secret {
                    Some(secret) => Some(secret.get().await?.cache_key(tenant, generation)),
                    None => None,
                };
                Arc::new(Scope::new(tenant, generation, key))
            }
        };
        self.known.insert(tenant, Arc::clone(&scope));
        Ok(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_store_that_went_back_is_noticed_and_a_late_reader_is_not_taken_for_one() {
        let tenant = TenantId(Uuid::from_u128(1));
        let at = |generation: i64, revision: u64| TenantRevision {
            tenant,
            generation: Generation(generation),
            revision: Revision(revision),
        };
        let scopes = Scopes::new(None);
        let known = |scopes: &Scopes| scopes.get(tenant).is_some();
        scopes.see(tenant, Generation(7)).await.expect("seen");
        let late = scopes.newest(tenant);
        scopes.found(scopes.newest(tenant), at(7, 5));
        scopes.found(late, at(7, 4)); // asked before 5 was known
        assert_eq!(scopes.newest(tenant), Some(at(7, 5)));
        assert!(known(&scopes));

        scopes.found(scopes.newest(tenant), at(7, 4));
        assert!(!known(&scopes), "4 after 5");
        scopes.found(scopes.newest(tenant), at(7, 6));
        scopes.see(tenant, Generation(7)).await.expect("seen");
        assert!(!known(&scopes), "6 is another 6 now");

        // another life begins at any revision
        scopes.found(scopes.newest(tenant), at(8, 2));
        scopes.see(tenant, Generation(8)).await.expect("seen");
        assert!(known(&scopes));
        assert_eq!(scopes.newest(tenant), Some(at(8, 2)));
    }
}
