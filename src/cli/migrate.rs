//! `sentby migrate`

use super::{Outcome, Usage, settings::CommonSettings};
use crate::{
    config::{Config, DatabaseUrl},
    server,
};
use std::io::{self, Write as _};

/// Create the tables of the database, or bring them up to this version.
///
/// Does nothing where they are up to date; two at once wait for each other. A SQLite file is
/// brought up to date by every command that opens it; this is for Postgres.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Migrate {
    /// Postgres: let this role read the views (attribution_v1, tenant_v1), and nothing else of
    /// sentby. It is made, without login, if it is not there; grant it to those who may read
    #[arg(long, value_name = "ROLE")]
    reader: Option<String>,
    #[command(flatten)]
    pub settings: CommonSettings,
}

const EXAMPLES: &str = "\
Examples:
  sentby migrate --database postgres://sentby:…@db/sentby
  SENTBY_DATABASE=postgres://sentby:…@db/sentby sentby migrate

A role for the metrics merger and BI, which sees the views and nothing else:
  sentby migrate --database postgres://sentby:…@db/sentby --reader sentby_reader
  psql -c 'GRANT sentby_reader TO grafana'";

impl Migrate {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        if self.reader.is_some() && matches!(config.database, DatabaseUrl::Sqlite(_)) {
            let why =
                "--reader is for Postgres: SQLite has no roles, who reads the file reads it all";
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
        if let Some(role) = &self.reader {
            server::grant_reader(&config, role).await?;
            let line = format!("{database}: the role {role} reads the views, and nothing else");
            writeln!(io::stdout(), "{line}")?;
        }
        Ok(Outcome::Done)
    }
}
