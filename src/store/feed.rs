//! The part of the contract that is about the change feed.

use super::{Result, Snapshot};
use crate::domain::{Commit, Generation, Revision, TenantId};
use async_trait::async_trait;
use std::fmt::Debug;

/// Where a tenant is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantRevision {
    pub tenant: TenantId,
    pub generation: Generation,
    pub revision: Revision,
}

/// How much of the feed is read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitLimit {
    pub revisions: u32,
    /// The revision that reaches it is the last one; a change has 17.
    pub bytes: usize,
}

/// Hints of what other processes have committed.
#[async_trait]
pub trait Hints: Send + Debug {
    /// The tenants of the next hint; waits for it. Hints may get lost, may come late, and may be
    /// about tenants that are not known here.
    async fn next(&mut self) -> Result<Vec<TenantId>>;
}

/// Reads of the feed.
#[async_trait]
pub trait FeedStore {
    /// What the revisions behind `after` changed, in their order. `None`: no such tenant.
    async fn commits(
        &self,
        tenant: TenantId,
        after: Revision,
        limit: CommitLimit,
    ) -> Result<Option<Snapshot<Vec<Commit>>>>;

    /// Where those of these tenants that are there are by now, in no order.
    async fn revisions(&self, tenants: &[TenantId]) -> Result<Vec<TenantRevision>>;

    /// Hints to other processes that these tenants have new revisions. Call it after the commit.
    async fn hint(&self, tenants: &[TenantId]) -> Result<()>;

    /// The hints of other processes from now on. `None`: this engine has none.
    async fn hints(&self) -> Result<Option<Box<dyn Hints>>>;
}
