//! The disk of the database is full, of its tables or also of its write-ahead log: writes are
//! refused as long as that lasts, reads go on while the database lives, nothing that was
//! acknowledged is lost, and when there is room again all is well without a restart of the program.

use crate::{
    feed::listed,
    seed, set,
    stage::{Client, Message, Replica},
    support::{
        TENANT,
        disk::Disk,
        ledger,
        postgres::Postgres,
        process::{Server, run, succeeded, url, without_settings},
    },
    watchers::read_all,
};
use sentby::simulate::Random;
use sqlx::{Connection as _, PgConnection};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How often each disk is full in the suite.
const ROUNDS: u64 = 2;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many writes in a row are refused: then it is full.
const REFUSED: usize = 3;

/// One caller, what it was told, and what it was not.
struct Caller {
    client: Client,
    random: Random,
    next: u32,
    /// Of each message the bits of the records that are stored.
    stored: BTreeMap<Message, u64>,
    /// Refused: nobody knows, until it is sent again.
    unknown: Vec<Vec<(Message, u64)>>,
    refused: usize,
}

impl Caller {
    async fn of(replica: &Replica, random: Random) -> Self {
        let client = replica.client().await;
        client.register(TENANT).await;
        Self {
            client,
            random,
            next: 0,
            stored: BTreeMap::new(),
            unknown: Vec::new(),
            refused: 0,
        }
    }

    fn batch(&mut self) -> Vec<(Message, u64)> {
        let count = 1 + self.random.below(150);
        let mut batch = Vec::new();
        for _ in 0..count {
            self.next += 1;
            let message = Message {
                tenant: TENANT,
                number: self.next,
            };
            batch.push((message, 1 + self.random.below(7)));
        }
        batch
    }

    async fn post(&mut self, batch: &[(Message, u64)]) -> Result<(), Status> {
        let records = batch.iter().flat_map(|(message, bits)| {
            let those = (0..8).filter(move |n| bits >> n & 1 == 1);
            those.map(|n| message.record(n))
        });
        let records: Vec<_> = records.collect();
        self.client.post(TENANT, &records).await?;
        self.stored.extend(batch.iter().copied());
        Ok(())
    }

    /// Whether it was stored.
    async fn write(&mut self) -> bool {
        let batch = self.batch();
        match self.post(&batch).await {
            Ok(()) => true,
            Err(status) => {
                assert_refusal(&status);
                self.refused += 1;
                self.unknown.push(batch);
                false
            }
        }
    }

    /// Until nothing is taken any more: there may be some room inside of files.
    async fn write_until_refused(&mut self) {
        let until = Instant::now() + PATIENCE;
        let mut in_a_row = 0;
        while in_a_row < REFUSED {
            in_a_row = if self.write().await { 0 } else { in_a_row + 1 };
            assert!(Instant::now() < until, "it takes everything");
        }
    }

    /// What was acknowledged, whatever became of the rest.
    async fn read(&mut self) {
        let stored: Vec<(Message, u64)> = self.stored.iter().map(|(m, bits)| (*m, *bits)).collect();
        for part in stored.chunks(500) {
            let ids = part.iter().map(|(message, _)| message.id()).collect();
            let answers = self.client.lookup(TENANT, ids, 0).await;
            let answers = answers.expect("reads go on");
            assert_eq!(answers.len(), part.len());
            for (answer, (message, bits)) in answers.into_iter().zip(part) {
                let mut truth = message.answer(*bits);
                truth.revision = answer.revision;
                assert_eq!(answer, truth);
            }
        }
    }

    /// All that was refused, until it is stored; then nothing else is there.
    async fn recover(&mut self) {
        let until = Instant::now() + PATIENCE;
        for batch in std::mem::take(&mut self.unknown) {
            while let Err(status) = self.post(&batch).await {
                assert_refusal(&status);
                assert!(Instant::now() < until, "it does not recover: {status:?}");
                sleep(Duration::from_millis(50)).await;
            }
        }
        assert!(self.write().await, "all is well");
        self.read().await;
        let copy = read_all(&self.client, TENANT).await;
        let revision = copy.revision.expect("revisions");
        let rows = listed(&self.client, TENANT, revision).await;
        assert_eq!(rows.len(), self.stored.len(), "nothing else is stored");
        copy.assert_is(rows);
    }
}

#[track_caller]
fn assert_refusal(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "STORE_UNAVAILABLE", "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

/// On a Postgres of its own, whose disk is full twice in each round: it lives on, and it dies of a
/// full log.
async fn on_postgres(rounds: u64, random: Random) -> Option<Caller> {
    let mut postgres = Postgres::prepare_on_disk(192).await?;
    // of which little is kept, so that there is room in every round
    let settings = ["-c", "max_wal_size=48MB", "-c", "min_wal_size=32MB"];
    postgres.start_with(&settings).await;
    succeeded(&run(&["migrate", "--database", &postgres.url()]));
    let replica = Replica::start_on(&postgres.url(), "none");
    let mut caller = Caller::of(&replica, random).await;
    for _ in 0..rounds {
        fill(&postgres, &replica, &mut caller).await;
        postgres.disk.as_ref().expect("a disk").free();
        caller.recover().await;
        fill(&postgres, &replica, &mut caller).await;
        fill_log(&mut postgres, &mut caller).await;
        postgres.disk.as_ref().expect("a disk").free();
        let until = Instant::now() + PATIENCE;
        while PgConnection::connect(&postgres.url()).await.is_err() {
            if postgres.has_ended() {
                postgres.start_with(&settings).await; // as its service manager does
            }
            assert!(Instant::now() < until, "Postgres is not there again");
            sleep(Duration::from_millis(20)).await;
        }
        caller.recover().await;
    }
    replica.stop();
    Some(caller)
}

/// Its disk, until nothing is written any more. What was stored is read.
async fn fill(postgres: &Postgres, replica: &Replica, caller: &mut Caller) {
    // the log is in a file that is there as a whole, and goes on in a new one
    command(postgres, "SELECT pg_switch_wal()").await;
    command(postgres, "CHECKPOINT").await;
    assert!(caller.write().await, "there is room");
    let before = replica.server.logged("No space left on device").len();
    postgres.disk.as_ref().expect("a disk").fill();
    caller.write_until_refused().await;
    let told = replica.server.logged("No space left on device").len();
    assert!(told > before, "that is why");
    caller.read().await;
}

/// `false`: it was not done.
async fn command(postgres: &Postgres, sql: &'static str) -> bool {
    let Ok(mut connection) = PgConnection::connect(&postgres.url()).await else {
        return false;
    };
    sqlx::raw_sql(sql).execute(&mut connection).await.is_ok()
}

/// Until it dies of it. Whoever asks then is told so, and nothing else.
async fn fill_log(postgres: &mut Postgres, caller: &mut Caller) {
    let until = Instant::now() + PATIENCE;
    while !postgres.log().contains("PANIC") {
        command(postgres, "SELECT pg_switch_wal()").await;
        caller.write().await;
        assert!(Instant::now() < until, "it lives on without a log");
    }
    let message = *caller.stored.keys().next().expect("one");
    for _ in 0..5 {
        if let Err(status) = caller.client.lookup(TENANT, vec![message.id()], 0).await {
            assert_refusal(&status);
        }
        caller.write().await;
    }
}

async fn on_sqlite(rounds: u64, random: Random) -> Option<Caller> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::over(folder.path(), 32)?;
    let database = url(&disk.path("full.db"));
    let program = env!("CARGO_BIN_EXE_sentby");
    let mut migrate = without_settings(disk.command(program));
    let migrated = migrate.args(["migrate", "--database", &database]).output();
    succeeded(&migrated.expect("it runs"));
    let mut serve = disk.command(program);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--cache", "none"]);
    serve.args(["--database", &database]);
    let server = Server::of(without_settings(serve));
    let replica = Replica { server };
    let mut caller = Caller::of(&replica, random).await;
    for _ in 0..rounds {
        assert!(caller.write().await, "there is room");
        let before = replica.server.logged("database or disk is full").len();
        disk.fill();
        caller.write_until_refused().await;
        let told = replica.server.logged("database or disk is full").len();
        assert!(told > before, "that is why");
        caller.read().await;
        disk.free();
        caller.recover().await;
    }
    replica.stop();
    Some(caller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_loses_nothing() {
    let rounds = set("SENTBY_TEST_FULL").unwrap_or(ROUNDS);
    let seed = seed();
    println!("disk full: {rounds} rounds with seed {seed}");
    let mut random = Random(seed);
    let Some(sqlite) = on_sqlite(rounds, Random(random.next())).await else {
        return;
    };
    let Some(postgres) = on_postgres(rounds, Random(random.next())).await else {
        return;
    };
    let stored = sqlite.stored.len() + postgres.stored.len();
    let refused = sqlite.refused + postgres.refused;
    println!(
        "disk full: {refused} writes refused, {stored} messages stored, none lost; seed {seed}"
    );
    // each of the three in every round
    let figures = [
        ("sqlite_full", rounds as f64),
        ("tables_full", rounds as f64),
        ("log_full", rounds as f64),
        ("messages", stored as f64),
        ("refused", refused as f64),
    ];
    ledger::tell("disk-full", rounds, &figures);
}
