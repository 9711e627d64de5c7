//! `sentby info`

use super::{
    Outcome,
    client::{Need, Target, answer, request},
    show::time,
};
use crate::{
    config::Config,
    pb::{GetServerInfoRequest, GetServerInfoResponse, ServerLimits},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

/// What a server is, what it takes, and by which settings it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Info {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby info --server http://127.0.0.1:50051
  sentby info --server http://127.0.0.1:50051 --json | jq .limits.batch_bytes

The same by grpcurl:
  grpcurl -plaintext 127.0.0.1:50051 sentby.v1.AdminService/GetServerInfo";

#[derive(Serialize)]
struct Line {
    version: String,
    schema_version: Option<i64>,
    oldest_schema_version: i64,
    newest_schema_version: i64,
    server_time: Option<String>,
    limits: BTreeMap<&'static str, i64>,
    settings: BTreeMap<String, String>,
}

impl Info {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let mut admin = api.admin();
        let info = admin.get_server_info(request(GetServerInfoRequest {}));
        let line = line(answer(info.await)?);
        let text = if self.json {
            serde_json::to_string(&line)?
        } else {
            words(&line)
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(Outcome::Done)
    }
}

fn line(info: GetServerInfoResponse) -> Line {
    let settings = info.settings.into_iter();
    Line {
        version: info.version,
        schema_version: info.schema_version,
        oldest_schema_version: info.oldest_schema_version,
        newest_schema_version: info.newest_schema_version,
        server_time: time(info.server_time.as_ref()),
        limits: limits(&info.limits.unwrap_or_default()),
        settings: settings.map(|it| (it.name, it.value)).collect(),
    }
}

/// By their names in the API.
fn limits(of: &ServerLimits) -> BTreeMap<&'static str, i64> {
    BTreeMap::from([
        ("batch_bytes", of.batch_bytes),
        ("batch_records", of.batch_records.into()),
        ("message_bytes", of.message_bytes),
        ("lookup_ids", of.lookup_ids.into()),
        ("page_rows", of.page_rows.into()),
        ("put_mailboxes", of.put_mailboxes.into()),
        ("watch_tenants", of.watch_tenants.into()),
        ("answer_streams", of.answer_streams.into()),
        ("watches", of.watches.into()),
        ("batch_streams", of.batch_streams.into()),
        ("calls", of.calls.into()),
        ("calls_a_connection", of.calls_a_connection.into()),
        ("connections", of.connections.into()),
        ("ingest_bytes", of.ingest_bytes),
        ("tenant_percent", of.tenant_percent.into()),
    ])
}

fn words(line: &Line) -> String {
    let schema = line.schema_version;
    let schema = schema.map_or("none, or the store does not answer".into(), |it| {
        it.to_string()
    });
    let mut lines = vec![
        format!("sentby {}", line.version),
        format!(
            "schema  {schema} (works with {} to {})",
            line.oldest_schema_version, line.newest_schema_version
        ),
        format!("time    {}", line.server_time.as_deref().unwrap_or("-")),
        "limits".into(),
    ];
    lines.extend(
        line.limits
            .iter()
            .map(|(name, value)| format!("  {name} = {value}")),
    );
    lines.push("settings".into());
    let settings = line.settings.iter().map(|(name, value)| {
        let value = if value.is_empty() { "(not set)" } else { value };
        format!("  {name} = {value}")
    });
    lines.extend(settings);
    lines.join("\n")
}
