//! One record's bytes → what it says, or why it cannot be taken in.
//!
//! The order of judgement is fixed, so that one record always has one reason: size,
//! encoding, depth, JSON, tenant, operation, and only for operations of interest the rest.

use serde_json::error::Category;

use super::admin::decode_admin_change;
use super::fields::Value;
use super::kept::{invalid, missing, twice};
use super::native::{Field, Native};
use super::send::decode_send;
use super::{Decoded, MAX_DEPTH, MAX_RECORD, Problem};
use crate::domain::QuarantineReason as Reason;
use crate::domain::{Operation, TenantId, admin_change};

/// Longest name under which an ignored operation is counted, in characters.
const MAX_OPERATION: usize = 100;

/// `parsed`: the record's fields, where cutting has read them already.
pub(super) fn decode(
    bytes: &[u8],
    parsed: Option<Native<'_>>,
    tenant: TenantId,
) -> Result<Decoded, Problem> {
    judge(bytes, parsed, tenant).map_err(|problem| match problem.reason {
        Reason::ForeignTenant => problem,
        _ if names_another_tenant(bytes, tenant) => Problem::new(
            Reason::ForeignTenant,
            "cannot be taken in, and names another tenant as its OrganizationId",
        ),
        _ => problem,
    })
}

/// Bytes of another tenant are never stored, so what cannot be taken in is searched for its
/// name, however deep it stands in whatever envelope.
fn names_another_tenant(bytes: &[u8], tenant: TenantId) -> bool {
    const KEY: &[u8] = b"OrganizationId";
    bytes.windows(KEY.len()).enumerate().any(|(at, window)| {
        if !window.eq_ignore_ascii_case(KEY) {
            return false;
        }
        let rest = &bytes[at + KEY.len()..];
        let value = rest
            .iter()
            .position(|byte| !matches!(byte, b'"' | b'\\' | b':' | b' ' | b'\t' | b'{'))
            .map(|start| {
                let length = rest[start..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'-')
                    .count();
                &rest[start..start + length]
            });
        value
            .and_then(|guid| TenantId::parse(std::str::from_utf8(guid).ok()?))
            .is_some_and(|named| named != tenant)
    })
}

fn judge(bytes: &[u8], parsed: Option<Native<'_>>, tenant: TenantId) -> Result<Decoded, Problem> {
    if bytes.len() > MAX_RECORD {
        return Err(Problem::new(
            Reason::TooLarge,
            format!("more than {MAX_RECORD} bytes"),
        ));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return Err(Problem::new(
            Reason::InvalidUtf8,
            format!("no UTF-8 at byte {at}"),
        ));
    }
    check_depth(bytes)?;
    let native = match parsed {
        Some(native) => native,
        None => parse(bytes)?,
    };
    match native.contents.as_slice() {
        [] => decode_native(&native, tenant),
        [content] => {
            check_tenant(&native, tenant)?;
            decode_content_of_envelope(content.get(), tenant)
        }
        contents => {
            check_tenant(&native, tenant)?;
            // nothing is chosen; but another tenant's record is that first of all
            let foreign = contents
                .iter()
                .filter_map(|content| decode_content_of_envelope(content.get(), tenant).err())
                .find(|problem| problem.reason == Reason::ForeignTenant);
            Err(foreign.unwrap_or_else(|| {
                Problem::new(
                    Reason::DuplicateField,
                    "AuditData is there twice, with different values",
                )
            }))
        }
    }
}

/// `json`: an object, or text with the JSON of one.
fn decode_content_of_envelope(json: &str, tenant: TenantId) -> Result<Decoded, Problem> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).map_err(|error| not_a_record(&error))?;
        check_depth(text.as_bytes())?;
        decode_native(&parse(text.as_bytes())?, tenant)
    } else {
        decode_native(&parse(json.as_bytes())?, tenant)
    }
}

fn parse(bytes: &[u8]) -> Result<Native<'_>, Problem> {
    serde_json::from_slice(bytes).map_err(|error| not_a_record(&error))
}

/// The message of a syntax error names no values; that of a wrong type would.
fn not_a_record(error: &serde_json::Error) -> Problem {
    let detail = match error.classify() {
        Category::Eof => "cut off".to_owned(),
        Category::Syntax => format!("no valid JSON: {error}"),
        Category::Data | Category::Io => "no JSON object".to_owned(),
    };
    Problem::new(Reason::Malformed, detail)
}

/// Without recursion. Counts the brackets outside of strings, also of what is no valid JSON.
fn check_depth(bytes: &[u8]) -> Result<(), Problem> {
    // fewer opening brackets than levels, as in every real record: nothing to look at
    if memchr::memchr2_iter(b'{', b'[', bytes)
        .nth(MAX_DEPTH)
        .is_none()
    {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Problem::new(
                Reason::TooDeep,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
    }
    Ok(())
}

/// Any `OrganizationId` of another tenant makes the record that tenant's.
fn check_tenant(native: &Native<'_>, tenant: TenantId) -> Result<(), Problem> {
    let is_foreign = |value: &Value<'_>| {
        value
            .text()
            .and_then(|text| TenantId::parse(&text))
            .is_some_and(|organization| organization != tenant)
    };
    let first = native.get(Field::OrganizationId);
    if is_foreign(first) || native.more_organizations.iter().any(is_foreign) {
        return Err(Problem::new(
            Reason::ForeignTenant,
            "OrganizationId is another tenant's",
        ));
    }
    Ok(())
}

fn decode_native(native: &Native<'_>, tenant: TenantId) -> Result<Decoded, Problem> {
    check_tenant(native, tenant)?;
    let value = native.get(Field::Operation);
    if native.contradicts_itself(Field::Operation) {
        return Err(twice(Field::Operation));
    }
    if *value == Value::Other {
        return Err(invalid(Field::Operation, "is no text"));
    }
    let Some(name) = value.text().filter(|name| !name.is_empty()) else {
        return Err(missing(Field::Operation));
    };
    if let Some(operation) = Operation::parse(&name) {
        if let Some(field) = native.contradiction() {
            return Err(twice(field));
        }
        if is_exchange_item(native) {
            return decode_send(native, operation);
        }
    } else if let Some(operation) = admin_change::operation(&name) {
        if let Some(field) = native.contradiction() {
            return Err(twice(field));
        }
        if let Some(change) = decode_admin_change(native, operation)? {
            return Ok(Decoded::Admin(change));
        }
    }
    let operation: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_OPERATION)
        .collect();
    if operation.is_empty() {
        return Err(invalid(Field::Operation, "is no text"));
    }
    Ok(Decoded::Ignored { operation })
}

/// Other workloads have operations of the same names.
fn is_exchange_item(native: &Native<'_>) -> bool {
    let record_type = native.get(Field::RecordType);
    !record_type.is_given()
        || record_type.integer() == Some(2)
        || record_type.is_one_of(&["ExchangeItem"])
        || native.get(Field::Workload).is_one_of(&["Exchange"])
}
