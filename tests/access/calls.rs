//! Any method by its name, in the name of a caller.

use crate::support::messages::{Api, Method, Value, open};
use bytes::Bytes;
use prost::Message as _;
use sentby::pb;
use std::time::Duration;
use tonic::{Request, Status, transport::Channel};

/// One message to a method of any kind, and the first answer.
pub async fn call(
    channel: &Channel,
    path: &str,
    token: Option<&str>,
    message: Vec<u8>,
) -> Result<Bytes, Status> {
    let mut request = Request::new(tokio_stream::once(message));
    request.set_timeout(Duration::from_secs(30));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    let mut answers = open(channel, path, request).await?;
    let first = answers.message().await?;
    Ok(first.unwrap_or_default())
}

/// All of ours. Of a deleted tenant there is nothing left to ask: that comes last.
pub fn methods(api: &Api) -> Vec<Method> {
    let mut methods = api.methods.clone();
    methods.sort_by_key(|method| method.name == "DeleteTenant");
    methods
}

/// A request about this tenant that is valid where one can be made without knowing more.
pub fn about(api: &Api, method: &Method, tenant: &str) -> Vec<u8> {
    let tenant_id = tenant.to_owned();
    let time = |text: &str| Some(text.parse().expect("a time"));
    let (start, end) = (time("2026-03-01T00:00:00Z"), time("2026-03-02T00:00:00Z"));
    let batch = pb::IngestAuditBatchRequest {
        tenant_id: tenant_id.clone(),
        content: (&b"[]"[..]).into(),
        ..Default::default()
    };
    match method.name.as_str() {
        "RegisterTenant" => pb::RegisterTenantRequest {
            tenant_id,
            consented_at: start,
            ..Default::default()
        }
        .encode_to_vec(),
        "IngestAuditBatch" => batch.encode_to_vec(),
        "StreamAuditBatches" => pb::StreamAuditBatchesRequest {
            sequence: 1,
            batch: Some(batch),
        }
        .encode_to_vec(),
        "GetAttribution" => pb::GetAttributionRequest {
            tenant_id,
            message_id: "a@x".into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ListAttributions" => pb::ListAttributionsRequest {
            tenant_id,
            start,
            end,
            ..Default::default()
        }
        .encode_to_vec(),
        "StreamAttributions" => pb::StreamAttributionsRequest {
            tenant_id,
            start,
            end,
            ..Default::default()
        }
        .encode_to_vec(),
        "WatchAttributions" => pb::WatchAttributionsRequest {
            positions: vec![pb::WatchPosition {
                tenant_id,
                ..Default::default()
            }],
            ..Default::default()
        }
        .encode_to_vec(),
        "SummarizeAgents" => pb::SummarizeAgentsRequest {
            tenant_id,
            start,
            end,
            bucket: pb::Bucket::Day.into(),
            ..Default::default()
        }
        .encode_to_vec(),
        _ => api.build(&method.request, &mut |_, field| match field.name() {
            "tenant_id" => vec![Value::Text(tenant_id.clone())],
            _ => Vec::new(),
        }),
    }
}
