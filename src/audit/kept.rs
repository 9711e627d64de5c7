//! What is kept of a record's fields, or why it cannot be.

use std::borrow::Cow;

use uuid::Uuid;

use super::Problem;
use super::fields::Value;
use super::keys::TIME_GENERATED;
use super::native::{Field, Native};
use crate::domain::QuarantineReason as Reason;
use crate::domain::actor::strip_claims;
use crate::domain::{TenantId, Timestamp};

/// Longest text that is kept of a field, in bytes. Message ids have their own limit.
pub(super) const MAX_TEXT: usize = 512;
/// Longest value of a parameter, in bytes: lists of audited operations are long.
pub(super) const MAX_PARAMETER: usize = 4096;

/// What every kept record must have: its id and its time.
///
/// `TimeGenerated` is `CreationTime`, unless Azure Monitor has replaced it with its own time,
/// as it does with what is two days late. `CreationTime` has whole seconds, its own time not.
pub(super) fn identity(native: &Native<'_>) -> Result<(Uuid, Timestamp), Problem> {
    let organization = native.get(Field::OrganizationId);
    if organization.is_given() {
        organization
            .text()
            .and_then(|text| TenantId::parse(&text))
            .ok_or_else(|| invalid(Field::OrganizationId, "is no GUID"))?;
    }
    let id = native.get(Field::Id);
    if !id.is_given() {
        return Err(missing(Field::Id));
    }
    let id = id.guid().ok_or_else(|| invalid(Field::Id, "is no GUID"))?;
    let time = native.get(Field::CreationTime);
    if !time.is_given() {
        return Err(missing(Field::CreationTime));
    }
    let time = time
        .text()
        .and_then(|text| Timestamp::parse(&text))
        .ok_or_else(|| invalid(Field::CreationTime, "is no time"))?;
    if !time.is_plausible() {
        return Err(invalid(Field::CreationTime, "is not of this century"));
    }
    if native.is_time_generated() && time.micros() % 1_000_000 != 0 {
        return Err(Problem::new(
            Reason::InvalidField,
            format!("{TIME_GENERATED} is not the record's time: it has a fraction"),
        ));
    }
    Ok((id, time))
}

pub(super) fn has_failed(native: &Native<'_>) -> bool {
    native
        .get(Field::ResultStatus)
        .is_one_of(&["Failed", "False"])
}

pub(super) fn user_id(native: &Native<'_>) -> Result<String, Problem> {
    let user_id = text(native, Field::UserId)?;
    let user_id = strip_claims(&user_id).trim().to_lowercase();
    kept(Field::UserId, user_id, MAX_TEXT)
}

pub(super) fn lower_case(native: &Native<'_>, field: Field) -> Result<String, Problem> {
    kept(field, text(native, field)?.to_lowercase(), MAX_TEXT)
}

/// Trimmed; empty if it is not there.
pub(super) fn text<'n>(native: &'n Native<'_>, field: Field) -> Result<Cow<'n, str>, Problem> {
    match native.get(field) {
        Value::Other => Err(invalid(field, "is no text")),
        value => Ok(value.text().unwrap_or_default()),
    }
}

pub(super) fn optional(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// No store could hold a NUL, and no real value is this long.
pub(super) fn kept(field: Field, text: String, max: usize) -> Result<String, Problem> {
    if text.len() > max {
        Err(invalid(field, &format!("is longer than {max} bytes")))
    } else if text.contains('\0') {
        Err(invalid(field, "contains a NUL character"))
    } else {
        Ok(text)
    }
}

pub(super) fn missing(field: Field) -> Problem {
    Problem::new(Reason::MissingField, format!("{} is missing", field.name()))
}

pub(super) fn invalid(field: Field, what: &str) -> Problem {
    Problem::new(Reason::InvalidField, format!("{} {what}", field.name()))
}

pub(super) fn twice(key: &str) -> Problem {
    Problem::new(
        Reason::DuplicateField,
        format!("{key} is there twice, with different values"),
    )
}
