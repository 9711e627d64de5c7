//! The one rule: `attribution = attribute(evidence, directory)`.
//!
//! A pure function of two sets. Order, repeats, replays, the split into batches and the
//! number of writers cannot change an answer.

use super::{
    Actor, Attribution, Basis, Directory, Evidence, Identity, Operation, SendEvent, Side,
    Timestamp, Verdict,
    actor::{is_account_sid, is_puid},
    erasure::is_pseudonym,
    lesson::NamedBy,
};
use foldhash::{HashMap, HashMapExt as _};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One event as the rule sees it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    pub event: &'a SendEvent,
    /// After the events of the message were compared: an identifier that another event
    /// explains is that person.
    pub actor: Actor,
    /// The mailbox it was sent from, as far as this event tells.
    pub mailbox: Option<String>,
}

impl Judged<'_> {
    pub fn basis(&self) -> Basis {
        match (self.event.operation, self.event.side) {
            (Operation::SendAs, Side::Mailbox) => Basis::MailboxSendAs,
            (Operation::SendAs, Side::Agent) => Basis::AgentSendAs,
            (Operation::SendOnBehalf, Side::Mailbox) => Basis::MailboxSendOnBehalf,
            (Operation::SendOnBehalf, Side::Agent) => Basis::AgentSendOnBehalf,
            (Operation::Send, _) => Basis::Send,
        }
    }

    /// SendAs or SendOnBehalf: it says on whose account it was sent.
    pub fn is_strong(&self) -> bool {
        self.event.operation != Operation::Send
    }

    /// His address, or the pseudonym of one who was erased: he still is not somebody else.
    pub fn person(&self) -> Option<&str> {
        match &self.actor {
            Actor::Person(name) | Actor::Erased(name) => Some(name),
            _ => None,
        }
    }
}

/// The attribution of one message.
pub fn attribute(evidence: &Evidence, directory: &Directory) -> Attribution {
    decide(&judge(evidence, directory), directory)
}

/// Every event with its actor and mailbox, in canonical order.
pub fn judge<'a>(evidence: &'a Evidence, directory: &Directory) -> Vec<Judged<'a>> {
    let sent_as: BTreeSet<String> = evidence
        .events()
        .filter(|event| event.operation != Operation::Send && !event.failed)
        .filter_map(|event| mailbox(event, directory))
        .collect();
    let mut judged: Vec<Judged<'_>> = evidence
        .events()
        .map(|event| Judged {
            event,
            actor: Actor::of(event, directory, &sent_as),
            mailbox: mailbox(event, directory),
        })
        .collect();
    if judged.len() > 1 {
        unite_same_people(&mut judged);
    }
    judged
}

/// The mailbox that was sent as. A plain `Send` does not say; but the log of a mailbox that
/// is not the actor's own tells it.
fn mailbox(event: &SendEvent, directory: &Directory) -> Option<String> {
    let owner = event.owner.as_deref();
    let log = |most| directory.mailbox_name(owner, event.mailbox_guid, most);
    let name = if event.operation == Operation::Send {
        match directory.mailbox(owner, event.mailbox_guid, NamedBy::Owner) {
            Some(mailbox) if !mailbox.kind.is_person() => Some(mailbox.address.as_str()),
            // an administrator's session on somebody's mailbox
            _ if event.owner_is_actor == Some(false) && !event.sid_is_doubtful => {
                let actor = directory.mailbox_name(Some(&event.user_id), None, NamedBy::Owner);
                let log = log(NamedBy::Owner).filter(|_| owner.is_some());
                log.filter(|_| log != actor)
            }
            _ => None,
        }
    } else {
        let sent_as = event.sent_as.as_deref();
        directory
            .mailbox_name(sent_as, event.sent_as_mailbox(), NamedBy::SentAs)
            // the owner of the log is the fallback, never the first choice
            .or_else(|| log(NamedBy::SentAs).filter(|_| event.side == Side::Mailbox))
    };
    name.map(str::to_owned)
}

/// Events that share a stable identifier (the account's SID, its object id, its PUID) are of
/// one person, however differently they write the name. The name is that of the strongest
/// event. An unresolved identifier becomes the person that it is united with.
fn unite_same_people(judged: &mut [Judged<'_>]) {
    #[derive(PartialEq, Eq, Hash)]
    enum Id<'a> {
        Address(&'a str),
        Sid(&'a str),
        Object(Uuid),
        Puid(&'a str),
    }
    let mut groups = Groups::new(judged.len());
    let mut first_with: HashMap<Id<'_>, usize> = HashMap::new();
    for (at, one) in judged.iter().enumerate() {
        if one.event.failed || matches!(one.actor, Actor::System | Actor::Application) {
            continue;
        }
        let event = one.event;
        let user_id = Some(event.user_id.as_str());
        let ids = [
            match &one.actor {
                Actor::Person(name) | Actor::SharedMailbox(name) | Actor::Erased(name) => {
                    Some(Id::Address(name))
                }
                _ => None,
            },
            event
                .logon_user_sid
                .as_deref()
                .filter(|sid| is_account_sid(sid))
                .map(Id::Sid),
            user_id.filter(|sid| is_account_sid(sid)).map(Id::Sid),
            event.object_id.map(Id::Object),
            user_id
                .and_then(|id| Uuid::try_parse(id).ok())
                .map(Id::Object),
            event
                .user_key
                .as_deref()
                .filter(|key| is_puid(key))
                .map(Id::Puid),
            user_id.filter(|key| is_puid(key)).map(Id::Puid),
        ];
        for id in ids.into_iter().flatten() {
            let first = *first_with.entry(id).or_insert(at);
            groups.unite(first, at);
        }
    }
    // the name of each group: a person's before a shared mailbox's, then by strength
    let mut names: HashMap<usize, (bool, Basis, usize)> = HashMap::new();
    for (at, one) in judged.iter().enumerate() {
        let shared = match one.actor {
            Actor::Person(_) | Actor::Erased(_) => false,
            Actor::SharedMailbox(_) => true,
            _ => continue,
        };
        let candidate = (shared, one.basis(), at);
        names
            .entry(groups.root(at))
            .and_modify(|best| *best = candidate.min(*best))
            .or_insert(candidate);
    }
    let actors: Vec<Actor> = (0..judged.len())
        .map(
            |at| match (&judged[at].actor, names.get(&groups.root(at))) {
                (Actor::Person(_) | Actor::Unresolved, Some(&(_, _, best))) => {
                    judged[best].actor.clone()
                }
                (own, _) => own.clone(),
            },
        )
        .collect();
    for (one, actor) in judged.iter_mut().zip(actors) {
        one.actor = actor;
    }
}

/// Disjoint sets of positions.
struct Groups(Vec<usize>);

impl Groups {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn root(&self, mut at: usize) -> usize {
        while self.0[at] != at {
            at = self.0[at];
        }
        at
    }

    /// The smaller root stays, so the result does not depend on the order of unions.
    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// The verdict over the judged events.
pub fn decide(judged: &[Judged<'_>], directory: &Directory) -> Attribution {
    let mut counting: Vec<&Judged<'_>> = judged.iter().filter(|one| !one.event.failed).collect();
    let Some(sent_at) = counting.first().map(|one| one.event.time) else {
        return only_failed(judged);
    };
    // strongest first; a stable sort keeps the canonical order within one strength
    counting.sort_by_key(|one| one.basis());

    let people = |strong: bool| -> BTreeSet<&str> {
        let events = counting.iter().filter(|one| one.is_strong() == strong);
        events.filter_map(|one| one.person()).collect()
    };
    let (strong, plain) = (people(true), people(false));
    // a plain Send never overturns what says on whose account it was sent
    let named = if strong.is_empty() {
        people_besides_somebody_else(&counting)
    } else {
        strong.clone()
    };
    let (verdict, used) = verdict(&named, &counting);

    let sole = named.first().copied().filter(|_| named.len() == 1);
    let agent = sole.filter(|name| !is_pseudonym(name));
    let wrote = |side| used.iter().any(|one| one.event.side == side);
    let mailbox = mailbox_of_message(&counting, sole, directory);
    Attribution {
        verdict,
        basis: used.first().map(|one| one.basis()),
        agent_object_id: agent.and_then(|agent| {
            let told = used.iter().find_map(|one| one.event.object_id);
            told.or_else(|| directory.registered(agent)?.object_id)
        }),
        confirmed: sole.is_some() && wrote(Side::Mailbox) && wrote(Side::Agent),
        contradicted: sole.is_some() && !strong.is_empty() && !plain.is_subset(&strong),
        sent_at,
        candidates: match verdict {
            Verdict::Conflict => named.iter().map(|&person| person.to_owned()).collect(),
            _ => Vec::new(),
        },
        listed: mailbox.is_some() || counting.iter().any(|one| one.is_strong()),
        agent: agent.map(str::to_owned),
        mailbox,
    }
}

/// Whom the plain sends name, where nobody is named by what says on whose account it was sent.
/// If that has an account's identifier that leads to nobody, whoever has another one of its
/// kind is not the one.
fn people_besides_somebody_else<'a>(counting: &[&'a Judged<'_>]) -> BTreeSet<&'a str> {
    let sent_by: Vec<Identity<'_>> = counting
        .iter()
        .filter(|one| one.is_strong() && one.actor == Actor::Unresolved)
        .flat_map(|one| one.event.account())
        .collect();
    let is_somebody_else = |one: &Judged<'_>| {
        if matches!(one.actor, Actor::Erased(_)) {
            return !sent_by.is_empty(); // one of his own would be erased as well
        }
        one.event.account().any(|account| {
            let mut same_kind = sent_by
                .iter()
                .filter(|by| by.is_of_kind(&account))
                .peekable();
            same_kind.peek().is_some() && same_kind.all(|by| *by != account)
        })
    };
    counting
        .iter()
        .filter(|one| !is_somebody_else(one))
        .filter_map(|one| one.person())
        .collect()
}

/// The verdict, and the events that it rests on, strongest first.
fn verdict<'a, 'b>(
    named: &BTreeSet<&str>,
    counting: &[&'a Judged<'b>],
) -> (Verdict, Vec<&'a Judged<'b>>) {
    let those = |keep: &dyn Fn(&Judged<'_>) -> bool| -> Vec<&'a Judged<'b>> {
        counting.iter().copied().filter(|one| keep(one)).collect()
    };
    let naming = || those(&|one| one.person().is_some_and(|person| named.contains(person)));
    let unresolved = || those(&|one| one.actor == Actor::Unresolved);
    match named.len() {
        0 if unresolved().is_empty() => (Verdict::NotAPerson, counting.to_vec()),
        0 => (Verdict::Unresolved, unresolved()),
        1 if named.first().is_some_and(|name| is_pseudonym(name)) => (Verdict::Erased, naming()),
        1 => (Verdict::Attributed, naming()),
        _ => (Verdict::Conflict, naming()),
    }
}

/// The mailbox by the strongest event that tells it. Where all there is are plain sends, the
/// agent's own mailbox is none: that is private mail.
fn mailbox_of_message(
    counting: &[&Judged<'_>],
    agent: Option<&str>,
    directory: &Directory,
) -> Option<String> {
    let mailbox = counting.iter().find_map(|one| one.mailbox.as_deref())?;
    let is_own = |one: &&Judged<'_>| {
        one.person() == agent && own_mailbox(one.event, directory) == Some(mailbox)
    };
    let is_private = agent.is_some()
        && !counting.iter().any(|one| one.is_strong())
        && (agent == Some(mailbox) || counting.iter().any(is_own));
    (!is_private).then(|| mailbox.to_owned())
}

/// The mailbox of the actor himself, by the log that the event is in: its address may be another
/// than the name that he signs in with. What is registered as nobody's is not his.
fn own_mailbox<'a>(event: &'a SendEvent, directory: &'a Directory) -> Option<&'a str> {
    let (owner, guid) = (event.owner.as_deref(), event.mailbox_guid);
    let registered = directory.mailbox(owner, guid, NamedBy::Owner);
    let is_his = event.owner_is_actor == Some(true)
        && registered.is_none_or(|mailbox| mailbox.kind.is_person());
    directory
        .mailbox_name(owner, guid, NamedBy::Owner)
        .filter(|_| is_his)
}

/// Attempts that failed are kept, and are never an answer.
fn only_failed(judged: &[Judged<'_>]) -> Attribution {
    Attribution {
        verdict: Verdict::Pending,
        basis: None,
        agent: None,
        agent_object_id: None,
        mailbox: None,
        confirmed: false,
        contradicted: false,
        sent_at: judged
            .first()
            .map_or(Timestamp::EARLIEST, |one| one.event.time),
        candidates: Vec::new(),
        listed: false,
    }
}

#[cfg(test)]
#[path = "attribute_laws.rs"]
mod laws;
#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod mailbox_tests;
#[cfg(test)]
#[path = "attribute_tests.rs"]
pub(crate) mod tests;
