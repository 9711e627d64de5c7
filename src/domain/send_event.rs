//! A record that says somebody sent. It is evidence.

use super::{MessageId, MessageKey, Timestamp};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    SendAs,
    SendOnBehalf,
    Send,
}

impl Operation {
    /// As an audit record writes it; case does not matter.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::SendAs, Self::SendOnBehalf, Self::Send]
            .into_iter()
            .find(|operation| operation.name().eq_ignore_ascii_case(text))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::SendAs => "SendAs",
            Self::SendOnBehalf => "SendOnBehalf",
            Self::Send => "Send",
        }
    }
}

/// Whose log wrote the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The shared mailbox's.
    Mailbox,
    /// The agent's own.
    Agent,
}

/// What is kept of one send event: all that [`super::attribute`] can ever need, in one
/// normal form (addresses, SIDs and keys trimmed and in lower case, claims prefixes gone),
/// so that two envelopes of one record are equal. Subjects, recipients and client
/// addresses are not kept.
///
/// The order (time, record id, then the rest) is the canonical order of evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendEvent {
    /// `CreationTime`, which has whole seconds: a fraction that somebody on the way added is cut.
    pub time: Timestamp,
    /// `Id`.
    pub record_id: Uuid,
    pub operation: Operation,
    /// From the record alone (see [`Sides`]), so that it never changes.
    pub side: Side,
    /// `ResultStatus` `Failed`: kept, never an answer.
    pub failed: bool,
    /// `LogonType` Admin or DelegatedAdmin.
    pub admin: bool,
    /// `UserType`, where it is a known number or name.
    pub user_type: Option<UserType>,
    /// `UserId`; may be empty.
    pub user_id: String,
    /// `UserKey`: the PUID of a person, the id of an application.
    pub user_key: Option<String>,
    pub logon_user_sid: Option<String>,
    /// `LogonType` Owner, although the SIDs differ: the SID may not be that of `user_id`.
    pub sid_is_doubtful: bool,
    /// `TokenObjectId`.
    pub object_id: Option<Uuid>,
    /// `MailboxOwnerUPN`: the address of the mailbox whose log this is.
    pub owner: Option<String>,
    /// `MailboxOwnerSid` = `LogonUserSid`, where the record has both.
    pub owner_is_actor: Option<bool>,
    /// `MailboxGuid`.
    pub mailbox_guid: Option<Uuid>,
    /// `SendAsUserSmtp` or `SendOnBehalfOfUserSmtp`, by operation.
    pub sent_as: Option<String>,
    /// `SendAsUserMailboxGuid` or `SendOnBehalfOfUserMailboxGuid`, by operation.
    pub sent_as_guid: Option<Uuid>,
}

impl SendEvent {
    /// Tells actors apart, where it is bounded how many one message keeps.
    pub fn actor_id(&self) -> &str {
        [
            Some(self.user_id.as_str()),
            self.logon_user_sid.as_deref(),
            self.user_key.as_deref(),
        ]
        .into_iter()
        .flatten()
        .find(|id| !id.is_empty())
        .unwrap_or("")
    }
}

/// `UserType` of the common schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum UserType {
    Regular = 0,
    Reserved = 1,
    Admin = 2,
    DcAdmin = 3,
    System = 4,
    Application = 5,
    ServicePrincipal = 6,
    CustomPolicy = 7,
    SystemPolicy = 8,
    PartnerTechnician = 9,
    Guest = 10,
}

impl UserType {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Regular, "Regular"),
        (Self::Reserved, "Reserved"),
        (Self::Admin, "Admin"),
        (Self::DcAdmin, "DCAdmin"),
        (Self::System, "System"),
        (Self::Application, "Application"),
        (Self::ServicePrincipal, "ServicePrincipal"),
        (Self::CustomPolicy, "CustomPolicy"),
        (Self::SystemPolicy, "SystemPolicy"),
        (Self::PartnerTechnician, "PartnerTechnician"),
        (Self::Guest, "Guest"),
    ];

    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n))
            .map(|&(user_type, _)| user_type)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(user_type, _)| user_type)
    }
}

/// What tells the two sides apart: everything in the record that names the mailbox whose
/// log it is, and the mailbox that was sent as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sides<'a> {
    pub owner_is_actor: Option<bool>,
    pub mailbox_guid: Option<Uuid>,
    pub sent_as_guid: Option<Uuid>,
    pub owner: Option<&'a str>,
    pub sent_as: Option<&'a str>,
    pub user_id: &'a str,
}

impl Sides<'_> {
    /// The most robust test comes first: the two SIDs need no knowledge of any address.
    pub fn side(self, operation: Operation) -> Side {
        let mailbox_if = |yes| if yes { Side::Mailbox } else { Side::Agent };
        if let Some(owner_is_actor) = self.owner_is_actor {
            return mailbox_if(!owner_is_actor);
        }
        if let (Some(log), Some(sent_as)) = (self.mailbox_guid, self.sent_as_guid) {
            return mailbox_if(log == sent_as);
        }
        match (self.owner, self.sent_as) {
            // the agent's address may differ from his user id, so ask for the mailbox's
            (Some(owner), Some(sent_as)) => mailbox_if(owner == sent_as),
            // a Send is written for owners and administrators; the rest for delegates
            (Some(owner), None) => {
                mailbox_if(operation != Operation::Send && owner != self.user_id)
            }
            (None, _) => Side::Agent,
        }
    }
}

/// The message that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageRef {
    Id(MessageId),
    /// The record has no message id: the event stands alone, under its record id.
    Record(Uuid),
}

impl MessageRef {
    pub fn key(&self) -> MessageKey {
        match self {
            Self::Id(id) => id.key(),
            Self::Record(record_id) => MessageKey::of_record(*record_id),
        }
    }

    pub fn id(&self) -> Option<&MessageId> {
        match self {
            Self::Id(id) => Some(id),
            Self::Record(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_and_user_types_are_known_by_their_names() {
        for (text, operation) in [
            ("SendAs", Some(Operation::SendAs)),
            ("SENDONBEHALF", Some(Operation::SendOnBehalf)),
            ("send", Some(Operation::Send)),
            ("Sent", None),
            ("", None),
        ] {
            assert_eq!(Operation::parse(text), operation, "{text}");
        }
        for (number, (user_type, name)) in (0..).zip(UserType::ALL) {
            assert_eq!(user_type as i64, number);
            assert_eq!(UserType::from_number(number), Some(user_type));
            assert_eq!(UserType::from_name(&name.to_lowercase()), Some(user_type));
        }
        assert_eq!(UserType::from_number(-1), None);
        assert_eq!(UserType::from_number(11), None);
        assert_eq!(UserType::from_name("Nobody"), None);
    }

    #[test]
    fn an_actor_is_told_by_the_first_identifier_that_there_is() {
        let none = SendEvent {
            user_id: String::new(),
            ..crate::domain::attribute::tests::event(1)
        };
        assert_eq!(none.actor_id(), "");
        let by_key = SendEvent {
            user_key: Some("key".into()),
            logon_user_sid: Some(String::new()),
            ..none
        };
        assert_eq!(by_key.actor_id(), "key");
        let by_sid = SendEvent {
            logon_user_sid: Some("sid".into()),
            ..by_key
        };
        assert_eq!(by_sid.actor_id(), "sid");
        let by_name = SendEvent {
            user_id: "anna".into(),
            ..by_sid
        };
        assert_eq!(by_name.actor_id(), "anna");
    }

    #[test]
    fn whose_log_it_is() {
        use Operation::{Send, SendAs};
        let (anna, support) = (Some("anna"), Some("support"));
        let (log, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let none = Sides {
            user_id: "anna",
            ..Sides::default()
        };
        let sids = |owner_is_actor| Sides {
            owner_is_actor: Some(owner_is_actor),
            ..none
        };
        let guids = |sent_as_guid| Sides {
            mailbox_guid: log,
            sent_as_guid,
            ..none
        };
        let names = |owner, sent_as| Sides {
            owner,
            sent_as,
            ..none
        };
        for (sides, operation, side) in [
            (sids(true), SendAs, Side::Agent),
            (sids(false), SendAs, Side::Mailbox),
            (sids(false), Send, Side::Mailbox),
            (guids(log), SendAs, Side::Mailbox),
            (guids(other), SendAs, Side::Agent),
            (names(support, support), SendAs, Side::Mailbox),
            (names(anna, support), SendAs, Side::Agent),
            (names(Some("kern"), support), SendAs, Side::Agent),
            (names(support, None), SendAs, Side::Mailbox),
            (names(anna, None), SendAs, Side::Agent),
            (names(support, None), Send, Side::Agent),
            (names(None, support), SendAs, Side::Agent),
            // the SIDs before the GUIDs, the GUIDs before the names
            (
                Sides {
                    owner_is_actor: Some(true),
                    ..guids(log)
                },
                SendAs,
                Side::Agent,
            ),
            (
                Sides {
                    owner: anna,
                    sent_as: support,
                    ..guids(log)
                },
                SendAs,
                Side::Mailbox,
            ),
        ] {
            assert_eq!(sides.side(operation), side, "{operation:?} {sides:?}");
        }
    }

    #[test]
    fn an_event_without_a_message_id_stands_alone() {
        let id = MessageId::parse("<a@b>").expect("an id");
        let by_id = MessageRef::Id(id.clone());
        assert_eq!((by_id.key(), by_id.id()), (id.key(), Some(&id)));
        let record = Uuid::from_u128(1);
        let alone = MessageRef::Record(record);
        assert_eq!(alone.key(), MessageKey::of_record(record));
        assert_eq!(alone.id(), None);
    }
}
