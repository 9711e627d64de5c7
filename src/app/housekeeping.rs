//! What is done now and then without being asked.

use super::{App, Result, now};
use crate::{domain::Timestamp, store::Expiring};

const DAY: i64 = 86_400 * 1_000_000;
/// Microsoft serves a content for so long: after that nobody can send it again anyway.
const KEEP_RECEIPTS: i64 = 7 * DAY;
const KEEP_QUARANTINED: i64 = 30 * DAY;

/// Rows deleted in one transaction.
const CHUNK: u32 = 1_000;
/// Transactions in a row: what is left then waits for the next time.
const CHUNKS: u32 = 100;

impl App {
    /// Ends what another process began and did not end, and deletes what has expired.
    /// Several processes may do so at once; what fails is tried again the next time.
    pub async fn keep_house(&self) {
        if let Err(error) = self.resume_reattribution().await {
            tracing::warn!(%error, "cannot look for changed registers yet");
        }
        for what in [Expiring::Receipts, Expiring::Quarantine] {
            match self.expire(what).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(?what, deleted, "expired"),
                Err(error) => tracing::warn!(?what, %error, "cannot delete what has expired yet"),
            }
        }
    }

    async fn expire(&self, what: Expiring) -> Result<u64> {
        let kept = match what {
            Expiring::Receipts => KEEP_RECEIPTS,
            Expiring::Quarantine => KEEP_QUARANTINED,
        };
        let before = Timestamp::from_micros(now().micros() - kept);
        let mut deleted = 0;
        for _ in 0..CHUNKS {
            let chunk = self.store.expire(what, before, CHUNK).await?;
            deleted += chunk;
            if chunk < u64::from(CHUNK) {
                break;
            }
        }
        Ok(deleted)
    }
}

/// When a receipt of this time is deleted, at the earliest.
pub fn receipt_expires(received_at: Timestamp) -> Timestamp {
    Timestamp::from_micros(received_at.micros() + KEEP_RECEIPTS)
}

/// The same of a quarantined record.
pub fn quarantined_expires(received_at: Timestamp) -> Timestamp {
    Timestamp::from_micros(received_at.micros() + KEEP_QUARANTINED)
}
