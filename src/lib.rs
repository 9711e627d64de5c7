//! sentby: which agent sent this message from the shared mailbox?

#![cfg_attr(test, allow(clippy::too_many_lines))] // tables of cases are long

pub mod domain;

/// The generated API (`proto/sentby/v1`).
pub mod pb {
    #![allow(clippy::all, clippy::clone_on_ref_ptr, clippy::too_many_lines)] // generated
    tonic::include_proto!("sentby.v1");
}
