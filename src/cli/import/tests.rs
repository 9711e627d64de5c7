use super::{
    batches::{Batch, MAX_RECORDS, Piece},
    summary::Summary,
    *,
};
use crate::{
    cli::client::{Api, BackOff},
    pb::{
        self, BatchError, Counts, ErrorReason, IngestAuditBatchRequest, IngestAuditBatchResponse,
        QuarantineReason, RecordProblem, StreamAuditBatchesRequest, StreamAuditBatchesResponse,
        ingest_service_server::{IngestService, IngestServiceServer},
        stream_audit_batches_response::Result as Outcome,
    },
};
use futures_util::stream::{BoxStream, StreamExt as _};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};

const TENANT: &str = "c0117050-0000-4000-8000-000000000001";

fn files(contents: &[&[u8]]) -> (tempfile::TempDir, Vec<Input>) {
    let dir = tempfile::tempdir().unwrap();
    let named = contents.iter().enumerate().map(|(at, content)| {
        let path = dir.path().join(format!("{at}.json"));
        std::fs::write(&path, content).unwrap();
        Input::of(path.to_str().unwrap())
    });
    let inputs = named.collect();
    (dir, inputs)
}

fn pieces(inputs: &[Input]) -> Vec<Piece> {
    let (sender, mut pieces) = mpsc::channel(100);
    batches::read(inputs, &sender);
    drop(sender);
    std::iter::from_fn(|| pieces.blocking_recv()).collect()
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .map(|n| format!("{{\"Id\":{n}}}\n"))
        .collect::<String>()
        .into_bytes()
}

#[test]
fn files_are_cut_into_batches_that_know_their_place() {
    let (_dir, inputs) = files(&[&lines(MAX_RECORDS + 1), &lines(2)]);
    let cut: Vec<(usize, u64, usize, bool)> = pieces(&inputs)
        .into_iter()
        .map(|piece| match piece {
            Piece::Batch(batch) => (batch.file, batch.first, batch.records.len(), false),
            Piece::End {
                file,
                records,
                problem,
            } => {
                assert_eq!(problem, None);
                (file, 0, usize::try_from(records).unwrap(), true)
            }
        })
        .collect();
    let second = MAX_RECORDS as u64 + 1;
    assert_eq!(
        cut,
        [
            (0, 1, MAX_RECORDS, false),
            (0, second, 1, false),
            (0, 0, MAX_RECORDS + 1, true),
            (1, 1, 2, false),
            (1, 0, 2, true),
        ]
    );
}

#[test]
fn large_records_fill_a_batch_by_their_bytes() {
    let record = format!("{{\"Id\":\"{}\"}}\n", "x".repeat(1_500_000));
    let (_dir, inputs) = files(&[record.repeat(5).as_bytes()]);
    let sizes: Vec<usize> = pieces(&inputs)
        .iter()
        .filter_map(|piece| match piece {
            Piece::Batch(batch) => Some(batch.records.len()),
            Piece::End { .. } => None,
        })
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
}

fn only_problem(content: &[u8]) -> String {
    let (_dir, inputs) = files(&[content]);
    match pieces(&inputs).as_slice() {
        [
            Piece::End {
                problem: Some(problem),
                ..
            },
        ] => problem.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_no_audit_log_says_what_it_is() {
    let error = br#"{"error":{"code":"AF20022","message":"No subscription found"}}"#;
    let problem = only_problem(error);
    assert!(
        problem.contains("AF20022 No subscription found"),
        "{problem}"
    );
    let problem = only_problem(b"PK\x03\x04 and more");
    assert!(problem.contains("ZIP or Excel"), "{problem}");
    let problem = only_problem(b"just a text");
    assert!(problem.contains("AuditData"), "{problem}");
    let missing = [Input::of("no-such-file")];
    let Some(Piece::End { problem, .. }) = pieces(&missing).pop() else {
        panic!("no end");
    };
    assert!(problem.unwrap().starts_with("cannot be read: "));
}

/// Counts every record as kept, but those that hold `bad`; answers a request id that it
/// knows as before.
#[derive(Default)]
struct Fake {
    /// Batches that are refused for now before one is taken.
    refusals: AtomicU32,
    /// Batches that are stored, and the stream breaks before the answer.
    breaks: AtomicU32,
    always: Option<BatchError>,
    stored: Mutex<BTreeMap<String, IngestAuditBatchResponse>>,
}

impl Fake {
    fn answer(&self, message: StreamAuditBatchesRequest) -> Result<Outcome, Status> {
        let once = |number: &AtomicU32| {
            let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
            number
                .fetch_update(set, fetch, |n| n.checked_sub(1))
                .is_ok()
        };
        if let Some(error) = &self.always {
            return Ok(Outcome::Error(error.clone()));
        }
        if once(&self.refusals) {
            return Ok(Outcome::Error(BatchError {
                code: Code::Unavailable.into(),
                message: "starting".into(),
                ..Default::default()
            }));
        }
        let batch = message.batch.expect("a batch");
        let mut stored = self.stored.lock().unwrap();
        let response = stored
            .entry(batch.request_id.clone())
            .and_modify(|response| response.replayed = true)
            .or_insert_with(|| response(&batch))
            .clone();
        if once(&self.breaks) {
            return Err(Status::unavailable("stopping"));
        }
        Ok(Outcome::Response(response))
    }
}

fn response(batch: &IngestAuditBatchRequest) -> IngestAuditBatchResponse {
    let bad = |record: &[u8]| record.windows(3).any(|window| window == b"bad");
    let problems: Vec<RecordProblem> = batch
        .records
        .iter()
        .enumerate()
        .filter(|(_, record)| bad(record))
        .map(|(index, _)| RecordProblem {
            index: index as u64,
            reason: QuarantineReason::Malformed.into(),
            detail: "it is bad".into(),
        })
        .collect();
    let received = batch.records.len() as u64;
    let quarantined = problems.len() as u64;
    IngestAuditBatchResponse {
        counts: Some(Counts {
            received,
            kept: received - quarantined,
            quarantined,
            ..Default::default()
        }),
        problems,
        revision: 3,
        changed_messages: 1,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl IngestService for Arc<Fake> {
    async fn ingest_audit_batch(
        &self,
        _: Request<IngestAuditBatchRequest>,
    ) -> Result<Response<IngestAuditBatchResponse>, Status> {
        Err(Status::unimplemented("not asked by an import"))
    }

    type StreamAuditBatchesStream = BoxStream<'static, Result<StreamAuditBatchesResponse, Status>>;

    async fn stream_audit_batches(
        &self,
        request: Request<Streaming<StreamAuditBatchesRequest>>,
    ) -> Result<Response<Self::StreamAuditBatchesStream>, Status> {
        let fake = Arc::clone(self);
        let answers = request.into_inner().map(move |message| {
            let message = message?;
            Ok(StreamAuditBatchesResponse {
                sequence: message.sequence,
                result: Some(fake.answer(message)?),
            })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn list_audit_batches(
        &self,
        _: Request<pb::ListAuditBatchesRequest>,
    ) -> Result<Response<pb::ListAuditBatchesResponse>, Status> {
        Err(Status::unimplemented("not asked by an import"))
    }

    async fn list_quarantined_records(
        &self,
        _: Request<pb::ListQuarantinedRecordsRequest>,
    ) -> Result<Response<pb::ListQuarantinedRecordsResponse>, Status> {
        Err(Status::unimplemented("not asked by an import"))
    }

    async fn retry_quarantined_records(
        &self,
        _: Request<pb::RetryQuarantinedRecordsRequest>,
    ) -> Result<Response<pb::RetryQuarantinedRecordsResponse>, Status> {
        Err(Status::unimplemented("not asked by an import"))
    }
}

async fn import(fake: impl Into<Arc<Fake>>, inputs: &[Input]) -> Summary {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = IngestServiceServer::new(fake.into()).max_decoding_message_size(usize::MAX);
    let server = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    let api = Api::of(address).await.unwrap();
    let (sender, pieces) = mpsc::channel(READ_AHEAD);
    let read = inputs.to_vec();
    tokio::task::spawn_blocking(move || batches::read(&read, &sender));
    let (tenant, waits) = (tenant(TENANT).unwrap(), [Duration::ZERO; 3]);
    send::all(&api, tenant, inputs, pieces, BackOff::of(&waits)).await
}

#[tokio::test]
async fn every_record_is_accounted_for_and_problems_name_their_place() {
    let mut second = lines(2);
    second.extend(b"bad\n");
    second.extend(lines(1));
    let (_dir, inputs) = files(&[&lines(MAX_RECORDS * 2 + 3), &second]);
    let fake = Fake {
        refusals: AtomicU32::new(2),
        ..Default::default()
    };
    let summary = import(fake, &inputs).await;
    assert!(summary.is_accounted());
    let json: serde_json::Value = serde_json::from_str(&summary.json().unwrap()).unwrap();
    assert_eq!(json["received"], 10_007);
    assert_eq!(json["kept"], 10_006);
    assert_eq!(json["quarantined"], 1);
    assert_eq!(json["revision"], 3);
    assert_eq!(json["changed_messages"], 4);
    assert_eq!(json["accounted"], true);
    assert_eq!(json["files"][0]["records"], 10_003);
    assert_eq!(json["files"][1]["error"], serde_json::Value::Null);
    assert_eq!(json["problems"][0]["file"], inputs[1].name);
    assert_eq!(json["problems"][0]["record"], 3);
    assert_eq!(json["problems"][0]["reason"], "MALFORMED");
    let words = summary.words();
    assert!(words.contains("1 record could not be taken in"), "{words}");
    assert!(words.contains("record 3: MALFORMED: it is bad"), "{words}");
    let command = format!("sentby quarantine list --tenant {TENANT}");
    assert!(words.contains(&command), "{words}");
}

#[tokio::test]
async fn a_refusal_ends_the_import_and_fails_it() {
    let (_dir, inputs) = files(&[&lines(MAX_RECORDS * 20)]);
    let fake = Fake {
        always: Some(BatchError {
            code: Code::FailedPrecondition.into(),
            reason: ErrorReason::ConsentRevoked.into(),
            message: "revoked".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let summary = import(fake, &inputs).await;
    assert!(!summary.is_accounted());
    let complaints = summary.complaints(false);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains(": CONSENT_REVOKED (FAILED_PRECONDITION): revoked"));
}

#[tokio::test]
async fn one_broken_file_fails_the_import_but_not_the_others() {
    let (_dir, mut inputs) = files(&[&lines(2)]);
    inputs.insert(0, Input::of("no-such-file"));
    let summary = import(Fake::default(), &inputs).await;
    assert!(!summary.is_accounted());
    let json: serde_json::Value = serde_json::from_str(&summary.json().unwrap()).unwrap();
    assert_eq!(json["received"], 2);
    assert_eq!(json["accounted"], false);
    assert!(
        json["files"][0]["error"]
            .as_str()
            .unwrap()
            .starts_with("cannot be read")
    );
}

/// What is sent again was stored the first time or not: either way the summary is the same.
#[tokio::test]
async fn a_broken_stream_is_taken_up_again() {
    let (_dir, inputs) = files(&[&lines(MAX_RECORDS * 6)]);
    let fake = Arc::new(Fake {
        breaks: AtomicU32::new(3),
        ..Default::default()
    });
    let summary = import(Arc::clone(&fake), &inputs).await;
    assert!(summary.is_accounted(), "{:?}", summary.complaints(false));
    let json: serde_json::Value = serde_json::from_str(&summary.json().unwrap()).unwrap();
    assert_eq!(json["kept"], 30_000);
    let stored = fake.stored.lock().unwrap();
    assert_eq!(stored.len(), 6, "{:?}", stored.keys());
    assert!(stored.values().any(|response| response.replayed));
}

#[tokio::test]
async fn patience_has_an_end() {
    let (_dir, inputs) = files(&[&lines(MAX_RECORDS * 20)]);
    let fake = Arc::new(Fake {
        refusals: AtomicU32::new(1_000),
        ..Default::default()
    });
    let summary = import(Arc::clone(&fake), &inputs).await;
    assert!(!summary.is_accounted());
    let complaints = summary.complaints(false);
    assert!(
        complaints[0].contains("records 1 to 5,000: "),
        "{complaints:?}"
    );
    assert!(complaints[0].contains("UNAVAILABLE"), "{complaints:?}");
    // the first time and three more, of what was in flight
    let refused = 1_000 - fake.refusals.load(Ordering::SeqCst);
    assert!((4..=16).contains(&refused), "{refused}");
}

#[test]
fn counts_that_do_not_add_up_are_an_error() {
    let inputs = [Input::of("f")];
    let mut summary = Summary::new(tenant(TENANT).unwrap(), &inputs);
    let batch = Batch {
        file: 0,
        first: 1,
        records: vec![b"{}".to_vec().into(); 2],
        progress: 0,
    };
    summary.stored(&batch, &IngestAuditBatchResponse::default());
    summary.ended(0, 2, None);
    summary.close(false);
    assert!(!summary.is_accounted());
    assert!(summary.complaints(false)[0].contains("2 records were sent, 0 received"));
}

/// Scripts rely on the names and their order.
#[test]
fn the_json_of_a_summary_has_a_fixed_shape() {
    let path: PathBuf = Path::new("a.json").into();
    let mut summary = Summary::new(
        tenant(TENANT).unwrap(),
        &[Input::of(path.to_str().unwrap())],
    );
    summary.ended(0, 0, None);
    summary.close(false);
    assert_eq!(
        summary.json().unwrap(),
        r#"{"files":[{"file":"a.json","records":0,"error":null}],"received":0,"kept":0,"repeated":0,"ignored":0,"ignored_operations":{},"quarantined":0,"quarantined_without_copy":0,"problems":[],"problems_omitted":0,"changed_messages":0,"revision":0,"accounted":true,"errors":[]}"#
    );
    summary.close(true);
    assert!(!summary.is_accounted());
    assert!(summary.complaints(true)[0].contains("Run the same command again"));
}

/// On the real services, over a SQLite file.
#[tokio::test]
async fn registering_again_neither_revives_a_consent_nor_takes_names_away() {
    use crate::{config::DatabaseUrl, server};
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::defaults();
    config.database = DatabaseUrl::Sqlite(dir.path().join("s.db"));
    let api = Api::over(server::in_process(server::open(&config).await.unwrap()));
    let id = tenant(TENANT).unwrap();

    register::tenant(&api, id).await.unwrap();
    let shared = ["support@contoso.com".to_owned()];
    register::shared_mailboxes(&api, id, &shared).await.unwrap();
    let named = pb::PutMailboxesRequest {
        tenant_id: TENANT.into(),
        mailboxes: vec![pb::Mailbox {
            address: shared[0].clone(),
            kind: pb::MailboxKind::Shared.into(),
            display_name: "Support".into(),
            ..Default::default()
        }],
        remove: vec![],
    };
    api.tenants().put_mailboxes(named).await.unwrap();
    let revoke = pb::RevokeConsentRequest {
        tenant_id: TENANT.into(),
        revoked_at: None,
    };
    api.tenants().revoke_consent(revoke).await.unwrap();

    register::tenant(&api, id).await.unwrap();
    register::shared_mailboxes(&api, id, &shared).await.unwrap();
    let list = pb::ListMailboxesRequest {
        tenant_id: TENANT.into(),
        ..Default::default()
    };
    let listed = api
        .tenants()
        .list_mailboxes(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.mailboxes[0].display_name, "Support");

    let (_dir, inputs) = files(&[&lines(1)]);
    let (sender, pieces) = mpsc::channel(READ_AHEAD);
    let read = inputs.clone();
    tokio::task::spawn_blocking(move || batches::read(&read, &sender));
    let summary = send::all(&api, id, &inputs, pieces, BackOff::of(&[])).await;
    let complaints = summary.complaints(false);
    assert!(complaints[0].contains("CONSENT_REVOKED"), "{complaints:?}");
    assert!(!summary.is_accounted());
}
