//! What else is kept of a tenant, without anything of people who were erased.

use super::{Pseudonym, Tombstones};
use crate::domain::{
    AdminChange, Mailbox, Setting,
    settings::{Called, Names, Property},
};

/// What becomes of something that names an erased person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased<T> {
    /// It names none.
    Unchanged,
    Changed(T),
    /// It is about him alone.
    Gone,
}

impl<T> Erased<T> {
    /// What is left of it.
    pub fn or(self, unchanged: T) -> Option<T> {
        match self {
            Self::Unchanged => Some(unchanged),
            Self::Changed(changed) => Some(changed),
            Self::Gone => None,
        }
    }
}

impl Tombstones {
    /// An administrator's change: who did it, what it was of, and whom it names.
    pub fn erase_change(&self, change: &AdminChange) -> Erased<AdminChange> {
        if self.is_empty() {
            return Erased::Unchanged;
        }
        let mut erased = change.clone();
        let texts = [&mut erased.actor, &mut erased.target].into_iter();
        for text in texts.chain(erased.parameters.iter_mut().map(|(_, value)| value)) {
            if let Some(without) = self.without_names(text) {
                *text = without;
            }
        }
        if erased == *change {
            Erased::Unchanged
        } else {
            Erased::Changed(erased)
        }
    }

    /// A setting of an erased person's mailbox, or a permission of his, goes; from a list of names
    /// his is taken.
    pub fn erase_setting(&self, setting: &Setting) -> Erased<Setting> {
        if self.is_empty() {
            return Erased::Unchanged;
        }
        if self.subject_of(setting).is_some() {
            return Erased::Gone;
        }
        let Setting::Mailbox(one) = setting else {
            return Erased::Unchanged;
        };
        let mut erased = one.clone();
        if let Property::Known(Names { names, .. }) = &mut erased.grant_send_on_behalf_to {
            names.retain(|name| self.named_in(name).is_none());
        }
        if erased == *one {
            Erased::Unchanged
        } else {
            Erased::Changed(Setting::Mailbox(erased))
        }
    }

    /// The erased person whom a setting is of.
    fn subject_of(&self, setting: &Setting) -> Option<Pseudonym> {
        let called = |called: &Called| {
            let mut names = called.also.iter().chain(&called.perhaps);
            let by_name = self.named_in(&called.name);
            by_name.or_else(|| names.find_map(|name| self.named_in(name)))
        };
        match setting {
            Setting::Mailbox(one) => called(&one.called),
            Setting::Bypass(one) => called(&one.called),
            Setting::Permission(one) => {
                let mailbox = self.named_in(&one.mailbox);
                mailbox.or_else(|| self.named_in(&one.trustee))
            }
            Setting::Organization(_) => None,
        }
    }

    /// The erased person whom a setting names somewhere.
    pub fn of_setting(&self, setting: &Setting) -> Option<Pseudonym> {
        let in_list = || match setting {
            Setting::Mailbox(one) => {
                let list = one.grant_send_on_behalf_to.known()?;
                list.names.iter().find_map(|name| self.named_in(name))
            }
            _ => None,
        };
        self.subject_of(setting).or_else(in_list)
    }

    /// An entry of the register: that of an erased person goes, of another one what is his.
    pub fn erase_mailbox(&self, mailbox: &Mailbox) -> Erased<Mailbox> {
        if self.is_empty() {
            return Erased::Unchanged;
        }
        if self.surely(&mailbox.address).is_some() {
            return Erased::Gone;
        }
        let mut erased = mailbox.clone();
        erased.aliases.retain(|alias| self.surely(alias).is_none());
        let is_known = |id: &mut uuid::Uuid| self.surely_guid(*id).is_some();
        erased.guid.take_if(is_known);
        erased.object_id.take_if(is_known);
        if erased == *mailbox {
            Erased::Unchanged
        } else {
            Erased::Changed(erased)
        }
    }
}
