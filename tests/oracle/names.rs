//! Who has been called what, and what it is called now. The specification says: the newest name
//! counts; a name is followed by another only where it ends when the other begins; names that
//! are used side by side, an address that went on to somebody else, and a record that mixes two
//! accounts up rename nobody. All else here is the real one's choice, told in other words: plain
//! lists, asked anew for each question.

use super::record::{Event, is_telling};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What has names. In the order in which several are asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Sid(String),
    Object(Uuid),
    Puid(String),
    Mailbox(Uuid),
}

impl Identity {
    fn is_mailbox(&self) -> bool {
        matches!(self, Self::Mailbox(_))
    }

    pub fn is_of_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Which field the name stood in; the best known comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedBy {
    UserId,
    Owner,
    SentAs,
}

/// A name from its first to its last use, the last one cut to its hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    of: Identity,
    pub by: NamedBy,
    pub address: String,
    first: i64,
    last: i64,
}

const HOUR: i64 = 3_600_000_000;
/// What more than so many go by tells nothing.
const MANY: usize = 32;

fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR) * HOUR
}

impl Name {
    /// It ended when the other began, and the other went on for longer.
    fn made_way_for(&self, other: &Self) -> bool {
        self.last <= hour(other.first) && self.last < other.last
    }

    fn is_better_than(&self, other: &Self) -> bool {
        let order = |name: &Self| (name.by, -name.last, -name.first, name.address.clone());
        order(self) < order(other)
    }
}

/// What became of the name of an account.
pub struct Now {
    pub name: String,
    /// It went from one person to another.
    pub reassigned: bool,
}

enum Next {
    Nothing,
    Name(Name),
    SeveralPeople,
}

/// By what has them, the best first; and by the name, who has it: mailboxes (`true`) any, accounts
/// in their `UserId`.
#[derive(Debug, Default)]
pub struct Names {
    names: BTreeMap<Identity, Vec<Name>>,
    called: BTreeMap<(bool, String), BTreeSet<Identity>>,
}

impl Names {
    pub fn of(events: &[Event]) -> Self {
        let mut names = Self::default();
        for event in events {
            names.learn(event);
        }
        for of in names.names.values_mut() {
            of.sort_by_key(|name| (name.by, -name.last, -name.first, name.address.clone()));
        }
        for name in names.names.values().flatten() {
            let mailboxes = name.of.is_mailbox();
            if name.by == NamedBy::UserId || mailboxes {
                let called = names.called.entry((mailboxes, name.address.clone()));
                called.or_default().insert(name.of.clone());
            }
        }
        names
    }

    fn learn(&mut self, event: &Event) {
        let owner = event.owner.as_deref().filter(|name| is_telling(name));
        let sent_as = event.sent_as.as_deref().filter(|name| is_telling(name));
        let user = event.user_id.as_deref().filter(|name| is_telling(name));
        if let Some(user) = user.filter(|_| event.service().is_none()) {
            for identity in event.identities() {
                let own = owner.filter(|own| event.owner_is_actor == Some(true) && *own != user);
                if let Some(own) = own {
                    self.add(&identity, NamedBy::Owner, own, event.time);
                }
                self.add(&identity, NamedBy::UserId, user, event.time);
            }
        }
        if let (Some(guid), Some(owner)) = (event.owner_guid, owner) {
            self.add(&Identity::Mailbox(guid), NamedBy::Owner, owner, event.time);
        }
        if let (Some(guid), Some(address)) = (event.guid_of_sent_as(), sent_as) {
            self.add(
                &Identity::Mailbox(guid),
                NamedBy::SentAs,
                address,
                event.time,
            );
        }
    }

    fn add(&mut self, of: &Identity, by: NamedBy, address: &str, time: i64) {
        let names = self.names.entry(of.clone()).or_default();
        let mut known = names.iter_mut();
        let known = known.find(|name| name.by == by && name.address == address);
        if let Some(name) = known {
            name.first = name.first.min(time);
            name.last = name.last.max(hour(time));
        } else {
            names.push(Name {
                of: of.clone(),
                by,
                address: address.to_owned(),
                first: time,
                last: hour(time),
            });
        }
    }

    fn names(&self, of: &Identity) -> &[Name] {
        self.names.get(of).map_or(&[], Vec::as_slice)
    }

    pub fn knows(&self, of: &Identity) -> bool {
        !self.names(of).is_empty()
    }

    fn called(&self, mailboxes: bool, address: &str) -> impl Iterator<Item = &Identity> {
        let called = self.called.get(&(mailboxes, address.to_owned()));
        called.into_iter().flatten()
    }

    fn is_shared(&self, name: &Name) -> bool {
        let mailboxes = name.of.is_mailbox();
        if !mailboxes && name.by != NamedBy::UserId {
            return false; // others may send from his mailbox too
        }
        let called = || self.called(mailboxes, &name.address);
        let has_it = |other: &&Identity| {
            let mut names = self.names(other).iter();
            names.any(|other| (other.by, &other.address) == (name.by, &name.address))
        };
        let others = called().filter(|other| **other != name.of && other.is_of_kind(&name.of));
        called().count() > MANY || others.filter(has_it).count() > 0
    }

    /// Names of the best known kind, the newest first.
    fn newest(&self, of: &Identity) -> Vec<&Name> {
        let names = self.names(of);
        let best = names.first().map(|name| name.by);
        names.iter().filter(|name| Some(name.by) == best).collect()
    }

    /// The newest that no other has, else the newest.
    pub fn current(&self, of: &Identity) -> Option<&Name> {
        let newest = self.newest(of);
        let own = newest.iter().find(|name| !self.is_shared(name));
        own.or(newest.first()).copied()
    }

    /// Names that did not make way for the current one.
    pub fn doubtful(&self, of: &Identity) -> Vec<&Name> {
        let Some(current) = self.current(of) else {
            return Vec::new();
        };
        let mut names = self.newest(of);
        names.retain(|name| *name != current && !name.made_way_for(current));
        names
    }

    /// By which it can be found: the current one, then what made way for it and what is of
    /// another kind, unless others have it too.
    pub fn own(&self, of: &Identity, most: NamedBy) -> Vec<&Name> {
        let Some(current) = self.current(of) else {
            return Vec::new();
        };
        let mut own = vec![current];
        own.extend(self.names(of).iter().filter(|name| {
            let is_former = name.by != current.by || name.made_way_for(current);
            is_former && !self.is_shared(name)
        }));
        own.retain(|name| name.by <= most);
        own
    }

    fn leads_to(&self, of: &Identity, address: &str) -> Option<&Name> {
        let doubtful = self.doubtful(of);
        let itself = doubtful.into_iter().find(|name| name.address == address);
        itself.or_else(|| self.current(of))
    }

    /// What the account is called now that once had this name in `UserId`.
    pub fn account_now(&self, address: &str) -> Now {
        let mut name = address.to_owned();
        let mut since = i64::MIN;
        loop {
            match self.next(&name) {
                Next::SeveralPeople => {
                    let reassigned = name == address;
                    return Now { name, reassigned };
                }
                Next::Name(next) if next.address != name && since < next.last => {
                    name = next.address;
                    since = next.last;
                }
                Next::Name(_) | Next::Nothing => {
                    return Now {
                        name,
                        reassigned: false,
                    };
                }
            }
        }
    }

    fn next(&self, address: &str) -> Next {
        if self.called(false, address).count() > MANY {
            return Next::Nothing;
        }
        let mut led: Vec<(&Identity, &Name)> = Vec::new();
        for account in self.called(false, address) {
            let Some(name) = self.leads_to(account, address) else {
                continue;
            };
            let is_another = |(other, other_name): &(&Identity, &Name)| {
                other.is_of_kind(account) && other_name.address != name.address
            };
            if led.iter().any(is_another) {
                return Next::SeveralPeople;
            }
            led.push((account, name));
        }
        let best = led.into_iter().map(|(_, name)| name);
        let best = best.reduce(|best, name| {
            if name.is_better_than(best) {
                name
            } else {
                best
            }
        });
        best.map_or(Next::Nothing, |name| Next::Name(name.clone()))
    }

    /// Mailboxes that have had this address as a name of a kind up to `most`.
    pub fn mailboxes_named(&self, address: &str, most: NamedBy) -> Vec<&Identity> {
        if self.called(true, address).count() > MANY {
            return Vec::new();
        }
        let has = |of: &&Identity| {
            let mut names = self.names(of).iter();
            names.any(|name| name.address == address && name.by <= most)
        };
        self.called(true, address).filter(has).collect()
    }

    /// The one name that the address of a mailbox leads to.
    pub fn mailbox_now(&self, address: &str, most: NamedBy) -> Option<&str> {
        let mailboxes = self.mailboxes_named(address, most);
        let names = mailboxes
            .into_iter()
            .filter_map(|of| self.leads_to(of, address));
        let names: BTreeSet<&str> = names.map(|name| name.address.as_str()).collect();
        names.first().copied().filter(|_| names.len() == 1)
    }
}
