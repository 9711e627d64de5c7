//! `sentby report`: a page to look at.
//!
//! | | where |
//! |---|---|
//! | what it is drawn from, over the API | `fetch`, added up in `sums` over `axis` |
//! | what follows from that, in words | `figures` |
//! | who is called how, and how text becomes markup | `names`, `html` |
//! | the parts of the page | `page`, `volume`, `agents`, `certainty`, `coverage`, `findings` |
//! | what they are made of | `charts`, `table`, `style.css`, `copy.js` |

mod agents;
mod axis;
mod certainty;
mod charts;
mod coverage;
mod fetch;
mod figures;
mod findings;
mod html;
mod names;
mod page;
mod sums;
mod table;
mod volume;

use super::{
    Outcome, Usage,
    client::{Need, Target},
    findings::address,
    show, tenant, time,
};
use crate::{
    config::Config,
    domain::{TenantId, TimeRange, Timestamp, summary::Zone},
};
use anyhow::Context as _;
use axis::Axis;
use names::Names;
use page::Report as Page;
use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};

/// Who sent how much, how sure that is and what is missing: one page to look at.
///
/// An HTML file that loads nothing from anywhere and runs nothing, to be opened, sent or printed.
/// The numbers of each picture stand below it as a table. It is counted hour by hour: a year of a
/// large tenant takes minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Report {
    /// The tenant whose messages they are
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Sent then or later: a day of the time zone (2026-03-01), or 2026-03-01T00:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: String,
    /// Sent earlier than that
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: String,
    /// Sent from this mailbox only
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    mailbox: Option<String>,
    /// Whose days and hours it is told by, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true,
        value_parser = zone)]
    time_zone: Zone,
    /// Agent 1, Agent 2 … for the people; addresses of shared mailboxes stay
    #[arg(long)]
    pseudonyms: bool,
    /// The file to write; one that is there is replaced. `-` is standard output
    #[arg(long, value_name = "FILE")]
    out: String,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby report --tenant GUID --from 2026-03-01 --to 2026-04-01 --out march.html
  sentby report --tenant GUID --from 2026-03-01 --to 2026-04-01 --time-zone Europe/Berlin \\
    --mailbox support@contoso.com --out support.html
  sentby report --tenant GUID --from 2026-03-01 --to 2026-04-01 --pseudonyms --out march.html
  sentby report --tenant GUID --server https://HOST:50051 --from 2026-03-01 --to 2026-04-01 --out -

Exit code: 0 if the page was written.";

impl Report {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let range = TimeRange {
            start: instant(&self.time_zone, &self.from),
            end: instant(&self.time_zone, &self.to),
        };
        if range.is_empty() {
            return Err(Usage("--from: must be earlier than --to".into()).into());
        }
        let axis = Axis::of(range, self.time_zone);
        let mailbox = self.mailbox.unwrap_or_default();
        let api = self.target.connect(&config, Need::Existing).await?;
        let mut fetched = fetch::all(&api, self.tenant, &axis, &mailbox).await?;
        let names = if self.pseudonyms {
            let people = figures::people(&fetched, &key());
            let names = Names::with_pseudonyms(&fetched.register, &people);
            figures::hide(&mut fetched, &names);
            names
        } else {
            Names::plain(&fetched.register)
        };
        let page = Page {
            fetched: &fetched,
            axis: &axis,
            names: &names,
            mailbox,
            made_at: now(),
        };
        let html = page.html();
        if self.out == "-" {
            io::stdout().write_all(html.as_bytes())?;
            return Ok(Outcome::Done);
        }
        write(Path::new(&self.out), &html).with_context(|| format!("cannot write {}", self.out))?;
        eprintln!(
            "{}: {} KB, open it in a browser",
            self.out,
            show::count(html.len() as u64 / 1_000)
        );
        Ok(Outcome::Done)
    }
}

/// Whole, or as it was: beside it, and then in its place. What does not get there goes: it is full
/// of names, and nobody looks for it.
fn write(path: &Path, html: &str) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = fs::write(&part, html).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // it may never have been there
    }
    written
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(0))
}

/// Another one for each page: what it orders nobody can order again.
fn key() -> [u8; 32] {
    let mut key = [0; 32];
    for half in key.chunks_exact_mut(16) {
        half.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    }
    key
}

/// A time, or a day of a zone that is not known yet.
fn moment(text: &str) -> Result<String, String> {
    time(text).map(|_| text.to_owned())
}

/// Of a text that [`moment`] has taken.
fn instant(zone: &Zone, text: &str) -> Timestamp {
    let time = time(text).unwrap_or(Timestamp::EARLIEST);
    let of_day = || axis::first_moment(zone, text);
    match text.contains(['T', 't', ' ']) {
        true => time,
        false => of_day().unwrap_or(time),
    }
}

fn zone(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| "is no IANA time zone, such as Europe/Berlin".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_zone_and_a_time_is_itself() {
        let at = |zone, text| instant(&Zone::named(zone).unwrap(), text).to_string();
        assert_eq!(at("", "2026-03-01"), "2026-03-01T00:00:00Z");
        assert_eq!(at("Europe/Berlin", "2026-03-01"), "2026-02-28T23:00:00Z");
        let time = "2026-03-01T00:00:00+02:00";
        assert_eq!(at("Europe/Berlin", time), "2026-02-28T22:00:00Z");
        assert!(moment("yesterday").is_err());
        assert!(zone("Europe/Atlantis").is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.html");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let taken = folder.path().join("b.html");
        fs::create_dir(&taken).unwrap();
        assert!(write(&taken, "x").is_err());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "no part of a page");
    }
}
