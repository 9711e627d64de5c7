//! Records that could not be taken in, and why.

use super::Timestamp;

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
    pub digest: [u8; 16],
    pub reason: QuarantineReason,
    pub detail: String,
    pub received_at: Timestamp,
    /// The original bytes. `None` for another tenant's record: those are never stored.
    pub bytes: Option<Vec<u8>>,
}
