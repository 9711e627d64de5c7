//! `sentby simulate`

use super::{Outcome, Usage, settings::Flags, show, time};
use crate::{
    config::{Config, ConfigError, Role},
    simulate::{self, Envelope, Moment, Plan, Summary, TenantSummary},
};
use anyhow::Context as _;
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Make a feed as Microsoft would deliver it, and the truth about it.
///
/// Made-up tenants, whose messages have everything that is known of audit logs: both sides
/// or one, late, repeated, shuffled, among other operations, in every form that exports
/// have, with identifiers for names, other tenants' records and broken ones. The same
/// arguments give the same bytes.
///
/// DIR/TENANT-GUID/NNNN-FORM.EXT is the feed in the order of its delivery; DIR/truth.csv what
/// `verify` compares; DIR/summary.json, written last, what was made.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Simulate {
    /// Another number is another feed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Messages of all tenants together. From some 2,000 on every story is told
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    messages: u64,
    /// Each has its own people, mailboxes and files
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..))]
    tenants: u16,
    /// A directory that is empty, or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Records of other operations for each send event. A real tenant has 20 to 100
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = noise)]
    noise: f64,
    /// When the first message is sent [default: so many days ago that the feed has ended a week ago]
    #[arg(long, value_name = "TIME", value_parser = start)]
    start: Option<Moment>,
    /// Over so many days the messages are spread; up to now at most
    #[arg(long, value_name = "N", default_value_t = 14,
        value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
    /// People of each tenant that send
    #[arg(long, value_name = "N", default_value_t = 12,
        value_parser = clap::value_parser!(u16).range(2..))]
    agents: u16,
    /// Shared mailboxes of each tenant; two with a history of their own come on top
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(2..))]
    shared: u16,
    /// Forms of the files, by commas: blob, lines, search, search-objects, portal-old,
    /// portal-new, export-csv, graph, sentinel, cloud-app-events, wazuh, elastic
    /// [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = envelope,
        hide_default_value = true)]
    envelopes: Vec<Envelope>,
    /// Pack every file of the feed (.gz)
    #[arg(long)]
    gzip: bool,
}

const EXAMPLES: &str = "\
Examples:
  sentby simulate --out feed
  sentby simulate --seed 7 --messages 20000 --tenants 3 --noise 20 --out feed
  sentby simulate --messages 1000000 --days 90 --envelopes blob --gzip --out feed

Then, with the commands that it prints:
  sentby import --tenant GUID --register --shared ADDRESS feed/GUID/*
  sentby verify feed/truth.csv";

impl Simulate {
    /// Settings of the environment do not matter here.
    pub fn config() -> Result<Config, ConfigError> {
        Config::load(Role::Command, &Flags::default().values, None, [])
    }

    pub fn run(self) -> anyhow::Result<Outcome> {
        let plan = self.plan();
        check_is_past(&plan)?;
        make_empty(&self.out)?;
        let summary = simulate::write(&plan, &self.out, self.gzip, |_| {})
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        writeln!(io::stdout(), "{}", told(&summary, &self.out))?;
        Ok(Outcome::Done)
    }

    fn plan(&self) -> Plan {
        let mut envelopes = self.envelopes.clone();
        envelopes.sort_unstable();
        envelopes.dedup();
        if envelopes.is_empty() {
            envelopes = Envelope::ALL.to_vec();
        }
        Plan {
            seed: self.seed,
            messages: self.messages,
            tenants: self.tenants.into(),
            start: self.start.unwrap_or_else(|| days_ago(self.days)),
            days: self.days,
            agents: self.agents.into(),
            shared: self.shared.into(),
            noise: self.noise,
            envelopes,
            ..Plan::default()
        }
    }
}

/// What is not past waits in quarantine, and no answer would be as it should.
fn check_is_past(plan: &Plan) -> Result<(), Usage> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_millis());
    let end = plan.start.plus_ms(i64::from(plan.days) * 86_400_000);
    if i128::from(end.ms()) <= now.cast_signed() {
        return Ok(());
    }
    Err(Usage(format!(
        "the messages would be sent up to {}Z, which is not past: give an earlier --start, or \
         fewer --days",
        end.native()
    )))
}

/// Nothing is overwritten, and nothing that is there becomes a part of the feed.
fn make_empty(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut entries =
        fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    if entries.next().is_some() {
        let what = format!(
            "--out {}: is not empty; name a new directory, or remove it first",
            dir.display()
        );
        return Err(Usage(what).into());
    }
    Ok(())
}

/// What was made, and what to run next.
fn told(summary: &Summary, out: &Path) -> String {
    let sum = |of: fn(&TenantSummary) -> u64| summary.tenants.iter().map(of).sum::<u64>();
    let records = sum(|tenant| tenant.records.values().sum());
    let mut lines = vec![format!(
        "{}: {} of {} in {} ({} MiB). {} cannot be taken in.",
        show::plural(summary.messages, "message"),
        show::plural(records, "record"),
        show::plural(summary.tenants.len() as u64, "tenant"),
        show::plural(sum(|tenant| tenant.files), "file"),
        show::count(sum(|tenant| tenant.bytes) >> 20),
        show::plural(sum(|tenant| tenant.cannot_be_taken_in), "record"),
    )];
    lines.push("\nNext:".into());
    let (sentby, out) = (show::program(), out.display());
    for tenant in &summary.tenants {
        let id = &tenant.tenant_id;
        let shared: Vec<String> = tenant
            .register
            .iter()
            .map(|address| format!("--shared {address}"))
            .collect();
        lines.push(format!(
            "{sentby} import --tenant {id} --register \\\n  {} \\\n  {out}/{id}/*",
            shared.join(" ")
        ));
    }
    lines.push(format!("{sentby} verify {out}/truth.csv"));
    lines.join("\n")
}

fn noise(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let is_possible = (0.0..=1_000.0).contains(&number);
    is_possible
        .then_some(number)
        .ok_or_else(|| "is not between 0 and 1000".into())
}

/// Stories go on for days behind the last message that begins one, and nothing may lie ahead.
const WEEK: u32 = 7;

/// The beginning of a day. Private mail of long ago would not be kept: `unjoined_send_days`.
fn days_ago(days: u32) -> Moment {
    const DAY: i64 = 86_400;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    Moment::from_seconds((now / DAY - i64::from(days + WEEK)) * DAY)
}

fn start(text: &str) -> Result<Moment, String> {
    time(text).map(|time| Moment::from_seconds(time.micros().div_euclid(1_000_000)))
}

fn envelope(text: &str) -> Result<Envelope, String> {
    Envelope::from_name(text.trim()).ok_or_else(|| {
        let names: Vec<&str> = Envelope::ALL.iter().map(|one| one.name()).collect();
        format!("is none of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (text, expected) in [
            ("2026-03-02", Some(1_772_409_600)),
            ("2026-03-02T00:00:01Z", Some(1_772_409_601)),
            ("1999-01-01", None),
            ("tomorrow", None),
        ] {
            let expected = expected.map(Moment::from_seconds);
            assert_eq!(start(text).ok(), expected, "{text}");
        }
        assert_eq!(noise("1.5"), Ok(1.5));
        for wrong in ["-1", "NaN", "inf", "many"] {
            assert!(noise(wrong).is_err(), "{wrong}");
        }
        assert!(envelope("xml").unwrap_err().contains("portal-old"));
    }

    /// The help is written by hand.
    #[test]
    fn the_help_names_every_form() {
        use clap::Args as _;
        let mut command = Simulate::augment_args(clap::Command::new("simulate"));
        let help = command.render_long_help().to_string();
        for envelope in Envelope::ALL {
            assert!(help.contains(envelope.name()), "{}", envelope.name());
        }
    }

    #[test]
    fn a_directory_that_holds_something_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        assert!(make_empty(&new).is_ok());
        assert!(new.is_dir());
        let error = make_empty(dir.path()).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
    }
}
