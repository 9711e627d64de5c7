//! The evidence of one message: a bounded set of send events.

use super::{Operation, Pseudonym, SendEvent, Side, Tombstones};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Events kept of one (operation, side, actor, outcome): the smallest in canonical order.
pub const MAX_PER_GROUP: usize = 8;
/// Actors kept: the smallest.
pub const MAX_ACTORS: usize = 64;

/// A set, so order and repeats cannot matter: adding is commutative, associative and
/// idempotent, also across the bounds. What falls out of a bound falls out in every order,
/// for only smaller events push it out, and they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    // shared: a batch keeps its events until it is committed, and a tree of large values has
    // room for eleven where there is one
    events: BTreeSet<Arc<SendEvent>>,
    truncated: bool,
}

/// What [`Evidence::add`] did with events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Were not there, and are now.
    pub new: u64,
    /// Say nothing new: there already, or beyond the bound (which is noted).
    pub repeated: u64,
}

type Group<'a> = (Operation, Side, &'a str, bool);

fn group(event: &SendEvent) -> Group<'_> {
    (event.operation, event.side, event.actor_id(), event.failed)
}

impl Evidence {
    /// As stored before. The events are taken as they are.
    pub fn restore<E>(events: impl IntoIterator<Item = E>, truncated: bool) -> Self
    where
        E: Into<Arc<SendEvent>>,
    {
        Self {
            events: events.into_iter().map(Into::into).collect(),
            truncated,
        }
    }

    /// In canonical order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &SendEvent> + Clone {
        self.events.iter().map(AsRef::as_ref)
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn contains(&self, event: &SendEvent) -> bool {
        self.events.contains(event)
    }

    /// More events came than are kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub fn add<E>(&mut self, events: impl IntoIterator<Item = E>) -> Added
    where
        E: Into<Arc<SendEvent>>,
    {
        let mut added = Added::default();
        let mut fresh = BTreeSet::new();
        for event in events.into_iter().map(Into::into) {
            if self.events.contains(&event) || !fresh.insert(event) {
                added.repeated += 1;
            }
        }
        if self.events.len() + fresh.len() <= MAX_PER_GROUP {
            // no bound can be broken
            added.new = fresh.len() as u64;
            self.events.append(&mut fresh);
            return added;
        }
        let candidates: Vec<Arc<SendEvent>> = fresh.iter().cloned().collect();
        self.events.append(&mut fresh);
        self.bound();
        for event in &candidates {
            if self.events.contains(event) {
                added.new += 1;
            } else {
                added.repeated += 1;
            }
        }
        added
    }

    /// The same without anything of people who were erased, and whose it was. `None`: it has
    /// nothing of any.
    pub fn erased(&self, tombstones: &Tombstones) -> Option<(Self, BTreeSet<Pseudonym>)> {
        let mut whose = BTreeSet::new();
        let events: Vec<Arc<SendEvent>> = self
            .events
            .iter()
            .map(|event| match tombstones.erase(event) {
                None => Arc::clone(event),
                Some(erased) => {
                    whose.extend(erased.pseudonyms());
                    Arc::new(erased)
                }
            })
            .collect();
        if whose.is_empty() && events.iter().eq(&self.events) {
            return None;
        }
        let mut evidence = Self {
            events: BTreeSet::new(),
            truncated: self.truncated,
        };
        // several names of his are one now, so that he may have too many events
        evidence.add(events);
        Some((evidence, whose))
    }

    fn bound(&mut self) {
        let mut groups: BTreeMap<Group<'_>, usize> = BTreeMap::new();
        let mut actors: BTreeSet<&str> = self.events().map(SendEvent::actor_id).collect();
        while actors.len() > MAX_ACTORS {
            actors.pop_last();
        }
        let beyond: Vec<Arc<SendEvent>> = self
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
