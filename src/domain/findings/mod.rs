//! The rule: `findings = findings(settings, register, changes, what was observed)`. A pure
//! function of sets: what is newer counts, whatever order it is given in.
//!
//! | question | where |
//! |---|---|
//! | who is who, by whatever name | `accounts` |
//! | what holds now, and who has changed it | `facts` |
//! | who may send from what | `permissions` |
//! | is the log written, and is anybody exempt | `log` |
//! | does a side write its events | `sides` |
//! | what is wrong with single mailboxes, and with pairs of them | `mailboxes`, `regions` |
//! | what the evidence, the consent and the collector tell | `observed`, `senders` |
//!
//! The two sides make up for each other. So a shared mailbox that does not log is an ERROR,
//! unless the side of every agent is known to be right; an agent's side that does not log is
//! a WARNING, unless the side of a shared mailbox is known to be wrong too.

mod accounts;
mod facts;
mod log;
mod mailboxes;
mod observed;
mod permissions;
mod regions;
mod senders;
mod sides;

pub use observed::{Collector, Failure, Observed, Sender, Sides, Span};
pub use senders::senders;

use super::finding::Finding;
use super::{AdminChange, Mailbox, Settings};
use accounts::Accounts;
use facts::Change;
use permissions::Permissions;

/// All that is known. Any part may be empty.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub settings: &'a Settings,
    pub register: &'a [Mailbox],
    pub changes: &'a [AdminChange],
    pub observed: &'a Observed,
}

/// What is wrong, the worst first.
pub fn findings(inputs: &Inputs<'_>) -> Vec<Finding> {
    let view = View::new(inputs);
    let mut all = Vec::new();
    observed::collected(&view, &mut all);
    log::organization(&view, &mut all);
    log::bypasses(&view, &mut all);
    sides::findings(&view, &mut all);
    mailboxes::findings(&view, &mut all);
    regions::findings(&view, &mut all);
    permissions::findings(&view, &mut all);
    observed::senders(&view, &mut all);
    observed::silent(&view, &mut all);
    all.sort_by(|a, b| a.order().cmp(&b.order()));
    all
}

/// The inputs, put in order.
struct View<'a> {
    inputs: Inputs<'a>,
    accounts: Accounts<'a>,
    /// Those that took effect, by time.
    changes: Vec<Change<'a>>,
    /// The same, by account.
    changes_of: Vec<Vec<&'a AdminChange>>,
    permissions: Permissions<'a>,
    /// By account.
    agents: Vec<Agents>,
    persons: Vec<usize>,
    /// By account: see [`View::may_be_agent`].
    may_be_agent: Vec<bool>,
}

/// Who sends from a shared mailbox.
#[derive(Clone, Debug, Default)]
struct Agents {
    /// Accounts of persons.
    known: Vec<usize>,
    /// Others may: nobody is known, or a group has the right.
    is_open: bool,
}

impl<'a> View<'a> {
    fn new(inputs: &Inputs<'a>) -> Self {
        let mut accounts = Accounts::new(inputs);
        let changes = facts::changes(inputs.changes, &mut accounts);
        let permissions = Permissions::new(inputs.settings, &changes, &mut accounts);
        let observed: Vec<(usize, usize)> = inputs
            .observed
            .sides
            .iter()
            .map(|pair| (accounts.add(&pair.mailbox), accounts.add(&pair.agent)))
            .collect();
        let all = 0..accounts.all.len();
        let mut agents: Vec<Agents> = all
            .clone()
            .map(|mailbox| permissions.agents(mailbox, &accounts))
            .collect();
        for (mailbox, agent) in observed {
            agents[mailbox].known.push(agent);
        }
        for agents in &mut agents {
            agents.known.sort_unstable();
            agents.known.dedup();
            agents.is_open |= agents.known.is_empty();
        }
        let mut changes_of = vec![Vec::new(); accounts.all.len()];
        for change in &changes {
            if let Some(account) = change.account {
                changes_of[account].push(change.change);
            }
        }
        let mut view = Self {
            inputs: *inputs,
            persons: all.filter(|&one| accounts.all[one].is_person()).collect(),
            may_be_agent: Vec::new(),
            accounts,
            changes,
            changes_of,
            permissions,
            agents,
        };
        view.may_be_agent = view.possible_agents();
        view
    }

    fn possible_agents(&self) -> Vec<bool> {
        let is_shared = |account: usize| self.accounts.all[account].is_shared();
        let is_open = |mailbox: usize| self.agents[mailbox].is_open;
        let anybody = self.shared().next().is_none() || self.shared().any(is_open);
        let mut possible = vec![anybody; self.accounts.all.len()];
        for mailbox in self.shared() {
            for &agent in &self.agents[mailbox].known {
                possible[agent] = true;
            }
        }
        for (account, possible) in possible.iter_mut().enumerate() {
            *possible &= !is_shared(account);
        }
        possible
    }

    fn shared(&self) -> impl Iterator<Item = usize> {
        let all = 0..self.accounts.all.len();
        all.filter(|&account| self.accounts.all[account].is_shared())
    }

    /// Who may send from it: the agents that are known, or else every person.
    fn agents_of(&self, mailbox: usize) -> Vec<usize> {
        let agents = &self.agents[mailbox];
        if !agents.is_open {
            return agents.known.clone();
        }
        let is_person = |account: &&usize| self.accounts.all[**account].is_person();
        let others = agents.known.iter().filter(|account| !is_person(account));
        self.persons.iter().chain(others).copied().collect()
    }

    /// The shared mailboxes that it may send from, if it is an agent.
    fn mailboxes_of(&self, agent: usize) -> impl Iterator<Item = usize> {
        self.shared().filter(move |&mailbox| {
            let agents = &self.agents[mailbox];
            mailbox != agent && (agents.is_open || agents.known.binary_search(&agent).is_ok())
        })
    }

    /// As far as anybody knows. Not a shared mailbox, and not a person of whom it is known
    /// that there is no shared mailbox to send from.
    fn may_be_agent(&self, account: usize) -> bool {
        self.may_be_agent[account]
    }

    fn name(&self, account: usize) -> String {
        self.accounts.all[account].name.clone()
    }
}

#[cfg(test)]
mod tests;
