//! `grpc.health.v1`: SERVING only while the store is reached, its schema is one that this
//! program works with, and it is as it must be ([`App::unfit`]).

use crate::{
    app::App,
    pb::{
        admin_service_server::AdminServiceServer,
        attribution_service_server::AttributionServiceServer,
        coverage_service_server::CoverageServiceServer, ingest_service_server::IngestServiceServer,
        tenant_service_server::TenantServiceServer,
    },
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

/// How often the store is asked, and while it is not ready.
const INTERVAL: Duration = Duration::from_secs(1);
const INTERVAL_UNREADY: Duration = Duration::from_millis(200);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every service, and "" for the server as a whole.
const NAMES: [&str; 6] = [
    "",
    <TenantServiceServer<super::Handler> as NamedService>::NAME,
    <IngestServiceServer<super::Handler> as NamedService>::NAME,
    <AttributionServiceServer<super::Handler> as NamedService>::NAME,
    <CoverageServiceServer<super::Handler> as NamedService>::NAME,
    <AdminServiceServer<super::Handler> as NamedService>::NAME,
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
        let was_not = matches!(last, Some(Err(_)));
        let ready = readiness(&app, was_not).await;
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
        let pause = match last {
            Some(Ok(())) => INTERVAL,
            _ => INTERVAL_UNREADY,
        };
        tokio::time::sleep(pause).await;
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

/// `anew`: it was not ready, so what was found then says nothing of now.
async fn readiness(app: &Arc<App>, anew: bool) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, app.unfit(anew)).await {
        Err(_) => Err("the store does not answer".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(unfit))) => Err(unfit.to_string()),
    }
}
