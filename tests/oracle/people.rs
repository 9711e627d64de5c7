//! Who acted, and from which mailbox it was sent, once all records and the register are known.

use super::{
    names::{Identity, NamedBy, Names},
    record::{Event, Operation, Service, Side, is_telling},
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What callers put: an entry of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub address: String,
    /// A shared mailbox, a group, a room: its account is never an agent.
    pub nobody: bool,
    pub aliases: Vec<String>,
    pub guid: Option<Uuid>,
    pub object_id: Option<Uuid>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    Person(String),
    /// The account of a mailbox that is nobody's.
    Account(String),
    Service(Service),
    Unresolved,
}

#[derive(Debug, Default)]
pub struct People {
    register: Vec<Entry>,
    names: Names,
}

impl People {
    pub fn of(events: &[Event], register: &[Entry]) -> Self {
        let mut register = register.to_vec();
        register.sort_by(|a, b| a.address.cmp(&b.address));
        Self {
            register,
            names: Names::of(events),
        }
    }

    fn entry(&self, is: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.register.iter().find(|entry| is(entry))
    }

    fn registered(&self, address: &str) -> Option<&Entry> {
        self.entry(|entry| entry.address == address || entry.aliases.iter().any(|a| a == address))
    }

    fn registered_by_name(&self, of: &Identity, most: NamedBy) -> Option<&Entry> {
        let names = self.names.own(of, most);
        names
            .into_iter()
            .find_map(|name| self.registered(&name.address))
    }

    /// The entry of a mailbox by all that leads to it; a GUID before what its address leads to.
    fn registered_mailbox(
        &self,
        address: Option<&str>,
        guid: Option<Uuid>,
        most: NamedBy,
    ) -> Option<&Entry> {
        let by_guid = |guid| self.entry(|entry| entry.guid == Some(guid));
        let learned = |guid| self.registered_by_name(&Identity::Mailbox(guid), most);
        let siblings = |address| {
            self.names.mailbox_now(address, most)?;
            let siblings = self.names.mailboxes_named(address, most);
            siblings
                .into_iter()
                .find_map(|of| self.registered_by_name(of, most))
        };
        address
            .and_then(|address| self.registered(address))
            .or_else(|| guid.and_then(by_guid))
            .or_else(|| guid.and_then(learned))
            .or_else(|| address.and_then(siblings))
    }

    fn mailbox_name(
        &self,
        address: Option<&str>,
        guid: Option<Uuid>,
        most: NamedBy,
    ) -> Option<String> {
        if let Some(entry) = self.registered_mailbox(address, guid, most) {
            return Some(entry.address.clone());
        }
        if let Some(name) = guid.and_then(|guid| self.names.current(&Identity::Mailbox(guid))) {
            return Some(name.address.clone());
        }
        let address = address?;
        let now = self.names.mailbox_now(address, most);
        Some(now.unwrap_or(address).to_owned())
    }

    /// The first of its identifiers that has names, and none that is used beside this one.
    fn known_account(&self, event: &Event, address: Option<&str>) -> Option<Identity> {
        let beside = |of: &Identity| {
            let doubtful = self.names.doubtful(of);
            doubtful
                .iter()
                .any(|name| Some(name.address.as_str()) == address)
        };
        let identities = event.identities();
        identities
            .into_iter()
            .find(|of| self.names.knows(of) && !beside(of))
    }

    fn registered_account(&self, event: &Event, address: Option<&str>) -> Option<&Entry> {
        let now = address.map(|address| self.names.account_now(address));
        // what two people had tells nothing
        let reassigned = now.as_ref().is_some_and(|now| now.reassigned);
        let address_of_one = address.filter(|_| !reassigned);
        let own = event.owner_is_actor == Some(true);
        let object = event
            .object_id
            .or_else(|| Uuid::try_parse(event.user_id.as_deref()?).ok());
        address_of_one
            .and_then(|address| self.registered(address))
            .or_else(|| {
                let account = self.known_account(event, address)?;
                self.registered_by_name(&account, NamedBy::Owner)
            })
            .or_else(|| self.registered(&now.filter(|_| !reassigned)?.name))
            .or_else(|| self.registered(event.owner.as_deref().filter(|_| own)?))
            .or_else(|| {
                let guid = event.owner_guid.filter(|_| own)?;
                self.entry(|entry| entry.guid == Some(guid))
            })
            .or_else(|| {
                let object = object?;
                self.entry(|entry| entry.object_id == Some(object))
            })
    }

    fn account_name(&self, event: &Event, address: Option<&str>) -> Option<String> {
        let account = self.known_account(event, address);
        let name = account.and_then(|account| self.names.current(&account));
        let name = name.map(|name| name.address.as_str()).or(address)?;
        Some(self.names.account_now(name).name)
    }

    /// `sent_as`: all that the message was sent as. Whoever is called so is that account itself.
    pub fn actor(&self, event: &Event, sent_as: &BTreeSet<String>) -> Actor {
        if let Some(service) = event.service() {
            return Actor::Service(service);
        }
        let address = event.user_id.as_deref().filter(|name| is_telling(name));
        if let Some(entry) = self.registered_account(event, address) {
            let name = entry.address.clone();
            return if entry.nobody {
                Actor::Account(name)
            } else {
                Actor::Person(name)
            };
        }
        let Some(name) = self.account_name(event, address) else {
            return Actor::Unresolved;
        };
        let own = event
            .owner
            .as_deref()
            .filter(|_| event.owner_is_actor == Some(true));
        for called in [Some(name.as_str()), address, own].into_iter().flatten() {
            let mailbox = self.mailbox_name(Some(called), None, NamedBy::SentAs);
            if let Some(mailbox) = mailbox.filter(|mailbox| sent_as.contains(mailbox)) {
                return Actor::Account(mailbox);
            }
        }
        Actor::Person(name)
    }

    /// What it was sent as: as the record says, else the owner of the log, if that is not the
    /// actor's own. A plain `Send` does not say; but the log of a shared mailbox does, and that
    /// of somebody else whom an administrator works for.
    pub fn mailbox(&self, event: &Event) -> Option<String> {
        let owner = event.owner.as_deref();
        let log = |most| self.mailbox_name(owner, event.owner_guid, most);
        if event.operation != Operation::Send {
            let address = event.sent_as.as_deref();
            let named = self.mailbox_name(address, event.guid_of_sent_as(), NamedBy::SentAs);
            let is_told = event.side == Side::Mailbox;
            return named.or_else(|| log(NamedBy::SentAs).filter(|_| is_told));
        }
        let registered = self.registered_mailbox(owner, event.owner_guid, NamedBy::Owner);
        if let Some(entry) = registered.filter(|entry| entry.nobody) {
            return Some(entry.address.clone());
        }
        owner?;
        let user = event.user_id.as_deref().unwrap_or_default();
        let own = self.mailbox_name(Some(user), None, NamedBy::Owner);
        let others = event.owner_is_actor == Some(false) && !event.sid_is_doubtful;
        log(NamedBy::Owner).filter(|log| others && Some(log) != own.as_ref())
    }

    /// That of the actor himself, by the log that the event is in. Where register and records both
    /// speak, the register counts: what people say to be nobody's is not his.
    pub fn own_mailbox(&self, event: &Event) -> Option<String> {
        let (owner, guid) = (event.owner.as_deref(), event.owner_guid);
        let registered = self.registered_mailbox(owner, guid, NamedBy::Owner);
        let his =
            event.owner_is_actor == Some(true) && registered.is_none_or(|entry| !entry.nobody);
        self.mailbox_name(owner, guid, NamedBy::Owner)
            .filter(|_| his)
    }
}
