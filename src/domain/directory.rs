//! What is known of a tenant's mailboxes and people.

mod person;

use super::{
    Identity, Lesson, SendEvent,
    actor::service_account,
    erasure::Tombstones,
    lesson::{AccountNow, Lessons, NamedBy, Seen},
};
use foldhash::HashMap;
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// Longest address that SMTP allows.
pub const MAX_ADDRESS: usize = 320;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailboxKind {
    /// A team answers from it.
    Shared,
    /// A person's own.
    User,
    /// A group or distribution list.
    Group,
    /// A room or a piece of equipment.
    Resource,
}

impl MailboxKind {
    /// Only a user mailbox's account can be an agent.
    pub fn is_person(self) -> bool {
        self == Self::User
    }
}

/// One entry of the register that callers put. Addresses are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The primary address: names the mailbox in every answer.
    pub address: String,
    pub kind: MailboxKind,
    /// Sorted, without the primary address.
    pub aliases: Vec<String>,
    pub display_name: String,
    /// `ExchangeGuid`.
    pub guid: Option<Uuid>,
    /// Entra object id of the account.
    pub object_id: Option<Uuid>,
}

/// The register and the lessons, as [`super::attribute`] asks them. Where both speak, the
/// register counts: people put it.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    register: Arc<Register>,
    lessons: Lessons,
    tombstones: Arc<Tombstones>,
}

#[derive(Debug, Default)]
struct Register {
    mailboxes: Vec<Mailbox>,
    by_address: HashMap<String, usize>,
    by_guid: HashMap<Uuid, usize>,
    by_object_id: HashMap<Uuid, usize>,
}

/// What new lessons make of a directory.
#[derive(Debug)]
pub struct Learned {
    pub directory: Directory,
    /// Something that was known is called differently now.
    pub renamed: bool,
    /// What is known now and was not, sorted.
    pub introduced: Vec<Identity<'static>>,
}

impl Directory {
    /// Entries must not share an address (the register refuses that). Where they share a
    /// GUID or an object id, the first in the order of addresses has it.
    pub fn new(mut mailboxes: Vec<Mailbox>, lessons: impl IntoIterator<Item = Lesson>) -> Self {
        mailboxes.sort_by(|a, b| a.address.cmp(&b.address));
        let mut register = Register::default();
        for (at, mailbox) in mailboxes.iter().enumerate() {
            for address in mailbox.aliases.iter().chain([&mailbox.address]) {
                register.by_address.entry(address.clone()).or_insert(at);
            }
            if let Some(guid) = mailbox.guid {
                register.by_guid.entry(guid).or_insert(at);
            }
            if let Some(object_id) = mailbox.object_id {
                register.by_object_id.entry(object_id).or_insert(at);
            }
        }
        register.mailboxes = mailboxes;
        Self {
            register: Arc::new(register),
            lessons: Lessons::new(lessons),
            tombstones: Arc::default(),
        }
    }

    /// The same with those who were erased.
    pub fn with_tombstones(mut self, tombstones: Tombstones) -> Self {
        self.tombstones = Arc::new(tombstones);
        self
    }

    /// Who was erased.
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// How many entries and lessons it holds.
    pub fn len(&self) -> usize {
        self.register.mailboxes.len() + self.lessons.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry that has this address, as its primary one or as an alias.
    pub fn registered(&self, address: &str) -> Option<&Mailbox> {
        let at = self.register.by_address.get(address)?;
        Some(&self.register.mailboxes[*at])
    }

    fn registered_guid(&self, guid: Uuid) -> Option<&Mailbox> {
        let at = self.register.by_guid.get(&guid)?;
        Some(&self.register.mailboxes[*at])
    }

    fn registered_object(&self, object_id: Uuid) -> Option<&Mailbox> {
        let at = self.register.by_object_id.get(&object_id)?;
        Some(&self.register.mailboxes[*at])
    }

    /// No lesson speaks of it.
    pub fn is_unknown(&self, identity: &Identity<'_>) -> bool {
        self.lessons.names(identity).is_empty()
    }

    /// The entry of the register that a mailbox has, by its address, its GUID, or names up to
    /// `most` that these lead to.
    pub fn mailbox(
        &self,
        address: Option<&str>,
        guid: Option<Uuid>,
        most: NamedBy,
    ) -> Option<&Mailbox> {
        let siblings = || {
            let now = |address: &&str| self.lessons.mailbox_now(address, most).is_some();
            let mut mailboxes = self.lessons.mailboxes_named(address.filter(now)?, most);
            mailboxes.find_map(|mailbox| self.registered_by_name(mailbox, most))
        };
        address
            .and_then(|address| self.registered(address))
            .or_else(|| self.registered_guid(guid?))
            .or_else(|| self.registered_by_name(&Identity::Mailbox(guid?), most))
            .or_else(siblings)
    }

    /// What the mailbox is called that has this address or this GUID. A GUID is surer: an
    /// address may have moved on.
    pub fn mailbox_name<'a>(
        &'a self,
        address: Option<&'a str>,
        guid: Option<Uuid>,
        most: NamedBy,
    ) -> Option<&'a str> {
        let learned = || self.lessons.current(&Identity::Mailbox(guid?));
        self.mailbox(address, guid, most)
            .map(|mailbox| mailbox.address.as_str())
            .or_else(|| Some(learned()?.address.as_str()))
            .or_else(|| self.lessons.mailbox_now(address?, most))
            .or(address)
    }

    /// The entry of the register for the account of an event whose `UserId` is `address`, or
    /// no address.
    pub fn account(&self, event: &SendEvent, address: Option<&str>) -> Option<&Mailbox> {
        let account = self.known_account(event, address);
        let own = event.owner_is_actor == Some(true);
        let object_id = || {
            let user_id = Uuid::try_parse(&event.user_id);
            event.object_id.or(user_id.ok())
        };
        // what two people had tells nothing
        let address = address.filter(|address| !self.lessons.account_now(address).reassigned);
        address
            .and_then(|address| self.registered(address))
            .or_else(|| self.registered_by_name(&account?, NamedBy::Owner))
            .or_else(|| self.registered(self.lessons.account_now(address?).name))
            .or_else(|| self.registered(event.owner.as_deref().filter(|_| own)?))
            .or_else(|| self.registered_guid(event.mailbox_guid.filter(|_| own)?))
            .or_else(|| self.registered_object(object_id()?))
    }

    /// What the account of an event is called. `None`: nothing leads to a name.
    pub fn account_name<'a>(
        &'a self,
        event: &'a SendEvent,
        address: Option<&'a str>,
    ) -> Option<&'a str> {
        self.known_account(event, address)
            .and_then(|account| self.name_of(&account))
            .or_else(|| Some(self.lessons.account_now(address?).name))
    }

    /// The first of the event's identifiers that lessons speak of. Not one that is called
    /// otherwise at the same time: `UserId` says who acted.
    fn known_account<'a>(
        &self,
        event: &'a SendEvent,
        address: Option<&str>,
    ) -> Option<Identity<'a>> {
        event.account().find(|account| {
            let mut doubtful = self.lessons.doubtful(account);
            !self.is_unknown(account)
                && !doubtful.any(|name| Some(name.address.as_str()) == address)
        })
    }

    fn registered_by_name(&self, identity: &Identity<'_>, most: NamedBy) -> Option<&Mailbox> {
        let mut names = self.lessons.own_names(identity, most);
        names.find_map(|name| self.registered(&name.address))
    }

    fn name_of(&self, account: &Identity<'_>) -> Option<&str> {
        let name = self.lessons.current(account)?;
        Some(self.lessons.account_now(&name.address).name)
    }

    /// What an agent is called whom the caller knows by this address.
    pub fn agent_name<'a>(&'a self, address: &'a str) -> &'a str {
        let now = self.lessons.account_now(address).name;
        self.registered(address)
            .or_else(|| self.registered(now))
            .map_or(now, |mailbox| &mailbox.address)
    }

    /// The lessons among those of the event that it does not hold yet.
    pub fn untaught(&self, event: &SendEvent, lessons: &mut Vec<Lesson>) {
        let is_account = service_account(event).is_none();
        for (identity, address, named_by) in event.teaches(is_account) {
            let seen = Seen::at(event.time);
            if !self.lessons.holds(&identity, address, named_by, seen) {
                lessons.push(Lesson {
                    identity: identity.into_owned(),
                    address: address.to_owned(),
                    named_by,
                    seen,
                });
            }
        }
    }

    /// What would tell more about the event, if a lesson spoke of it.
    pub fn waits_for<'a>(&self, event: &'a SendEvent) -> Vec<Identity<'a>> {
        let account = event.account().filter(|_| service_account(event).is_none());
        let mailboxes = event.mailbox_guids().map(Identity::Mailbox);
        let mut unknown: Vec<Identity<'a>> = account.chain(mailboxes).collect();
        unknown.retain(|identity| self.is_unknown(identity));
        unknown
    }

    pub fn learn(&self, lessons: &[Lesson]) -> Learned {
        let mut after = self.clone();
        after.lessons.extend(lessons.iter().cloned());
        let taught = || lessons.iter().map(|lesson| lesson.identity.borrowed());
        let introduced: BTreeSet<Identity<'_>> = taught()
            .filter(|identity| self.is_unknown(identity))
            .collect();
        let (identities, addresses) = after.lessons.connected(&self.lessons, taught());
        let renamed_identity = |identity: &Identity<'_>| {
            !self.is_unknown(identity) && self.identified(identity) != after.identified(identity)
        };
        let renamed_address = |address: &str| self.addressed(address) != after.addressed(address);
        let renamed = identities.iter().any(renamed_identity)
            || addresses.iter().any(|address| renamed_address(address));
        Learned {
            renamed,
            introduced: introduced.into_iter().map(Identity::into_owned).collect(),
            directory: after,
        }
    }

    /// All that an answer can take from an identity.
    fn identified<'a>(&'a self, identity: &'a Identity<'_>) -> Vec<Option<&'a str>> {
        let mut all = match identity {
            Identity::Mailbox(guid) => self.mailbox_told(None, Some(*guid)),
            account => {
                let registered = self.registered_by_name(account, NamedBy::Owner);
                let registered = registered.map(|mailbox| mailbox.address.as_str());
                vec![registered, self.name_of(account)]
            }
        };
        let doubtful = self.lessons.doubtful(identity);
        all.extend(doubtful.map(|name| Some(name.address.as_str())));
        all
    }

    /// All that an answer can take from an address.
    fn addressed<'a>(&'a self, address: &'a str) -> (AccountNow<'a>, Vec<Option<&'a str>>) {
        let account = self.lessons.account_now(address);
        (account, self.mailbox_told(Some(address), None))
    }

    fn mailbox_told<'a>(
        &'a self,
        address: Option<&'a str>,
        guid: Option<Uuid>,
    ) -> Vec<Option<&'a str>> {
        let most = [NamedBy::Owner, NamedBy::SentAs].into_iter();
        most.flat_map(|most| {
            let registered = self.mailbox(address, guid, most);
            let registered = registered.map(|mailbox| mailbox.address.as_str());
            [registered, self.mailbox_name(address, guid, most)]
        })
        .collect()
    }
}

/// Trims and lower-cases. `None` if it is no address: one `@` with something before it and
/// after it, no white space, no control characters, not too long.
pub fn parse_address(text: &str) -> Option<String> {
    let text = text.trim();
    is_address(text).then(|| text.to_lowercase())
}

fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// An address, in lower case, as people and mailboxes have it. An `@` is not enough:
/// `app@sharepoint` is nobody's, and some records have a template's placeholder.
pub fn has_domain(text: &str) -> bool {
    is_address(text)
        && text
            .rsplit_once('@')
            .is_some_and(|(_, domain)| domain.contains('.') && !domain.ends_with(".templatetenant"))
}

#[cfg(test)]
#[path = "directory_laws.rs"]
mod laws;
#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
