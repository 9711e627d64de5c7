//! Traces, at a real receiver.

use super::wait_until;
use crate::support::{
    TENANT, TestDb,
    otlp::{Receiver, attribute},
    process::{Server, database, run, run_with_input, succeeded},
    records::Record,
};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use sentby::pb::{self, tenant_service_client::TenantServiceClient};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::{Request, metadata::MetadataValue};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One call as a part of its caller's trace.
async fn call_in(server: &Server, flags: &str) {
    let channel = tonic::transport::Endpoint::new(server.url.clone()).expect("a URL");
    let channel = channel.connect().await.expect("it serves");
    let mut request = Request::new(pb::GetTenantRequest::default());
    let parent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
    let parent = MetadataValue::try_from(parent).expect("ASCII");
    request.metadata_mut().insert("traceparent", parent);
    let refused = TenantServiceClient::new(channel).get_tenant(request).await;
    refused.expect_err("no tenant id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_span_of_its_callers_trace() {
    let db = TestDb::sqlite().await;
    let (receiver, address) = Receiver::start().await;
    let endpoint = format!("http://{address}");
    let server = Server::start_logging(
        &database(&db.config.database),
        "debug",
        &["--otlp-endpoint", &endpoint],
    );
    call_in(&server, "00").await; // whose caller does not trace
    call_in(&server, "01").await;
    let name = "sentby.v1.TenantService/GetTenant";
    let spans = receiver.named(name).await;
    let [span] = spans.as_slice() else {
        panic!("one call is traced: {spans:?}")
    };
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(attribute(span, "rpc.system").as_deref(), Some("grpc"));
    let service = attribute(span, "rpc.service");
    assert_eq!(service.as_deref(), Some("sentby.v1.TenantService"));
    assert_eq!(attribute(span, "rpc.method").as_deref(), Some("GetTenant"));
    assert_eq!(
        attribute(span, "rpc.grpc.status_code").as_deref(),
        Some("3")
    );
    // the caller's fault is no error of the server
    let status = span.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(status, StatusCode::Unset as i32);
    wait_until("the log names the trace", || {
        let log = server.log();
        log.iter()
            .any(|line| line["trace_id"] == TRACE && line["code"] == "INVALID_ARGUMENT")
    });

    // what matters inside a call is a part of it
    let tenant = TENANT.to_string();
    let record = Record::mailbox_side(1, "anna@contoso.com", "<A@x>", "2026-03-01T09:00:00");
    let import = [
        "import",
        "--register",
        "--tenant",
        &tenant,
        "--server",
        &server.url,
        "-",
    ];
    succeeded(&run_with_input(&import, record.json().as_bytes()));
    // the end of the process sends what is left
    assert_eq!(server.stop(), Some(0));
    let spans = receiver.spans();
    let of = |name: &str| -> &Span {
        let span = spans.iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no span {name}: {spans:?}"))
    };
    let call = spans
        .iter()
        .find(|span| span.name.ends_with("AuditBatch") || span.name.ends_with("AuditBatches"));
    let call = call.expect("the import");
    for (name, parent) in [
        ("read request", call),
        ("decode", call),
        ("round", call),
        ("transaction", of("round")),
        ("cache set", of("transaction")),
    ] {
        let span = of(name);
        assert_eq!(span.trace_id, call.trace_id, "{name}");
        assert_eq!(span.parent_span_id, parent.span_id, "{name}");
    }
    assert_eq!(attribute(of("round"), "tenant"), Some(tenant));
    assert!(spans.iter().all(|span| span.events.is_empty()));
}

/// Where there are many, few of them are traced: a second has some of its first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_every_call_is_traced() {
    let db = TestDb::sqlite().await;
    let (receiver, address) = Receiver::start().await;
    let endpoint = format!("http://{address}");
    let target = database(&db.config.database);
    let server = Server::start_with(&target, &["--otlp-endpoint", &endpoint]);
    let channel = tonic::transport::Endpoint::new(server.url.clone()).expect("a URL");
    let mut tenants = TenantServiceClient::new(channel.connect().await.expect("it serves"));
    let begun = Instant::now();
    for _ in 0..500 {
        let all = tenants.list_tenants(pb::ListTenantsRequest::default());
        all.await.expect("tenants");
    }
    let most = 10 * (2 + begun.elapsed().as_secs() as usize);
    assert_eq!(server.stop(), Some(0));
    let traced = receiver.spans();
    let traced = traced
        .iter()
        .filter(|span| span.name.ends_with("ListTenants"));
    let traced = traced.count();
    assert!(
        (1..=most).contains(&traced),
        "{traced} of 500, {most} at most"
    );
}

/// A receiver that is away, or hangs, costs no call and no more than seconds at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_costs_nothing_else() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hangs = format!("http://{}", hanging.local_addr().expect("bound"));
    let db = TestDb::sqlite().await;
    let tenant = TENANT.to_string();
    for endpoint in ["http://127.0.0.1:1", &hangs] {
        let server = Server::start_with(
            &database(&db.config.database),
            &["--otlp-endpoint", endpoint],
        );
        let begun = Instant::now();
        for _ in 0..5 {
            let lookup = [
                "lookup",
                "--server",
                &server.url,
                "--tenant",
                &tenant,
                "x@x",
            ];
            assert_eq!(run(&lookup).status.code(), Some(1));
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        wait_until("it is told of", || {
            !server.logged("does not take spans").is_empty()
        });
        let begun = Instant::now();
        assert_eq!(server.stop(), Some(0));
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
    }
}
