//! What it is like under strain, measured: too much work, a neighbour that takes all it can get,
//! and the seconds after something was away. Started by `benches/run strain`, which says where the
//! servers are.
//!
//! In each round what is compared comes in turn, on the same machine. Where there is to be too
//! much, the way to Postgres is made slow, so that the callers are not what is measured.

mod calls;
mod database;
#[allow(dead_code, reason = "a part of it")]
#[path = "../goals/ingest.rs"]
mod ingest;
mod neighbours;
mod overload;
#[allow(dead_code, reason = "a part of it")]
#[path = "../goals/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "a part of it")]
#[path = "../goals/process.rs"]
mod process;
mod ready;
mod redis;
mod stage;
#[path = "../../tests/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "a part of it")]
#[path = "../goals/table.rs"]
mod table;

use crate::{
    support::ledger,
    table::{Goal, Results, short},
};
use stage::Stage;
use std::{env, fs, process::ExitCode};

/// Works that can be asked for by name.
const WORKS: [&str; 5] = [
    "overload",
    "noisy-neighbour",
    "redis-away",
    "postgres-back",
    "ready-again",
];

/// What was found in one round.
struct Round<'r> {
    results: &'r mut Results,
    held: bool,
    /// Of the last round: for the ledger.
    figures: Vec<(String, f64)>,
}

impl Round<'_> {
    /// `goal`: at most, or where it is negative at least, so much.
    fn is(
        &mut self,
        work: &str,
        goal: Bound,
        unit: &'static str,
        value: f64,
        parts: &[(&str, f64)],
    ) {
        let (goal, held) = match goal {
            Bound::AtMost(gate) => (Goal::AtMost { gate, aim: gate }, value <= gate),
            Bound::AtLeast(gate) => (Goal::AtLeast { gate, aim: gate }, value >= gate),
        };
        self.results.add(work, goal, unit, value, parts);
        if !held {
            eprintln!("  MISSED: {work}: {}{unit}", short(value));
        }
        self.held &= held;
        let name: String = work
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if value.is_finite() {
            self.figures.push((name, value));
        }
    }
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

fn main() -> ExitCode {
    let arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let asked: Vec<String> = arguments.collect();
    for work in &asked {
        assert!(
            WORKS.contains(&work.as_str()),
            "{work} is none of {WORKS:?}"
        );
    }
    let rounds = env::var("SENTBY_TEST_ROUNDS").map_or(5, |n| n.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if runtime.block_on(measure(&asked, rounds)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether everything held in every round.
async fn measure(asked: &[String], rounds: u64) -> bool {
    let mut results = Results::new();
    let mut stage = Stage::set().await;
    let mut missed = false;
    for work in WORKS {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == work) {
            continue;
        }
        let (mut held, mut figures) = (0, Vec::new());
        for number in 1..=rounds {
            eprintln!("{work}: round {number} of {rounds}");
            let mut round = Round {
                results: &mut results,
                held: true,
                figures: Vec::new(),
            };
            match work {
                "overload" => overload::round(&stage, &mut round).await,
                "noisy-neighbour" => neighbours::round(&stage, &mut round).await,
                "redis-away" => redis::round(&stage, &mut round).await,
                "postgres-back" => database::round(&mut stage, &mut round).await,
                _ => ready::round(&stage, &mut round).await,
            }
            held += u64::from(round.held);
            figures = round.figures;
        }
        eprintln!("{work}: {held} of {rounds} rounds held");
        figures.push(("rounds_held".to_owned(), held as f64));
        let figures = figures.iter().map(|(name, value)| (name.as_str(), *value));
        ledger::tell(work, rounds, &figures.collect::<Vec<_>>());
        missed |= held < rounds;
    }
    let report = results.markdown();
    println!("{report}");
    if let Some(temp) = env::var_os("BENCH_TEMP") {
        fs::write(std::path::Path::new(&temp).join("strain.md"), report).expect("written");
    }
    !missed
}
