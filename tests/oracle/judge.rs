//! The whole of a tenant at once: all records → evidence of each message → the answers.

use super::{
    people::{Actor, Entry, Identity, People, identities},
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
    /// Seconds since 1970.
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
    judged.map(|(id, events)| (id, judge(&bounded(events), &people))).collect()
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
        let group = (event.operation, event.side(), actor, event.failed);
        let count = kept.entry(group).or_default();
        *count += 1;
        if *count <= EVENTS {
            left.push(event);
        }
    }
    left
}

/// As the record names him.
fn actor_of(event: &Event) -> String {
    event.user_id.clone().unwrap_or_default()
}

const BASES: [(Operation, Side, &str); 6] = [
    (Operation::SendAs, Side::Mailbox, "MAILBOX_SEND_AS"),
    (Operation::SendAs, Side::Agent, "AGENT_SEND_AS"),
    (Operation::SendOnBehalf, Side::Mailbox, "MAILBOX_SEND_ON_BEHALF"),
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
}

fn judge(events: &[Event], people: &People) -> Answer {
    let mut sent: Vec<Judged<'_>> = events
        .iter()
        .filter(|event| !event.failed)
        .map(|event| {
            let side = event.side();
            let mut bases = BASES.iter();
            let rank = bases.position(|basis| (basis.0, basis.1) == (event.operation, side));
            Judged {
                event,
                rank: rank.expect("all combinations"),
                side,
                actor: people.actor(event),
                mailbox: people.mailbox(event),
            }
        })
        .collect();
    if sent.is_empty() {
        return only_failed(events);
    }
    sent.sort_by(|a, b| (BASES[a.rank].2 == "SEND", a.rank, a.event).cmp(&(
        BASES[b.rank].2 == "SEND",
        b.rank,
        b.event,
    )));
    let (plain, strong): (Vec<&Judged<'_>>, Vec<&Judged<'_>>) =
        sent.iter().partition(|one| one.is_plain());
    let (by_strong, by_plain) = (groups(&strong), groups(&plain));
    let other_account = strong.iter().any(|strong| {
        strong.actor == Actor::Unresolved && !plain.iter().any(|plain| may_be_same(strong, plain))
    });
    let (people, used): (&[Vec<&Judged<'_>>], &[&Judged<'_>]) = if !by_strong.is_empty() {
        (&by_strong, &strong)
    } else if other_account {
        (&[], &strong)
    } else {
        (&by_plain, &plain)
    };
    let mut answer = Answer {
        sent_at: sent.iter().map(|one| one.event.time).min().expect("some"),
        ..Answer::default()
    };
    let used: Vec<&Judged<'_>> = match people {
        [] => {
            let used = if other_account { used.to_vec() } else { sent.iter().collect() };
            let nobody: Vec<_> = used.iter().copied().filter(|one| one.actor == Actor::Unresolved).collect();
            let is_unresolved = !nobody.is_empty();
            answer.verdict = if is_unresolved { "UNRESOLVED" } else { "NOT_A_PERSON" };
            if is_unresolved { nobody } else { used }
        }
        [one] => {
            answer.verdict = "ATTRIBUTED";
            let agent = one[0].person().expect("a person");
            answer.agent = Some(agent.to_owned());
            let is_his = |other: &&Judged<'_>| is_same(one, other);
            let his: Vec<&Judged<'_>> = sent.iter().filter(is_his).collect();
            let has = |side| his.iter().any(|one| one.side == side);
            answer.confirmed = has(Side::Mailbox) && has(Side::Agent);
            answer.contradicted = !one[0].is_plain()
                && plain.iter().any(|plain| plain.person().is_some() && !is_same(one, plain));
            one.clone()
        }
        several => {
            answer.verdict = "CONFLICT";
            let names = several.iter().filter_map(|one| one[0].person());
            let names: BTreeSet<&str> = names.collect();
            answer.candidates = names.into_iter().map(str::to_owned).collect();
            used.iter().copied().filter(|one| one.person().is_some()).collect()
        }
    };
    answer.basis = used.first().map(|one| BASES[one.rank].2);
    let mut told = used.iter().copied().chain(sent.iter());
    answer.mailbox = told.find_map(|one| one.mailbox.clone());
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

/// The people among them, each with his events, which are in the order of strength. One name, or
/// one SID, is one person.
fn groups<'a>(events: &[&'a Judged<'a>]) -> Vec<Vec<&'a Judged<'a>>> {
    let mut groups: Vec<Vec<&Judged<'_>>> = Vec::new();
    for one in events.iter().copied().filter(|one| one.person().is_some()) {
        let (same, others) = groups.into_iter().partition(|group| is_same(group, one));
        groups = others;
        let mut merged: Vec<&Judged<'_>> = Vec::new();
        merged.extend(Vec::into_iter(same).flatten());
        merged.push(one);
        merged.sort_by(|a, b| (a.rank, a.event).cmp(&(b.rank, b.event)));
        groups.push(merged);
    }
    groups
}

fn is_same(person: &[&Judged<'_>], other: &Judged<'_>) -> bool {
    let same_sid = |one: &Judged<'_>| {
        one.event.logon_sid.is_some() && one.event.logon_sid == other.event.logon_sid
    };
    other.person().is_some()
        && person.iter().any(|one| one.person() == other.person() || same_sid(one))
}

/// An account without a name may be that of the plain Send, unless an identifier says otherwise.
fn may_be_same(nameless: &Judged<'_>, named: &Judged<'_>) -> bool {
    let (one, other) = (identities(nameless.event), identities(named.event));
    let same_kind = |a: &Identity, b: &Identity| {
        std::mem::discriminant(a) == std::mem::discriminant(b)
    };
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    let mut comparable = pairs.filter(|(a, b)| same_kind(a, b)).peekable();
    comparable.peek().is_none() || comparable.any(|(a, b)| a == b)
}
