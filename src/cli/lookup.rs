//! `sentby lookup`

use super::{
    Outcome,
    client::{Api, Need, Target, answer, request},
    show::{self, Answer},
    table::{Screen, Table, Tone},
    tenant, time,
};
use crate::{
    config::Config,
    domain::{TenantId, Timestamp},
    pb::{
        Attribution, Basis, LookupAttributionsRequest, MissReason, Verdict,
        lookup_attributions_request::Query,
    },
};
use anyhow::Context as _;
use std::io::{self, BufRead, Write as _};

/// Who sent these messages?
///
/// Answers for every id, in the order asked. PENDING is an answer: nothing is stored about
/// the message, and it may still come, for records arrive hours or days late. NO_EVIDENCE: none
/// is to be expected, for the time it was sent at is completely covered (see `sentby coverage`).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lookup {
    /// The tenant whose messages they are
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// `Message-ID` of the mail's header, with or without `<>` (in quotes: `<` means
    /// something to the shell). `-` reads more from standard input, one a line
    #[arg(value_name = "MESSAGE_ID", required = true)]
    ids: Vec<String>,
    /// When they were sent, if it is known: `Date` of the header. Then "nothing is stored" tells
    /// whether it may still come
    #[arg(long, value_name = "TIME", value_parser = time)]
    sent_at: Option<Timestamp>,
    /// One JSON object a line: message_id, verdict, agent, mailbox, basis, confirmed,
    /// contradicted, sent_at, revision; candidates of a CONFLICT; miss_reason of
    /// PENDING and NO_EVIDENCE
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby lookup --tenant GUID '<AM0PR04MB4196…@AM0PR04MB4196.eurprd04.prod.outlook.com>'
  sentby lookup --tenant GUID --json - < ids.txt | jq -r 'select(.confirmed) | .agent'
  sentby lookup --tenant GUID --server http://127.0.0.1:50051 a@contoso.com b@contoso.com
  sentby lookup --tenant GUID --sent-at 2026-03-02T09:14:00Z a@contoso.com

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"message_ids\": [\"a@contoso.com\"]}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/LookupAttributions

Exit code: 0 if all were answered, whatever the answers are.";

/// What one call may ask.
pub(super) const MAX_IDS: usize = 1_000;
/// Well below what a request may hold.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Longer than any message id, which RFC 5322 limits to a line of 998 characters.
const MAX_LINE: usize = 64 * 1024;

impl Lookup {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let mut ids = ids(self.ids);
        while let Some(batch) = next_batch(&mut ids)? {
            let attributions = look_up(&api, self.tenant, batch, self.sent_at).await?;
            print(&attributions, self.json)?;
        }
        Ok(Outcome::Done)
    }
}

type Ids = Box<dyn Iterator<Item = anyhow::Result<String>>>;

/// Those of the command line, with the lines of standard input in the place of `-`.
fn ids(named: Vec<String>) -> Ids {
    Box::new(named.into_iter().flat_map(|id| -> Ids {
        if id == "-" {
            Box::new(lines(io::stdin().lock()))
        } else {
            Box::new(std::iter::once(Ok(id)))
        }
    }))
}

/// Lines that are not blank.
fn lines(mut input: impl BufRead) -> impl Iterator<Item = anyhow::Result<String>> {
    let mut number = 0u64;
    std::iter::from_fn(move || {
        loop {
            number += 1;
            let mut line = Vec::new();
            let mut limited = io::Read::take(&mut input, MAX_LINE as u64);
            match limited.read_until(b'\n', &mut line) {
                Err(error) => {
                    return Some(Err(error).context("cannot read standard input"));
                }
                Ok(0) => return None,
                Ok(length) if length == MAX_LINE => {
                    return Some(Err(anyhow::anyhow!(
                        "line {number} of standard input is no message id: it is longer than \
                         {MAX_LINE} bytes"
                    )));
                }
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            if !text.is_empty() {
                return Some(Ok(text));
            }
        }
    })
}

fn next_batch(ids: &mut Ids) -> anyhow::Result<Option<Vec<String>>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < MAX_IDS && bytes < MAX_BYTES {
        let Some(id) = ids.next().transpose()? else {
            break;
        };
        bytes += id.len();
        batch.push(id);
    }
    Ok((!batch.is_empty()).then_some(batch))
}

pub(super) async fn look_up(
    api: &Api,
    tenant: TenantId,
    message_ids: Vec<String>,
    sent_at: Option<Timestamp>,
) -> anyhow::Result<Vec<Attribution>> {
    let asked = message_ids.len();
    let mut message = LookupAttributionsRequest {
        tenant_id: tenant.to_string(),
        ..Default::default()
    };
    match sent_at.map(show::moment) {
        None => message.message_ids = message_ids,
        Some(sent_at) => {
            let query = |message_id| Query {
                message_id,
                sent_at: Some(sent_at),
            };
            message.queries = message_ids.into_iter().map(query).collect();
        }
    }
    let result = api
        .attributions()
        .lookup_attributions(request(message))
        .await;
    let attributions = answer(result)?.attributions;
    anyhow::ensure!(
        attributions.len() == asked,
        "{asked} message ids were asked and {} answered",
        attributions.len()
    );
    Ok(attributions)
}

/// As a table, or as JSON lines.
pub(super) fn print(attributions: &[Attribution], json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        for attribution in attributions {
            let line = serde_json::to_string(&Answer::of(attribution))?;
            writeln!(out, "{line}")?;
        }
    } else {
        writeln!(out, "{}", table(attributions).render(Screen::stdout()))?;
    }
    out.flush()?;
    Ok(())
}

fn table(attributions: &[Attribution]) -> Table {
    let header = [
        "MESSAGE ID",
        "VERDICT",
        "AGENT",
        "MAILBOX",
        "BASIS",
        "CONFIRMED",
        "SENT AT",
    ];
    let mut table = Table::new(&header, 0, 24);
    for one in attributions {
        let basis = if one.basis == 0 {
            show::cell::<MissReason>(one.miss_reason)
        } else {
            show::cell::<Basis>(one.basis)
        };
        table.row([
            (one.message_id.clone(), Tone::Plain),
            verdict(one),
            (who(one), Tone::Plain),
            (one.mailbox.clone(), Tone::Plain),
            (basis, Tone::Plain),
            confirmed(one),
            (
                show::time(one.sent_at.as_ref()).unwrap_or_default(),
                Tone::Plain,
            ),
        ]);
    }
    table
}

pub(super) fn verdict(attribution: &Attribution) -> (String, Tone) {
    let tone = match attribution.verdict() {
        Verdict::Attributed => Tone::Good,
        Verdict::Pending | Verdict::NoEvidence | Verdict::Erased => Tone::Faint,
        _ => Tone::Attention,
    };
    (show::cell::<Verdict>(attribution.verdict), tone)
}

/// The agent, or the people that a conflict leaves.
pub(super) fn who(attribution: &Attribution) -> String {
    if attribution.candidates.is_empty() {
        attribution.agent.clone()
    } else {
        attribution.candidates.join(" or ")
    }
}

pub(super) fn confirmed(attribution: &Attribution) -> (String, Tone) {
    match (attribution.verdict(), attribution.confirmed) {
        (_, true) => ("yes".into(), Tone::Good),
        _ if attribution.contradicted => ("contradicted".into(), Tone::Attention),
        (Verdict::Attributed, false) => ("no".into(), Tone::Plain),
        _ => (String::new(), Tone::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_command_line_and_from_lines() {
        let read = |text: &str| {
            let ids: Result<Vec<String>, _> = lines(text.as_bytes()).collect();
            ids.map_err(|error| error.to_string())
        };
        let expected = vec!["<a@b>".to_owned(), "c@d".to_owned()];
        assert_eq!(read("<a@b>\r\n\n  \n c@d "), Ok(expected));
        assert_eq!(read(""), Ok(vec![]));
        let error = read(&format!("a@b\n{}", "x".repeat(MAX_LINE + 5))).unwrap_err();
        assert!(error.starts_with("line 2 "), "{error}");
    }

    #[test]
    fn a_call_asks_what_it_may() {
        let named = (0..2_500).map(|n| format!("{n}@contoso.com")).collect();
        let mut all = ids(named);
        let sizes: Vec<usize> = std::iter::from_fn(|| next_batch(&mut all).unwrap())
            .map(|batch| batch.len())
            .collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
    }
}
