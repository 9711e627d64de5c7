//! The part of the contract that is about counts of messages.

use super::{RangeFilter, Result};
use crate::domain::{
    TenantId, TimeRange,
    summary::{Slots, Tally},
};
use async_trait::async_trait;

/// Counts, made where the messages are.
#[async_trait]
pub trait SummaryStore {
    /// From the first listed message of a range to the one behind `messages` more, which is left
    /// out, or behind the last one. Those of one moment stay together. `None`: there is none.
    async fn extent(
        &self,
        tenant: TenantId,
        range: TimeRange,
        messages: u32,
    ) -> Result<Option<TimeRange>>;

    /// Counts listed messages by slot, mailbox, agent, verdict and basis, in no order. `add` takes
    /// each count as it comes: there may be as many as messages.
    async fn tallies(
        &self,
        tenant: TenantId,
        filter: &RangeFilter,
        slots: Slots,
        add: &mut (dyn FnMut(Tally) + Send),
    ) -> Result<()>;
}
