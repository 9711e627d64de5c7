//! The program as a person runs it: real processes, real files, real output.

#![allow(clippy::too_many_lines)] // a story is told in one go

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod coverage;
mod health;
mod listing;
mod memory;
mod serving;
mod setup;
mod shipping;
mod simulated;
mod watching;
