//! What is known of a tenant's mailboxes and people.

use std::collections::HashMap;
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

/// The register, indexed for [`super::attribute`].
#[derive(Clone, Debug, Default)]
pub struct Directory {
    mailboxes: Vec<Mailbox>,
    by_address: HashMap<String, usize>,
    by_guid: HashMap<Uuid, usize>,
    by_object_id: HashMap<Uuid, usize>,
}

impl Directory {
    /// Entries must not share an address (the register refuses that). Where they share a
    /// GUID or an object id, the first in the order of addresses has it.
    pub fn new(mut mailboxes: Vec<Mailbox>) -> Self {
        mailboxes.sort_by(|a, b| a.address.cmp(&b.address));
        let mut directory = Self::default();
        for (at, mailbox) in mailboxes.iter().enumerate() {
            for address in mailbox.aliases.iter().chain([&mailbox.address]) {
                directory.by_address.entry(address.clone()).or_insert(at);
            }
            if let Some(guid) = mailbox.guid {
                directory.by_guid.entry(guid).or_insert(at);
            }
            if let Some(object_id) = mailbox.object_id {
                directory.by_object_id.entry(object_id).or_insert(at);
            }
        }
        directory.mailboxes = mailboxes;
        directory
    }

    pub fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }

    /// The entry that has this address, as its primary one or as an alias.
    pub fn mailbox(&self, address: &str) -> Option<&Mailbox> {
        self.by_address.get(address).map(|&at| &self.mailboxes[at])
    }

    pub fn mailbox_by_guid(&self, guid: Uuid) -> Option<&Mailbox> {
        self.by_guid.get(&guid).map(|&at| &self.mailboxes[at])
    }

    pub fn mailbox_by_object_id(&self, object_id: Uuid) -> Option<&Mailbox> {
        self.by_object_id
            .get(&object_id)
            .map(|&at| &self.mailboxes[at])
    }

    /// The primary address for an alias; any other address as it is.
    pub fn canonical<'a>(&'a self, address: &'a str) -> &'a str {
        self.mailbox(address)
            .map_or(address, |mailbox| &mailbox.address)
    }
}

/// Trims and lower-cases. `None` if it is no address: one `@` with something before it and
/// after it, no white space, no control characters, not too long.
pub fn parse_address(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let valid = !local.is_empty()
        && !domain.is_empty()
        && text.len() <= MAX_ADDRESS
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    valid.then(|| text.to_lowercase())
}
