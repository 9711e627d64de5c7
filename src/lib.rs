pub mod domain;

/// The generated API (`proto/sentby/v1`).
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("sentby.v1");
}
