//! Who is who, once all records and the register are known.

use super::record::{Event, Operation};
use std::collections::{BTreeMap, BTreeSet};
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

/// What has names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Sid(String),
    Puid(String),
    Object(Uuid),
    Mailbox(Uuid),
}

/// Which field the name stood in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedBy {
    UserId,
    Owner,
    SentAs,
}

/// From the first to the last event that uses the name, the last one cut to its hour.
#[derive(Clone, Copy, Debug)]
struct Use {
    first: i64,
    last: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Person(String),
    System,
    Application,
    /// The account of a mailbox that is nobody's.
    Account,
    Unresolved,
}

#[derive(Debug, Default)]
pub struct People {
    register: Vec<Entry>,
    names: BTreeMap<Identity, BTreeMap<(NamedBy, String), Use>>,
}

impl People {
    pub fn of(events: &[Event], register: &[Entry]) -> Self {
        let mut people = Self {
            register: register.to_vec(),
            names: BTreeMap::new(),
        };
        for event in events {
            people.learn(event);
        }
        people
    }

    fn learn(&mut self, event: &Event) {
        let mut told = Vec::new();
        if let Some(name) = event.user_id.as_ref().filter(|_| may_be_person(event)) {
            let is_his_session = event.logon_type != Some(0)
                || event.owner_sid.is_none()
                || event.owner_sid == event.logon_sid;
            let sid = event.logon_sid.as_deref().filter(|_| is_his_session);
            told.extend(sid.and_then(account_sid).map(|id| (id, NamedBy::UserId, name)));
            let puid = event.user_key.as_deref().and_then(puid);
            told.extend(puid.map(|id| (id, NamedBy::UserId, name)));
            let object = event.object_id.map(Identity::Object);
            told.extend(object.map(|id| (id, NamedBy::UserId, name)));
        }
        if let Some(name) = event.owner.as_ref().filter(|name| is_address(name)) {
            let sid = event.owner_sid.as_deref().and_then(account_sid);
            told.extend(sid.map(|id| (id, NamedBy::Owner, name)));
            let guid = event.owner_guid.map(Identity::Mailbox);
            told.extend(guid.map(|id| (id, NamedBy::Owner, name)));
        }
        if let Some(name) = event.sent_as.as_ref().filter(|name| is_address(name)) {
            let guid = event.sent_as_guid.map(Identity::Mailbox);
            told.extend(guid.map(|id| (id, NamedBy::SentAs, name)));
        }
        for (identity, by, name) in told {
            let names = self.names.entry(identity).or_default();
            let hour = event.time - event.time.rem_euclid(3600);
            let known = names.entry((by, name.clone())).or_insert(Use {
                first: event.time,
                last: hour,
            });
            known.first = known.first.min(event.time);
            known.last = known.last.max(hour);
        }
    }

    fn registered(&self, address: &str) -> Option<&Entry> {
        let mut entries = self.register.iter();
        entries.find(|entry| entry.address == address || entry.aliases.iter().any(|a| a == address))
    }

    /// The newest name by which an identity goes: the register's, else of the field that tells
    /// best.
    fn name_of(&self, identity: &Identity) -> Option<String> {
        let entry = self.register.iter().find(|entry| match identity {
            Identity::Object(id) => entry.object_id == Some(*id),
            Identity::Mailbox(id) => entry.guid == Some(*id),
            _ => false,
        });
        if let Some(entry) = entry {
            return Some(entry.address.clone());
        }
        let names = self.names.get(identity)?;
        [NamedBy::UserId, NamedBy::Owner, NamedBy::SentAs]
            .into_iter()
            .find_map(|by| {
                let of_field = names.iter().filter(|((named_by, _), _)| *named_by == by);
                of_field.max_by_key(|((_, name), used)| (used.last, used.first, (*name).clone()))
            })
            .map(|((_, name), _)| name.clone())
    }

    /// The name of today of whoever or whatever had this one.
    pub fn today(&self, address: &str, mailbox: bool) -> String {
        let mut name = address.to_owned();
        let mut seen = BTreeSet::from([name.clone()]);
        loop {
            if let Some(entry) = self.registered(&name) {
                return entry.address.clone();
            }
            match self.next_name(&name, mailbox) {
                Some(next) if seen.insert(next.clone()) => name = next,
                _ => return name,
            }
        }
    }

    /// The name that followed this one: it begins where this one ends.
    fn next_name(&self, address: &str, mailbox: bool) -> Option<String> {
        let is_of_kind = |identity: &Identity| matches!(identity, Identity::Mailbox(_)) == mailbox;
        let has = |names: &BTreeMap<(NamedBy, String), Use>| {
            names.keys().any(|(_, name)| name == address)
        };
        let holders: Vec<_> = self
            .names
            .iter()
            .filter(|(identity, names)| is_of_kind(identity) && has(names))
            .collect();
        let last = holders.iter().flat_map(|(_, names)| names.iter());
        let last = last.filter(|((_, name), _)| name == address).map(|(_, used)| used.last).max()?;
        let mut followers = BTreeSet::new();
        for (_, names) in &holders {
            let best = if mailbox { NamedBy::Owner } else { NamedBy::UserId };
            let is_alias = !names.contains_key(&(best, address.to_owned()));
            for ((by, name), used) in names.iter() {
                let follows = used.first >= last || mailbox && is_alias;
                if *by == best && name != address && follows {
                    followers.insert((used.last, used.first, name.clone()));
                }
            }
        }
        let one_holder = !mailbox || holders.len() == 1;
        followers.into_iter().next_back().filter(|_| one_holder).map(|(_, _, name)| name)
    }

    pub fn actor(&self, event: &Event) -> Actor {
        match event.user_type {
            Some(5 | 6) => return Actor::Application,
            Some(3 | 4 | 7 | 8) => return Actor::System,
            _ => {}
        }
        let user_id = event.user_id.as_deref().unwrap_or_default();
        if is_system(user_id) {
            return Actor::System;
        }
        if user_id.starts_with("serviceprincipal_") {
            return Actor::Application;
        }
        let name = if is_address(user_id) {
            Some(user_id.to_owned())
        } else {
            identities(event).iter().find_map(|identity| self.name_of(identity))
        };
        let Some(name) = name.map(|name| self.today(&name, false)) else {
            return Actor::Unresolved;
        };
        let is_nobody = self.registered(&name).is_some_and(|entry| entry.nobody);
        let sent_as_itself = event.operation != Operation::Send
            && self.mailbox(event).is_some_and(|mailbox| mailbox == name);
        if is_nobody || sent_as_itself || self.is_account_of_nobody(event) {
            Actor::Account
        } else {
            Actor::Person(name)
        }
    }

    /// Its name is not registered, but the log that it owns is a shared mailbox's.
    fn is_account_of_nobody(&self, event: &Event) -> bool {
        let names = event.logon_sid.as_deref().and_then(account_sid);
        let names = names.and_then(|sid| self.names.get(&sid));
        let mut owned = names.into_iter().flatten().filter(|((by, _), _)| *by == NamedBy::Owner);
        owned.any(|((_, name), _)| self.registered(name).is_some_and(|entry| entry.nobody))
    }

    /// What it was sent from, as far as the record tells.
    pub fn mailbox(&self, event: &Event) -> Option<String> {
        if let Some(address) = event.sent_as.as_deref().filter(|name| is_address(name)) {
            return Some(self.today(address, true));
        }
        let by_guid = event.sent_as_guid.and_then(|id| self.name_of(&Identity::Mailbox(id)));
        if let Some(name) = by_guid {
            return Some(self.today(&name, true));
        }
        let owner = event.owner.as_deref().filter(|name| is_address(name));
        let by_guid = || event.owner_guid.and_then(|id| self.name_of(&Identity::Mailbox(id)));
        let owner = owner.map(str::to_owned).or_else(by_guid);
        let owner = owner.map(|name| self.today(&name, true))?;
        let is_nobodys = self.registered(&owner).is_some_and(|entry| entry.nobody);
        let no_person = matches!(event.user_type, Some(3..=8));
        (event.is_others_log() || is_nobodys || no_person).then_some(owner)
    }
}

/// Whoever it is whose name the record lacks: `UserId` itself first.
pub fn identities(event: &Event) -> Vec<Identity> {
    let user_id = event.user_id.as_deref().unwrap_or_default();
    let itself = account_sid(user_id)
        .or_else(|| puid(user_id))
        .or_else(|| Uuid::try_parse(user_id).ok().map(Identity::Object));
    let sid = event.logon_sid.as_deref().and_then(account_sid);
    let puid = event.user_key.as_deref().and_then(puid);
    let object = event.object_id.map(Identity::Object);
    [itself, object, puid, sid].into_iter().flatten().collect()
}

pub fn account_sid(text: &str) -> Option<Identity> {
    text.starts_with("s-1-5-21-").then(|| Identity::Sid(text.to_owned()))
}

/// 16 hexadecimal digits, perhaps with a domain.
pub fn puid(text: &str) -> Option<Identity> {
    let digits = text.split('@').next()?;
    let is_puid = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_puid.then(|| Identity::Puid(digits.to_owned()))
}

fn is_system(user_id: &str) -> bool {
    const NAMES: [&str; 8] = [
        "securitycompliancealerts",
        r"microsoft\serviceoperator",
        "ffoservicepartneruser",
        r"sharepoint\system",
        "app@sharepoint",
        "airinvestigation",
        "microsoft teams sync",
        "threatintel",
    ];
    user_id.starts_with(r"nt authority\")
        || ["s-1-5-18", "s-1-5-19", "s-1-5-20"].contains(&user_id)
        || NAMES.contains(&user_id)
}

fn may_be_person(event: &Event) -> bool {
    let is_nobody = matches!(event.user_type, Some(3..=8));
    let user_id = event.user_id.as_deref().unwrap_or_default();
    !is_nobody && !is_system(user_id) && is_address(user_id)
}

/// One `@` with something on both sides, and no space.
pub fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    let has_parts = parts.len() == 2 && parts.iter().all(|part| !part.is_empty());
    has_parts && !text.contains(char::is_whitespace) && !text.contains('"') && puid(text).is_none()
}
