//! How an answer follows from its evidence, in words.

use super::{Actor, Attribution, Side, Verdict, attribute::Judged};

/// A sentence each, in the order in which the rule looks.
pub fn reasoning(judged: &[Judged<'_>], attribution: &Attribution, truncated: bool) -> Vec<String> {
    let mut words = Vec::new();
    let failed = judged.iter().filter(|one| one.event.failed).count();
    let counting: Vec<&Judged<'_>> = judged.iter().filter(|one| !one.event.failed).collect();
    for one in &counting {
        words.push(event(one));
    }
    if failed > 0 {
        words.push(format!(
            "{failed} failed attempt(s): kept as evidence, never an answer."
        ));
    }
    words.push(verdict(attribution));
    if attribution.confirmed {
        words.push("Confirmed: both sides of the log name the same person.".into());
    } else if attribution.verdict == Verdict::Attributed {
        words.push("Not confirmed: only one side of the log is in, or is clear.".into());
    }
    if attribution.contradicted {
        words.push(
            "Contradicted: a plain Send names somebody else; it does not say on whose \
             account, so it does not overturn the answer."
                .into(),
        );
    }
    if truncated {
        words.push("More events came than are kept of one message.".into());
    }
    words
}

fn event(one: &Judged<'_>) -> String {
    let side = match one.event.side {
        Side::Mailbox => "the mailbox side",
        Side::Agent => "the agent side",
    };
    let actor = match &one.actor {
        Actor::Person(address) if one.event.user_id == *address => format!("names {address}"),
        // an alias, an older name, or an identifier that the directory knows
        Actor::Person(address) => format!("names \"{}\", who is {address}", one.event.actor_id()),
        Actor::Erased(pseudonym) => format!("names {pseudonym}, a person who was erased"),
        Actor::System => "is by the system itself".into(),
        Actor::Application => "is by an application".into(),
        Actor::SharedMailbox(address) => {
            format!("is by the account of the mailbox {address} itself")
        }
        Actor::Unresolved => format!(
            "names \"{}\", which leads to nobody known",
            one.event.actor_id()
        ),
    };
    let mailbox = match &one.mailbox {
        Some(mailbox) => format!(", sent from {mailbox}"),
        None => String::new(),
    };
    format!(
        "{} on {side} at {} {actor}{mailbox}.",
        one.event.operation.name(),
        one.event.time
    )
}

fn verdict(attribution: &Attribution) -> String {
    let basis = attribution.basis.map_or("", super::Basis::name);
    match (attribution.verdict, &attribution.agent) {
        (Verdict::Attributed, Some(agent)) => {
            format!("ATTRIBUTED to {agent}: the strongest evidence is {basis}.")
        }
        (Verdict::Conflict, _) => format!(
            "CONFLICT: evidence of equal standing names {}; no guess is made.",
            attribution.candidates.join(" and ")
        ),
        (Verdict::NotAPerson, _) => {
            format!("NOT_A_PERSON: no event names a person; the strongest evidence is {basis}.")
        }
        (Verdict::Unresolved, _) => format!(
            "UNRESOLVED: there is evidence ({basis}), but no identifier in it leads to a person."
        ),
        (Verdict::Erased, _) => "ERASED: the person was erased.".into(),
        (Verdict::Attributed | Verdict::Pending, _) => {
            "PENDING: no event counts as an answer; evidence may still come.".into()
        }
    }
}
