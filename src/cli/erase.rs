//! `sentby erase`

use super::{
    Outcome,
    client::{Need, Target, answer, request},
    show, tenant,
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::{EraseAgentRequest, Erasure},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

/// Erase a person: everything that names him names a pseudonym then.
///
/// Counts stay: what he sent is ERASED, a conflict with him stays a conflict. Records that come
/// later bring nothing back. It cannot be undone; asked again it tells the same receipt.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Erase {
    /// The tenant whose person it is
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Any identifier of his: an address, a SID, an object id, the GUID of his mailbox, a PUID
    #[arg(value_name = "IDENTIFIER")]
    person: String,
    /// Erase nothing: tell what would be
    #[arg(long)]
    dry_run: bool,
    /// One JSON object: pseudonym, requested_at, finished_at, revision, rows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby erase --tenant GUID --dry-run anna@contoso.com
  sentby erase --tenant GUID --server http://127.0.0.1:50051 anna@contoso.com
  sentby erase --tenant GUID --json S-1-5-21-2732292425-2947708389-1001 > receipt.json

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"person\": \"anna@contoso.com\"}' \\
    127.0.0.1:50051 sentby.v1.AdminService/EraseAgent

What it reaches and what it does not: docs/privacy.md.";

#[derive(Serialize)]
struct Json<'a> {
    pseudonym: &'a str,
    requested_at: Option<String>,
    finished_at: Option<String>,
    revision: u64,
    rows: BTreeMap<&'a str, u64>,
}

impl Erase {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let message = EraseAgentRequest {
            tenant_id: self.tenant.to_string(),
            person: self.person,
            dry_run: self.dry_run,
        };
        let erased = api.admin().erase_agent(request(message)).await;
        let erasure = answer(erased)?.erasure.unwrap_or_default();
        let text = if self.json {
            serde_json::to_string(&Json {
                pseudonym: &erasure.pseudonym,
                requested_at: show::time(erasure.requested_at.as_ref()),
                finished_at: show::time(erasure.finished_at.as_ref()),
                revision: erasure.revision,
                rows: rows(&erasure),
            })?
        } else {
            words(&erasure)
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(Outcome::Done)
    }
}

fn rows(erasure: &Erasure) -> BTreeMap<&str, u64> {
    let rows = erasure.rows.iter();
    rows.map(|(table, rows)| (table.as_str(), *rows)).collect()
}

fn words(erasure: &Erasure) -> String {
    let mut lines = vec![match show::time(erasure.finished_at.as_ref()) {
        Some(at) => format!(
            "erased at {at}, as of revision {}: {}",
            erasure.revision, erasure.pseudonym
        ),
        None => format!("nothing was erased; it would become {}", erasure.pseudonym),
    }];
    let rows = rows(erasure);
    let told = rows.iter();
    lines.extend(told.map(|(table, rows)| format!("  {table:<15}{}", show::count(*rows))));
    if rows.is_empty() {
        lines.push("  nothing is stored of this person".into());
    }
    lines.join("\n")
}
