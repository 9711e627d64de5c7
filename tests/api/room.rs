//! Batches are read when there is room for them, whatever bytes a caller sends.

use super::{
    server::{TestServer, counts, reason},
    support::{
        TENANT,
        records::{Record, blob},
    },
};
use crate::on_both_engines;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use sentby::{grpc::MAX_INGEST_BYTES, pb};
use std::convert::Infallible;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

const UNARY: &str = "IngestAuditBatch";
const STREAM: &str = "StreamAuditBatches";

/// The head of a gRPC message.
fn head(flag: u8, length: u32) -> Vec<u8> {
    let mut head = BytesMut::new();
    head.put_u8(flag);
    head.put_u32(length);
    head.to_vec()
}

/// A gRPC message for either method.
fn framed(method: &str, batch: pb::IngestAuditBatchRequest) -> Vec<u8> {
    let message = match method {
        UNARY => batch.encode_to_vec(),
        _ => pb::StreamAuditBatchesRequest {
            sequence: 1,
            batch: Some(batch),
        }
        .encode_to_vec(),
    };
    [head(0, message.len() as u32), message].concat()
}

fn batch(n: u128) -> pb::IngestAuditBatchRequest {
    let record = Record::mailbox_side(
        n,
        "anna@contoso.com",
        &format!("<{n}@x>"),
        "2026-03-01T09:00:00",
    );
    pb::IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        content: blob(&[record]).into(),
        ..Default::default()
    }
}

/// These bytes, the first of them in frames of such a size (too many small ones are a flood);
/// then the end, or nothing more for ever.
fn body(bytes: &[u8], frame: usize, ends: bool) -> Body {
    let (front, back) = bytes.split_at(bytes.len().min(40));
    let frames = front.chunks(frame).chain(back.chunks(1 << 20));
    let frames: Vec<Bytes> = frames.map(Bytes::copy_from_slice).collect();
    let frames = stream::iter(frames).map(|frame| Ok::<_, Infallible>(Frame::data(frame)));
    if ends {
        Body::new(StreamBody::new(frames))
    } else {
        Body::new(StreamBody::new(frames.chain(stream::pending())))
    }
}

/// What the server says to a body: the message of its answer, and its status.
async fn call(server: &TestServer, method: &str, body: Body) -> (Bytes, Status) {
    let request = http::Request::post(format!("http://sentby/sentby.v1.IngestService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    let response = server
        .channel
        .clone()
        .oneshot(request)
        .await
        .expect("an answer");
    if let Some(status) = Status::from_header_map(response.headers()) {
        return (Bytes::new(), status);
    }
    let body = response.into_body().collect().await.expect("a body");
    let status = Status::from_header_map(body.trailers().expect("trailers"));
    let answer = body.to_bytes();
    (
        answer.slice(answer.len().min(5)..),
        status.expect("a status"),
    )
}

on_both_engines! {
    /// Bytes that are no batch are refused by what is wrong with them, at once, and take no
    /// room from those that are.
    async fn hostile_bytes_take_no_room(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let whole = head(0, MAX_INGEST_BYTES as u32);
        for method in [UNARY, STREAM] {
            let many = pb::IngestAuditBatchRequest { records: vec![Bytes::new(); 20_001], ..batch(1) };
            let events = pb::IngestAuditBatchRequest { events: vec![pb::SendEvent::default(); 20_001], ..batch(1) };
            let cut = framed(method, batch(1));
            for (what, bytes, code, why) in [
                ("4 GiB", head(0, u32::MAX), Code::OutOfRange, "MESSAGE_TOO_LARGE"),
                ("a byte too many", head(0, MAX_INGEST_BYTES as u32 + 1), Code::OutOfRange, "MESSAGE_TOO_LARGE"),
                ("compressed", head(1, 100), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("an unknown flag", head(7, 100), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("half a head", whole[..3].to_vec(), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("a head alone", whole.clone(), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("half a message", cut[..cut.len() - 1].to_vec(), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("no protobuf", [head(0, 3), vec![0xff; 3]].concat(), Code::InvalidArgument, "MALFORMED_REQUEST"),
                ("many records", framed(method, many), Code::InvalidArgument, "TOO_MANY_RECORDS"),
                ("many events", framed(method, events), Code::InvalidArgument, "TOO_MANY_RECORDS"),
            ] {
                // more than there is room for, if any of them kept it
                for _ in 0..4 {
                    let (_, refused) = call(&server, method, body(&bytes, 1 << 20, true)).await;
                    assert_eq!(reason(&refused), (code, why.into()), "{method}: {what}: {refused:?}");
                }
            }
            let mut large = batch(1);
            large.content = [&large.content[..], &vec![b' '; MAX_INGEST_BYTES - 2_000]].concat().into();
            let (_, taken) = call(&server, method, body(&framed(method, large), 1 << 20, true)).await;
            assert_eq!(taken.code(), Code::Ok, "{method}: {taken:?}");
        }
        assert_eq!(db.assert_gapless(TENANT).await, 1);
    }

    /// However a message is cut into frames, and whatever follows it.
    async fn frames_do_not_matter(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for (n, frame) in [(1, 1), (2, 4), (3, 7), (4, 1 << 20)] {
            let (answer, status) = call(&server, UNARY, body(&framed(UNARY, batch(n)), frame, true)).await;
            assert_eq!(status.code(), Code::Ok, "{status:?}");
            let answer = pb::IngestAuditBatchResponse::decode(answer).expect("an answer");
            assert_eq!(counts(&answer), [1, 1, 0, 0, 0]);
            // the second is none of a call with one answer
            let two = [framed(UNARY, batch(n)), framed(UNARY, batch(90))].concat();
            assert_eq!(call(&server, UNARY, body(&two, frame, true)).await.1.code(), Code::Ok);
            let two = [framed(STREAM, batch(n + 10)), framed(STREAM, batch(n + 20))].concat();
            assert_eq!(call(&server, STREAM, body(&two, frame, true)).await.1.code(), Code::Ok);
            for stored in [n, n + 10, n + 20] {
                server.get(&format!("{stored}@x")).await.expect("stored");
            }
        }
        assert_eq!(server.get("90@x").await.expect_err("not stored").code(), Code::NotFound);
        let (_, status) = call(&server, STREAM, body(&[], 1, true)).await;
        assert_eq!(status.code(), Code::Ok, "a stream without a batch");
        let (_, status) = call(&server, UNARY, body(&[], 1, true)).await;
        assert_eq!(reason(&status).1, "MALFORMED_REQUEST");
    }

    /// Where others have all the room a call is told to come again, a stream is read later,
    /// and everything else goes on.
    async fn without_room_a_call_is_refused_and_a_stream_waits(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let holding = async |method| {
            let half_of_it = body(&head(0, MAX_INGEST_BYTES as u32), 5, false);
            call(&server, method, half_of_it).await
        };
        let stream = body(&framed(STREAM, batch(2)), 1 << 20, true);
        let mut waiting = Box::pin(call(&server, STREAM, stream));
        let told = async {
            // the two come first, as far as anybody can tell
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let refused = async {
                let (_, refused) = call(&server, UNARY, body(&framed(UNARY, batch(1)), 99, true)).await;
                assert_eq!(reason(&refused), (Code::ResourceExhausted, "OVERLOADED".into()));
                assert!(refused.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
                server.get("2@x").await.expect_err("not stored");
            };
            tokio::select! {
                () = refused => {}
                early = &mut waiting => panic!("it was read: {early:?}"),
            }
        };
        // the callers that have the room leave when the other was refused
        tokio::select! {
            () = told => {}
            answer = holding(UNARY) => panic!("a call without an end: {answer:?}"),
            answer = holding(STREAM) => panic!("a stream without an end: {answer:?}"),
        }
        assert_eq!(waiting.await.1.code(), Code::Ok);
        server.get("2@x").await.expect("stored");
        let again = call(&server, UNARY, body(&framed(UNARY, batch(1)), 99, true)).await;
        assert_eq!(again.1.code(), Code::Ok);
    }
}
