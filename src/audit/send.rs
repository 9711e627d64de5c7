//! A record that says somebody sent.

use uuid::Uuid;

use super::composite::{self, WrongShape};
use super::kept::{has_failed, identity, invalid, lower_case, optional, text, twice, user_id};
use super::native::{Field, Native};
use super::{Decoded, Problem};
use crate::domain::message::MessageIdError;
use crate::domain::send_event::{MessageRef, Sides, UserType};
use crate::domain::{MessageId, Operation, SendEvent};

pub(super) fn decode_send(
    native: &Native<'_>,
    operation: Operation,
) -> Result<Decoded<'static>, Problem> {
    let (record_id, time) = identity(native)?;
    let user_id = user_id(native)?;
    let user_type = native.get(Field::UserType);
    let owner = optional(lower_case(native, Field::MailboxOwnerUpn)?);
    let owner_sid = optional(lower_case(native, Field::MailboxOwnerSid)?);
    let logon_user_sid = optional(lower_case(native, Field::LogonUserSid)?);
    let owner_is_actor = owner_sid
        .zip(logon_user_sid.as_ref())
        .map(|(owner, user)| owner == *user);
    let mailbox_guid = native.get(Field::MailboxGuid).guid();
    let (sent_as, sent_as_guid) = sent_as(native, operation)?;
    let side = Sides {
        owner_is_actor,
        mailbox_guid,
        sent_as_guid,
        owner: owner.as_deref(),
        sent_as: sent_as.as_deref(),
        user_id: &user_id,
    }
    .side(operation);
    let logon_type = native.get(Field::LogonType);
    let event = SendEvent {
        time: time.whole_seconds(),
        record_id,
        operation,
        side,
        failed: has_failed(native),
        admin: matches!(logon_type.integer(), Some(1 | 6))
            || logon_type.is_one_of(&["Admin", "DelegatedAdmin"]),
        user_type: match user_type.integer() {
            Some(number) => UserType::from_number(number),
            None => user_type.text().and_then(|name| UserType::from_name(&name)),
        },
        user_id,
        user_key: optional(lower_case(native, Field::UserKey)?),
        logon_user_sid,
        sid_is_doubtful: owner_is_actor == Some(false)
            && (logon_type.integer() == Some(0) || logon_type.is_one_of(&["Owner"])),
        object_id: native.get(Field::TokenObjectId).guid(),
        owner,
        owner_is_actor,
        mailbox_guid,
        sent_as,
        sent_as_guid,
    };
    let message = message_id(native)?.map_or(MessageRef::Record(record_id), MessageRef::Id);
    Ok(Decoded::Send { message, event })
}

/// The mailbox that it was sent as. Some records have the fields of the other operation.
fn sent_as(
    native: &Native<'_>,
    operation: Operation,
) -> Result<(Option<String>, Option<Uuid>), Problem> {
    let as_user = (Field::SendAsUserSmtp, Field::SendAsUserMailboxGuid);
    let on_behalf = (
        Field::SendOnBehalfOfUserSmtp,
        Field::SendOnBehalfOfUserMailboxGuid,
    );
    let choices = match operation {
        Operation::SendAs => [as_user, on_behalf],
        Operation::SendOnBehalf => [on_behalf, as_user],
        Operation::Send => return Ok((None, None)),
    };
    for (address, guid) in choices {
        let address = optional(lower_case(native, address)?);
        let guid = native.get(guid).guid();
        if address.is_some() || guid.is_some() {
            return Ok((address, guid));
        }
    }
    Ok((None, None))
}

fn message_id(native: &Native<'_>) -> Result<Option<MessageId>, Problem> {
    let ids = match native
        .item
        .map(|item| composite::read(item, composite::message_ids))
    {
        Some(Ok(ids)) => ids.unwrap_or_default(),
        Some(Err(WrongShape)) => return Err(invalid(Field::Item, "is no item")),
        None => vec![text(native, Field::InternetMessageId)?.into_owned()],
    };
    match ids.as_slice() {
        [] => Ok(None),
        [id] => match MessageId::parse(id) {
            Ok(id) => Ok(Some(id)),
            Err(MessageIdError::Empty) => Ok(None),
            Err(error) => Err(invalid(Field::InternetMessageId, &error.to_string())),
        },
        _ => Err(twice(Field::InternetMessageId.name())),
    }
}
