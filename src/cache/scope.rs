//! What a cached value is bound to.

use crate::domain::{Generation, TenantId};
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// One life of a tenant, from a registration to the next.
pub struct Scope {
    pub tenant: TenantId,
    pub generation: Generation,
    /// Of this life of this tenant alone, from the deployment's secret. `None`: nothing leaves
    /// the process.
    key: Option<[u8; 32]>,
}

impl Scope {
    pub fn new(tenant: TenantId, generation: Generation, key: Option<[u8; 32]>) -> Self {
        Self {
            tenant,
            generation,
            key,
        }
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        (self.tenant, self.generation) == (other.tenant, other.generation)
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.tenant, self.generation).hash(state);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("tenant", &self.tenant)
            .field("generation", &self.generation)
            .field("key", &self.key.map(|_| "…"))
            .finish()
    }
}
