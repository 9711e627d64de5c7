//! What else is kept of a tenant, without anything of people who were erased.

use super::Tombstones;
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
        let is_named = |text: &String| self.named_in(text).is_some();
        let is_called = |called: &Called| {
            let also = called.also.iter().chain(&called.perhaps);
            is_named(&called.name) || also.into_iter().any(is_named)
        };
        match setting {
            Setting::Mailbox(one) if is_called(&one.called) => Erased::Gone,
            Setting::Bypass(one) if is_called(&one.called) => Erased::Gone,
            Setting::Permission(one) if is_named(&one.mailbox) || is_named(&one.trustee) => {
                Erased::Gone
            }
            Setting::Mailbox(one) => {
                let mut erased = one.clone();
                if let Property::Known(Names { names, .. }) = &mut erased.grant_send_on_behalf_to {
                    names.retain(|name| !is_named(name));
                }
                if erased == *one {
                    Erased::Unchanged
                } else {
                    Erased::Changed(Setting::Mailbox(erased))
                }
            }
            Setting::Bypass(_) | Setting::Permission(_) | Setting::Organization(_) => {
                Erased::Unchanged
            }
        }
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
