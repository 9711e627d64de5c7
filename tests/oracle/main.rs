//! A second implementation of reading, merging and attributing, by another author and from the
//! specification alone, and what it says compared with what the real thing says.

#[path = "../support/mod.rs"]
mod support;

mod differ;
mod judge;
mod names;
mod people;
mod real;
mod record;
mod relations;
mod stream;

use real::Real;
use stream::Stream;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

on_both_engines! {
    /// Whatever is thrown at both, they say the same of every message.
    async fn two_implementations_agree(db: TestDb) {
        let (first, feeds) = (number("SENTBY_TEST_ORACLE_SEED", 1), number("SENTBY_TEST_ORACLE", 20));
        let mut real = Real::new(db).await;
        let (mut messages, mut records) = (0, 0);
        let mut differences = Vec::new();
        for seed in first..first + feeds {
            let stream = Stream::of(seed);
            records += stream.records.len();
            match differ::compare(&mut real, &stream).await {
                Ok(count) => messages += count,
                Err(difference) => differences.push(difference),
            }
            if differences.len() == 5 {
                break;
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        println!("{feeds} feeds, {records} records, {messages} messages: the same");
    }
}
