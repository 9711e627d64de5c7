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
    figures: Vec<Figure>,
}

struct Figure {
    /// As the ledger names it.
    name: String,
    value: f64,
    /// See [`Bound::Usually`].
    usually: Option<f64>,
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
        let at_most = |gate| Goal::AtMost { gate, aim: gate };
        let (goal, held, usually) = match goal {
            Bound::AtMost(gate) => (at_most(gate), value <= gate, None),
            Bound::AtLeast(gate) => (Goal::AtLeast { gate, aim: gate }, value >= gate, None),
            Bound::Usually(gate) => (at_most(gate), true, Some(gate)),
        };
        self.results.add(work, goal, unit, value, parts);
        if !held {
            eprintln!("  MISSED: {work}: {}{unit}", short(value));
        }
        self.held &= held;
        let name = work
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        self.figures.push(Figure {
            name,
            value,
            usually,
        });
    }
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// At most so much in the median of the rounds: less than what two of them differ by.
    Usually(f64),
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
        let (mut held, mut figures) = (0, Vec::<Vec<Figure>>::new());
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
            figures.push(round.figures);
        }
        let mut told = Vec::new();
        for (at, Figure { name, usually, .. }) in figures[0].iter().enumerate() {
            let mut values: Vec<f64> = figures.iter().map(|figures| figures[at].value).collect();
            values.sort_by(f64::total_cmp);
            let median = values[values.len() / 2];
            if usually.is_some_and(|gate| median.is_nan() || median > gate) {
                eprintln!("  MISSED in the median of the rounds: {name}: {median:.3}");
                missed = true;
            }
            if median.is_finite() {
                told.push((name.as_str(), median));
            }
        }
        eprintln!("{work}: {held} of {rounds} rounds held");
        told.push(("rounds_held", held as f64));
        ledger::tell(work, rounds, &told);
        missed |= held < rounds;
    }
    let report = results.markdown();
    println!("{report}");
    if let Some(temp) = env::var_os("BENCH_TEMP") {
        fs::write(std::path::Path::new(&temp).join("strain.md"), report).expect("written");
    }
    !missed
}
