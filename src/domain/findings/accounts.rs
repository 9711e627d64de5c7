//! Mailboxes and people, by whatever name a source calls them.

use super::Inputs;
use crate::domain::directory::parse_address;
use crate::domain::settings::{BypassSettings, Called, MailboxSettings, Property, RecipientType};
use crate::domain::{AdminChange, Mailbox, MailboxKind};
use foldhash::HashMap;
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Accounts<'a> {
    pub all: Vec<Account<'a>>,
    certain: HashMap<String, usize>,
    /// Names that two may have; then they are nobody's.
    perhaps: HashMap<String, Option<usize>>,
}

#[derive(Debug)]
pub(super) struct Account<'a> {
    pub name: String,
    pub registered: Option<MailboxKind>,
    /// The oldest first.
    pub settings: Vec<&'a MailboxSettings>,
    pub bypasses: Vec<&'a BypassSettings>,
}

impl<'a> Account<'a> {
    pub fn recipient_type(&self) -> Option<&'a RecipientType> {
        self.latest(|settings| &settings.recipient_type)
            .and_then(|(_, told)| told.known())
    }

    /// Where register and settings both speak, the register counts: people put it.
    pub fn kind(&self) -> Option<MailboxKind> {
        self.registered
            .or_else(|| self.recipient_type().and_then(RecipientType::kind))
    }

    pub fn is_shared(&self) -> bool {
        self.kind() == Some(MailboxKind::Shared)
    }

    pub fn is_person(&self) -> bool {
        self.kind().is_some_and(MailboxKind::is_person)
    }

    /// The newest that is given.
    pub fn latest<T>(
        &self,
        property: impl Fn(&'a MailboxSettings) -> &'a Property<T>,
    ) -> Option<(&'a MailboxSettings, &'a Property<T>)> {
        let newest = self.settings.iter().rev();
        let mut told = newest.map(|settings| (*settings, property(settings)));
        told.find(|(_, told)| told.is_given())
    }
}

/// One spelling of what is compared.
fn spelled(name: &str) -> String {
    match Uuid::try_parse(name.trim()) {
        Ok(guid) => guid.to_string(),
        Err(_) => name.trim().to_lowercase(),
    }
}

impl<'a> Accounts<'a> {
    pub fn new(inputs: &Inputs<'a>) -> Self {
        let mut accounts = Self::default();
        let mut register: Vec<&Mailbox> = inputs.register.iter().collect();
        register.sort_by(|a, b| a.address.cmp(&b.address));
        for mailbox in register {
            accounts.register(mailbox);
        }
        let named = |called: &Called| !called.name.is_empty();
        let mut mailboxes: Vec<&MailboxSettings> = inputs.settings.mailboxes.iter().collect();
        mailboxes.sort_by(|a, b| {
            let key = |one: &MailboxSettings| one.captured_at;
            key(a)
                .cmp(&key(b))
                .then_with(|| a.called.name.cmp(&b.called.name))
        });
        for mailbox in mailboxes.into_iter().filter(|one| named(&one.called)) {
            let account = accounts.add_called(&mailbox.called);
            accounts.all[account].settings.push(mailbox);
        }
        let mut bypasses: Vec<&BypassSettings> = inputs.settings.bypasses.iter().collect();
        bypasses.sort_by(|a, b| a.called.name.cmp(&b.called.name));
        for bypass in bypasses.into_iter().filter(|one| named(&one.called)) {
            let account = accounts.add_called(&bypass.called);
            accounts.all[account].bypasses.push(bypass);
        }
        accounts
    }

    fn register(&mut self, mailbox: &Mailbox) {
        let guids = [mailbox.guid, mailbox.object_id].into_iter().flatten();
        let called = Called {
            name: mailbox.address.clone(),
            also: mailbox
                .aliases
                .iter()
                .cloned()
                .chain(guids.map(|guid| guid.to_string()))
                .collect(),
            perhaps: Vec::new(),
        };
        let account = self.add_called(&called);
        self.all[account].registered = Some(mailbox.kind);
    }

    pub fn add_called(&mut self, called: &Called) -> usize {
        let name = spelled(&called.name);
        let is_certain = parse_address(&name).is_some() || called.also.contains(&name);
        let mut certain = called.also.iter().map(String::as_str);
        let by_certain = || certain.find_map(|name| self.certain.get(&spelled(name)).copied());
        let known = self.certain.get(&name).copied().or_else(by_certain);
        // display names join nothing but what has no better name
        let known = known.or_else(|| if is_certain { None } else { self.find(&name) });
        let account = known.unwrap_or_else(|| self.push(&name));
        for name in &called.also {
            self.certain.entry(spelled(name)).or_insert(account);
        }
        if is_certain {
            self.certain.entry(name).or_insert(account);
        } else {
            self.perhaps(&name, account);
        }
        for name in &called.perhaps {
            self.perhaps(name, account);
        }
        account
    }

    fn push(&mut self, name: &str) -> usize {
        self.all.push(Account {
            name: name.to_owned(),
            registered: None,
            settings: Vec::new(),
            bypasses: Vec::new(),
        });
        self.all.len() - 1
    }

    fn perhaps(&mut self, name: &str, account: usize) {
        let known = self.perhaps.entry(spelled(name)).or_insert(Some(account));
        if *known != Some(account) {
            *known = None;
        }
    }

    /// By any name, also by the last part of a path.
    pub fn find(&self, name: &str) -> Option<usize> {
        let known = |name: &str| {
            let certain = self.certain.get(name).copied();
            certain.or_else(|| self.perhaps.get(name).copied().flatten())
        };
        let name = spelled(name);
        let last = || known(&spelled(name.rsplit(['/', '\\']).next()?));
        known(&name).or_else(last)
    }

    /// By any name; one that is nobody's becomes one.
    pub fn add(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.add_called(&Called {
                name: spelled(name),
                also: Vec::new(),
                perhaps: Vec::new(),
            })
        })
    }

    /// What a change was made to. `None`: it does not say so.
    pub fn changed(&mut self, change: &AdminChange) -> Option<usize> {
        let identity = change.parameter("Identity").unwrap_or_default();
        let names = [change.target.as_str(), identity];
        let names = names.into_iter().filter(|name| !name.trim().is_empty());
        let names: Vec<&str> = names.collect();
        let known = names.iter().find_map(|name| self.find(name));
        let account = match known {
            Some(account) => account,
            None => {
                let address = names.iter().find(|name| parse_address(name).is_some());
                self.add(address.or(names.first())?)
            }
        };
        for name in names {
            let is_certain = parse_address(name).is_some() || Uuid::try_parse(name).is_ok();
            if is_certain {
                self.certain.entry(spelled(name)).or_insert(account);
            }
        }
        Some(account)
    }
}
