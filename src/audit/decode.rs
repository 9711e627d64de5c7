//! One record's bytes → what it says, or why it cannot be taken in.
//!
//! The order of judgement is fixed, so that one record always has one reason: size,
//! encoding, depth, JSON, tenant, operation, and only for operations of interest the rest.

use std::borrow::Cow;

use serde_json::error::Category;
use uuid::Uuid;

use super::admin::decode_admin_change;
use super::envelope::{ENVELOPES, MAX_ENVELOPES};
use super::fields::Value;
use super::foreign::names_another_tenant;
use super::kept::{invalid, missing, twice};
use super::native::{Field, Native};
use super::plain::Parsed;
use super::send::decode_send;
use super::{Decoded, MAX_DEPTH, MAX_RECORD, Problem};
use crate::domain::QuarantineReason as Reason;
use crate::domain::{Operation, TenantId, admin_change};

/// Longest name under which an ignored operation is counted, in characters.
const MAX_OPERATION: usize = 100;

/// `parsed`: the record's fields, where cutting has read them already.
pub(super) fn decode<'a>(
    bytes: &[u8],
    parsed: Option<Parsed<'a>>,
    tenant: TenantId,
) -> Result<Decoded<'a>, Problem> {
    if let Some(Parsed::Plain(plain)) = &parsed
        && let Some(operation) = plain.ignored(tenant)
    {
        return Ok(Decoded::Ignored { operation });
    }
    judge(bytes, parsed, tenant).map_err(|problem| match problem.reason {
        Reason::ForeignTenant => problem,
        _ if names_another_tenant(bytes, tenant) => Problem::new(
            Reason::ForeignTenant,
            "cannot be taken in, and names another tenant as its OrganizationId",
        ),
        _ => problem,
    })
}

fn judge(
    bytes: &[u8],
    parsed: Option<Parsed<'_>>,
    tenant: TenantId,
) -> Result<Decoded<'static>, Problem> {
    let outermost = Place {
        tenant,
        level: 0,
        id: None,
    };
    let judged = |native: &Native<'_>| decode_object(native, outermost).map_err(|m| m.problem);
    if let Some(Parsed::Plain(plain)) = &parsed
        && let Some(native) = plain.native()
    {
        return judged(&native);
    }
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
    match parsed {
        Some(Parsed::Native(native)) => judged(&native),
        _ => judged(&parse(bytes)?),
    }
}

/// Where an object stands.
#[derive(Clone, Copy)]
struct Place {
    tenant: TenantId,
    /// How often it is wrapped.
    level: usize,
    /// The object around it is a record of this id.
    id: Option<Option<Uuid>>,
}

struct Miss {
    problem: Problem,
    /// No other envelope is looked into.
    is_final: bool,
}

impl Miss {
    fn is_unreadable(&self) -> bool {
        self.problem.reason == Reason::Malformed
    }
}

/// `json`: an object, or text with the JSON of one. `lent`: what the envelope says of it.
fn decode_json(
    json: &str,
    lent: Vec<(Field, Value<'static>)>,
    place: Place,
) -> Result<Decoded<'static>, Miss> {
    let no_record = |problem| Miss {
        problem,
        is_final: false,
    };
    if place.level > MAX_ENVELOPES {
        return Err(no_record(Problem::new(
            Reason::TooDeep,
            format!("wrapped more than {MAX_ENVELOPES} times"),
        )));
    }
    if json.starts_with('"') {
        let text = serde_json::from_str::<String>(json);
        let text = text.map_err(|error| no_record(not_a_record(&error)))?;
        check_depth(text.as_bytes()).map_err(no_record)?;
        let inner = Place {
            level: place.level + 1,
            ..place
        };
        return decode_json(text.trim(), lent, inner);
    }
    let mut native = parse(json.as_bytes()).map_err(no_record)?;
    for (field, value) in lent {
        native.lend(field, value);
    }
    decode_object(&native, place)
}

/// A record, or an envelope around one. What is inside wins, unless what is outside is a
/// record itself: then a key merely has the name of an envelope's, and what anybody has
/// written there is no record. Only a part of a record with the id of the whole counts as it.
fn decode_object(native: &Native<'_>, place: Place) -> Result<Decoded<'static>, Miss> {
    check_tenant(native, place.tenant).map_err(|problem| Miss {
        problem,
        is_final: true,
    })?;
    let itself = || decode_itself(native, place);
    if native.outer().is_empty() {
        return itself();
    }
    let is_complete = native.is_complete();
    let id = native.get(Field::Id).guid();
    if is_complete && place.id.is_some_and(|whole| whole != id) {
        return itself();
    }
    let inside = Place {
        level: place.level + 1,
        id: if is_complete { Some(id) } else { place.id },
        ..place
    };
    let mut best_miss: Option<Miss> = None;
    for envelope in &ENVELOPES {
        let miss = match envelope.contents(native).as_slice() {
            [] => continue,
            [content] => match decode_json(content, envelope.lent(native), inside) {
                Ok(decoded) => return Ok(decoded),
                Err(miss) => miss,
            },
            // nothing is chosen between the two
            _ => Miss {
                problem: twice(envelope.path),
                is_final: !is_complete,
            },
        };
        if miss.is_final {
            return Err(miss);
        }
        // what can be read tells more
        if best_miss.as_ref().is_none_or(Miss::is_unreadable) {
            best_miss = Some(miss);
        }
    }
    match best_miss {
        Some(miss) if !is_complete => Err(miss),
        _ => itself(),
    }
}

fn decode_itself(native: &Native<'_>, place: Place) -> Result<Decoded<'static>, Miss> {
    let miss = |problem| Miss {
        problem,
        is_final: native.is_a_record(),
    };
    if let Some(id) = place.id
        && (id.is_none() || id != native.get(Field::Id).guid())
    {
        return Err(Miss {
            problem: missing(Field::Id),
            is_final: false,
        });
    }
    match native.list() {
        Some(list) if !native.get(Field::Operation).is_given() => Err(miss(Problem::new(
            Reason::Malformed,
            format!("{} is no list of records", list.text()),
        ))),
        _ => decode_native(native).map_err(miss),
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
    if native.organizations().any(is_foreign) {
        return Err(Problem::new(
            Reason::ForeignTenant,
            "OrganizationId is another tenant's",
        ));
    }
    Ok(())
}

fn decode_native(native: &Native<'_>) -> Result<Decoded<'static>, Problem> {
    let value = native.get(Field::Operation);
    if native.contradicts_itself(Field::Operation) {
        return Err(twice(Field::Operation.name()));
    }
    if *value == Value::Other {
        return Err(invalid(Field::Operation, "is no text"));
    }
    let Some(name) = value.text().filter(|name| !name.is_empty()) else {
        return Err(missing(Field::Operation));
    };
    if let Some(operation) = Operation::parse(&name) {
        if let Some(field) = native.contradiction() {
            return Err(twice(field.name()));
        }
        if is_exchange_item(native) {
            return decode_send(native, operation);
        }
    } else if let Some(operation) = admin_change::operation(&name) {
        if let Some(field) = native.contradiction() {
            return Err(twice(field.name()));
        }
        if let Some(change) = decode_admin_change(native, operation)? {
            return Ok(Decoded::Admin(change));
        }
    }
    let operation = counted(&name).ok_or_else(|| invalid(Field::Operation, "is no text"))?;
    Ok(Decoded::Ignored {
        operation: Cow::Owned(operation.into_owned()),
    })
}

/// The name under which an operation is counted.
pub(super) fn counted(name: &str) -> Option<Cow<'_, str>> {
    let is_short = name.len() <= MAX_OPERATION;
    let counted = if is_short && !name.contains(char::is_control) {
        Cow::Borrowed(name)
    } else {
        let printable = name.chars().filter(|c| !c.is_control());
        Cow::Owned(printable.take(MAX_OPERATION).collect())
    };
    (!counted.is_empty()).then_some(counted)
}

/// Other workloads have operations of the same names.
fn is_exchange_item(native: &Native<'_>) -> bool {
    let record_type = native.get(Field::RecordType);
    !record_type.is_given()
        || record_type.integer() == Some(2)
        || record_type.is_one_of(&["ExchangeItem"])
        || native.get(Field::Workload).is_one_of(&["Exchange"])
}
