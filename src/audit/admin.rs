//! A record of an administrator's change.

use super::Problem;
use super::composite::{self, WrongShape};
use super::kept::{
    MAX_PARAMETER, MAX_TEXT, has_failed, identity, invalid, kept, optional, text, twice, user_id,
};
use super::native::{Field, Native};
use crate::domain::directory::parse_address;
use crate::domain::{AdminChange, admin_change};

/// `None`: none of its parameters matters.
pub(super) fn decode_admin_change(
    native: &Native<'_>,
    operation: &'static str,
) -> Result<Option<AdminChange>, Problem> {
    let Some(list) = native.parameters else {
        return Ok(None);
    };
    let all = composite::read(list, composite::parameters)
        .map_err(|WrongShape| invalid(Field::Parameters, "is no list of names and values"))?;
    let mut target: Option<String> = None;
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in all.unwrap_or_default() {
        let matters = admin_change::parameter(operation, &name);
        let is_identity = name.eq_ignore_ascii_case("Identity");
        if matters.is_none() && !is_identity {
            continue;
        }
        let value =
            value.ok_or_else(|| invalid(Field::Parameters, "has a value that is no text"))?;
        let value = kept(Field::Parameters, value, MAX_PARAMETER)?;
        let known = match matters {
            Some(name) => match parameters.iter().find(|(known, _)| known == name) {
                Some((_, known)) => Some(known),
                None => {
                    parameters.push((name.to_owned(), value));
                    continue;
                }
            },
            None => target.as_ref(),
        };
        match known {
            Some(known) if *known != value => return Err(twice(Field::Parameters.name())),
            Some(_) => {}
            None => target = Some(value),
        }
    }
    if parameters.is_empty() {
        return Ok(None);
    }
    let (record_id, time) = identity(native)?;
    let object_id = optional(text(native, Field::ObjectId)?.into_owned());
    // of a target that is a GUID it is the only name that says something to people
    if let (Some(_), Some(target)) = (&object_id, &target)
        && parse_address(target).is_some()
        && object_id.as_ref() != Some(target)
    {
        parameters.push(("Identity".to_owned(), target.clone()));
    }
    parameters.sort_unstable();
    let target = kept(
        Field::Parameters,
        object_id.or(target).unwrap_or_default(),
        MAX_TEXT,
    )?;
    Ok(Some(AdminChange {
        time,
        record_id,
        operation,
        actor: user_id(native)?,
        target,
        failed: has_failed(native),
        parameters,
    }))
}
