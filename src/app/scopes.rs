//! Which life of a tenant its cached values belong to, known without asking the store.

use super::{Result, secret::SecretCell};
use crate::{
    cache::{self, Scope},
    domain::{Generation, TenantId},
};
use moka::sync::Cache;
use std::sync::Arc;

/// Tenants that are known at a time. Values of one that falls out are found again after the
/// next read of the store.
const CAPACITY: u64 = 10_000;

/// Every snapshot of the store tells the generation. It is forgotten as soon as a value in
/// this process would be, so that another life of the tenant is noticed by then.
#[derive(Debug)]
pub(super) struct Scopes {
    known: Cache<TenantId, Arc<Scope>>,
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
            secret,
        }
    }

    pub(super) fn get(&self, tenant: TenantId) -> Option<Arc<Scope>> {
        self.known.get(&tenant)
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
