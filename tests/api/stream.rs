//! StreamAuditBatches: an answer for each batch, whatever happens to the others.

use super::server::{TestServer, counts, reason};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, blob},
    },
};
use futures_util::StreamExt as _;
use sentby::{
    grpc::MAX_INGEST_BYTES,
    pb::{
        self, IngestAuditBatchRequest as Batch, stream_audit_batches_response::Result as Outcome,
    },
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two messages of a number of their own.
fn batch(n: u128) -> Batch {
    let record = |k: u128| Record::mailbox_side(k + 1, ANNA, &format!("<S{k}@x>"), AT);
    Batch {
        tenant_id: TENANT.to_string(),
        content: blob(&[record(2 * n), record(2 * n + 1)]).into(),
        ..Default::default()
    }
}

fn message(sequence: u64, batch: impl Into<Option<Batch>>) -> pb::StreamAuditBatchesRequest {
    pb::StreamAuditBatchesRequest {
        sequence,
        batch: batch.into(),
    }
}

type Sender = mpsc::Sender<pb::StreamAuditBatchesRequest>;
type Answers = Streaming<pb::StreamAuditBatchesResponse>;

async fn open(server: &TestServer) -> (Sender, Answers) {
    let (sender, messages) = mpsc::channel(100);
    let answers = server
        .ingest()
        .stream_audit_batches(ReceiverStream::new(messages))
        .await;
    (sender, answers.expect("opened").into_inner())
}

async fn next(answers: &mut Answers) -> Result<Option<(u64, Outcome)>, Status> {
    let answer = tokio::time::timeout(PATIENCE, answers.message()).await;
    let answer = answer.expect("it does not hang")?;
    Ok(answer.map(|answer| (answer.sequence, answer.result.expect("a result"))))
}

/// All answers until the end, and how it ended.
async fn rest(mut answers: Answers) -> (BTreeMap<u64, Outcome>, Option<Status>) {
    let mut all = BTreeMap::new();
    loop {
        match next(&mut answers).await {
            Ok(Some((sequence, outcome))) => {
                assert!(
                    all.insert(sequence, outcome).is_none(),
                    "{sequence} answered twice"
                );
            }
            Ok(None) => return (all, None),
            Err(status) => return (all, Some(status)),
        }
    }
}

/// The same words as those of the unary call.
#[track_caller]
fn assert_same_words(error: &pb::BatchError, status: &Status) {
    let (code, name) = reason(status);
    assert_eq!(error.code, code as i32);
    assert_eq!(error.reason().as_str_name(), format!("ERROR_REASON_{name}"));
    assert_eq!(error.message, status.message());
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(error.metadata, info.metadata);
    let request = status.get_details_bad_request();
    let paths = request
        .into_iter()
        .flat_map(|request| request.field_violations)
        .map(|wrong| (wrong.field, wrong.description));
    let told = error
        .field_violations
        .iter()
        .map(|wrong| (wrong.field.clone(), wrong.description.clone()));
    assert_eq!(told.collect::<Vec<_>>(), paths.collect::<Vec<_>>());
    assert_eq!(
        error.retry_after.is_some(),
        status.get_details_retry_info().is_some()
    );
}

on_both_engines! {
    /// Every batch is answered under its number; the end comes after the last answer.
    async fn every_batch_is_answered(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let (sender, answers) = open(&server).await;
        let sending = tokio::spawn(async move {
            for n in 0..50u64 {
                let sequence = u64::MAX - n;
                sender.send(message(sequence, batch(u128::from(n)))).await.expect("taken");
            }
        });
        let (all, end) = rest(answers).await;
        sending.await.expect("all is sent");
        assert!(end.is_none(), "{end:?}");
        assert_eq!(all.len(), 50);
        for (sequence, outcome) in all {
            let Outcome::Response(response) = outcome else { panic!("{sequence}: {outcome:?}") };
            assert_eq!(counts(&response), [2, 2, 0, 0, 0], "{sequence}");
        }
        // what waits for the same transaction shares its revision
        assert!((1..=50).contains(&db.assert_gapless(TENANT).await));
        let receipts = "SELECT count(*) FROM audit_batch WHERE tenant_id = $1";
        assert_eq!(db.number(receipts, TENANT).await, 50);
    }

    /// A batch that fails is answered as the unary call would, and touches no other one.
    async fn a_failed_batch_fails_alone(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let with = |content: &[u8]| Batch { content: content.to_vec().into(), ..batch(0) };
        let many = format!("[{}]", vec!["{}"; 10_001].join(","));
        let named = Batch { request_id: "r".into(), ..batch(0) };
        server.ingest().ingest_audit_batch(named.clone()).await.expect("ingested");
        let wrong = [
            Batch { tenant_id: "contoso".into(), request_id: "\n".into(), ..batch(0) },
            Batch { tenant_id: OTHER_TENANT.to_string(), ..batch(0) },
            with(b"<html>"),
            with(br#"{"error":{"code":"AF20022","message":"x"}}"#),
            with(many.as_bytes()),
            Batch { content: batch(1).content, ..named },
        ];
        let (sender, answers) = open(&server).await;
        for (n, wrong) in wrong.iter().enumerate() {
            let n = n as u64;
            sender.send(message(100 + n, wrong.clone())).await.expect("taken");
            sender.send(message(n, batch(10 + u128::from(n)))).await.expect("taken");
        }
        sender.send(message(999, None)).await.expect("taken");
        drop(sender);
        let (all, end) = rest(answers).await;
        assert!(end.is_none(), "{end:?}");
        for (n, wrong) in wrong.into_iter().enumerate() {
            let n = n as u64;
            assert!(matches!(&all[&n], Outcome::Response(_)), "{:?}", all[&n]);
            let Outcome::Error(error) = &all[&(100 + n)] else { panic!("{:?}", all[&(100 + n)]) };
            let refused = server.ingest().ingest_audit_batch(wrong).await.expect_err("refused");
            assert_same_words(error, &refused);
        }
        let Outcome::Error(missing) = &all[&999] else { panic!("{:?}", all[&999]) };
        assert_eq!(missing.reason(), pb::ErrorReason::InvalidField);
        assert_eq!(missing.field_violations[0].field, "batch");
    }

    /// A revoke counts from the next batch on; the stream goes on.
    async fn a_revoke_stops_the_batches_and_not_the_stream(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let (sender, mut answers) = open(&server).await;
        sender.send(message(1, batch(1))).await.expect("taken");
        assert!(matches!(next(&mut answers).await, Ok(Some((1, Outcome::Response(_))))));
        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        server.tenants().revoke_consent(revoke).await.expect("revoked");
        for n in 2..12u64 {
            sender.send(message(n, batch(u128::from(n)))).await.expect("taken");
        }
        drop(sender);
        let (all, end) = rest(answers).await;
        assert_eq!((all.len(), end.is_none()), (10, true));
        for outcome in all.into_values() {
            let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
            assert_eq!(error.reason(), pb::ErrorReason::ConsentRevoked);
        }
        assert_eq!(db.assert_gapless(TENANT).await, 1);
    }

    /// What was read is answered, also when the next message is none or too large.
    async fn what_is_no_message_ends_the_stream_after_the_answers(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let (sender, answers) = open(&server).await;
        sender.send(message(1, batch(1))).await.expect("taken");
        let large = Batch { content: vec![b' '; MAX_INGEST_BYTES].into(), ..batch(2) };
        sender.send(message(2, large)).await.expect("taken");
        let (all, end) = rest(answers).await;
        assert_eq!(all.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(reason(&end.expect("refused")), (Code::OutOfRange, "MESSAGE_TOO_LARGE".into()));

        // a tenant's message where a batch's is to be: a text in the place of the number
        let mut grpc = tonic::client::Grpc::new(server.channel.clone());
        grpc.ready().await.expect("connected");
        let codec = tonic_prost::ProstCodec::<pb::GetTenantRequest, pb::StreamAuditBatchesResponse>::default();
        let path = http::uri::PathAndQuery::from_static("/sentby.v1.IngestService/StreamAuditBatches");
        let garbage = tokio_stream::once(pb::GetTenantRequest { tenant_id: "contoso".into(), ..Default::default() });
        let answers = grpc.streaming(tonic::Request::new(garbage), path, codec).await;
        let (all, end) = rest(answers.expect("opened").into_inner()).await;
        assert!(all.is_empty());
        assert_eq!(reason(&end.expect("refused")), (Code::InvalidArgument, "MALFORMED_REQUEST".into()));
    }

    /// While no batch gets done, no more than a few are taken from the caller.
    async fn the_server_takes_what_it_can_work_on(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let other = db.app().await;
        let held = other.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let taken = Arc::new(AtomicUsize::new(0));
        let large = |n: u64| {
            let mut content = batch(u128::from(n)).content.to_vec();
            content.resize(1 << 20, b' ');
            message(n, Batch { content: content.into(), ..batch(0) })
        };
        let counted = {
            let taken = Arc::clone(&taken);
            tokio_stream::iter(0..60u64).map(move |n| {
                taken.fetch_add(1, Ordering::SeqCst);
                large(n)
            })
        };
        let answers = server.ingest().stream_audit_batches(counted).await.expect("opened");
        // enough to fill what the server works on, and what is under way
        while taken.load(Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let in_flight = taken.load(Ordering::SeqCst);
        assert!(in_flight < 20, "{in_flight} batches are taken while none can be stored");
        drop(held);
        let (all, end) = rest(answers.into_inner()).await;
        assert_eq!((all.len(), end.is_none()), (60, true));
    }

    /// A caller that leaves at any moment: each batch is stored whole or not at all.
    async fn a_caller_that_leaves_leaves_nothing_half(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for n in 0..20u64 {
            let (sender, mut answers) = open(&server).await;
            for k in 0..8 {
                sender.send(message(k, batch(u128::from(8 * n + k)))).await.expect("taken");
            }
            for _ in 0..n % 4 {
                next(&mut answers).await.expect("answered");
            }
        }
        // at any moment, also while some of it still goes on: in one statement each
        let half = "SELECT (SELECT count(*) FROM attribution WHERE tenant_id = $1) \
                    - 2 * (SELECT count(*) FROM audit_batch WHERE tenant_id = $1)";
        let gaps = "SELECT (SELECT revision FROM tenant WHERE tenant_id = $1) \
                    - (SELECT count(*) FROM change WHERE tenant_id = $1)";
        for _ in 0..20 {
            assert_eq!(db.number(half, TENANT).await, 0);
            assert_eq!(db.number(gaps, TENANT).await, 0);
        }
        // the connection is as good as before, and nobody holds the tenant
        let (sender, answers) = open(&server).await;
        sender.send(message(1, batch(1_000))).await.expect("taken");
        drop(sender);
        assert_eq!(rest(answers).await.0.len(), 1);
        server.stop().await;
    }

    /// A server that stops answers what it has read, and says where to go.
    async fn a_stop_answers_what_was_read(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let other = db.app().await;
        let held = other.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let (sender, mut answers) = open(&server).await;
        let (_idle, idle) = open(&server).await;
        for n in 1..4 {
            sender.send(message(n, batch(u128::from(n)))).await.expect("taken");
        }
        // needs no lock: its answer tells that those before it were read
        sender.send(message(9, None)).await.expect("taken");
        assert!(matches!(next(&mut answers).await, Ok(Some((9, Outcome::Error(_))))));
        let stopped = tokio::spawn(server.stop());
        let (nothing, end) = rest(idle).await;
        assert!(nothing.is_empty());
        assert_eq!(reason(&end.expect("told")), (Code::Unavailable, "SERVER_STOPPING".into()));
        drop(held);
        let (all, end) = rest(answers).await;
        assert_eq!(all.keys().collect::<Vec<_>>(), [&1, &2, &3]);
        assert!(all.values().all(|outcome| matches!(outcome, Outcome::Response(_))), "{all:?}");
        assert_eq!(reason(&end.expect("told")), (Code::Unavailable, "SERVER_STOPPING".into()));
        tokio::time::timeout(PATIENCE, stopped).await.expect("in time").expect("stopped");
    }
}
