//! All that a directory knows of one person, for whoever erases him.

use super::Directory;
use crate::domain::{Identity, erasure::Tombstones, lesson::NamedBy};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Identities, and addresses with whether they are nobody else's.
pub type Known = (BTreeSet<Identity<'static>>, BTreeMap<String, bool>);

impl Directory {
    /// It is not an address of a mailbox that is nobody's own.
    pub fn may_be_persons(&self, address: &str) -> bool {
        self.mailbox(Some(address), None, NamedBy::Owner)
            .is_none_or(|mailbox| mailbox.kind.is_person())
    }

    /// The same of a GUID.
    pub fn may_be_persons_guid(&self, guid: Uuid) -> bool {
        let mailbox = self.mailbox(None, Some(guid), NamedBy::Owner);
        let account = self.registered_object(guid);
        let mut found = mailbox.into_iter().chain(account);
        found.all(|mailbox| mailbox.kind.is_person())
    }

    /// It belongs to a mailbox that is nobody's own.
    pub fn is_nobodys_own(&self, identity: &Identity<'_>) -> bool {
        match identity {
            Identity::Mailbox(guid) | Identity::Object(guid) => !self.may_be_persons_guid(*guid),
            Identity::Sid(_) | Identity::Puid(_) => false,
        }
    }

    /// It is known under a name that is not that of an erased person.
    pub fn is_of_another(&self, identity: &Identity<'_>, tombstones: &Tombstones) -> bool {
        let mut own = self.lessons.own_names(identity, NamedBy::Owner).peekable();
        let is_his = |address: &str| tombstones.surely(address).is_some();
        own.peek().is_some() && !own.any(|name| is_his(&name.address))
    }

    /// Everything that leads to the same person as these.
    pub fn all_of(&self, identities: Vec<Identity<'static>>, addresses: Vec<String>) -> Known {
        let mut known: Known = (
            identities.into_iter().collect(),
            addresses.into_iter().map(|one| (one, true)).collect(),
        );
        loop {
            let before = (known.0.len(), known.1.clone());
            self.by_register(&mut known);
            self.by_addresses(&mut known);
            self.by_identities(&mut known);
            if (known.0.len(), &known.1) == (before.0, &before.1) {
                return known;
            }
        }
    }

    fn by_register(&self, (identities, addresses): &mut Known) {
        let sure = addresses.iter().filter(|(_, is_sure)| **is_sure);
        let by_address = sure.filter_map(|(address, _)| self.registered(address));
        let by_identity = identities.iter().filter_map(|identity| match identity {
            Identity::Mailbox(guid) => self.registered_guid(*guid),
            Identity::Object(id) => self.registered_object(*id),
            Identity::Sid(_) | Identity::Puid(_) => None,
        });
        let entries: Vec<_> = by_address.chain(by_identity).cloned().collect();
        for entry in entries.into_iter().filter(|entry| entry.kind.is_person()) {
            identities.extend(entry.guid.map(Identity::Mailbox));
            identities.extend(entry.object_id.map(Identity::Object));
            let all = entry.aliases.into_iter().chain([entry.address]);
            addresses.extend(all.map(|address| (address, true)));
        }
    }

    /// What is called so, now or before; not what a record mixes up with it.
    fn by_addresses(&self, (identities, addresses): &mut Known) {
        let is_sure = |address: &str| addresses.get(address) == Some(&true);
        let sure = addresses.iter().filter(|(_, is_sure)| **is_sure);
        let mut found = Vec::new();
        for (address, _) in sure {
            let called = self.lessons.accounts_named(address);
            let mailboxes = self.lessons.mailboxes_named(address, NamedBy::Owner);
            let is_his = |identity: &&Identity<'static>| {
                let mut own = self.lessons.own_names(identity, NamedBy::Owner);
                own.any(|name| is_sure(&name.address))
            };
            found.extend(called.iter().chain(mailboxes).filter(is_his).cloned());
        }
        identities.extend(found);
    }

    fn by_identities(&self, (identities, addresses): &mut Known) {
        for identity in identities.iter() {
            let own = self.lessons.own_names(identity, NamedBy::Owner);
            let own: BTreeSet<&str> = own.map(|name| name.address.as_str()).collect();
            for name in self.lessons.names(identity) {
                let address = name.address.as_str();
                if self.may_be_persons(address) {
                    let is_sure = addresses.entry(address.to_owned()).or_default();
                    *is_sure |= own.contains(address);
                }
            }
        }
    }
}
