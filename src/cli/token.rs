//! `sentby token`

use super::{Outcome, settings::Flags};
use crate::{
    access::{Role, TokenHash, new_token},
    config::{Config, ConfigError, Role as Asked},
};
use anyhow::Context as _;
use std::io::{self, Write as _};

/// Make a token for a caller of a server.
///
/// The token is printed this once and stored nowhere; the callers file gets its hash alone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Print a new token, and what to put into the callers file
    New(New),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Print a whole entry for a caller of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its role: onboarding, collector, reader or operator; several, if repeated
    #[arg(long, value_name = "ROLE", requires = "name", value_parser = role)]
    role: Vec<Role>,
}

const EXAMPLES: &str = "\
Examples:
  sentby token new --name collector-eu --role collector
  sentby token new        # one more for a caller that is there: to change its token

The caller sends the token with each call; a command takes it from the environment:
  SENTBY_TOKEN=sentby_… sentby lookup --server https://HOST:50051 --ca-file ca.pem --tenant GUID ID
  grpcurl -cacert ca.pem -H \"authorization: Bearer $SENTBY_TOKEN\" HOST:50051 list";

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| format!("is none of {}", Role::ALL.map(Role::name).join(", ")))
}

impl Token {
    /// It has no settings.
    pub fn config() -> Result<Config, ConfigError> {
        Config::load(Asked::Command, &Flags::default().values, None, [])
    }

    pub fn run(self) -> anyhow::Result<Outcome> {
        let TokenCommand::New(new) = self.command;
        let token = new_token().context("the system has no random bits")?;
        let out = &mut io::stdout();
        writeln!(out, "# for the caller; it is shown this once:\n{token}\n")?;
        writeln!(out, "# for the callers file:")?;
        let hash = TokenHash::of(&token);
        if let Some(name) = new.name {
            let roles: Vec<&str> = new.role.iter().map(|role| role.name()).collect();
            let name = serde_json::to_string(&name)?; // JSON's text is TOML's too
            writeln!(out, "[[caller]]\nname = {name}\nroles = {roles:?}")?;
        }
        writeln!(out, "token_hashes = [\"{hash}\"]")?;
        Ok(Outcome::Done)
    }
}
