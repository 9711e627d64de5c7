//! The program as a person runs it: real processes, real files, real output.

#![allow(clippy::too_many_lines)] // a story is told in one go

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod coverage;
mod doctor;
mod health;
mod late;
mod listing;
mod memory;
mod peers;
mod pooler;
mod report;
mod serving;
mod setup;
mod shipping;
mod simulated;
mod stopping;
mod telemetry;
mod watching;
