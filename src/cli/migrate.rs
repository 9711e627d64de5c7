//! `sentby migrate`

use super::{Outcome, Usage, settings::CommonSettings, tenant};
use crate::{
    app::restored::Restored,
    config::{Config, DatabaseUrl},
    domain::TenantId,
    server,
};
use std::io::{self, Write as _};
use uuid::Uuid;

/// Create the tables of the database, or bring them up to this version.
///
/// Does nothing where they are up to date; two at once wait for each other; servers go on
/// meanwhile, also those of the version before. A SQLite file is brought up to date by every
/// command that opens it; this is for Postgres.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Migrate {
    /// Postgres: let this role read the views (attribution_v1, tenant_v1), and nothing else of
    /// sentby. It is made, without login, if it is not there; grant it to those who may read
    #[arg(long, value_name = "ROLE")]
    reader: Option<String>,
    /// With --reader: it sees the rows of these tenants only, from now on; without, of all
    #[arg(
        long,
        value_name = "GUID,…",
        value_delimiter = ',',
        requires = "reader"
    )]
    reader_tenants: Option<Vec<Uuid>>,
    /// Postgres: let this role run `serve`, and nothing else: it reads and writes rows, and can
    /// change no table. It is made, without login, if it is not there
    #[arg(long, value_name = "ROLE")]
    app_role: Option<String>,
    /// The database was restored from a backup: what was told since that backup (positions of the
    /// feed, cached answers) is refused from now on. Stop all servers first. Safe to repeat
    #[arg(long)]
    restored: bool,
    /// With --restored: of this tenant only
    #[arg(long, value_name = "GUID", value_parser = tenant, requires = "restored")]
    tenant: Option<TenantId>,
    #[command(flatten)]
    pub settings: CommonSettings,
}

const EXAMPLES: &str = "\
Examples:
  sentby migrate --database postgres://sentby:…@db/sentby
  SENTBY_DATABASE=postgres://sentby:…@db/sentby sentby migrate

A role for the metrics merger and BI, which sees the views and nothing else:
  sentby migrate --database postgres://sentby:…@db/sentby --reader sentby_reader
  psql -c 'GRANT sentby_reader TO grafana'

The same for some tenants only; each run replaces the list, also for sessions that are open:
  sentby migrate --database postgres://sentby:…@db/sentby --reader contoso_reader --reader-tenants GUID,GUID

A role to serve as, which owns nothing and can change no table:
  sentby migrate --database postgres://owner:…@db/sentby --app-role sentby_app
  psql -c 'ALTER ROLE sentby_app LOGIN'
  sentby serve --database postgres://sentby_app:…@db/sentby

After a restore from a backup, before the servers are started again:
  sentby migrate --database postgres://sentby:…@db/sentby --restored";

impl Migrate {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let names_a_role = self.reader.is_some() || self.app_role.is_some();
        if names_a_role && matches!(config.database, DatabaseUrl::Sqlite(_)) {
            let why = "--reader and --app-role are for Postgres: SQLite has no roles, who reads \
                       the file reads it all";
            return Err(Usage(why.into()).into());
        }
        let report = server::migrate(&config).await?;
        let database = &config.database;
        let line = match report.from {
            Some(from) if from == report.to => {
                format!("{database}: schema {} already, nothing to do", report.to)
            }
            Some(from) => format!("{database}: schema {from} → {}", report.to),
            None => format!("{database}: no schema → {}", report.to),
        };
        writeln!(io::stdout(), "{line}")?;
        if let Some(role) = &self.app_role {
            server::grant_program(&config, role).await?;
            let line = format!("{database}: the role {role} may serve, and nothing else");
            writeln!(io::stdout(), "{line}")?;
        }
        if let Some(role) = &self.reader {
            let tenants = self.reader_tenants.map(|ids| ids.into_iter().map(TenantId));
            let tenants: Option<Vec<TenantId>> = tenants.map(Iterator::collect);
            server::grant_reader(&config, role, tenants.as_deref()).await?;
            let whose = match tenants.as_ref().map(Vec::len) {
                None => "of all tenants".to_owned(),
                Some(1) => "of one tenant".to_owned(),
                Some(several) => format!("of {several} tenants"),
            };
            let line =
                format!("{database}: the role {role} reads the views {whose}, and nothing else");
            writeln!(io::stdout(), "{line}")?;
        }
        if self.restored {
            let restored = server::restored(&config, self.tenant).await?;
            write!(io::stdout(), "{}", words(&restored))?;
        }
        Ok(Outcome::Done)
    }
}

/// What collectors have to do.
fn words(restored: &[Restored]) -> String {
    let mut text = String::new();
    for one in restored {
        let newest = match one.newest_batch {
            Some(at) => format!("the newest batch is of {at}"),
            None => "no batch of the last 7 days is stored".to_owned(),
        };
        text += &format!(
            "{}: another life from revision {} on; {newest}\n",
            one.tenant, one.revision
        );
    }
    text + "\
        what to do: let collectors send again what Microsoft has published since an hour before the \
        newest batch. It serves the last 7 days;\n\
        older content that is lost stays a gap (sentby coverage --tenant GUID). What is sent twice \
        does no harm. Watchers are refused with\n\
        FEED_GENERATION_CHANGED and read the whole range anew.\n"
}
