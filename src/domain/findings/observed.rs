//! What the evidence, the consent and the collector tell.

use super::View;
use crate::domain::Timestamp;
use crate::domain::finding::{Cause, Clue, Finding, Severity, Source, Subject};

/// A side that has fired is silent when the other one still fires so much later,
const SILENT_AFTER_DAYS: i64 = 7;
/// and a side that never fired is missed when the other one has fired over so long a time.
const MISSED_AFTER_DAYS: i64 = 7;
const DAY: i64 = 86_400 * 1_000_000;

/// What was seen beside settings and changes. Any part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub sides: Vec<Sides>,
    pub senders: Vec<Sender>,
    /// The consent was revoked and not given again.
    pub revoked_at: Option<Timestamp>,
    pub collector: Collector,
}

/// The first and the last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What an agent sent from a mailbox, as each side logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    pub mailbox: String,
    pub agent: String,
    pub mailbox_side: Option<Span>,
    /// An agent's own `Send` that was joined counts.
    pub agent_side: Option<Span>,
}

/// Messages of a shared mailbox that nobody in particular sent (verdict NOT_A_PERSON).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub mailbox: String,
    /// An application; else the shared account itself.
    pub is_application: bool,
    pub messages: u64,
    pub seen: Span,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    /// When it was last handed content.
    pub last_success: Option<Timestamp>,
    pub last_failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at: Timestamp,
    /// Microsoft's, e.g. `AF20022`.
    pub code: String,
}

pub(super) fn collected(view: &View<'_>, all: &mut Vec<Finding>) {
    let observed = view.inputs.observed;
    let mut push = |cause, severity, source, says: String| {
        let clues = vec![Clue { source, says }];
        all.push(Finding::new(cause, severity, Subject::Organization, clues));
    };
    if let Some(revoked_at) = observed.revoked_at {
        let says = format!("the consent was revoked at {revoked_at}");
        push(
            Cause::ConsentRevoked,
            Severity::Error,
            Source::Consent,
            says,
        );
    }
    let Some(failure) = &observed.collector.last_failure else {
        return;
    };
    // what was refused once is handed out now
    let is_over = observed.collector.last_success >= Some(failure.at);
    let (cause, severity) = match failure.code.trim().to_ascii_uppercase().as_str() {
        // what has expired stays missing
        "AF20051" => (Cause::ContentExpired, Severity::Warning),
        // it waits a little, and goes on
        "AF429" | "AF50000" => return,
        _ if is_over => return,
        "AF10001" => (Cause::PermissionMissing, Severity::Error),
        "AF20022" | "AF20023" => (Cause::NoSubscription, Severity::Error),
        _ => (Cause::CollectorFails, Severity::Error),
    };
    let code: String = failure
        .code
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    let says = format!("answered {code} at {}", failure.at);
    push(cause, severity, Source::Collector, says);
}

pub(super) fn senders(view: &View<'_>, all: &mut Vec<Finding>) {
    for sender in &view.inputs.observed.senders {
        let (cause, severity) = if sender.is_application {
            (Cause::ApplicationSends, Severity::Info)
        } else {
            (Cause::SharedAccountSends, Severity::Error)
        };
        let messages = if sender.messages == 1 {
            "message"
        } else {
            "messages"
        };
        let clue = Clue {
            source: Source::Evidence,
            says: format!(
                "{} {messages} from {} to {}",
                sender.messages, sender.seen.first, sender.seen.last
            ),
        };
        let mailbox = view.accounts.find(&sender.mailbox);
        let mailbox = mailbox.map_or_else(|| sender.mailbox.clone(), |known| view.name(known));
        all.push(Finding::new(
            cause,
            severity,
            Subject::Mailbox(mailbox),
            vec![clue],
        ));
    }
}

/// Compares the two sides of each mailbox and agent: where both are quiet, nobody sent.
pub(super) fn silent(view: &View<'_>, all: &mut Vec<Finding>) {
    let days = |from: Timestamp, to: Timestamp| (to.micros() - from.micros()) / DAY;
    for pair in &view.inputs.observed.sides {
        let (cause, severity, says) = match (pair.mailbox_side, pair.agent_side) {
            (Some(mailbox), Some(agent)) => {
                let (name, quiet, other) = if mailbox.last < agent.last {
                    ("mailbox", mailbox, agent)
                } else {
                    ("agent", agent, mailbox)
                };
                if days(quiet.last, other.last) < SILENT_AFTER_DAYS {
                    continue;
                }
                let says = format!(
                    "the last event of the {name} side is of {}, of the other side of {}",
                    quiet.last, other.last
                );
                (Cause::SideWentSilent, Severity::Warning, says)
            }
            (Some(mailbox), None) if days(mailbox.first, mailbox.last) >= MISSED_AFTER_DAYS => {
                let says = format!(
                    "the mailbox side has events from {} to {}, the agent side none",
                    mailbox.first, mailbox.last
                );
                (Cause::AgentSideNeverSeen, Severity::Info, says)
            }
            _ => continue,
        };
        let named = |name: &str| {
            let known = view.accounts.find(name);
            known.map_or_else(|| name.to_owned(), |known| view.name(known))
        };
        let subject = Subject::Pair {
            mailbox: named(&pair.mailbox),
            agent: named(&pair.agent),
        };
        let clue = Clue {
            source: Source::Evidence,
            says,
        };
        all.push(Finding::new(cause, severity, subject, vec![clue]));
    }
}
