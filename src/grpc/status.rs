//! Errors as callers get them: a code, a text that says what to do, and a reason from the
//! list in `proto/sentby/v1/error_reason.proto`.

use super::observe;
use crate::{
    access::{Denied, Who},
    app::{
        Error, FieldError,
        watch_attributions::{FeedRefusal, RefusedPosition},
    },
    pb::{self, ErrorReason},
    store::StoreError,
};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Domain of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "sentby";

/// When a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Of who is not known, or may not. About a tenant the words are always the same: they tell
/// nothing of it.
pub(super) fn denied(denied: &Denied) -> Status {
    let may_not = |text: String| {
        Builder::new(ErrorReason::PermissionDenied).status(Code::PermissionDenied, text)
    };
    match denied {
        Denied::Unknown => Builder::new(ErrorReason::Unauthenticated).status(
            Code::Unauthenticated,
            "who calls is not known here: send a valid token (`authorization: Bearer TOKEN`), or \
             show a certificate that the server's callers file names",
        ),
        Denied::Tenant => may_not(
            "the caller has no grant on this tenant: ask who runs the server to name it among \
             the caller's tenants"
                .into(),
        ),
        Denied::Method {
            who: Some(Who::Roles(roles)),
        } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            may_not(format!(
                "this method is for callers with the role {}",
                roles.join(" or ")
            ))
        }
        Denied::Method { .. } => may_not("this method is for nobody on this server".into()),
    }
}

/// The one place where errors become codes.
pub(super) fn from_error(error: Error) -> Status {
    let text = error.to_string();
    match error {
        Error::Invalid(fields) => invalid(&fields),
        Error::TooManyRecords { max } => Builder::new(ErrorReason::TooManyRecords)
            .with("max_records", max)
            .status(Code::InvalidArgument, text),
        Error::ContentIsAnError { code } => Builder::new(ErrorReason::ContentIsAnError)
            .with("code", code)
            .status(Code::InvalidArgument, text),
        Error::ContentNotRecognised | Error::SettingsNotRecognised => {
            Builder::new(ErrorReason::ContentNotRecognised).status(Code::InvalidArgument, text)
        }
        Error::PageTokenInvalid => {
            Builder::new(ErrorReason::PageTokenInvalid).status(Code::InvalidArgument, text)
        }
        Error::PageTokenMismatch => {
            Builder::new(ErrorReason::PageTokenMismatch).status(Code::InvalidArgument, text)
        }
        Error::TenantNotFound(tenant) => Builder::new(ErrorReason::TenantNotFound)
            .with("tenant_id", tenant)
            .status(Code::NotFound, text),
        Error::NoEvidenceYet => {
            Builder::new(ErrorReason::NoEvidenceYet).status(Code::NotFound, text)
        }
        Error::NoEvidence => Builder::new(ErrorReason::NoEvidence).status(Code::NotFound, text),
        Error::SendTimeUnknown => {
            Builder::new(ErrorReason::SendTimeUnknown).status(Code::NotFound, text)
        }
        Error::InLostGap => Builder::new(ErrorReason::InLostGap).status(Code::NotFound, text),
        Error::ConsentRevoked { revoked_at } => Builder::new(ErrorReason::ConsentRevoked)
            .with("revoked_at", revoked_at)
            .status(Code::FailedPrecondition, text),
        Error::AddressTaken { address, mailbox } => Builder::new(ErrorReason::AddressTaken)
            .with("address", address)
            .with("mailbox", mailbox)
            .status(Code::FailedPrecondition, text),
        Error::RequestIdReused { batch, received_at } => Builder::new(ErrorReason::RequestIdReused)
            .with("batch_id", batch)
            .with("received_at", received_at)
            .status(Code::AlreadyExists, text),
        Error::RevisionNotReached { asked, as_of } => Builder::new(ErrorReason::RevisionNotReached)
            .with("at_least_revision", asked)
            .with("revision", as_of)
            .retry()
            .status(Code::Unavailable, text),
        Error::TooManyStreams { max } => Builder::new(ErrorReason::TooManyStreams)
            .with("max", max)
            .retry()
            .status(Code::ResourceExhausted, text),
        Error::NotAPersonsOwn => {
            Builder::new(ErrorReason::NotAPersonsOwn).status(Code::FailedPrecondition, text)
        }
        Error::TenantDeleted {
            deleted_at,
            delete_after,
        } => Builder::new(ErrorReason::TenantDeleted)
            .with("deleted_at", deleted_at)
            .with("delete_after", delete_after)
            .status(Code::FailedPrecondition, text),
        Error::PositionRefused(refused) => position_refused(&refused, text),
        Error::Store(error) => from_store(&error),
        Error::StoreUnfit => Builder::new(ErrorReason::StoreUnavailable)
            .retry()
            .status(Code::Unavailable, text),
        Error::Bug(what) => bug(&what),
    }
}

fn position_refused(refused: &RefusedPosition, text: String) -> Status {
    let (reason, code) = match refused.why {
        FeedRefusal::Invalid => (ErrorReason::FeedTokenInvalid, Code::InvalidArgument),
        FeedRefusal::Mismatch => (ErrorReason::FeedTokenMismatch, Code::InvalidArgument),
        FeedRefusal::Expired => (ErrorReason::FeedPositionExpired, Code::OutOfRange),
        FeedRefusal::OtherGeneration => {
            (ErrorReason::FeedGenerationChanged, Code::FailedPrecondition)
        }
        FeedRefusal::Ahead => (ErrorReason::FeedPositionAhead, Code::FailedPrecondition),
    };
    Builder::new(reason)
        .with("tenant_id", refused.tenant)
        .with("oldest_revision", refused.oldest)
        .with("oldest_token", &refused.oldest_token)
        .with("newest_revision", refused.newest)
        .status(code, text)
}

fn from_store(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_) | StoreError::Contended(_) => {
            tracing::warn!(error = error.cause(), "the store did not answer");
            Builder::new(ErrorReason::StoreUnavailable).retry().status(
                Code::Unavailable,
                "the store cannot be reached or did not answer in time; whether a write \
                 happened is unknown: send it again, the stored state will be the same",
            )
        }
        StoreError::Corrupt(what) => {
            tracing::error!(what, "the store holds a row that cannot be right");
            Builder::new(ErrorReason::StoreCorrupt).status(
                Code::DataLoss,
                "what the store holds cannot be right; it was not answered: see the server's log",
            )
        }
        StoreError::Url(_) | StoreError::Migrate(_) | StoreError::Refused(_) => {
            bug(&format!("{error}: {}", error.cause()))
        }
    }
}

fn bug(what: &str) -> Status {
    let request_id = observe::request_id();
    tracing::error!(%request_id, what, "BUG");
    Builder::new(ErrorReason::Bug)
        .with("request_id", &request_id)
        .status(
            Code::Internal,
            format!("a bug of sentby; report it with request id {request_id}"),
        )
}

/// Wrong fields that are told: errors travel in headers, which must stay small.
const MAX_VIOLATIONS: usize = 20;

pub(super) fn invalid(fields: &[FieldError]) -> Status {
    let fields = &fields[..fields.len().min(MAX_VIOLATIONS)];
    let mut builder = Builder::new(ErrorReason::InvalidField);
    for FieldError { field, why } in fields {
        builder.details.add_bad_request_violation(field, why);
    }
    let text = Error::Invalid(fields.to_vec()).to_string();
    builder.status(Code::InvalidArgument, text)
}

pub(super) fn deadline_exceeded() -> Status {
    Builder::new(ErrorReason::DeadlineExceeded).status(
        Code::DeadlineExceeded,
        "the caller's time ran out; a write may still be committed: send it again, the stored \
         state will be the same",
    )
}

/// Of a stream that ends with the server.
pub(super) fn stopping(what_to_do: &str) -> Status {
    Builder::new(ErrorReason::ServerStopping)
        .retry()
        .status(Code::Unavailable, format!("the server stops; {what_to_do}"))
}

/// Of a stream that nobody reads.
pub(super) fn reader_too_slow(what_to_do: &str) -> Status {
    Builder::new(ErrorReason::ReaderTooSlow).retry().status(
        Code::ResourceExhausted,
        format!("nothing of the stream was taken for a minute; {what_to_do}"),
    )
}

pub(super) fn overloaded() -> Status {
    Builder::new(ErrorReason::Overloaded).retry().status(
        Code::ResourceExhausted,
        "the server has as many batches in memory, or streams of them open, as it may, or the \
         tenant has its share of them: nothing of this one was stored, send it again a little later",
    )
}

/// More calls than the process works on, or larger ones.
pub(super) fn too_many_calls() -> Status {
    Builder::new(ErrorReason::Overloaded).retry().status(
        Code::ResourceExhausted,
        "the server works on as many calls as it may: nothing of this one was done, make it \
         again a little later",
    )
}

/// A range of a tenant that is behind.
pub(super) fn too_much_is_read() -> Status {
    Builder::new(ErrorReason::Overloaded).retry().status(
        Code::ResourceExhausted,
        "more is read of this tenant, or of all, than the store gives, and this would only wait: \
         nothing of it was done, make it again a little later",
    )
}

pub(super) fn too_many_fields() -> Status {
    invalid(&[FieldError {
        field: "request".into(),
        why: "has more entries than this method takes: send less per call".into(),
    }])
}

/// Bytes that are no protobuf message.
pub(super) fn malformed() -> Status {
    Builder::new(ErrorReason::MalformedRequest).status(
        Code::InvalidArgument,
        "the request is not a protobuf message of this method",
    )
}

/// The same words for one batch of a stream.
pub(super) fn batch_error(status: &Status) -> pb::BatchError {
    let details = status.get_error_details();
    let info = details.error_info().cloned();
    let reason = info
        .as_ref()
        .and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
    let violations = details
        .bad_request()
        .map(|request| request.field_violations.as_slice())
        .unwrap_or_default();
    pb::BatchError {
        code: status.code().into(),
        reason: reason.unwrap_or_default().into(),
        message: status.message().to_owned(),
        metadata: info.map(|info| info.metadata).unwrap_or_default(),
        field_violations: violations
            .iter()
            .map(|violation| pb::FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
            .collect(),
        retry_after: details
            .retry_info()
            .and_then(|info| info.retry_delay)
            .and_then(|delay| delay.try_into().ok()),
    }
}

/// Gives a status that tonic made (too large a message, bytes that are no message, an
/// unknown method) its reason, and the code that says what happened.
pub(super) fn from_transport(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    let (reason, code, text) = match status.code() {
        Code::OutOfRange => (
            ErrorReason::MessageTooLarge,
            Code::OutOfRange,
            "the request is larger than this method takes: send less per call",
        ),
        // tonic's word for bytes that are no protobuf message
        Code::Internal => return Some(malformed()),
        Code::Unimplemented => (
            ErrorReason::NotImplemented,
            Code::Unimplemented,
            "no such service, method or compression on this server: list them by reflection",
        ),
        Code::Cancelled => (
            ErrorReason::Cancelled,
            Code::Cancelled,
            "the caller left before the answer",
        ),
        _ => return None,
    };
    Some(Builder::new(reason).status(code, text))
}

/// A status with its details.
struct Builder {
    reason: ErrorReason,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Builder {
    fn new(reason: ErrorReason) -> Self {
        Self {
            reason,
            metadata: HashMap::new(),
            details: ErrorDetails::new(),
        }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    fn retry(mut self) -> Self {
        self.details.set_retry_info(Some(RETRY_AFTER));
        self
    }

    fn status(mut self, code: Code, text: impl Into<String>) -> Status {
        let reason = self.reason.as_str_name();
        let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
        self.details
            .set_error_info(reason, ERROR_DOMAIN, self.metadata);
        Status::with_error_details(code, text, self.details)
    }
}
