//! Who an event's `UserId` is: a person, or something that is never an agent.

use super::{
    Directory, Mailbox, SendEvent, directory::has_domain, erasure::is_pseudonym, lesson::NamedBy,
    send_event::UserType,
};
use std::collections::BTreeSet;

/// The actor of one event, before the events of the message are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// His primary address.
    Person(String),
    System,
    Application,
    /// The account of a mailbox that is nobody's own.
    SharedMailbox(String),
    /// An identifier that leads to nobody.
    Unresolved,
    /// A person of whom nothing but a pseudonym is left.
    Erased(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    Person,
    System,
    Application,
    SharedMailbox,
    Unresolved,
    Erased,
}

impl Actor {
    /// `sent_as`: the mailboxes that the events of this message say it was sent as. One of
    /// them as the actor is the shared account itself, also where no register says so.
    pub fn of(event: &SendEvent, directory: &Directory, sent_as: &BTreeSet<String>) -> Self {
        if is_pseudonym(&event.user_id) {
            return Self::Erased(event.user_id.clone());
        }
        if let Some(service) = service_account(event) {
            return service;
        }
        let address = Some(event.user_id.as_str()).filter(|user_id| has_domain(user_id));
        if let Some(mailbox) = directory.account(event, address) {
            return Self::account_of(mailbox);
        }
        let Some(name) = directory.account_name(event, address) else {
            return Self::Unresolved;
        };
        let own = event.owner.as_deref();
        let own = own.filter(|_| event.owner_is_actor == Some(true));
        let shared = [Some(name), address, own]
            .into_iter()
            .find_map(|name| sent_as.get(directory.mailbox_name(name, None, NamedBy::SentAs)?));
        match shared {
            Some(mailbox) => Self::SharedMailbox(mailbox.clone()),
            None => Self::Person(name.to_owned()),
        }
    }

    fn account_of(mailbox: &Mailbox) -> Self {
        if mailbox.kind.is_person() {
            Self::Person(mailbox.address.clone())
        } else {
            Self::SharedMailbox(mailbox.address.clone())
        }
    }

    pub fn kind(&self) -> ActorKind {
        match self {
            Self::Person(_) => ActorKind::Person,
            Self::System => ActorKind::System,
            Self::Application => ActorKind::Application,
            Self::SharedMailbox(_) => ActorKind::SharedMailbox,
            Self::Unresolved => ActorKind::Unresolved,
            Self::Erased(_) => ActorKind::Erased,
        }
    }
}

/// Takes the claims prefix off a `UserId` (`i:0#.f|membership|user@…`, `x:y:z#user@…`).
pub fn strip_claims(user_id: &str) -> &str {
    if let Some((prefix, rest)) = user_id.rsplit_once('|')
        && prefix.contains(':')
    {
        return rest;
    }
    // guests have `#EXT#` in their names: only a prefix with two colons is a claim
    match user_id.split_once('#') {
        Some((prefix, rest)) if prefix.matches(':').count() >= 2 && rest.contains('@') => rest,
        _ => user_id,
    }
}

/// What the event says to be no account of a person, whatever its name.
pub(super) fn service_account(event: &SendEvent) -> Option<Actor> {
    let user_id = event.user_id.as_str();
    match event.user_type {
        Some(UserType::Application | UserType::ServicePrincipal) => Some(Actor::Application),
        Some(
            UserType::DcAdmin | UserType::System | UserType::CustomPolicy | UserType::SystemPolicy,
        ) => Some(Actor::System),
        // Admin is also what the system itself is written as: `UserId` decides
        _ if is_application(user_id) => Some(Actor::Application),
        _ if is_system(user_id) => Some(Actor::System),
        _ => None,
    }
}

fn is_application(user_id: &str) -> bool {
    user_id.starts_with("serviceprincipal_") || user_id == "app@sharepoint"
}

/// Accounts of the service itself, in lower case.
fn is_system(user_id: &str) -> bool {
    const PREFIXES: [&str; 4] = [
        r"nt authority\",
        r"nt service\",
        r"microsoft\",
        r"sharepoint\",
    ];
    const NAMES: [&str; 6] = [
        "airinvestigation",
        "certificate",
        "ffoservicepartneruser",
        "microsoft teams sync",
        "securitycompliancealerts",
        "threatintel",
    ];
    // S-1-5-21-… is an account of some domain; every other S-1-5-… is a well-known one
    let well_known_sid = user_id.starts_with("s-1-5-") && !is_account_sid(user_id);
    well_known_sid
        || PREFIXES.iter().any(|prefix| user_id.starts_with(prefix))
        || NAMES.contains(&user_id)
}

/// A SID of one account, and so the same person wherever it stands.
pub(super) fn is_account_sid(sid: &str) -> bool {
    sid.starts_with("s-1-5-21-")
}

/// A PUID (16 hexadecimal digits), and so the same person wherever it stands. All zeros are
/// nobody's.
pub(super) fn is_puid(user_key: &str) -> bool {
    user_key.len() == 16
        && user_key.bytes().all(|b| b.is_ascii_hexdigit())
        && user_key.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MailboxKind;
    use uuid::Uuid;

    fn actor(user_id: &str, user_type: Option<UserType>) -> Actor {
        let directory = Directory::new(
            vec![
                mailbox(
                    "support@contoso.com",
                    MailboxKind::Shared,
                    &["help@contoso.com"],
                ),
                mailbox(
                    "anna@contoso.com",
                    MailboxKind::User,
                    &["anna.k@contoso.com"],
                ),
            ],
            [],
        );
        let event = SendEvent {
            user_id: strip_claims(&user_id.to_lowercase()).to_owned(),
            user_type,
            owner: None,
            ..crate::domain::attribute::tests::event(1)
        };
        Actor::of(
            &event,
            &directory,
            &BTreeSet::from(["sales@contoso.com".into()]),
        )
    }

    fn mailbox(address: &str, kind: MailboxKind, aliases: &[&str]) -> Mailbox {
        Mailbox {
            address: address.into(),
            kind,
            aliases: aliases.iter().map(|&a| a.into()).collect(),
            display_name: String::new(),
            guid: None,
            object_id: Some(Uuid::from_u128(u128::from(kind == MailboxKind::User))),
        }
    }

    #[test]
    fn every_form_of_user_id() {
        let person = |address: &str| Actor::Person(address.into());
        let shared = |address: &str| Actor::SharedMailbox(address.into());
        for (user_id, expected) in [
            ("Bob@Contoso.com", person("bob@contoso.com")),
            ("anna.k@contoso.com", person("anna@contoso.com")),
            (
                "i:0#.f|membership|bob@contoso.com",
                person("bob@contoso.com"),
            ),
            (
                "guest_partner.com#EXT#@contoso.onmicrosoft.com",
                person("guest_partner.com#ext#@contoso.onmicrosoft.com"),
            ),
            ("HELP@contoso.com", shared("support@contoso.com")),
            ("sales@contoso.com", shared("sales@contoso.com")),
            ("S-1-5-18", Actor::System),
            (r"NT AUTHORITY\SYSTEM (w3wp)", Actor::System),
            ("SecurityComplianceAlerts", Actor::System),
            (r"SHAREPOINT\system", Actor::System),
            ("app@sharepoint", Actor::Application),
            (
                "ServicePrincipal_1f6e9f0e-3d6c-4c52-8f3b-0d6e6f1f5a11",
                Actor::Application,
            ),
            ("S-1-5-21-1-2-3-4", Actor::Unresolved),
            ("10032001266C162C", Actor::Unresolved),
            ("NOT-FOUND", Actor::Unresolved),
            ("", Actor::Unresolved),
            (
                r#""host/admin.user" on behalf of "host/user1""#,
                Actor::Unresolved,
            ),
            // an object id that the register knows
            (
                "00000000-0000-0000-0000-000000000001",
                person("anna@contoso.com"),
            ),
            ("00000000-0000-0000-0000-000000000002", Actor::Unresolved),
        ] {
            assert_eq!(actor(user_id, None), expected, "{user_id}");
            assert_eq!(actor(user_id, Some(UserType::Admin)), expected, "{user_id}");
        }
    }

    #[test]
    fn user_types_that_are_never_an_agent() {
        for user_type in (0..=10).filter_map(UserType::from_number) {
            let expected = match user_type {
                UserType::Application | UserType::ServicePrincipal => Actor::Application,
                UserType::DcAdmin
                | UserType::System
                | UserType::CustomPolicy
                | UserType::SystemPolicy => Actor::System,
                _ => Actor::Person("bob@contoso.com".into()),
            };
            assert_eq!(actor("bob@contoso.com", Some(user_type)), expected);
        }
    }
}
