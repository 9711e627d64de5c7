//! `sentby delete-tenant`

use super::{
    Outcome,
    client::{Need, Target, answer, request},
    show, tenant,
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::{DeleteTenantRequest, GetTenantRequest},
};
use std::io::{self, Write as _};

/// Delete a tenant with everything of it.
///
/// From then on it is neither read nor written. Its rows are removed after the days of grace that
/// the server's --delete-grace-days sets; until then RegisterTenant with a later consent brings it
/// back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeleteTenant {
    /// The tenant that goes
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Do it. Without it the tenant is only shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby delete-tenant --tenant GUID
  sentby delete-tenant --tenant GUID --yes --server http://127.0.0.1:50051

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\"}' \\
    127.0.0.1:50051 sentby.v1.TenantService/DeleteTenant

Exit code: 1 if nothing was deleted.";

impl DeleteTenant {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let tenant_id = self.tenant.to_string();
        if !self.yes {
            let message = GetTenantRequest {
                tenant_id,
                at_least_revision: 0,
            };
            let found = answer(api.tenants().get_tenant(request(message)).await)?;
            let found = found.tenant.unwrap_or_default();
            writeln!(
                io::stdout(),
                "{} {} would be deleted with everything of it: run it again with --yes",
                found.tenant_id,
                found.display_name
            )?;
            return Ok(Outcome::No);
        }
        let message = DeleteTenantRequest { tenant_id };
        let deleted = answer(api.tenants().delete_tenant(request(message)).await)?;
        let deleted = deleted.tenant.unwrap_or_default();
        let after = show::time(deleted.delete_after.as_ref()).unwrap_or_default();
        writeln!(
            io::stdout(),
            "{} is deleted: its rows are removed after {after}",
            deleted.tenant_id
        )?;
        Ok(Outcome::Done)
    }
}
