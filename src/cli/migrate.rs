//! `sentby migrate`

use super::{Outcome, settings::CommonSettings};
use crate::{config::Config, server};
use std::io::{self, Write as _};

/// Create the tables of the database, or bring them up to this version.
///
/// Does nothing where they are up to date; two at once wait for each other. A SQLite file is
/// brought up to date by every command that opens it; this is for Postgres.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub settings: CommonSettings,
}

const EXAMPLES: &str = "\
Examples:
  sentby migrate --database postgres://sentby:…@db/sentby
  SENTBY_DATABASE=postgres://sentby:…@db/sentby sentby migrate";

impl Migrate {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
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
        Ok(Outcome::Done)
    }
}
