//! Streams that are open while their caller loses what it may.

use super::site::{
    Site, only, permission_denied, refused, token, token_caller, unauthenticated, with_token,
};
use crate::support::{OTHER_TENANT, TENANT};
use sentby::{
    access::TokenHash,
    domain::TenantId,
    pb::{
        self, attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient,
        stream_audit_batches_response::Result as Outcome,
    },
};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

const SOON: Duration = Duration::from_millis(1_500);

/// A watch that has told where the tenant is, and has nothing to tell now.
async fn quiet_watch(
    channel: &Channel,
    token: &str,
    tenants: &[TenantId],
) -> Streaming<pb::WatchAttributionsResponse> {
    let positions = tenants.iter().map(|tenant| pb::WatchPosition {
        tenant_id: tenant.to_string(),
        ..Default::default()
    });
    let request = pb::WatchAttributionsRequest {
        positions: positions.collect(),
        follow: true,
        ..Default::default()
    };
    let mut client = AttributionServiceClient::new(channel.clone());
    let watched = client
        .watch_attributions(with_token(request, Some(token)))
        .await;
    let mut watched = watched.expect("watched").into_inner();
    for _ in tenants {
        assert!(
            watched
                .message()
                .await
                .expect("told")
                .expect("one")
                .caught_up
        );
    }
    watched
}

/// How it ends, and how long that took.
async fn end<T>(mut stream: Streaming<T>) -> (Result<(), Status>, Duration) {
    let start = Instant::now();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.message()).await;
    let end = end.expect("it ends").map(|_| ());
    (end, start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_watch_ends_with_its_grant() {
    let (one, other) = (token(), token());
    let others = token_caller("other", "reader", &other);
    let ones = token_caller("one", "reader", &one);
    let both = ones.clone() + &only(&[TENANT, OTHER_TENANT]) + &others;
    let site = Site::start(&both).await;
    let channel = site.channel().await;
    let unconcerned = quiet_watch(&channel, &other, &[TENANT]).await;
    // a tenant of two
    let watch = quiet_watch(&channel, &one, &[TENANT, OTHER_TENANT]).await;
    site.files
        .write("callers.toml", &(ones.clone() + &only(&[TENANT]) + &others));
    let (ended, took) = end(watch).await;
    assert_eq!(refused(ended), permission_denied());
    assert!(took < SOON, "{took:?}");
    // the role
    let watch = quiet_watch(&channel, &one, &[TENANT]).await;
    site.files.write(
        "callers.toml",
        &(ones.replace("reader", "operator") + &others),
    );
    let (ended, took) = end(watch).await;
    assert_eq!(refused(ended), permission_denied());
    assert!(took < SOON, "{took:?}");
    // the token, by the clock
    let expires = SystemTime::now() + Duration::from_secs(3);
    let expires = prost_types::Timestamp::from(expires).to_string();
    let hash = TokenHash::of(&one);
    let short = format!("{{ hash = '{hash}', expires = {expires} }}");
    site.files.write(
        "callers.toml",
        &(ones.replace(&format!("'{hash}'"), &short) + &others),
    );
    super::site::until(&channel, &one, Code::Ok).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let watch = quiet_watch(&channel, &one, &[TENANT]).await;
    let (ended, took) = end(watch).await;
    assert_eq!(refused(ended), unauthenticated());
    assert!(took < Duration::from_secs(3), "{took:?}");
    // all of it concerned one caller alone
    let still = tokio::time::timeout(Duration::from_millis(200), end(unconcerned)).await;
    assert!(still.is_err(), "{still:?}");
}

/// Each batch of a stream is its tenant's; what is not granted fails alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_batches_is_checked_batch_by_batch() {
    let (one, other) = (token(), token());
    let ones = token_caller("one", "collector", &one);
    let others = token_caller("other", "reader", &other);
    let site = Site::start(&(ones.clone() + &only(&[TENANT]) + &others)).await;
    let mut client = IngestServiceClient::new(site.channel().await);
    let (sender, batches) = mpsc::channel(8);
    let request = with_token(ReceiverStream::new(batches), Some(&one));
    let answers = client.stream_audit_batches(request).await.expect("open");
    let mut answers = answers.into_inner();
    let mut sequence = 0;
    let mut send = async |tenant: TenantId| {
        sequence += 1;
        let batch = pb::IngestAuditBatchRequest {
            tenant_id: tenant.to_string(),
            content: (&b"[]"[..]).into(),
            ..Default::default()
        };
        let batch = Some(batch);
        let message = pb::StreamAuditBatchesRequest { sequence, batch };
        sender.send(message).await.expect("it reads");
        let answer = answers.message().await.expect("answered").expect("one");
        assert_eq!(answer.sequence, sequence);
        match answer.result.expect("a result") {
            Outcome::Response(_) => "stored".to_owned(),
            Outcome::Error(error) => error.reason().as_str_name().to_owned(),
        }
    };
    assert_eq!(send(TENANT).await, "stored");
    assert_eq!(send(OTHER_TENANT).await, "ERROR_REASON_PERMISSION_DENIED");
    assert_eq!(send(TENANT).await, "stored", "the stream goes on");
    // granted meanwhile
    site.files
        .write("callers.toml", &(ones + &only(&[OTHER_TENANT]) + &others));
    let start = Instant::now();
    while send(OTHER_TENANT).await != "stored" {
        assert!(start.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(send(TENANT).await, "ERROR_REASON_PERMISSION_DENIED");
    // and all of it taken away, while nothing is sent
    site.files.write("callers.toml", &others);
    let (ended, took) = end(answers).await;
    assert_eq!(refused(ended), unauthenticated());
    assert!(took < SOON, "{took:?}");
}
