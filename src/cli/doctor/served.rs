//! What a server that runs tells of itself.

use crate::{cli::client, domain::Check, server};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(endpoint: &Endpoint) -> Vec<Check> {
    let shown = endpoint.uri().to_string();
    let channel = match timeout(PATIENCE, client::connect(endpoint)).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => {
            return vec![Check::error(
                "server",
                error.to_string(),
                "start it: sentby serve",
            )];
        }
        Err(_) => {
            let says = format!("{shown} does not answer in 5 s");
            return vec![Check::error("server", says, "start it: sentby serve")];
        }
    };
    let mut checks = vec![Check::ok("server", format!("{shown} answers"))];
    checks.extend(health(&channel).await);
    checks.push(services(&channel).await);
    checks
}

async fn health(channel: &Channel) -> Vec<Check> {
    const NAME: &str = "health";
    const REPAIR: &str = "see its log for the line \"not ready\"; sentby doctor with its settings";
    let mut client = HealthClient::new(channel.clone());
    let asked = timeout(PATIENCE, client.check(HealthCheckRequest::default())).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(status)) => return vec![Check::error(NAME, status.message(), REPAIR)],
        Err(_) => return vec![Check::error(NAME, "no answer in 5 s", REPAIR)],
    };
    let clock = clock(answer.metadata());
    let health = match answer.into_inner().status == ServingStatus::Serving as i32 {
        true => Check::ok(NAME, "SERVING"),
        false => Check::error(NAME, "NOT_SERVING: its database or schema", REPAIR),
    };
    [Some(health), clock].into_iter().flatten().collect()
}

/// Every answer over HTTP has the time, in whole seconds.
fn clock(metadata: &MetadataMap) -> Option<Check> {
    let date = metadata.get("date")?.to_str().ok()?;
    let theirs = server::doctor::http_date(date)?;
    let ours = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let ours = i64::try_from(ours.as_micros()).ok()?;
    Some(server::doctor::clock(
        "server-clock",
        "the server's clock",
        theirs - ours,
    ))
}

async fn services(channel: &Channel) -> Check {
    const NAME: &str = "reflection";
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel.clone());
    let asked = async {
        let requests = tokio_stream::once(request);
        let answers = client.server_reflection_info(requests).await?;
        answers.into_inner().message().await
    };
    let repair = "name a sentby with --server";
    let names: Vec<String> = match timeout(PATIENCE, asked).await {
        Ok(Ok(Some(answer))) => match answer.message_response {
            Some(MessageResponse::ListServicesResponse(list)) => list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect(),
            _ => Vec::new(),
        },
        Ok(Ok(None)) => Vec::new(),
        Ok(Err(status)) => return Check::warning(NAME, status.message(), repair),
        Err(_) => return Check::warning(NAME, "no answer in 5 s", repair),
    };
    let ours = names
        .iter()
        .filter(|name| name.starts_with("sentby.v1."))
        .count();
    match ours {
        0 => Check::error(NAME, "it has no service of sentby", repair),
        _ => Check::ok(NAME, format!("{ours} services of sentby.v1")),
    }
}
