//! Messages ⇄ domain. What is wrong with a request is told with the path of the field.

use super::status;
use crate::{
    access::{Caller, Denied, Standing},
    app::{Error, FieldError, chunk_size, page_size, summary_page_size},
    domain::{
        Absence, ActorKind, Answer, Attribution, Basis, MessageId, MessageKey, Operation, Revision,
        Side, TenantId, TimeRange, Timestamp, Verdict, directory::parse_address,
    },
    pb,
};
use tonic::{Request, Status};
use uuid::Uuid;

/// Reads the fields of a request for its caller. Collects what is wrong with them, so that the
/// caller learns of all of it at once.
///
/// Nothing else in this room makes a [`TenantId`] of text: one that the caller has no grant on
/// does not come out of here.
#[derive(Debug)]
pub(super) struct Fields {
    caller: Caller,
    wrong: Vec<FieldError>,
    tenants: Vec<TenantId>,
    /// It names a tenant that it has no grant on.
    is_denied: bool,
}

impl Fields {
    /// Of a request that came in.
    pub(super) fn open<T>(request: Request<T>) -> (Self, T) {
        (Self::of(caller(&request)), request.into_inner())
    }

    pub(super) fn of(caller: Caller) -> Self {
        Self {
            caller,
            wrong: Vec::new(),
            tenants: Vec::new(),
            is_denied: false,
        }
    }

    pub(super) fn wrong(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.wrong.push(FieldError {
            field: field.into(),
            why: why.into(),
        });
    }

    /// Call it after all fields were read and before any value is used. A tenant that is not the
    /// caller's goes first: nothing else is told of such a request.
    pub(super) fn check(&self) -> Result<(), Status> {
        if self.is_denied {
            Err(status::denied(&Denied::Tenant))
        } else if self.wrong.is_empty() {
            Ok(())
        } else {
            Err(status::invalid(&self.wrong))
        }
    }

    /// Those that the caller may see; `None`: all.
    pub(super) fn granted(&self) -> Option<Vec<TenantId>> {
        let tenants = self.caller.tenants()?;
        Some(tenants.iter().copied().collect())
    }

    /// What a stream that answers this request rests on.
    pub(super) fn into_standing(self) -> Standing {
        Standing::new(self.caller, self.tenants)
    }

    pub(super) fn required<T>(&mut self, field: &str, value: Option<T>, why: &str) -> Option<T> {
        if value.is_none() {
            self.wrong(field, why);
        }
        value
    }

    pub(super) fn tenant_id(&mut self, text: &str) -> TenantId {
        self.tenant_id_at("tenant_id", text)
    }

    /// One of several.
    pub(super) fn tenant_id_at(&mut self, field: &str, text: &str) -> TenantId {
        let nobody = TenantId(Uuid::nil());
        // a malformed one is nobody's, like one that is not known
        let id = TenantId::parse(text).unwrap_or(nobody);
        if !self.caller.may_act_on(id) {
            self.is_denied = true;
            return nobody;
        }
        if id == nobody {
            let why = "must be the Entra tenant GUID, e.g. 11111111-2222-3333-4444-555555555555";
            self.wrong(field, why);
        } else {
            self.tenants.push(id);
        }
        id
    }

    pub(super) fn message_id(&mut self, field: &str, text: &str) -> Option<MessageId> {
        MessageId::parse(text)
            .map_err(|why| self.wrong(field, why.to_string()))
            .ok()
    }

    pub(super) fn message_key(&mut self, field: &str, text: &str) -> Option<MessageKey> {
        let key = Uuid::try_parse(text.trim()).ok().map(MessageKey);
        self.required(field, key, "must be a UUID as answered in message_key")
    }

    /// An address; `None` for an empty text.
    pub(super) fn address_filter(&mut self, field: &str, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        self.address(field, text)
    }

    pub(super) fn address(&mut self, field: &str, text: &str) -> Option<String> {
        let address = parse_address(text);
        self.required(
            field,
            address,
            "must be an address, e.g. support@contoso.com",
        )
    }

    /// A GUID; `None` for an empty text.
    pub(super) fn optional_guid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        if text.trim().is_empty() {
            return None;
        }
        let guid = Uuid::try_parse(text.trim()).ok();
        self.required(field, guid, "must be a GUID, or empty")
    }

    pub(super) fn time(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let time = self.required(field, time, "is required")?;
        let seconds = time.seconds.checked_mul(1_000_000);
        let time = seconds
            .and_then(|micros| micros.checked_add(i64::from(time.nanos / 1_000)))
            .map(Timestamp::from_micros)
            .filter(|time| time.is_plausible());
        self.required(field, time, "must be a time between 2000 and 2100")
    }

    pub(super) fn optional_time(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        time.and_then(|time| self.time(field, Some(time)))
    }

    pub(super) fn range(
        &mut self,
        start: Option<prost_types::Timestamp>,
        end: Option<prost_types::Timestamp>,
    ) -> TimeRange {
        let (start, end) = (self.time("start", start), self.time("end", end));
        let empty = Timestamp::EARLIEST;
        let (start, end) = (start.unwrap_or(empty), end.unwrap_or(empty));
        if start > end {
            self.wrong("end", "must not be before start");
        }
        TimeRange { start, end }
    }

    /// The same where either end may be left out.
    pub(super) fn open_range(
        &mut self,
        start: Option<prost_types::Timestamp>,
        end: Option<prost_types::Timestamp>,
    ) -> TimeRange {
        let end = end
            .unwrap_or_else(|| timestamp(Timestamp::from_micros(Timestamp::LATEST.micros() - 1)));
        self.range(
            Some(start.unwrap_or_else(|| timestamp(Timestamp::EARLIEST))),
            Some(end),
        )
    }

    /// A name that callers make up, without control characters; `None` for an empty text.
    pub(super) fn label(&mut self, field: &str, text: &str, longest: usize) -> Option<String> {
        if text.chars().count() > longest {
            self.wrong(field, format!("must be at most {longest} characters"));
        }
        if text.chars().any(char::is_control) {
            self.wrong(field, "must not contain control characters");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A verdict that can be in a range; `None` for UNSPECIFIED.
    pub(super) fn verdict_filter(&mut self, number: i32) -> Option<Verdict> {
        match pb::Verdict::try_from(number) {
            Ok(pb::Verdict::Unspecified) => None,
            Ok(pb::Verdict::Attributed) => Some(Verdict::Attributed),
            Ok(pb::Verdict::Conflict) => Some(Verdict::Conflict),
            Ok(pb::Verdict::NotAPerson) => Some(Verdict::NotAPerson),
            Ok(pb::Verdict::Unresolved) => Some(Verdict::Unresolved),
            Ok(pb::Verdict::Erased) => Some(Verdict::Erased),
            Ok(pb::Verdict::Pending | pb::Verdict::NoEvidence) | Err(_) => {
                self.wrong("verdict", "must be one that a stored message has");
                None
            }
        }
    }

    pub(super) fn page_size(&mut self, asked: i32) -> u32 {
        self.size("page_size", page_size(asked))
    }

    pub(super) fn chunk_size(&mut self, asked: i32) -> u32 {
        self.size("chunk_size", chunk_size(asked))
    }

    pub(super) fn summary_page_size(&mut self, asked: i32) -> u32 {
        self.size("page_size", summary_page_size(asked))
    }

    fn size(&mut self, field: &str, checked: Result<u32, Error>) -> u32 {
        match checked {
            Ok(size) => return size,
            Err(Error::Invalid(mut fields)) => self.wrong.append(&mut fields),
            Err(error) => self.wrong(field, error.to_string()),
        }
        0
    }

    /// Free text for people: trimmed, bounded, and nothing that a database refuses.
    pub(super) fn display_name(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        if text.chars().count() > 200 {
            self.wrong(field, "must be at most 200 characters");
        }
        if text.contains('\0') {
            self.wrong(field, "must not contain a NUL character");
        }
        text.to_owned()
    }
}

/// Who makes a call. Without the layer that knows it: nobody.
pub(super) fn caller<T>(request: &Request<T>) -> Caller {
    let caller = request.extensions().get::<Caller>();
    caller.cloned().unwrap_or_else(Caller::nobody)
}

pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0) * 1_000,
    }
}

pub(super) fn revision(number: u64) -> Revision {
    Revision(number)
}

/// An answer as the caller gets it. Failed attempts alone are no evidence.
pub(super) fn attribution(answer: Answer) -> pb::Attribution {
    let message_id = answer.id.map(MessageId::into_string).unwrap_or_default();
    let Attribution {
        verdict,
        basis,
        agent,
        agent_object_id,
        mailbox,
        confirmed,
        contradicted,
        sent_at,
        candidates,
        listed: _,
    } = answer.attribution;
    if verdict == Verdict::Pending {
        return pending(message_id, Some(answer.key), pb::MissReason::OnlyFailed);
    }
    pb::Attribution {
        message_id,
        message_key: guid(answer.key.0),
        verdict: pb_verdict(verdict).into(),
        agent: agent.unwrap_or_default(),
        agent_object_id: agent_object_id.map(guid).unwrap_or_default(),
        mailbox: mailbox.unwrap_or_default(),
        basis: basis.map_or(pb::Basis::Unspecified, pb_basis).into(),
        confirmed,
        contradicted,
        sent_at: Some(timestamp(sent_at.whole_seconds())), // an older program kept fractions
        candidates,
        revision: answer.revision.0,
        miss_reason: pb::MissReason::Unspecified.into(),
    }
}

/// In its usual form, at a third of the cost of formatting it.
pub(super) fn guid(id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    id.hyphenated().encode_lower(&mut buffer).to_owned()
}

/// The answer where nothing is stored.
pub(super) fn pending(
    message_id: String,
    key: Option<MessageKey>,
    reason: pb::MissReason,
) -> pb::Attribution {
    let verdict = match reason {
        pb::MissReason::InvalidMessageId | pb::MissReason::CompletelyCovered => {
            pb::Verdict::NoEvidence
        }
        _ => pb::Verdict::Pending,
    };
    pb::Attribution {
        message_id,
        message_key: key.map(|key| guid(key.0)).unwrap_or_default(),
        verdict: verdict.into(),
        miss_reason: reason.into(),
        ..pb::Attribution::default()
    }
}

pub(super) fn miss_reason(absence: Absence) -> pb::MissReason {
    match absence {
        Absence::Open => pb::MissReason::NoEvidenceYet,
        Absence::SendTimeUnknown => pb::MissReason::SendTimeUnknown,
        Absence::Lost => pb::MissReason::InLostGap,
        Absence::Complete => pb::MissReason::CompletelyCovered,
    }
}

fn pb_verdict(verdict: Verdict) -> pb::Verdict {
    match verdict {
        Verdict::Attributed => pb::Verdict::Attributed,
        Verdict::Conflict => pb::Verdict::Conflict,
        Verdict::NotAPerson => pb::Verdict::NotAPerson,
        Verdict::Unresolved => pb::Verdict::Unresolved,
        Verdict::Erased => pb::Verdict::Erased,
        Verdict::Pending => pb::Verdict::Pending,
    }
}

fn pb_basis(basis: Basis) -> pb::Basis {
    match basis {
        Basis::MailboxSendAs => pb::Basis::MailboxSendAs,
        Basis::AgentSendAs => pb::Basis::AgentSendAs,
        Basis::MailboxSendOnBehalf => pb::Basis::MailboxSendOnBehalf,
        Basis::AgentSendOnBehalf => pb::Basis::AgentSendOnBehalf,
        Basis::Send => pb::Basis::Send,
    }
}

pub(super) fn pb_operation(operation: Operation) -> pb::Operation {
    match operation {
        Operation::SendAs => pb::Operation::SendAs,
        Operation::SendOnBehalf => pb::Operation::SendOnBehalf,
        Operation::Send => pb::Operation::Send,
    }
}

pub(super) fn pb_side(side: Side) -> pb::Side {
    match side {
        Side::Mailbox => pb::Side::Mailbox,
        Side::Agent => pb::Side::Agent,
    }
}

pub(super) fn pb_actor_kind(kind: ActorKind) -> pb::ActorKind {
    match kind {
        ActorKind::Person => pb::ActorKind::Person,
        ActorKind::System => pb::ActorKind::System,
        ActorKind::Application => pb::ActorKind::Application,
        ActorKind::SharedMailbox => pb::ActorKind::SharedMailbox,
        ActorKind::Unresolved => pb::ActorKind::Unresolved,
        ActorKind::Erased => pb::ActorKind::Erased,
    }
}
