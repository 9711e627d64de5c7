//! Who may send from what.

use super::accounts::Accounts;
use super::facts::{Change, Fact, feed, in_order};
use super::{Agents, View};
use crate::domain::finding::{Cause, Clue, Finding, Severity, Source, Subject};
use crate::domain::settings::{Names, PermissionSettings, Property, Right};
use crate::domain::{AdminChange, MailboxKind, Settings, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of each mailbox × trustee × right. What it says calls a trustee as the finding
/// does, and not as the source did: who hides the one name hides all.
#[derive(Debug, Default)]
pub(super) struct Permissions<'a> {
    told: BTreeMap<(usize, usize, Right), Vec<Fact<'a, bool>>>,
    /// Of these mailboxes all rows were exported then: who is not among them has no right.
    complete: BTreeMap<(usize, Right), BTreeSet<Timestamp>>,
}

/// The row of every mailbox about itself. Who sees it sees them all: nothing was left out.
fn is_self(trustee: &str) -> bool {
    ["nt authority\\self", "s-1-5-10", "self"].contains(&trustee)
}

fn is_system(trustee: &str) -> bool {
    trustee.starts_with("nt authority\\") || trustee.starts_with("s-1-5-") || is_self(trustee)
}

impl<'a> Permissions<'a> {
    pub fn new(
        settings: &'a Settings,
        changes: &[Change<'a>],
        accounts: &mut Accounts<'a>,
    ) -> Self {
        let mut permissions = Self::default();
        for row in &settings.permissions {
            permissions.row(row, accounts);
        }
        for account in 0..accounts.all.len() {
            for at in 0..accounts.all[account].settings.len() {
                let mailbox = accounts.all[account].settings[at];
                let listed = &mailbox.grant_send_on_behalf_to;
                permissions.on_behalf(account, mailbox.captured_at, listed, accounts);
            }
        }
        for change in changes {
            if let Some(account) = change.account {
                permissions.changed(account, change.change, accounts);
            }
        }
        for facts in permissions.told.values_mut() {
            in_order(facts);
        }
        permissions
    }

    fn row(&mut self, row: &PermissionSettings, accounts: &mut Accounts<'a>) {
        let mailbox = accounts.add(&row.mailbox);
        if is_self(&row.trustee) {
            let right = if row.of_recipient {
                Right::SendAs
            } else {
                Right::FullAccess
            };
            let all = self.complete.entry((mailbox, right)).or_default();
            all.insert(row.captured_at);
        }
        if is_system(&row.trustee) {
            return;
        }
        let trustee = accounts.add(&row.trustee);
        for &right in &row.rights {
            let does = if row.is_denied { "is denied" } else { "has" };
            let whom = &accounts.all[trustee].name;
            self.tell(
                mailbox,
                trustee,
                right,
                Fact {
                    at: row.captured_at,
                    change: None,
                    value: !row.is_denied,
                    says: format!("{whom} {does} {}", name(right)),
                },
            );
        }
    }

    fn on_behalf(
        &mut self,
        mailbox: usize,
        at: Timestamp,
        listed: &Property<Names>,
        accounts: &mut Accounts<'a>,
    ) {
        let Some(names) = listed.known() else { return };
        if !names.is_cut {
            let all = self.complete.entry((mailbox, Right::SendOnBehalf));
            all.or_default().insert(at);
        }
        for trustee in &names.names {
            let account = accounts.add(trustee);
            let whom = &accounts.all[account].name;
            self.tell(
                mailbox,
                account,
                Right::SendOnBehalf,
                Fact {
                    at,
                    change: None,
                    value: true,
                    says: format!("GrantSendOnBehalfTo has {whom}"),
                },
            );
        }
    }

    fn changed(&mut self, mailbox: usize, change: &'a AdminChange, accounts: &mut Accounts<'a>) {
        let (who, right, is_given) = match change.operation {
            "Add-RecipientPermission" => ("Trustee", Right::SendAs, true),
            "Remove-RecipientPermission" => ("Trustee", Right::SendAs, false),
            "Add-MailboxPermission" => ("User", Right::FullAccess, true),
            "Remove-MailboxPermission" => ("User", Right::FullAccess, false),
            _ => return,
        };
        let mut rights = Names::default();
        rights.push_words(change.parameter("AccessRights").unwrap_or_default());
        let trustee = change
            .parameter(who)
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        let is_about = rights.has(name(right)) == Some(true);
        if !is_about || trustee.is_empty() || is_system(&trustee) {
            return;
        }
        let account = accounts.add(&trustee);
        let whom = &accounts.all[account].name;
        let was = if is_given { "given" } else { "taken" };
        self.tell(
            mailbox,
            account,
            right,
            Fact {
                at: change.time,
                change: Some(change),
                value: is_given,
                says: format!("{} was {was} to {whom}", name(right))
                    .replace("taken to", "taken from"),
            },
        );
    }

    fn tell(&mut self, mailbox: usize, trustee: usize, right: Right, fact: Fact<'a, bool>) {
        if mailbox != trustee {
            let told = self.told.entry((mailbox, trustee, right));
            told.or_default().push(fact);
        }
    }

    /// Whether the right is there, and what says so. `None`: nobody knows.
    fn has(&self, mailbox: usize, trustee: usize, right: Right) -> Option<(bool, Clue)> {
        let newest = self
            .told
            .get(&(mailbox, trustee, right))
            .and_then(|facts| facts.last());
        let complete = self.complete.get(&(mailbox, right));
        let complete = complete.and_then(|times| times.last().copied());
        match (newest, complete) {
            (Some(fact), Some(at)) if at > fact.at => Some(absent(at, right)),
            (Some(fact), _) => Some((fact.value, fact.clue())),
            (None, Some(at)) => Some(absent(at, right)),
            (None, None) => None,
        }
    }

    fn is_given(&self, mailbox: usize, trustee: usize, right: Right) -> bool {
        matches!(self.has(mailbox, trustee, right), Some((true, _)))
    }

    /// Whoever was ever told to have a right, or to have lost it.
    fn trustees(&self, mailbox: usize) -> BTreeSet<usize> {
        let of_mailbox = (mailbox, 0, Right::SendAs)..(mailbox + 1, 0, Right::SendAs);
        let told = self.told.range(of_mailbox);
        told.map(|((_, trustee, _), _)| *trustee).collect()
    }

    pub fn agents(&self, mailbox: usize, accounts: &Accounts<'_>) -> Agents {
        let mut agents = Agents::default();
        for trustee in self.trustees(mailbox) {
            let rights = [Right::SendAs, Right::SendOnBehalf, Right::FullAccess];
            let mut rights = rights.into_iter();
            if !rights.any(|right| self.is_given(mailbox, trustee, right)) {
                continue;
            }
            match accounts.all[trustee].kind() {
                Some(MailboxKind::User) => agents.known.push(trustee),
                Some(MailboxKind::Shared | MailboxKind::Resource) => {}
                // a group, perhaps: who is in it is not known
                Some(MailboxKind::Group) | None => agents.is_open = true,
            }
        }
        agents
    }

    /// The mail itself names the agent.
    pub fn is_on_behalf_only(&self, mailbox: usize, agent: usize) -> bool {
        let send_as = self.has(mailbox, agent, Right::SendAs);
        self.is_given(mailbox, agent, Right::SendOnBehalf) && matches!(send_as, Some((false, _)))
    }

    /// Somebody who may be a group has the right.
    fn is_given_to_groups(&self, mailbox: usize, accounts: &Accounts<'_>) -> bool {
        let mut trustees = self.trustees(mailbox).into_iter();
        trustees.any(|trustee| {
            !accounts.all[trustee].is_person() && self.is_given(mailbox, trustee, Right::SendAs)
        })
    }
}

fn absent(at: Timestamp, right: Right) -> (bool, Clue) {
    let clue = Clue {
        source: Source::Settings { captured_at: at },
        says: format!("not among those who have {}", name(right)),
    };
    (false, clue)
}

fn name(right: Right) -> &'static str {
    match right {
        Right::SendAs => "SendAs",
        Right::SendOnBehalf => "SendOnBehalf",
        Right::FullAccess => "FullAccess",
    }
}

pub(super) fn findings(view: &View<'_>, all: &mut Vec<Finding>) {
    let permissions = &view.permissions;
    for mailbox in 0..view.accounts.all.len() {
        for agent in permissions.trustees(mailbox) {
            let subject = || Subject::Pair {
                mailbox: view.name(mailbox),
                agent: view.name(agent),
            };
            let send_as = permissions.has(mailbox, agent, Right::SendAs);
            let on_behalf = permissions.has(mailbox, agent, Right::SendOnBehalf);
            match (send_as, on_behalf) {
                (Some((true, clue)), Some((true, other))) => {
                    let cause = Cause::SendAsAndSendOnBehalf;
                    let clues = vec![clue, other];
                    all.push(Finding::new(cause, Severity::Info, subject(), clues));
                }
                (Some((false, clue)), on_behalf) => {
                    let on_behalf = on_behalf.map(|(is_given, _)| is_given);
                    if is_missed(view, mailbox, agent, &clue, on_behalf) {
                        let clues = without(permissions, mailbox, agent, clue);
                        let cause = Cause::AgentWithoutSendAs;
                        all.push(Finding::new(cause, Severity::Warning, subject(), clues));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Send As was taken away, or was never given to somebody who opens the mailbox.
fn is_missed(
    view: &View<'_>,
    mailbox: usize,
    agent: usize,
    clue: &Clue,
    on_behalf: Option<bool>,
) -> bool {
    let kind = view.accounts.all[mailbox].kind();
    if !matches!(kind, Some(MailboxKind::Shared) | None) || on_behalf == Some(true) {
        return false;
    }
    if matches!(clue.source, Source::Feed { .. }) {
        return true;
    }
    kind.is_some()
        && view.accounts.all[agent].is_person()
        && on_behalf == Some(false)
        && view.permissions.is_given(mailbox, agent, Right::FullAccess)
        && !view.permissions.is_given_to_groups(mailbox, &view.accounts)
}

fn without(permissions: &Permissions<'_>, mailbox: usize, agent: usize, clue: Clue) -> Vec<Clue> {
    let full = permissions.has(mailbox, agent, Right::FullAccess);
    let full = full.filter(|(is_given, _)| *is_given).map(|(_, clue)| clue);
    // who took it away, where an export shows that it is gone
    let taken = permissions.told.get(&(mailbox, agent, Right::SendAs));
    let taken = taken.and_then(|facts| facts.last());
    let taken = taken
        .filter(|fact| !fact.value)
        .and_then(|fact| fact.change.map(|c| (c, fact)));
    let taken = taken.map(|(change, fact)| Clue {
        source: feed(change),
        says: fact.says.clone(),
    });
    let taken = taken.filter(|taken| *taken != clue);
    [Some(clue), taken, full].into_iter().flatten().collect()
}
