mod others;
mod sides;

use super::*;
use crate::domain::finding::{Cause, Severity, Source, quoted};
use crate::domain::settings::*;
use crate::domain::{MailboxKind, Timestamp};
use uuid::Uuid;

const SHARED: &str = "support@contoso.com";
const ANNA: &str = "anna@contoso.com";
const BEN: &str = "ben@contoso.com";
const ROOT: &str = "root@contoso.com";

/// Hour of a day.
fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(Timestamp::EARLIEST.micros() + hour * 3_600_000_000)
}

fn day(day: i64) -> Timestamp {
    at(24 * day)
}

fn list(text: &str) -> Property<Names> {
    let mut names = Names::default();
    names.push_words(text);
    Property::Known(names)
}

fn people(text: &str) -> Property<Names> {
    let mut names = Names::default();
    names.push_names(text);
    Property::Known(names)
}

fn mailbox(name: &str, recipient_type: &str) -> MailboxSettings {
    MailboxSettings {
        captured_at: at(10),
        called: Called {
            name: name.into(),
            also: vec![name.into()],
            perhaps: vec![],
        },
        recipient_type: Property::Known(RecipientType(recipient_type.into())),
        audit_enabled: Property::Known(true),
        default_audit_set: list("Admin, Delegate, Owner"),
        audit_delegate: list("Update, SoftDelete, SendAs, SendOnBehalf, Create"),
        audit_owner: list("Update, SoftDelete, Send"),
        audit_admin: list("Update, SoftDelete, SendAs, SendOnBehalf, Create"),
        audit_log_age_limit: Property::Known(90 * 86_400),
        region: Property::Known("EUR".into()),
        grant_send_on_behalf_to: people(""),
    }
}

fn shared() -> MailboxSettings {
    mailbox(SHARED, "SharedMailbox")
}

/// The sets customised, and nothing left of them that matters.
fn shared_broken() -> MailboxSettings {
    MailboxSettings {
        default_audit_set: list("Admin, Owner"),
        audit_delegate: list("Update, SoftDelete"),
        ..shared()
    }
}

fn agent(name: &str) -> MailboxSettings {
    mailbox(name, "UserMailbox")
}

fn agent_broken(name: &str) -> MailboxSettings {
    MailboxSettings {
        default_audit_set: list("Admin, Delegate"),
        audit_owner: list("Update"),
        ..agent(name)
    }
}

fn organization() -> OrganizationSettings {
    OrganizationSettings {
        captured_at: at(10),
        audit_disabled: Property::Known(false),
        ingestion_enabled: Property::Known(true),
        allowed_regions: list(""),
        default_region: Property::NotGiven,
    }
}

fn bypass(name: &str, enabled: bool) -> BypassSettings {
    BypassSettings {
        captured_at: at(10),
        called: Called {
            name: name.into(),
            ..Called::default()
        },
        enabled: Property::Known(enabled),
    }
}

fn permission(trustee: &str, right: Right) -> PermissionSettings {
    PermissionSettings {
        captured_at: at(10),
        mailbox: SHARED.into(),
        trustee: trustee.into(),
        rights: vec![right],
        of_recipient: right == Right::SendAs,
        is_denied: false,
    }
}

/// All rows of the mailbox, as both commands print them.
fn permissions(rows: &[(&str, Right)]) -> Vec<PermissionSettings> {
    let own = [Right::SendAs, Right::FullAccess];
    let own = own.map(|right| permission("nt authority\\self", right));
    let rows = rows
        .iter()
        .map(|(trustee, right)| permission(trustee, *right));
    own.into_iter().chain(rows).collect()
}

fn change(hour: i64, operation: &str, target: &str, parameters: &[(&str, &str)]) -> AdminChange {
    let mut parameters: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    parameters.sort();
    AdminChange {
        time: at(hour),
        record_id: Uuid::from_u128(u128::from(hour.unsigned_abs()) + 1),
        operation: crate::domain::admin_change::operation(operation).expect("known"),
        actor: ROOT.into(),
        target: target.into(),
        failed: false,
        parameters,
    }
}

#[derive(Default)]
struct Case {
    settings: Settings,
    register: Vec<Mailbox>,
    changes: Vec<AdminChange>,
    observed: Observed,
}

impl Case {
    fn healthy() -> Self {
        Self {
            settings: Settings {
                mailboxes: vec![shared(), agent(ANNA), agent(BEN)],
                organizations: vec![organization()],
                bypasses: vec![bypass(ANNA, false), bypass(BEN, false)],
                permissions: permissions(&[
                    (ANNA, Right::SendAs),
                    (ANNA, Right::FullAccess),
                    (BEN, Right::SendAs),
                ]),
            },
            ..Self::default()
        }
    }

    fn with(mailboxes: Vec<MailboxSettings>) -> Self {
        let mut case = Self::default();
        case.settings.mailboxes = mailboxes;
        case
    }

    fn change(mut self, change: AdminChange) -> Self {
        self.changes.push(change);
        self
    }

    fn shared(mut self) -> Self {
        self.register.push(Mailbox {
            address: SHARED.into(),
            kind: MailboxKind::Shared,
            aliases: vec!["help@contoso.com".into()],
            display_name: String::new(),
            guid: Some(Uuid::from_u128(7)),
            object_id: None,
        });
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let found = findings(&Inputs {
            settings: &self.settings,
            register: &self.register,
            changes: &self.changes,
            observed: &self.observed,
        });
        // whatever the order is that they are given in
        let mut settings = self.settings.clone();
        settings.mailboxes.reverse();
        settings.permissions.reverse();
        settings.bypasses.reverse();
        let changes: Vec<AdminChange> = self.changes.iter().rev().cloned().collect();
        let again = findings(&Inputs {
            settings: &settings,
            register: &self.register,
            changes: &[changes.clone(), changes].concat(),
            observed: &self.observed,
        });
        assert_eq!(found, again);
        found
    }

    /// Causes, severities and whom they are about.
    fn found(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let names = [finding.subject.mailbox(), finding.subject.agent()];
            let names: Vec<&str> = names.into_iter().flatten().collect();
            let (cause, severity) = (finding.cause.name(), finding.severity.name());
            format!("{severity} {cause} {}", names.join(" "))
                .trim()
                .to_owned()
        };
        self.findings().iter().map(line).collect()
    }

    fn only(&self) -> Finding {
        let mut all = self.findings();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// The one finding, with exactly these commands.
    fn repaired_by(&self, expected: &str, commands: &[&str]) -> Finding {
        assert_eq!(self.found(), [expected]);
        let finding = self.only();
        assert_eq!(finding.remedy.commands, commands);
        assert!(!finding.clues.is_empty());
        finding
    }
}

#[test]
fn a_healthy_tenant_has_none() {
    assert_eq!(Case::healthy().found(), [""; 0]);
    assert_eq!(Case::default().found(), [""; 0]);
    assert_eq!(Case::default().shared().found(), [""; 0]);
    // customised, and nothing that matters is missing
    let case = Case::with(vec![
        MailboxSettings {
            default_audit_set: list("Admin"),
            audit_delegate: list("SendAs SendOnBehalf"),
            ..shared()
        },
        MailboxSettings {
            default_audit_set: list(""),
            audit_owner: list("Send"),
            ..agent(ANNA)
        },
    ]);
    assert_eq!(case.found(), [""; 0]);
    // people's and rooms' own sets do not matter
    let room = MailboxSettings {
        default_audit_set: list(""),
        audit_delegate: list(""),
        audit_owner: list(""),
        ..mailbox("room@contoso.com", "RoomMailbox")
    };
    assert_eq!(Case::with(vec![shared(), room]).found(), [""; 0]);
}

#[test]
fn the_unified_audit_log_is_off() {
    let mut case = Case::healthy();
    case.settings.organizations[0].ingestion_enabled = Property::Known(false);
    let finding = case.repaired_by(
        "ERROR UNIFIED_AUDIT_LOG_OFF",
        &["Set-AdminAuditLogConfig -UnifiedAuditLogIngestionEnabled $true"],
    );
    assert!(finding.remedy.advice.contains("Exchange Online PowerShell"));
    // the feed says who and when, also beside the settings
    let off = [("UnifiedAuditLogIngestionEnabled", "False")];
    let off = change(
        5,
        "Set-AdminAuditLogConfig",
        "Admin Audit Log Settings",
        &off,
    );
    let finding = case.change(off.clone()).only();
    assert_eq!(finding.clues.len(), 2);
    let Source::Feed {
        time,
        actor,
        record_id,
        ..
    } = &finding.clues[1].source
    else {
        panic!("{finding:?}");
    };
    assert_eq!(
        (*time, actor.as_str(), *record_id),
        (at(5), ROOT, Uuid::from_u128(6))
    );
    // repaired later
    let on = [("UnifiedAuditLogIngestionEnabled", "True")];
    let on = change(6, "Set-AdminAuditLogConfig", "", &on);
    let case = Case::default().change(off.clone()).change(on);
    assert_eq!(case.found(), [""; 0]);
    // newer settings show that it is on
    assert_eq!(Case::healthy().change(off.clone()).found(), [""; 0]);
    // and a change that failed has not changed anything
    let failed = AdminChange {
        failed: true,
        ..off
    };
    assert_eq!(Case::default().change(failed).found(), [""; 0]);
}

#[test]
fn the_organisation_audits_nothing() {
    let mut case = Case::healthy();
    case.settings.organizations[0].audit_disabled = Property::Known(true);
    let command = "Set-OrganizationConfig -AuditDisabled $false";
    let expected = "ERROR ORGANIZATION_AUDIT_DISABLED";
    case.repaired_by(expected, &[command]);
    let repaired = [("AuditDisabled", "False")];
    let repaired = change(11, "Set-OrganizationConfig", "", &repaired);
    assert_eq!(case.change(repaired).found(), [""; 0]);
    let mut case = Case::healthy();
    case.settings.organizations[0].audit_disabled = Property::Unknown;
    case.repaired_by(
        "UNKNOWN ORGANIZATION_AUDIT_DISABLED",
        &["Get-OrganizationConfig | Format-List AuditDisabled"],
    );
}

/// `docs/findings.md` is the table for people.
#[test]
fn the_documentation_has_the_table() {
    let mut table = String::from(
        "| cause | shown by | severity | meaning | repair | page |\n|---|---|---|---|---|---|\n",
    );
    for cause in Cause::ALL {
        let row = cause.row();
        let commands: Vec<String> = row
            .commands
            .iter()
            .map(|command| format!("`{}`", command.replace('|', "\\|")))
            .collect();
        let repair = if commands.is_empty() {
            row.advice.to_owned()
        } else {
            commands.join("<br>")
        };
        table += &format!(
            "| `{}` | {} | {} | {} | {repair} | [page]({}) |\n",
            row.name,
            row.sources,
            row.severities,
            row.meaning,
            row.page.url()
        );
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md");
    let text = std::fs::read_to_string(path).expect("docs/findings.md");
    assert!(
        text.contains(&table),
        "docs/findings.md should have:\n{table}"
    );
}

#[test]
fn names_are_stable_and_the_table_is_whole() {
    let mut names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Cause::ALL.len());
    for cause in Cause::ALL {
        let row = cause.row();
        assert!(row.page.url().starts_with("https://learn.microsoft.com/"));
        let may_be_unknown = row.severities.contains(Severity::Unknown.name());
        assert!(!may_be_unknown || !row.question.is_empty(), "{cause:?}");
        assert!(
            !row.commands.is_empty() || !row.advice.is_empty(),
            "{cause:?}"
        );
    }
}
