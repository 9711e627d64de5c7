//! The peers that are Rust: the least that a service of this API could be. Each does one
//! thing only, with the same messages, the same runtime and the same libraries.

use bytes::Bytes;
use sentby::pb;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::borrow::Cow;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::http,
    server::{Grpc, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;
use uuid::Uuid;

/// Largest message, in bytes.
const MAX_MESSAGE: usize = 16 << 20;

/// Serves until it is killed.
pub async fn serve(name: &str, arguments: &[String]) {
    match name {
        "echo" => listen(Echo(canned(arguments))).await,
        "query" => {
            let pool = PgPoolOptions::new().max_connections(8);
            listen(OneQuery(
                pool.connect(&arguments[0]).await.expect("a database"),
            ))
            .await;
        }
        "parse" => listen(ParseOnly).await,
        _ => panic!("no peer {name}"),
    }
}

async fn listen(peer: impl Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    eprintln!(
        "{}",
        serde_json::json!({"message": "serving", "address": address.to_string()})
    );
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // the same sizes as ours
    let server = Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(1 << 20)
        .serve_with_incoming(Method(Arc::new(peer)), incoming);
    server.await.expect("it serves");
}

/// One unary method, whatever its path: what tonic generates, without the other methods.
trait Peer: Send + Sync + 'static {
    type Request: prost::Message + Default + 'static;
    type Response: prost::Message + Default + 'static;

    fn answer(
        &self,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response, Status>> + Send;
}

struct Method<P>(Arc<P>);

impl<P> Clone for Method<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<P: Peer> UnaryService<P::Request> for Method<P> {
    type Response = P::Response;
    type Future = Answering<Response<P::Response>, Status>;

    fn call(&mut self, request: Request<P::Request>) -> Self::Future {
        let peer = Arc::clone(&self.0);
        Box::pin(async move { peer.answer(request.into_inner()).await.map(Response::new) })
    }
}

impl<P: Peer> Service<http::Request<Body>> for Method<P> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE);
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// Answers every call with the same bytes.
#[derive(Clone)]
struct Echo(pb::Attribution);

impl Peer for Echo {
    type Request = pb::GetAttributionRequest;
    type Response = pb::GetAttributionResponse;

    async fn answer(&self, _: Self::Request) -> Result<Self::Response, Status> {
        let attribution = Some(self.0.clone());
        Ok(pb::GetAttributionResponse { attribution })
    }
}

/// An answer of the real service, field by field, so that the sizes are the same.
fn canned(fields: &[String]) -> pb::Attribution {
    let [message_id, message_key, agent, mailbox] = fields else {
        panic!("four fields")
    };
    pb::Attribution {
        message_id: message_id.clone(),
        message_key: message_key.clone(),
        agent: agent.clone(),
        mailbox: mailbox.clone(),
        verdict: pb::Verdict::Attributed.into(),
        basis: pb::Basis::MailboxSendAs.into(),
        confirmed: true,
        sent_at: Some(prost_types::Timestamp {
            seconds: 1_772_409_600,
            nanos: 0,
        }),
        revision: 1,
        ..pb::Attribution::default()
    }
}

/// One statement a call, on a pool, as everybody would write it.
#[derive(Clone)]
struct OneQuery(PgPool);

#[derive(sqlx::FromRow)]
struct Row {
    message_key: Uuid,
    message_id: Option<String>,
    agent: Option<String>,
    mailbox: Option<String>,
    sent_at: i64,
    confirmed: bool,
    revision: i64,
}

const QUERY: &str = "SELECT message_key, message_id, agent, mailbox, \
    (extract(epoch FROM sent_at))::bigint AS sent_at, confirmed, revision \
    FROM attribution WHERE tenant_id = $1 AND message_key = $2";

impl Peer for OneQuery {
    type Request = pb::GetAttributionRequest;
    type Response = pb::GetAttributionResponse;

    async fn answer(&self, request: Self::Request) -> Result<Self::Response, Status> {
        let wrong = |_| Status::invalid_argument("a field");
        let tenant = Uuid::parse_str(&request.tenant_id).map_err(wrong)?;
        let id = sentby::domain::MessageId::parse(&request.message_id);
        let id = id.map_err(|_| Status::invalid_argument("message_id"))?;
        let row: Option<Row> = sqlx::query_as(QUERY)
            .bind(tenant)
            .bind(id.key().0)
            .fetch_optional(&self.0)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let row = row.ok_or_else(|| Status::not_found("nothing"))?;
        let attribution = pb::Attribution {
            message_id: row.message_id.unwrap_or_default(),
            message_key: row.message_key.to_string(),
            agent: row.agent.unwrap_or_default(),
            mailbox: row.mailbox.unwrap_or_default(),
            sent_at: Some(prost_types::Timestamp {
                seconds: row.sent_at,
                nanos: 0,
            }),
            confirmed: row.confirmed,
            revision: row.revision.cast_unsigned(),
            verdict: pb::Verdict::Attributed.into(),
            basis: pb::Basis::MailboxSendAs.into(),
            ..pb::Attribution::default()
        };
        Ok(pb::GetAttributionResponse {
            attribution: Some(attribution),
        })
    }
}

/// Reads every record as a typed struct, counts the send events, and forgets them.
#[derive(Clone)]
struct ParseOnly;

/// What a service of this kind needs of a record.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)] // they are read from the JSON: that is the work
struct Record<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    creation_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    organization_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    record_type: Option<&'a RawValue>,
    #[serde(borrow)]
    user_type: Option<&'a RawValue>,
    #[serde(borrow)]
    logon_type: Option<&'a RawValue>,
    #[serde(borrow)]
    logon_user_sid: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "MailboxOwnerUPN")]
    mailbox_owner_upn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mailbox_owner_sid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mailbox_guid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    send_as_user_smtp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    send_as_user_mailbox_guid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    workload: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result_status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)]
struct Item<'a> {
    #[serde(borrow)]
    internet_message_id: Option<Cow<'a, str>>,
}

fn parse(content: &Bytes) -> Result<pb::Counts, Status> {
    let records: Vec<Record<'_>> = serde_json::from_slice(content)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let is_send = |r: &&Record<'_>| matches!(&*r.operation, "SendAs" | "SendOnBehalf" | "Send");
    let kept = records.iter().filter(is_send).count() as u64;
    let received = records.len() as u64;
    Ok(pb::Counts {
        received,
        kept,
        ignored: received - kept,
        ..pb::Counts::default()
    })
}

impl Peer for ParseOnly {
    type Request = pb::IngestAuditBatchRequest;
    type Response = pb::IngestAuditBatchResponse;

    async fn answer(&self, request: Self::Request) -> Result<Self::Response, Status> {
        let content = request.content;
        let counts = tokio::task::spawn_blocking(move || parse(&content)).await;
        Ok(pb::IngestAuditBatchResponse {
            counts: Some(counts.expect("it parses")?),
            ..pb::IngestAuditBatchResponse::default()
        })
    }
}
