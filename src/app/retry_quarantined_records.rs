//! RetryQuarantinedRecords: today's decoder may read more than the one of that day.

use super::{
    App, Result, erased::without_copy, ingest_audit_batch::check_consent, prepared::Prepared,
    secret::Secret,
};
use crate::{
    audit,
    domain::{QuarantineEntry, QuarantineReason, QuarantinedRecord, Receipt, Revision, TenantId},
    store::retrying,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Records and bytes of one transaction: other writers wait no longer than for a batch.
const CHUNK: usize = 500;
const CHUNK_BYTES: u64 = 4 << 20;
/// A copy that falls apart into more broken records than this stays as it is.
const MAX_PARTS: usize = 100;

/// Which records. Empty and `None`: all.
#[derive(Clone, Debug, Default)]
pub struct Retry {
    pub digests: HashSet<Uuid>,
    pub reason: Option<QuarantineReason>,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Copies that were read again.
    pub retried: u64,
    /// There is no copy, or not a whole one.
    pub without_content: u64,
    /// Of all records that came out of the copies.
    pub receipt: Receipt,
}

impl App {
    pub async fn retry_quarantined_records(&self, id: TenantId, retry: &Retry) -> Result<Retried> {
        let tenant = self.tenant(id, Revision::default()).await?;
        check_consent(&tenant)?;
        let mut done = Retried::default();
        done.receipt.revision = tenant.revision;
        let entries = self
            .store
            .quarantined(id, retry.reason, None, u32::MAX)
            .await?;
        let asked = entries
            .into_iter()
            .filter(|entry| retry.digests.is_empty() || retry.digests.contains(&entry.digest));
        let (whole, rest): (Vec<_>, Vec<_>) = asked.partition(has_whole_copy);
        done.without_content = rest.len() as u64;
        for chunk in chunks(whole) {
            self.retry_chunk(id, chunk, &mut done).await?;
        }
        Ok(done)
    }

    async fn retry_chunk(
        &self,
        id: TenantId,
        entries: Vec<QuarantineEntry>,
        done: &mut Retried,
    ) -> Result<()> {
        let digests: Vec<Uuid> = entries.iter().map(|entry| entry.digest).collect();
        let copies = self.store.quarantined_copies(id, &digests).await?;
        let secret = Arc::clone(self.secret().await?);
        let again = self
            .decoding(move || Again::read(id, entries, &copies, &secret))
            .await?;
        let receipt = retrying(|| self.retry_once(id, &again)).await?;
        done.add(again.copies, &receipt);
        Ok(())
    }

    /// As an ingest, and in the same transaction the quarantine becomes what is left of it.
    /// Another retry may have done the same meanwhile: then all of it is repeated.
    async fn retry_once(&self, id: TenantId, again: &Again) -> Result<Receipt> {
        let mut tx = self.begin(id).await?;
        check_consent(tx.tenant())?;
        let prepared = vec![Arc::clone(&again.prepared)];
        let mut merged = self.merge(&mut *tx, prepared).await?;
        let receipt = merged.receipts.pop().unwrap_or_default();
        tx.remove_quarantined(&again.removed).await?;
        let directory = self.directories.of_tx(&mut *tx).await?;
        let parts = again.parts.iter();
        let parts = parts.map(|part| without_copy(part, directory.tombstones()));
        tx.put_quarantined(&parts.collect::<Vec<_>>()).await?;
        tx.change_quarantined(&again.changed).await?;
        self.finish(tx, merged).await?;
        Ok(receipt)
    }
}

impl Retried {
    fn add(&mut self, copies: u64, receipt: &Receipt) {
        self.retried += copies;
        let sum = &mut self.receipt;
        sum.received += receipt.received;
        sum.kept += receipt.kept;
        sum.repeated += receipt.repeated;
        sum.ignored += receipt.ignored;
        sum.quarantined += receipt.quarantined;
        sum.changed_messages += receipt.changed_messages;
        sum.revision = Revision::max(sum.revision, receipt.revision);
    }
}

/// Of a record that is too large the copy holds the beginning only.
fn has_whole_copy(entry: &QuarantineEntry) -> bool {
    entry.size.is_some() && entry.reason != QuarantineReason::TooLarge
}

fn chunks(entries: Vec<QuarantineEntry>) -> Vec<Vec<QuarantineEntry>> {
    let mut chunks: Vec<Vec<QuarantineEntry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.size.unwrap_or_default();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK && bytes + size <= CHUNK_BYTES => {
                bytes += size;
                chunk.push(entry);
            }
            _ => {
                bytes = size;
                chunks.push(vec![entry]);
            }
        }
    }
    chunks
}

/// Copies, read again.
struct Again {
    copies: u64,
    /// What can be taken in now.
    prepared: Arc<Prepared>,
    /// Leave the quarantine.
    removed: Vec<Uuid>,
    /// Take the place of one that leaves.
    parts: Vec<QuarantinedRecord>,
    /// Stay, with another reason than before.
    changed: Vec<QuarantineEntry>,
}

impl Again {
    fn read(
        tenant: TenantId,
        entries: Vec<QuarantineEntry>,
        copies: &HashMap<Uuid, Vec<u8>>,
        secret: &Secret,
    ) -> Self {
        let mut again = Self {
            copies: 0,
            prepared: Arc::default(),
            removed: Vec::new(),
            parts: Vec::new(),
            changed: Vec::new(),
        };
        let mut prepared = Prepared::default();
        for entry in entries {
            // one that is gone by now was retried elsewhere, or has expired
            let Some(bytes) = copies.get(&entry.digest) else {
                continue;
            };
            again.copies += 1;
            for record in audit::decode_record(bytes, tenant) {
                prepared.add(record, secret);
            }
            let broken = std::mem::take(&mut prepared.quarantined);
            again.settle(entry, broken);
        }
        again.prepared = Arc::new(prepared);
        again
    }

    /// What becomes of a copy, by what still is broken of it.
    fn settle(&mut self, entry: QuarantineEntry, broken: Vec<QuarantinedRecord>) {
        let foreign = |record: &QuarantinedRecord| record.bytes.is_none();
        let is_itself = |record: &&QuarantinedRecord| record.digest == entry.digest;
        let itself = broken.iter().find(is_itself);
        let too_many = broken.first().filter(|_| broken.len() > MAX_PARTS);
        match itself.or(too_many) {
            Some(now) if !broken.iter().any(foreign) => {
                if (now.reason, &now.detail) != (entry.reason, &entry.detail) {
                    self.changed.push(QuarantineEntry {
                        reason: now.reason,
                        detail: now.detail.clone(),
                        ..entry
                    });
                }
            }
            _ => {
                self.removed.push(entry.digest);
                self.parts
                    .extend(broken.into_iter().map(|part| QuarantinedRecord {
                        received_at: entry.received_at,
                        ..part
                    }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn entry(digest: u128, size: u64) -> QuarantineEntry {
        QuarantineEntry {
            digest: Uuid::from_u128(digest),
            reason: QuarantineReason::Malformed,
            detail: "cut off".into(),
            received_at: Timestamp::EARLIEST,
            size: Some(size),
        }
    }

    #[test]
    fn chunks_are_bounded_in_records_and_bytes() {
        let sizes = |sizes: &[u64]| -> Vec<usize> {
            let entries = sizes.iter().map(|&size| entry(1, size)).collect();
            chunks(entries).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 1_001]), [500, 500, 1]);
        let half = CHUNK_BYTES / 2;
        assert_eq!(sizes(&[half, half, half]), [2, 1]);
        assert_eq!(sizes(&[1, CHUNK_BYTES, 1]), [1, 1, 1]);
    }

    #[test]
    fn what_becomes_of_a_copy() {
        let broken = |digest: u128, reason, copy: Option<&[u8]>| QuarantinedRecord {
            digest: Uuid::from_u128(digest),
            reason,
            detail: "cut off".into(),
            received_at: Timestamp::LATEST,
            bytes: copy.map(bytes::Bytes::copy_from_slice),
        };
        let (malformed, invalid) = (QuarantineReason::Malformed, QuarantineReason::InvalidField);
        let foreign = QuarantineReason::ForeignTenant;
        let part = |n: u128| broken(n, malformed, Some(b"{"));
        for (broken, removed, parts, changed) in [
            (vec![], 1, 0, 0),
            (vec![part(1)], 0, 0, 0),
            (vec![broken(1, invalid, Some(b"{"))], 0, 0, 1),
            (vec![part(2), part(3)], 1, 2, 0),
            ((2..=101).map(part).collect(), 1, 100, 0),
            ((2..=102).map(part).collect(), 0, 0, 0),
            // its bytes must not stay
            (vec![broken(1, foreign, None)], 1, 1, 0),
            (vec![part(2), broken(3, foreign, None)], 1, 2, 0),
        ] {
            let mut again = Again::read(
                TenantId(Uuid::nil()),
                vec![],
                &HashMap::new(),
                &Secret::new(&[0; 32]),
            );
            let told = format!("{broken:?}");
            again.settle(entry(1, 1), broken);
            let found = (again.removed.len(), again.parts.len(), again.changed.len());
            assert_eq!(found, (removed, parts, changed), "{told}");
            assert!(
                again
                    .parts
                    .iter()
                    .all(|part| part.received_at == Timestamp::EARLIEST)
            );
        }
    }
}
