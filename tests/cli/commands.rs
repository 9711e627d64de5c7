//! demo, import, lookup, explain, quarantine; help and mistakes.

use crate::support::{
    TENANT,
    process::{json_lines, run, run_with_input, sentby, succeeded, text, url},
    records::{Record, blob},
};
use flate2::{Compression, write::GzEncoder};
use std::{fs, io::Write as _, path::PathBuf};
use tempfile::TempDir;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn database(&self) -> String {
        url(&self.path("test.db"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }
}

fn records(from: u128, to: u128) -> Vec<Record> {
    (from..to)
        .map(|n| Record::mailbox_side(n, ANNA, &format!("<M{n}@x>"), AT))
        .collect()
}

#[test]
fn the_demo_shows_every_case_and_ends() {
    let output = run(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    let shown = succeeded(&output);
    for part in [
        "ATTRIBUTED",
        "CONFLICT",
        "NOT_A_PERSON",
        "PENDING",
        "both sides",
        "Confirmed",
        "every answer is what happened",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn from_an_export_to_the_answer() {
    let folder = Folder::new();
    let database = folder.database();
    let tenant = TENANT.to_string();
    let lines: Vec<String> = records(4, 7).iter().map(Record::json).collect();
    let cell = records(7, 8)[0].json().replace('"', "\"\"");
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(lines.join("\n").as_bytes())
        .expect("compressed");
    let files = [
        folder.write("blob.json", &blob(&records(1, 4))),
        folder.write("lines.gz", &gz.finish().expect("compressed")),
        folder.write(
            "portal.csv",
            format!("CreationDate,UserIds,Operations,AuditData\r\nx,x,x,\"{cell}\"\r\n").as_bytes(),
        ),
    ];
    let import = |files: &[String], more: &[&str]| {
        let mut arguments = vec![
            "import",
            "--database",
            &database,
            "--tenant",
            &tenant,
            "--json",
        ];
        arguments.extend(more);
        arguments.extend(files.iter().map(String::as_str));
        run(&arguments)
    };
    let unknown = import(&files, &[]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).contains("--register"),
        "{}",
        text(&unknown.stderr)
    );

    let shared = ["--register", "--shared", "support@contoso.com"];
    let summary = &json_lines(&import(&files, &shared))[0];
    assert_eq!(summary["received"], 7);
    assert_eq!(summary["kept"], 7);
    assert_eq!(summary["accounted"], true);
    let again = &json_lines(&import(&files, &shared))[0];
    assert_eq!((&again["kept"], &again["repeated"]), (&0.into(), &7.into()));
    assert_eq!(again["revision"], summary["revision"], "nothing changed");

    let mut lookup = vec![
        "lookup",
        "--database",
        &database,
        "--tenant",
        &tenant,
        "--json",
    ];
    lookup.extend(["<M7@x>", "missing@x", "M1@x"]);
    let answers = json_lines(&run(&lookup));
    let short: Vec<(&str, &str, &str)> = answers
        .iter()
        .map(|answer| {
            let field = |name: &str| answer[name].as_str().unwrap_or("-");
            (field("message_id"), field("verdict"), field("agent"))
        })
        .collect();
    assert_eq!(
        short,
        [
            ("M7@x", "ATTRIBUTED", ANNA),
            ("missing@x", "PENDING", "-"),
            ("M1@x", "ATTRIBUTED", ANNA),
        ]
    );
    for key in [
        "message_id",
        "verdict",
        "agent",
        "mailbox",
        "basis",
        "confirmed",
        "contradicted",
        "sent_at",
        "revision",
    ] {
        assert!(
            answers.iter().all(|answer| answer.get(key).is_some()),
            "{key}"
        );
    }
    assert_eq!(answers[2]["sent_at"], "2026-03-01T09:00:00Z");

    let table = succeeded(&run(&[
        "lookup",
        "--database",
        &database,
        "--tenant",
        &tenant,
        "M1@x",
    ]));
    assert!(
        table.contains(ANNA) && table.contains("ATTRIBUTED"),
        "{table}"
    );
    let explain = [
        "explain",
        "--database",
        &database,
        "--tenant",
        &tenant,
        "M1@x",
    ];
    let explained = succeeded(&run(&explain));
    assert!(
        explained.contains("ATTRIBUTED to anna@contoso.com"),
        "{explained}"
    );
}

#[test]
fn ids_and_exports_come_from_standard_input() {
    let folder = Folder::new();
    let (database, tenant) = (folder.database(), TENANT.to_string());
    let common = ["--database", &database, "--tenant", &tenant, "--json"];
    let arguments = [&["import", "--register"], &common[..], &["-"]].concat();
    let summary = &json_lines(&run_with_input(&arguments, &blob(&records(1, 3))))[0];
    assert_eq!(summary["kept"], 2);
    let many: String = (0..2_500).map(|n| format!("<M{n}@x>\n")).collect();
    let arguments = [&["lookup"], &common[..], &["-"]].concat();
    let answers = json_lines(&run_with_input(&arguments, many.as_bytes()));
    assert_eq!(answers.len(), 2_500);
    assert_eq!(answers[2_499]["message_id"], "M2499@x");
    let found = answers
        .iter()
        .filter(|answer| answer["verdict"] == "ATTRIBUTED");
    assert_eq!(found.count(), 2);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_stored() {
    let folder = Folder::new();
    let (database, tenant) = (folder.database(), TENANT.to_string());
    let good = folder.write("good.json", &blob(&records(1, 3)));
    let broken = [&blob(&records(3, 5))[..], b"\n{\"Id\": \"cut off"].concat();
    let broken = folder.write("broken.json", &broken);
    let import = |file: &str| {
        let arguments = [
            "import",
            "--register",
            "--json",
            "--database",
            &database,
            "--tenant",
            &tenant,
        ];
        run(&[&arguments[..], &[good.as_str(), file]].concat())
    };
    let quarantined = import(&broken);
    let summary = &json_lines(&quarantined)[0];
    assert_eq!(
        (&summary["kept"], &summary["quarantined"]),
        (&4.into(), &1.into())
    );
    assert_eq!(summary["accounted"], true, "it is accounted for");
    assert_eq!(summary["problems"][0]["reason"], "MALFORMED");

    let error = folder.write(
        "error.json",
        br#"{"error":{"code":"AF20022","message":"x"}}"#,
    );
    let garbage = folder.write("garbage.json", b"<html>502</html>");
    for (file, told) in [
        (error.as_str(), "AF20022"),
        (garbage.as_str(), "garbage.json"),
        ("/no/such/file.json", "/no/such/file.json"),
    ] {
        let failed = import(file);
        assert_eq!(failed.status.code(), Some(1), "{file}");
        assert!(
            text(&failed.stderr).contains(told),
            "{}",
            text(&failed.stderr)
        );
    }
}

#[test]
fn what_is_in_quarantine_is_shown_and_retried() {
    let folder = Folder::new();
    let (database, tenant) = (folder.database(), TENANT.to_string());
    let common = ["--database", &database, "--tenant", &tenant];
    let stray = Record::noise("Create", 9, AT).set("OrganizationId", tenant.replace('1', "2"));
    let content = format!("{}\n{{\"Id\": \"\u{fc}\"}}\n", stray.json());
    let file = folder.write("lines.json", content.as_bytes());
    let import = run(&[&["import", "--register"], &common[..], &[&file]].concat());
    let told = succeeded(&import);
    let command = format!("sentby quarantine list --tenant {tenant}");
    assert!(told.contains(&command), "{told}");
    assert!(
        !told.contains("without a copy"),
        "another tenant's never has one: {told}"
    );

    let list = |more: &[&str]| run(&[&["quarantine", "list"], &common[..], more].concat());
    let table = succeeded(&list(&[]));
    assert!(
        table.contains("MISSING_FIELD") && table.contains("no copy"),
        "{table}"
    );
    let full = succeeded(&list(&["--content", "--reason", "missing_field"]));
    assert!(full.contains("{\"Id\": \"\u{fc}\"}"), "{full}");
    let lines = json_lines(&list(&["--json", "--content"]));
    let found = lines.iter().find(|line| line["reason"] == "MISSING_FIELD");
    let found = found.expect("listed");
    assert_eq!(found["content"], "{\"Id\": \"\u{fc}\"}");
    assert!(found["expires_at"].as_str() > found["received_at"].as_str());

    let retry = |more: &[&str]| run(&[&["quarantine", "retry"], &common[..], more].concat());
    let digest = found["digest"].as_str().expect("a digest");
    let done = &json_lines(&retry(&["--json", digest]))[0];
    assert_eq!(
        (&done["retried"], &done["still_quarantined"]),
        (&1.into(), &1.into())
    );
    let words = succeeded(&retry(&[]));
    assert!(words.contains("1 record not retried"), "{words}");
    let wrong = retry(&["nonsense"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stderr).contains("digests[0]"),
        "{}",
        text(&wrong.stderr)
    );

    let empty = succeeded(&list(&["--reason", "TOO_LARGE"]));
    assert_eq!(empty, "");
}

#[test]
fn mistakes_are_told_with_what_is_known() {
    let folder = Folder::new();
    let config = folder.write("sentby.toml", b"listne = \"127.0.0.1:1\"\n");
    for (arguments, told) in [
        (vec!["serve", "--config", &config], "listne"),
        (vec!["serve", "--listen", "0.0.0.0:50051"], "--insecure"),
        (vec!["serve", "--database", "mysql://x"], "sqlite://PATH"),
        (vec!["lookup", "--tenant", "contoso", "x"], "contoso"),
        (vec!["import", "--tennant", "x"], "--tenant"),
    ] {
        let output = run(&arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(told),
            "{}",
            text(&output.stderr)
        );
    }
    let mut command = sentby(&["serve"]);
    let output = command
        .env("SENTBY_LISTNE", "127.0.0.1:1")
        .output()
        .expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("SENTBY_LISTNE"),
        "{}",
        text(&output.stderr)
    );

    let version = succeeded(&run(&["--version"]));
    assert_eq!(
        version.trim(),
        format!("sentby {}", env!("CARGO_PKG_VERSION"))
    );
    for command in [
        "serve",
        "demo",
        "import",
        "lookup",
        "explain",
        "quarantine",
        "migrate",
        "simulate",
        "verify",
    ] {
        assert!(
            succeeded(&run(&[command, "--help"])).contains("Examples:"),
            "{command}"
        );
    }
}
