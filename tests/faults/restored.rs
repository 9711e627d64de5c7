//! A backup is restored: nothing of the lost future is told any more, and what is sent again
//! makes the same rows.

use super::{
    stage::{Message, Replica},
    support::{
        TENANT, TestDb, assert_same_rows,
        postgres::{program, programs},
        process::{database, run, succeeded},
        redis::Redis,
    },
};
use sentby::{
    config::DatabaseUrl,
    pb::{WatchAttributionsRequest, WatchPosition, watch_position::Start},
};
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

const MESSAGES: u32 = 30;
/// Records of each message at the time of the backup, and later.
const THEN: u64 = 0b1;
const LATER: u64 = 0b111;

fn message(number: u32) -> Message {
    Message {
        tenant: TENANT,
        number,
    }
}

/// A backup as its administrators make it, while servers are at work.
struct Backup {
    folder: TempDir,
    programs: Option<PathBuf>,
}

impl Backup {
    async fn of(db: &TestDb) -> Self {
        let programs = match &db.config.database {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Postgres(_) => programs().await,
        };
        let backup = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            programs,
        };
        match &db.config.database {
            DatabaseUrl::Sqlite(_) => {
                let copy = format!("VACUUM INTO '{}'", backup.file().display());
                db.texts(&copy).await;
            }
            DatabaseUrl::Postgres(url) => {
                let (url, schema) = parts(url);
                let programs = backup.programs.as_deref().expect("of Postgres");
                let mut dump = program(programs, "pg_dump");
                dump.args(["-Fc", "-n", schema, "-f"])
                    .arg(backup.file())
                    .arg(url);
                succeed(dump);
            }
        }
        backup
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    async fn restore(&self, db: &TestDb) {
        match &db.config.database {
            DatabaseUrl::Sqlite(path) => {
                for end in ["-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{end}", path.display()));
                }
                std::fs::copy(self.file(), path).expect("copied");
            }
            DatabaseUrl::Postgres(url) => {
                let (url, schema) = parts(url);
                let programs = self.programs.as_deref().expect("of Postgres");
                let mut gone = program(programs, "psql");
                let sql = format!("DROP SCHEMA {schema} CASCADE");
                gone.args(["-q", "-c", &sql, url]);
                succeed(gone);
                let mut restore = program(programs, "pg_restore");
                restore.args(["-d", url]).arg(self.file());
                succeed(restore);
            }
        }
    }
}

fn succeed(mut command: Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

/// The database, and the schema of the test in it.
fn parts(url: &str) -> (&str, &str) {
    let (url, options) = url.split_once('?').expect("the options of a test");
    let (_, schema) = options.rsplit_once("%3D").expect("a schema");
    (url, schema)
}

/// A position behind all there is.
async fn position(replica: &Replica) -> String {
    let request = WatchAttributionsRequest {
        positions: vec![WatchPosition {
            tenant_id: TENANT.to_string(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let client = replica.client().await;
    let stream = client.attributions().watch_attributions(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let mut token = String::new();
    while let Some(told) = stream.message().await.expect("told") {
        if !told.resume_token.is_empty() {
            token = told.resume_token;
        }
    }
    assert!(!token.is_empty());
    token
}

async fn resumes(replica: &Replica, token: &str) -> Result<(), tonic::Status> {
    let request = WatchAttributionsRequest {
        positions: vec![WatchPosition {
            tenant_id: TENANT.to_string(),
            start: Some(Start::ResumeToken(token.to_owned())),
            ..Default::default()
        }],
        ..Default::default()
    };
    let client = replica.client().await;
    let mut stream = client
        .attributions()
        .watch_attributions(request)
        .await?
        .into_inner();
    while stream.message().await?.is_some() {}
    Ok(())
}

async fn send(replica: &Replica, from: u8, to: u8) {
    let client = replica.client().await;
    for number in 0..MESSAGES {
        for n in from..to {
            let record = message(number).record(n);
            client.post(TENANT, &[record]).await.expect("stored");
        }
    }
}

/// How many answers are those of these records; all others are an error, unless they are of
/// `or`.
async fn answered(replica: &Replica, records: u64, or: Option<u64>) -> u32 {
    let client = replica.client().await;
    let ids: Vec<String> = (0..MESSAGES).map(|n| message(n).id()).collect();
    let mut right = 0;
    // twice: the first call learns which life the tenant is in
    for round in 0..2 {
        let answers = client
            .lookup(TENANT, ids.clone(), 0)
            .await
            .expect("answered");
        for (number, mut answer) in (0..).zip(answers) {
            answer.revision = 0;
            let is_right = answer == message(number).answer(records);
            let is_other = or.is_some_and(|or| answer == message(number).answer(or));
            assert!(is_right || is_other, "{answer:?}");
            right += u32::from(round == 1 && is_right);
        }
    }
    right
}

async fn a_backup_is_restored(db: TestDb) {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let first = Replica::start(&db, &redis.url());
    let second = Replica::start(&db, &redis.url());
    first.client().await.register(TENANT).await;
    send(&first, 0, 1).await;
    let kept = position(&second).await;
    assert_eq!(answered(&second, THEN, None).await, MESSAGES);
    let backup = Backup::of(&db).await;

    send(&first, 1, 3).await;
    assert_eq!(answered(&second, LATER, None).await, MESSAGES);
    let lost = position(&second).await;
    let after = db.dump(TENANT).await;

    let is_file = matches!(db.config.database, DatabaseUrl::Sqlite(_));
    // nobody restores a file under a program; a server's sessions are ended, and come back
    let (live, stopped) = if is_file {
        second.stop();
        (None, first)
    } else {
        (Some(second), first)
    };
    stopped.stop();
    let restored = Instant::now();
    backup.restore(&db).await;

    if let Some(live) = &live {
        // it still knows the newer revision, and notices at the first read of the store
        let until = Instant::now() + Duration::from_secs(30);
        while live.server.logged("RESTORED").is_empty() {
            let client = live.client().await;
            let unknown = format!("unknown-{}@x", until.elapsed().as_micros());
            let _ = client
                .lookup(TENANT, vec![unknown, message(0).id()], 0)
                .await;
            let _ = client.post(TENANT, &[message(0).record(0)]).await;
            assert!(Instant::now() < until, "it does not notice");
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(
            answered(live, THEN, None).await,
            MESSAGES,
            "no cache is asked"
        );
    }
    // and a program that was not told takes what Redis has for the truth
    let untold = Replica::start(&db, &redis.url());
    let mut right = answered(&untold, THEN, Some(LATER)).await;
    for _ in 0..20 {
        if right < MESSAGES {
            break;
        }
        // a Redis that is late once is not waited for
        right = answered(&untold, THEN, Some(LATER)).await;
    }
    println!("{right} of {MESSAGES} answers were right before `migrate --restored`");
    if restored.elapsed() < Duration::from_secs(15) {
        assert!(right < MESSAGES, "Redis is full of the future");
    }
    untold.stop();

    let target = database(&db.config.database);
    for _ in 0..2 {
        let said = succeeded(&run(&["migrate", "--database", &target, "--restored"]));
        assert!(said.contains(&TENANT.to_string()), "{said}");
        assert!(said.contains("the newest batch is of 20"), "{said}");
    }
    assert!(!redis.keys().await.is_empty(), "Redis is as it was");
    if let Some(live) = live {
        assert_eq!(answered(&live, THEN, None).await, MESSAGES);
        live.stop();
    }
    let replicas = [
        Replica::start(&db, &redis.url()),
        Replica::start(&db, &redis.url()),
    ];
    for replica in &replicas {
        assert_eq!(answered(replica, THEN, None).await, MESSAGES);
        for token in [&kept, &lost] {
            let refused = resumes(replica, token).await.expect_err("of another life");
            assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
            let details = String::from_utf8_lossy(refused.details()).into_owned();
            assert!(details.contains("FEED_GENERATION_CHANGED"), "{refused}");
        }
        let token = position(replica).await;
        resumes(replica, &token).await.expect("of this life");
    }
    // collectors send again what they have, some of it twice
    send(&replicas[0], 0, 3).await;
    for replica in &replicas {
        assert_eq!(answered(replica, LATER, Some(THEN)).await, MESSAGES);
    }
    assert_same_rows(&db.dump(TENANT).await, &after);
    for replica in replicas {
        replica.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_postgres() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    a_backup_is_restored(db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_file() {
    a_backup_is_restored(TestDb::sqlite().await).await;
}
