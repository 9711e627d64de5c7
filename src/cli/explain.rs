//! `sentby explain`

use super::{
    Outcome,
    client::{Need, Target, answer, request},
    findings::report::{self, FindingLine},
    lookup,
    show::{self, Answer, EvidenceLine, Explanation},
    table::{Screen, Table, Tone},
    tenant,
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::{
        ActorKind, Attribution, Evidence, ExplainAttributionRequest, ExplainAttributionResponse,
        Operation, Side, explain_attribution_request::Message,
    },
};
use std::io::{self, Write as _};

/// Why is that the answer for this message?
///
/// Shows the answer, how it follows from the audit records, those records, and what is wrong
/// with the audit set-up that wrote them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// The tenant whose message it is
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// `Message-ID` of the mail's header, with or without `<>` (in quotes)
    #[arg(value_name = "MESSAGE_ID")]
    id: String,
    /// One JSON object: the fields of `lookup --json`, reasoning, evidence, truncated, findings
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby explain --tenant GUID '<AM0PR04MB4196…@AM0PR04MB4196.eurprd04.prod.outlook.com>'
  sentby explain --tenant GUID --server http://127.0.0.1:50051 --json a@contoso.com | jq .

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"message_id\": \"a@contoso.com\"}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/ExplainAttribution

Exit code: 1 if nothing is stored about the message.";

impl Explain {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let message = ExplainAttributionRequest {
            tenant_id: self.tenant.to_string(),
            message: Some(Message::MessageId(self.id)),
            at_least_revision: 0,
        };
        let result = api
            .attributions()
            .explain_attribution(request(message))
            .await;
        let explained = answer(result)?;
        let attribution = explained.attribution.clone().unwrap_or_default();
        let text = if self.json {
            json(&explained, &attribution)?
        } else {
            words(&explained, &attribution)
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(Outcome::Done)
    }
}

fn json(
    explained: &ExplainAttributionResponse,
    attribution: &Attribution,
) -> serde_json::Result<String> {
    serde_json::to_string(&Explanation {
        answer: Answer::of(attribution),
        reasoning: &explained.reasoning,
        evidence: explained.evidence.iter().map(EvidenceLine::of).collect(),
        truncated: explained.truncated,
        findings: explained.findings.iter().map(FindingLine::of).collect(),
    })
}

fn words(explained: &ExplainAttributionResponse, attribution: &Attribution) -> String {
    let screen = Screen::stdout();
    let (verdict, _) = lookup::verdict(attribution);
    let (confirmed, _) = lookup::confirmed(attribution);
    let facts = [
        ("message", attribution.message_id.clone()),
        ("verdict", verdict),
        ("agent", lookup::who(attribution)),
        ("mailbox", attribution.mailbox.clone()),
        ("confirmed", confirmed),
        (
            "sent at",
            show::time(attribution.sent_at.as_ref()).unwrap_or_default(),
        ),
        ("revision", attribution.revision.to_string()),
    ];
    let mut lines: Vec<String> = facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(fact, value)| format!("{fact:<11}{value}"))
        .collect();
    lines.push(format!("\n{}", screen.bold("Why")));
    lines.extend(explained.reasoning.iter().map(|why| format!("  {why}")));
    lines.push(format!("\n{}", screen.bold("Evidence")));
    lines.push(evidence(&explained.evidence).render(screen));
    if !explained.findings.is_empty() {
        let title = screen.bold("What is wrong with the audit set-up here");
        lines.push(format!("\n{title}"));
        lines.push(report::blocks(&explained.findings, screen).join("\n\n"));
    }
    lines.join("\n")
}

fn evidence(evidence: &[Evidence]) -> Table {
    let header = [
        "TIME",
        "OPERATION",
        "SIDE",
        "USER ID",
        "WHO",
        "MAILBOX",
        "RECORD",
    ];
    let mut table = Table::new(&header, 3, 16);
    for one in evidence {
        let mut operation = show::cell::<Operation>(one.operation);
        if one.failed {
            operation.push_str(" (failed)");
        }
        if one.admin {
            operation.push_str(" (admin)");
        }
        let kind = show::cell::<ActorKind>(one.actor_kind);
        let who = match one.actor_kind() {
            ActorKind::Person => one.actor.clone(),
            _ => kind,
        };
        let cells = [
            show::time(one.time.as_ref()).unwrap_or_default(),
            operation,
            show::cell::<Side>(one.side),
            one.user_id.clone(),
            who,
            one.mailbox.clone(),
            one.record_id.clone(),
        ];
        table.row(cells.map(|cell| (cell, Tone::Plain)));
    }
    table
}
