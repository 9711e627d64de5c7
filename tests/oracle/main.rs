//! A second implementation of reading, merging and attributing, by another author, and whether
//! the real one says the same.
//!
//! The oracle was written from the specification (the words and the one rule, the forms of
//! records, README, the comments of the API) before its author had read a line of the real
//! one, and shares no code with it. It works on all records of a tenant at once: JSON values →
//! events → sorted → names of people and mailboxes → folded by message → judged. It has no SQL, no
//! bounded transactions, nothing that is kept between two batches: what the real one must do
//! in steps, the oracle does in one.
//!
//! | | where |
//! |---|---|
//! | a record is read | `record` |
//! | who has been called what | `names` |
//! | who acted, and from which mailbox | `people` |
//! | the rule | `judge` |
//! | hostile records by a seed | `stream`, `scenes`, `distort` |
//! | the same records through an app and a store | `real` |
//! | what differs, with the fewest records that show it | `differ` |
//! | ways of telling the same that must come to the same tables | `relations` |
//! | the same through two replicas, by their callers | `replicas` |
//!
//! Where the two differed it was settled by the specification; where that is silent the oracle
//! took the real one's choice, and a comment says so.
//!
//! More than the suite runs, or one seed that failed again (a difference tells its seed; on SQLite it
//! is `::sqlite`):
//!
//! ```sh
//! SENTBY_TEST_ORACLE=500 tests/run --test oracle -- --nocapture
//! SENTBY_TEST_EQUAL=100 tests/run --test oracle replicas -- --nocapture
//! SENTBY_TEST_ORACLE_SEED=2017 SENTBY_TEST_ORACLE=1 tests/run --test oracle two_implementations_agree::postgres
//! ```

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod differ;
mod distort;
mod judge;
mod names;
mod people;
mod real;
mod record;
mod relations;
mod replicas;
mod scenes;
#[allow(dead_code)] // the faults use all of it
#[path = "../faults/stage.rs"]
mod stage;
mod stream;

use real::Real;
use sentby::config::DatabaseUrl;
use stream::Stream;
use support::ledger;

/// Feeds of the suite. Of each relation a tenth as many, but one.
const FEEDS: u64 = 4;
/// So many differences are told, then it ends.
const DIFFERENCES: usize = 5;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn seeds() -> std::ops::Range<u64> {
    let first = number("SENTBY_TEST_ORACLE_SEED", 1);
    first..first + number("SENTBY_TEST_ORACLE", FEEDS)
}

on_both_engines! {
    /// Whatever is thrown at both, they say the same of every message.
    async fn two_implementations_agree(db: TestDb) {
        let is_postgres = matches!(db.config.database, DatabaseUrl::Postgres(_));
        let mut real = Real::new(db).await;
        let (mut messages, mut records) = (0, 0);
        let mut differences = Vec::new();
        for seed in seeds() {
            let stream = Stream::of(seed);
            records += stream.records.len();
            match differ::compare(&mut real, &stream).await {
                Ok(count) => messages += count,
                Err(difference) => differences.push(difference),
            }
            if differences.len() == DIFFERENCES {
                break;
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        assert!(messages > 0);
        println!("{:?}: {records} records, {messages} messages, no difference", seeds());
        // both engines are told the same feeds, which count once
        if is_postgres {
            let compared = seeds().end - seeds().start;
            let figures = [("records", records as f64), ("messages", messages as f64)];
            ledger::tell("oracle-feeds", compared, &figures);
        }
    }
}
