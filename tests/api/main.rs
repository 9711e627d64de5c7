//! The API as callers meet it: a real server on a real socket, a real client, both engines.

#[path = "../support/mod.rs"]
mod support;

mod busy;
mod coverage;
mod errors;
mod events;
mod findings;
mod fit;
mod freshness;
mod growth;
mod hostile;
mod ingest;
mod lookup;
mod privacy;
mod quarantine;
mod range;
mod receipts;
mod room;
mod server;
mod standard;
mod stream;
mod summary;
mod tenants;
mod walk;
mod walls;
mod watch;
