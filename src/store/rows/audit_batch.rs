//! Rows of `audit_batch`.

use super::{Micros, Result, StoreError, check_tenant, corrupt, signed, unsigned};
use crate::domain::{
    AuditBatch, BatchId, QuarantineReason, Receipt, RecordProblem, Revision, TenantId,
    audit_batch::Request,
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use std::collections::BTreeMap;
use uuid::Uuid;

const TABLE: &str = "audit_batch";

#[derive(Debug, FromRow)]
pub(in crate::store) struct AuditBatchRow {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) batch_id: Uuid,
    pub(in crate::store) request_id: Option<String>,
    pub(in crate::store) content_digest: Option<Uuid>,
    pub(in crate::store) source: String,
    pub(in crate::store) received_at: Micros,
    pub(in crate::store) received: i64,
    pub(in crate::store) kept: i64,
    pub(in crate::store) repeated: i64,
    pub(in crate::store) ignored: i64,
    pub(in crate::store) quarantined: i64,
    pub(in crate::store) quarantined_without_copy: i64,
    pub(in crate::store) changed_messages: i64,
    pub(in crate::store) revision: i64,
    pub(in crate::store) details: String,
}

/// The column `details`.
#[derive(Debug, Deserialize, Serialize)]
struct Details {
    ignored_operations: BTreeMap<String, u64>,
    problems: Vec<Problem>,
    /// For people: a reader can tell it from the counts.
    problems_omitted: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct Problem {
    index: u64,
    reason: String,
    detail: String,
}

impl AuditBatchRow {
    pub(in crate::store) fn of(tenant: TenantId, batch: &AuditBatch) -> Result<Self> {
        let receipt = &batch.receipt;
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let details = Details {
            ignored_operations: receipt.ignored_operations.clone(),
            problems: receipt.problems.iter().map(Problem::of).collect(),
            problems_omitted: receipt.problems_omitted(),
        };
        Ok(Self {
            tenant_id: tenant.0,
            batch_id: batch.id.0,
            request_id: batch.request.as_ref().map(|request| request.id.clone()),
            content_digest: batch.request.as_ref().map(|request| request.content_digest),
            source: batch.source.clone(),
            received_at: batch.received_at.into(),
            received: count(receipt.received),
            kept: count(receipt.kept),
            repeated: count(receipt.repeated),
            ignored: count(receipt.ignored),
            quarantined: count(receipt.quarantined),
            quarantined_without_copy: count(receipt.quarantined_without_copy),
            changed_messages: count(receipt.changed_messages),
            revision: signed(receipt.revision),
            details: serde_json::to_string(&details).map_err(|_| corrupt(TABLE, "details"))?,
        })
    }

    pub(in crate::store) fn into_batch(self, asked: TenantId) -> Result<AuditBatch> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        let count = |number: i64, column| u64::try_from(number).map_err(|_| corrupt(TABLE, column));
        let details: Details =
            serde_json::from_str(&self.details).map_err(|_| corrupt(TABLE, "details"))?;
        let problems: Result<Vec<RecordProblem>> =
            details.problems.into_iter().map(Problem::told).collect();
        let request = self.request_id.zip(self.content_digest);
        Ok(AuditBatch {
            id: BatchId(self.batch_id),
            request: request.map(|(id, content_digest)| Request { id, content_digest }),
            source: self.source,
            received_at: self.received_at.into(),
            receipt: Receipt {
                received: count(self.received, "received")?,
                kept: count(self.kept, "kept")?,
                repeated: count(self.repeated, "repeated")?,
                ignored: count(self.ignored, "ignored")?,
                quarantined: count(self.quarantined, "quarantined")?,
                quarantined_without_copy: count(
                    self.quarantined_without_copy,
                    "quarantined_without_copy",
                )?,
                ignored_operations: details.ignored_operations,
                problems: problems?,
                revision: Revision(unsigned(self.revision, TABLE)?),
                changed_messages: count(self.changed_messages, "changed_messages")?,
            },
        })
    }
}

impl Problem {
    fn of(problem: &RecordProblem) -> Self {
        Self {
            index: problem.index,
            reason: problem.reason.name().into(),
            detail: problem.detail.clone(),
        }
    }

    fn told(self) -> Result<RecordProblem, StoreError> {
        Ok(RecordProblem {
            index: self.index,
            reason: QuarantineReason::from_name(&self.reason)
                .ok_or_else(|| corrupt(TABLE, "details"))?,
            detail: self.detail,
        })
    }
}
