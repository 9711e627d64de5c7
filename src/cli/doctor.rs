//! `sentby doctor`

mod served;

use super::{
    Outcome,
    client::server_url,
    settings::{Flags, ServeSettings},
};
use crate::{
    config::{self, Config, ConfigError, Origin},
    domain::{Check, Level},
    server,
};
use serde::Serialize;
use std::io::{self, Write as _};
use tonic::transport::Endpoint;

/// What is wrong with the set-up of a server, and the commands that repair it.
///
/// Takes the settings of `serve` and looks at all that they name: database, cache, certificates,
/// keys, clocks. Nothing is changed; a row that is written is rolled back. With --server it asks one that runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// Ask a server that runs (http://HOST:PORT), and look at nothing else
    #[arg(long, value_name = "URL", value_parser = server_url)]
    server: Option<Endpoint>,
    /// One JSON object for each setting and each check
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: ServeSettings,
}

const EXAMPLES: &str = "\
Examples:
  sentby doctor
  sentby doctor --database 'postgres://sentby:…@db/sentby?sslmode=verify-full' --cache rediss://cache:6379
  sentby doctor --config /etc/sentby.toml --json | jq -r 'select(.level == \"ERROR\") | .repair'
  sentby doctor --server http://127.0.0.1:50051

Exit code: 0 if there is no ERROR, 1 if there is one.";

#[derive(Serialize)]
struct SettingLine<'a> {
    setting: &'a str,
    value: &'a str,
    from: String,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    check: &'a str,
    level: &'a str,
    says: &'a str,
    repair: Option<&'a str>,
}

impl Doctor {
    pub fn flags(&self) -> &Flags {
        self.settings.flags()
    }

    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let (settings, checks) = match &self.server {
            Some(endpoint) => (Vec::new(), served::examine(endpoint).await),
            None => (
                self.origins(&config)?,
                server::doctor::examine(&config).await,
            ),
        };
        let text = match self.json {
            true => json(&settings, &checks)?,
            false => words(&settings, &checks),
        };
        write!(io::stdout(), "{text}")?;
        let is_broken = checks.iter().any(|check| check.level == Level::Error);
        Ok(if is_broken {
            Outcome::No
        } else {
            Outcome::Done
        })
    }

    /// Each setting as it is in effect, and who says so.
    fn origins(&self, config: &Config) -> Result<Vec<(&'static str, String, Origin)>, ConfigError> {
        let flags = self.flags();
        let file = flags.file.as_deref();
        let origins = config::origins(&flags.values, file, std::env::vars_os())?;
        let effective = config.effective().into_iter().zip(origins);
        Ok(effective
            .map(|((key, value), origin)| (key, value, origin))
            .collect())
    }
}

fn json(
    settings: &[(&'static str, String, Origin)],
    checks: &[Check],
) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for (setting, value, origin) in settings {
        let from = origin.to_string();
        text += &serde_json::to_string(&SettingLine {
            setting,
            value,
            from,
        })?;
        text.push('\n');
    }
    for check in checks {
        let repair = Some(check.repair.as_str()).filter(|repair| !repair.is_empty());
        text += &serde_json::to_string(&CheckLine {
            check: check.name,
            level: check.level.name(),
            says: &check.says,
            repair,
        })?;
        text.push('\n');
    }
    Ok(text)
}

fn words(settings: &[(&'static str, String, Origin)], checks: &[Check]) -> String {
    let mut text = String::new();
    for (key, value, origin) in settings {
        let value = if value.is_empty() { "(not set)" } else { value };
        text += &format!("{key} = {value}, from {origin}\n");
    }
    if !settings.is_empty() {
        text.push('\n');
    }
    for check in checks {
        text += &format!(
            "{:<8} {:<20} {}\n",
            check.level.name(),
            check.name,
            check.says
        );
        if !check.repair.is_empty() {
            text += &format!("{:<8} {:<20} repair: {}\n", "", "", check.repair);
        }
    }
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    text + &match (errors, warnings) {
        (0, 0) => "nothing is wrong.\n".to_owned(),
        (0, _) => format!("it serves; {warnings} to look at.\n"),
        _ => format!("{errors} to repair, {warnings} to look at.\n"),
    }
}
