//! `sentby quarantine`

use super::{
    Outcome,
    client::{Api, Need, Target, answer, request},
    show,
    table::{Screen, Table, Tone},
    tenant,
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::{
        ListQuarantinedRecordsRequest, QuarantineReason, QuarantinedRecord,
        RetryQuarantinedRecordsRequest, RetryQuarantinedRecordsResponse,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::io::{self, Write as _};

/// Records that could not be taken in.
///
/// There is one copy of each, for 30 days; of another tenant's there is none. `list` shows
/// them, `retry` reads them again: after an upgrade of sentby that reads more.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Quarantine {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(List),
    Retry(Retry),
}

/// Shows what is in quarantine, from new to old
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Also the records themselves, as they came. They are private
    #[arg(long)]
    content: bool,
    /// One JSON object a line: digest, reason, detail, received_at, expires_at, size; content
    /// (content_base64 of one that is no UTF-8) with --content
    #[arg(long)]
    json: bool,
}

/// Reads what is in quarantine again: what can be taken in now is, the rest stays
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Retry {
    #[command(flatten)]
    which: Which,
    /// These records only, as `list` shows them
    #[arg(value_name = "DIGEST")]
    digests: Vec<String>,
    /// One JSON object: retried, kept, repeated, ignored, still_quarantined, without_content,
    /// changed_messages, revision
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The tenant whose records they are
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Records of this reason only, such as MALFORMED
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<QuarantineReason>,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby quarantine list --tenant GUID
  sentby quarantine list --tenant GUID --reason MALFORMED --json --content | jq -r .content
  sentby quarantine retry --tenant GUID --server http://127.0.0.1:50051
  sentby quarantine retry --tenant GUID 0123456789abcdef0123456789abcdef

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\"}' \\
    127.0.0.1:50051 sentby.v1.IngestService/ListQuarantinedRecords

Exit code: 0 if it was done, also where records stay in quarantine.";

/// What one call may name.
const MAX_DIGESTS: usize = 1_000;

impl Quarantine {
    pub fn target(&self) -> &Target {
        match &self.action {
            Action::List(list) => &list.which.target,
            Action::Retry(retry) => &retry.which.target,
        }
    }

    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target().connect(&config, Need::Existing).await?;
        match self.action {
            Action::List(list) => list.run(&api).await,
            Action::Retry(retry) => retry.run(&api).await,
        }
    }
}

impl List {
    async fn run(self, api: &Api) -> anyhow::Result<Outcome> {
        let mut out = io::stdout().lock();
        let mut table = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = ListQuarantinedRecordsRequest {
                tenant_id: self.which.tenant.to_string(),
                reason: self.which.reason_number(),
                include_content: self.content,
                page_size: 1_000,
                page_token,
                at_least_revision: 0,
            };
            let page = api
                .ingest()
                .list_quarantined_records(request(message))
                .await;
            let page = answer(page)?;
            for record in page.records {
                if self.json {
                    writeln!(
                        out,
                        "{}",
                        serde_json::to_string(&Line::of(&record, self.content))?
                    )?;
                } else if self.content {
                    writeln!(out, "{}\n", in_full(&record))?;
                } else {
                    table.push(record);
                }
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        if !table.is_empty() {
            writeln!(out, "{}", as_table(&table).render(Screen::stdout()))?;
        } else if !self.json && !self.content {
            eprintln!("nothing is in quarantine");
        }
        out.flush()?;
        Ok(Outcome::Done)
    }
}

impl Retry {
    async fn run(self, api: &Api) -> anyhow::Result<Outcome> {
        let mut sum = RetryQuarantinedRecordsResponse::default();
        let all = [Vec::new()];
        let named: Vec<_> = self
            .digests
            .chunks(MAX_DIGESTS)
            .map(<[String]>::to_vec)
            .collect();
        let calls = if named.is_empty() { &all[..] } else { &named };
        for digests in calls {
            let message = RetryQuarantinedRecordsRequest {
                tenant_id: self.which.tenant.to_string(),
                digests: digests.clone(),
                reason: self.which.reason_number(),
            };
            let retried = api
                .ingest()
                .retry_quarantined_records(request(message))
                .await;
            add(&mut sum, answer(retried)?);
        }
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&Summary::of(&sum))?)?;
        } else {
            writeln!(out, "{}", words(&sum))?;
        }
        Ok(Outcome::Done)
    }
}

impl Which {
    fn reason_number(&self) -> i32 {
        self.reason.map_or(0, i32::from)
    }
}

fn reason(text: &str) -> Result<QuarantineReason, String> {
    show::parse(text, "reason")
}

fn as_table(records: &[QuarantinedRecord]) -> Table {
    let header = ["DIGEST", "REASON", "RECEIVED AT", "SIZE", "DETAIL"];
    let mut table = Table::new(&header, 4, 24);
    for record in records {
        table.row([
            (record.digest.clone(), Tone::Plain),
            (
                show::cell::<QuarantineReason>(record.reason),
                Tone::Attention,
            ),
            (show::seconds(record.received_at.as_ref()), Tone::Plain),
            match record.size {
                Some(size) => (show::count(size), Tone::Plain),
                None => ("no copy".into(), Tone::Faint),
            },
            (printable(&record.detail), Tone::Plain),
        ]);
    }
    table
}

/// One record with its content.
fn in_full(record: &QuarantinedRecord) -> String {
    let reason = show::cell::<QuarantineReason>(record.reason);
    let mut text = format!("{} {reason}: {}", record.digest, printable(&record.detail));
    let content = printable(&String::from_utf8_lossy(&record.content));
    match record.size {
        None => text.push_str("\n(no copy)"),
        Some(size) => {
            text.push('\n');
            text.push_str(&content);
            let missing = size.saturating_sub(record.content.len() as u64);
            if missing > 0 {
                text.push_str(&format!("\n… and {} more", show::plural(missing, "byte")));
            }
        }
    }
    text
}

/// What somebody else wrote must not steer the terminal.
fn printable(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        '\n' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    shown.collect()
}

fn add(sum: &mut RetryQuarantinedRecordsResponse, one: RetryQuarantinedRecordsResponse) {
    sum.retried += one.retried;
    sum.kept += one.kept;
    sum.repeated += one.repeated;
    sum.ignored += one.ignored;
    sum.still_quarantined += one.still_quarantined;
    sum.without_content += one.without_content;
    sum.changed_messages += one.changed_messages;
    sum.revision = sum.revision.max(one.revision);
}

fn words(done: &RetryQuarantinedRecordsResponse) -> String {
    let numbers = [
        ("retried", done.retried),
        ("  kept", done.kept),
        ("  repeated", done.repeated),
        ("  ignored", done.ignored),
        ("  still quarantined", done.still_quarantined),
    ];
    let most = numbers.iter().map(|(_, number)| *number).max();
    let width = show::count(most.unwrap_or(0)).len();
    let mut lines: Vec<String> = numbers
        .iter()
        .map(|(what, number)| format!("{what:<19}  {:>width$}", show::count(*number)))
        .collect();
    lines.push(show::changed(done.changed_messages, done.revision));
    if done.without_content > 0 {
        let records = show::plural(done.without_content, "record");
        lines.push(format!(
            "{records} not retried: there is no whole copy. Send them again"
        ));
    }
    lines.join("\n")
}

/// One line of `list --json`. The names and their order are what scripts rely on.
#[derive(Serialize)]
struct Line<'a> {
    digest: &'a str,
    reason: Option<show::Name>,
    detail: &'a str,
    received_at: Option<String>,
    expires_at: Option<String>,
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_base64: Option<String>,
}

impl<'a> Line<'a> {
    fn of(record: &'a QuarantinedRecord, with_content: bool) -> Self {
        let content = Some(&record.content).filter(|_| with_content && record.size.is_some());
        let text = content.map(|content| std::str::from_utf8(content).map_err(|_| content));
        Self {
            digest: &record.digest,
            reason: show::name::<QuarantineReason>(record.reason),
            detail: &record.detail,
            received_at: show::time(record.received_at.as_ref()),
            expires_at: show::time(record.expires_at.as_ref()),
            size: record.size,
            content: text.and_then(Result::ok),
            content_base64: text
                .and_then(Result::err)
                .map(|bytes| STANDARD.encode(bytes)),
        }
    }
}

/// `retry --json`.
#[derive(Serialize)]
struct Summary {
    retried: u64,
    kept: u64,
    repeated: u64,
    ignored: u64,
    still_quarantined: u64,
    without_content: u64,
    changed_messages: u64,
    revision: u64,
}

impl Summary {
    fn of(done: &RetryQuarantinedRecordsResponse) -> Self {
        Self {
            retried: done.retried,
            kept: done.kept,
            repeated: done.repeated,
            ignored: done.ignored,
            still_quarantined: done.still_quarantined,
            without_content: done.without_content,
            changed_messages: done.changed_messages,
            revision: done.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: &[u8]) -> QuarantinedRecord {
        QuarantinedRecord {
            digest: "00ff".into(),
            reason: QuarantineReason::Malformed.into(),
            detail: "cut off".into(),
            size: Some(content.len() as u64),
            content: content.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn the_json_of_a_record_has_a_fixed_shape() {
        let line = |record: &QuarantinedRecord, with_content| {
            serde_json::to_string(&Line::of(record, with_content)).unwrap()
        };
        let known = r#"{"digest":"00ff","reason":"MALFORMED","detail":"cut off","received_at":null,"expires_at":null,"size":1"#;
        assert_eq!(line(&record(b"{"), false), format!("{known}}}"));
        assert_eq!(
            line(&record(b"{"), true),
            format!(r#"{known},"content":"{{"}}"#)
        );
        assert_eq!(
            line(&record(b"\xff"), true),
            format!(r#"{known},"content_base64":"/w=="}}"#)
        );
        let foreign = QuarantinedRecord {
            size: None,
            ..record(b"")
        };
        assert!(line(&foreign, true).ends_with(r#""size":null}"#));
    }

    #[test]
    fn a_record_does_not_steer_the_terminal() {
        let text = in_full(&record(b"{\"a\": \"\x1b[2J\"\n"));
        assert_eq!(text, "00ff MALFORMED: cut off\n{\"a\": \"\u{fffd}[2J\"\n");
        let cut = QuarantinedRecord {
            size: Some(5_001),
            ..record(b"{")
        };
        assert!(
            in_full(&cut).ends_with("{\n… and 5,000 bytes more"),
            "{}",
            in_full(&cut)
        );
    }

    #[test]
    fn a_reason_is_named_in_any_case() {
        assert_eq!(reason("malformed"), Ok(QuarantineReason::Malformed));
        assert_eq!(
            reason("FOREIGN_TENANT"),
            Ok(QuarantineReason::ForeignTenant)
        );
        assert!(reason("UNSPECIFIED").unwrap_err().contains("MALFORMED, "));
    }
}
