//! A broken cache means slower, never wrong: the program with Redis, while Redis freezes, dies,
//! forgets, refuses and lies. Needs Postgres and Redis, which tests/run starts.
//!
//! `SENTBY_TEST_LOOKUPS` sets how many lookups each case makes, `SENTBY_TEST_SEED` what is random.
//! The long runs, which print what they measured:
//!
//! ```text
//! SENTBY_TEST_LOOKUPS=20000 tests/run --test faults lookups   -- --nocapture --test-threads 1
//! SENTBY_TEST_LOOKUPS=1000000 tests/run --test faults freshness -- --nocapture --test-threads 1
//! ```

#![allow(clippy::too_many_lines)] // tables of cases are long

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod debts;
mod fault;
mod freshness;
mod history;
mod lookups;
mod players;
mod stage;
mod tenants;
mod truth;

/// How many lookups a case makes.
fn count_of_lookups(default: usize) -> usize {
    let set = std::env::var("SENTBY_TEST_LOOKUPS").ok();
    set.map_or(default, |n| {
        n.parse().expect("SENTBY_TEST_LOOKUPS is a number")
    })
}

/// What the randomness of a case begins with; it is printed with the outcome.
fn seed() -> u64 {
    let set = std::env::var("SENTBY_TEST_SEED").ok();
    let random = || uuid::Uuid::new_v4().as_u64_pair().0 >> 32;
    set.map_or_else(random, |n| n.parse().expect("SENTBY_TEST_SEED is a number"))
}
