//! Events of one message told by bytes: from small alphabets, so that repeats, conflicts and bounds are
//! met after few of them.

use sentby::domain::{Operation, SendEvent, Side, Timestamp, send_event::UserType};
use uuid::Uuid;

const USERS: [&str; 12] = [
    "anna@contoso.com",
    "bob@contoso.com",
    "support@contoso.com",
    "anna.k@contoso.com",
    "s-1-5-18",
    "s-1-5-21-1-2-3-1001",
    "",
    "app@sharepoint",
    "guest_gmail.com#ext#@contoso.onmicrosoft.com",
    "nt authority\\system (w3wp)",
    "0123456789abcdef",
    "ä\u{202e}@x",
];
const SIDS: [&str; 7] = [
    "s-1-5-21-1-2-3-1001",
    "s-1-5-21-1-2-3-1002",
    "s-1-5-18",
    "s-1-5-21-01-2",
    "s-1-",
    "s-1-18446744073709551616",
    "",
];
const KEYS: [&str; 5] = [
    "10032001266c162c",
    "10032001266c162d",
    "s-1-5-18",
    "1f6e9f0e-3d6c-4c52-8f3b-0d6e6f1f5a11",
    "abc",
];

/// Takes what it needs from the front; zeros where there is no more.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    fn one_of(&mut self, all: &[&str]) -> String {
        all[usize::from(self.byte()) % all.len()].into()
    }

    /// None as often as not.
    fn perhaps(&mut self, all: &[&str]) -> Option<String> {
        let at = usize::from(self.byte());
        (at % 2 == 0).then(|| all[at / 2 % all.len()].into())
    }

    fn guid(&mut self) -> Option<Uuid> {
        let number = self.byte();
        (!number.is_multiple_of(4)).then(|| Uuid::from_u128(u128::from(number)))
    }

    pub fn event(&mut self) -> SendEvent {
        let (bits, more, odd) = (self.byte(), self.byte(), self.byte());
        let operation = [
            Operation::SendAs,
            Operation::SendOnBehalf,
            Operation::Send,
            Operation::SendAs,
        ][usize::from(bits & 3)];
        let has = |bit: u8| bits & bit != 0;
        let time = 1_772_000_000_000_000 + i64::from(more & 7) * 1_000_000;
        SendEvent {
            time: Timestamp::from_micros(time),
            record_id: Uuid::from_u128(u128::from(self.byte())),
            operation,
            side: if has(4) { Side::Agent } else { Side::Mailbox },
            failed: has(8),
            admin: has(16),
            user_type: UserType::from_number(i64::from(odd & 15)),
            user_id: self.one_of(&USERS),
            user_key: self.perhaps(&KEYS),
            logon_user_sid: self.perhaps(&SIDS),
            sid_is_doubtful: has(32),
            object_id: self.guid(),
            owner: self.perhaps(&USERS),
            owner_is_actor: has(64).then_some(has(128)),
            mailbox_guid: self.guid(),
            sent_as: self.perhaps(&USERS),
            sent_as_guid: self.guid(),
        }
    }

    pub fn events(&mut self) -> Vec<SendEvent> {
        std::iter::from_fn(|| (!self.is_empty()).then(|| self.event()))
            .take(200)
            .collect()
    }
}
