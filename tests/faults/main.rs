//! A broken cache means slower, never wrong: the program with Redis, while Redis freezes, dies,
//! forgets, refuses and lies. The feed leaves nothing out, while the program is killed and its
//! watchers are cut off. What was ingested is read at once, through another process. A database
//! that freezes keeps nobody waiting, one whose disk is full loses nothing, and nobody notices a
//! rolling restart. A storm of all that can happen to processes and to what is between them loses
//! and doubles nothing (`storm/mod.rs`). Needs Postgres and Redis, which tests/run starts.
//!
//! `SENTBY_TEST_LOOKUPS` sets how many lookups each case makes, `SENTBY_TEST_CHANGES` how many
//! changes the feed has, `SENTBY_TEST_PAIRS` how many ingests are read at once,
//! `SENTBY_TEST_RESTARTS` how often a replica is restarted, `SENTBY_TEST_FULL` how often a disk is
//! full, and `SENTBY_TEST_SEED` what is random.
//! The long runs, which print what they measured:
//!
//! ```text
//! SENTBY_TEST_LOOKUPS=20000 tests/run --test faults lookups   -- --nocapture --test-threads 1
//! SENTBY_TEST_LOOKUPS=1000000 tests/run --test faults freshness -- --nocapture --test-threads 1
//! SENTBY_TEST_CHANGES=100000 tests/run --test faults feed -- --nocapture
//! SENTBY_TEST_RESTARTS=200 tests/run --test faults rolling -- --nocapture
//! SENTBY_TEST_FULL=10 tests/run --test faults full -- --nocapture
//! SENTBY_TEST_PAIRS=100000 tests/run --test faults pairs -- --nocapture --test-threads 1
//! ```

#![allow(clippy::too_many_lines)] // tables of cases are long

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod debts;
mod fault;
mod feed;
mod freshness;
mod frozen;
mod full;
mod history;
mod lookups;
mod pairs;
mod players;
mod restored;
mod rolling;
mod stage;
mod storm;
mod tenants;
mod truth;
mod watchers;

use support::settings::{seed, set};

/// How many lookups a case makes.
fn count_of_lookups(default: usize) -> usize {
    set("SENTBY_TEST_LOOKUPS").unwrap_or(default)
}
