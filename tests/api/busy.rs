//! More calls than the server works on, and callers whose time is up.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        TENANT, TestDb, register,
        wire::{Flow, Wire},
    },
};
use sentby::{
    app::{admission::MAX_STREAMS, places::MAX_CALLS, watch_attributions::MAX_WATCHES},
    config::DatabaseUrl,
    domain::TenantId,
    pb::{
        self, attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient,
        stream_audit_batches_response::Result as Outcome,
        tenant_service_client::TenantServiceClient,
    },
};
use sqlx::postgres::PgConnectOptions;
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;
use uuid::Uuid;

fn with_time<T>(message: T, time: &str) -> Request<T> {
    let mut request = Request::new(message);
    let time = time.parse().expect("a value");
    request.metadata_mut().insert("grpc-timeout", time);
    request
}

/// A tenant whose writes take long has no more calls in progress than half of what there may
/// be; what is beyond is refused at once and not done, and all others are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_tenant_takes_no_places_of_others() {
    let db = TestDb::sqlite().await;
    let server = TestServer::with_tenant(&db).await;
    let others: Vec<TenantId> = (1..10).map(|n| TenantId(Uuid::from_u128(n))).collect();
    for tenant in &others {
        register(&server.app, *tenant).await;
    }
    // somebody else holds the one write lock of the file
    let other = db.app().await;
    let held = other.store().begin(TENANT).await.expect("begun");
    let mut noisy = JoinSet::new();
    for connection in 0..4 {
        let channel = Channel::from_shared(format!("http://{}", server.address)).expect("a URI");
        let channel = channel.connect().await.expect("connected");
        for n in 0..190 {
            let mut tenants = TenantServiceClient::new(channel.clone());
            noisy.spawn(async move {
                let mailbox = pb::Mailbox {
                    address: format!("m{connection}-{n}@contoso.com"),
                    kind: pb::MailboxKind::Shared.into(),
                    ..Default::default()
                };
                let put = pb::PutMailboxesRequest {
                    tenant_id: TENANT.to_string(),
                    mailboxes: vec![mailbox],
                    ..Default::default()
                };
                tenants.put_mailboxes(put).await
            });
        }
    }
    // those beyond are refused while nothing is done
    let mut refused = 0;
    while refused < 4 * 190 - MAX_CALLS / 2 {
        let done = noisy.join_next().await.expect("more").expect("no panic");
        let status = done.expect_err("nothing can be done");
        assert_eq!(
            reason(&status),
            (Code::ResourceExhausted, "OVERLOADED".into())
        );
        let retry = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        assert!(retry.is_some(), "{status:?}");
        refused += 1;
    }
    for _ in 0..20 {
        for tenant in &others {
            let get = pb::GetTenantRequest {
                tenant_id: tenant.to_string(),
                ..Default::default()
            };
            server.tenants().get_tenant(get).await.expect("answered");
        }
        let mut health = HealthClient::new(server.channel.clone());
        let asked = HealthCheckRequest::default();
        health.check(asked).await.expect("answered");
    }
    drop(held);
    let done = noisy.join_all().await;
    let done: usize = done.into_iter().filter(Result::is_ok).count();
    assert_eq!(done, MAX_CALLS / 2, "who had a place was served");
    let stored = "SELECT count(*) FROM mailbox WHERE tenant_id = $1";
    assert_eq!(db.number(stored, TENANT).await, done as i64);
}

#[track_caller]
fn gives_way(status: &Status, why: &str) {
    assert_eq!(reason(status), (Code::ResourceExhausted, why.into()));
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

/// Calls of one connection at a time.
const A_CONNECTION: usize = 190;

async fn connect(server: &TestServer) -> Channel {
    let channel = Channel::from_shared(format!("http://{}", server.address)).expect("a URI");
    channel.connect().await.expect("connected")
}

/// A watch that stays.
async fn watch(
    channel: &Channel,
    tenant: TenantId,
) -> Result<Streaming<pb::WatchAttributionsResponse>, Status> {
    let position = pb::WatchPosition {
        tenant_id: tenant.to_string(),
        ..Default::default()
    };
    let watch = pb::WatchAttributionsRequest {
        positions: vec![position],
        follow: true,
        ..Default::default()
    };
    let opened = AttributionServiceClient::new(channel.clone())
        .watch_attributions(watch)
        .await;
    Ok(opened?.into_inner())
}

/// A tenant that opens watches without end has half of what there may be; whoever else wants to
/// watch is let in, and told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_tenant_takes_no_watches_of_others() {
    let db = TestDb::sqlite().await;
    let server = TestServer::with_tenant(&db).await;
    let mut noisy = JoinSet::new();
    for _ in 0..MAX_WATCHES / 2 / A_CONNECTION + 2 {
        let channel = connect(&server).await;
        // one after the other: all at once would be too many calls
        noisy.spawn(async move {
            let mut opened = Vec::new();
            for _ in 0..A_CONNECTION {
                opened.push(watch(&channel, TENANT).await);
            }
            opened
        });
    }
    let opened = noisy.join_all().await.into_iter().flatten();
    let (open, refused): (Vec<_>, Vec<_>) = opened.partition(Result::is_ok);
    assert_eq!(open.len(), MAX_WATCHES / 2);
    for refused in refused {
        gives_way(&refused.expect_err("refused"), "TOO_MANY_STREAMS");
    }
    for n in 1..=100 {
        let tenant = TenantId(Uuid::from_u128(n));
        register(&server.app, tenant).await;
        let mut watch = watch(&server.channel, tenant).await.expect("a place");
        let first = watch.message().await.expect("no error");
        assert!(!first.expect("the position").resume_token.is_empty());
    }
    // one that leaves makes room, as soon as the server knows
    drop(open);
    let again = tokio::time::timeout(Duration::from_secs(60), async {
        while watch(&server.channel, TENANT).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    again.await.expect("a place");
}

/// A stream of batches and its first answer. Its sender keeps it open.
type BatchStream = (
    mpsc::Sender<pb::StreamAuditBatchesRequest>,
    Streaming<pb::StreamAuditBatchesResponse>,
);

async fn batch_stream(channel: &Channel, tenant: TenantId) -> Result<BatchStream, Status> {
    let (sender, batches) = mpsc::channel(1);
    let batch = pb::IngestAuditBatchRequest {
        tenant_id: tenant.to_string(),
        content: "[]".into(),
        ..Default::default()
    };
    let message = pb::StreamAuditBatchesRequest {
        sequence: 7,
        batch: Some(batch),
    };
    sender.send(message).await.expect("room");
    let opened = IngestServiceClient::new(channel.clone())
        .stream_audit_batches(ReceiverStream::new(batches))
        .await;
    let mut answers = opened?.into_inner();
    let answer = answers.message().await?.expect("an answer");
    assert!(
        matches!(answer.result, Some(Outcome::Response(_))),
        "{answer:?}"
    );
    Ok((sender, answers))
}

/// The same of streams of batches; one that sends nothing takes no place of those that do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_tenant_takes_no_streams_of_batches_of_others() {
    let db = TestDb::sqlite().await;
    let server = TestServer::with_tenant(&db).await;
    let mut silent = Vec::new();
    let quiet = connect(&server).await;
    for _ in 0..2 * MAX_STREAMS {
        let (sender, batches) = mpsc::channel::<pb::StreamAuditBatchesRequest>(1);
        let opened = IngestServiceClient::new(quiet.clone())
            .stream_audit_batches(ReceiverStream::new(batches))
            .await;
        silent.push((sender, opened.expect("opened")));
    }
    let mut noisy = JoinSet::new();
    for _ in 0..5 * MAX_STREAMS {
        let channel = server.channel.clone();
        noisy.spawn(async move { batch_stream(&channel, TENANT).await });
    }
    let (open, refused): (Vec<_>, Vec<_>) =
        noisy.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(open.len(), MAX_STREAMS / 2);
    for refused in refused {
        gives_way(&refused.expect_err("refused"), "OVERLOADED");
    }
    let mut others = Vec::new();
    for n in 1..=10 {
        let tenant = TenantId(Uuid::from_u128(n));
        register(&server.app, tenant).await;
        others.push(batch_stream(&quiet, tenant).await.expect("a place"));
    }
    // those that were let in go on
    for stream in open {
        let (sender, mut answers) = stream.expect("open");
        drop(sender);
        assert!(answers.message().await.expect("its end").is_none());
    }
    batch_stream(&quiet, TENANT).await.expect("a place again");
}

async fn list(channel: &Channel, tenant: TenantId) -> Result<(), Status> {
    let list = pb::ListAttributionsRequest {
        tenant_id: tenant.to_string(),
        start: timestamp("2026-03-01T00:00:00Z"),
        end: timestamp("2026-04-01T00:00:00Z"),
        ..Default::default()
    };
    let mut attributions = AttributionServiceClient::new(channel.clone());
    attributions.list_attributions(list).await.map(drop)
}

/// Where a tenant asks for more ranges than the database gives, and goes on so, what would only
/// wait is refused; another tenant's is not, and neither is its own when that is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walks_in_vain_are_not_begun() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!("a Postgres")
    };
    let options: PgConnectOptions = url.parse().expect("a URL");
    let wire = Wire::to(options.get_port()).await;
    let [old, new] = [options.get_port(), wire.port].map(|port| format!(":{port}/"));
    let slow = TestDb::other(&db, url.replace(&old, &new));
    let server = TestServer::with_tenant(&slow).await;
    let other = TenantId(Uuid::from_u128(1));
    register(&server.app, other).await;
    wire.set(Flow::Slow(Duration::from_millis(50)));
    let mut noisy = JoinSet::new();
    for _ in 0..12 {
        let channel = server.channel.clone();
        noisy.spawn(async move {
            loop {
                if let Err(status) = list(&channel, TENANT).await {
                    return status;
                }
            }
        });
    }
    let refused = tokio::time::timeout(Duration::from_secs(60), noisy.join_next());
    let refused = refused.await.expect("refused").expect("one of them");
    gives_way(&refused.expect("no panic"), "OVERLOADED");
    list(&server.channel, other).await.expect("not its doing");
    noisy.shutdown().await;
    wire.set(Flow::Pass);
    let again = tokio::time::timeout(Duration::from_secs(60), async {
        while let Err(status) = list(&server.channel, TENANT).await {
            gives_way(&status, "OVERLOADED");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    again.await.expect("answered again");
}

on_both_engines! {
    /// A stream ends when its caller's time does; what was done until then is answered.
    async fn a_stream_ends_in_time(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let begun = Instant::now();
        let position = pb::WatchPosition { tenant_id: TENANT.to_string(), ..Default::default() };
        let watch = pb::WatchAttributionsRequest {
            positions: vec![position],
            follow: true,
            ..Default::default()
        };
        let watch = server.attributions().watch_attributions(with_time(watch, "3S")).await;
        let mut watch = watch.expect("opened").into_inner();
        let first = watch.message().await.expect("no error").expect("the position");
        assert!(!first.resume_token.is_empty());
        let status = watch.message().await.expect_err("in time");
        assert_eq!(reason(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
        assert!(begun.elapsed() < Duration::from_secs(10));

        let (sender, batches) = mpsc::channel(1);
        let batches = with_time(ReceiverStream::new(batches), "3S");
        let batch = pb::IngestAuditBatchRequest { tenant_id: TENANT.to_string(), content: "[]".into(), ..Default::default() };
        let message = pb::StreamAuditBatchesRequest { sequence: 7, batch: Some(batch) };
        sender.send(message).await.expect("taken");
        let answers = server.ingest().stream_audit_batches(batches).await;
        let mut answers = answers.expect("opened").into_inner();
        let answer = answers.message().await.expect("no error").expect("an answer");
        assert!(matches!(answer.result, Some(Outcome::Response(_))), "{answer:?}");
        let status = answers.message().await.expect_err("in time");
        assert_eq!(reason(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
        drop(sender);
    }

    /// What cannot be done in the time that is left is not begun.
    async fn too_little_time_is_none(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for time in ["9m", "1n", "0S"] {
            let put = pb::PutMailboxesRequest {
                tenant_id: TENANT.to_string(),
                mailboxes: vec![pb::Mailbox {
                    address: "late@contoso.com".into(),
                    kind: pb::MailboxKind::Shared.into(),
                    ..Default::default()
                }],
                ..Default::default()
            };
            let late = server.tenants().put_mailboxes(with_time(put, time)).await;
            // a client of our kind may give up by itself
            let code = late.expect_err("too late").code();
            assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{time}: {code:?}");
        }
        let stored = "SELECT count(*) FROM mailbox WHERE tenant_id = $1";
        assert_eq!(db.number(stored, TENANT).await, 0);
    }

    /// What a server is and takes.
    async fn a_server_tells_what_it_takes(db: TestDb) {
        let server = TestServer::start(&db).await;
        let mut admin = pb::admin_service_client::AdminServiceClient::new(server.channel.clone());
        let info = admin.get_server_info(pb::GetServerInfoRequest {}).await;
        let info = info.expect("answered").into_inner();
        assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
        let versions = info.oldest_schema_version..=info.newest_schema_version;
        assert!(versions.contains(&info.schema_version.expect("a schema")), "{info:?}");
        let limits = info.limits.expect("limits");
        assert_eq!((limits.batch_bytes, limits.batch_records), (16 << 20, 10_000));
        assert_eq!((limits.message_bytes, limits.lookup_ids, limits.page_rows), (4 << 20, 1_000, 1_000));
        assert_eq!((limits.connections, limits.ingest_bytes), (1_000, 32 << 20));
        assert_eq!((limits.watches, limits.batch_streams, limits.tenant_percent), (2_000, 32, 50));
        let told: Vec<&str> = info.settings.iter().map(|setting| setting.name.as_str()).collect();
        let known: Vec<&str> = sentby::config::SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(told, known);
        assert!(info.server_time.expect("a time").seconds > timestamp("2026-01-01T00:00:00Z").expect("a time").seconds);
    }
}
