//! The standard services: health and reflection; and a stop that ends.

use super::server::TestServer;
use crate::{on_both_engines, support::TestDb};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

async fn health(server: &TestServer, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let mut client = HealthClient::new(server.channel.clone());
    client
        .check(request)
        .await
        .expect("answered")
        .into_inner()
        .status()
}

async fn wait_for(server: &TestServer, service: &str, status: ServingStatus) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while health(server, service).await != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("{service:?} is never {status:?}"));
}

on_both_engines! {
    /// SERVING once the store was reached and its schema fits.
    async fn health_follows_the_store(db: TestDb) {
        let server = TestServer::start(&db).await;
        for service in [
            "",
            "sentby.v1.TenantService",
            "sentby.v1.IngestService",
            "sentby.v1.AttributionService",
            "sentby.v1.CoverageService",
            "sentby.v1.AdminService",
        ] {
            wait_for(&server, service, ServingStatus::Serving).await;
        }
        // a schema of another version: not ready
        db.execute("UPDATE _sqlx_migrations SET version = version + 1000").await;
        wait_for(&server, "", ServingStatus::NotServing).await;
        db.execute("UPDATE _sqlx_migrations SET version = version - 1000").await;
        wait_for(&server, "sentby.v1.IngestService", ServingStatus::Serving).await;
    }

    /// Both versions of reflection list every service.
    async fn reflection_lists_every_service(db: TestDb) {
        let server = TestServer::start(&db).await;
        let expected = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "sentby.v1.AttributionService",
            "sentby.v1.CoverageService",
            "sentby.v1.AdminService",
            "sentby.v1.IngestService",
            "sentby.v1.TenantService",
        ];
        macro_rules! listed {
            ($version:ident) => {{
                use tonic_reflection::pb::$version::{
                    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                    server_reflection_request::MessageRequest,
                    server_reflection_response::MessageResponse,
                };
                let request = ServerReflectionRequest {
                    host: String::new(),
                    message_request: Some(MessageRequest::ListServices(String::new())),
                };
                let mut client = ServerReflectionClient::new(server.channel.clone());
                let requests = tokio_stream::once(request);
                let answers = client.server_reflection_info(requests).await.expect("answered");
                let answer = answers.into_inner().message().await.expect("read").expect("one");
                let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response
                else {
                    panic!("no list")
                };
                let mut names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
                names.sort_unstable();
                names.dedup();
                names
            }};
        }
        for names in [listed!(v1), listed!(v1alpha)] {
            for service in expected {
                let v1 = service.replace(".v1.ServerReflection", ".v1alpha.ServerReflection");
                assert!(
                    names.iter().any(|name| name == service || *name == v1),
                    "{service} in {names:?}"
                );
            }
        }
    }
}

/// A stop ends also while peers hold connections on which nothing happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_with_idle_peers() {
    let db = TestDb::sqlite().await;
    let server = TestServer::start(&db).await;
    let silent = tokio::net::TcpStream::connect(server.address)
        .await
        .expect("connected");
    let mut half = tokio::net::TcpStream::connect(server.address)
        .await
        .expect("connected");
    half.write_all(b"PRI * HTTP/2.0\r\n")
        .await
        .expect("written");
    tokio::time::timeout(Duration::from_secs(20), server.stop())
        .await
        .expect("it ends");
    drop((silent, half));
}
