//! Any method by its name, with bytes for messages.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};
use sentby::{grpc::DESCRIPTORS, pb};
use std::time::Duration;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// One message to a method of any kind, and the first answer.
pub async fn call(
    channel: &Channel,
    method: &str,
    token: Option<&str>,
    message: Vec<u8>,
) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel.clone());
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(tokio_stream::once(message));
    request.set_timeout(Duration::from_secs(30));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    let path: PathAndQuery = format!("/{method}").parse().expect("a path");
    let answers = grpc.streaming(request, path, Raw).await?;
    let first = answers.into_inner().message().await?;
    Ok(first.unwrap_or_default())
}

/// A method of ours, as its descriptor tells.
pub struct Method {
    /// `package.Service/Method`
    pub name: String,
    pub request: DescriptorProto,
}

pub fn methods() -> Vec<Method> {
    let all = FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let ours: Vec<_> = all
        .file
        .iter()
        .filter(|file| file.package() == "sentby.v1")
        .collect();
    let message = |name: &str| {
        let name = name.strip_prefix(".sentby.v1.").expect("a message of ours");
        let mut messages = ours.iter().flat_map(|file| &file.message_type);
        messages
            .find(|message| message.name() == name)
            .expect("it is there")
            .clone()
    };
    let services = ours.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| {
        service.method.iter().map(|method| Method {
            name: format!("sentby.v1.{}/{}", service.name(), method.name()),
            request: message(method.input_type()),
        })
    });
    let mut methods: Vec<Method> = methods.collect();
    // of a deleted tenant there is nothing left to ask
    methods.sort_by_key(|method| method.name.ends_with("/DeleteTenant"));
    methods
}

/// A request about this tenant that is valid where one can be made without knowing more.
pub fn about(method: &Method, tenant: &str) -> Vec<u8> {
    let tenant_id = tenant.to_owned();
    let time = |text: &str| Some(text.parse().expect("a time"));
    let (start, end) = (time("2026-03-01T00:00:00Z"), time("2026-03-02T00:00:00Z"));
    let batch = pb::IngestAuditBatchRequest {
        tenant_id: tenant_id.clone(),
        content: (&b"[]"[..]).into(),
        ..Default::default()
    };
    match method.name.rsplit('/').next().expect("a name") {
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
        _ => {
            let fields = &method.request.field;
            let field = fields.iter().find(|field| field.name() == "tenant_id");
            let mut message = Vec::new();
            if let Some(field) = field {
                let number = u32::try_from(field.number()).expect("positive");
                prost::encoding::string::encode(number, &tenant_id, &mut message);
            }
            message
        }
    }
}
