//! `sentby watch`

use super::{
    Outcome,
    client::{Api, BackOff, Need, Target},
    list, lookup,
    places::Places,
    show,
    status::Refused,
    tenant,
};
use crate::{
    config::Config,
    domain::TenantId,
    pb::{
        AttributionChange, ChangeKind, WatchAttributionsRequest, WatchAttributionsResponse,
        WatchPosition, WatchStart, watch_position::Start,
    },
};
use serde::Serialize;
use std::{
    io::{self, Write as _},
    path::PathBuf,
};
use tonic::Streaming;

/// What has changed, as it is committed?
///
/// Each change of a tenant once and in the order of its revisions, with the message as it is now.
/// Without --follow it ends when it has caught up. With --state it goes on where it was the
/// last time: for a job that runs now and then.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    /// The tenant to watch; several times for several
    #[arg(long, value_name = "GUID", value_parser = tenant, required = true)]
    tenant: Vec<TenantId>,
    /// Do not end: wait for what comes. Ctrl-C ends it
    #[arg(long)]
    follow: bool,
    /// Begin with what comes from now on, not with the first change
    #[arg(long)]
    from_now: bool,
    /// Begin behind this token, of one tenant
    // one of 64 begins with a hyphen
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, conflicts_with_all = ["from_now", "state"])]
    token: Option<String>,
    /// Keep the place of each tenant in this file: it is read at the start, where it is there, and
    /// written behind everything that was printed
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// JSON lines: a change has tenant_id, kind, changed_by (the revision), committed_at,
    /// message_key, answer (as `lookup --json` has it; null: listed no more). Behind the
    /// changes of each response comes a line with tenant_id, revision, caught_up, resume_token
    #[arg(long)]
    json: bool,
    /// CSV with a header: kind, changed_by, committed_at, message_key, and what `list --csv` has
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby watch --tenant GUID --server http://127.0.0.1:50051 --follow --from-now
  sentby watch --tenant GUID --state place.json --json >> changes.jsonl   # from cron
  sentby watch --tenant GUID --csv > all.csv

The same by grpcurl:
  grpcurl -plaintext -d '{\"positions\": [{\"tenant_id\": \"GUID\"}]}' \\
    127.0.0.1:50051 sentby.v1.AttributionService/WatchAttributions

Where it ends it tells the token to go on with, on standard error.

Exit code: 0 if it has caught up, or was ended by Ctrl-C; 1 if not: what was printed is right, and not all.";

const CSV_HEADER: &str = "kind,changed_by,committed_at,message_key";

impl Watch {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        if self.token.is_some() && self.tenant.len() > 1 {
            let why = "--token is of one tenant: keep those of several with --state";
            return Err(super::Usage(why.into()).into());
        }
        let mut places = Places::open(self.state.as_deref())?;
        let api = self.target.connect(&config, Need::Existing).await?;
        if self.csv {
            writeln!(io::stdout(), "{CSV_HEADER},{}", list::CSV_HEADER)?;
        }
        let watched = tokio::select! {
            watched = self.watch(&api, &mut places) => watched,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        places.tell();
        watched.map(|()| Outcome::Done)
    }

    /// Goes on where it was when the connection breaks.
    async fn watch(&self, api: &Api, places: &mut Places) -> anyhow::Result<()> {
        let mut back_off = BackOff::default();
        loop {
            match self.stream(api, places, &mut back_off).await {
                Ok(()) => return Ok(()),
                Err(error) => match error.downcast::<Refused>() {
                    Ok(broken) if back_off.wait_after(&broken).await => {
                        tracing::info!(%broken, "going on behind the last change");
                    }
                    Ok(refused) => return Err(refused.into()),
                    Err(other) => return Err(other),
                },
            }
        }
    }

    async fn stream(
        &self,
        api: &Api,
        places: &mut Places,
        back_off: &mut BackOff,
    ) -> anyhow::Result<()> {
        let request = self.request(places);
        let opened = api.attributions().watch_attributions(request).await;
        let mut watch: Streaming<WatchAttributionsResponse> = opened.map_err(Refused)?.into_inner();
        while let Some(response) = watch.message().await.map_err(Refused)? {
            self.print(&response)?;
            back_off.reset();
            places.reach(&response.tenant_id, &response.resume_token)?;
        }
        Ok(())
    }

    fn request(&self, places: &Places) -> WatchAttributionsRequest {
        let position = |tenant: &TenantId| {
            let tenant_id = tenant.to_string();
            let from = if self.from_now {
                WatchStart::Now
            } else {
                WatchStart::Beginning
            };
            let start = match places.token(&tenant_id).or(self.token.as_deref()) {
                Some(token) => Start::ResumeToken(token.to_owned()),
                None => Start::From(from.into()),
            };
            WatchPosition {
                tenant_id,
                start: Some(start),
                at_least_revision: 0,
            }
        };
        WatchAttributionsRequest {
            positions: self.tenant.iter().map(position).collect(),
            follow: self.follow,
            checkpoint_interval: None,
        }
    }

    fn print(&self, response: &WatchAttributionsResponse) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for change in &response.changes {
            let line = if self.json {
                serde_json::to_string(&ChangeLine::of(&response.tenant_id, change))?
            } else if self.csv {
                csv(change)
            } else {
                words(change)
            };
            writeln!(out, "{line}")?;
        }
        if self.json {
            let line = serde_json::to_string(&PlaceLine::of(response))?;
            writeln!(out, "{line}")?;
        }
        Ok(out.flush()?)
    }
}

#[derive(Serialize)]
struct ChangeLine<'a> {
    tenant_id: &'a str,
    kind: Option<show::Name>,
    changed_by: u64,
    committed_at: Option<String>,
    message_key: &'a str,
    answer: Option<show::Answer<'a>>,
}

impl<'a> ChangeLine<'a> {
    fn of(tenant_id: &'a str, change: &'a AttributionChange) -> Self {
        Self {
            tenant_id,
            kind: show::name::<ChangeKind>(change.kind),
            changed_by: change.revision,
            committed_at: show::time(change.committed_at.as_ref()),
            message_key: &change.message_key,
            answer: change.attribution.as_ref().map(show::Answer::of),
        }
    }
}

#[derive(Serialize)]
struct PlaceLine<'a> {
    tenant_id: &'a str,
    revision: u64,
    caught_up: bool,
    resume_token: &'a str,
}

impl<'a> PlaceLine<'a> {
    fn of(response: &'a WatchAttributionsResponse) -> Self {
        Self {
            tenant_id: &response.tenant_id,
            revision: response.revision,
            caught_up: response.caught_up,
            resume_token: &response.resume_token,
        }
    }
}

fn csv(change: &AttributionChange) -> String {
    let answer = change.attribution.as_ref().map(list::csv);
    let nothing = || ",".repeat(list::CSV_HEADER.matches(',').count());
    format!(
        "{},{},{},{},{}",
        show::cell::<ChangeKind>(change.kind),
        change.revision,
        show::time(change.committed_at.as_ref()).unwrap_or_default(),
        change.message_key,
        answer.unwrap_or_else(nothing)
    )
}

/// A line for a person. What comes next is not known, so the columns have widths of their own.
fn words(change: &AttributionChange) -> String {
    let kind = show::cell::<ChangeKind>(change.kind);
    let at = show::time(change.committed_at.as_ref()).unwrap_or_default();
    let at = at.split('.').next().unwrap_or_default();
    let Some(answer) = &change.attribution else {
        return format!("{at:19}  {kind:9}  {}", change.message_key);
    };
    let (verdict, _) = lookup::verdict(answer);
    let name = match answer.message_id.as_str() {
        "" => &answer.message_key,
        id => id,
    };
    format!(
        "{at:19}  {kind:9}  {verdict:12}  {:28}  {:28}  {name}",
        lookup::who(answer),
        answer.mailbox
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Attribution, Verdict};

    fn change(attribution: Option<Attribution>) -> AttributionChange {
        AttributionChange {
            kind: if attribution.is_some() { 1 } else { 4 },
            revision: 7,
            committed_at: Some(prost_types::Timestamp {
                seconds: 1_772_442_845,
                nanos: 120_000_000,
            }),
            message_key: "k".into(),
            attribution,
        }
    }

    #[test]
    fn a_change_in_every_form() {
        let there = change(Some(Attribution {
            message_id: "a@b".into(),
            message_key: "k".into(),
            verdict: Verdict::Attributed.into(),
            agent: "anna@contoso.com".into(),
            revision: 7,
            ..Default::default()
        }));
        let gone = change(None);
        let columns = CSV_HEADER.split(',').count() + list::CSV_HEADER.split(',').count();
        for line in [csv(&there), csv(&gone)] {
            assert_eq!(line.split(',').count(), columns, "{line}");
        }
        assert!(csv(&there).starts_with("CREATED,7,2026-03-02T09:14:05.120000Z,k,a@b,ATTRIBUTED,"));
        assert_eq!(words(&gone), "2026-03-02T09:14:05  ERASED     k");
        assert!(words(&there).ends_with("  a@b"), "{}", words(&there));
        let json = |change| serde_json::to_string(&ChangeLine::of("t", change)).unwrap();
        assert_eq!(
            json(&gone),
            r#"{"tenant_id":"t","kind":"ERASED","changed_by":7,"committed_at":"2026-03-02T09:14:05.120000Z","message_key":"k","answer":null}"#
        );
        assert!(json(&there).contains(r#""answer":{"message_id":"a@b","#));
    }
}
