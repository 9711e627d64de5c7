//! What kept records teach: which addresses an account or a mailbox has had.
//!
//! Lessons are a set that only grows: of each name the time of the first and of the last event
//! that shows it. So what is learned does not depend on the order in which records come either.
//!
//! A name follows another one where it begins after the other has ended. Two names that are
//! used side by side are no rename: a record may mix two accounts up, or a name may come back.
//! Then each record is taken at its word.

use super::{Identity, SendEvent, Timestamp, directory::has_domain};
use foldhash::HashMap;
use std::{cmp::Reverse, collections::BTreeSet};
use uuid::Uuid;

/// Where a record names the address. What is better known comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedBy {
    /// `UserId`: the name that the account signs in with.
    UserId,
    /// `MailboxOwnerUPN`: the primary address of the mailbox whose log it is; of an account,
    /// that of its own mailbox.
    Owner,
    /// `SendAsUserSmtp` or `SendOnBehalfOfUserSmtp`: any address of the mailbox.
    SentAs,
}

impl NamedBy {
    pub const ALL: [Self; 3] = [Self::UserId, Self::Owner, Self::SentAs];

    /// As in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserId => "USER_ID",
            Self::Owner => "OWNER",
            Self::SentAs => "SENT_AS",
        }
    }
}

/// "This account, or this mailbox, is called so."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub identity: Identity<'static>,
    /// In lower case.
    pub address: String,
    pub named_by: NamedBy,
    /// Of the events that say so.
    pub seen: Seen,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub first: Timestamp,
    /// To the hour, so that not every event is news.
    pub last: Timestamp,
}

impl Seen {
    pub fn at(time: Timestamp) -> Self {
        Self {
            first: time,
            last: hour(time),
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    fn covers(self, other: Self) -> bool {
        self.and(other) == self
    }

    /// It ended when the other began, and that went on longer.
    fn precedes(self, other: Self) -> bool {
        self.last <= hour(other.first) && self.last < other.last
    }
}

fn hour(time: Timestamp) -> Timestamp {
    const HOUR: i64 = 3_600_000_000;
    Timestamp::from_micros(time.micros().div_euclid(HOUR) * HOUR)
}

impl SendEvent {
    /// What the event teaches by itself. `is_account`: its actor is an account that a person
    /// may use; what identifies him identifies that account.
    pub fn teaches(&self, is_account: bool) -> Vec<(Identity<'_>, &str, NamedBy)> {
        fn telling(address: Option<&str>) -> Option<&str> {
            address.filter(|address| has_domain(address))
        }
        let owner = telling(self.owner.as_deref());
        let sent_as = telling(self.sent_as.as_deref());
        let mut taught = Vec::with_capacity(8);
        if let Some(user) = telling(Some(&self.user_id)).filter(|_| is_account) {
            // the same name twice says nothing more
            let own = owner.filter(|owner| self.owner_is_actor == Some(true) && *owner != user);
            for identity in self.account() {
                taught.extend(own.map(|own| (identity.clone(), own, NamedBy::Owner)));
                taught.push((identity, user, NamedBy::UserId));
            }
        }
        for (guid, address, named_by) in [
            (self.mailbox_guid, owner, NamedBy::Owner),
            (self.sent_as_mailbox(), sent_as, NamedBy::SentAs),
        ] {
            let mailbox = guid.map(Identity::Mailbox).zip(address);
            taught.extend(mailbox.map(|(mailbox, address)| (mailbox, address, named_by)));
        }
        taught
    }
}

/// More accounts or mailboxes than this under one address tell nothing about each other.
const MANY: usize = 32;

/// One of the addresses of an account or a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub address: String,
    pub named_by: NamedBy,
    pub seen: Seen,
}

impl Name {
    /// The smallest is what it is called: the best known kind, of that the newest.
    fn order(&self) -> (NamedBy, Reverse<(Timestamp, Timestamp)>, &str) {
        let newest = Reverse((self.seen.last, self.seen.first));
        (self.named_by, newest, &self.address)
    }
}

/// The lessons of a tenant, indexed both ways.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    sids: HashMap<Box<str>, Vec<Name>>,
    puids: HashMap<Box<str>, Vec<Name>>,
    objects: HashMap<Uuid, Vec<Name>>,
    mailboxes: HashMap<Uuid, Vec<Name>>,
    /// Accounts by what stands in `UserId`; mailboxes by any of their addresses.
    accounts_called: HashMap<Box<str>, Vec<Identity<'static>>>,
    mailboxes_called: HashMap<Box<str>, Vec<Identity<'static>>>,
    len: usize,
}

impl Lessons {
    pub fn new(lessons: impl IntoIterator<Item = Lesson>) -> Self {
        let mut all = Self::default();
        all.extend(lessons);
        all
    }

    pub fn extend(&mut self, lessons: impl IntoIterator<Item = Lesson>) {
        let mut touched = BTreeSet::new();
        for lesson in lessons {
            touched.insert(lesson.identity.clone());
            self.add(lesson);
        }
        for identity in &touched {
            let names = self.names_mut(identity);
            names.sort_by(|a, b| a.order().cmp(&b.order()));
        }
    }

    fn names_mut(&mut self, identity: &Identity<'_>) -> &mut Vec<Name> {
        match identity {
            Identity::Sid(sid) => self.sids.entry((**sid).into()).or_default(),
            Identity::Puid(puid) => self.puids.entry((**puid).into()).or_default(),
            Identity::Object(id) => self.objects.entry(*id).or_default(),
            Identity::Mailbox(guid) => self.mailboxes.entry(*guid).or_default(),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it is called, in the order of [`NamedBy`], of each kind the newest first. Nothing:
    /// no lesson speaks of it.
    pub fn names(&self, identity: &Identity<'_>) -> &[Name] {
        let names = match identity {
            Identity::Sid(sid) => self.sids.get(&**sid),
            Identity::Puid(puid) => self.puids.get(&**puid),
            Identity::Object(id) => self.objects.get(id),
            Identity::Mailbox(guid) => self.mailboxes.get(guid),
        };
        names.map_or(&[], Vec::as_slice)
    }

    /// The mailboxes that have this address, or the accounts that stand under it in `UserId`.
    fn called(&self, is_mailbox: bool, address: &str) -> &[Identity<'static>] {
        let called = if is_mailbox {
            &self.mailboxes_called
        } else {
            &self.accounts_called
        };
        called.get(address).map_or(&[], Vec::as_slice)
    }

    /// The set would not change by it.
    pub fn holds(
        &self,
        identity: &Identity<'_>,
        address: &str,
        named_by: NamedBy,
        seen: Seen,
    ) -> bool {
        self.names(identity).iter().any(|name| {
            name.address == address && name.named_by == named_by && name.seen.covers(seen)
        })
    }

    /// The names are to be sorted again.
    fn add(&mut self, lesson: Lesson) {
        let Lesson {
            identity,
            address,
            named_by,
            seen,
        } = lesson;
        let names = self.names_mut(&identity);
        let known = names
            .iter_mut()
            .find(|name| name.address == address && name.named_by == named_by);
        if let Some(known) = known {
            known.seen = known.seen.and(seen);
        } else {
            names.push(Name {
                address: address.clone(),
                named_by,
                seen,
            });
            self.len += 1;
        }
        let called = match (identity.is_mailbox(), named_by) {
            (true, _) => &mut self.mailboxes_called,
            (false, NamedBy::UserId) => &mut self.accounts_called,
            // his own mailbox; others may send from it too
            (false, _) => return,
        };
        // sorted: in which order they came must not show
        let called = called.entry(address.into()).or_default();
        if let Err(at) = called.binary_search(&identity) {
            called.insert(at, identity);
        }
    }

    /// What it is called now: its newest name that no other has, else its newest. One record
    /// that mixes two accounts up must not rename the one to the other.
    pub fn current(&self, identity: &Identity<'_>) -> Option<&Name> {
        self.newest(identity)
            .find(|name| !self.is_shared(identity, name))
            .or_else(|| self.names(identity).first())
    }

    /// Its names of the best known kind, the newest first.
    fn newest(&self, identity: &Identity<'_>) -> impl Iterator<Item = &Name> {
        let names = self.names(identity);
        let best = names.first().map(|name| name.named_by);
        names
            .iter()
            .take_while(move |name| Some(name.named_by) == best)
    }

    /// Names that did not make way for [`Self::current`]: who stands under one of them is not
    /// meant by the other.
    pub fn doubtful(&self, identity: &Identity<'_>) -> impl Iterator<Item = &Name> {
        let current = self.current(identity);
        self.newest(identity).filter(move |name| {
            current.is_some_and(|current| *name != current && !name.seen.precedes(current.seen))
        })
    }

    /// The names by which it can be found, [`Self::current`] first: those that made way for it,
    /// and those of other kinds up to `most`, but none that others have too.
    pub fn own_names<'a>(
        &'a self,
        identity: &'a Identity<'_>,
        most: NamedBy,
    ) -> impl Iterator<Item = &'a Name> {
        let current = self.current(identity);
        let others = self.names(identity).iter().filter(move |name| {
            let is_former = current.is_some_and(|current| {
                name.named_by != current.named_by || name.seen.precedes(current.seen)
            });
            is_former && !self.is_shared(identity, name)
        });
        current
            .into_iter()
            .chain(others)
            .filter(move |name| name.named_by <= most)
    }

    /// The name that one leads to: the current one, unless it did not make way for that.
    fn leads_to(&self, identity: &Identity<'_>, address: &str) -> Option<&Name> {
        let current = self.current(identity)?;
        let mut doubtful = self.doubtful(identity);
        Some(
            doubtful
                .find(|name| name.address == address)
                .unwrap_or(current),
        )
    }

    /// Another one of its kind is or was called so too.
    fn is_shared(&self, identity: &Identity<'_>, name: &Name) -> bool {
        let is_mailbox = identity.is_mailbox();
        if !is_mailbox && name.named_by != NamedBy::UserId {
            return false;
        }
        let called = self.called(is_mailbox, &name.address);
        let same = |other: &Name| other.address == name.address && other.named_by == name.named_by;
        called.len() > MANY
            || called.iter().any(|other| {
                other != identity
                    && other.is_of_kind(identity)
                    && self.names(other).iter().any(same)
            })
    }

    /// What the account is called now that stands under this name in `UserId`.
    pub fn account_now<'a>(&'a self, address: &'a str) -> AccountNow<'a> {
        let mut now = AccountNow {
            name: address,
            reassigned: false,
        };
        let mut since: Option<Timestamp> = None;
        loop {
            match self.successor(now.name) {
                Successor::SeveralPeople => {
                    now.reassigned = now.name == address;
                    return now;
                }
                // one name follows another in time, or the walk would not end
                Successor::Name(next)
                    if next.address != now.name && since.is_none_or(|at| at < next.seen.last) =>
                {
                    now.name = &next.address;
                    since = Some(next.seen.last);
                }
                Successor::Name(_) | Successor::Nothing => return now,
            }
        }
    }

    /// The newest of the names that this one leads to.
    fn successor(&self, address: &str) -> Successor<'_> {
        let accounts = self.called(false, address);
        if accounts.len() > MANY {
            return Successor::Nothing;
        }
        let names = accounts
            .iter()
            .map(|account| self.leads_to(account, address));
        let names: Vec<Option<&Name>> = names.collect();
        let mut newest: Option<&Name> = None;
        for (at, (account, name)) in accounts.iter().zip(&names).enumerate() {
            let Some(name) = *name else { continue };
            let two_people = accounts[..at]
                .iter()
                .zip(&names)
                .any(|(other, other_name)| {
                    other.is_of_kind(account)
                        && other_name.is_some_and(|other| other.address != name.address)
                });
            if two_people {
                return Successor::SeveralPeople;
            }
            newest = match newest {
                Some(newest) if newest.order() <= name.order() => Some(newest),
                _ => Some(name),
            };
        }
        newest.map_or(Successor::Nothing, Successor::Name)
    }

    /// The accounts that stand under this name in `UserId`. Too many tell nothing.
    pub fn accounts_named(&self, address: &str) -> &[Identity<'static>] {
        let called = self.called(false, address);
        if called.len() > MANY { &[] } else { called }
    }

    /// The mailboxes that have this address as a name of a kind up to `most`.
    pub fn mailboxes_named<'a>(
        &'a self,
        address: &'a str,
        most: NamedBy,
    ) -> impl Iterator<Item = &'a Identity<'static>> {
        let called = self.called(true, address);
        let called = if called.len() > MANY { &[] } else { called };
        called.iter().filter(move |mailbox| {
            let mut names = self.names(mailbox).iter();
            names.any(|name| name.address == address && name.named_by <= most)
        })
    }

    /// The one name that the address of a mailbox leads to; `None` if it leads to several.
    pub fn mailbox_now<'a>(&'a self, address: &'a str, most: NamedBy) -> Option<&'a str> {
        let mut names = self
            .mailboxes_named(address, most)
            .filter_map(|mailbox| self.leads_to(mailbox, address));
        let first = names.next()?;
        names
            .all(|other| other.address == first.address)
            .then_some(&first.address)
    }

    /// Everything that lessons connect with these, directly or through others. `before`: an
    /// address that too many had then has told nothing since.
    pub fn connected<'a>(
        &'a self,
        before: &Self,
        from: impl IntoIterator<Item = Identity<'a>>,
    ) -> (BTreeSet<Identity<'a>>, BTreeSet<&'a str>) {
        let (mut identities, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting: Vec<Identity<'a>> = from.into_iter().collect();
        while let Some(identity) = waiting.pop() {
            if !identities.insert(identity.clone()) {
                continue;
            }
            let is_mailbox = identity.is_mailbox();
            let names = self.names(&identity).iter();
            for name in names.filter(|name| is_mailbox || name.named_by == NamedBy::UserId) {
                let address = name.address.as_str();
                let is_new = addresses.insert((is_mailbox, address));
                if is_new && before.called(is_mailbox, address).len() <= MANY {
                    let called = self.called(is_mailbox, address);
                    waiting.extend(called.iter().map(Identity::borrowed));
                }
            }
        }
        let addresses = addresses.into_iter().map(|(_, address)| address).collect();
        (identities, addresses)
    }
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountNow<'a> {
    pub name: &'a str,
    /// Two people had it, one after the other: it does not tell which one is meant.
    pub reassigned: bool,
}

enum Successor<'a> {
    Nothing,
    Name(&'a Name),
    /// Two accounts of one kind that are called differently now.
    SeveralPeople,
}

#[cfg(test)]
#[path = "lesson_tests.rs"]
mod tests;
