//! What is wrong with single mailboxes, whoever uses them.

use super::facts::{Fact, State, flags, in_order, judge};
use super::{View, log};
use crate::domain::finding::{Cause, Clue, Finding, Severity, Source, Subject};
use crate::domain::settings::{Property, parse_period};
use crate::domain::{MailboxKind, Timestamp};

pub(super) fn findings(view: &View<'_>, all: &mut Vec<Finding>) {
    for account in 0..view.accounts.all.len() {
        let is_used = view.accounts.all[account].is_shared() || view.may_be_agent(account);
        let subject = Subject::Mailbox(view.name(account));
        if is_used {
            let cause = Cause::AuditNotEnabled;
            log::push(
                all,
                cause,
                Severity::Warning,
                &subject,
                enabled(view, account),
            );
            let cause = Cause::NoRetention;
            log::push(
                all,
                cause,
                Severity::Warning,
                &subject,
                retention(view, account),
            );
        }
        if let Some((severity, clue)) = kind(view, account) {
            all.push(Finding::new(
                Cause::KindNotAudited,
                severity,
                subject,
                vec![clue],
            ));
        }
    }
}

/// False is what is stored. True is shown for every mailbox while auditing is on by default:
/// it answers nothing, but it makes what was before doubtful.
fn enabled(view: &View<'_>, account: usize) -> State {
    let settings = view.accounts.all[account].settings.iter();
    let settings: Vec<(Timestamp, &Property<bool>)> = settings
        .map(|settings| (settings.captured_at, &settings.audit_enabled))
        .collect();
    let changes = log::changes_of(view, account, "Set-Mailbox");
    let mut facts = flags(settings.into_iter(), changes, "AuditEnabled", true);
    for fact in &mut facts {
        if fact.change.is_none() && fact.value == Some(true) {
            fact.value = None;
        }
    }
    in_order(&mut facts);
    let newest_is_doubtful = facts.last().is_some_and(|fact| fact.value.is_none());
    match judge(facts.clone()) {
        State::Bad(mut clues) if newest_is_doubtful => {
            clues.extend(facts.last().map(Fact::clue));
            State::CannotTell(clues)
        }
        bad @ State::Bad(_) => bad,
        _ => State::NotTold,
    }
}

fn retention(view: &View<'_>, account: usize) -> State {
    let name = "AuditLogAgeLimit";
    let settings = view.accounts.all[account].settings.iter();
    let told = settings.filter_map(|settings| {
        let seconds = *settings.audit_log_age_limit.known()?;
        Some(Fact {
            at: settings.captured_at,
            change: None,
            value: Some(seconds != 0),
            says: format!("{name} is {}", period(seconds)),
        })
    });
    let mut facts: Vec<Fact<'_, Option<bool>>> = told.collect();
    for change in log::changes_of(view, account, "Set-Mailbox") {
        if let Some(seconds) = change.parameter(name).and_then(parse_period) {
            facts.push(Fact {
                at: change.time,
                change: Some(change),
                value: Some(seconds != 0),
                says: format!("{name} was set to {}", period(seconds)),
            });
        }
    }
    judge(facts)
}

/// As PowerShell writes it.
fn period(seconds: i64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 {
        clock
    } else {
        format!("{days}.{clock}")
    }
}

/// A kind that is not audited, where somebody answers from it.
fn kind(view: &View<'_>, account: usize) -> Option<(Severity, Clue)> {
    let mailbox = &view.accounts.all[account];
    let is_answered_from =
        mailbox.registered == Some(MailboxKind::Shared) || !view.agents[account].known.is_empty();
    if !is_answered_from {
        return None;
    }
    let (severity, source, name) = match (mailbox.recipient_type(), mailbox.registered) {
        (Some(told), _) if told.is_never_audited() => {
            (Severity::Warning, settings(view, account), told.0.as_str())
        }
        (Some(told), _) if told.kind() == Some(MailboxKind::Group) => {
            (Severity::Info, settings(view, account), told.0.as_str())
        }
        (None, Some(MailboxKind::Resource)) => {
            (Severity::Warning, Source::Register, "a resource mailbox")
        }
        (None, Some(MailboxKind::Group)) => (Severity::Info, Source::Register, "a group"),
        _ => return None,
    };
    let says = format!("it is {name}");
    Some((severity, Clue { source, says }))
}

fn settings(view: &View<'_>, account: usize) -> Source {
    let told = view.accounts.all[account].latest(|settings| &settings.recipient_type);
    told.map_or(Source::Register, |(settings, _)| Source::Settings {
        captured_at: settings.captured_at,
    })
}

#[cfg(test)]
mod tests {
    use super::period;

    #[test]
    fn periods_are_those_of_powershell() {
        let day = 86_400;
        for (seconds, shown) in [
            (0, "00:00:00"),
            (day - 1, "23:59:59"),
            (90 * day, "90.00:00:00"),
            (7 * day + 3_723, "7.01:02:03"),
        ] {
            assert_eq!(period(seconds), shown);
        }
    }
}
