//! `sentby import`

mod batches;
pub(super) mod input;
mod progress;
mod register;
mod send;
mod settle;
mod summary;

use super::{
    Outcome, Usage,
    client::{BackOff, Need, Target},
    tenant,
};
use crate::{
    config::Config,
    domain::{TenantId, directory::parse_address},
};
use input::Input;
use std::io::{self, Write as _};
use tokio::sync::mpsc;

/// Take audit exports in.
///
/// The form is detected: a content blob of the Management Activity API (JSON array), JSON
/// lines, pages of Microsoft Graph, exports of Sentinel, Defender, Elastic, Wazuh and Splunk,
/// or CSV of the audit search or of Search-UnifiedAuditLog; each also as .gz. Files may be
/// of any size. No record is dropped silently: it is kept, a repetition, of an
/// operation that does not matter here (counted by name), or quarantined with its reason.
///
/// Repeating an import, or a part of one, changes nothing, in any order: interrupt it, and
/// run the same command again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// The tenant whose log it is. Records of another one are quarantined
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Register the tenant first, if it is not known: it consented now. A consent that was
    /// revoked stays revoked
    #[arg(long)]
    register: bool,
    /// A shared mailbox, put into the tenant's register first: without it, a shared account
    /// that signs in itself looks like an agent. Can be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    shared: Vec<String>,
    /// A summary as one JSON object: files, received, kept, repeated, ignored,
    /// ignored_operations, quarantined, quarantined_without_copy, problems, problems_omitted,
    /// changed_messages, revision, accounted, errors
    #[arg(long)]
    json: bool,
    /// `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby import --tenant GUID --register --shared support@contoso.com AuditLog.csv
  sentby import --tenant GUID --server http://127.0.0.1:50051 blobs/*.json.gz
  curl -sH \"Authorization: Bearer $TOKEN\" \"$CONTENT_URI\" | sentby import --tenant GUID -
  sentby import --tenant GUID --json export.csv | jq .quarantined

Then:
  sentby lookup --tenant GUID '<message-id@…>'

Exit code: 0 only if every record of every file was received and accounted for. Quarantined
records are accounted for, and the summary tells of them; only those fail the import of which
there is no copy, because the quarantine is full.";

/// Batches read ahead of the sending: together with those in flight they bound the memory.
const READ_AHEAD: usize = 2;

impl Import {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let inputs = self.files.iter().map(|name| Input::of(name));
        let inputs: Vec<Input> = inputs.collect();
        if self.files.iter().filter(|name| *name == "-").count() > 1 {
            return Err(Usage("standard input (-) can be read once only".into()).into());
        }
        let api = self.target.connect(&config, Need::Any).await?;
        if self.register {
            register::tenant(&api, self.tenant).await?;
        }
        register::shared_mailboxes(&api, self.tenant, &self.shared).await?;

        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        tokio::task::spawn_blocking({
            let inputs = inputs.clone();
            move || batches::read(&inputs, &sender)
        });
        // not waited for: after an error it may sit on an idle standard input
        let summary = send::all(&api, self.tenant, &inputs, pieces, BackOff::default()).await;
        if summary.is_accounted() {
            settle::wait(&api, self.tenant).await?;
        }
        if self.json {
            writeln!(io::stdout(), "{}", summary.json()?)?;
        } else if summary.tells_something() {
            writeln!(io::stdout(), "{}", summary.words())?;
        }
        for line in summary.complaints(self.json) {
            eprintln!("{line}");
        }
        Ok(if summary.is_kept() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }
}

fn address(text: &str) -> Result<String, String> {
    parse_address(text).ok_or_else(|| "is no address, such as support@contoso.com".into())
}

#[cfg(test)]
mod tests;
