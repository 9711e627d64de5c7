//! Databases of the private Postgres: made, filled, and weighed.

use crate::process::cpu_of_family;
use sentby::domain::{MessageId, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::{fs, process::Command, time::Duration};

pub struct Postgres {
    /// Without the name of a database.
    url: String,
    postmaster: u32,
}

impl Postgres {
    /// `url`: its superuser.
    pub async fn at(url: &str) -> Self {
        let (url, _) = url.rsplit_once('/').expect("a database");
        let mut this = Self {
            url: url.to_owned(),
            postmaster: 0,
        };
        let mut connection = this.connect("postgres").await;
        let backend: i32 = number(&mut connection, "SELECT pg_backend_pid()").await;
        let stat = fs::read_to_string(format!("/proc/{backend}/stat")).expect("it runs here");
        let behind = stat.rsplit_once(')').expect("a name").1;
        let parent = behind.split_whitespace().nth(1).expect("a parent");
        this.postmaster = parent.parse().expect("a number");
        this
    }

    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    pub async fn connect(&self, database: &str) -> PgConnection {
        let url = self.database(database);
        PgConnection::connect(&url).await.expect("it is there")
    }

    /// An empty database; with the tables of sentby if `migrated`.
    pub async fn create(&self, name: &str, migrated: bool) -> String {
        let mut connection = self.connect("postgres").await;
        run(
            &mut connection,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
        run(&mut connection, &format!("CREATE DATABASE {name}")).await;
        let url = self.database(name);
        if migrated {
            let done = Command::new(env!("CARGO_BIN_EXE_sentby"))
                .args(["migrate", "--database", &url])
                .output()
                .expect("it runs");
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        url
    }

    pub async fn drop(&self, name: &str) {
        let mut connection = self.connect("postgres").await;
        run(
            &mut connection,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
    }

    /// From here on no page is written whole again that was before.
    pub async fn checkpoint(&self) {
        run(&mut self.connect("postgres").await, "CHECKPOINT").await;
    }

    pub fn cpu(&self) -> Duration {
        cpu_of_family(self.postmaster)
    }

    /// Bytes of write-ahead log since ever.
    pub async fn wal(&self) -> i64 {
        let mut connection = self.connect("postgres").await;
        let lsn = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
        number(&mut connection, lsn).await
    }
}

pub async fn run(connection: &mut PgConnection, sql: &str) {
    let done = connection.execute(AssertSqlSafe(sql)).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub async fn number<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
}

/// The id of message number `n` of a seeded database.
pub fn seeded_id(n: u64) -> String {
    format!("AM9PR06MB{n:010}F2C3D4E5A6B7@AM9PR06MB7890.eurprd06.prod.outlook.com")
}

/// When it was sent: one a second.
pub const SEEDED_FROM: i64 = 1_600_000_000;

/// Copies the one message that is in the database so often, by COPY, numbers `from..to`.
pub async fn seed(url: &str, tenant: &str, from: u64, to: u64) {
    let mut connection = PgConnection::connect(url).await.expect("it is there");
    let row = sqlx::query(
        "SELECT agent, mailbox, encode(evidence, 'hex') FROM attribution WHERE confirmed LIMIT 1",
    )
    .fetch_one(&mut connection)
    .await
    .expect("a message");
    let (agent, mailbox, evidence): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let mut copy = connection
        .copy_in_raw(
            "COPY attribution (tenant_id, message_key, message_id, sent_at, revision, verdict, \
             basis, agent, mailbox, confirmed, contradicted, listed, evidence) FROM STDIN",
        )
        .await
        .expect("a copy");
    let mut n = from;
    while n < to {
        let until = (n + 10_000).min(to);
        let lines: String = (n..until)
            .map(|n| {
                let id = MessageId::parse(&seeded_id(n)).expect("an id");
                let sent_at = SEEDED_FROM + n.cast_signed();
                let (key, id) = (id.key(), id.as_str());
                format!(
                    "{tenant}\t{key}\t{id}\t{}\t1\tATTRIBUTED\tMAILBOX_SEND_AS\t{agent}\t{mailbox}\t\
                     t\tf\tt\t\\\\x{evidence}\n",
                    time(sent_at)
                )
            })
            .collect();
        copy.send(lines.as_bytes()).await.expect("it takes them");
        n = until;
    }
    copy.finish().await.expect("copied");
    run(&mut connection, "VACUUM ANALYZE attribution").await;
}

/// Seconds since 1970 as SQL takes a time.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}
