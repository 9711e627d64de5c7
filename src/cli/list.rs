//! `sentby list`

use super::{
    Outcome,
    client::{Api, BackOff, Need, Target},
    lookup, show,
    status::Refused,
    tenant, time,
};
use crate::{
    config::Config,
    domain::{TenantId, Timestamp},
    pb::{Attribution, Basis, StreamAttributionsRequest, StreamAttributionsResponse, Verdict},
};
use std::{
    borrow::Cow,
    io::{self, Write as _},
};
use tonic::{Status, Streaming};

/// Who sent what, in a period?
///
/// Every message of it, in the order in which they were sent: a stream, so it may be of any
/// length. If the connection breaks, it goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// The tenant whose messages they are
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Sent then or later: 2026-03-01 or 2026-03-01T09:00:00Z. Left out: from the first one
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Sent earlier than that. Left out: up to the last one
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Sent from this mailbox only
    #[arg(long, value_name = "ADDRESS")]
    mailbox: Option<String>,
    /// Sent by this agent only
    #[arg(long, value_name = "ADDRESS")]
    agent: Option<String>,
    /// With this verdict only, such as CONFLICT
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    verdict: Option<Verdict>,
    /// One JSON object a line, as `lookup --json` has it
    #[arg(long)]
    json: bool,
    /// CSV with a header; candidates separated by spaces
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby list --tenant GUID --from 2026-03-01 --to 2026-04-01
  sentby list --tenant GUID --from 2026-03-01 --csv > march.csv
  sentby list --tenant GUID --verdict CONFLICT --json | jq -r '.candidates[]' | sort | uniq -c
  sentby list --tenant GUID --server http://127.0.0.1:50051 --agent anna@contoso.com

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\", \"start\": \"2026-03-01T00:00:00Z\",
      \"end\": \"2026-04-01T00:00:00Z\"}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/StreamAttributions

Exit code: 0 if all were told, 1 if not: what was printed is right, and not all.";

const CSV_HEADER: &str =
    "message_id,verdict,agent,mailbox,basis,confirmed,contradicted,sent_at,revision,candidates";

impl List {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        if self.csv {
            writeln!(io::stdout(), "{CSV_HEADER}")?;
        }
        let mut request = self.request();
        let mut back_off = BackOff::default();
        loop {
            match self.stream(&api, &mut request, &mut back_off).await {
                Ok(()) => return Ok(Outcome::Done),
                Err(error) => match error.downcast::<Refused>() {
                    Ok(broken) if back_off.wait_after(&broken).await => {
                        tracing::info!(%broken, "going on behind the last message");
                    }
                    Ok(refused) => return Err(refused.into()),
                    Err(other) => return Err(other),
                },
            }
        }
    }

    fn request(&self) -> StreamAttributionsRequest {
        let last = Timestamp::from_micros(Timestamp::LATEST.micros() - 1);
        StreamAttributionsRequest {
            tenant_id: self.tenant.to_string(),
            start: Some(show::moment(self.from.unwrap_or(Timestamp::EARLIEST))),
            end: Some(show::moment(self.to.unwrap_or(last))),
            mailbox: self.mailbox.clone().unwrap_or_default(),
            agent: self.agent.clone().unwrap_or_default(),
            verdict: self.verdict.map_or(0, Into::into),
            ..Default::default()
        }
    }

    /// Prints up to the end of the walk. An error leaves in `request` where to go on.
    async fn stream(
        &self,
        api: &Api,
        request: &mut StreamAttributionsRequest,
        back_off: &mut BackOff,
    ) -> anyhow::Result<()> {
        let opened = api
            .attributions()
            .stream_attributions(request.clone())
            .await;
        let mut chunks = opened.map_err(Refused)?.into_inner();
        loop {
            let chunk = next(&mut chunks).await?;
            self.print(&chunk.attributions)?;
            back_off.reset();
            request.resume_token = chunk.resume_token;
            if request.resume_token.is_empty() {
                return Ok(());
            }
        }
    }

    fn print(&self, attributions: &[Attribution]) -> anyhow::Result<()> {
        if !self.csv {
            return lookup::print(attributions, self.json);
        }
        let mut lines = String::new();
        for attribution in attributions {
            lines += &csv(attribution);
        }
        let mut out = io::stdout().lock();
        out.write_all(lines.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// There is always a next chunk behind one with a token.
async fn next(
    chunks: &mut Streaming<StreamAttributionsResponse>,
) -> Result<StreamAttributionsResponse, Refused> {
    let chunk = chunks.message().await.map_err(Refused)?;
    chunk.ok_or_else(|| Refused(Status::unavailable("the server ended the stream")))
}

fn verdict(text: &str) -> Result<Verdict, String> {
    show::parse(text, "verdict")
}

fn csv(one: &Attribution) -> String {
    let fields: [Cow<'_, str>; 10] = [
        quoted(&one.message_id),
        show::cell::<Verdict>(one.verdict).into(),
        quoted(&one.agent),
        quoted(&one.mailbox),
        show::cell::<Basis>(one.basis).into(),
        one.confirmed.to_string().into(),
        one.contradicted.to_string().into(),
        show::time(one.sent_at.as_ref()).unwrap_or_default().into(),
        one.revision.to_string().into(),
        one.candidates.join(" ").into(),
    ];
    fields.join(",") + "\n"
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_csv_has_the_fields_of_its_header() {
        let one = Attribution {
            message_id: "a\",b@c".into(),
            verdict: Verdict::Conflict.into(),
            basis: Basis::MailboxSendAs.into(),
            mailbox: "support@contoso.com".into(),
            sent_at: Some(prost_types::Timestamp {
                seconds: 1_772_442_845,
                nanos: 0,
            }),
            candidates: vec!["a@b.c".into(), "d@e.f".into()],
            revision: 7,
            ..Default::default()
        };
        assert_eq!(
            csv(&one),
            "\"a\"\",b@c\",CONFLICT,,support@contoso.com,MAILBOX_SEND_AS,false,false,\
             2026-03-02T09:14:05Z,7,a@b.c d@e.f\n"
        );
        assert_eq!(CSV_HEADER.split(',').count(), 10);
    }

    #[test]
    fn a_verdict_is_named_in_any_case() {
        assert_eq!(verdict("conflict"), Ok(Verdict::Conflict));
        assert!(verdict("maybe").unwrap_err().contains("NOT_A_PERSON, "));
    }
}
