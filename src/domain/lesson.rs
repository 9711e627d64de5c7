//! What kept records teach: which addresses an account or a mailbox has had.
//!
//! Lessons are a set that only grows, and a name counts from the earliest event that shows
//! it. So what is learned does not depend on the order in which records come either.

use super::{Identity, SendEvent, Timestamp, directory::has_domain};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};
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
    /// The time of the earliest event that says so.
    pub first_seen: Timestamp,
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
            (self.sent_as_guid, sent_as, NamedBy::SentAs),
        ] {
            let mailbox = guid.map(Identity::Mailbox).zip(address);
            taught.extend(mailbox.map(|(mailbox, address)| (mailbox, address, named_by)));
        }
        taught
    }
}

/// One of the addresses of an account or a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub address: String,
    pub named_by: NamedBy,
    pub first_seen: Timestamp,
}

impl Name {
    /// The smallest is what it is called: the best known kind, of that the newest.
    fn order(&self) -> (NamedBy, Reverse<Timestamp>, &str) {
        (self.named_by, Reverse(self.first_seen), &self.address)
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
        for lesson in lessons {
            all.add(lesson);
        }
        all
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

    /// The accounts that stand under this name in `UserId`.
    pub fn accounts_called(&self, address: &str) -> &[Identity<'static>] {
        self.accounts_called.get(address).map_or(&[], Vec::as_slice)
    }

    /// The mailboxes that have this address.
    pub fn mailboxes_called(&self, address: &str) -> &[Identity<'static>] {
        self.mailboxes_called
            .get(address)
            .map_or(&[], Vec::as_slice)
    }

    /// The set would not change by it.
    pub fn holds(
        &self,
        identity: &Identity<'_>,
        address: &str,
        named_by: NamedBy,
        first_seen: Timestamp,
    ) -> bool {
        self.names(identity).iter().any(|name| {
            name.address == address && name.named_by == named_by && name.first_seen <= first_seen
        })
    }

    pub fn add(&mut self, lesson: Lesson) {
        let Lesson {
            identity,
            address,
            named_by,
            first_seen,
        } = lesson;
        let names = match &identity {
            Identity::Sid(sid) => self.sids.entry((**sid).into()).or_default(),
            Identity::Puid(puid) => self.puids.entry((**puid).into()).or_default(),
            Identity::Object(id) => self.objects.entry(*id).or_default(),
            Identity::Mailbox(guid) => self.mailboxes.entry(*guid).or_default(),
        };
        let known = names
            .iter_mut()
            .find(|name| name.address == address && name.named_by == named_by);
        if let Some(known) = known {
            known.first_seen = known.first_seen.min(first_seen);
        } else {
            self.len += 1;
            names.push(Name {
                address: address.clone(),
                named_by,
                first_seen,
            });
        }
        names.sort_by(|a, b| a.order().cmp(&b.order()));
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

    /// Names that it got after [`Self::current`], and that others have too.
    pub fn doubtful(&self, identity: &Identity<'_>) -> impl Iterator<Item = &Name> {
        let current = self.current(identity);
        self.newest(identity)
            .take_while(move |name| Some(*name) != current)
    }

    /// Its names, [`Self::current`] first, without those that others have too.
    pub fn own_names<'a>(&'a self, identity: &'a Identity<'_>) -> impl Iterator<Item = &'a Name> {
        let others = self.names(identity).iter();
        self.current(identity)
            .into_iter()
            .chain(others.filter(|name| !self.is_shared(identity, name)))
    }

    /// Another one of its kind is or was called so too.
    fn is_shared(&self, identity: &Identity<'_>, name: &Name) -> bool {
        let called = match (identity.is_mailbox(), name.named_by) {
            (true, _) => self.mailboxes_called(&name.address),
            (false, NamedBy::UserId) => self.accounts_called(&name.address),
            (false, _) => &[],
        };
        let same = |other: &Name| other.address == name.address && other.named_by == name.named_by;
        called.iter().any(|other| {
            other != identity && other.is_of_kind(identity) && self.names(other).iter().any(same)
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
                    if next.address != now.name && since.is_none_or(|at| at < next.first_seen) =>
                {
                    now.name = &next.address;
                    since = Some(next.first_seen);
                }
                Successor::Name(_) | Successor::Nothing => return now,
            }
        }
    }

    /// The newest of the names that the accounts have now that were called so.
    fn successor(&self, address: &str) -> Successor<'_> {
        let accounts = self.accounts_called(address);
        let mut newest: Option<&Name> = None;
        for (at, account) in accounts.iter().enumerate() {
            let Some(name) = self.current(account) else {
                continue;
            };
            let two_people = accounts[..at].iter().any(|other| {
                other.is_of_kind(account)
                    && self
                        .current(other)
                        .is_some_and(|other| other.address != name.address)
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

    /// The one name of the mailboxes that have this address; `None` if they have several.
    pub fn mailbox_now(&self, address: &str) -> Option<&str> {
        let mut names = self
            .mailboxes_called(address)
            .iter()
            .filter_map(|mailbox| self.current(mailbox));
        let first = names.next()?;
        names
            .all(|other| other.address == first.address)
            .then_some(&first.address)
    }

    /// Everything that lessons connect with these, directly or through others.
    pub fn connected<'a>(
        &'a self,
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
                addresses.insert(name.address.as_str());
                let called = if is_mailbox {
                    self.mailboxes_called(&name.address)
                } else {
                    self.accounts_called(&name.address)
                };
                waiting.extend(called.iter().map(Identity::borrowed));
            }
        }
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
