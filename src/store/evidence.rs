//! Evidence ⇄ bytes of the column `evidence`. Equal evidence gives equal bytes. Public for those who try
//! it with any bytes (`fuzz/`).

mod compact;
mod protobuf;

use super::{Result, StoreError};
use crate::domain::{Evidence, Operation, SendEvent, Side, Timestamp, send_event::UserType};
pub use compact::encode;
use uuid::Uuid;

/// What is not evidence, or of a newer program, is [`StoreError::Corrupt`].
pub fn decode(bytes: &[u8]) -> Result<Evidence> {
    match bytes.first() {
        Some(&0) => compact::decode(bytes),
        _ => protobuf::decode(bytes),
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("evidence: {what}"))
}

/// Bits 0–1: operation; 2: agent side; 3: failed; 4: administrator; 5: the record has both
/// SIDs; 6: they are equal; 7: the actor's SID is doubtful; 8: the time is in microseconds.
mod flags {
    use crate::domain::{Operation, SendEvent, Side};

    pub(super) const OPERATION: u32 = 0b11;
    pub(super) const AGENT_SIDE: u32 = 1 << 2;
    pub(super) const FAILED: u32 = 1 << 3;
    pub(super) const ADMIN: u32 = 1 << 4;
    pub(super) const BOTH_SIDS: u32 = 1 << 5;
    pub(super) const OWNER_IS_ACTOR: u32 = 1 << 6;
    pub(super) const SID_IS_DOUBTFUL: u32 = 1 << 7;
    pub(super) const MICROSECONDS: u32 = 1 << 8;

    /// All but how the time is written.
    pub(super) fn of(event: &SendEvent) -> u32 {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let operation = match event.operation {
            Operation::SendAs => 0,
            Operation::SendOnBehalf => 1,
            Operation::Send => 2,
        };
        operation
            | flag(event.side == Side::Agent, AGENT_SIDE)
            | flag(event.failed, FAILED)
            | flag(event.admin, ADMIN)
            | flag(event.owner_is_actor.is_some(), BOTH_SIDS)
            | flag(event.owner_is_actor == Some(true), OWNER_IS_ACTOR)
            | flag(event.sid_is_doubtful, SID_IS_DOUBTFUL)
    }
}

/// An event of which nothing is set but what these two say.
fn facts(flags: u32, user_type: Option<u32>) -> Result<SendEvent> {
    let has = |bit: u32| flags & bit != 0;
    let user_type = user_type.map(|number| {
        UserType::from_number(number.into())
            .ok_or_else(|| corrupt("a user type that this version does not know"))
    });
    Ok(SendEvent {
        operation: match flags & flags::OPERATION {
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
        user_type: user_type.transpose()?,
        sid_is_doubtful: has(flags::SID_IS_DOUBTFUL),
        time: Timestamp::EARLIEST,
        record_id: Uuid::nil(),
        user_id: String::new(),
        user_key: None,
        logon_user_sid: None,
        object_id: None,
        owner: None,
        mailbox_guid: None,
        sent_as: None,
        sent_as_guid: None,
    })
}

#[cfg(test)]
mod tests;
