//! The part of the contract that is about covered time: the ledger.

use super::{Result, Snapshot};
use crate::domain::{
    Lag, Side, TenantId, TimeRange, Timestamp,
    coverage::{Covered, Failure, Line},
};
use async_trait::async_trait;

/// Which side wrote about what an agent sent from a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SidePair {
    pub mailbox: String,
    pub agent: String,
    pub side: Side,
}

/// When it did: from the first event to the last one, both in it and cut to the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideSeen {
    pub pair: SidePair,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Reads of the ledger.
#[async_trait]
pub trait LedgerStore {
    /// All covered periods, in no order. `None`: no such tenant.
    async fn covered(&self, tenant: TenantId) -> Result<Option<Snapshot<Vec<Covered>>>>;

    async fn lag(&self, tenant: TenantId) -> Result<Lag>;

    /// The last failure of each source and clock, at most `limit`, in no order.
    async fn last_failures(&self, tenant: TenantId, limit: u32) -> Result<Vec<Failure>>;

    /// At most `limit`, in the order of mailbox, agent and side.
    async fn sides_seen(&self, tenant: TenantId, limit: u32) -> Result<Vec<SideSeen>>;

    /// Keeps the newest periods, so many of all lines together; tells how many were deleted.
    async fn trim_covered(&self, tenant: TenantId, keep: u32) -> Result<u64>;
}

/// Writes of the ledger, in a write of the tenant.
#[async_trait]
pub trait LedgerTx {
    /// The periods of a line that touch this one, in order.
    async fn covered_near(&mut self, line: &Line, range: TimeRange) -> Result<Vec<TimeRange>>;

    /// Puts a period in the place of those that it touches.
    async fn cover(&mut self, line: &Line, range: TimeRange, advanced_at: Timestamp) -> Result<()>;

    /// At most `limit` sources that have covered something.
    async fn covering_sources(&mut self, limit: u32) -> Result<Vec<String>>;

    /// Notes a failure; one that is there came again.
    async fn put_failure(&mut self, failure: &Failure) -> Result<()>;

    async fn lag(&mut self) -> Result<Lag>;

    async fn put_lag(&mut self, lag: &Lag) -> Result<()>;

    /// Adds these, each once; one that is there spans both times.
    async fn put_sides_seen(&mut self, sides: &[SideSeen]) -> Result<()>;
}
