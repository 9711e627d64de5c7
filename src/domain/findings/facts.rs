//! What was told about one property, in the order of time: what is newest counts.

use super::accounts::Accounts;
use crate::domain::finding::{Clue, Source};
use crate::domain::settings::{Names, Property, is_type_name, parse_boolean};
use crate::domain::{AdminChange, Timestamp};

/// Most clues of a finding.
pub(super) const MAX_CLUES: usize = 5;

/// A change that took effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub change: &'a AdminChange,
    /// `None`: it says of nothing that it was changed, or it is the organisation's.
    pub account: Option<usize>,
}

pub(super) fn changes<'a>(
    changes: &'a [AdminChange],
    accounts: &mut Accounts<'a>,
) -> Vec<Change<'a>> {
    let mut changes: Vec<&AdminChange> = changes.iter().filter(|one| !one.failed).collect();
    changes.sort_unstable();
    changes.dedup();
    let placed = changes.into_iter().map(|change| {
        let of_organization = ["Set-AdminAuditLogConfig", "Set-OrganizationConfig"];
        let account = if of_organization.contains(&change.operation) {
            None
        } else {
            accounts.changed(change)
        };
        Change { change, account }
    });
    placed.collect()
}

/// One thing that was told.
#[derive(Clone, Debug)]
pub(super) struct Fact<'a, T> {
    pub at: Timestamp,
    /// `None`: settings.
    pub change: Option<&'a AdminChange>,
    pub value: T,
    /// For people.
    pub says: String,
}

impl<T> Fact<'_, T> {
    pub fn clue(&self) -> Clue {
        Clue {
            source: match self.change {
                Some(change) => feed(change),
                None => Source::Settings {
                    captured_at: self.at,
                },
            },
            says: self.says.clone(),
        }
    }
}

pub(super) fn feed(change: &AdminChange) -> Source {
    Source::Feed {
        time: change.time,
        actor: change.actor.clone(),
        operation: change.operation,
        record_id: change.record_id,
    }
}

/// What holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Bad(Vec<Clue>),
    /// Something was told that does not answer the question.
    CannotTell(Vec<Clue>),
    NotTold,
}

/// The newest last; of one time, settings after changes: they show what came out.
pub(super) fn in_order<T>(facts: &mut [Fact<'_, T>]) {
    facts.sort_by_key(|fact| (fact.at, fact.change.is_none()));
}

/// Of facts that each say "good", "bad", or nothing.
pub(super) fn judge(mut facts: Vec<Fact<'_, Option<bool>>>) -> State {
    in_order(&mut facts);
    let mut unclear = Vec::new();
    let mut newest = facts.iter().rev().peekable();
    while let Some(fact) = newest.next_if(|fact| fact.value.is_none()) {
        unclear.push(fact.clue());
    }
    match newest.peek() {
        Some(fact) if fact.value == Some(true) => State::Good,
        Some(_) => State::Bad(bad_run(newest)),
        None if unclear.is_empty() => State::NotTold,
        None => {
            unclear.truncate(MAX_CLUES);
            State::CannotTell(unclear)
        }
    }
}

/// What decides, and the changes before it that made it so: they say who and when.
fn bad_run<'f, 'a: 'f>(newest: impl Iterator<Item = &'f Fact<'a, Option<bool>>>) -> Vec<Clue> {
    let run = newest.take_while(|fact| fact.value != Some(true));
    let bad = run.filter(|fact| fact.value == Some(false)).enumerate();
    let counts = bad.filter(|(at, fact)| *at == 0 || fact.change.is_some());
    counts
        .map(|(_, fact)| fact.clue())
        .take(MAX_CLUES)
        .collect()
}

/// What an administrator made of a list of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListChange {
    Replaced(Names),
    Added(Names),
    Removed(Names),
    /// In a form that does not say what it is now.
    Unreadable,
}

/// The value of a parameter such as `AuditDelegate`: a list, or what is left of
/// `@{Add="SendAs"}`.
pub(super) fn list_changes(text: &str) -> Vec<ListChange> {
    let text = text.trim();
    let words = |text: &str| {
        let mut names = Names::default();
        let text = text.trim_matches(|c: char| "{}@$\"' ".contains(c));
        names.push_words(&text.replace(['"', '\''], ""));
        names
    };
    let table = text
        .strip_prefix("@{")
        .map(|rest| rest.trim_end_matches('}'));
    let Some(table) = table else {
        let names = words(text.strip_prefix("$null").unwrap_or(text));
        let is_list = !is_type_name(text) && !names.is_cut;
        return vec![if is_list {
            ListChange::Replaced(names)
        } else {
            ListChange::Unreadable
        }];
    };
    let mut changes = Vec::new();
    for part in table.split_inclusive(['=']).collect::<Vec<_>>().windows(2) {
        let key = part[0].trim_end_matches('=').trim();
        let key = key.rsplit([';', ' ']).next().unwrap_or_default();
        // up to the next key
        let values = part[1].trim_end_matches('=');
        let values = match values.rsplit_once(';') {
            Some((values, _)) if part[1].ends_with('=') => values,
            _ => values,
        };
        let names = words(values);
        if names.is_cut || names.names.is_empty() {
            return vec![ListChange::Unreadable];
        }
        if key.eq_ignore_ascii_case("Add") {
            changes.push(ListChange::Added(names));
        } else if key.eq_ignore_ascii_case("Remove") {
            changes.push(ListChange::Removed(names));
        } else {
            return vec![ListChange::Unreadable];
        }
    }
    if changes.is_empty() {
        changes.push(ListChange::Unreadable);
    }
    changes
}

/// The facts of a property that is true or false: from settings, and from changes of one
/// parameter. `good`: the value that is right.
pub(super) fn flags<'a>(
    settings: impl Iterator<Item = (Timestamp, &'a Property<bool>)>,
    changes: impl Iterator<Item = &'a AdminChange>,
    name: &str,
    good: bool,
) -> Vec<Fact<'a, Option<bool>>> {
    let shown = |value: bool| if value { "True" } else { "False" };
    let settings = settings.filter(|(_, told)| told.is_given());
    let mut facts: Vec<Fact<'a, Option<bool>>> = settings
        .map(|(at, told)| Fact {
            at,
            change: None,
            value: told.known().map(|value| *value == good),
            says: match told.known() {
                Some(value) => format!("{name} is {}", shown(*value)),
                None => format!("{name} has a value that cannot be read"),
            },
        })
        .collect();
    facts.extend(changes.filter_map(|change| {
        let value = parse_boolean(change.parameter(name)?);
        Some(Fact {
            at: change.time,
            change: Some(change),
            value: value.map(|value| value == good),
            says: match value {
                Some(value) => format!("{name} was set to {}", shown(value)),
                None => format!("{name} was set to a value that cannot be read"),
            },
        })
    }));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_changed_list() {
        use ListChange::{Added, Removed, Replaced, Unreadable};
        let names = |names: &[&str]| Names {
            names: names.iter().map(|&name| name.into()).collect(),
            is_cut: false,
        };
        for (text, expected) in [
            (
                "SendAs, Update",
                vec![Replaced(names(&["SendAs", "Update"]))],
            ),
            (" \"SendAs\" ", vec![Replaced(names(&["SendAs"]))]),
            ("$null", vec![Replaced(names(&[]))]),
            ("", vec![Replaced(names(&[]))]),
            ("SendAs…", vec![Unreadable]),
            ("System.Collections.Hashtable", vec![Unreadable]),
            ("@{Add=\"SendAs\"}", vec![Added(names(&["SendAs"]))]),
            (
                "@{remove='Send','Update'}",
                vec![Removed(names(&["Send", "Update"]))],
            ),
            (
                "@{Add=SendAs,Send; Remove=Update}",
                vec![
                    Added(names(&["SendAs", "Send"])),
                    Removed(names(&["Update"])),
                ],
            ),
            ("@{Add=SendAs;}", vec![Added(names(&["SendAs"]))]),
            ("@{Add=SendAs; Set=Update}", vec![Unreadable]),
            ("@{Add=}", vec![Unreadable]),
            ("@{}", vec![Unreadable]),
        ] {
            assert_eq!(list_changes(text), expected, "{text}");
        }
    }
}
