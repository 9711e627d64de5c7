//! What cannot be taken in is kept, within bounds.

use super::Result;
use crate::{
    domain::{
        QuarantinedRecord,
        quarantine::{MAX_QUARANTINED, MAX_QUARANTINED_BYTES},
    },
    store::Tx,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Stores one copy of each record while the tenant has room for it. Tells for how many there
/// was none; another tenant's are not counted, which never have one. Only a batch with such records reads anything.
pub(super) async fn quarantine(tx: &mut dyn Tx, records: &[QuarantinedRecord]) -> Result<u64> {
    if records.is_empty() {
        return Ok(0);
    }
    let mut digests: Vec<Uuid> = records.iter().map(|record| record.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    let mut has_copy = tx.quarantined(&digests).await?;
    if has_copy.len() < digests.len() {
        let new = admit(tx, records, &mut has_copy).await?;
        tx.put_quarantined(&new).await?;
    }
    let without = |record: &&QuarantinedRecord| {
        record.bytes.is_some() && !has_copy.get(&record.digest).is_some_and(|has| *has)
    };
    Ok(records.iter().filter(without).count() as u64)
}

/// Those of the records that are new and for which there is room.
async fn admit(
    tx: &mut dyn Tx,
    records: &[QuarantinedRecord],
    has_copy: &mut HashMap<Uuid, bool>,
) -> Result<Vec<QuarantinedRecord>> {
    let mut used = tx.quarantine_usage().await?;
    let mut new = Vec::new();
    for record in records {
        if has_copy.contains_key(&record.digest) {
            continue;
        }
        let fits = match &record.bytes {
            None => used.without_copy < MAX_QUARANTINED,
            Some(bytes) => {
                used.copies < MAX_QUARANTINED
                    && used.bytes + bytes.len() as u64 <= MAX_QUARANTINED_BYTES
            }
        };
        if fits {
            match &record.bytes {
                None => used.without_copy += 1,
                Some(bytes) => {
                    used.copies += 1;
                    used.bytes += bytes.len() as u64;
                }
            }
            has_copy.insert(record.digest, record.bytes.is_some());
            new.push(record.clone());
        }
    }
    Ok(new)
}
