//! Processes that start before their database, and go on after it.

use crate::support::{
    TENANT,
    postgres::Postgres,
    process::{Server, run, succeeded},
};
use sentby::pb::{
    GetAttributionRequest, RegisterTenantRequest,
    attribution_service_client::AttributionServiceClient,
    tenant_service_client::TenantServiceClient,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, time::sleep};
use tonic::{Code, Status, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn channel(server: &Server) -> Channel {
    let endpoint = Channel::from_shared(server.url.clone()).expect("a URI");
    endpoint.connect().await.expect("connected")
}

async fn is_serving(channel: &Channel) -> bool {
    let mut health = HealthClient::new(channel.clone());
    let asked = health.check(HealthCheckRequest::default()).await;
    asked.expect("answered").into_inner().status == ServingStatus::Serving as i32
}

async fn until_serving(channel: &Channel) -> Instant {
    let until = Instant::now() + PATIENCE;
    while !is_serving(channel).await {
        assert!(Instant::now() < until, "it does not serve");
        sleep(Duration::from_millis(10)).await;
    }
    Instant::now()
}

async fn get(channel: &Channel) -> Result<(), Status> {
    let request = GetAttributionRequest {
        tenant_id: TENANT.to_string(),
        message_id: "<A@x>".into(),
        ..Default::default()
    };
    let mut client = AttributionServiceClient::new(channel.clone());
    match client.get_attribution(request).await {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        other => other.map(drop),
    }
}

async fn register(channel: &Channel) {
    let request = RegisterTenantRequest {
        tenant_id: TENANT.to_string(),
        consented_at: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
        ..Default::default()
    };
    let mut client = TenantServiceClient::new(channel.clone());
    client.register_tenant(request).await.expect("registered");
}

/// Asks as fast as it fails, for so long: the slowest call. Each must fail as unavailable.
async fn fails_fast(channel: &Channel, how_long: Duration, callers: usize) -> (usize, Duration) {
    let since = Instant::now();
    let calls = (0..callers).map(|_| async {
        let (mut count, mut slowest) = (0, Duration::ZERO);
        while since.elapsed() < how_long {
            let asked = Instant::now();
            let status = get(channel).await.expect_err("there is no database");
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            slowest = slowest.max(asked.elapsed());
            count += 1;
            sleep(Duration::from_millis(5)).await;
        }
        (count, slowest)
    });
    let calls = futures_util::future::join_all(calls).await;
    let count = calls.iter().map(|(count, _)| count).sum();
    (
        count,
        calls
            .iter()
            .map(|(_, slowest)| *slowest)
            .max()
            .expect("some"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_waits_for_its_database_and_outlives_it() {
    let Some(mut postgres) = Postgres::prepare().await else {
        return;
    };
    let since = Instant::now();
    let server = Server::start(&postgres.url());
    println!(
        "listens {:?} after its start, without a database",
        since.elapsed()
    );
    let channel = channel(&server).await;
    assert!(!is_serving(&channel).await);
    let (count, slowest) = fails_fast(&channel, Duration::from_secs(1), 8).await;
    println!("{count} calls failed, the slowest took {slowest:?}");
    assert!(
        count > 50 && slowest < Duration::from_secs(1),
        "{count} {slowest:?}"
    );

    // a port where connections are counted, and no database
    let counted = Arc::<AtomicUsize>::default();
    let listener = TcpListener::bind(("127.0.0.1", postgres.port)).await;
    let listener = listener.expect("the port of the database");
    let counting = tokio::spawn({
        let counted = Arc::clone(&counted);
        async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Relaxed);
            }
        }
    });
    fails_fast(&channel, Duration::from_secs(3), 40).await;
    counting.abort();
    let _ = counting.await;
    let connects = counted.load(Relaxed);
    println!("{connects} connections in 3 s, of 40 callers");
    assert!((1..=30).contains(&connects), "{connects}");

    postgres.start().await;
    sleep(Duration::from_secs(1)).await;
    assert!(!is_serving(&channel).await, "there is no schema yet");
    succeeded(&run(&["migrate", "--database", &postgres.url()]));
    let migrated = Instant::now();
    let serving = until_serving(&channel).await;
    println!("serves {:?} after the migration", serving - migrated);
    assert!(serving - migrated < Duration::from_secs(3));
    register(&channel).await;
    get(&channel).await.expect("served");

    for (how, crash) in [("stopped", false), ("killed", true)] {
        if crash {
            postgres.crash();
        } else {
            postgres.stop();
        }
        let ended = Instant::now();
        while get(&channel).await.is_ok() {} // of connections that were not asked yet
        let mut noticed = None;
        while noticed.is_none() {
            noticed = (!is_serving(&channel).await).then(Instant::now);
            assert!(ended.elapsed() < PATIENCE, "it is not noticed");
        }
        sleep(Duration::from_millis(600)).await;
        let (count, slowest) = fails_fast(&channel, Duration::from_secs(1), 8).await;
        println!(
            "{how}: NOT_SERVING after {:?}; {count} calls failed, the slowest took {slowest:?}",
            noticed.expect("noticed") - ended
        );
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        let answers = postgres.start().await;
        while get(&channel).await.is_err() {
            assert!(answers.elapsed() < PATIENCE, "it does not come back");
            sleep(Duration::from_millis(5)).await;
        }
        let first = answers.elapsed();
        until_serving(&channel).await;
        println!(
            "{how}: first OK {first:?} after it answers, SERVING {:?}",
            answers.elapsed()
        );
        assert!(first < Duration::from_secs(3), "{first:?}");
    }
    assert_eq!(server.stop(), Some(0));
}

/// What another program than `serve` says at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_says_at_once_why_the_database_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let since = Instant::now();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let failed = run(&["migrate", "--database", &url]);
    assert_eq!(failed.status.code(), Some(1));
    let words = String::from_utf8(failed.stderr).expect("text");
    assert!(words.contains("onnection refused"), "{words}");
    assert!(
        since.elapsed() < Duration::from_secs(4),
        "{:?}",
        since.elapsed()
    );
}
