//! Who may call what: the real server over real TLS, callers of every kind, and what is not let in.

#![allow(clippy::too_many_lines)] // a story is told in one go

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod calls;
mod certificates;
mod listener;
mod matrix;
mod program;
mod site;
mod streams;
mod tokens;
