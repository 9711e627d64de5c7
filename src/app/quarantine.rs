//! What cannot be taken in is kept, within bounds.

use super::{Result, erased::without_copy, prepared::Prepared};
use crate::{
    domain::{
        QuarantineUsage, QuarantinedRecord, Tombstones,
        quarantine::{MAX_QUARANTINED, MAX_QUARANTINED_BYTES},
    },
    store::Tx,
};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// Stores one copy of each record while the tenant has room for it. Tells of each batch for how
/// many there was none; another tenant's are not counted, which never have one. Only batches
/// with such records read anything.
pub(super) async fn quarantine(
    tx: &mut dyn Tx,
    batches: &[Arc<Prepared>],
    tombstones: &Tombstones,
) -> Result<Vec<u64>> {
    let records = || batches.iter().flat_map(|batch| &batch.quarantined);
    let mut digests: Vec<Uuid> = records().map(|record| record.digest).collect();
    if digests.is_empty() {
        return Ok(vec![0; batches.len()]);
    }
    digests.sort_unstable();
    digests.dedup();
    let mut has_copy = tx.quarantined(&digests).await?;
    if has_copy.len() < digests.len() {
        let used = tx.quarantine_usage().await?;
        let records = records().map(|record| without_copy(record, tombstones));
        let new = admit(used, records, &mut has_copy);
        tx.put_quarantined(&new).await?;
    }
    let without = |record: &&QuarantinedRecord| {
        record.bytes.is_some() && !has_copy.get(&record.digest).is_some_and(|has| *has)
    };
    let of_batch = |batch: &Arc<Prepared>| batch.quarantined.iter().filter(without).count() as u64;
    Ok(batches.iter().map(of_batch).collect())
}

/// Those of the records that are new and for which there is room.
fn admit(
    mut used: QuarantineUsage,
    records: impl Iterator<Item = QuarantinedRecord>,
    has_copy: &mut HashMap<Uuid, bool>,
) -> Vec<QuarantinedRecord> {
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
            new.push(record);
        }
    }
    new
}
