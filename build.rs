//! Compiles `proto/` with protox, in pure Rust: no protoc on the machine.

use prost::Message as _;
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");

    let mut protos: Vec<PathBuf> = fs::read_dir("proto/sentby/v1")?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    protos.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(protos)?;
    let descriptors = compiler.file_descriptor_set();

    // What reflection serves: comments left out, they are half of it.
    let mut served = descriptors.clone();
    for file in &mut served.file {
        file.source_code_info = None;
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), served.encode_to_vec())?;

    tonic_prost_build::configure()
        // tonic's own takes a message however many fields it has
        .codec_path("crate::grpc::BoundedCodec")
        .bytes(".sentby.v1.IngestAuditBatchRequest")
        // its items are encoded already: see there
        .extern_path(
            ".sentby.v1.LookupAttributionsResponse",
            "crate::grpc::LookupAttributionsResponse",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
