//! sentby: which agent sent this message from the shared mailbox?

pub mod app;
pub mod audit;
pub mod cache;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod server;
pub mod store;
pub mod telemetry;

/// The generated API (`proto/sentby/v1`).
pub mod pb {
    #![allow(clippy::all, clippy::clone_on_ref_ptr, clippy::too_many_lines)] // generated
    tonic::include_proto!("sentby.v1");
}
