//! Findings as people read them, and as scripts do.

use super::super::{show, table::Screen};
use crate::{
    audit::Setup,
    domain::{
        Clue, Finding, Severity,
        finding::{Source, Subject},
    },
};
use serde::Serialize;

/// A line of `--json`. The names and their order are what scripts rely on.
#[derive(Serialize)]
struct FindingLine<'a> {
    cause: &'static str,
    severity: &'static str,
    mailbox: Option<&'a str>,
    agent: Option<&'a str>,
    meaning: &'a str,
    evidence: Vec<ClueLine<'a>>,
    commands: &'a [String],
    advice: &'a str,
    page: &'static str,
}

#[derive(Serialize)]
struct ClueLine<'a> {
    source: &'static str,
    says: &'a str,
    time: Option<String>,
    actor: Option<&'a str>,
    operation: Option<&'static str>,
    record_id: Option<String>,
}

pub(super) fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let lines: Result<Vec<String>, _> = findings
        .iter()
        .map(|finding| serde_json::to_string(&FindingLine::of(finding)))
        .collect();
    Ok(lines?.join("\n"))
}

impl<'a> FindingLine<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            cause: finding.cause.name(),
            severity: finding.severity.name(),
            mailbox: finding.subject.mailbox(),
            agent: finding.subject.agent(),
            meaning: &finding.meaning,
            evidence: finding.clues.iter().map(ClueLine::of).collect(),
            commands: &finding.remedy.commands,
            advice: &finding.remedy.advice,
            page: finding.remedy.page.url(),
        }
    }
}

impl<'a> ClueLine<'a> {
    fn of(clue: &'a Clue) -> Self {
        let line = Self {
            source: clue.source.name(),
            says: &clue.says,
            time: None,
            actor: None,
            operation: None,
            record_id: None,
        };
        match &clue.source {
            Source::Settings { captured_at } => Self {
                time: Some(captured_at.to_string()),
                ..line
            },
            Source::Feed {
                time,
                actor,
                operation,
                record_id,
            } => Self {
                time: Some(time.to_string()),
                actor: Some(actor),
                operation: Some(*operation),
                record_id: Some(record_id.to_string()),
                ..line
            },
            _ => line,
        }
    }
}

pub(super) fn words(findings: &[Finding], read: &Setup) -> String {
    let screen = Screen::stdout();
    let is_open = |finding: &&Finding| finding.severity == Severity::Unknown;
    let found = findings.iter().filter(|finding| !is_open(finding));
    let mut blocks: Vec<String> = found.map(|finding| block(finding, screen)).collect();
    let mut open = findings.iter().filter(is_open).peekable();
    if open.peek().is_some() {
        blocks.push(screen.bold("What cannot be told, and the commands that tell:"));
        blocks.extend(open.map(|finding| block(finding, screen)));
    }
    blocks.push(summary(findings, read));
    blocks.join("\n\n")
}

fn block(finding: &Finding, screen: Screen) -> String {
    let subject = match &finding.subject {
        Subject::Organization => "the organisation".to_owned(),
        Subject::Mailbox(name) | Subject::Agent(name) => name.clone(),
        Subject::Pair { mailbox, agent } => format!("{agent} in {mailbox}"),
    };
    let head = format!("{}  {}", finding.severity.name(), finding.cause.name());
    let mut lines = vec![
        format!("{}  {}", screen.bold(&head), printable(&subject)),
        printable(&finding.meaning),
    ];
    let mut part = |title: &str, texts: Vec<String>| {
        for (at, text) in texts.into_iter().enumerate() {
            let title = if at == 0 { title } else { "" };
            lines.push(format!("{title:<9}{}", printable(&text)));
        }
    };
    part("seen", finding.clues.iter().map(seen).collect());
    part("command", finding.remedy.commands.clone());
    let advice = &finding.remedy.advice;
    part(
        "note",
        (!advice.is_empty())
            .then(|| advice.clone())
            .into_iter()
            .collect(),
    );
    part("page", vec![finding.remedy.page.url().to_owned()]);
    lines.join("\n  ")
}

/// Names come from records, and this may be a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn seen(clue: &Clue) -> String {
    let place = match &clue.source {
        Source::Settings { captured_at } => format!("settings of {captured_at}"),
        Source::Feed {
            time,
            actor,
            operation,
            record_id,
        } => format!("{time} {operation} by {actor} (record {record_id})"),
        Source::Register => "register".to_owned(),
        Source::Evidence => "evidence".to_owned(),
        Source::Consent => "consent".to_owned(),
        Source::Collector => "collector".to_owned(),
    };
    format!("{place}: {}", clue.says)
}

fn summary(findings: &[Finding], read: &Setup) -> String {
    let of = |severity: Severity| {
        let of = findings
            .iter()
            .filter(|finding| finding.severity == severity);
        of.count() as u64
    };
    let mut parts = Vec::new();
    for (severity, word) in [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Info, "remark"),
    ] {
        if of(severity) > 0 {
            parts.push(show::plural(of(severity), word));
        }
    }
    if of(Severity::Unknown) > 0 {
        parts.push(format!(
            "{} cannot be told",
            show::count(of(Severity::Unknown))
        ));
    }
    if parts.is_empty() {
        let is_told = !read.settings.is_empty() || !read.changes.is_empty();
        let nothing = if is_told {
            "nothing wrong"
        } else {
            "nothing that tells of the set-up"
        };
        parts.push(nothing.to_owned());
    }
    format!(
        "{}. Read: {}, {} of administrators, {}.",
        parts.join(", "),
        show::plural(read.settings.len() as u64, "setting"),
        show::plural(read.changes.len() as u64, "change"),
        show::plural(read.other_records, "other audit record"),
    )
}
