//! The goals of speed and size, measured side by side. Started by `benches/run`, which says
//! where the servers are.
//!
//! Each work is done by us and by a peer in turn, so many rounds; what counts is the ratio of
//! one round. Client, server and databases share the machine.

mod feed;
mod ingest;
mod load;
mod lookup;
mod peers;
mod postgres;
mod process;
mod range;
mod table;

use ingest::{Feed, Peers};
use lookup::Lookups;
use postgres::Postgres;
use process::Server;
use range::Range;
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};
use table::Results;

/// How much of everything.
struct Scale {
    rounds: usize,
    /// Of one closed loop.
    how_long: Duration,
    /// Messages of the two feeds and of the Python service's.
    kept_heavy: u64,
    realistic: u64,
    python: u64,
    /// Rows of the large table.
    rows: u64,
}

const FULL: Scale = Scale {
    rounds: 5,
    how_long: Duration::from_secs(3),
    kept_heavy: 80_000,
    realistic: 6_000,
    python: 12_000,
    rows: 1_000_000,
};

const QUICK: Scale = Scale {
    rounds: 3,
    how_long: Duration::from_secs(1),
    kept_heavy: 30_000,
    realistic: 2_500,
    python: 5_000,
    rows: 1_000_000,
};

const SMALL_ROWS: u64 = 100_000;

/// Works that can be asked for by name.
const WORKS: [&str; 5] = ["lookup", "range", "growth", "ingest", "feed"];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match arguments.split_first() {
        Some((first, [name, rest @ ..])) if first == "--peer" => {
            runtime.block_on(peers::serve(name, rest));
        }
        _ => runtime.block_on(measure(&arguments)),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start benches/run"))
}

async fn measure(arguments: &[String]) {
    let mut scale = FULL;
    let mut works: Vec<&str> = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {} // of cargo
            "--quick" => {
                scale = Scale {
                    rows: scale.rows.max(QUICK.rows),
                    ..QUICK
                }
            }
            size if size.starts_with("--size=") => {
                let millions = size["--size=".len()..].trim_end_matches('M');
                scale.rows = millions.parse::<u64>().expect("--size=10M") * 1_000_000;
            }
            work => works.push(WORKS.iter().find(|known| **known == work).expect("a work")),
        }
    }
    let wants = |work: &str| works.is_empty() || works.contains(&work);
    let postgres = Postgres::at(&variable("BENCH_DATABASE_URL")).await;
    let temp = PathBuf::from(variable("BENCH_TEMP"));
    let mut results = Results::new();
    if wants("lookup") || wants("range") || wants("growth") {
        reads(&postgres, &temp, &scale, wants, &mut results).await;
    }
    if wants("ingest") {
        ingest(&postgres, &temp, &scale, &mut results).await;
    }
    if wants("feed") {
        let feed = feed::Feed::start(&postgres).await;
        for round in 0..scale.rounds {
            feed.latency(round, &mut results).await;
        }
        feed.idle(&postgres, scale.how_long, &mut results).await;
        drop(feed);
        postgres.drop("bench_feed").await;
    }
    let report = results.markdown();
    println!("{report}");
    fs::write(temp.join("results.md"), report).expect("written");
}

async fn reads(
    postgres: &Postgres,
    temp: &Path,
    scale: &Scale,
    wants: impl Fn(&str) -> bool,
    results: &mut Results,
) {
    let feed = Feed::write(&temp.join("one"), 50, 1.0);
    let mut urls = Vec::new();
    for (name, rows) in [("bench_small", SMALL_ROWS), ("bench_large", scale.rows)] {
        eprintln!("seeding {name}: {rows} rows by COPY");
        let url = postgres.create(name, true).await;
        let server = Server::sentby(&url, "none");
        ingest::register(&server.address, &feed).await;
        ingest::send(&server.address, &feed, false).await;
        postgres::seed(&url, &feed.tenant, 0, rows).await;
        urls.push(url);
    }
    let (small, large) = (urls[0].as_str(), urls[1].as_str());
    let tenant = feed.tenant.as_str();
    if wants("lookup") {
        let ids = (0..20_000).map(postgres::seeded_id).collect();
        let redis = variable("BENCH_REDIS_URL");
        let lookups = Lookups::start(small, &redis, tenant, ids).await;
        for _ in 0..scale.rounds {
            lookups.round(scale.how_long, results).await;
        }
    }
    if wants("range") {
        // of more rows only the first million
        let rows = scale.rows.min(1_000_000);
        let range = Range {
            database: large,
            tenant,
            rows,
        };
        range.rounds(scale.rounds, results).await;
    }
    if wants("growth") {
        let (small, large) = ((small, SMALL_ROWS), (large, scale.rows));
        lookup::growth(small, large, tenant, scale.how_long, scale.rounds, results).await;
    }
    postgres.drop("bench_small").await;
    postgres.drop("bench_large").await;
}

async fn ingest(postgres: &Postgres, temp: &Path, scale: &Scale, results: &mut Results) {
    let peers = Peers {
        python: variable("BENCH_PYTHON"),
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers"),
    };
    let feed = Feed::write(&temp.join("kept-heavy"), scale.kept_heavy, 1.5);
    let python_feed = Feed::write(&temp.join("python"), scale.python, 1.5);
    let realistic = Feed::write(&temp.join("realistic"), scale.realistic, 30.0);
    eprintln!(
        "feeds: {:.0} MiB with 40 % send events, {:.0} MiB with 3 %",
        feed.mib(),
        realistic.mib()
    );
    for _ in 0..scale.rounds {
        ingest::kept_heavy(postgres, &feed, &python_feed, &peers, results).await;
        ingest::realistic(postgres, &realistic, results).await;
    }
    for database in ["bench_ingest", "bench_peer", "bench_check"] {
        postgres.drop(database).await;
    }
}
