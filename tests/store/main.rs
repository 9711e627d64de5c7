//! One conformance suite, a named test for each case and engine: what `Store` and `Tx`
//! promise, and what a write promises over them.

#[path = "../support/mod.rs"]
mod support;

mod audit_settings;
mod cancelled;
mod commits;
mod erasure;
mod feed;
mod hints;
mod joined;
mod kept;
mod ledger;
mod lessons;
mod migrations;
mod order;
mod plans;
mod program;
mod reader_tenants;
mod readers;
mod register;
mod rows;
mod schema;
mod summary;
mod views;
mod wal;
mod walls;
mod walls_check;
mod writers;
