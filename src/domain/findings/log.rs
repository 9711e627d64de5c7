//! Is the log written at all, and is anybody exempt from it?

use super::View;
use super::facts::{Fact, State, flags, judge};
use crate::domain::AdminChange;
use crate::domain::finding::{Cause, Finding, Severity, Subject};
use crate::domain::settings::{OrganizationSettings, Property};

pub(super) fn organization(view: &View<'_>, all: &mut Vec<Finding>) {
    let log = of_organization(
        view,
        |settings| &settings.ingestion_enabled,
        "Set-AdminAuditLogConfig",
        "UnifiedAuditLogIngestionEnabled",
        true,
    );
    push(
        all,
        Cause::UnifiedAuditLogOff,
        Severity::Error,
        &Subject::Organization,
        judge(log),
    );
    let disabled = of_organization(
        view,
        |settings| &settings.audit_disabled,
        "Set-OrganizationConfig",
        "AuditDisabled",
        false,
    );
    let cause = Cause::OrganizationAuditDisabled;
    push(
        all,
        cause,
        Severity::Error,
        &Subject::Organization,
        judge(disabled),
    );
}

fn of_organization<'a>(
    view: &View<'a>,
    property: fn(&OrganizationSettings) -> &Property<bool>,
    operation: &str,
    name: &str,
    good: bool,
) -> Vec<Fact<'a, Option<bool>>> {
    let settings = view.inputs.settings.organizations.iter();
    let settings = settings.map(|settings| (settings.captured_at, property(settings)));
    let changes = view.changes.iter().map(|change| change.change);
    let changes = changes.filter(|change| change.operation == operation);
    flags(settings, changes, name, good)
}

/// A finding, where something is bad or cannot be told.
pub(super) fn push(
    all: &mut Vec<Finding>,
    cause: Cause,
    severity: Severity,
    subject: &Subject,
    state: State,
) {
    match state {
        State::Bad(clues) => all.push(Finding::new(cause, severity, subject.clone(), clues)),
        State::CannotTell(clues) => {
            all.push(Finding::new(
                cause,
                Severity::Unknown,
                subject.clone(),
                clues,
            ));
        }
        State::Good | State::NotTold => {}
    }
}

/// Is this account exempt?
pub(super) fn bypass(view: &View<'_>, account: usize) -> State {
    let settings = view.accounts.all[account].bypasses.iter();
    let settings = settings.map(|one| (one.captured_at, &one.enabled));
    let changes = changes_of(view, account, "Set-MailboxAuditBypassAssociation");
    judge(flags(settings, changes, "AuditBypassEnabled", false))
}

pub(super) fn changes_of<'v, 'a: 'v>(
    view: &'v View<'a>,
    account: usize,
    operation: &'v str,
) -> impl Iterator<Item = &'a AdminChange> + 'v {
    let changes = view.changes_of[account].iter().copied();
    changes.filter(move |change| change.operation == operation)
}

pub(super) fn bypasses(view: &View<'_>, all: &mut Vec<Finding>) {
    for account in 0..view.accounts.all.len() {
        if view.accounts.all[account].is_shared() {
            continue; // who signs in to it is told by the evidence
        }
        let severity = if view.may_be_agent(account) {
            Severity::Error
        } else {
            Severity::Info
        };
        let subject = Subject::Agent(view.name(account));
        push(
            all,
            Cause::AuditBypassed,
            severity,
            &subject,
            bypass(view, account),
        );
    }
}
