//! Messages of the quarantine ⇄ domain.

use super::convert::{Fields, timestamp};
use crate::{
    app::{expire::quarantined_expires, retry_quarantined_records::Retried},
    domain::{QuarantineEntry, QuarantineReason},
    pb,
};
use std::collections::HashSet;
use uuid::Uuid;

/// Digests of one RetryQuarantinedRecords.
const MAX_DIGESTS: usize = 1_000;

const REASONS: [(QuarantineReason, pb::QuarantineReason); 8] = [
    (QuarantineReason::Malformed, pb::QuarantineReason::Malformed),
    (
        QuarantineReason::InvalidUtf8,
        pb::QuarantineReason::InvalidUtf8,
    ),
    (QuarantineReason::TooDeep, pb::QuarantineReason::TooDeep),
    (QuarantineReason::TooLarge, pb::QuarantineReason::TooLarge),
    (
        QuarantineReason::MissingField,
        pb::QuarantineReason::MissingField,
    ),
    (
        QuarantineReason::InvalidField,
        pb::QuarantineReason::InvalidField,
    ),
    (
        QuarantineReason::DuplicateField,
        pb::QuarantineReason::DuplicateField,
    ),
    (
        QuarantineReason::ForeignTenant,
        pb::QuarantineReason::ForeignTenant,
    ),
];

pub(super) fn reason(reason: QuarantineReason) -> pb::QuarantineReason {
    let found = REASONS.iter().find(|(known, _)| *known == reason);
    found.map_or(pb::QuarantineReason::Unspecified, |(_, pb)| *pb)
}

/// `None` for UNSPECIFIED.
pub(super) fn reason_filter(fields: &mut Fields, number: i32) -> Option<QuarantineReason> {
    if number == 0 {
        return None;
    }
    let found = REASONS.iter().find(|(_, pb)| i32::from(*pb) == number);
    if found.is_none() {
        fields.wrong("reason", "must be one of the reasons");
    }
    found.map(|(reason, _)| *reason)
}

pub(super) fn digests(fields: &mut Fields, texts: &[String]) -> HashSet<Uuid> {
    if texts.len() > MAX_DIGESTS {
        fields.wrong("digests", format!("must be at most {MAX_DIGESTS}"));
        return HashSet::new();
    }
    let mut digests = HashSet::new();
    for (at, text) in texts.iter().enumerate() {
        match Uuid::try_parse(text.trim()) {
            Ok(digest) => {
                digests.insert(digest);
            }
            Err(_) => fields.wrong(format!("digests[{at}]"), "must be 32 hexadecimal digits"),
        }
    }
    digests
}

pub(super) fn record(
    (entry, content): (QuarantineEntry, Option<Vec<u8>>),
) -> pb::QuarantinedRecord {
    pb::QuarantinedRecord {
        digest: entry.digest.simple().to_string(),
        reason: reason(entry.reason).into(),
        detail: entry.detail,
        received_at: Some(timestamp(entry.received_at)),
        expires_at: Some(timestamp(quarantined_expires(entry.received_at))),
        size: entry.size,
        content: content.unwrap_or_default(),
    }
}

pub(super) fn retried(retried: Retried) -> pb::RetryQuarantinedRecordsResponse {
    let receipt = retried.receipt;
    pb::RetryQuarantinedRecordsResponse {
        retried: retried.retried,
        kept: receipt.kept,
        repeated: receipt.repeated,
        ignored: receipt.ignored,
        still_quarantined: receipt.quarantined,
        without_content: retried.without_content,
        revision: receipt.revision.0,
        changed_messages: receipt.changed_messages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;

    #[test]
    fn every_reason_has_its_name() {
        for known in QuarantineReason::ALL {
            let pb = reason(known);
            assert_eq!(
                pb.as_str_name(),
                format!("QUARANTINE_REASON_{}", known.name())
            );
            assert_eq!(
                reason_filter(&mut Fields::of(Caller::nobody()), pb.into()),
                Some(known)
            );
        }
    }
}
