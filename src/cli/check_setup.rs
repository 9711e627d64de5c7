//! `sentby check-setup`

mod send;

use super::{
    Outcome, Usage,
    client::Target,
    findings::{address, report},
    import::input::{Input, hint, unreadable},
    settings::Flags,
    show, tenant, time,
};
use crate::{
    audit::{self, Setup},
    config::{Config, ConfigError, Role},
    domain::{
        Mailbox, MailboxKind, TenantId, Timestamp,
        findings::{Inputs, Observed, findings},
    },
    grpc::pb_finding,
    pb,
};
use std::{
    fs,
    io::{self, Write as _},
    time::SystemTime,
};

/// Is the audit log set up so that agents can be told? What is wrong, and the repair.
///
/// Reads what the documented PowerShell checks print, and audit exports (administrators'
/// changes say who changed what, and when). No server and no database, unless --tenant is given:
/// then it is stored, and judged with all that is known of the tenant. Settings may be JSON
/// (ConvertTo-Json), Format-List text or CSV, in UTF-8 or UTF-16 (PowerShell's `>`), also
/// as .gz; in any order, in one file or many. What is newer counts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckSetup {
    /// A shared mailbox, where the export does not tell (RecipientTypeDetails does). Settings of
    /// one mailbox without a name are its. Can be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    shared: Vec<String>,
    /// When the settings were exported [default: when the file was changed last]
    #[arg(long, value_name = "TIME", value_parser = time)]
    captured_at: Option<Timestamp>,
    /// Store it for this tenant, and tell all its findings
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    pub tenant: Option<TenantId>,
    /// One JSON object for each finding: cause, severity, mailbox, agent, meaning, evidence,
    /// commands, advice, page
    #[arg(long)]
    json: bool,
    /// `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
In Exchange Online PowerShell:
  Get-Mailbox -ResultSize Unlimited | Select-Object PrimarySmtpAddress,UserPrincipalName,
    DisplayName,RecipientTypeDetails,ExchangeGuid,ExternalDirectoryObjectId,MailboxRegion,
    AuditEnabled,AuditLogAgeLimit,DefaultAuditSet,AuditDelegate,AuditOwner,GrantSendOnBehalfTo |
    ConvertTo-Json -Depth 4 > mailboxes.json
  Get-OrganizationConfig | Select-Object AuditDisabled,AllowedMailboxRegions,DefaultMailboxRegion |
    ConvertTo-Json > organization.json
  Get-AdminAuditLogConfig | Format-List UnifiedAuditLogIngestionEnabled > log.txt
  Get-MailboxAuditBypassAssociation -ResultSize Unlimited | ConvertTo-Json > bypass.json
  Get-RecipientPermission support@contoso.com | ConvertTo-Json > permissions.json

Examples:
  sentby check-setup mailboxes.json organization.json log.txt bypass.json permissions.json
  sentby check-setup --shared support@contoso.com AuditLog.csv
  sentby check-setup --json mailboxes.json | jq -r .commands[]
  sentby check-setup --tenant GUID --server http://127.0.0.1:50051 mailboxes.json log.txt

The same by grpcurl:
  jq -n --arg content \"$(base64 -w0 mailboxes.json)\" '{tenant_id: \"GUID\", $content}' |
    grpcurl -plaintext -d @ 127.0.0.1:50051 sentby.v1.CoverageService/CheckAuditSettings

Exit code: 0 if all was read and nothing is wrong, 1 if there is a finding, something cannot be
told or could not be read, 2 wrong usage.";

/// Most objects of a file of which it is said why they could not be read.
const MAX_TOLD: usize = 20;

impl CheckSetup {
    /// Settings of the environment do not matter without a tenant.
    pub fn config() -> Result<Config, ConfigError> {
        Config::load(Role::Command, &Flags::default().values, None, [])
    }

    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        if self.files.iter().filter(|name| *name == "-").count() > 1 {
            return Err(Usage("standard input (-) can be read once only".into()).into());
        }
        match self.tenant {
            Some(tenant) => self.send(tenant, config).await,
            None => self.judge(),
        }
    }

    fn judge(self) -> anyhow::Result<Outcome> {
        if self.target.is_named() {
            return Err(Usage("name the tenant too: --tenant GUID".into()).into());
        }
        let mut read = Read::default();
        for name in &self.files {
            read.file(name, self.captured_at);
        }
        read.name_the_unnamed(&self.shared);
        let register: Vec<Mailbox> = self.shared.iter().map(|one| shared(one)).collect();
        let found = findings(&Inputs {
            settings: &read.all.settings,
            register: &register,
            changes: &read.all.changes,
            observed: &Observed::default(),
        });
        let found: Vec<pb::Finding> = found.iter().map(pb_finding).collect();
        let text = if self.json {
            report::json(&found)?
        } else {
            let Setup {
                settings, changes, ..
            } = &read.all;
            let is_told = !settings.is_empty() || !changes.is_empty();
            let (settings, changes) = (settings.len() as u64, changes.len() as u64);
            let read = Read::words(settings, changes, read.all.other_records);
            report::words(&found, is_told, &read)
        };
        if !text.is_empty() {
            writeln!(io::stdout(), "{text}")?;
        }
        for line in &read.complaints {
            eprintln!("{line}");
        }
        Ok(if found.is_empty() && read.complaints.is_empty() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }
}

fn shared(address: &str) -> Mailbox {
    Mailbox {
        address: address.to_owned(),
        kind: MailboxKind::Shared,
        aliases: Vec::new(),
        display_name: String::new(),
        guid: None,
        object_id: None,
    }
}

/// What all files say together.
#[derive(Debug, Default)]
struct Read {
    all: Setup,
    tenant: Option<TenantId>,
    complaints: Vec<String>,
}

impl Read {
    fn words(settings: u64, changes: u64, other_records: u64) -> String {
        format!(
            "Read: {}, {} of administrators, {}.",
            show::plural(settings, "setting"),
            show::plural(changes, "change"),
            show::plural(other_records, "other audit record"),
        )
    }

    fn file(&mut self, name: &str, captured_at: Option<Timestamp>) {
        let input = Input::of(name);
        let title = input.title();
        let setup = match self.read(&input, captured_at) {
            Ok(setup) => setup,
            Err(why) => return self.complaints.push(format!("{title}: {why}")),
        };
        let nothing = Setup::default();
        if setup == nothing {
            self.complaints.push(format!("{title}: holds nothing"));
        }
        for problem in setup.problems.iter().take(MAX_TOLD) {
            let (number, detail) = (problem.number, &problem.detail);
            self.complaints
                .push(format!("{title}: object {number} {detail}"));
        }
        let more = setup.problems.len().saturating_sub(MAX_TOLD) as u64 + setup.problems_omitted;
        if more > 0 {
            let more = show::plural(more, "more object");
            self.complaints
                .push(format!("{title}: {more} could not be read"));
        }
        self.all.settings.append(setup.settings);
        self.all.changes.extend(setup.changes);
        self.all.other_records += setup.other_records;
    }

    fn read(&mut self, input: &Input, captured_at: Option<Timestamp>) -> Result<Setup, String> {
        let (content, _) = input.open().map_err(|error| unreadable(&error))?;
        let mut content = content;
        let mut start = Vec::new();
        let first = io::Read::read_to_end(&mut io::Read::take(&mut content, 4), &mut start);
        first.map_err(|error| unreadable(&error))?;
        let whole = io::Read::chain(io::Cursor::new(start.clone()), content);
        let captured_at = captured_at.unwrap_or_else(|| changed_at(&input.name));
        match audit::read_setup(whole, captured_at, &mut self.tenant) {
            Ok(Ok(setup)) => Ok(setup),
            Ok(Err(_)) => {
                let hint = hint(&start).unwrap_or(
                    "neither settings nor audit records: it reads what the commands of \
                     `sentby check-setup --help` print, and audit exports",
                );
                Err(format!("not taken in: {hint}"))
            }
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// The documented checks of one mailbox do not print its name.
    fn name_the_unnamed(&mut self, shared: &[String]) {
        let settings = &mut self.all.settings;
        let unnamed = settings.mailboxes.iter_mut();
        let mut unnamed: Vec<_> = unnamed.filter(|one| one.called.name.is_empty()).collect();
        if let ([one], [address]) = (unnamed.as_mut_slice(), shared) {
            one.called.name.clone_from(address);
            unnamed.clear();
        }
        let bypasses = settings.bypasses.iter();
        let bypasses = bypasses.filter(|one| one.called.name.is_empty());
        let count = unnamed.len() + bypasses.count();
        if count > 0 {
            self.complaints.push(format!(
                "{} without a name: export PrimarySmtpAddress (of a bypass Identity) too, or name \
                 the one shared mailbox with --shared",
                show::plural(count as u64, "setting"),
            ));
        }
    }
}

/// When a file was changed last; now, where nothing tells.
fn changed_at(name: &str) -> Timestamp {
    let changed = fs::metadata(name).and_then(|metadata| metadata.modified());
    let changed = changed.unwrap_or_else(|_| SystemTime::now());
    let since = changed.duration_since(SystemTime::UNIX_EPOCH);
    // whole seconds, as records have them
    let seconds = since.map_or(0, |since| since.as_secs());
    Timestamp::from_micros(
        i64::try_from(seconds)
            .unwrap_or(0)
            .saturating_mul(1_000_000),
    )
}

#[cfg(test)]
mod tests;
