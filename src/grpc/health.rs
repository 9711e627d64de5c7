//! `grpc.health.v1`: SERVING only while the store is reached and its schema is one that this
//! program works with.

use crate::{
    app::App,
    pb::{
        attribution_service_server::AttributionServiceServer,
        coverage_service_server::CoverageServiceServer, ingest_service_server::IngestServiceServer,
        tenant_service_server::TenantServiceServer,
    },
    store::SCHEMA_VERSIONS,
    telemetry::readiness as probes,
};
use std::{sync::Arc, time::Duration};
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

pub type Health = HealthServer<HealthService>;

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every service, and "" for the server as a whole.
const NAMES: [&str; 5] = [
    "",
    <TenantServiceServer<super::Handler> as NamedService>::NAME,
    <IngestServiceServer<super::Handler> as NamedService>::NAME,
    <AttributionServiceServer<super::Handler> as NamedService>::NAME,
    <CoverageServiceServer<super::Handler> as NamedService>::NAME,
];

/// NOT_SERVING until [`watch`] has seen the store.
pub async fn new() -> (HealthReporter, Health) {
    let reporter = HealthReporter::new();
    let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
    set(&reporter, ServingStatus::NotServing).await;
    (reporter, health)
}

/// Follows the store for ever. Every change is logged with its cause.
pub async fn watch(app: Arc<App>, reporter: HealthReporter) {
    let mut last: Option<Result<(), String>> = None;
    loop {
        let ready = readiness(&app).await;
        if last.as_ref() != Some(&ready) {
            let status = match &ready {
                Ok(()) => ServingStatus::Serving,
                Err(_) => ServingStatus::NotServing,
            };
            match &ready {
                Ok(()) => tracing::info!("ready"),
                Err(cause) => tracing::warn!(cause, "not ready"),
            }
            probes::set(&ready);
            set(&reporter, status).await;
            last = Some(ready);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Tells callers to go elsewhere, before the server stops.
pub async fn draining(reporter: &HealthReporter) {
    probes::stopping();
    set(reporter, ServingStatus::NotServing).await;
}

async fn set(reporter: &HealthReporter, status: ServingStatus) {
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}

async fn readiness(app: &Arc<App>) -> Result<(), String> {
    let asked = app.detached(|app| async move { Ok(app.store().schema_version().await?) });
    match tokio::time::timeout(PATIENCE, asked).await {
        Err(_) => Err("the store does not answer".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(None)) => Err("the store has no schema: run `sentby migrate`".into()),
        Ok(Ok(Some(version))) if SCHEMA_VERSIONS.contains(&version) => Ok(()),
        Ok(Ok(Some(version))) => Err(format!(
            "the schema is version {version}, this program works with {} to {}: run \
             `sentby migrate`, or a newer program",
            SCHEMA_VERSIONS.start(),
            SCHEMA_VERSIONS.end()
        )),
    }
}
