//! Recent answers. A hint: the store is the truth, and a cache that is slow or gone costs
//! time, never an answer.

mod memory;

use crate::domain::{Answer, MessageKey, Revision, TenantId};
use async_trait::async_trait;
pub use memory::MemoryCache;
use std::{collections::HashMap, fmt::Debug, sync::Arc};

/// What was known of a message, and when.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The tenant's revision in the snapshot that it was read in.
    pub as_of: Revision,
    /// `None`: nothing was stored.
    pub answer: Option<Arc<Answer>>,
}

#[async_trait]
pub trait Cache: Send + Sync + Debug {
    /// What is cached of these messages.
    async fn get(&self, tenant: TenantId, keys: &[MessageKey]) -> HashMap<MessageKey, Cached>;

    /// Keeps these values where they are not older than what is there.
    async fn put(&self, tenant: TenantId, values: &HashMap<MessageKey, Cached>);
}

/// `--cache none`.
#[derive(Debug)]
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: TenantId, _: &[MessageKey]) -> HashMap<MessageKey, Cached> {
        HashMap::new()
    }

    async fn put(&self, _: TenantId, _: &HashMap<MessageKey, Cached>) {}
}
