//! What a cached value is bound to.

use super::sealed::Sealer;
use crate::domain::{Generation, TenantId};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// One life of a tenant, from a registration to the next.
pub struct Scope {
    pub tenant: TenantId,
    pub generation: Generation,
    /// `None`: nothing leaves the process.
    pub(super) seal: Option<Seal>,
}

/// How values are kept where others hold them.
pub(super) struct Seal {
    /// Begins the names of all keys. It tells nothing of the tenant.
    pub(super) name: String,
    pub(super) sealer: Sealer,
}

impl Scope {
    /// `key`: from the deployment's secret, of this life of this tenant alone.
    pub fn new(tenant: TenantId, generation: Generation, key: Option<[u8; 32]>) -> Self {
        let seal = key.map(|key| {
            let name = blake3::derive_key("sentby v1 names of cached values", &key);
            // in braces: a cluster keeps all keys of a tenant on one node
            let name = format!("sentby:{{{}}}:", URL_SAFE_NO_PAD.encode(&name[..16]));
            let sealer = Sealer::new(&key);
            Seal { name, sealer }
        });
        Self {
            tenant,
            generation,
            seal,
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
            .finish_non_exhaustive()
    }
}
