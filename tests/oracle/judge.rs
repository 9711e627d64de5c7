//! The whole of a tenant at once: all records → evidence of each message → the answers.

use super::{
    people::{Actor, Entry, People},
    record::{Event, Operation, Side, read},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The answer for one message, in the words of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    pub verdict: &'static str,
    pub basis: Option<&'static str>,
    pub agent: Option<String>,
    pub mailbox: Option<String>,
    pub candidates: Vec<String>,
    /// Microseconds since 1970.
    pub sent_at: i64,
    pub confirmed: bool,
    pub contradicted: bool,
    pub listed: bool,
}

/// Events of one operation, side, actor and outcome that are kept of a message.
const EVENTS: usize = 8;
const ACTORS: usize = 64;

/// By message id; without one by the record: `record <its id>`.
pub fn answers<'a>(
    records: impl Iterator<Item = &'a str>,
    register: &[Entry],
    tenant: Uuid,
) -> BTreeMap<String, Answer> {
    let mut events: Vec<Event> = records.filter_map(|json| read(json, tenant)).collect();
    events.sort();
    events.dedup();
    let people = People::of(&events, register);
    let mut messages: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events {
        messages.entry(event.message()).or_default().push(event);
    }
    let judged = messages.into_iter();
    judged
        .map(|(id, events)| (id, judge(&bounded(events), &people)))
        .collect()
}

/// A set can be cut so that no order of arrival matters: always the smallest stay.
fn bounded(sorted: Vec<Event>) -> Vec<Event> {
    let actors: BTreeSet<String> = sorted.iter().map(actor_of).collect();
    let actors: BTreeSet<String> = actors.into_iter().take(ACTORS).collect();
    let mut kept: BTreeMap<(Operation, Side, String, bool), usize> = BTreeMap::new();
    let mut left = Vec::new();
    for event in sorted {
        let actor = actor_of(&event);
        if !actors.contains(&actor) {
            continue;
        }
        let group = (event.operation, event.side, actor, event.failed);
        let count = kept.entry(group).or_default();
        *count += 1;
        if *count <= EVENTS {
            left.push(event);
        }
    }
    left
}

/// As the record names him: by his name, else by what stands in its place.
fn actor_of(event: &Event) -> String {
    let names = [&event.user_id, &event.logon_sid, &event.user_key];
    names
        .into_iter()
        .flatten()
        .next()
        .cloned()
        .unwrap_or_default()
}

const BASES: [(Operation, Side, &str); 6] = [
    (Operation::SendAs, Side::Mailbox, "MAILBOX_SEND_AS"),
    (Operation::SendAs, Side::Agent, "AGENT_SEND_AS"),
    (
        Operation::SendOnBehalf,
        Side::Mailbox,
        "MAILBOX_SEND_ON_BEHALF",
    ),
    (Operation::SendOnBehalf, Side::Agent, "AGENT_SEND_ON_BEHALF"),
    (Operation::Send, Side::Mailbox, "SEND"),
    (Operation::Send, Side::Agent, "SEND"),
];

struct Judged<'a> {
    event: &'a Event,
    /// Place in BASES.
    rank: usize,
    side: Side,
    actor: Actor,
    mailbox: Option<String>,
}

impl Judged<'_> {
    fn is_plain(&self) -> bool {
        self.event.operation == Operation::Send
    }

    fn person(&self) -> Option<&str> {
        match &self.actor {
            Actor::Person(name) => Some(name),
            _ => None,
        }
    }

    fn is_unresolved(&self) -> bool {
        self.actor == Actor::Unresolved
    }
}

/// Each event with who did it, the strongest first.
fn judged<'a>(events: &'a [Event], people: &People) -> Vec<Judged<'a>> {
    let sent_as: BTreeSet<String> = events
        .iter()
        .filter(|event| event.operation != Operation::Send && !event.failed)
        .filter_map(|event| people.mailbox(event))
        .collect();
    let one = |event: &'a Event| {
        let side = event.side;
        let actor = people.actor(event, &sent_as);
        let mailbox = people.mailbox(event);
        let mut bases = BASES.iter();
        let rank = bases.position(|basis| (basis.0, basis.1) == (event.operation, side));
        Judged {
            event,
            rank: rank.expect("all combinations").min(4),
            side,
            actor,
            mailbox,
        }
    };
    let mut judged: Vec<Judged<'_>> = events.iter().map(one).collect();
    judged.sort_by_key(|one| (one.rank, one.event));
    unite(&mut judged);
    judged
}

/// Whoever shares an identifier is one person, by the name in the strongest event; an
/// identifier without a name gets that of whom it is united with.
fn unite(judged: &mut [Judged<'_>]) {
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for (at, one) in judged.iter().enumerate() {
        let mut group = BTreeSet::from([at]);
        let shares = |other: &BTreeSet<usize>| {
            other
                .iter()
                .any(|other| shares_identifier(&judged[*other], one))
        };
        let (same, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(shares);
        group.extend(same.into_iter().flatten());
        groups = others;
        groups.push(group);
    }
    for group in groups {
        let actors: Vec<Actor> = group.iter().map(|at| judged[*at].actor.clone()).collect();
        let person = actors
            .iter()
            .find(|actor| matches!(actor, Actor::Person(_)));
        let account = actors
            .iter()
            .find(|actor| matches!(actor, Actor::Account(_)));
        let Some(name) = person.or(account) else {
            continue;
        };
        for at in group {
            if matches!(judged[at].actor, Actor::Person(_) | Actor::Unresolved) {
                judged[at].actor = name.clone();
            }
        }
    }
}

/// One name is one person too. What failed tells nothing about those who sent.
fn shares_identifier(one: &Judged<'_>, other: &Judged<'_>) -> bool {
    let counts = |one: &Judged<'_>| !matches!(one.actor, Actor::Service(_)) && !one.event.failed;
    let name = |one: &Judged<'_>| match &one.actor {
        Actor::Person(name) | Actor::Account(name) => Some(name.clone()),
        _ => None,
    };
    let (mine, others) = (one.event.all_identities(), other.event.all_identities());
    let same_name = name(one).is_some() && name(one) == name(other);
    counts(one) && counts(other) && (same_name || mine.iter().any(|mine| others.contains(mine)))
}

fn judge(events: &[Event], people: &People) -> Answer {
    let judged = judged(events, people);
    let sent: Vec<&Judged<'_>> = judged.iter().filter(|one| !one.event.failed).collect();
    let Some(sent_at) = sent.iter().map(|one| one.event.time).min() else {
        return only_failed(events);
    };
    let (plain, strong): (Vec<&Judged<'_>>, Vec<&Judged<'_>>) =
        sent.iter().copied().partition(|one| one.is_plain());
    let has_person = |events: &[&Judged<'_>]| events.iter().any(|one| one.person().is_some());
    let by = if has_person(&strong) {
        strong.clone()
    } else {
        let may_be = |one: &&Judged<'_>| !is_another(&strong, one);
        plain.iter().copied().filter(may_be).collect()
    };
    let names: BTreeSet<&str> = by.iter().filter_map(|one| one.person()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut answer = Answer {
        sent_at,
        ..Answer::default()
    };
    let used: Vec<&Judged<'_>> = match names.as_slice() {
        [] => {
            let unresolved = sent.iter().copied().filter(|one| one.is_unresolved());
            let unresolved: Vec<&Judged<'_>> = unresolved.collect();
            if unresolved.is_empty() {
                answer.verdict = "NOT_A_PERSON";
                sent.clone()
            } else {
                answer.verdict = "UNRESOLVED";
                unresolved
            }
        }
        [name] => {
            answer.verdict = "ATTRIBUTED";
            answer.agent = Some((*name).to_owned());
            let his = sent.iter().filter(|one| one.person() == Some(*name));
            let sides: BTreeSet<Side> = his.map(|one| one.side).collect();
            answer.confirmed = sides.len() == 2;
            let names_another =
                |one: &&Judged<'_>| one.person().is_some_and(|other| other != *name);
            answer.contradicted = has_person(&strong) && plain.iter().any(names_another);
            let is_his = |one: &&Judged<'_>| one.person() == Some(*name);
            by.iter().copied().filter(is_his).collect()
        }
        several => {
            answer.verdict = "CONFLICT";
            answer.candidates = several.iter().map(|name| (*name).to_owned()).collect();
            by.iter()
                .copied()
                .filter(|one| one.person().is_some())
                .collect()
        }
    };
    answer.basis = used.first().map(|one| BASES[one.rank].2);
    let mut told = sent.iter();
    answer.mailbox = told.find_map(|one| one.mailbox.clone());
    // what somebody sent out of his own mailbox is private, whoever else tells which one it was:
    // the log of an agent is his own, also where its address is another than the name that he
    // signs in with
    let is_own = |one: &&Judged<'_>| {
        let own = people.own_mailbox(one.event);
        one.person() == answer.agent.as_deref() && own.is_some() && own == answer.mailbox
    };
    let is_agents = answer.agent == answer.mailbox || sent.iter().any(is_own);
    if strong.is_empty() && answer.agent.is_some() && is_agents {
        answer.mailbox = None;
    }
    answer.listed = answer.mailbox.is_some() || !strong.is_empty();
    answer
}

/// Kept, never an answer.
fn only_failed(events: &[Event]) -> Answer {
    Answer {
        verdict: "PENDING",
        sent_at: events.iter().map(|event| event.time).min().expect("some"),
        ..Answer::default()
    }
}

/// An account without a name acted, and an identifier says that it is not this one's.
fn is_another(strong: &[&Judged<'_>], plain: &Judged<'_>) -> bool {
    let others = plain.event.identities();
    let mut nameless = strong.iter().filter(|one| one.is_unresolved());
    nameless.any(|one| {
        let mine = one.event.identities();
        let mut pairs = mine.iter().flat_map(|a| others.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| a.is_of_kind(b) && a != b)
    })
}
