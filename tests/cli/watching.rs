//! `sentby watch`: once and again, and on and on.

use crate::support::{
    TENANT, TestDb,
    process::{Server, database, json_lines, run, run_with_input, sentby, succeeded, text},
    records::{Record, blob},
};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

fn import(database: &str, numbers: std::ops::Range<u32>) {
    let record = |n: u32| {
        let at = format!("2026-03-02T09:00:{n:02}");
        Record::mailbox_side(
            u128::from(n) + 1,
            "anna@contoso.com",
            &format!("M{n}@x"),
            &at,
        )
    };
    let records: Vec<Record> = numbers.map(record).collect();
    let tenant = TENANT.to_string();
    let of = ["import", "--register", "--tenant", &tenant];
    let arguments = [&of[..], &["--database", database, "-"]].concat();
    succeeded(&run_with_input(&arguments, &blob(&records)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_now_and_then_misses_nothing() {
    let db = TestDb::sqlite().await;
    let database = database(&db.config.database);
    let tenant = TENANT.to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("place.json");
    let state = state.to_str().expect("a path");
    let command = |name: &str, more: &[&str]| {
        run(&[&[name, "--database", &database, "--tenant", &tenant], more].concat())
    };
    let changes = |lines: &[Value]| -> Vec<String> {
        let changes = lines.iter().filter(|line| line["kind"] == "CREATED");
        changes
            .map(|line| {
                line["answer"]["message_id"]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
            .collect()
    };
    import(&database, 0..3);
    let first = json_lines(&command("watch", &["--json", "--state", state]));
    assert_eq!(changes(&first).len(), 3);
    assert_eq!(first.last().expect("one")["caught_up"], true);
    assert_eq!(
        changes(&json_lines(&command(
            "watch",
            &["--json", "--state", state]
        ))),
        Vec::<String>::new()
    );
    import(&database, 3..5);
    let csv = succeeded(&command("watch", &["--csv", "--state", state]));
    assert_eq!(csv.lines().count(), 1 + 2, "{csv}");
    assert!(csv.starts_with("kind,changed_by,committed_at,message_key,message_id,verdict,"));

    // all of it, and then what came since
    let listed = json_lines(&command("list", &["--json", "--state", state]));
    assert_eq!(listed.len(), 5);
    import(&database, 5..6);
    let since = json_lines(&command("watch", &["--json", "--state", state]));
    assert_eq!(changes(&since), ["M5@x"]);

    // without a file the token is told
    let told = command("watch", &[]);
    assert_eq!(succeeded(&told).lines().count(), 6);
    let stderr = text(&told.stderr);
    let token = stderr.trim().rsplit_once("--token ").expect("a token").1;
    assert_eq!(succeeded(&command("watch", &["--token", token])), "");

    for (arguments, code, words) in [
        (["--token", "nonsense"], 1, "FEED_TOKEN_INVALID"),
        (["--token", "-Znonsense"], 1, "FEED_TOKEN_INVALID"),
        (["--token", "x --tenant"], 1, "FEED_TOKEN_INVALID"),
        (
            ["--tenant", "22222222-2222-4222-8222-222222222222"],
            1,
            "TENANT_NOT_FOUND",
        ),
    ] {
        let refused = command("watch", &arguments);
        assert_eq!(refused.status.code(), Some(code));
        let stderr = text(&refused.stderr);
        assert!(stderr.contains(words), "{stderr}");
        assert!(!stderr.contains("go on with"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_server_is_told_what_comes() {
    let db = TestDb::sqlite().await;
    let database = database(&db.config.database);
    import(&database, 0..1);
    let server = Server::start(&database);
    let tenant = TENANT.to_string();
    let mut watch = sentby(&["watch", "--server", &server.url, "--tenant", &tenant])
        .args(["--follow", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut next = |field: &str| -> Value {
        loop {
            let line = lines.next().expect("a line").expect("text");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if !line[field].is_null() {
                return line;
            }
        }
    };
    assert_eq!(next("kind")["answer"]["message_id"], "M0@x");
    import(&database, 1..2);
    assert_eq!(next("kind")["answer"]["message_id"], "M1@x");
    assert_eq!(next("resume_token")["revision"], 2);
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
}
