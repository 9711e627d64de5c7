//! Evidence ⇄ bytes of the column `evidence`.
//!
//! Protobuf, because an older and a newer program work on the same rows while a new version
//! is rolled out, and because it is compact. Equal evidence gives equal bytes.
//! Tags are never used again for anything else.

use super::{Result, StoreError};
use crate::domain::{Evidence, Operation, SendEvent, Side, Timestamp, send_event::UserType};
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
    /// See [`flags`].
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

/// Bits 0–1: operation; 2: agent side; 3: failed; 4: administrator; 5: the record has both
/// SIDs; 6: they are equal; 7: the actor's SID is doubtful.
mod flags {
    pub(super) const OPERATION: u32 = 0b11;
    pub(super) const AGENT_SIDE: u32 = 1 << 2;
    pub(super) const FAILED: u32 = 1 << 3;
    pub(super) const ADMIN: u32 = 1 << 4;
    pub(super) const BOTH_SIDS: u32 = 1 << 5;
    pub(super) const OWNER_IS_ACTOR: u32 = 1 << 6;
    pub(super) const SID_IS_DOUBTFUL: u32 = 1 << 7;
}

pub(super) fn encode(evidence: &Evidence) -> Vec<u8> {
    Stored {
        events: evidence.events().map(encode_event).collect(),
        truncated: evidence.is_truncated(),
        format: FORMAT,
    }
    .encode_to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Evidence> {
    let stored =
        Stored::decode(bytes).map_err(|error| StoreError::Corrupt(format!("evidence: {error}")))?;
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

fn encode_event(event: &SendEvent) -> Event {
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    let operation = match event.operation {
        Operation::SendAs => 0,
        Operation::SendOnBehalf => 1,
        Operation::Send => 2,
    };
    let guid = |id: Option<Uuid>| id.map(|id| id.as_bytes().to_vec());
    Event {
        time: event.time.micros(),
        record_id: event.record_id.as_bytes().to_vec(),
        flags: operation
            | flag(event.side == Side::Agent, flags::AGENT_SIDE)
            | flag(event.failed, flags::FAILED)
            | flag(event.admin, flags::ADMIN)
            | flag(event.owner_is_actor.is_some(), flags::BOTH_SIDS)
            | flag(event.owner_is_actor == Some(true), flags::OWNER_IS_ACTOR)
            | flag(event.sid_is_doubtful, flags::SID_IS_DOUBTFUL),
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

fn decode_event(event: Event) -> Result<SendEvent> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("evidence: {what}"));
    let guid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| corrupt("a GUID's length"));
    let optional = |bytes: Option<Vec<u8>>| bytes.as_deref().map(guid).transpose();
    let has = |bit: u32| event.flags & bit != 0;
    Ok(SendEvent {
        time: Timestamp::from_micros(event.time),
        record_id: guid(&event.record_id)?,
        operation: match event.flags & flags::OPERATION {
            0 => Operation::SendAs,
            1 => Operation::SendOnBehalf,
            2 => Operation::Send,
            _ => return Err(corrupt("an operation that this version does not know")),
        },
        side: if has(flags::AGENT_SIDE) {
            Side::Agent
        } else {
            Side::Mailbox
        },
        failed: has(flags::FAILED),
        admin: has(flags::ADMIN),
        owner_is_actor: has(flags::BOTH_SIDS).then(|| has(flags::OWNER_IS_ACTOR)),
        user_type: match event.user_type {
            Some(number) => Some(
                UserType::from_number(number.into())
                    .ok_or_else(|| corrupt("a user type that this version does not know"))?,
            ),
            None => None,
        },
        user_id: event.user_id,
        user_key: event.user_key,
        logon_user_sid: event.logon_user_sid,
        sid_is_doubtful: has(flags::SID_IS_DOUBTFUL),
        object_id: optional(event.object_id)?,
        owner: event.owner,
        mailbox_guid: optional(event.mailbox_guid)?,
        sent_as: event.sent_as,
        sent_as_guid: optional(event.sent_as_guid)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attribute::tests::event;

    /// Equal to what the same record gives today, so that it is no second evidence.
    #[test]
    fn what_an_older_program_wrote_is_doubted() {
        let send = |owner_is_actor, admin| SendEvent {
            operation: Operation::Send,
            owner_is_actor,
            admin,
            ..event(1)
        };
        for (event, doubtful) in [
            (send(Some(false), false), true),
            (send(Some(false), true), false),
            (send(Some(true), false), false),
            (send(None, false), false),
            (event(2), false),
        ] {
            let older = Stored {
                events: vec![encode_event(&event)],
                ..Stored::default()
            };
            let evidence = decode(&older.encode_to_vec()).expect("evidence");
            let read = evidence.events().next().expect("an event");
            assert_eq!(read.sid_is_doubtful, doubtful, "{event:?}");
            let now = Evidence::restore([event.clone()], false);
            assert_eq!(decode(&encode(&now)).expect("evidence"), now);
        }
    }
}
