//! Two importers at once, as two processes, in random order with repeats: the same rows.

use crate::{
    on_both_engines,
    support::{
        TENANT, assert_same_rows,
        feed::{Random, records},
        process::{Server, database, json_lines, run, sentby, succeeded},
    },
};
use std::{fs, process::Stdio};

const MESSAGES: usize = 3_000;

/// The feed in an order of its own, with a fifth of it twice.
fn shuffled(records: &[String], seed: u64) -> String {
    let mut random = Random(seed);
    let mut order: Vec<&String> = records
        .iter()
        .chain(&records[..records.len() / 5])
        .collect();
    random.shuffle(&mut order);
    order
        .into_iter()
        .map(|record| format!("{record}\n"))
        .collect()
}

on_both_engines! {
    /// One straight on the database, one through a server; then all of it once more.
    async fn two_importers_at_once_give_the_same_rows(db: TestDb) {
        let records = records(7, MESSAGES);
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            path.display().to_string()
        };
        let tenant = TENANT.to_string();
        let expected = crate::support::TestDb::sqlite().await;
        let in_order = file("in_order.jsonl", &records.iter().map(|r| format!("{r}\n")).collect::<String>());
        let target = database(&expected.config.database);
        let import = ["import", "--register", "--tenant", &tenant, "--json"];
        let once = run(&[&import[..], &["--database", &target, &in_order]].concat());
        let once = &json_lines(&once)[0];
        assert!(once["received"].as_u64().expect("a number") > 2 * MESSAGES as u64);
        let expected = expected.dump(TENANT).await;

        let target = database(&db.config.database);
        let server = Server::start(&target);
        let (one, two) = (file("1.jsonl", &shuffled(&records, 8)), file("2.jsonl", &shuffled(&records, 9)));
        let spawn = |to: [&str; 2], file: &str| {
            sentby(&[&import[..], &to, &[file]].concat())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        };
        let first = spawn(["--database", &target], &one);
        let second = spawn(["--server", &server.url], &two);
        for importer in [first, second] {
            let output = importer.wait_with_output().expect("it ends");
            assert_eq!(json_lines(&output)[0]["accounted"], true);
        }
        assert_same_rows(&db.dump(TENANT).await, &expected);
        let revision = db.assert_gapless(TENANT).await;

        let again = run(&[&import[..], &["--server", &server.url, &one]].concat());
        assert!(succeeded(&again).contains("\"kept\":0"), "{}", succeeded(&again));
        assert_same_rows(&db.dump(TENANT).await, &expected);
        assert_eq!(db.assert_gapless(TENANT).await, revision);
        assert_eq!(server.stop(), Some(0));
    }
}
