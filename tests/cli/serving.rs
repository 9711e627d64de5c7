//! serve and migrate.

use crate::support::{
    TENANT, TestDb,
    process::{Server, database, run, succeeded, text},
};
use sentby::config::DatabaseUrl;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_is_migrated_by_the_command() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    // a schema of its own without tables
    db.execute("CREATE SCHEMA IF NOT EXISTS not_migrated").await;
    let (base, _) = url.split_once("?options").expect("the options of a test");
    let empty = format!("{base}?options=-csearch_path%3Dnot_migrated");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--database", &empty]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("sentby migrate"),
        "{}",
        text(&refused.stderr)
    );

    succeeded(&run(&["migrate", "--database", &empty]));
    let again = succeeded(&run(&["migrate", "--database", &empty]));
    assert!(!again.is_empty());
    let server = Server::start(&empty);
    let tenant = TENANT.to_string();
    let asked = run(&[
        "lookup",
        "--server",
        &server.url,
        "--tenant",
        &tenant,
        "x@x",
    ]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(
        text(&asked.stderr).contains("TENANT_NOT_FOUND"),
        "{}",
        text(&asked.stderr)
    );
    assert_eq!(server.stop(), Some(0), "SIGTERM ends it in order");
    db.execute("DROP SCHEMA not_migrated CASCADE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_never_shown() {
    let output = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database",
        "postgres://sentby:S3cret@127.0.0.1:1/x?sslmode=nonsense",
    ]);
    assert_ne!(output.status.code(), Some(0));
    let shown = text(&output.stderr) + &text(&output.stdout);
    assert!(!shown.contains("S3cret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_there_after_a_restart() {
    let db = TestDb::sqlite().await;
    let target = database(&db.config.database);
    let tenant = TENANT.to_string();
    let first = Server::start(&target);
    let record = crate::support::records::Record::mailbox_side(
        1,
        "anna@contoso.com",
        "<A@x>",
        "2026-03-01T09:00:00",
    );
    let arguments = [
        "import",
        "--register",
        "--tenant",
        &tenant,
        "--server",
        &first.url,
        "-",
    ];
    let import = crate::support::process::run_with_input(&arguments, record.json().as_bytes());
    succeeded(&import);
    assert_eq!(first.stop(), Some(0));
    let second = Server::start(&target);
    let asked = run(&[
        "lookup",
        "--server",
        &second.url,
        "--tenant",
        &tenant,
        "A@x",
    ]);
    assert!(succeeded(&asked).contains("anna@contoso.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_asked_what_it_is() {
    let db = TestDb::sqlite().await;
    let server = Server::start_with(&database(&db.config.database), &["--change-days", "9"]);
    let told = run(&["info", "--json", "--server", &server.url]);
    let told = crate::support::process::json_lines(&told).remove(0);
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["limits"]["batch_bytes"], 16 << 20);
    assert_eq!(told["settings"]["change_days"], "9");
    let words = succeeded(&run(&["info", "--server", &server.url]));
    assert!(words.contains("change_days = 9"), "{words}");
}

/// Nobody has to be first: all of them find or make the file.
#[test]
fn several_processes_make_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = crate::support::process::url(&folder.path().join("new.db"));
    let tenant = TENANT.to_string();
    let arguments = [
        "import",
        "--register",
        "--tenant",
        &tenant,
        "--database",
        &database,
        "-",
    ];
    let importers: Vec<_> = (0..6u128)
        .map(|n| {
            let arguments = arguments.map(str::to_owned);
            std::thread::spawn(move || {
                let record = crate::support::records::Record::mailbox_side(
                    n + 1,
                    "anna@contoso.com",
                    &format!("<N{n}@x>"),
                    "2026-03-01T09:00:00",
                );
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                crate::support::process::run_with_input(&arguments, record.json().as_bytes())
            })
        })
        .collect();
    for importer in importers {
        succeeded(&importer.join().expect("it ends"));
    }
    let lookup = [
        "lookup",
        "--json",
        "--tenant",
        &tenant,
        "--database",
        &database,
    ];
    let ids = ["N0@x", "N1@x", "N2@x", "N3@x", "N4@x", "N5@x"];
    let answers = crate::support::process::json_lines(&run(&[&lookup[..], &ids].concat()));
    assert!(
        answers
            .iter()
            .all(|answer| answer["verdict"] == "ATTRIBUTED")
    );
}
