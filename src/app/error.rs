//! What can go wrong with a call, by what the caller can do about it.

use super::feed::RefusedPosition;
use crate::{
    domain::{BatchId, Revision, TenantId, Timestamp},
    store::{AsContended, StoreError},
};
use std::{any::Any, fmt::Display};
use tokio::task::JoinError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A field of the request, by its path in the proto, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub why: String,
}

/// Can be cloned: several callers may have waited for the same read, or for the same write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", fields(.0))]
    Invalid(Vec<FieldError>),
    #[error("the batch has more than {max} records: split it")]
    TooManyRecords { max: usize },
    #[error(
        "the content is Microsoft's answer to a failed request ({code}), not audit records: \
         repair that and fetch again"
    )]
    ContentIsAnError { code: String },
    #[error(
        "the content is no form of audit records that sentby reads: send a JSON array, a page of \
         them (`value`, `records`, `results`), JSON objects one after another, or CSV with a \
         column AuditData, RawEventData, event.original or _raw"
    )]
    ContentNotRecognised,
    #[error(
        "the content is no form of audit settings that sentby reads: send what the checks of \
         `sentby check-setup --help` print, as JSON (ConvertTo-Json), Format-List text or CSV"
    )]
    SettingsNotRecognised,
    #[error("the page token is damaged or of another deployment: start again without it")]
    PageTokenInvalid,
    #[error(
        "the page token belongs to a query with other arguments: repeat the call that gave \
         it, with only page_size and page_token changed"
    )]
    PageTokenMismatch,
    #[error("no tenant is registered as {0}: call RegisterTenant")]
    TenantNotFound(TenantId),
    #[error("no evidence of this message is stored, and it may still come: ask again later")]
    NoEvidenceYet,
    #[error(
        "no evidence of this message is stored, and none is to be expected: the time it was \
         sent at is completely covered"
    )]
    NoEvidence,
    #[error(
        "no evidence of this message is stored: ask with sent_at, and what collectors have \
         covered tells whether it may still come"
    )]
    SendTimeUnknown,
    #[error(
        "no evidence of this message is stored, and Microsoft no longer serves all of the time \
         it was sent at: import a search or an export of that time"
    )]
    InLostGap,
    #[error(
        "the tenant's consent was revoked at {revoked_at}: nothing is ingested until it \
         consents again (RegisterTenant with a later consented_at)"
    )]
    ConsentRevoked { revoked_at: Timestamp },
    #[error(
        "{address} belongs to the mailbox {mailbox} of the register: remove it there first, \
         or in the same call"
    )]
    AddressTaken { address: String, mailbox: String },
    #[error(
        "the request id was used for a batch with another content, received at {received_at}: \
         give every content an id of its own"
    )]
    RequestIdReused {
        batch: BatchId,
        received_at: Timestamp,
    },
    #[error("revision {asked} of the tenant is not here (yet); this is revision {as_of}")]
    RevisionNotReached { asked: Revision, as_of: Revision },
    #[error(
        "{max} streams of this kind are all there may be, and they are open already, or the tenant \
         has its share of them: try again later, with fewer at a time"
    )]
    TooManyStreams { max: usize },
    #[error("{0}")]
    PositionRefused(Box<RefusedPosition>),
    #[error(
        "the identifier is that of a mailbox that is nobody's own, which no person is: remove it \
         from the register (PutMailboxes) if that is wrong"
    )]
    NotAPersonsOwn,
    #[error(
        "the tenant was deleted at {deleted_at}: it is neither read nor written. Until \
         {delete_after} it comes back with RegisterTenant and a later consented_at; then its data \
         are removed, and once GetTenant knows it no more it can be registered anew"
    )]
    TenantDeleted {
        deleted_at: Timestamp,
        delete_after: Timestamp,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is wrong is in the log.
    #[error(
        "the store is not as it must be, so nothing is answered from it: the server's log says \
         what is wrong, and how it is repaired"
    )]
    StoreUnfit,
    /// A bug of ours; the text goes to the log, never to the caller.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.into(),
            why: why.into(),
        }])
    }

    /// What a panic said is left out: it may quote what it stumbled on. Its place is in the log.
    pub fn bug<E: Display + 'static>(what: &E) -> Self {
        let is_panic = (what as &dyn Any)
            .downcast_ref()
            .is_some_and(JoinError::is_panic);
        Self::Bug(if is_panic {
            "a task panicked".into()
        } else {
            what.to_string()
        })
    }
}

impl AsContended for Error {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_contended())
    }
}

fn fields(errors: &[FieldError]) -> String {
    let each: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.field, error.why))
        .collect();
    each.join("; ")
}
