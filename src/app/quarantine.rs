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
/// many there was none; those are not counted that never have one: another tenant's, and what may
/// name an erased person. Only batches with such records read anything.
pub(super) async fn quarantine(
    tx: &mut dyn Tx,
    batches: &[Arc<Prepared>],
    tombstones: &Tombstones,
) -> Result<Vec<u64>> {
    let of_batch = |batch: &Arc<Prepared>| -> Vec<QuarantinedRecord> {
        let records = batch.quarantined.iter();
        records
            .map(|record| without_copy(record, tombstones))
            .collect()
    };
    let batches: Vec<_> = batches.iter().map(of_batch).collect();
    let mut digests: Vec<Uuid> = batches
        .iter()
        .flatten()
        .map(|record| record.digest)
        .collect();
    if digests.is_empty() {
        return Ok(vec![0; batches.len()]);
    }
    digests.sort_unstable();
    digests.dedup();
    let mut has_copy = tx.quarantined(&digests).await?;
    if has_copy.len() < digests.len() {
        let used = tx.quarantine_usage().await?;
        let new = admit(used, batches.iter().flatten(), &mut has_copy);
        tx.put_quarantined(&new).await?;
    }
    let without = |record: &&QuarantinedRecord| {
        record.bytes.is_some() && !has_copy.get(&record.digest).is_some_and(|has| *has)
    };
    let count = |batch: &Vec<QuarantinedRecord>| batch.iter().filter(without).count() as u64;
    Ok(batches.iter().map(count).collect())
}

/// Those of the records that are new and for which there is room.
fn admit<'a>(
    mut used: QuarantineUsage,
    records: impl Iterator<Item = &'a QuarantinedRecord>,
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
            new.push(record.clone());
        }
    }
    new
}
