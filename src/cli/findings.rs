//! `sentby findings`

pub(super) mod report;

use super::{
    Outcome,
    client::{Api, Need, Target, again, request},
    status::Refused,
    tenant,
};
use crate::{
    config::Config,
    domain::{TenantId, directory::parse_address},
    pb::{Finding, ListFindingsRequest},
};
use std::io::{self, Write as _};

/// What is wrong with a tenant's audit set-up, and the commands that repair it.
///
/// From the settings that `check-setup --tenant` has sent, administrators' changes in the audit
/// log, the register, what each side has written, the consent, and what collectors were answered.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Findings {
    /// The tenant whose set-up it is
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Of this mailbox, and of the organisation
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    mailbox: Option<String>,
    /// Of this agent, and of the organisation
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    agent: Option<String>,
    /// One JSON object for each finding, as `check-setup --json` has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby findings --tenant GUID
  sentby findings --tenant GUID --mailbox support@contoso.com
  sentby findings --tenant GUID --json | jq -r .commands[]

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\"}' \\
    127.0.0.1:50051 sentby.v1.CoverageService/ListFindings

Exit code: 0 if nothing is wrong, 1 if there is a finding or something cannot be told.";

impl Findings {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let asked = ListFindingsRequest {
            tenant_id: self.tenant.to_string(),
            mailbox: self.mailbox.unwrap_or_default(),
            agent: self.agent.unwrap_or_default(),
            ..Default::default()
        };
        let (found, revision) = all(&api, asked).await?;
        let text = if self.json {
            report::json(&found)?
        } else {
            let read = format!("The tenant is at revision {revision}.");
            report::words(&found, true, &read)
        };
        if !text.is_empty() {
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(if found.is_empty() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }
}

pub(super) fn address(text: &str) -> Result<String, String> {
    parse_address(text).ok_or_else(|| "is no address, such as support@contoso.com".into())
}

/// All pages, and the revision of the last one.
pub(super) async fn all(
    api: &Api,
    asked: ListFindingsRequest,
) -> Result<(Vec<Finding>, u64), Refused> {
    let mut asked = ListFindingsRequest {
        page_size: 1_000,
        ..asked
    };
    let mut found = Vec::new();
    loop {
        let page =
            again(async || api.coverage().list_findings(request(asked.clone())).await).await?;
        found.extend(page.findings);
        if page.next_page_token.is_empty() {
            return Ok((found, page.revision));
        }
        asked.page_token = page.next_page_token;
    }
}
