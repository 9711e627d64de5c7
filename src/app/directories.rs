//! Directories of tenants, kept between calls: every write and every range needs one.

use super::Result;
use crate::{
    domain::{Directory, Generation, Tenant, TenantId},
    store::{Store, Tx},
};
use moka::sync::Cache;
use std::sync::Arc;

/// Tenants whose directory is kept.
const CAPACITY: u64 = 1_000;

/// A directory belongs to one (generation, version) of the tenant's row, so it is never
/// older than that row. A reader may file a newer register under the version that it read
/// just before; a writer cannot come across that, because it holds the tenant's lock.
#[derive(Debug)]
pub(super) struct Directories(Cache<(TenantId, Generation, i64), Arc<Directory>>);

impl Default for Directories {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl Directories {
    pub(super) async fn of_tx(&self, tx: &mut dyn Tx) -> Result<Arc<Directory>> {
        let key = key(tx.tenant());
        if let Some(directory) = self.0.get(&key) {
            return Ok(directory);
        }
        let directory = Arc::new(Directory::new(tx.mailboxes().await?));
        self.0.insert(key, Arc::clone(&directory));
        Ok(directory)
    }

    pub(super) async fn of_tenant(
        &self,
        store: &dyn Store,
        tenant: &Tenant,
    ) -> Result<Arc<Directory>> {
        let key = key(tenant);
        if let Some(directory) = self.0.get(&key) {
            return Ok(directory);
        }
        let mailboxes = store.mailboxes(tenant.id, "", u32::MAX).await?;
        let directory = Arc::new(Directory::new(mailboxes));
        self.0.insert(key, Arc::clone(&directory));
        Ok(directory)
    }
}

fn key(tenant: &Tenant) -> (TenantId, Generation, i64) {
    (tenant.id, tenant.generation, tenant.directory_version)
}
