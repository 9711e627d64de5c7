//! A batch of audit records that was taken in, and what became of it.

use super::{QuarantineReason, Revision, Timestamp};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// What became of a batch. `received = kept + repeated + ignored + quarantined`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub received: u64,
    pub kept: u64,
    pub repeated: u64,
    pub ignored: u64,
    pub quarantined: u64,
    /// Of the quarantined: another tenant's, and those that found the quarantine full.
    pub quarantined_without_copy: u64,
    pub ignored_operations: BTreeMap<String, u64>,
    pub problems: Vec<RecordProblem>,
    pub revision: Revision,
    /// Messages whose attribution is new or another one.
    pub changed_messages: u64,
}

impl Receipt {
    /// How many were quarantined beyond those that `problems` tells of.
    pub fn problems_omitted(&self) -> u64 {
        self.quarantined - self.problems.len() as u64
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProblem {
    /// Position in the batch, from 0.
    pub index: u64,
    pub reason: QuarantineReason,
    pub detail: String,
}

/// A committed batch with its receipt, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBatch {
    pub id: BatchId,
    pub request: Option<Request>,
    /// Who sent it. May be empty.
    pub source: String,
    pub received_at: Timestamp,
    pub receipt: Receipt,
}

/// The caller's name for a batch. It belongs to one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: String,
    /// Keyed, of all that the batch holds.
    pub content_digest: Uuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub Uuid);

impl BatchId {
    /// The same for the same request id, so that it is there once.
    pub fn of_request(request_id: &str) -> Self {
        let hash = blake3::hash(request_id.as_bytes());
        let (first, _) = hash.as_bytes().split_at(16);
        Self(Uuid::from_slice(first).expect("16 bytes are a UUID"))
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_batch() {
        let id = BatchId::of_request("7");
        assert_eq!(id, BatchId::of_request("7"));
        assert_ne!(id, BatchId::of_request("8"));
        // stored ids depend on it: this value must never change
        assert_eq!(id.to_string(), "22f36339-ae30-58ee-af19-a52949cfb9eb");
        assert_eq!(Uuid::try_parse(&id.to_string()), Ok(id.0));
    }

    #[test]
    fn problems_that_are_not_told_are_counted() {
        let problem = RecordProblem {
            index: 0,
            reason: QuarantineReason::Malformed,
            detail: String::new(),
        };
        let receipt = Receipt {
            quarantined: 5,
            problems: vec![problem; 2],
            ..Receipt::default()
        };
        assert_eq!(receipt.problems_omitted(), 3);
    }
}
