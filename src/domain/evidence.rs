//! The evidence of one message: a bounded set of send events.

use super::{Operation, SendEvent, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Events kept of one (operation, side, actor, outcome): the smallest in canonical order.
pub const MAX_PER_GROUP: usize = 8;
/// Actors kept: the smallest.
pub const MAX_ACTORS: usize = 64;

/// A set, so order and repeats cannot matter: adding is commutative, associative and
/// idempotent, also across the bounds. What falls out of a bound falls out in every order,
/// for only smaller events push it out, and they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    events: BTreeSet<SendEvent>,
    truncated: bool,
}

/// What [`Evidence::add`] did with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    New,
    /// It was there already.
    Repeated,
    /// It is beyond the bound, which is noted now.
    Truncated,
}

type Group<'a> = (Operation, Side, &'a str, bool);

fn group(event: &SendEvent) -> Group<'_> {
    (event.operation, event.side, event.actor_id(), event.failed)
}

impl Evidence {
    /// As stored before. The events are taken as they are.
    pub fn restore(events: impl IntoIterator<Item = SendEvent>, truncated: bool) -> Self {
        Self {
            events: events.into_iter().collect(),
            truncated,
        }
    }

    /// In canonical order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &SendEvent> + Clone {
        self.events.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// More events came than are kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub fn add(&mut self, event: SendEvent) -> Added {
        if self.events.contains(&event) {
            return Added::Repeated;
        }
        let added = event.clone();
        self.events.insert(event);
        // one event can break at most one group's bound, and the bound on actors
        if self.events.len() > MAX_PER_GROUP.min(MAX_ACTORS) {
            self.bound();
        }
        if self.events.contains(&added) {
            Added::New
        } else {
            Added::Truncated
        }
    }

    fn bound(&mut self) {
        let mut groups: BTreeMap<Group<'_>, usize> = BTreeMap::new();
        let mut actors: BTreeSet<&str> = self.events.iter().map(SendEvent::actor_id).collect();
        while actors.len() > MAX_ACTORS {
            actors.pop_last();
        }
        let beyond: Vec<SendEvent> = self
            .events
            .iter()
            .filter(|event| {
                let seen = groups.entry(group(event)).or_default();
                *seen += 1;
                *seen > MAX_PER_GROUP || !actors.contains(event.actor_id())
            })
            .cloned()
            .collect();
        for event in beyond {
            self.events.remove(&event);
            self.truncated = true;
        }
    }
}
