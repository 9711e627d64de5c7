//! The command line: one file for each command.
//!
//! Exit codes: 0 done, 1 the command failed or its answer is "no", 2 it was called wrongly.
//! Answers go to standard output, everything else to standard error.

mod check_setup;
mod client;
mod coverage;
mod credentials;
mod delete_tenant;
mod demo;
mod doctor;
mod erase;
mod explain;
mod findings;
mod health;
mod import;
mod info;
mod list;
mod lookup;
mod migrate;
mod places;
mod quarantine;
mod report;
mod serve;
mod settings;
mod show;
mod simulate;
mod status;
mod summary;
mod table;
mod token;
mod verify;
mod watch;

use crate::{
    config::{Config, ConfigError, Role},
    domain::{TenantId, Timestamp},
    telemetry,
};
use clap::{Parser, Subcommand};
use std::{io, process::ExitCode, time::Duration};

/// Which agent sent this message from the shared mailbox?
///
/// sentby takes the audit log of Microsoft 365 in, puts together what the two sides of the
/// log say about one message, and answers by message id: who sent it, on which evidence.
#[derive(Debug, Parser)]
#[command(name = "sentby", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
See it work, with nothing set up:
  sentby demo

From an audit export to the answer (no server needed: a SQLite file, ./sentby.db):
  sentby import --tenant GUID --register --shared support@contoso.com export.csv
  sentby lookup --tenant GUID '<message-id@mail.contoso.com>'
  sentby explain --tenant GUID '<message-id@mail.contoso.com>'

Why is there no answer? What the PowerShell checks print, and the audit export, tell:
  sentby check-setup mailboxes.json organization.json AuditLog.csv
  sentby findings --tenant GUID

A page to look at:
  sentby report --tenant GUID --from 2026-03-01 --to 2026-04-01 --out march.html

As a service:
  sentby serve
  sentby doctor
  sentby lookup --server http://127.0.0.1:50051 --tenant GUID '<message-id@…>'
  grpcurl -plaintext 127.0.0.1:50051 list
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"message_id\": \"<message-id@…>\"}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/GetAttribution

GUID is the Entra tenant GUID: `OrganizationId` in every audit record.
Every command has examples: sentby COMMAND --help";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
    Health(health::Health),
    Import(import::Import),
    Lookup(lookup::Lookup),
    List(list::List),
    Summary(summary::Summary),
    Report(report::Report),
    Explain(explain::Explain),
    Coverage(coverage::Coverage),
    Findings(findings::Findings),
    Info(info::Info),
    Quarantine(quarantine::Quarantine),
    Migrate(migrate::Migrate),
    Simulate(simulate::Simulate),
    Verify(verify::Verify),
    Watch(watch::Watch),
    CheckSetup(check_setup::CheckSetup),
    Token(token::Token),
    Erase(erase::Erase),
    DeleteTenant(delete_tenant::DeleteTenant),
}

/// How a command ended, short of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It has said why.
    No,
}

/// Parses the arguments of the process and runs the command.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = command
        .config()
        .map_err(anyhow::Error::from)
        .and_then(|config| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let entered = runtime.enter();
            telemetry::start(&config, command.role());
            drop(entered);
            let result = runtime.block_on(command.run(config));
            telemetry::trace::flush();
            // a thread that still waits for standard input must not hold the end up
            runtime.shutdown_timeout(Duration::from_millis(500));
            result
        });
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {}", words(&error));
            let usage = error.is::<ConfigError>() || error.is::<Usage>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

impl Command {
    fn config(&self) -> Result<Config, ConfigError> {
        let (role, settings) = match self {
            Self::Demo(demo) => return demo.config(),
            Self::Simulate(_) => return simulate::Simulate::config(),
            Self::Token(_) => return token::Token::config(),
            Self::CheckSetup(check) if check.tenant.is_none() => {
                return check_setup::CheckSetup::config();
            }
            Self::CheckSetup(check) => (Role::Command, check.target.flags()),
            Self::Serve(serve) => (Role::Serve, serve.settings.flags()),
            Self::Doctor(doctor) => (Role::Doctor, doctor.flags()),
            Self::Health(health) => (Role::Command, health.target.flags()),
            Self::Import(import) => (Role::Command, import.target.flags()),
            Self::Lookup(lookup) => (Role::Command, lookup.target.flags()),
            Self::List(list) => (Role::Command, list.target.flags()),
            Self::Summary(summary) => (Role::Command, summary.target.flags()),
            Self::Report(report) => (Role::Command, report.target.flags()),
            Self::Explain(explain) => (Role::Command, explain.target.flags()),
            Self::Coverage(coverage) => (Role::Command, coverage.target.flags()),
            Self::Info(info) => (Role::Command, info.target.flags()),
            Self::Findings(findings) => (Role::Command, findings.target.flags()),
            Self::Quarantine(quarantine) => (Role::Command, quarantine.target().flags()),
            Self::Migrate(migrate) => (Role::Command, migrate.settings.flags()),
            Self::Verify(verify) => (Role::Command, verify.target.flags()),
            Self::Watch(watch) => (Role::Command, watch.target.flags()),
            Self::Erase(erase) => (Role::Command, erase.target.flags()),
            Self::DeleteTenant(delete) => (Role::Command, delete.target.flags()),
        };
        Config::load(
            role,
            &settings.values,
            settings.file.as_deref(),
            std::env::vars_os(),
        )
    }

    fn role(&self) -> Role {
        match self {
            Self::Serve(_) => Role::Serve,
            _ => Role::Command,
        }
    }

    async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        match self {
            Self::Demo(demo) => demo.run(config).await,
            Self::Doctor(doctor) => doctor.run(config).await,
            Self::Serve(serve) => serve.run(config).await,
            Self::Health(health) => health.run(config).await,
            Self::Import(import) => import.run(config).await,
            Self::Lookup(lookup) => lookup.run(config).await,
            Self::List(list) => list.run(config).await,
            Self::Summary(summary) => summary.run(config).await,
            Self::Report(report) => report.run(config).await,
            Self::Explain(explain) => explain.run(config).await,
            Self::Coverage(coverage) => coverage.run(config).await,
            Self::Info(info) => info.run(config).await,
            Self::Findings(findings) => findings.run(config).await,
            Self::Quarantine(quarantine) => quarantine.run(config).await,
            Self::Migrate(migrate) => migrate.run(config).await,
            Self::Simulate(simulate) => simulate.run(),
            Self::Verify(verify) => verify.run(config).await,
            Self::Watch(watch) => watch.run(config).await,
            Self::CheckSetup(check) => check.run(config).await,
            Self::Token(token) => token.run(),
            Self::Erase(erase) => erase.run(config).await,
            Self::DeleteTenant(delete) => delete.run(config).await,
        }
    }
}

/// The command was called wrongly, in a way that only it can tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// An error with its causes, but for those that its text already tells.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// `sentby lookup … | head` is no failure to talk about.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The value of `--tenant`.
fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).ok_or_else(|| {
        "is no GUID. It is the Entra tenant GUID: `OrganizationId` in every audit record, \
         \"Tenant ID\" in the Entra admin center"
            .into()
    })
}

/// A time, or a day.
fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00")))
        .filter(|time| time.is_plausible())
        .ok_or_else(|| {
            "is no time of this century, such as 2026-03-02 or 2026-03-02T08:00:00Z".into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    const TENANT: &str = "c0117050-0000-4000-8000-000000000001";

    #[test]
    fn what_is_called_wrongly_is_refused_before_anything_runs() {
        for wrong in [
            "sentby",
            "sentby serve extra",
            "sentby lookup x",
            "sentby lookup --tenant contoso x",
            &format!("sentby lookup --tenant {TENANT}"),
            &format!("sentby import --tenant {TENANT}"),
            &format!("sentby lookup --tenant {TENANT} --listen 127.0.0.1:1 x"),
            &format!("sentby lookup --tenant {TENANT} --server h:1 --database sqlite://x x"),
            &format!("sentby lookup --tenant {TENANT} --ca-file f x"),
            &format!("sentby lookup --tenant {TENANT} --server https://h:1 --client-cert-file f x"),
            &format!("sentby lookup --tenant {TENANT} --server h:1 --token sentby_x x"),
            "sentby token",
            "sentby token new --role reader",
            "sentby token new --name x --role admin",
            &format!("sentby import --tenant {TENANT} --shared nobody f"),
            &format!("sentby import --tenant {TENANT} --window-start 2026-03-01 f"),
            &format!("sentby list --tenant {TENANT} --from yesterday"),
            &format!("sentby list --tenant {TENANT} --verdict MAYBE"),
            &format!("sentby list --tenant {TENANT} --json --csv"),
            "sentby watch",
            &format!("sentby watch --tenant {TENANT} --token x --state f"),
            &format!("sentby watch --tenant {TENANT} --json --csv"),
            &format!("sentby summary --tenant {TENANT} --bucket MONTH"),
            &format!("sentby summary --tenant {TENANT} --csv --json"),
            &format!("sentby report --tenant {TENANT} --from 2026-03-01 --to 2026-04-01"),
            &format!("sentby report --tenant {TENANT} --from x --to 2026-04-01 --out f"),
            &format!(
                "sentby report --tenant {TENANT} --from 2026-03-01 --to 2026-04-01 --out f \
                 --time-zone Europe/Atlantis"
            ),
            "sentby migrate --reader",
            &format!("sentby migrate --tenant {TENANT}"),
            "sentby doctor --server h",
            "sentby coverage",
            &format!("sentby coverage --tenant {TENANT} --from now"),
            "sentby simulate",
            "sentby simulate --out d --agents 1",
            "sentby simulate --out d --envelopes blob,xml",
            "sentby verify",
            "sentby check-setup",
            "sentby check-setup --shared nobody f",
            "sentby check-setup --captured-at yesterday f",
            "sentby check-setup --tenant x f",
            &format!("sentby check-setup --tenant {TENANT}"),
            "sentby findings",
            "sentby info --tenant x",
            &format!("sentby findings --tenant {TENANT} --mailbox support"),
            "sentby quarantine",
            "sentby erase anna@contoso.com",
            &format!("sentby erase --tenant {TENANT}"),
            "sentby delete-tenant --yes",
            "sentby quarantine list",
            &format!("sentby quarantine list --tenant {TENANT} x"),
            &format!("sentby quarantine retry --tenant {TENANT} --reason BROKEN"),
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
        for right in [
            "sentby serve --insecure --listen 0.0.0.0:1",
            "sentby demo --once",
            "sentby info --server h:1 --json",
            "sentby health",
            "sentby health --server h:1",
            "sentby migrate --database postgres://h/d",
            "sentby token new",
            "sentby token new --name x --role reader --role collector",
            &format!("sentby lookup --tenant {TENANT} --server https://h:1 --ca-file f x"),
            &format!("sentby lookup --tenant {TENANT} --server h:1 --token-file f x"),
            "sentby migrate --database postgres://h/d --reader bi",
            &format!("sentby migrate --restored --tenant {TENANT}"),
            "sentby doctor --json --cache none --tls-cert-file c",
            "sentby doctor --server h:1",
            "sentby simulate --out d --envelopes blob,graph --noise 1.5",
            "sentby verify --server h:1 d/truth.csv",
            "sentby check-setup --json --shared a@b.c --captured-at 2026-03-01 f -",
            &format!("sentby lookup --tenant {TENANT} --json - x"),
            &format!("sentby lookup --tenant {TENANT} --sent-at 2026-03-02T09:14:00Z x"),
            &format!("sentby list --tenant {TENANT} --from 2026-03-01 --verdict conflict --csv"),
            &format!("sentby watch --tenant {TENANT} --tenant {TENANT} --follow --from-now --json"),
            &format!("sentby summary --tenant {TENANT} --bucket week --time-zone Asia/Tokyo --csv"),
            &format!("sentby coverage --tenant {TENANT} --to 2026-03-01 --json"),
            &format!(
                "sentby report --tenant {TENANT} --from 2026-03-01 --to 2026-04-01 --out f \
                 --time-zone europe/berlin --mailbox a@b.c --pseudonyms"
            ),
            &format!("sentby check-setup --tenant {TENANT} --server h:1 f -"),
            &format!("sentby findings --tenant {TENANT} --mailbox a@b.c --agent d@e.f --json"),
            &format!("sentby erase --tenant {TENANT} --dry-run --json a@b.c"),
            &format!("sentby delete-tenant --tenant {TENANT} --server h:1 --yes"),
            &format!("sentby quarantine list --tenant {TENANT} --content --reason too_deep"),
            &format!("sentby quarantine retry --tenant {TENANT} --server h:1 00ff 00fe"),
            &format!(
                "sentby import --tenant {TENANT} --window-start 2026-03-01 --window-end 2026-04-01 f"
            ),
            &format!("sentby import --tenant {TENANT} --register --shared a@b.c --shared d@e.f -"),
        ] {
            assert!(parse(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn every_command_teaches_by_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            let name = command.get_name();
            assert!(help.contains(&format!("  sentby {name}")), "{name}: {help}");
            assert!(command.get_about().is_some(), "{name}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        use anyhow::Context as _;
        let cause = || io::Error::other("the disk is full");
        let error = Err::<(), _>(cause()).context("cannot write").unwrap_err();
        assert_eq!(words(&error), "cannot write: the disk is full");
        let text = "cannot write: the disk is full";
        let error = Err::<(), _>(cause()).context(text).unwrap_err();
        assert_eq!(words(&error), text);
    }

    #[test]
    fn flags_of_the_table_reach_the_configuration() {
        let cli = parse("sentby serve --cache none --insecure --listen 0.0.0.0:7").unwrap();
        let Command::Serve(serve) = cli.command else {
            panic!("not serve");
        };
        let flags = &serve.settings.flags().values;
        let text = |key| {
            let found = flags.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(text("cache"), Some("none"));
        assert_eq!(text("insecure"), Some("true"));
        assert_eq!(text("listen"), Some("0.0.0.0:7"));
        assert_eq!(text("database"), None);
    }
}
