//! `sentby list` and `sentby summary`: a range in every form, and through a connection that breaks.

use crate::support::{
    TENANT, TestDb,
    process::{Server, database, json_lines, run, run_with_input, succeeded},
    records::{Record, blob},
};
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

const MANY: usize = 20_000;

/// A message, and so many less one that were sent a second apart each.
async fn filled() -> TestDb {
    let db = TestDb::sqlite().await;
    let record = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T00:00:00");
    let (database, tenant) = (database(&db.config.database), TENANT.to_string());
    let import = [
        "import",
        "--register",
        "--tenant",
        &tenant,
        "--database",
        &database,
        "-",
    ];
    succeeded(&run_with_input(&import, &blob(&[record])));
    db.execute(
        "WITH RECURSIVE series(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM series \
         WHERE n < 20000) \
         INSERT INTO attribution SELECT tenant_id, randomblob(16), 'W' || n || '@x', \
         sent_at + n * 1000000, revision, verdict, basis, agent, agent_object_id, mailbox, \
         candidates, confirmed, contradicted, listed, evidence FROM attribution, series",
    )
    .await;
    db
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_listed_in_every_form() {
    let db = filled().await;
    let database = database(&db.config.database);
    let tenant = TENANT.to_string();
    let list = |more: &[&str]| {
        let of = ["list", "--database", &database, "--tenant", &tenant];
        run(&[&of[..], more].concat())
    };
    let all = json_lines(&list(&["--json"]));
    assert_eq!(all.len(), MANY);
    assert_eq!(all[0]["message_id"], "M@x");
    let part = ["--from", "2026-03-02", "--to", "2026-03-02T00:00:04Z"];
    let with = |more: &[&str]| succeeded(&list(&[&part[..], more].concat()));
    let csv = with(&["--csv"]);
    let csv: Vec<&str> = csv.lines().collect();
    assert_eq!(csv.len(), 4, "{csv:?}");
    assert!(csv[0].starts_with("message_id,verdict,"));
    let rest = ",ATTRIBUTED,anna@contoso.com,support@contoso.com,MAILBOX_SEND_AS,false,false,";
    assert!(
        csv[2].starts_with(&format!("W2@x{rest}2026-03-02T00:00:02Z,1,")),
        "{csv:?}"
    );
    assert_eq!(with(&[]).lines().count(), 4, "a table");
    assert_eq!(
        with(&["--json", "--agent", "ANNA@contoso.com"])
            .lines()
            .count(),
        3
    );
    assert_eq!(with(&["--json", "--verdict", "conflict"]), "");
    assert_eq!(list(&["--mailbox", "nobody"]).status.code(), Some(1));
}

/// Cuts each connection after some bytes of answers, the later the further it got.
fn proxy(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for (n, client) in listener.incoming().flatten().enumerate() {
            let upstream = TcpStream::connect(&server).expect("the server");
            let (mut from, mut to) = (
                client.try_clone().expect("a handle"),
                upstream.try_clone().expect("a handle"),
            );
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut left = (n + 1) * 300_000;
            let (mut from, mut to) = (upstream, client);
            let mut buffer = [0; 16_384];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if read > left || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
                left -= read;
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_gone_on_with() {
    let db = filled().await;
    let server = Server::start(&database(&db.config.database));
    let tenant = TENANT.to_string();
    let through = proxy(server.address.clone());
    let listed = run(&["list", "--json", "--tenant", &tenant, "--server", &through]);
    let listed = json_lines(&listed);
    let time = |n: usize| listed[n]["sent_at"].as_str().expect("a time");
    assert!(
        (1..listed.len()).all(|n| time(n - 1) < time(n)),
        "each once, in order"
    );
    let ids: BTreeSet<&str> = listed
        .iter()
        .filter_map(|one| one["message_id"].as_str())
        .collect();
    assert_eq!(ids.len(), MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_summarized_in_every_form() {
    let db = filled().await;
    let database = database(&db.config.database);
    let tenant = TENANT.to_string();
    let summary = |more: &[&str]| {
        let of = ["summary", "--database", &database, "--tenant", &tenant];
        run(&[&of[..], more].concat())
    };
    // 20,000 messages, a second apart: 5 hours and 33 minutes, whoever's clock it is
    let hours = json_lines(&summary(&["--json", "--bucket", "hour"]));
    assert_eq!(hours.len(), 6);
    let counts: Vec<u64> = hours
        .iter()
        .map(|row| row["messages"].as_u64().expect("a number"))
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), MANY as u64);
    assert_eq!(counts[1], 3_600);
    assert_eq!(hours[1]["bucket_start"], "2026-03-02T01:00:00Z");
    assert_eq!(hours[1]["agent"], "anna@contoso.com");
    assert_eq!(hours[1]["mailbox_send_as"], 3_600);

    let nepal = ["--bucket", "DAY", "--time-zone", "Asia/Kathmandu", "--csv"];
    let part = ["--from", "2026-03-02", "--to", "2026-03-02T00:00:04Z"];
    let csv = succeeded(&summary(&[&nepal[..], &part].concat()));
    let csv: Vec<&str> = csv.lines().collect();
    assert!(csv[0].starts_with("bucket_start,bucket_end,mailbox,agent,messages,attributed,"));
    assert_eq!(
        csv[1..],
        [
            "2026-03-02T00:00:00Z,2026-03-02T00:00:04Z,support@contoso.com,anna@contoso.com,\
          3,3,0,0,0,0,3,0,0,0,0,0,0,0,2026-03-02T00:00:00Z,2026-03-02T00:00:03Z"
        ]
    );
    let table = succeeded(&summary(&[]));
    let table: Vec<&str> = table.lines().collect();
    assert_eq!(table.len(), 2, "one row of all: {table:?}");
    assert!(table[0].starts_with("FROM ") && table[1].contains(" 20,000"));
    assert_eq!(
        succeeded(&summary(&["--json", "--agent", "bob@contoso.com"])),
        ""
    );
    let wrong = summary(&["--time-zone", "Europe/Atlantis"]);
    assert_eq!(wrong.status.code(), Some(1));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        told.contains("time_zone") && told.contains("IANA"),
        "{told}"
    );

    let reader = run(&["migrate", "--database", &database, "--reader", "bi"]);
    assert_eq!(reader.status.code(), Some(2), "SQLite has no roles");
}
