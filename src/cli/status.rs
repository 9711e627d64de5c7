//! A refused call, told to a person: what, which field, and what to do next.

use super::{client::root_cause, credentials::in_words, show};
use crate::{
    grpc::ERROR_DOMAIN,
    pb::{BatchError, ErrorReason},
};
use std::{fmt, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// An RPC that was answered with an error.
#[derive(Debug)]
pub(super) struct Refused(pub Status);

impl Refused {
    /// One batch of a stream, which is told as a call of its own would be.
    pub fn of_batch(error: BatchError) -> Self {
        let mut details = ErrorDetails::new();
        if let Some(reason) = show::name::<ErrorReason>(error.reason) {
            details.set_error_info(reason, ERROR_DOMAIN, error.metadata);
        }
        for wrong in error.field_violations {
            details.add_bad_request_violation(wrong.field, wrong.description);
        }
        if let Some(wait) = error.retry_after {
            details.set_retry_info(wait.try_into().ok());
        }
        let code = Code::from_i32(error.code);
        Self(Status::with_error_details(code, error.message, details))
    }

    /// Of the fixed list. `None`: it did not come from a sentby.
    pub fn reason(&self) -> Option<ErrorReason> {
        let info = self.0.get_details_error_info()?;
        ErrorReason::from_str_name(&format!("{}{}", show::REASON_PREFIX, info.reason))
    }

    /// The connection broke, or there is none: only then has a status a cause in this
    /// process. Nobody has answered, so what happened is unknown.
    fn connection_error(&self) -> Option<String> {
        std::error::Error::source(&self.0).map(root_cause)
    }

    /// How long to wait before the same call has a chance. `None`: it has none.
    pub fn retry_after(&self) -> Option<Duration> {
        if self.connection_error().is_some() {
            return Some(Duration::ZERO);
        }
        let told = self
            .0
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        match self.0.code() {
            Code::Unavailable => Some(told.unwrap_or_default()),
            // a write may have happened; doing it again is harmless
            Code::DeadlineExceeded => Some(Duration::ZERO),
            Code::ResourceExhausted => told,
            _ => None,
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.connection_error() {
            let cause = in_words(&cause);
            return write!(
                f,
                "no answer: {cause}\n  what to do: is the server running, and reachable from \
                 here? If so, run the same command again; repeating it is safe"
            );
        }
        let code = code_name(self.0.code());
        let info = self.0.get_details_error_info();
        let message = self.0.message();
        match &info {
            Some(info) => write!(f, "{} ({code}): {message}", info.reason)?,
            None => write!(f, "{code}: {message}")?,
        }
        let request = self.0.get_details_bad_request();
        for field in request
            .into_iter()
            .flat_map(|request| request.field_violations)
        {
            // a single one often is the message
            if !message.contains(&field.description) {
                write!(f, "\n  {}: {}", field.field, field.description)?;
            }
        }
        let advice = match self.reason() {
            Some(reason) => of_reason(reason),
            None => of_code(self.0.code()),
        };
        if !advice.is_empty() {
            write!(f, "\n  what to do: {advice}")?;
        }
        if self.reason() == Some(ErrorReason::Bug)
            && let Some(id) = info.and_then(|info| info.metadata.get("request_id").cloned())
        {
            write!(f, " (request_id {id})")?;
        }
        Ok(())
    }
}

const SHOW_WHO_CALLS: &str = "give a token in SENTBY_TOKEN or --token-file, or a certificate with \
     --client-cert-file and --client-key-file, that the server's callers file names; it may have \
     expired, or been revoked";
const ASK_FOR_A_GRANT: &str =
    "ask who runs the server to give the caller the role, or the tenant, in the callers file";

fn of_reason(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::InvalidField => "correct the value and run the command again",
        ErrorReason::TenantNotFound => {
            "check the GUID; if the tenant is new, register it: `sentby import --register …` \
             or TenantService/RegisterTenant"
        }
        ErrorReason::ConsentRevoked => {
            "nothing is taken in until the tenant consents again: then call \
             TenantService/RegisterTenant with the new `consented_at`. Lookups go on"
        }
        ErrorReason::NoEvidenceYet => {
            "import the part of the audit log that holds it; records arrive hours or days \
             after the message"
        }
        ErrorReason::NoEvidence => "nothing: the time that it was sent at is completely covered",
        ErrorReason::SendTimeUnknown => {
            "`sentby coverage` tells from when to when everything is here; a message sent in \
             that time has left no record"
        }
        ErrorReason::InLostGap => {
            "import a search or an export of the audit log of that time; Microsoft no longer \
             serves it by itself"
        }
        ErrorReason::ContentIsAnError => {
            "this is Microsoft's answer to a failed request: repair what its code says and \
             fetch again"
        }
        ErrorReason::ContentNotRecognised => "`sentby import --help` tells what it reads",
        ErrorReason::AddressTaken => {
            "the address belongs to another mailbox of the register: remove it there first \
             (TenantService/PutMailboxes)"
        }
        ErrorReason::FeedTokenInvalid
        | ErrorReason::FeedTokenMismatch
        | ErrorReason::FeedPositionExpired
        | ErrorReason::FeedGenerationChanged
        | ErrorReason::FeedPositionAhead
        | ErrorReason::ReaderTooSlow => of_watch(reason),
        ErrorReason::NotAPersonsOwn => "name the person by an address, SID or object id of his own",
        ErrorReason::TenantDeleted => {
            "to have it back, call TenantService/RegisterTenant with a `consented_at` later than the \
             deletion, before its data are removed"
        }
        ErrorReason::RevisionNotReached
        | ErrorReason::StoreUnavailable
        | ErrorReason::ServerStopping
        | ErrorReason::Overloaded
        | ErrorReason::TooManyStreams => {
            "wait a moment and run the same command again; repeating it is safe"
        }
        ErrorReason::DeadlineExceeded | ErrorReason::Cancelled => {
            "run the same command again; repeating it is safe"
        }
        ErrorReason::PageTokenInvalid | ErrorReason::PageTokenMismatch => {
            "start again without a page token"
        }
        ErrorReason::MalformedRequest | ErrorReason::NotImplemented => {
            "is the server of the same version as this command? (sentby --version)"
        }
        ErrorReason::Bug | ErrorReason::MessageTooLarge | ErrorReason::TooManyRecords => {
            "this is a bug of sentby: please report it"
        }
        ErrorReason::StoreCorrupt => "look at the server's log; the database holds what cannot be",
        ErrorReason::RequestIdReused => "give every content a request id of its own",
        ErrorReason::Unauthenticated => SHOW_WHO_CALLS,
        ErrorReason::PermissionDenied => ASK_FOR_A_GRANT,
        ErrorReason::Unspecified => "",
    }
}

fn of_watch(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::FeedTokenInvalid | ErrorReason::FeedTokenMismatch => {
            "use the token that was printed last for this tenant, or begin anew without one"
        }
        ErrorReason::ReaderTooSlow => "take what is printed faster, or write it to a file",
        _ => {
            "read all of it anew (`sentby list --state FILE`), then go on there (`sentby watch \
             --state FILE`)"
        }
    }
}

/// An error that no sentby wrote: of the connection, or of something in between.
fn of_code(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "is the server running, and reachable from here?",
        Code::DeadlineExceeded | Code::Cancelled => {
            "run the same command again; repeating it is safe"
        }
        Code::Unimplemented | Code::Unknown | Code::Internal => {
            "is it a sentby that answers there?"
        }
        _ => "",
    }
}

/// As the gRPC documents write it: `NOT_FOUND`.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn refused(code: Code, reason: &str, details: ErrorDetails) -> Refused {
        let mut details = details;
        details.set_error_info(reason, "sentby", HashMap::new());
        Refused(Status::with_error_details(code, "in words", details))
    }

    #[test]
    fn it_says_what_which_field_and_what_to_do() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("message_ids[3]", "is empty");
        let text = refused(Code::InvalidArgument, "INVALID_FIELD", details).to_string();
        assert_eq!(
            text,
            "INVALID_FIELD (INVALID_ARGUMENT): in words\n  message_ids[3]: is empty\n  \
             what to do: correct the value and run the command again"
        );
        let text = refused(Code::NotFound, "TENANT_NOT_FOUND", ErrorDetails::new()).to_string();
        assert!(text.contains("--register"), "{text}");
        let text = Refused(Status::unavailable("tcp connect error")).to_string();
        assert!(
            text.starts_with("UNAVAILABLE: tcp connect error\n"),
            "{text}"
        );
        // a newer server may have a reason that this command does not know
        let newer = refused(Code::AlreadyExists, "NEWER", ErrorDetails::new());
        assert_eq!(newer.to_string(), "NEWER (ALREADY_EXISTS): in words");
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        let plain = |code| Refused(Status::new(code, "")).retry_after();
        assert_eq!(plain(Code::Unavailable), Some(Duration::ZERO));
        assert_eq!(plain(Code::DeadlineExceeded), Some(Duration::ZERO));
        assert_eq!(plain(Code::ResourceExhausted), None);
        assert_eq!(plain(Code::InvalidArgument), None);
        let told = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let told = Status::with_error_details(Code::ResourceExhausted, "", told);
        assert_eq!(Refused(told).retry_after(), Some(Duration::from_secs(3)));
    }
}
