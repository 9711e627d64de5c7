//! The API over gRPC, and the only place that knows tonic and prost: handlers convert, call
//! the use case, convert.
//!
//! | file | |
//! |---|---|
//! | `*_service.rs` | one file a service of `proto/sentby/v1` |
//! | `inbox.rs`, `buffer.rs` | batches are read when there is room for them |
//! | `ingest_stream.rs` | batches and their answers on one stream |
//! | `outbox.rs` | answers on a stream, as fast as the caller takes them |
//! | `attribution_stream.rs` | a range as chunks on one stream |
//! | `watch.rs` | changes as they are committed, on one stream |
//! | `convert.rs`, `audit_settings.rs`, `finding.rs`, `quarantine.rs` | messages ⇄ domain, with the paths of wrong fields |
//! | `lookup_response.rs` | an answer of LookupAttributions, of items that are encoded already |
//! | `send_event.rs` | a typed event → the record that it stands for |
//! | `status.rs` | errors → `tonic::Status` with their reasons |
//! | `layers.rs` | what stands before every service |
//! | `health.rs` | `grpc.health.v1`, by what the store says |

mod admin_service;
mod attribution_service;
mod attribution_stream;
mod audit_settings;
mod buffer;
mod convert;
mod coverage_service;
mod finding;
pub mod health;
mod inbox;
mod ingest_service;
mod ingest_stream;
pub mod layers;
mod lookup_response;
mod outbox;
mod quarantine;
mod send_event;
mod status;
mod summary;
mod tenant_service;
mod watch;

use crate::{
    app::{self, App},
    pb::{
        admin_service_server::AdminServiceServer,
        attribution_service_server::AttributionServiceServer,
        coverage_service_server::CoverageServiceServer, ingest_service_server::IngestServiceServer,
        tenant_service_server::TenantServiceServer,
    },
};
pub use finding::pb_finding;
use inbox::Reading;
pub use lookup_response::LookupAttributionsResponse;
pub use status::ERROR_DOMAIN;
use std::{future::Future, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};

/// The API as clients and reflection see it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Bytes of one IngestAuditBatch, and of one message of StreamAuditBatches.
pub const MAX_INGEST_BYTES: usize = 16 << 20;
/// Bytes of every other message, either way.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Behind every service.
#[derive(Clone, Debug)]
struct Handler {
    app: Arc<App>,
    /// Cancelled when the server stops: streams must end, then.
    stopping: CancellationToken,
}

impl Handler {
    /// Runs a use case that a leaving caller cannot drop.
    async fn run<T, F, Fut>(&self, run: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(Arc<App>) -> Fut,
        Fut: Future<Output = app::Result<T>> + Send + 'static,
    {
        self.app.detached(run).await.map_err(status::from_error)
    }
}

/// All services of the API, with health and reflection. Streams end when `stopping` is
/// cancelled.
pub fn routes(app: &Arc<App>, health: health::Health, stopping: &CancellationToken) -> Routes {
    let handler = Handler {
        app: Arc::clone(app),
        stopping: stopping.clone(),
    };
    let tenants = TenantServiceServer::new(handler.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let ingest = IngestServiceServer::new(handler.clone())
        .max_decoding_message_size(MAX_INGEST_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let coverage = CoverageServiceServer::new(handler.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let admin = AdminServiceServer::new(handler.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let attributions = AttributionServiceServer::new(handler)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(tenants)
        .add_service(Reading::new(ingest, app.admission().clone()))
        .add_service(attributions)
        .add_service(coverage)
        .add_service(admin)
        .add_service(health)
        .add_service(reflection().build_v1().expect("our own descriptors"))
        .add_service(reflection().build_v1alpha().expect("our own descriptors"))
}

/// Error details are registered too, so that grpcurl can print them.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
