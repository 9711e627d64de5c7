//! Identifiers that keep their meaning when names change.

use super::{
    SendEvent,
    actor::{is_account_sid, is_puid},
};
use std::{borrow::Cow, fmt};
use uuid::Uuid;

/// What stays the same of an account or a mailbox while its addresses change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity<'a> {
    /// An account's SID, in lower case.
    Sid(Cow<'a, str>),
    /// An account's Entra object id.
    Object(Uuid),
    /// An account's PUID, in lower case.
    Puid(Cow<'a, str>),
    /// A mailbox's GUID (`ExchangeGuid`).
    Mailbox(Uuid),
}

impl<'a> Identity<'a> {
    pub fn is_mailbox(&self) -> bool {
        matches!(self, Self::Mailbox(_))
    }

    /// The same, for a shorter time.
    pub fn borrowed(&self) -> Identity<'_> {
        match self {
            Self::Sid(sid) => Identity::Sid(Cow::Borrowed(sid)),
            Self::Object(id) => Identity::Object(*id),
            Self::Puid(puid) => Identity::Puid(Cow::Borrowed(puid)),
            Self::Mailbox(guid) => Identity::Mailbox(*guid),
        }
    }

    pub fn into_owned(self) -> Identity<'static> {
        match self {
            Self::Sid(sid) => Identity::Sid(Cow::Owned(sid.into_owned())),
            Self::Object(id) => Identity::Object(id),
            Self::Puid(puid) => Identity::Puid(Cow::Owned(puid.into_owned())),
            Self::Mailbox(guid) => Identity::Mailbox(guid),
        }
    }

    /// Two accounts can share an address one after the other, never an identity of one kind.
    pub fn is_of_kind(&self, other: &Identity<'_>) -> bool {
        std::mem::discriminant(&self.borrowed()) == std::mem::discriminant(&other.borrowed())
    }

    /// What a `UserId` is that is no address. A GUID is taken for an object id.
    fn of_user_id(user_id: &'a str) -> Option<Self> {
        if is_account_sid(user_id) {
            Some(Self::Sid(Cow::Borrowed(user_id)))
        } else if is_puid(user_id) {
            Some(Self::Puid(Cow::Borrowed(user_id)))
        } else {
            Uuid::try_parse(user_id).ok().map(Self::Object)
        }
    }

    /// As [`fmt::Display`] writes it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (kind, value) = text.split_once(':')?;
        Some(match kind {
            "sid" => Self::Sid(Cow::Borrowed(value)),
            "object" => Self::Object(Uuid::try_parse(value).ok()?),
            "puid" => Self::Puid(Cow::Borrowed(value)),
            "mailbox" => Self::Mailbox(Uuid::try_parse(value).ok()?),
            _ => return None,
        })
    }
}

/// As in the store and in explanations: `sid:…`, `object:…`, `puid:…`, `mailbox:…`.
impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(f, "sid:{sid}"),
            Self::Object(id) => write!(f, "object:{id}"),
            Self::Puid(puid) => write!(f, "puid:{puid}"),
            Self::Mailbox(guid) => write!(f, "mailbox:{guid}"),
        }
    }
}

impl SendEvent {
    /// The account that acted, the most telling identifier first: what stands in the place of
    /// the name, then the SID, the object id, the PUID.
    pub fn account(&self) -> impl Iterator<Item = Identity<'_>> {
        let sid = self.logon_user_sid.as_deref();
        let puid = self.user_key.as_deref();
        [
            Identity::of_user_id(&self.user_id),
            sid.filter(|sid| is_account_sid(sid) && !self.sid_is_doubtful)
                .map(|sid| Identity::Sid(Cow::Borrowed(sid))),
            self.object_id.map(Identity::Object),
            puid.filter(|puid| is_puid(puid))
                .map(|puid| Identity::Puid(Cow::Borrowed(puid))),
        ]
        .into_iter()
        .flatten()
    }

    /// The GUID of the mailbox that was sent as. Nobody sends as himself: where it is that of
    /// the actor's own log it belongs to that, and not to the address beside it.
    pub fn sent_as_mailbox(&self) -> Option<Uuid> {
        let own = self.owner_is_actor == Some(true) || self.owner.as_ref() == Some(&self.user_id);
        let is_own = own && self.sent_as_guid == self.mailbox_guid;
        self.sent_as_guid.filter(|_| !is_own)
    }

    /// The mailboxes that it names by GUID: the one sent as, the one whose log it is.
    pub fn mailbox_guids(&self) -> impl Iterator<Item = Uuid> {
        [self.sent_as_mailbox(), self.mailbox_guid]
            .into_iter()
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_and_read() {
        let guid = Uuid::from_u128(7);
        for identity in [
            Identity::Sid("s-1-5-21-1".into()),
            Identity::Object(guid),
            Identity::Puid("10032001266c162c".into()),
            Identity::Mailbox(guid),
        ] {
            let text = identity.to_string();
            assert_eq!(Identity::parse(&text), Some(identity.borrowed()), "{text}");
        }
        for wrong in ["", "sid", "mailbox:7", "object:", "name:anna@contoso.com"] {
            assert_eq!(Identity::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_identifies_the_account_of_an_event() {
        let event = SendEvent {
            user_id: "S-1-5-21-9".to_lowercase(),
            user_key: Some("10032001266c162c".into()),
            logon_user_sid: Some("s-1-5-21-1".into()),
            object_id: Some(Uuid::from_u128(1)),
            ..crate::domain::attribute::tests::event(1)
        };
        let text = |event: &SendEvent| -> Vec<String> {
            event
                .account()
                .map(|identity| identity.to_string())
                .collect()
        };
        let object = format!("object:{}", Uuid::from_u128(1));
        let all = [
            "sid:s-1-5-21-9",
            "sid:s-1-5-21-1",
            &object,
            "puid:10032001266c162c",
        ];
        assert_eq!(text(&event), all);
        let doubtful = SendEvent {
            user_id: "anna@contoso.com".into(),
            user_key: Some("not-found".into()),
            sid_is_doubtful: true,
            ..event.clone()
        };
        assert_eq!(text(&doubtful), [object.as_str()]);
        for nobodys in [None, Some("0000000000000000")] {
            let well_known = SendEvent {
                user_id: String::new(),
                logon_user_sid: Some("s-1-5-18".into()),
                user_key: nobodys.map(Into::into),
                object_id: None,
                ..event.clone()
            };
            assert!(text(&well_known).is_empty(), "{nobodys:?}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let guid = Uuid::from_u128(7);
        let all = [
            Identity::Sid("7".into()),
            Identity::Object(guid),
            Identity::Puid("7".into()),
            Identity::Mailbox(guid),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.is_mailbox(), at == 3);
            assert_eq!(one.clone().into_owned(), *one);
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one.is_of_kind(other), at == other_at, "{one} {other}");
            }
        }
    }

    /// The GUID beside an address is that of the actor's own log in some records.
    #[test]
    fn which_mailboxes_an_event_names() {
        let (log, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        for (owner_is_actor, owner, sent_as_guid, expected) in [
            (Some(false), "support", log, log),
            (Some(true), "support", log, None),
            (None, "anna", log, None),
            (None, "support", log, log),
            (Some(true), "anna", other, other),
            (Some(true), "anna", None, None),
        ] {
            let event = SendEvent {
                user_id: "anna".into(),
                owner: Some(owner.into()),
                owner_is_actor,
                mailbox_guid: log,
                sent_as_guid,
                ..crate::domain::attribute::tests::event(1)
            };
            assert_eq!(event.sent_as_mailbox(), expected, "{event:?}");
            assert!(event.mailbox_guids().eq(expected.into_iter().chain(log)));
        }
    }
}
