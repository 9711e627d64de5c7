//! Records that could not be taken in, and why.

use super::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

/// Copies that a tenant may have, and as many rows of records that have none.
pub const MAX_QUARANTINED: u64 = 10_000;
/// Bytes of a tenant's copies together.
pub const MAX_QUARANTINED_BYTES: u64 = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuarantineReason {
    /// Not a JSON object, or cut off.
    Malformed,
    InvalidUtf8,
    TooDeep,
    TooLarge,
    MissingField,
    InvalidField,
    DuplicateField,
    ForeignTenant,
}

impl QuarantineReason {
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::InvalidUtf8,
        Self::TooDeep,
        Self::TooLarge,
        Self::MissingField,
        Self::InvalidField,
        Self::DuplicateField,
        Self::ForeignTenant,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// As in the store, the API (with its prefix) and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "MALFORMED",
            Self::InvalidUtf8 => "INVALID_UTF8",
            Self::TooDeep => "TOO_DEEP",
            Self::TooLarge => "TOO_LARGE",
            Self::MissingField => "MISSING_FIELD",
            Self::InvalidField => "INVALID_FIELD",
            Self::DuplicateField => "DUPLICATE_FIELD",
            Self::ForeignTenant => "FOREIGN_TENANT",
        }
    }
}

/// As it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// Keyed, of all its bytes: names the record without telling what it says.
    pub digest: Uuid,
    pub reason: QuarantineReason,
    pub detail: String,
    pub received_at: Timestamp,
    /// The original bytes. `None` for another tenant's record: those are never stored.
    pub bytes: Option<Bytes>,
}

/// What is known of a quarantined record without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    pub digest: Uuid,
    pub reason: QuarantineReason,
    pub detail: String,
    pub received_at: Timestamp,
    /// Of its copy. `None`: there is none.
    pub size: Option<u64>,
}

/// How much a tenant has in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineUsage {
    pub copies: u64,
    pub bytes: u64,
    /// Records of which there is no copy.
    pub without_copy: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        for reason in QuarantineReason::ALL {
            assert_eq!(QuarantineReason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(QuarantineReason::from_name(""), None);
        assert_eq!(QuarantineReason::from_name("malformed"), None);
    }
}
