//! The memory of the real program is bounded, however much callers send at once.

use super::support::{
    TENANT,
    process::{Server, database},
    records::Record,
    register,
};
use crate::on_both_engines;
use sentby::{
    grpc::MAX_INGEST_BYTES,
    pb::{
        IngestAuditBatchRequest, StreamAuditBatchesRequest,
        ingest_service_client::IngestServiceClient,
        stream_audit_batches_response::Result as Outcome,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt as _;

const LIMIT: u64 = 128 << 20;
/// Callers of each kind, with a connection each, and what each of them sends.
const CALLERS: u128 = 12;
const BATCHES: u128 = 2;
/// Send events of a batch; what is not theirs is filled up with what nobody keeps. Their answers
/// stay in the cache, which has a bound of its own.
const MESSAGES: u128 = 500;

/// A batch as large as may be.
fn batch(n: u128) -> IngestAuditBatchRequest {
    let time = "2026-03-01T09:00:00";
    let mut content = Vec::with_capacity(MAX_INGEST_BYTES);
    for m in n * MESSAGES..(n + 1) * MESSAGES {
        let agent = format!("agent{}@contoso.com", m % 50);
        let record = Record::mailbox_side(m + 1, &agent, &format!("<M{m}@x>"), time);
        content.extend_from_slice(record.set("Subject", "s".repeat(4_000)).json().as_bytes());
        content.push(b'\n');
    }
    let noise = Record::noise("FileAccessed", n, time)
        .set("Path", "p".repeat(4_000))
        .json();
    while content.len() + noise.len() < MAX_INGEST_BYTES - 200 {
        content.extend_from_slice(noise.as_bytes());
        content.push(b'\n');
    }
    IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        content: content.into(),
        ..Default::default()
    }
}

async fn client(server: &Server) -> IngestServiceClient<Channel> {
    let endpoint = Channel::from_shared(server.url.clone()).expect("a URI");
    let channel = endpoint.connect().await.expect("connected");
    IngestServiceClient::new(channel).max_encoding_message_size(MAX_INGEST_BYTES)
}

/// Sends a batch until it is taken; tells how often it was refused for the moment.
async fn call(mut client: IngestServiceClient<Channel>, n: u128) -> u32 {
    let mut refused = 0;
    loop {
        match client.ingest_audit_batch(batch(n)).await {
            Ok(answer) => {
                let counts = answer.into_inner().counts.expect("counts");
                assert_eq!(u128::from(counts.kept + counts.repeated), MESSAGES);
                return refused;
            }
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                let told = status
                    .get_details_retry_info()
                    .and_then(|info| info.retry_delay);
                tokio::time::sleep(told.expect("when to come again")).await;
                refused += 1;
            }
        }
    }
}

/// The same on a stream, which refuses nothing.
async fn stream(mut client: IngestServiceClient<Channel>, numbers: Vec<u128>) {
    let expected = numbers.len();
    let batches = tokio_stream::iter(numbers).map(|n| StreamAuditBatchesRequest {
        sequence: n as u64,
        batch: Some(batch(n)),
    });
    let mut answers = client
        .stream_audit_batches(batches)
        .await
        .expect("opened")
        .into_inner();
    let mut answered = BTreeMap::new();
    while let Some(answer) = answers.message().await.expect("no error") {
        let Some(Outcome::Response(response)) = answer.result else {
            panic!("{answer:?}")
        };
        answered.insert(answer.sequence, response);
    }
    assert_eq!(answered.len(), expected);
}

on_both_engines! {
    /// Many connections send the largest batches at once: the program stays within its
    /// memory, and all of it is stored in the end.
    async fn memory_is_bounded_by_bytes_in_flight(db: TestDb) {
        register(&*db.app().await, TENANT).await;
        let server = Server::start(&database(&db.config.database));
        let idle = server.most_memory();
        let mut calls = tokio::task::JoinSet::new();
        let mut streams = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let numbers = move |kind| (0..BATCHES).map(move |n| (kind * CALLERS + caller) * BATCHES + n);
            let unary = client(&server).await;
            calls.spawn(async move {
                let mut refused = 0;
                for n in numbers(0) {
                    refused += call(unary.clone(), n).await;
                }
                refused
            });
            streams.spawn(stream(client(&server).await, numbers(1).collect()));
        }
        let all = async { (calls.join_all().await, streams.join_all().await) };
        let (refused, _) = tokio::time::timeout(Duration::from_secs(300), all).await.expect("it ends");
        let count = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await as u128, 2 * CALLERS * BATCHES * MESSAGES);
        db.assert_gapless(TENANT).await;
        let peak = server.most_memory();
        let refused: u32 = refused.into_iter().sum();
        println!("idle {idle}, peak {peak} bytes; {refused} refused");
        assert!(peak <= LIMIT, "{peak} bytes");
    }

    /// Callers that wait for room keep nobody from being read who has it, although all of
    /// them share a connection: else they would wait for each other for ever.
    async fn callers_of_one_connection_do_not_block_each_other(db: TestDb) {
        register(&*db.app().await, TENANT).await;
        let arguments = ["--cache", "none", "--ingest-memory", "16"];
        let server = Server::start_with(&database(&db.config.database), &arguments);
        let client = client(&server).await;
        let mut streams = tokio::task::JoinSet::new();
        for n in 0..8 {
            streams.spawn(stream(client.clone(), vec![n]));
        }
        let all = streams.join_all();
        tokio::time::timeout(Duration::from_secs(120), all).await.expect("it ends");
        let count = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await as u128, 8 * MESSAGES);
    }
}
