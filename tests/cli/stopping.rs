//! A stop ends, whoever hangs on: in time, in order, and without losing what was acknowledged.

use super::support::{
    TENANT,
    process::{Server, database, ended, sentby},
    raw::{DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PREFACE, Raw, head},
    records::{Record, blob},
    register,
};
use crate::on_both_engines;
use bytes::{BufMut as _, BytesMut};
use prost::Message as _;
use sentby::pb::{
    self, attribution_service_client::AttributionServiceClient,
    ingest_service_client::IngestServiceClient,
};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

/// From the signal to the end of the process.
const LONGEST: Duration = Duration::from_secs(12);

fn batch(n: u128) -> pb::IngestAuditBatchRequest {
    let id = format!("<S{n}@x>");
    let record = Record::mailbox_side(n + 1, "anna@contoso.com", &id, "2026-03-01T09:00:00");
    pb::IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        content: blob(&[record]).into(),
        ..Default::default()
    }
}

fn call(stream: u32, method: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    let head = Frame::new(HEADERS, END_HEADERS, stream, head(method));
    let data = Frame::new(DATA, END_STREAM, stream, bytes.to_vec());
    [head.bytes(), data.bytes()].concat()
}

/// A hundred that hang on: streams that nobody reads, connections that say nothing or half of
/// it, calls without an end.
async fn hung(address: &str) -> Vec<Raw> {
    let watch = pb::WatchAttributionsRequest {
        positions: vec![pb::WatchPosition {
            tenant_id: TENANT.to_string(),
            ..Default::default()
        }],
        follow: true,
        ..Default::default()
    };
    let range = pb::StreamAttributionsRequest {
        tenant_id: TENANT.to_string(),
        start: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
        end: Some("2027-01-01T00:00:00Z".parse().expect("a time")),
        ..Default::default()
    };
    let (watch, range) = (watch.encode_to_vec(), range.encode_to_vec());
    let mut hung = Vec::new();
    // no window at all for what they are answered
    let no_window = [0, 4, 0, 0, 0, 0];
    for connection in 0..10 {
        let (mut raw, _) = Raw::open_with(address, &no_window).await;
        for n in 0..8 {
            let (method, message) = match (connection, n) {
                (_, 0) => ("AttributionService/StreamAttributions", &range),
                _ => ("AttributionService/WatchAttributions", &watch),
            };
            raw.send_bytes(&call(2 * n + 1, method, message))
                .await
                .expect("sent");
        }
        raw.next_of(HEADERS, 15).await.expect("opened");
        hung.push(raw);
    }
    for n in 0..20 {
        let mut raw = Raw::connect(address).await;
        match n % 4 {
            0 => {}
            1 => raw.send_bytes(&PREFACE[..10]).await.expect("sent"),
            2 => raw.send_bytes(PREFACE).await.expect("sent"),
            _ => {
                let (mut half, _) = Raw::open(address).await;
                let method = "IngestService/IngestAuditBatch";
                let head = Frame::new(HEADERS, END_HEADERS, 1, head(method));
                half.send_bytes(&head.bytes()).await.expect("sent");
                hung.push(half);
            }
        }
        hung.push(raw);
    }
    hung
}

on_both_engines! {
    async fn a_stop_ends_with_a_hundred_who_hang_on(db: TestDb) {
        let other = db.app().await;
        register(&other, TENANT).await;
        let server = Server::start(&database(&db.config.database));
        let channel = Channel::from_shared(server.url.clone()).expect("a URI");
        let channel = channel.connect().await.expect("connected");
        let hung = hung(&server.address).await;

        // one that writes until it is told
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let writing = tokio::spawn({
            let (channel, acknowledged) = (channel.clone(), Arc::clone(&acknowledged));
            async move {
                let mut ingest = IngestServiceClient::new(channel);
                for n in 0.. {
                    if ingest.ingest_audit_batch(batch(n)).await.is_err() {
                        return;
                    }
                    acknowledged.lock().expect("no panic").push(n);
                }
            }
        });
        let is_written = async || {
            while acknowledged.lock().expect("no panic").len() < 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), is_written()).await.expect("it writes");
        // one that reads a watch
        let watch = pb::WatchAttributionsRequest {
            positions: vec![pb::WatchPosition { tenant_id: TENANT.to_string(), ..Default::default() }],
            follow: true,
            ..Default::default()
        };
        let mut watch = AttributionServiceClient::new(channel.clone())
            .watch_attributions(watch)
            .await
            .expect("opened")
            .into_inner();
        let mut token = watch.message().await.expect("no error").expect("a change").resume_token;
        // and one that is told how the server is
        let mut health = HealthClient::new(channel.clone())
            .watch(HealthCheckRequest::default())
            .await
            .expect("opened")
            .into_inner();
        let mut is_serving = async |status: ServingStatus| {
            while let Ok(Some(told)) = health.message().await {
                if told.status() == status {
                    return true;
                }
            }
            false
        };
        assert!(is_serving(ServingStatus::Serving).await);
        // a call that is in progress when the signal comes, for somebody else has the lock
        let held = other.store().begin(TENANT).await.expect("begun");
        let in_progress = tokio::spawn({
            let mut ingest = IngestServiceClient::new(channel.clone());
            async move { ingest.ingest_audit_batch(batch(1_000_000)).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;

        let begun = Instant::now();
        let stopping = tokio::task::spawn_blocking(move || server.stop());
        assert!(is_serving(ServingStatus::NotServing).await, "health tells first");
        let last = loop {
            match watch.message().await {
                Ok(Some(more)) => token = more.resume_token,
                Ok(None) => panic!("it ends without a word"),
                Err(status) => break status,
            }
        };
        let info = last.get_details_error_info().expect("a reason");
        assert_eq!((last.code(), &*info.reason), (Code::Unavailable, "SERVER_STOPPING"));
        assert!(last.get_details_retry_info().is_some() && !token.is_empty());
        drop(held);
        in_progress.await.expect("no panic").expect("what is in progress is answered");
        let code = stopping.await.expect("no panic");
        let took = begun.elapsed();
        println!("ended after {took:?}");
        assert_eq!(code, Some(0));
        assert!(took < LONGEST, "{took:?}");
        writing.await.expect("no panic");
        drop(hung);

        let numbers = acknowledged.lock().expect("no panic").clone();
        let stored = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        let stored = db.number(stored, TENANT).await;
        // one more may be stored that nobody was told of
        assert!(stored > numbers.len() as i64, "{stored} of {}", numbers.len());
        let ids: Vec<_> = numbers.iter().map(|n| sentby::domain::MessageId::parse(&format!("S{n}@x")).expect("an id").key()).collect();
        for ids in ids.chunks(1_000) {
            let found = other.store().answers(TENANT, ids).await.expect("read").expect("a tenant");
            assert_eq!(found.value.len(), ids.len(), "nothing that was acknowledged is lost");
        }
    }
}

/// As the first process of a container, where no signal has an effect by itself.
#[test]
fn it_also_stops_as_the_first_process() {
    let apart = ["--user", "--map-root-user", "--pid", "--fork"];
    let allowed = Command::new("unshare").args(apart).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this machine lets nobody make a process space of its own");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let database = super::support::process::url(&folder.path().join("first.db"));
    let serve = sentby(&["serve", "--listen", "127.0.0.1:0", "--database", &database]);
    let mut unshare = Command::new("unshare");
    for (name, _) in serve.get_envs() {
        unshare.env_remove(name);
    }
    let mut unshare = unshare
        .args(apart)
        .arg("--kill-child")
        .arg(serve.get_program())
        .args(serve.get_args())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = BufReader::new(unshare.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        let count = log.read_line(&mut line).expect("a log");
        assert!(count > 0, "it ended");
    }
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let child = std::fs::read_to_string(children).expect("a child");
    let begun = Instant::now();
    let kill = format!("kill -TERM {}", child.trim());
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.expect("a shell").success());
    assert_eq!(ended(&mut unshare), Some(0));
    assert!(begun.elapsed() < LONGEST);
}
