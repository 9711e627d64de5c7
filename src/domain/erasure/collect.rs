//! Whom an identifier leads to, by all that the directory knows.

use super::{Pseudonym, Shown, Tombstones, bare};
use crate::domain::{
    Directory, Identity,
    actor::{is_account_sid, is_puid, strip_claims},
    directory::parse_address,
};
use uuid::Uuid;

/// The identifier that a caller knows a person by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Address(String),
    Sid(String),
    Puid(String),
    /// An object id, or the GUID of his mailbox.
    Guid(Uuid),
}

impl Subject {
    /// As records, registers and people write it. `None`: it is no identifier of one person.
    pub fn parse(text: &str) -> Option<Self> {
        let text = strip_claims(text.trim()).to_lowercase();
        if is_account_sid(&text) && !text.contains(char::is_whitespace) {
            Some(Self::Sid(text))
        } else if is_puid(&text) {
            Some(Self::Puid(text))
        } else if let Ok(guid) = Uuid::try_parse(&text) {
            (!guid.is_nil()).then_some(Self::Guid(guid))
        } else {
            parse_address(&text).map(Self::Address)
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Address(text) | Self::Sid(text) | Self::Puid(text) => text.clone(),
            Self::Guid(guid) => guid.hyphenated().to_string(),
        }
    }

    fn identities(&self) -> Vec<Identity<'static>> {
        match self {
            Self::Address(_) => Vec::new(),
            Self::Sid(text) => vec![Identity::Sid(text.clone().into())],
            Self::Puid(text) => vec![Identity::Puid(text.clone().into())],
            Self::Guid(guid) => vec![Identity::Object(*guid), Identity::Mailbox(*guid)],
        }
    }
}

/// What is known of the person.
#[derive(Debug)]
pub struct Person {
    pub pseudonym: Pseudonym,
    /// What of it is new.
    pub shown: Vec<Shown>,
}

/// The identifier belongs to a mailbox that is nobody's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NobodysOwn;

impl Tombstones {
    /// Adds all that the directory knows of a person.
    pub fn collect(
        &mut self,
        subject: &Subject,
        directory: &Directory,
    ) -> Result<Person, NobodysOwn> {
        let text = subject.text();
        let is_persons = match subject {
            Subject::Address(address) => directory.may_be_persons(address),
            Subject::Guid(guid) => directory.may_be_persons_guid(*guid),
            Subject::Sid(_) | Subject::Puid(_) => true,
        };
        if !is_persons {
            return Err(NobodysOwn);
        }
        let (identities, addresses) = directory.all_of(
            subject.identities(),
            match subject {
                Subject::Address(address) => vec![address.clone()],
                _ => Vec::new(),
            },
        );
        // who is erased already stays who he is
        let known = self.surely(&text);
        let known = known.or_else(|| identities.iter().find_map(|one| self.identity(one)));
        let known = known.or_else(|| {
            let sure = addresses.iter().filter(|(_, is_sure)| **is_sure);
            sure.filter_map(|(address, _)| self.surely(address)).min()
        });
        let pseudonym = known.unwrap_or_else(|| self.pseudonym_of(&text));
        let mut shown = Vec::new();
        for identity in identities {
            let text = bare(&identity);
            self.note(&mut shown, text, Some(identity), pseudonym, true);
        }
        for (address, is_sure) in addresses {
            self.note(&mut shown, address, None, pseudonym, is_sure);
        }
        Ok(Person { pseudonym, shown })
    }
}
