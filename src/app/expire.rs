//! What is kept for a time only: receipts, quarantined records, changes, failures of windows, some
//! messages; and what is bounded in number: covered periods.

use super::{App, Result, now};
use crate::{
    domain::{TenantId, Timestamp},
    store::Expiring,
    telemetry::meters::{Housekeeping, meters, set_to_now},
};

const DAY: i64 = 86_400 * 1_000_000;
/// Microsoft serves a content for so long: after that nobody can send it again anyway.
const KEEP_RECEIPTS: i64 = 7 * DAY;
const KEEP_QUARANTINED: i64 = 30 * DAY;
const KEEP_FAILURES: i64 = 30 * DAY;
/// Covered periods of one tenant: a year of hourly windows of which every second one is missing,
/// of two sources. An older period counts as not covered.
const KEEP_PERIODS: u32 = 10_000;

/// Rows deleted in one transaction.
const CHUNK: u32 = 1_000;
/// Transactions of one tenant in a row: what is left then waits for the next time.
const CHUNKS: u32 = 100;
/// Tenants that are listed at a time.
const PAGE: u32 = 1_000;

impl App {
    /// Deletes what has expired, of all tenants. Several processes may do so at once.
    pub async fn expire(&self) -> Result<()> {
        let mut after = None;
        loop {
            let tenants = self.store.tenants(after, PAGE).await?;
            for tenant in &tenants {
                for what in [
                    Expiring::Receipts,
                    Expiring::Quarantine,
                    Expiring::Changes,
                    Expiring::Failures,
                ] {
                    self.expire_of(tenant.id, what).await?;
                }
                self.store.trim_covered(tenant.id, KEEP_PERIODS).await?;
                if tenant.deletion.is_none() {
                    self.remove_outdated(tenant).await?;
                }
            }
            after = tenants.last().map(|tenant| tenant.id);
            if tenants.len() < PAGE as usize {
                set_to_now(&meters().housekeeping.done_at);
                return Ok(());
            }
        }
    }

    async fn expire_of(&self, tenant: TenantId, what: Expiring) -> Result<()> {
        let kept = match what {
            Expiring::Receipts => KEEP_RECEIPTS,
            Expiring::Quarantine => KEEP_QUARANTINED,
            Expiring::Changes => i64::from(self.limits.change_days) * DAY,
            Expiring::Failures => KEEP_FAILURES,
        };
        let before = Timestamp::from_micros(now().micros() - kept);
        let mut deleted = 0;
        for _ in 0..CHUNKS {
            let chunk = self.store.expire(tenant, what, before, CHUNK).await?;
            deleted += chunk;
            if chunk < u64::from(CHUNK) {
                break;
            }
        }
        if deleted > 0 {
            Housekeeping::expired(name(what), deleted);
            tracing::info!(%tenant, ?what, deleted, "expired");
        }
        Ok(())
    }
}

fn name(what: Expiring) -> &'static str {
    match what {
        Expiring::Receipts => "receipts",
        Expiring::Quarantine => "quarantine",
        Expiring::Changes => "changes",
        Expiring::Failures => "failures",
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
