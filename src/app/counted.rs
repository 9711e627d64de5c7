//! What is counted of ingest, once it is committed.

use super::{now, prepared::Prepared};
use crate::{
    domain::{QuarantineReason, Receipt},
    telemetry::meters::{Ingest, meters},
};

/// Of a batch that was just stored.
pub(super) fn stored(prepared: &Prepared, receipt: &Receipt) {
    let ingest = &meters().ingest;
    ingest.stored.increment(1);
    ingest.kept.increment(receipt.kept);
    ingest.repeated.increment(receipt.repeated);
    ingest.ignored.increment(receipt.ignored);
    ingest.quarantined.increment(receipt.quarantined);
    ingest
        .without_copy
        .increment(receipt.quarantined_without_copy);
    ingest.changed_messages.increment(receipt.changed_messages);
    if let Some(newest) = prepared.all_events().map(|event| event.time).max() {
        let lag = now().micros() - newest.micros();
        // a clock may be ahead of ours
        ingest.lag.record(lag.max(0) as f64 / 1e6);
    }
    if receipt.quarantined > 0 {
        for reason in QuarantineReason::ALL {
            let those = prepared.quarantined.iter();
            let those = those.filter(|record| record.reason == reason).count();
            if those > 0 {
                Ingest::quarantined_as(reason.name(), those as u64);
            }
        }
    }
}
