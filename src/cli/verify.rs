//! `sentby verify`

use super::{
    Outcome,
    client::{Api, Need, Target},
    lookup,
    show::{self, Answer},
    table::{Screen, Table, Tone},
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::Attribution,
    simulate::{Truth, truth},
};
use anyhow::Context as _;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::PathBuf,
};

/// Compare every answer with the truth that `simulate` wrote.
///
/// Looks every row up, 1,000 a call, and says which answers are not as they should be. Only
/// what is in truth.csv is asked for; import the whole feed first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// `truth.csv` of a simulated feed
    #[arg(value_name = "TRUTH")]
    truth: PathBuf,
    /// So many rows that differ are shown; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby verify feed/truth.csv
  sentby verify --server http://127.0.0.1:50051 feed/truth.csv

Exit code: 0 only if there are rows and all are equal.";

impl Verify {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let name = self.truth.display();
        let file = File::open(&self.truth).with_context(|| format!("cannot read {name}"))?;
        let api = self.target.connect(&config, Need::Existing).await?;
        let mut report = Report::new(self.show);
        let mut batch = Vec::new();
        for row in rows(BufReader::new(file)) {
            let row = row.with_context(|| format!("cannot read {name}"))?;
            let is_another = batch
                .last()
                .is_some_and(|last: &Truth| last.tenant_id != row.tenant_id);
            if is_another || batch.len() == lookup::MAX_IDS {
                report.check(&api, std::mem::take(&mut batch)).await?;
            }
            batch.push(row);
        }
        report.check(&api, batch).await?;
        writeln!(io::stdout(), "{}", report.words())?;
        Ok(if report.is_equal() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }
}

/// The rows below the header.
fn rows(input: impl BufRead) -> impl Iterator<Item = anyhow::Result<Truth>> {
    let mut lines = (1u64..).zip(input.lines());
    let header = lines.next().and_then(|(_, line)| line.ok());
    let wrong = header.is_none_or(|header| header.trim_end() != truth::HEADER);
    let refused = wrong.then(|| Err(anyhow::anyhow!("it does not begin as a truth.csv does")));
    let rows = lines.map(|(number, line)| {
        let line = line?;
        Truth::parse(&line).with_context(|| format!("line {number}"))
    });
    // nothing of another file is read
    let most = if wrong { 0 } else { usize::MAX };
    refused.into_iter().chain(rows.take(most))
}

/// How many answers are as they should be, and which are not.
#[derive(Debug)]
pub(super) struct Report {
    /// Rows, and those that differ, by story.
    stories: BTreeMap<String, (u64, u64)>,
    shown: Vec<String>,
    most: usize,
}

impl Report {
    pub fn new(most: usize) -> Self {
        Self {
            stories: BTreeMap::new(),
            shown: Vec::new(),
            most,
        }
    }

    /// Asks for at most 1,000 messages of one tenant.
    pub async fn check(&mut self, api: &Api, rows: Vec<Truth>) -> anyhow::Result<()> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        let tenant = TenantId(first.tenant_id);
        let ids = rows.iter().map(|row| row.message_id.clone()).collect();
        let answers = lookup::look_up(api, tenant, ids, None).await?;
        for (row, answer) in rows.into_iter().zip(&answers) {
            self.compare(row, answer);
        }
        Ok(())
    }

    fn compare(&mut self, row: Truth, answer: &Attribution) {
        let differences = differences(&row, answer);
        let (rows, differ) = self.stories.entry(row.story.clone()).or_default();
        *rows += 1;
        if differences.is_empty() {
            return;
        }
        *differ += 1;
        if self.shown.len() < self.most {
            self.shown.push(format!(
                "{} ({}): {}",
                row.message_id,
                row.story,
                differences.join("; ")
            ));
        }
    }

    pub fn rows(&self) -> u64 {
        self.stories.values().map(|(rows, _)| rows).sum()
    }

    fn differ(&self) -> u64 {
        self.stories.values().map(|(_, differ)| differ).sum()
    }

    /// Nothing compared is nothing proved.
    pub fn is_equal(&self) -> bool {
        self.rows() > 0 && self.differ() == 0
    }

    /// Those that differ, so far as they are shown.
    pub fn shown(&self) -> &[String] {
        &self.shown
    }

    pub fn stories(&self) -> usize {
        self.stories.len()
    }

    fn words(&self) -> String {
        let mut table = Table::new(&["STORY", "ROWS", "DIFFER"], 0, 20);
        for (story, (rows, differ)) in &self.stories {
            let tone = if *differ == 0 {
                Tone::Faint
            } else {
                Tone::Attention
            };
            table.row([
                (story.clone(), Tone::Plain),
                (show::count(*rows), Tone::Plain),
                (show::count(*differ), tone),
            ]);
        }
        let mut words = table.render(Screen::stdout());
        for line in &self.shown {
            words.push_str(&format!("\n{line}"));
        }
        let more = self.differ() - self.shown.len() as u64;
        if more > 0 {
            words.push_str(&format!("\n… and {}", show::plural(more, "other row")));
        }
        let equal = show::count(self.rows() - self.differ());
        let all = show::plural(self.rows(), "row");
        format!("{words}\nEqual: {equal} of {all}")
    }
}

/// Of every field that differs: what it is, and what it should be.
fn differences(row: &Truth, answer: &Attribution) -> Vec<String> {
    // as `lookup --json` writes it
    let answer = serde_json::to_value(Answer::of(answer)).unwrap_or_default();
    let text = |name: &str| match &answer[name] {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Array(list) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            texts.join(";")
        }
        _ => String::new(),
    };
    let mut expected = vec![
        ("verdict", row.verdict.clone()),
        ("agent", row.agent.clone()),
        ("mailbox", row.mailbox.clone()),
        ("basis", row.basis.clone()),
        ("confirmed", row.confirmed.to_string()),
        ("contradicted", row.contradicted.to_string()),
        ("candidates", row.candidates.join(";")),
    ];
    // of an attempt that failed the answer may tell the time
    if !row.sent_at.is_empty() {
        expected.push(("sent_at", row.sent_at.clone()));
    }
    let told = |text: String| {
        if text.is_empty() {
            "nothing".to_owned()
        } else {
            text
        }
    };
    expected
        .into_iter()
        .filter_map(|(name, expected)| {
            let found = text(name);
            let differs = found != expected;
            differs.then(|| format!("{name} is {}, should be {}", told(found), told(expected)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Basis, Verdict};

    fn pair() -> (Truth, Attribution) {
        let row = format!(
            "{}\n<a@b>,ATTRIBUTED,anna@x.y,support@x.y,MAILBOX_SEND_AS,true,false,,\
             2026-03-02T09:14:05Z,00000000-0000-0000-0000-000000000007,both_sides\r\n",
            truth::HEADER
        );
        let mut rows = rows(row.as_bytes());
        let row = rows.next().unwrap().unwrap();
        assert!(rows.next().is_none());
        let answer = Attribution {
            verdict: Verdict::Attributed.into(),
            agent: "anna@x.y".into(),
            mailbox: "support@x.y".into(),
            basis: Basis::MailboxSendAs.into(),
            confirmed: true,
            sent_at: Some(prost_types::Timestamp {
                seconds: 1_772_442_845,
                nanos: 0,
            }),
            ..Default::default()
        };
        (row, answer)
    }

    #[test]
    fn every_field_is_compared() {
        let (row, answer) = pair();
        assert_eq!(differences(&row, &answer), Vec::<String>::new());
        for (field, change) in [
            (
                "verdict",
                (|answer| answer.verdict = Verdict::Conflict.into()) as fn(&mut Attribution),
            ),
            ("agent", |answer| answer.agent = "ben@x.y".into()),
            ("mailbox", |answer| answer.mailbox = String::new()),
            ("basis", |answer| answer.basis = Basis::Send.into()),
            ("confirmed", |answer| answer.confirmed = false),
            ("contradicted", |answer| answer.contradicted = true),
            ("sent_at", |answer| answer.sent_at = None),
        ] {
            let mut changed = answer.clone();
            change(&mut changed);
            let told = differences(&row, &changed);
            assert!(told.iter().any(|one| one.starts_with(field)), "{told:?}");
        }
    }

    #[test]
    fn what_differs_is_counted_and_shown_up_to_a_number() {
        let (row, answer) = pair();
        let mut report = Report::new(1);
        report.compare(row.clone(), &answer);
        assert!(report.is_equal());
        for _ in 0..2 {
            report.compare(row.clone(), &Attribution::default());
        }
        assert!(!report.is_equal());
        let words = report.words();
        assert!(
            words.contains("agent is nothing, should be anna@x.y"),
            "{words}"
        );
        assert!(words.contains("1 other row"), "{words}");
        assert!(words.ends_with("Equal: 1 of 3 rows"), "{words}");
    }

    #[test]
    fn another_file_is_refused() {
        for wrong in ["", "a,b\n", &format!("{}\nx\n", truth::HEADER)] {
            let read: Result<Vec<Truth>, _> = rows(wrong.as_bytes()).collect();
            assert!(read.is_err(), "{wrong}");
        }
    }
}
