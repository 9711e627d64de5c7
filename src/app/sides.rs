//! Which side writes, by mailbox and agent: noted with the messages, in their transaction.

use crate::{
    domain::{
        Generation, Message, Operation, Side, Tenant, TenantId, Timestamp, erasure::is_pseudonym,
        time::HOUR,
    },
    store::ledger::{SidePair, SideSeen},
};
use moka::sync::Cache;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Tenants of which it is known what is stored.
const TENANTS: u64 = 1_000;
/// Pairs of each. More of them are written again, which changes nothing.
const PAIRS: usize = 10_000;

/// From the first to the last event, cut to the hour: so one that fires all day is written
/// once an hour.
type Span = (Timestamp, Timestamp);
type Known = Mutex<HashMap<SidePair, Span>>;

/// What this process knows to be stored. Without it each batch would write all of its pairs.
#[derive(Debug)]
pub(super) struct Sides(Cache<(TenantId, Generation), Arc<Known>>);

impl Default for Sides {
    fn default() -> Self {
        Self(Cache::new(TENANTS))
    }
}

impl Sides {
    fn known(&self, tenant: &Tenant) -> Arc<Known> {
        let life = (tenant.id, tenant.generation);
        self.0.get_with(life, Arc::default)
    }

    /// After rows of it were deleted.
    pub(super) fn forget(&self, tenant: &Tenant) {
        self.0.invalidate(&(tenant.id, tenant.generation));
    }

    /// What of this is not stored yet.
    pub(super) fn news(&self, tenant: &Tenant, mut seen: Vec<SideSeen>) -> Vec<SideSeen> {
        let known = self.known(tenant);
        let known = lock(&known);
        seen.retain(|seen| {
            let known = known.get(&seen.pair);
            !known.is_some_and(|(first, last)| *first <= seen.first && seen.last <= *last)
        });
        seen
    }

    /// They are stored now: call it after the commit.
    pub(super) fn keep(&self, tenant: &Tenant, stored: Vec<SideSeen>) {
        if stored.is_empty() {
            return;
        }
        let known = self.known(tenant);
        let mut known = lock(&known);
        for SideSeen { pair, first, last } in stored {
            let has_room = known.len() < PAIRS;
            match known.entry(pair) {
                Entry::Occupied(mut span) => widen(span.get_mut(), first, last),
                Entry::Vacant(place) if has_room => {
                    place.insert((first, last));
                }
                Entry::Vacant(_) => {}
            }
        }
    }
}

fn lock(known: &Known) -> MutexGuard<'_, HashMap<SidePair, Span>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn widen(span: &mut Span, first: Timestamp, last: Timestamp) {
    *span = (span.0.min(first), span.1.max(last));
}

/// What these messages tell: each pair once, in no order.
pub(super) fn seen<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<SideSeen> {
    let mut spans: HashMap<(&str, &str, Side), Span> = HashMap::new();
    for message in messages {
        see(message, &mut spans);
    }
    let seen = |((mailbox, agent, side), (first, last)): ((&str, &str, Side), Span)| SideSeen {
        pair: SidePair {
            mailbox: mailbox.to_owned(),
            agent: agent.to_owned(),
            side,
        },
        first,
        last,
    };
    spans.into_iter().map(seen).collect()
}

/// Private mail has no mailbox, and is nobody's business; nor is an erased person's mailbox.
fn see<'a>(message: &'a Message, spans: &mut HashMap<(&'a str, &'a str, Side), Span>) {
    let attribution = &message.attribution;
    let (Some(mailbox), Some(agent), true) =
        (&attribution.mailbox, &attribution.agent, attribution.listed)
    else {
        return;
    };
    if is_pseudonym(mailbox) {
        return;
    }
    for event in message.evidence.events() {
        // it names somebody else
        let is_other = attribution.contradicted && event.operation == Operation::Send;
        if event.failed || is_other {
            continue;
        }
        let micros = event.time.micros();
        let hour = Timestamp::from_micros(micros - micros.rem_euclid(HOUR));
        let span = spans.entry((mailbox, agent, event.side));
        widen(span.or_insert((hour, hour)), hour, hour);
    }
}
