//! Clients that are not ours, against the program as it is started: Python's grpcio, by
//! reflection. They show what our own client cannot: that nothing of ours is needed to call us.
//!
//! `merger_faults.rs` tells how to run the merger through many faults for long.

#[path = "../support/mod.rs"]
mod support;

mod merger;
mod merger_faults;
mod merger_stage;

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};
use support::{
    OTHER_TENANT, TENANT,
    process::{Server, json_lines, run, succeeded, text},
    records::{Record, SUPPORT, blob},
};
use tempfile::TempDir;

const ANNA: &str = "anna@contoso.com";
const MESSAGE: &str = "collected@contoso.com";

/// The whole of it, in the order of a first day: a server, its callers, a question, the end.
#[test]
fn python_needs_nothing_of_ours() {
    let Some(python) = python() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    let database = format!("sqlite://{}", folder.path().join("test.db").display());
    let server = Server::start(&database);
    let tenant = TENANT.to_string();
    let call = |script: &str, arguments: &[&str]| {
        let mut command = Command::new(&python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .arg(&server.address)
            .args(arguments)
            // a proxy of the surroundings is not for a server on this machine
            .env("no_grpc_proxy", "127.0.0.1")
            .stdin(Stdio::null());
        command.output().expect("Python runs")
    };

    // registers the tenant, too
    let transcript = call("tests/clients/everything.py", &[&tenant]);
    println!("{}", succeeded(&transcript));

    let file = folder.path().join("blob.json");
    let time = "2026-03-03T10:00:00";
    let records = [
        Record::mailbox_side(1, ANNA, MESSAGE, time),
        Record::agent_side(2, ANNA, MESSAGE, time),
        Record::noise("MailItemsAccessed", 3, time),
    ];
    fs::write(&file, blob(&records)).expect("written");
    let file = file.to_str().expect("UTF-8");
    for counts in [
        "received 3, kept 2, repeated 0, ignored 1, quarantined 0",
        "received 3, kept 0, repeated 2, ignored 1, quarantined 0",
    ] {
        let collected = call("examples/collector.py", &[&tenant, file]);
        assert_eq!(succeeded(&collected), format!("{file}: {counts}\n"));
    }

    let stranger = OTHER_TENANT.to_string();
    let refused = call("examples/collector.py", &[&stranger, file]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = text(&refused.stderr);
    assert!(why.contains("NOT_FOUND TENANT_NOT_FOUND:"), "{why}");

    assert_answered(["--server", &server.url]);
    assert_eq!(server.stop(), Some(0));
    // what was acknowledged is in the file, not in the process
    assert_answered(["--database", &database]);
}

/// What people copy out of the README is what the test above has run.
#[test]
fn the_readme_has_the_collector_word_for_word() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let collector = format!("```python\n{}```\n", read("examples/collector.py"));
    assert!(
        read("README.md").contains(&collector),
        "README.md must show examples/collector.py in a ```python block"
    );
}

/// `None`, said aloud, where there is no Python with grpcio; that is a failure under `tests/run`.
fn python() -> Option<OsString> {
    let python = std::env::var_os("SENTBY_TEST_PYTHON");
    if python.is_none() {
        assert!(
            std::env::var_os("REQUIRE_POSTGRES").is_none(),
            "SENTBY_TEST_PYTHON is not set: start the suite with tests/run"
        );
        eprintln!("SKIPPED: no SENTBY_TEST_PYTHON; tests/run prepares a Python with grpcio");
    }
    python
}

#[track_caller]
fn assert_answered(target: [&str; 2]) {
    let tenant = TENANT.to_string();
    let lookup = [
        "lookup", "--json", "--tenant", &tenant, target[0], target[1],
    ];
    let answers = json_lines(&run(&[&lookup[..], &[MESSAGE, "lost@contoso.com"]].concat()));
    let [hit, miss] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(hit["message_id"], MESSAGE);
    assert_eq!(hit["verdict"], "ATTRIBUTED");
    assert_eq!(hit["agent"], ANNA);
    assert_eq!(hit["mailbox"], SUPPORT);
    assert_eq!(hit["confirmed"], true);
    assert_eq!(miss["verdict"], "PENDING");
}
