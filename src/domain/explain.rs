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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Directory, Evidence, MailboxKind, Pseudonym, SendEvent,
        attribute::{
            attribute, judge,
            tests::{ANNA, BOB, SUPPORT, agent_side, mailbox_side, plain, register},
        },
        send_event::UserType,
    };
    use uuid::Uuid;

    fn explained(events: &[SendEvent], truncated: bool) -> Vec<String> {
        let alias = register(BOB, MailboxKind::User, &["robert@contoso.com"]);
        let directory = Directory::new(vec![alias], []);
        let mut evidence = Evidence::default();
        evidence.add(events.iter().cloned());
        let attribution = attribute(&evidence, &directory);
        reasoning(&judge(&evidence, &directory), &attribution, truncated)
    }

    #[test]
    fn an_answer_is_explained_event_by_event() {
        let failed = SendEvent {
            failed: true,
            ..mailbox_side(2, BOB)
        };
        assert_eq!(
            explained(&[mailbox_side(1, ANNA), failed], true),
            [
                "SendAs on the mailbox side at 2026-03-01T09:00:00Z names anna@contoso.com, sent from support@contoso.com.",
                "1 failed attempt(s): kept as evidence, never an answer.",
                "ATTRIBUTED to anna@contoso.com: the strongest evidence is MAILBOX_SEND_AS.",
                "Not confirmed: only one side of the log is in, or is clear.",
                "More events came than are kept of one message.",
            ]
        );
        let both = [mailbox_side(1, ANNA), agent_side(2, ANNA), plain(3, BOB)];
        assert_eq!(
            explained(&both, false)[3..],
            [
                "ATTRIBUTED to anna@contoso.com: the strongest evidence is MAILBOX_SEND_AS.",
                "Confirmed: both sides of the log name the same person.",
                "Contradicted: a plain Send names somebody else; it does not say on whose account, so it does not overturn the answer.",
            ]
        );
    }

    #[test]
    fn every_actor_and_every_verdict_has_its_words() {
        let pseudonym = Pseudonym(Uuid::from_u128(7)).to_string();
        let application = SendEvent {
            user_type: Some(UserType::Application),
            ..mailbox_side(1, "")
        };
        let failed = SendEvent {
            failed: true,
            ..mailbox_side(1, ANNA)
        };
        for (events, words, answer) in [
            (
                vec![agent_side(1, "robert@contoso.com")],
                "names \"robert@contoso.com\", who is bob@contoso.com",
                "ATTRIBUTED to bob@contoso.com",
            ),
            (
                vec![mailbox_side(1, &pseudonym)],
                "a person who was erased",
                "ERASED: the person was erased.",
            ),
            (
                vec![mailbox_side(1, "s-1-5-18")],
                "is by the system itself",
                "NOT_A_PERSON: no event names a person; the strongest evidence is MAILBOX_SEND_AS.",
            ),
            (vec![application], "is by an application", "NOT_A_PERSON: "),
            (
                vec![mailbox_side(1, SUPPORT)],
                "is by the account of the mailbox support@contoso.com itself",
                "NOT_A_PERSON: ",
            ),
            (
                vec![mailbox_side(1, "s-1-5-21-9")],
                "names \"s-1-5-21-9\", which leads to nobody known",
                "UNRESOLVED: there is evidence (MAILBOX_SEND_AS), but no identifier in it",
            ),
            (
                vec![mailbox_side(1, ANNA), mailbox_side(2, BOB)],
                "names bob@contoso.com",
                "CONFLICT: evidence of equal standing names anna@contoso.com and bob@contoso.com;",
            ),
            (
                vec![failed],
                "1 failed attempt(s)",
                "PENDING: no event counts as an answer",
            ),
        ] {
            let told = explained(&events, false).join("\n");
            assert!(told.contains(words), "{words}: {told}");
            assert!(told.contains(answer), "{answer}: {told}");
            assert!(!told.contains("Contradicted") && !told.contains("More events"));
        }
    }
}
