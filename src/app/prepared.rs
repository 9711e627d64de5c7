//! A batch before it meets the store: decoded, and sorted by message.

use super::{Error, Result, ingest_audit_batch::Batch, now, secret::Secret, windows::SentWindow};
use crate::{
    audit::{self, Decoded, Problem},
    domain::{
        AdminChange, Directory, MessageId, MessageKey, QuarantineReason, QuarantinedRecord,
        Receipt, RecordProblem, SendEvent,
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Records of one batch.
pub const MAX_RECORDS: usize = 10_000;
/// Problems that a receipt tells of one by one.
const MAX_PROBLEMS: usize = 100;
/// Operations that a receipt counts by name.
const MAX_OPERATIONS: usize = 100;
const OTHER_OPERATIONS: &str = "(other)";

/// A batch, decoded and sorted by message.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    pub(super) events: BTreeMap<MessageKey, (Option<MessageId>, Vec<Arc<SendEvent>>)>,
    pub(super) admin_changes: BTreeSet<AdminChange>,
    /// How many they are.
    pub(super) sends: usize,
    /// How many records `admin_changes` came from.
    pub(super) admin_records: u64,
    pub(super) quarantined: Vec<QuarantinedRecord>,
    pub(super) window: Option<SentWindow>,
    /// Without what only the store can tell.
    pub(super) receipt: Receipt,
}

/// Decodes all records and sorts them out.
pub(super) fn prepare(batch: &Batch, secret: &Secret) -> super::Result<Prepared> {
    if let Some(error) = audit::microsoft_error(&batch.content) {
        return Err(Error::ContentIsAnError { code: error.code });
    }
    let content = audit::decode_content(&batch.content, batch.tenant)
        .map_err(|_| Error::ContentNotRecognised)?;
    let records = batch
        .records
        .iter()
        .flat_map(|record| audit::decode_record(record, batch.tenant));
    let window = batch.window.as_ref().map(|window| SentWindow {
        source: batch.source.clone(),
        window: window.clone(),
    });
    let mut prepared = Prepared {
        window,
        ..Prepared::default()
    };
    for record in content.chain(records) {
        if prepared.receipt.received as usize >= MAX_RECORDS {
            return Err(Error::TooManyRecords { max: MAX_RECORDS });
        }
        prepared.add(record, secret);
    }
    Ok(prepared)
}

/// Bytes of a send event in memory with its place in the tables that it goes through, about.
const EVENT: usize = 1_500;

impl Prepared {
    /// Bytes of memory, about.
    pub(super) fn size(&self) -> usize {
        let copies = self
            .quarantined
            .iter()
            .filter_map(|record| record.bytes.as_ref());
        let copied: usize = copies.map(|bytes| bytes.len()).sum();
        (self.sends + self.admin_changes.len()) * EVENT + copied
    }

    pub(super) fn all_events(&self) -> impl Iterator<Item = &SendEvent> + Clone {
        let events = self.events.values().flat_map(|(_, events)| events);
        events.map(AsRef::as_ref)
    }

    /// Says something about people or mailboxes that this directory does not know.
    pub(super) fn teaches(&self, directory: &Directory) -> bool {
        let mut lessons = Vec::new();
        self.all_events().any(|event| {
            directory.untaught(event, &mut lessons);
            !lessons.is_empty()
        })
    }

    pub(super) fn add(&mut self, record: audit::Record<'_>, secret: &Secret) {
        let receipt = &mut self.receipt;
        let index = receipt.received;
        receipt.received += 1;
        match not_of_the_future(record.decoded) {
            Ok(Decoded::Send { message, event }) => {
                let id = message.id().cloned();
                let (_, events) = self
                    .events
                    .entry(message.key())
                    .or_insert_with(|| (id, Vec::new()));
                events.push(Arc::new(event));
                self.sends += 1;
            }
            Ok(Decoded::Admin(change)) => {
                self.admin_records += 1;
                self.admin_changes.insert(change);
            }
            Ok(Decoded::Ignored { operation }) => {
                receipt.ignored += 1;
                count(&mut receipt.ignored_operations, operation);
            }
            Err(problem) => {
                receipt.quarantined += 1;
                let foreign = problem.reason == QuarantineReason::ForeignTenant;
                self.quarantined.push(QuarantinedRecord {
                    digest: secret.digest(&record.bytes),
                    reason: problem.reason,
                    detail: problem.detail.clone(),
                    received_at: now(),
                    bytes: (!foreign).then(|| record.bytes.into_owned().into()),
                });
                if receipt.problems.len() < MAX_PROBLEMS {
                    receipt.problems.push(RecordProblem {
                        index,
                        reason: problem.reason,
                        detail: problem.detail,
                    });
                }
            }
        }
    }
}

fn count(operations: &mut BTreeMap<String, u64>, name: Cow<'_, str>) {
    if let Some(count) = operations.get_mut(&*name) {
        *count += 1;
    } else if operations.len() < MAX_OPERATIONS {
        operations.insert(name.into_owned(), 1);
    } else {
        *operations.entry(OTHER_OPERATIONS.into()).or_default() += 1;
    }
}

/// A clock that is ahead of ours, anywhere on the way: two days, in microseconds.
const CLOCK_SKEW: i64 = 2 * 24 * 3_600 * 1_000_000;

/// The newest name of a person counts, so one record of the future would decide it for years.
fn not_of_the_future(decoded: Result<Decoded<'_>, Problem>) -> Result<Decoded<'_>, Problem> {
    let time = match &decoded {
        Ok(Decoded::Send { event, .. }) => event.time,
        Ok(Decoded::Admin(change)) => change.time,
        _ => return decoded,
    };
    if time.micros() <= now().micros() + CLOCK_SKEW {
        return decoded;
    }
    Err(Problem {
        reason: QuarantineReason::InvalidField,
        detail: "CreationTime is in the future".into(),
    })
}
