//! Findings as people read them, and as scripts do; whoever has judged them.

use super::super::{
    show::{self, Name},
    table::Screen,
};
use crate::pb::{Finding, FindingCause, FindingClue, FindingSeverity, FindingSource};
use serde::Serialize;

/// A line of `--json`. The names and their order are what scripts rely on.
#[derive(Serialize)]
pub(in crate::cli) struct FindingLine<'a> {
    cause: Option<Name>,
    severity: Option<Name>,
    mailbox: Option<&'a str>,
    agent: Option<&'a str>,
    meaning: &'a str,
    evidence: Vec<ClueLine<'a>>,
    commands: &'a [String],
    advice: &'a str,
    page: &'a str,
}

#[derive(Serialize)]
struct ClueLine<'a> {
    source: Option<Name>,
    says: &'a str,
    time: Option<String>,
    actor: Option<&'a str>,
    operation: Option<&'a str>,
    record_id: Option<&'a str>,
}

pub(in crate::cli) fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let lines: Result<Vec<String>, _> = findings
        .iter()
        .map(|finding| serde_json::to_string(&FindingLine::of(finding)))
        .collect();
    Ok(lines?.join("\n"))
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> FindingLine<'a> {
    pub(in crate::cli) fn of(finding: &'a Finding) -> Self {
        Self {
            cause: show::name::<FindingCause>(finding.cause),
            severity: show::name::<FindingSeverity>(finding.severity),
            mailbox: text(&finding.mailbox),
            agent: text(&finding.agent),
            meaning: &finding.meaning,
            evidence: finding.clues.iter().map(ClueLine::of).collect(),
            commands: &finding.commands,
            advice: &finding.advice,
            page: &finding.page_url,
        }
    }
}

impl<'a> ClueLine<'a> {
    fn of(clue: &'a FindingClue) -> Self {
        Self {
            source: show::name::<FindingSource>(clue.source),
            says: &clue.says,
            time: show::time(clue.time.as_ref()),
            actor: text(&clue.actor),
            operation: text(&clue.operation),
            record_id: text(&clue.record_id),
        }
    }
}

/// The findings, how many there are, and `read`: what they are of.
pub(in crate::cli) fn words(findings: &[Finding], is_told: bool, read: &str) -> String {
    let mut blocks = blocks(findings, Screen::stdout());
    blocks.push(format!("{}. {read}", summary(findings, is_told)));
    blocks.join("\n\n")
}

/// What is wrong, and then what cannot be told.
pub(in crate::cli) fn blocks(findings: &[Finding], screen: Screen) -> Vec<String> {
    let is_open = |finding: &&Finding| finding.severity() == FindingSeverity::Unknown;
    let found = findings.iter().filter(|finding| !is_open(finding));
    let mut blocks: Vec<String> = found.map(|finding| block(finding, screen)).collect();
    let mut open = findings.iter().filter(is_open).peekable();
    if open.peek().is_some() {
        blocks.push(screen.bold("What cannot be told, and the commands that tell:"));
        blocks.extend(open.map(|finding| block(finding, screen)));
    }
    blocks
}

fn block(finding: &Finding, screen: Screen) -> String {
    let subject = match (text(&finding.mailbox), text(&finding.agent)) {
        (None, None) => "the organisation".to_owned(),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (Some(mailbox), Some(agent)) => format!("{agent} in {mailbox}"),
    };
    let head = format!(
        "{}  {}",
        show::cell::<FindingSeverity>(finding.severity),
        show::cell::<FindingCause>(finding.cause)
    );
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
    part("command", finding.commands.clone());
    let advice = text(&finding.advice).map(ToOwned::to_owned);
    part("note", advice.into_iter().collect());
    part("page", vec![finding.page_url.clone()]);
    lines.join("\n  ")
}

/// Names come from records, and this may be a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// One thing that was seen, and where.
pub(in crate::cli) fn seen(clue: &FindingClue) -> String {
    let time = show::time(clue.time.as_ref()).unwrap_or_default();
    let place = match clue.source() {
        FindingSource::Settings => format!("settings of {time}"),
        FindingSource::Feed => format!(
            "{time} {} by {} (record {})",
            clue.operation, clue.actor, clue.record_id
        ),
        _ => show::cell::<FindingSource>(clue.source).to_lowercase(),
    };
    format!("{place}: {}", clue.says)
}

/// `is_told`: there was something that tells of the set-up.
fn summary(findings: &[Finding], is_told: bool) -> String {
    let of = |severity: FindingSeverity| {
        let of = findings
            .iter()
            .filter(|finding| finding.severity() == severity);
        of.count() as u64
    };
    let mut parts = Vec::new();
    for (severity, word) in [
        (FindingSeverity::Error, "error"),
        (FindingSeverity::Warning, "warning"),
        (FindingSeverity::Info, "remark"),
    ] {
        if of(severity) > 0 {
            parts.push(show::plural(of(severity), word));
        }
    }
    let open = of(FindingSeverity::Unknown);
    if open > 0 {
        parts.push(format!("{} cannot be told", show::count(open)));
    }
    if parts.is_empty() {
        let nothing = if is_told {
            "nothing wrong"
        } else {
            "nothing that tells of the set-up"
        };
        parts.push(nothing.to_owned());
    }
    parts.join(", ")
}
