//! Does a side write its events? The mailbox side is what the shared mailbox logs of its
//! delegates, the agent side what the agent's mailbox logs of its owner.

use super::facts::{Fact, ListChange, MAX_CLUES, State, in_order, list_changes};
use super::{View, log};
use crate::domain::AdminChange;
use crate::domain::finding::{Cause, Clue, Finding, Severity, Source, Subject};
use crate::domain::settings::{MailboxSettings, Names, Property};

/// What one mailbox logs.
#[derive(Clone, Copy, Debug)]
struct Action {
    /// The sign-in type.
    by: &'static str,
    parameter: &'static str,
    name: &'static str,
    list: fn(&MailboxSettings) -> &Property<Names>,
}

const SEND_AS: Action = Action {
    by: "Delegate",
    parameter: "AuditDelegate",
    name: "SendAs",
    list: |settings| &settings.audit_delegate,
};

const SEND_ON_BEHALF: Action = Action {
    name: "SendOnBehalf",
    ..SEND_AS
};

const SEND: Action = Action {
    by: "Owner",
    parameter: "AuditOwner",
    name: "Send",
    list: |settings| &settings.audit_owner,
};

enum Told<'a> {
    Settings(&'a MailboxSettings),
    List(ListChange),
    /// Microsoft's defaults again.
    Reset,
}

fn facts<'a>(view: &View<'a>, account: usize, action: Action) -> Vec<Fact<'a, Told<'a>>> {
    let settings = view.accounts.all[account].settings.iter();
    let mut facts: Vec<Fact<'a, Told<'a>>> = settings
        .map(|&settings| Fact {
            at: settings.captured_at,
            change: None,
            says: shown(settings, action),
            value: Told::Settings(settings),
        })
        .collect();
    for change in log::changes_of(view, account, "Set-Mailbox") {
        let told = of_change(change, action);
        facts.extend(told.into_iter().map(|(value, says)| Fact {
            at: change.time,
            change: Some(change),
            value,
            says,
        }));
    }
    in_order(&mut facts);
    facts
}

/// In the order in which they take effect.
fn of_change<'a>(change: &AdminChange, action: Action) -> Vec<(Told<'a>, String)> {
    let mut told = Vec::new();
    if let Some(text) = change.parameter("DefaultAuditSet") {
        let mut names = Names::default();
        names.push_words(text);
        if names.has(action.by) == Some(true) {
            told.push((Told::Reset, "DefaultAuditSet was set".to_owned()));
        }
    }
    if let Some(text) = change.parameter(action.parameter) {
        for list in list_changes(text) {
            let parameter = action.parameter;
            let says = match &list {
                ListChange::Replaced(names) => format!("{parameter} was set to {}", listed(names)),
                ListChange::Added(names) => format!("{} was added to {parameter}", listed(names)),
                ListChange::Removed(names) => {
                    format!("{} was taken from {parameter}", listed(names))
                }
                ListChange::Unreadable => {
                    format!("{parameter} was changed, in a form that does not tell to what")
                }
            };
            told.push((Told::List(list), says));
        }
    }
    told
}

/// Most names that are shown.
const MAX_SHOWN: usize = 20;

pub(super) fn listed(names: &Names) -> String {
    if names.names.is_empty() && !names.is_cut {
        return "nothing".to_owned();
    }
    let shown: Vec<&str> = names
        .names
        .iter()
        .take(MAX_SHOWN)
        .map(String::as_str)
        .collect();
    let more = names.is_cut || names.names.len() > MAX_SHOWN;
    format!("{}{}", shown.join(", "), if more { ", …" } else { "" })
}

fn shown(settings: &MailboxSettings, action: Action) -> String {
    let part = |name: &str, told: &Property<Names>| match told {
        Property::Known(names) if names.is_cut => {
            format!("{name} is cut off after {}", listed(names))
        }
        Property::Known(names) => format!("{name} is {}", listed(names)),
        Property::Unknown => format!("{name} has a value that cannot be read"),
        Property::NotGiven => format!("{name} is not in the export"),
    };
    format!(
        "{}; {}",
        part("DefaultAuditSet", &settings.default_audit_set),
        part(action.parameter, (action.list)(settings))
    )
}

/// What settings tell of an action. `None`: nothing.
fn by_settings(settings: &MailboxSettings, action: Action) -> Option<bool> {
    let has = |told: &Property<Names>, name: &str| told.known().and_then(|names| names.has(name));
    let is_listed = has((action.list)(settings), action.name);
    let is_default = has(&settings.default_audit_set, action.by);
    match (is_listed, is_default) {
        (Some(true), _) => Some(true),
        // an owner's list may lack what the licence does not have
        (Some(false), Some(true)) if action.by == SEND.by => Some(false),
        (_, Some(true)) => Some(true),
        (listed, _) => listed,
    }
}

/// It is logged because Microsoft's defaults hold, and not because a list says so.
fn rests_on_defaults(told: &Told<'_>, action: Action) -> bool {
    match told {
        Told::Reset => true,
        Told::List(_) => false,
        Told::Settings(settings) => {
            let listed = (action.list)(settings).known();
            listed.and_then(|names| names.has(action.name)) != Some(true)
                && by_settings(settings, action) == Some(true)
        }
    }
}

fn by_list(list: &ListChange, action: Action) -> Option<bool> {
    match list {
        ListChange::Replaced(names) => names.has(action.name),
        ListChange::Added(names) => (names.has(action.name) == Some(true)).then_some(true),
        ListChange::Removed(names) => (names.has(action.name) == Some(true)).then_some(false),
        ListChange::Unreadable => None,
    }
}

/// Is the action logged? The newest that tells counts: what is cut off says nothing.
fn audited(view: &View<'_>, account: usize, action: Action) -> State {
    let facts = facts(view, account, action);
    let mut unclear: Vec<Clue> = Vec::new();
    let mut bad: Vec<Clue> = Vec::new();
    let mut is_customised = false;
    for fact in facts.iter().rev() {
        if is_customised && rests_on_defaults(&fact.value, action) {
            continue; // newer settings say that the defaults do not hold any more
        }
        if let Told::Settings(settings) = &fact.value {
            let defaults = settings.default_audit_set.known();
            is_customised |= defaults.and_then(|names| names.has(action.by)) == Some(false);
        }
        let tells = match &fact.value {
            Told::Reset => Some(true),
            Told::List(list) => by_list(list, action),
            Told::Settings(settings) => by_settings(settings, action),
        };
        match tells {
            Some(true) if bad.is_empty() => return State::Good,
            Some(true) => break,
            // who has changed it, and when
            Some(false) if bad.is_empty() || fact.change.is_some() => bad.push(fact.clue()),
            Some(false) => {}
            None if !bad.is_empty() => {}
            None => {
                let is_unreadable = matches!(fact.value, Told::List(ListChange::Unreadable));
                let is_other_change = fact.change.is_some() && !is_unreadable;
                if !is_other_change {
                    unclear.push(fact.clue());
                }
                if is_unreadable {
                    break; // what was before it does not hold any more
                }
            }
        }
    }
    bad.truncate(MAX_CLUES);
    unclear.truncate(MAX_CLUES);
    match (bad.is_empty(), unclear.is_empty()) {
        (false, _) => State::Bad(bad),
        (true, false) => State::CannotTell(unclear),
        (true, true) => State::NotTold,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Right,
    Wrong,
    NotKnown,
}

impl Side {
    fn of(state: &State) -> Self {
        match state {
            State::Good => Self::Right,
            State::Bad(_) => Self::Wrong,
            State::CannotTell(_) | State::NotTold => Self::NotKnown,
        }
    }
}

pub(super) fn findings(view: &View<'_>, all: &mut Vec<Finding>) {
    let accounts = 0..view.accounts.all.len();
    let mailbox_sides: Vec<State> = accounts
        .clone()
        .map(|account| audited(view, account, SEND_AS))
        .collect();
    let agent_sides: Vec<State> = accounts
        .clone()
        .map(|account| audited(view, account, SEND))
        .collect();
    for account in accounts {
        let kind = view.accounts.all[account].kind();
        if view.accounts.all[account].is_shared() || kind.is_none() {
            let state = mailbox_sides[account].clone();
            mailbox_side(view, account, state, &agent_sides, all);
        }
        if view.may_be_agent(account) && (view.accounts.all[account].is_person() || kind.is_none())
        {
            agent_side(
                view,
                account,
                agent_sides[account].clone(),
                &mailbox_sides,
                all,
            );
        }
    }
}

/// The agents of a mailbox, each with its own side.
fn agents_beside(view: &View<'_>, mailbox: usize, agent_sides: &[State]) -> Vec<(usize, Side)> {
    let agents = view.agents_of(mailbox).into_iter();
    let side = |agent: usize| match log::bypass(view, agent) {
        State::Bad(_) => Side::Wrong,
        _ => Side::of(&agent_sides[agent]),
    };
    agents
        .filter(|agent| *agent != mailbox)
        .map(|agent| (agent, side(agent)))
        .collect()
}

fn mailbox_side(
    view: &View<'_>,
    account: usize,
    state: State,
    agent_sides: &[State],
    all: &mut Vec<Finding>,
) {
    let subject = Subject::Mailbox(view.name(account));
    let is_shared = view.accounts.all[account].is_shared();
    let cannot_be_told = matches!(state, State::CannotTell(_));
    match state {
        State::Bad(clues) if is_shared => {
            let agents = agents_beside(view, account, agent_sides);
            let (severity, more) = made_up_by_agents(view, &agents);
            let mut finding = Finding::new(
                Cause::SharedSendAsNotAudited,
                severity,
                subject.clone(),
                clues,
            );
            finding.go_on(&more);
            all.push(finding);
        }
        State::Bad(mut clues) => {
            clues.push(Clue {
                source: Source::Register,
                says: "it is not known to be shared".to_owned(),
            });
            let cause = Cause::SharedSendAsNotAudited;
            let subject = subject.clone();
            all.push(Finding::new(cause, Severity::Warning, subject, clues));
        }
        State::CannotTell(_) if is_shared => {
            let cause = Cause::SharedSendAsNotAudited;
            log::push(all, cause, Severity::Unknown, &subject, state);
        }
        _ => {}
    }
    // what hides the one hides the other
    let on_behalf = audited(view, account, SEND_ON_BEHALF);
    if is_shared && !(cannot_be_told && matches!(on_behalf, State::CannotTell(_))) {
        let cause = Cause::SharedSendOnBehalfNotAudited;
        log::push(all, cause, Severity::Warning, &subject, on_behalf);
    }
}

fn made_up_by_agents(view: &View<'_>, agents: &[(usize, Side)]) -> (Severity, String) {
    let wrong = agents.iter().filter(|(_, side)| *side == Side::Wrong);
    let wrong: Vec<String> = wrong.map(|(agent, _)| view.name(*agent)).collect();
    if !wrong.is_empty() {
        let more = format!(
            "nor does the side of {}, whose messages have no answer",
            some_of(&wrong)
        );
        (Severity::Error, more)
    } else if agents.is_empty() || agents.iter().any(|(_, side)| *side == Side::NotKnown) {
        let more = "whether the agents' own mailboxes make up for it is not known";
        (Severity::Error, more.to_owned())
    } else {
        let more = "the agents' own mailboxes make up for it, but nothing confirms them";
        (Severity::Warning, more.to_owned())
    }
}

fn agent_side(
    view: &View<'_>,
    account: usize,
    state: State,
    mailbox_sides: &[State],
    all: &mut Vec<Finding>,
) {
    let subject = Subject::Agent(view.name(account));
    let clues = match state {
        State::Bad(clues) => clues,
        State::CannotTell(_) if is_given(view, account) => {
            log::push(
                all,
                Cause::AgentSendNotAudited,
                Severity::Unknown,
                &subject,
                state,
            );
            return;
        }
        _ => return,
    };
    let mailboxes = view.mailboxes_of(account);
    let sides: Vec<(usize, Side)> = mailboxes
        .map(|mailbox| (mailbox, Side::of(&mailbox_sides[mailbox])))
        .collect();
    let wrong = sides.iter().filter(|(_, side)| *side == Side::Wrong);
    let wrong: Vec<String> = wrong.map(|(mailbox, _)| view.name(*mailbox)).collect();
    let (severity, more) = if !wrong.is_empty() {
        let more = format!("nor does {}, so nothing tells who sent", some_of(&wrong));
        (Severity::Error, more)
    } else if sides.is_empty() || sides.iter().any(|(_, side)| *side == Side::NotKnown) {
        let more = "whether the shared mailbox makes up for it is not known";
        (Severity::Warning, more.to_owned())
    } else {
        let more = "the shared mailbox makes up for it, but nothing confirms it";
        (Severity::Warning, more.to_owned())
    };
    let mut finding = Finding::new(Cause::AgentSendNotAudited, severity, subject, clues);
    finding.go_on(&more);
    all.push(finding);
}

/// People are exported for other reasons too: only a list that is there and cut off is asked
/// for again.
fn is_given(view: &View<'_>, account: usize) -> bool {
    let settings = view.accounts.all[account].settings.iter();
    let mut lists = settings.map(|settings| (SEND.list)(settings));
    lists.any(Property::is_given)
        || log::changes_of(view, account, "Set-Mailbox")
            .any(|change| change.parameter(SEND.parameter).is_some())
}

/// The first few of them.
pub(super) fn some_of(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(MAX_CLUES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(MAX_CLUES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_names_are_shown() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("n{n}")).collect() };
        let shown = |count, is_cut| {
            listed(&Names {
                names: names(count),
                is_cut,
            })
        };
        assert_eq!(shown(0, false), "nothing");
        assert_eq!(shown(2, false), "n0, n1");
        assert_eq!(shown(2, true), "n0, n1, …");
        assert!(shown(MAX_SHOWN, false).ends_with("n19"));
        assert!(shown(MAX_SHOWN + 1, false).ends_with("n19, …"));
        assert_eq!(some_of(&names(MAX_CLUES)), "n0, n1, n2, n3, n4");
        assert_eq!(
            some_of(&names(MAX_CLUES + 2)),
            "n0, n1, n2, n3, n4 and 2 more"
        );
    }
}
