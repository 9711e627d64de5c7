//! A person who was erased: what is known of him by keyed hashes alone, and what events become.
//!
//! Whatever names him is replaced by a pseudonym, on the way in as well as where it is stored.
//! That is a pure function of the event and of the tombstones, so it does not matter which of the
//! two came first.
//!
//! An account's SID, its object id, its PUID and a mailbox's GUID are nobody else's: a tombstone
//! of one decides alone. An address may pass on to somebody else, and a record may mix two accounts
//! up. So one that only records have shown beside him is not sure: it counts where no other
//! account is named.

mod collect;
mod kept;
mod text;

use super::{
    Directory, Identity, SendEvent,
    actor::{is_puid, service_account},
    directory::has_domain,
};
pub use collect::{NobodysOwn, Person, Subject};
use foldhash::{HashMap, HashSet};
pub use kept::Erased;
use std::fmt;
use uuid::Uuid;

const PREFIX: &str = "erased:";

/// What stands in the place of an erased person: keyed, so that nobody can tell who it was, and no
/// form of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub Uuid);

impl Pseudonym {
    /// As [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let id = Uuid::try_parse(digits).ok().map(Self)?;
        (id.to_string() == text).then_some(id)
    }

    /// Those inside of a text.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> {
        const LEN: usize = PREFIX.len() + 32;
        let places = text.match_indices(PREFIX);
        places.filter_map(|(at, _)| Self::parse(text.get(at..at + LEN)?))
    }
}

/// `erased:` and 32 hexadecimal digits.
impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.simple())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Address,
    Sid,
    Object,
    Puid,
    Mailbox,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Address,
        Self::Sid,
        Self::Object,
        Self::Puid,
        Self::Mailbox,
    ];

    /// As in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS",
            Self::Sid => "SID",
            Self::Object => "OBJECT",
            Self::Puid => "PUID",
            Self::Mailbox => "MAILBOX",
        }
    }

    fn of(identity: Option<&Identity<'_>>) -> Self {
        match identity {
            None => Self::Address,
            Some(Identity::Sid(_)) => Self::Sid,
            Some(Identity::Object(_)) => Self::Object,
            Some(Identity::Puid(_)) => Self::Puid,
            Some(Identity::Mailbox(_)) => Self::Mailbox,
        }
    }
}

/// One identifier of an erased person, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tombstone {
    /// Keyed by the deployment and the tenant.
    pub mark: Uuid,
    pub pseudonym: Pseudonym,
    pub kind: Kind,
    /// See the module.
    pub is_sure: bool,
}

/// All tombstones of a tenant.
#[derive(Clone, Default)]
pub struct Tombstones {
    key: [u8; 32],
    known: HashMap<Uuid, (Pseudonym, bool)>,
    /// Of whom an identifier of which kind is known.
    kinds: HashSet<(Pseudonym, Kind)>,
}

impl fmt::Debug for Tombstones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tombstones({})", self.known.len())
    }
}

impl Tombstones {
    /// `key`: of the deployment and this tenant alone.
    pub fn new(key: [u8; 32], all: impl IntoIterator<Item = Tombstone>) -> Self {
        let mut tombstones = Self {
            key,
            ..Self::default()
        };
        all.into_iter().for_each(|one| tombstones.put(one));
        tombstones
    }

    /// Nobody was erased: then nothing has to be looked at.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// They only become more, so it tells two states apart.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    fn hash(&self, kind: u8, text: &str) -> Uuid {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind]).update(text.as_bytes());
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_at(16);
        Uuid::from_slice(first).expect("16 bytes are a UUID")
    }

    /// Whom an identifier in its normal form becomes.
    fn pseudonym_of(&self, text: &str) -> Pseudonym {
        Pseudonym(self.hash(1, text))
    }

    fn put(&mut self, one: Tombstone) {
        self.known.insert(one.mark, (one.pseudonym, one.is_sure));
        self.kinds.insert((one.pseudonym, one.kind));
    }

    /// Tells what has to be stored.
    fn add(
        &mut self,
        text: &str,
        kind: Kind,
        pseudonym: Pseudonym,
        is_sure: bool,
    ) -> Option<Tombstone> {
        let mark = self.hash(0, text);
        let known = self.known.get(&mark).copied();
        if known.is_some_and(|(_, was_sure)| was_sure || !is_sure) {
            return None;
        }
        let pseudonym = known.map_or(pseudonym, |(known, _)| known);
        let new = Tombstone {
            mark,
            pseudonym,
            kind,
            is_sure,
        };
        self.put(new);
        Some(new)
    }

    fn get(&self, text: &str) -> Option<(Pseudonym, bool)> {
        self.known.get(&self.hash(0, text)).copied()
    }

    fn get_guid(&self, guid: Uuid) -> Option<(Pseudonym, bool)> {
        self.get(guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// Whom an identifier of any kind is of, in lower case; not by an address that is not sure.
    pub fn surely(&self, text: &str) -> Option<Pseudonym> {
        let (pseudonym, is_sure) = self.get(text)?;
        is_sure.then_some(pseudonym)
    }

    pub fn surely_guid(&self, guid: Uuid) -> Option<Pseudonym> {
        Some(self.get_guid(guid)?.0)
    }

    fn identity(&self, identity: &Identity<'_>) -> Option<Pseudonym> {
        let found = match identity {
            Identity::Sid(text) | Identity::Puid(text) => self.get(text),
            Identity::Object(id) | Identity::Mailbox(id) => self.get_guid(*id),
        };
        found.map(|(pseudonym, _)| pseudonym)
    }

    /// Who acted, if he was erased.
    fn actor(&self, event: &SendEvent) -> Option<Pseudonym> {
        if service_account(event).is_some() {
            return None;
        }
        let by_account = event.account().filter_map(|one| self.identity(&one)).min();
        by_account.or_else(|| {
            let addresses = addresses(event);
            let found = addresses.filter_map(|address| self.get(address));
            let is_alone = event.account().next().is_none();
            let counts = found.filter(|(_, is_sure)| *is_sure || is_alone);
            counts.map(|(pseudonym, _)| pseudonym).min()
        })
    }

    /// Whose mailbox it is, if he was erased.
    fn owner(&self, address: Option<&str>, guid: Option<Uuid>) -> Option<Pseudonym> {
        let by_guid = guid.and_then(|guid| self.surely_guid(guid));
        by_guid.or_else(|| self.surely(address?))
    }

    /// The event without anything of an erased person. `None`: it has nothing of one.
    pub fn erase(&self, event: &SendEvent) -> Option<SendEvent> {
        let mut erased = event.clone();
        if let Some(pseudonym) = self.actor(event) {
            erased.user_id = pseudonym.to_string();
            erased.user_key = None;
            erased.logon_user_sid = None;
            erased.object_id = None;
            erased.sid_is_doubtful = false;
            if is_own_log(event) {
                replace(&mut erased.owner, pseudonym);
                erased.mailbox_guid = None;
            }
        } else {
            // what stands where somebody else is named
            let is_known = |text: &mut String| self.surely(text).is_some();
            erased.user_key.take_if(is_known);
            erased.logon_user_sid.take_if(is_known);
            erased
                .object_id
                .take_if(|id| self.surely_guid(*id).is_some());
        }
        if let Some(pseudonym) = self.owner(event.owner.as_deref(), event.mailbox_guid) {
            replace(&mut erased.owner, pseudonym);
            erased.mailbox_guid = None;
        }
        if let Some(pseudonym) = self.owner(event.sent_as.as_deref(), event.sent_as_mailbox()) {
            replace(&mut erased.sent_as, pseudonym);
            erased.sent_as_guid = None;
        }
        erased
            .sent_as_guid
            .take_if(|guid| self.surely_guid(*guid).is_some());
        (erased != *event).then_some(erased)
    }

    /// What the event shows beside an erased person is his too, but for what the directory knows to
    /// be somebody else's. Tells what has to be stored.
    pub fn learn(&mut self, event: &SendEvent, directory: &Directory) -> Vec<Shown> {
        let mut shown = Vec::new();
        let is_mixed = |pseudonym: &Pseudonym| {
            let mut accounts = event.account();
            accounts.any(|account| self.is_of_another(&account, *pseudonym, directory))
        };
        let actor = self.actor(event);
        if let Some(pseudonym) = actor.filter(|pseudonym| !is_mixed(pseudonym)) {
            for account in event.account() {
                let text = bare(&account);
                self.note(&mut shown, text, Some(account), pseudonym, true);
            }
            let own = event.owner.as_deref().filter(|_| is_own_log(event));
            for address in addresses(event).chain(own.filter(|own| has_domain(own))) {
                if directory.may_be_persons(address) {
                    self.note(&mut shown, address.to_owned(), None, pseudonym, false);
                }
            }
            let log = event.mailbox_guid.filter(|_| is_own_log(event));
            self.note_mailbox(&mut shown, log, directory, pseudonym);
        }
        for (address, guid) in [
            (event.owner.as_deref(), event.mailbox_guid),
            (event.sent_as.as_deref(), event.sent_as_mailbox()),
        ] {
            let Some(pseudonym) = self.owner(address, guid) else {
                continue;
            };
            self.note_mailbox(&mut shown, guid, directory, pseudonym);
            let address = address.filter(|address| has_domain(address));
            if let Some(address) = address.filter(|one| directory.may_be_persons(one)) {
                self.note(&mut shown, address.to_owned(), None, pseudonym, false);
            }
        }
        shown
    }

    /// Nobody has two of a kind: where the person has one, a second that is known under another
    /// name is another's, whom a record mixes up with him.
    fn is_of_another(
        &self,
        identity: &Identity<'_>,
        pseudonym: Pseudonym,
        directory: &Directory,
    ) -> bool {
        if self.identity(identity).is_some() {
            return false;
        }
        let has_one = self.kinds.contains(&(pseudonym, Kind::of(Some(identity))));
        directory.is_nobodys_own(identity) || has_one && directory.is_of_another(identity, self)
    }

    fn note_mailbox(
        &mut self,
        shown: &mut Vec<Shown>,
        guid: Option<Uuid>,
        directory: &Directory,
        pseudonym: Pseudonym,
    ) {
        let guid = guid.map(Identity::Mailbox);
        if let Some(guid) = guid.filter(|guid| !self.is_of_another(guid, pseudonym, directory)) {
            let text = bare(&guid);
            self.note(shown, text, Some(guid), pseudonym, true);
        }
    }

    fn note(
        &mut self,
        shown: &mut Vec<Shown>,
        text: String,
        identity: Option<Identity<'_>>,
        pseudonym: Pseudonym,
        is_sure: bool,
    ) {
        if let Some(tombstone) = self.add(&text, Kind::of(identity.as_ref()), pseudonym, is_sure) {
            shown.push(Shown {
                tombstone,
                identity: identity.map(Identity::into_owned),
                text,
            });
        }
    }
}

/// An identifier that becomes a tombstone, as it is now: what is stored under it goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub tombstone: Tombstone,
    /// `None`: an address.
    pub identity: Option<Identity<'static>>,
    pub text: String,
}

/// As a record writes it, in lower case.
fn bare(identity: &Identity<'_>) -> String {
    match identity {
        Identity::Sid(text) | Identity::Puid(text) => text.clone().into_owned(),
        Identity::Object(id) | Identity::Mailbox(id) => id.hyphenated().to_string(),
    }
}

/// By which it names the actor.
fn addresses(event: &SendEvent) -> impl Iterator<Item = &str> {
    let key = event.user_key.as_deref().filter(|key| !is_puid(key));
    [Some(event.user_id.as_str()), key]
        .into_iter()
        .flatten()
        .filter(|text| has_domain(text))
}

fn is_own_log(event: &SendEvent) -> bool {
    event.owner_is_actor == Some(true) || event.owner.as_ref() == Some(&event.user_id)
}

fn replace(name: &mut Option<String>, pseudonym: Pseudonym) {
    if let Some(name) = name {
        *name = pseudonym.to_string();
    }
}

impl SendEvent {
    /// The erased people that it names.
    pub fn pseudonyms(&self) -> impl Iterator<Item = Pseudonym> {
        let names = [
            Some(self.user_id.as_str()),
            self.owner.as_deref(),
            self.sent_as.as_deref(),
        ];
        names.into_iter().flatten().filter_map(Pseudonym::parse)
    }
}

/// Stands for an erased person.
pub fn is_pseudonym(text: &str) -> bool {
    text.starts_with(PREFIX) && Pseudonym::parse(text).is_some()
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
