//! A database that takes everything and answers nothing: every call ends within its caller's
//! time, health says so, and all is well as soon as it answers again.

use crate::{
    stage::{Client, Message, Replica},
    support::{
        TENANT, TestDb,
        again::{is_own_clock, told_in_time},
        postgres::Postgres,
        wire::{Flow, Wire},
    },
};
use sentby::{
    config::DatabaseUrl,
    pb::{
        self, attribution_service_client::AttributionServiceClient,
        coverage_service_client::CoverageServiceClient, ingest_service_client::IngestServiceClient,
        tenant_service_client::TenantServiceClient,
    },
};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// What each caller gives a call.
const TIME: Duration = Duration::from_millis(1_000);
/// An answer comes before it is over; a busy machine may be late with it.
const LATE: Duration = Duration::from_millis(500);

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let time = format!("{}m", TIME.as_millis());
    let time = time.parse().expect("a value");
    request.metadata_mut().insert("grpc-timeout", time);
    request
}

/// A call of each kind, at the same time; how each ended, and after how long.
pub async fn calls(channel: &Channel) -> Vec<(&'static str, Result<(), Status>, Duration)> {
    let tenant_id = TENANT.to_string();
    let range = pb::ListAttributionsRequest {
        tenant_id: tenant_id.clone(),
        start: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
        end: Some("2027-01-01T00:00:00Z".parse().expect("a time")),
        ..Default::default()
    };
    let summary = pb::SummarizeAgentsRequest {
        tenant_id: tenant_id.clone(),
        start: range.start,
        end: range.end,
        bucket: pb::Bucket::Day.into(),
        time_zone: "UTC".into(),
        ..Default::default()
    };
    let lookup = pb::LookupAttributionsRequest {
        tenant_id: tenant_id.clone(),
        message_ids: vec!["a@x".into()],
        ..Default::default()
    };
    let tenant = pb::GetTenantRequest {
        tenant_id: tenant_id.clone(),
        ..Default::default()
    };
    let coverage = pb::GetCoverageRequest {
        tenant_id: tenant_id.clone(),
        ..Default::default()
    };
    let batch = pb::IngestAuditBatchRequest {
        tenant_id: tenant_id.clone(),
        content: "[]".into(),
        ..Default::default()
    };
    let put = pb::PutMailboxesRequest {
        tenant_id,
        ..Default::default()
    };
    let mut calls = JoinSet::new();
    macro_rules! call {
        ($client:ident . $method:ident ( $message:expr )) => {{
            let mut client = $client::new(channel.clone());
            let message = request($message);
            calls.spawn(async move {
                let begun = Instant::now();
                let done = client.$method(message).await.map(drop);
                (stringify!($method), done, begun.elapsed())
            });
        }};
    }
    call!(AttributionServiceClient.lookup_attributions(lookup));
    call!(AttributionServiceClient.list_attributions(range));
    call!(AttributionServiceClient.summarize_agents(summary));
    call!(TenantServiceClient.get_tenant(tenant));
    call!(TenantServiceClient.put_mailboxes(put));
    call!(CoverageServiceClient.get_coverage(coverage));
    call!(IngestServiceClient.ingest_audit_batch(batch));
    calls.join_all().await
}

async fn health(channel: &Channel) -> ServingStatus {
    let mut client = HealthClient::new(channel.clone());
    let answer = client.check(HealthCheckRequest::default()).await;
    answer
        .expect("health is always answered")
        .into_inner()
        .status()
}

async fn until_health_is(channel: &Channel, status: ServingStatus, within: Duration) {
    let begun = Instant::now();
    while health(channel).await != status {
        assert!(begun.elapsed() < within, "not {status:?} within {within:?}");
        sleep(Duration::from_millis(50)).await;
    }
    println!("{status:?} after {:?}", begun.elapsed());
}

/// All of them are done, at the first time or soon.
async fn until_all_is_well(channel: &Channel, within: Duration) {
    let begun = Instant::now();
    loop {
        let done = calls(channel).await;
        let failed = done.iter().find(|(_, done, _)| done.is_err());
        let Some(failed) = failed else {
            println!("all is well after {:?}", begun.elapsed());
            return;
        };
        assert!(begun.elapsed() < within, "{failed:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_keeps_nobody_waiting() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    let port = PgConnectOptions::from_str(url).expect("a URL").get_port();
    let wire = Wire::to(port).await;
    let through = url.replacen(&format!(":{port}/"), &format!(":{}/", wire.port), 1);
    assert_ne!(&through, url);
    let server = Replica::start_on(&through, "none");
    let client = server.client().await;
    client.register(TENANT).await;
    let message = Message {
        tenant: TENANT,
        number: 1,
    };
    let acknowledged = client.post(TENANT, &[message.record(1)]).await;
    acknowledged.expect("stored");
    let channel = Channel::from_shared(server.server.url.clone()).expect("a URI");
    let channel = channel.connect().await.expect("connected");
    until_health_is(&channel, ServingStatus::Serving, Duration::from_secs(20)).await;
    for (call, done, _) in calls(&channel).await {
        done.unwrap_or_else(|status| panic!("{call}: {status:?}"));
    }

    // it answers nothing, to whatever was asked before and is asked now
    wire.set(Flow::Stall);
    let patient = tokio::spawn(patient(client.clone()));
    let mut latest = Duration::ZERO;
    for _ in 0..3 {
        for (call, done, after) in calls(&channel).await {
            let status = done.expect_err(call);
            let is_told = matches!(status.code(), Code::DeadlineExceeded | Code::Unavailable);
            // how late it was is told below
            assert!(is_told || is_own_clock(&status), "{call}: {status:?}");
            latest = latest.max(after);
        }
    }
    println!("the latest of them after {latest:?}");
    assert!(latest < TIME + LATE, "{latest:?}");
    until_health_is(&channel, ServingStatus::NotServing, Duration::from_secs(4)).await;
    patient.await.expect("no panic");
    wire.set(Flow::Pass);
    until_all_is_well(&channel, Duration::from_secs(10)).await;
    until_health_is(&channel, ServingStatus::Serving, Duration::from_secs(4)).await;

    // its end of the connections is gone, and nobody tells
    wire.freeze();
    until_all_is_well(&channel, Duration::from_secs(30)).await;
    until_health_is(&channel, ServingStatus::Serving, Duration::from_secs(4)).await;
    let answers = client.lookup(TENANT, vec![message.id()], 1).await;
    assert_eq!(answers.expect("answered")[0].agent, "agent001@contoso.com");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
                AND application_name = 'sentby' AND now() - xact_start > interval '70 s' \
                AND $1 IS NOT NULL";
    assert_eq!(db.number(open, TENANT).await, 0);
    db.assert_gapless(TENANT).await;
    server.stop();
}

/// A statement whose caller has gone does not go on: neither does its connection wait for it, nor
/// the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_for_those_who_have_gone() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    let server = Replica::start(&db, "none");
    let client = server.client().await;
    client.register(TENANT).await;
    // what the server does unasked at its start is done by then, and waits for no lock
    sleep(Duration::from_secs(3)).await;
    let mut holder = PgConnection::connect(url).await.expect("connected");
    let lock = "BEGIN; LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock)
        .execute(&mut holder)
        .await
        .expect("locked");
    let late = told_in_time(|| async {
        let asked = pb::GetTenantRequest {
            tenant_id: TENANT.to_string(),
            ..Default::default()
        };
        client.tenants().get_tenant(request(asked)).await
    });
    assert_eq!(late.await.code(), Code::DeadlineExceeded);
    let waiting = "SELECT count(*) FROM pg_locks WHERE relation = to_regclass('tenant') \
                   AND NOT granted AND $1::uuid IS NOT NULL";
    let begun = Instant::now();
    while db.number(waiting, TENANT).await > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "a statement goes on"
        );
        sleep(Duration::from_millis(50)).await;
    }
    println!("nothing is read any more after {:?}", begun.elapsed());
    drop(holder);
    server.stop();
}

/// Who sets no deadline is told too, long before a minute.
async fn patient(client: Client) {
    let begun = Instant::now();
    let status = client.lookup(TENANT, vec!["b@x".into()], 0).await;
    let status = status.expect_err("no database");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    println!("without a deadline: after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(12));
}

/// Or a test that fails meanwhile would never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_postgres_ends_with_its_test_although_it_is_frozen() {
    let Some(mut postgres) = Postgres::prepare().await else {
        return;
    };
    postgres.start().await;
    postgres.freeze();
    let begun = Instant::now();
    drop(postgres);
    assert!(begun.elapsed() < Duration::from_secs(30), "it was thawed");
}
