//! The formats before the present one, which are only read. What is written again becomes the
//! present one.

use super::{Result, corrupt, facts};
use crate::domain::{Evidence, Operation, SendEvent, Timestamp};
use prost::Message;
use uuid::Uuid;

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Event>,
    #[prost(bool, tag = "2")]
    truncated: bool,
    /// See [`FORMAT`].
    #[prost(uint32, tag = "3")]
    format: u32,
}

/// 1: the flag for doubtful SIDs is there. Before, it was not known.
const FORMAT: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Microseconds since 1970.
    #[prost(int64, tag = "1")]
    time: i64,
    #[prost(bytes = "vec", tag = "2")]
    record_id: Vec<u8>,
    /// See [`super::flags`].
    #[prost(uint32, tag = "3")]
    flags: u32,
    #[prost(uint32, optional, tag = "4")]
    user_type: Option<u32>,
    #[prost(string, tag = "5")]
    user_id: String,
    #[prost(string, optional, tag = "6")]
    user_key: Option<String>,
    #[prost(string, optional, tag = "7")]
    logon_user_sid: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    object_id: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    owner: Option<String>,
    #[prost(bytes = "vec", optional, tag = "10")]
    mailbox_guid: Option<Vec<u8>>,
    #[prost(string, optional, tag = "11")]
    sent_as: Option<String>,
    #[prost(bytes = "vec", optional, tag = "12")]
    sent_as_guid: Option<Vec<u8>>,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Evidence> {
    let stored = Stored::decode(bytes).map_err(|error| corrupt(&error.to_string()))?;
    let mut events: Vec<SendEvent> = stored
        .events
        .into_iter()
        .map(decode_event)
        .collect::<Result<_>>()?;
    if stored.format < FORMAT {
        events.iter_mut().for_each(doubt);
    }
    Ok(Evidence::restore(events, stored.truncated))
}

/// A Send is written for owners and administrators only.
fn doubt(event: &mut SendEvent) {
    event.sid_is_doubtful =
        event.operation == Operation::Send && event.owner_is_actor == Some(false) && !event.admin;
}

fn decode_event(event: Event) -> Result<SendEvent> {
    let guid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| corrupt("a GUID's length"));
    let optional = |bytes: Option<Vec<u8>>| bytes.as_deref().map(guid).transpose();
    Ok(SendEvent {
        time: Timestamp::from_micros(event.time).whole_seconds(),
        record_id: guid(&event.record_id)?,
        user_id: event.user_id,
        user_key: event.user_key,
        logon_user_sid: event.logon_user_sid,
        object_id: optional(event.object_id)?,
        owner: event.owner,
        mailbox_guid: optional(event.mailbox_guid)?,
        sent_as: event.sent_as,
        sent_as_guid: optional(event.sent_as_guid)?,
        ..facts(event.flags, event.user_type)?
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::{super::flags, *};

    /// As an older program wrote it.
    pub(in super::super) fn encode(evidence: &Evidence, format: u32) -> Vec<u8> {
        Stored {
            events: evidence.events().map(encode_event).collect(),
            truncated: evidence.is_truncated(),
            format,
        }
        .encode_to_vec()
    }

    fn encode_event(event: &SendEvent) -> Event {
        let guid = |id: Option<Uuid>| id.map(|id| id.as_bytes().to_vec());
        Event {
            time: event.time.micros(),
            record_id: event.record_id.as_bytes().to_vec(),
            flags: flags::of(event),
            user_type: event.user_type.map(|user_type| user_type as u32),
            user_id: event.user_id.clone(),
            user_key: event.user_key.clone(),
            logon_user_sid: event.logon_user_sid.clone(),
            object_id: guid(event.object_id),
            owner: event.owner.clone(),
            mailbox_guid: guid(event.mailbox_guid),
            sent_as: event.sent_as.clone(),
            sent_as_guid: guid(event.sent_as_guid),
        }
    }
}
