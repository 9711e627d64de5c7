//! Multi-geo: between two regions Exchange writes no event at all.

use super::View;
use super::facts::MAX_CLUES;
use super::sides::{listed, some_of};
use crate::domain::Timestamp;
use crate::domain::finding::{Cause, Clue, Finding, Severity, Source, Subject};
use crate::domain::settings::OrganizationSettings;

pub(super) fn findings(view: &View<'_>, all: &mut Vec<Finding>) {
    for mailbox in view.shared() {
        let Some((region, at)) = told(view, mailbox) else {
            all.extend(not_told(view, mailbox));
            continue;
        };
        let clue = shown(view, mailbox, region, at);
        let agents = view.agents_of(mailbox).into_iter();
        let elsewhere: Vec<(usize, Clue)> = agents
            .filter(|agent| !view.permissions.is_on_behalf_only(mailbox, *agent))
            .filter(|agent| *agent != mailbox)
            .filter_map(|agent| {
                let (other, at) = told(view, agent)?;
                (other != region).then(|| (agent, shown(view, agent, other, at)))
            })
            .collect();
        let known = |agent: usize| view.agents[mailbox].known.binary_search(&agent).is_ok();
        let (pairs, others): (Vec<_>, Vec<_>) =
            elsewhere.into_iter().partition(|(agent, _)| known(*agent));
        for (agent, other) in pairs {
            let subject = Subject::Pair {
                mailbox: view.name(mailbox),
                agent: view.name(agent),
            };
            let clues = vec![clue.clone(), other];
            all.push(Finding::new(
                Cause::RegionsDiffer,
                Severity::Error,
                subject,
                clues,
            ));
        }
        // nobody knows who its agents are: one finding for all of them
        if !others.is_empty() {
            let subject = Subject::Mailbox(view.name(mailbox));
            let names: Vec<String> = others.iter().map(|(agent, _)| view.name(*agent)).collect();
            let mut clues = vec![clue];
            clues.extend(others.into_iter().map(|(_, clue)| clue).take(MAX_CLUES));
            let mut finding = Finding::new(Cause::RegionsDiffer, Severity::Error, subject, clues);
            finding.go_on(&format!(
                "that is so for {}, if they send from it",
                some_of(&names)
            ));
            all.push(finding);
        }
    }
}

/// The region of a mailbox, and when it was there.
fn told<'a>(view: &View<'a>, account: usize) -> Option<(&'a str, Timestamp)> {
    let mailbox = &view.accounts.all[account];
    let (settings, told) = mailbox.latest(|settings| &settings.region)?;
    Some((told.known()?, settings.captured_at))
}

fn shown(view: &View<'_>, account: usize, region: &str, captured_at: Timestamp) -> Clue {
    Clue {
        source: Source::Settings { captured_at },
        says: format!(
            "MailboxRegion of {} is {region}",
            view.accounts.all[account].name
        ),
    }
}

/// Where there are several regions, that of a shared mailbox must be known.
fn not_told(view: &View<'_>, mailbox: usize) -> Option<Finding> {
    if view.accounts.all[mailbox].settings.is_empty() {
        return None;
    }
    let organizations = view.inputs.settings.organizations.iter();
    let told = organizations.filter(|one| one.allowed_regions.is_given());
    let newest = told.max_by_key(|one: &&OrganizationSettings| one.captured_at)?;
    let regions = newest.allowed_regions.known()?;
    if regions.names.len() < 2 {
        return None;
    }
    let clue = Clue {
        source: Source::Settings {
            captured_at: newest.captured_at,
        },
        says: format!("AllowedMailboxRegions is {}", listed(regions)),
    };
    let subject = Subject::Mailbox(view.name(mailbox));
    Some(Finding::new(
        Cause::RegionsDiffer,
        Severity::Unknown,
        subject,
        vec![clue],
    ))
}
