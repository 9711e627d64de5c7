//! `sentby summary`

use super::{
    Outcome,
    client::{Api, Need, Target, again, request},
    show,
    table::{Screen, Table, Tone},
    tenant, time,
};
use crate::{
    config::Config,
    domain::{TenantId, Timestamp},
    pb::{AgentSummary, BasisCounts, Bucket, SummarizeAgentsRequest, VerdictCounts},
};
use serde::Serialize;
use std::io::{self, Write as _};

/// How many messages did each agent send?
///
/// For each mailbox, agent and day (or hour, week, or all of the period), by the clock of a time
/// zone. The first and the last bucket hold no more than the period does.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Summary {
    /// The tenant whose messages they are
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Sent then or later: 2026-03-01 or 2026-03-01T00:00:00+01:00. Left out: from the first one
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Sent earlier than that. Left out: up to the last one
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// HOUR, DAY, WEEK (from Monday) or TOTAL, the whole period
    #[arg(long, value_name = "BUCKET", value_parser = bucket, default_value = "TOTAL")]
    bucket: Bucket,
    /// Whose midnight it is, such as Europe/Berlin. Left out: UTC, in which --from and --to are
    /// read in any case
    #[arg(long, value_name = "NAME")]
    time_zone: Option<String>,
    /// Sent from this mailbox only
    #[arg(long, value_name = "ADDRESS")]
    mailbox: Option<String>,
    /// Sent by this agent only
    #[arg(long, value_name = "ADDRESS")]
    agent: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// CSV with a header
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby summary --tenant GUID
  sentby summary --tenant GUID --from 2026-03-01 --to 2026-04-01 --bucket DAY
  sentby summary --tenant GUID --from 2026-03-01T00:00:00+01:00 --to 2026-04-01T00:00:00+02:00 \\
    --bucket WEEK --time-zone Europe/Berlin --csv > march.csv
  sentby summary --tenant GUID --bucket HOUR --agent anna@contoso.com --json | jq .messages
  sentby summary --tenant GUID --server http://127.0.0.1:50051 --mailbox support@contoso.com

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"start\": \"2026-03-01T00:00:00Z\",
      \"end\": \"2026-04-01T00:00:00Z\", \"bucket\": \"BUCKET_DAY\", \"time_zone\": \"Europe/Berlin\"}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/SummarizeAgents

Exit code: 0 if all were told, 1 if not: what was printed is right, and not all.";

impl Summary {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        if self.csv {
            writeln!(io::stdout(), "{}", csv_header())?;
        }
        let mut asked = self.request();
        let screen = Screen::stdout();
        // columns are as wide as all rows need
        let mut told = Vec::new();
        loop {
            let (rows, next) = page(&api, &asked).await?;
            let lines: Vec<Line> = rows.iter().map(Line::of).collect();
            if self.csv || self.json {
                self.print(&lines)?;
            } else {
                let cells = lines.iter().map(|line| (line.messages, line.cells()));
                told.extend(cells);
            }
            asked.page_token = next;
            if asked.page_token.is_empty() {
                break;
            }
        }
        if !self.csv && !self.json {
            let table = table(told, screen.is_terminal());
            writeln!(io::stdout(), "{}", table.render(screen))?;
        }
        Ok(Outcome::Done)
    }

    fn request(&self) -> SummarizeAgentsRequest {
        let last = Timestamp::from_micros(Timestamp::LATEST.micros() - 1);
        SummarizeAgentsRequest {
            tenant_id: self.tenant.to_string(),
            start: Some(show::moment(self.from.unwrap_or(Timestamp::EARLIEST))),
            end: Some(show::moment(self.to.unwrap_or(last))),
            bucket: self.bucket.into(),
            time_zone: self.time_zone.clone().unwrap_or_default(),
            mailbox: self.mailbox.clone().unwrap_or_default(),
            agent: self.agent.clone().unwrap_or_default(),
            ..Default::default()
        }
    }

    fn print(&self, lines: &[Line<'_>]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for line in lines {
            if self.json {
                writeln!(out, "{}", serde_json::to_string(line)?)?;
            } else {
                writeln!(out, "{}", line.csv())?;
            }
        }
        Ok(out.flush()?)
    }
}

async fn page(
    api: &Api,
    asked: &SummarizeAgentsRequest,
) -> anyhow::Result<(Vec<AgentSummary>, String)> {
    let ask = async || {
        let asked = request(asked.clone());
        api.attributions().summarize_agents(asked).await
    };
    let page = again(ask).await?;
    Ok((page.rows, page.next_page_token))
}

fn bucket(text: &str) -> Result<Bucket, String> {
    show::parse(text, "bucket")
}

/// One line of `summary --json`. The names and their order are what scripts rely on; the header
/// of the CSV has the same.
#[derive(Serialize)]
struct Line<'a> {
    bucket_start: String,
    bucket_end: String,
    mailbox: Option<&'a str>,
    agent: Option<&'a str>,
    messages: u64,
    attributed: u64,
    conflict: u64,
    not_a_person: u64,
    unresolved: u64,
    erased: u64,
    mailbox_send_as: u64,
    agent_send_as: u64,
    mailbox_send_on_behalf: u64,
    agent_send_on_behalf: u64,
    send: u64,
    confirmed: u64,
    contradicted: u64,
    without_message_id: u64,
    first_sent_at: String,
    last_sent_at: String,
}

const NUMBERS: [&str; 14] = [
    "messages",
    "attributed",
    "conflict",
    "not_a_person",
    "unresolved",
    "erased",
    "mailbox_send_as",
    "agent_send_as",
    "mailbox_send_on_behalf",
    "agent_send_on_behalf",
    "send",
    "confirmed",
    "contradicted",
    "without_message_id",
];

fn csv_header() -> String {
    let numbers = NUMBERS.join(",");
    format!("bucket_start,bucket_end,mailbox,agent,{numbers},first_sent_at,last_sent_at")
}

type Cells = [(String, Tone); 10];

/// `bars`: for people, who see more in them than in numbers; what goes into a pipe has none.
fn table(rows: Vec<(u64, Cells)>, bars: bool) -> Table {
    let header = [
        "FROM",
        "MAILBOX",
        "AGENT",
        "MESSAGES",
        "CONFIRMED",
        "CONTRADICTED",
        "CONFLICT",
        "NO PERSON",
        "UNRESOLVED",
        "WITHOUT ID",
        "",
    ];
    let columns = if bars { header.len() } else { header.len() - 1 };
    let mut table = Table::new(&header[..columns], 2, 16);
    let most = rows
        .iter()
        .map(|(messages, _)| *messages)
        .max()
        .unwrap_or(0);
    for (messages, cells) in rows {
        let bar = bars.then(|| (bar(messages, most), Tone::Plain));
        table.row(cells.into_iter().chain(bar));
    }
    table
}

/// In eighths of a character; what is not nothing shows.
fn bar(number: u64, most: u64) -> String {
    const LONGEST: u128 = 12;
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(number) * LONGEST * 8;
    let eighths = usize::try_from(eighths.div_ceil(u128::from(most.max(1)))).unwrap_or(0);
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

impl<'a> Line<'a> {
    fn of(row: &'a AgentSummary) -> Self {
        let text = |text: &'a String| (!text.is_empty()).then_some(text.as_str());
        let time = |time: &Option<_>| show::time(time.as_ref()).unwrap_or_default();
        let VerdictCounts {
            attributed,
            conflict,
            not_a_person,
            unresolved,
            erased,
        } = row.verdicts.unwrap_or_default();
        let BasisCounts {
            mailbox_send_as,
            agent_send_as,
            mailbox_send_on_behalf,
            agent_send_on_behalf,
            send,
        } = row.bases.unwrap_or_default();
        Self {
            bucket_start: time(&row.bucket_start),
            bucket_end: time(&row.bucket_end),
            mailbox: text(&row.mailbox),
            agent: text(&row.agent),
            messages: row.messages,
            attributed,
            conflict,
            not_a_person,
            unresolved,
            erased,
            mailbox_send_as,
            agent_send_as,
            mailbox_send_on_behalf,
            agent_send_on_behalf,
            send,
            confirmed: row.confirmed,
            contradicted: row.contradicted,
            without_message_id: row.without_message_id,
            first_sent_at: time(&row.first_sent_at),
            last_sent_at: time(&row.last_sent_at),
        }
    }

    /// In the order of [`NUMBERS`].
    fn numbers(&self) -> [u64; NUMBERS.len()] {
        [
            self.messages,
            self.attributed,
            self.conflict,
            self.not_a_person,
            self.unresolved,
            self.erased,
            self.mailbox_send_as,
            self.agent_send_as,
            self.mailbox_send_on_behalf,
            self.agent_send_on_behalf,
            self.send,
            self.confirmed,
            self.contradicted,
            self.without_message_id,
        ]
    }

    fn csv(&self) -> String {
        let numbers = self.numbers().map(|number| number.to_string()).join(",");
        format!(
            "{},{},{},{},{numbers},{},{}",
            self.bucket_start,
            self.bucket_end,
            show::quoted(self.mailbox.unwrap_or_default()),
            show::quoted(self.agent.unwrap_or_default()),
            self.first_sent_at,
            self.last_sent_at
        )
    }

    fn cells(&self) -> Cells {
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        // what is not there is no news
        let number = |number: u64, tone| match number {
            0 => (String::new(), Tone::Plain),
            number => (show::count(number), tone),
        };
        [
            plain(&self.bucket_start),
            plain(self.mailbox.unwrap_or_default()),
            plain(self.agent.unwrap_or_default()),
            number(self.messages, Tone::Plain),
            number(self.confirmed, Tone::Good),
            number(self.contradicted, Tone::Attention),
            number(self.conflict, Tone::Attention),
            number(self.not_a_person, Tone::Plain),
            number(self.unresolved, Tone::Attention),
            number(self.without_message_id, Tone::Faint),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_csv_have_the_same_fields_in_the_same_order() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let row = AgentSummary {
            bucket_start: time(1_772_406_000),
            bucket_end: time(1_772_492_400),
            mailbox: "support@contoso.com".into(),
            agent: "o\"neil,@contoso.com".into(),
            messages: 1,
            verdicts: Some(VerdictCounts {
                attributed: 2,
                conflict: 3,
                not_a_person: 4,
                unresolved: 5,
                erased: 6,
            }),
            bases: Some(BasisCounts {
                mailbox_send_as: 7,
                agent_send_as: 8,
                mailbox_send_on_behalf: 9,
                agent_send_on_behalf: 10,
                send: 11,
            }),
            confirmed: 12,
            contradicted: 13,
            without_message_id: 14,
            first_sent_at: time(1_772_442_845),
            last_sent_at: time(1_772_442_846),
            ..Default::default()
        };
        let line = Line::of(&row);
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"bucket_start":"2026-03-01T23:00:00Z","bucket_end":"2026-03-02T23:00:00Z","mailbox":"support@contoso.com","agent":"o\"neil,@contoso.com","messages":1,"attributed":2,"conflict":3,"not_a_person":4,"unresolved":5,"erased":6,"mailbox_send_as":7,"agent_send_as":8,"mailbox_send_on_behalf":9,"agent_send_on_behalf":10,"send":11,"confirmed":12,"contradicted":13,"without_message_id":14,"first_sent_at":"2026-03-02T09:14:05Z","last_sent_at":"2026-03-02T09:14:06Z"}"#
        );
        assert_eq!(
            line.csv(),
            "2026-03-01T23:00:00Z,2026-03-02T23:00:00Z,support@contoso.com,\"o\"\"neil,@contoso.com\",\
             1,2,3,4,5,6,7,8,9,10,11,12,13,14,2026-03-02T09:14:05Z,2026-03-02T09:14:06Z"
        );
        let mut at = 0;
        let json = serde_json::to_string(&line).unwrap();
        for name in csv_header().split(',') {
            at += json[at..].find(&format!("\"{name}\":")).expect(name);
        }
        assert_eq!(csv_header().split(',').count(), 20);
        assert_eq!(Line::of(&AgentSummary::default()).cells()[3].0, "");
    }

    #[test]
    fn a_bar_is_as_long_as_its_number() {
        assert_eq!(bar(12, 12), "████████████");
        assert_eq!(bar(6, 12), "██████");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(0, 12), "");
        assert_eq!(bar(u64::MAX, u64::MAX), "████████████");
        let cells = || Line::of(&AgentSummary::default()).cells();
        let screen = Screen::stdout();
        let rendered = |bars| table(vec![(5, cells()), (10, cells())], bars).render(screen);
        assert!(rendered(true).contains('█') && !rendered(false).contains('█'));
    }
}
