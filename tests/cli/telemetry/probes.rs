//! Probes, metrics, ids of calls.

use super::{get, metric, wait_until};
use crate::support::{
    TENANT, TestDb,
    process::{Server, database, run},
};
use sentby::{
    pb::{self, tenant_service_client::TenantServiceClient},
    telemetry::table::METRICS,
};
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream as Connection},
    sync::watch,
};
use tonic::{Request, metadata::MetadataValue};
use tonic_types::StatusExt as _;

const OPS: [&str; 2] = ["--ops-listen", "127.0.0.1:0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_tell_what_health_tells() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let (gate, url) = gate(&database(&db.config.database)).await;
    let server = Server::start_with(&url, &OPS);
    let ops = server.ops();
    assert_eq!(get(&ops, "/livez").0, 200);
    wait_until("it is ready", || get(&ops, "/readyz").0 == 200);
    assert_eq!(metric(&get(&ops, "/metrics").1, "sentby_ready"), Some(1.0));

    gate.send_replace(false);
    wait_until("it says why not", || {
        let (status, why) = get(&ops, "/readyz");
        status == 503 && why.contains("the store")
    });
    assert_eq!(get(&ops, "/livez").0, 200, "a restart would not help");
    assert_eq!(metric(&get(&ops, "/metrics").1, "sentby_ready"), Some(0.0));
    gate.send_replace(true);
    wait_until("it is ready again", || get(&ops, "/readyz").0 == 200);

    assert_eq!(get(&ops, "/").0, 404);
    assert_eq!(server.stop(), Some(0));
}

/// A way to the database that can be shut, and its URL.
async fn gate(database: &str) -> (watch::Sender<bool>, String) {
    let (_, rest) = database.split_once('@').expect("a user");
    let (target, _) = rest.split_once('/').expect("a database");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let (gate, open) = watch::channel(true);
    let url = database.replacen(target, &address, 1);
    let target = target.to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (target, mut open) = (target.clone(), open.clone());
            tokio::spawn(async move {
                let passing = async {
                    let mut server = Connection::connect(target).await?;
                    copy_bidirectional(&mut client, &mut server).await
                };
                tokio::select! {
                    _ = open.wait_for(|open| !open) => {}
                    _ = passing => {}
                }
            });
        }
    });
    (gate, url)
}

/// Whoever holds connections open, or sends no end of a head, keeps nobody else out for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_keeps_nobody_out() {
    let db = TestDb::sqlite().await;
    let server = Server::start_with(&database(&db.config.database), &OPS);
    let ops = server.ops();
    let idle: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&ops).expect("it listens");
            stream.write_all(b"GET /livez HT").expect("it reads");
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(get(&ops, "/livez").0, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    drop(idle);

    let mut stream = TcpStream::connect(&ops).expect("it listens");
    let endless = [b'a'; 64 << 10];
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nX: ");
    let _ = stream.write_all(&endless);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(get(&ops, "/livez").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_counted_by_its_method_and_code() {
    let db = TestDb::sqlite().await;
    let server = Server::start_with(&database(&db.config.database), &OPS);
    let (ops, tenant) = (server.ops(), TENANT.to_string());
    let asked = run(&[
        "lookup",
        "--server",
        &server.url,
        "--tenant",
        &tenant,
        "x@x",
    ]);
    assert_eq!(asked.status.code(), Some(1));
    let text = get(&ops, "/metrics").1;
    let method = "{method=\"sentby.v1.AttributionService/LookupAttributions\"";
    let series = format!("sentby_grpc_calls_total{method},code=\"NOT_FOUND\"}}");
    assert_eq!(metric(&text, &series), Some(1.0), "{text}");
    let series = format!("sentby_grpc_calls_started_total{method}}}");
    assert_eq!(metric(&text, &series), Some(1.0));
    let series = format!("sentby_grpc_calls_in_progress{method}}}");
    assert_eq!(metric(&text, &series), Some(0.0));
    let series = format!("sentby_grpc_call_duration_seconds_count{method}}}");
    assert_eq!(metric(&text, &series), Some(1.0));

    // what callers make up is one series
    let mut channel = tonic::client::Grpc::new(
        tonic::transport::Endpoint::new(server.url.clone())
            .expect("a URL")
            .connect()
            .await
            .expect("it serves"),
    );
    for n in 0..3 {
        channel.ready().await.expect("ready");
        let path = format!("/sentby.v1.Made{n}/Up").parse().expect("a path");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let _ = channel.unary(Request::new(()), path, codec).await;
    }
    let text = get(&ops, "/metrics").1;
    assert!(!text.contains("Made"), "{text}");
    let series = "sentby_grpc_calls_total{method=\"other\",code=\"UNIMPLEMENTED\"}";
    assert_eq!(metric(&text, series), Some(3.0));
    tells_what_is_in_the_table(&text);
}

/// Nothing is told that the table does not know, with other labels or of another kind; and all
/// that it knows has a series, but for what such a server has not.
fn tells_what_is_in_the_table(text: &str) {
    let mut told = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let metric = metric.unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(kind, metric.kind.name(), "{name}");
            told.insert(name);
        }
    }
    let not_here = [
        "sentby_cache_up",
        "sentby_cache_owed_keys",
        "sentby_tls_certificate_expiry_timestamp_seconds",
        "sentby_ingest_quarantined_records_total",
        "sentby_housekeeping_expired_rows_total",
    ];
    for metric in METRICS {
        let is_told = told.contains(metric.name);
        assert_ne!(is_told, not_here.contains(&metric.name), "{}", metric.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_has_one_id_everywhere() {
    let db = TestDb::sqlite().await;
    let server = Server::start_logging(&database(&db.config.database), "debug", &[]);
    let channel = tonic::transport::Endpoint::new(server.url.clone()).expect("a URL");
    let channel = channel.connect().await.expect("it serves");
    let mut tenants = TenantServiceClient::new(channel);
    let id_of = |metadata: &tonic::metadata::MetadataMap| {
        let id = metadata.get("x-request-id").expect("an id");
        id.to_str().expect("ASCII").to_owned()
    };

    // the caller's, also where it fails
    let mut request = Request::new(pb::GetTenantRequest::default());
    let id = MetadataValue::from_static("callers-own.1");
    request.metadata_mut().insert("x-request-id", id);
    let refused = tenants.get_tenant(request).await.expect_err("no tenant id");
    assert_eq!(id_of(refused.metadata()), "callers-own.1");
    assert!(refused.get_details_error_info().is_some());
    wait_until("the line of the call", || {
        let log = server.log();
        log.iter().any(|line| {
            line["request_id"] == "callers-own.1"
                && line["code"] == "INVALID_ARGUMENT"
                && line["reason"] == "INVALID_FIELD"
                && line["method"] == "sentby.v1.TenantService/GetTenant"
        })
    });

    // one that is no word is replaced
    let mut request = Request::new(pb::ListTenantsRequest::default());
    let id = MetadataValue::from_static("two words");
    request.metadata_mut().insert("x-request-id", id);
    let answer = tenants.list_tenants(request).await.expect("tenants");
    let id = id_of(answer.metadata());
    assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
    wait_until("the line of the call", || {
        let log = server.log();
        log.iter()
            .any(|line| line["request_id"] == id && line["code"] == "OK")
    });
}
