//! The rules of the house that no compiler holds.

use sentby::telemetry::table::METRICS;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every room of `src/`, and what it may use of the others. Dependencies point one way.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("access", &["domain"]),
    ("audit", &["domain"]),
    ("store", &["domain", "telemetry"]),
    ("cache", &["domain", "store", "telemetry"]),
    ("app", &["domain", "audit", "store", "cache", "telemetry"]),
    (
        "grpc",
        &["domain", "access", "store", "app", "telemetry", "pb"],
    ),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("simulate", &[]),
    (
        "server",
        &[
            "domain",
            "access",
            "store",
            "cache",
            "app",
            "grpc",
            "config",
            "telemetry",
            "pb",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "access",
            "audit",
            "app",
            "config",
            "telemetry",
            "server",
            "grpc",
            "pb",
            "simulate",
            "cli",
        ],
    ),
];

/// Libraries that one room knows alone (`lib` is `src/lib.rs`, `cli` is a client).
const KNOWN_TO: [(&str, &[&str]); 14] = [
    ("jiff", &["domain", "simulate"]),
    ("sqlx", &["store"]),
    ("rustls", &["server"]),
    ("x509_parser", &["server"]),
    ("tonic", &["grpc", "server", "cli", "lib"]),
    ("prost", &["grpc", "store", "cache"]),
    ("redis", &["cache"]),
    ("moka", &["cache", "app"]),
    ("hyper", &["server"]),
    ("metrics", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("tracing_subscriber", &["telemetry", "config"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
];

fn source_files() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let inside = path.strip_prefix(&root).expect("below src");
                let room = inside.components().next().expect("a name").as_os_str();
                let room = room.to_string_lossy().trim_end_matches(".rs").to_owned();
                files.push((room, path));
            }
        }
    }
    assert!(files.len() > 50);
    files
}

/// The code of a file, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a file");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// First names behind each `crate::`, also inside `use crate::{…}`.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut at_start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if depth == 0 && at_start && c.is_alphabetic() => {
                    rooms.insert(word(&group[at..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn dependencies_point_one_way() {
    let names: BTreeSet<&str> = MAY_USE
        .iter()
        .map(|(room, _)| *room)
        .chain(["pb"])
        .collect();
    for (room, path) in source_files() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            assert!(
                ["lib", "main"].contains(&room.as_str()),
                "{room} is no room: add it here"
            );
            continue;
        };
        for used in used_rooms(&code(&path)) {
            let fine = used == room || allowed.contains(&used.as_str());
            assert!(
                fine || !names.contains(used.as_str()),
                "{}: {room} must not use {used}",
                path.display()
            );
        }
    }
}

#[test]
fn each_library_is_known_to_its_rooms_only() {
    for (room, path) in source_files() {
        let code = code(&path);
        for (library, rooms) in KNOWN_TO {
            let uses = code.contains(&format!("{library}::"));
            assert!(
                !uses || rooms.contains(&room.as_str()),
                "{}: only {rooms:?} may know {library}",
                path.display()
            );
        }
    }
}

/// A tenant's id comes out of a request by way of its caller's grant, and by no other.
#[test]
fn a_request_names_no_tenant_past_its_callers_grant() {
    for (room, path) in source_files() {
        // arriving.rs looks whose turn a call takes, before it is read; nothing is done for that tenant
        if room != "grpc" || path.ends_with("convert.rs") || path.ends_with("arriving.rs") {
            continue;
        }
        let code = code(&path);
        for way in ["TenantId(", "TenantId::", "Caller::nobody"] {
            let made = code.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(!made.contains(way), "{}: {way}", path.display());
        }
    }
}

#[test]
fn files_stay_small_enough_to_read() {
    for (_, path) in source_files() {
        let lines = fs::read_to_string(&path).expect("a file").lines().count();
        assert!(lines <= 500, "{}: {lines} lines", path.display());
    }
}

/// What is told, what is documented and what alerts and the dashboard ask for are the same.
#[test]
fn metrics_are_documented_and_asked_for_by_their_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect(file);
    let row = |metric: &sentby::telemetry::table::Metric| {
        let (name, kind, labels) = (metric.name, metric.kind.name(), metric.labels.join(", "));
        format!("| `{name}` | {kind} | {labels} | {} |", metric.help)
    };
    let table: Vec<String> = METRICS.iter().map(row).collect();
    let document = read("docs/operations.md");
    let told = document.lines().filter(|line| {
        let is_metric = ["| `sentby_", "| `process_"].map(|head| line.starts_with(head));
        is_metric.contains(&true)
    });
    assert_eq!(told.collect::<Vec<_>>(), table, "docs/operations.md");

    for file in [
        "deploy/prometheus/alerts.yaml",
        "deploy/grafana/sentby.json",
    ] {
        let text = read(file);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names: BTreeSet<&str> = words
            .filter(|word| word.starts_with("sentby_") || word.starts_with("process_"))
            .collect();
        assert!(names.len() > 10, "{file}");
        for name in names {
            let is_known = METRICS.iter().any(|metric| {
                let rest = name.strip_prefix(metric.name);
                let is_histogram = !metric.buckets.is_empty();
                match rest {
                    Some("") => !is_histogram,
                    Some("_bucket" | "_sum" | "_count") => is_histogram,
                    _ => false,
                }
            });
            assert!(is_known, "{file}: {name}");
        }
    }
}

#[test]
fn the_readme_tells_every_setting_and_every_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    for setting in sentby::config::SETTINGS {
        for name in [format!("--{}", setting.flag), setting.env()] {
            assert!(
                readme.contains(&format!("`{name}`")),
                "README.md: {name} is missing"
            );
        }
    }
    let proto = root.join("proto/sentby/v1/error_reason.proto");
    let proto = fs::read_to_string(proto).expect("the reasons");
    for line in proto.lines() {
        let name = line.trim().strip_prefix("ERROR_REASON_");
        let name = name
            .and_then(|rest| rest.split_once(" = "))
            .map(|(name, _)| name);
        if let Some(name) = name.filter(|name| *name != "UNSPECIFIED") {
            assert!(readme.contains(name), "README.md: {name} is missing");
        }
    }
}

/// What `docs/promises.md` claims is what the ledger holds.
#[test]
fn claims_are_what_the_ledger_holds() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let page = read("docs/promises.md");
    let table = read("tests/proofs/table");
    let ledger: Vec<Value> = read("tests/proofs/ledger.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    for line in table.lines() {
        let line: Vec<&str> = line.split('|').map(str::trim).collect();
        let (&[name, wanted], false) = (&line[..line.len().min(2)], line[0].starts_with('#'))
        else {
            continue;
        };
        let row = format!("| `{name}` |");
        let row = page.lines().find(|line| line.contains(&row));
        let row = row.unwrap_or_else(|| panic!("docs/promises.md does not tell of {name}"));
        let figure = row.trim_end_matches('|').rsplit('|').next().map(str::trim);
        // "not run yet", or "N of M (`PROGRAM`)"
        let Some((claim, program)) = figure.and_then(|figure| figure.split_once(" (`")) else {
            assert_eq!(figure, Some("not run yet"), "{row}");
            let is_told = ledger.iter().any(|line| line["promise"] == name);
            assert!(!is_told, "the ledger has lines of it: {row}");
            continue;
        };
        let program = program.trim_end_matches("`)");
        let of_both = |line: &&Value| line["promise"] == name && line["program"] == program;
        let (held, failed): (Vec<&Value>, Vec<&Value>) = ledger
            .iter()
            .filter(of_both)
            .partition(|line| line["held"] == true);
        let sum: u64 = held.iter().filter_map(|line| line["n"].as_u64()).sum();
        let failed = match failed.len() {
            0 => String::new(),
            failed => format!(", failed {failed}"),
        };
        assert_eq!(claim, format!("{sum} of {wanted}{failed}"), "{row}");
    }
}

/// Where the test of a seeded bug stands: the file, and the function in it. `suite`: `--lib`, or
/// `--test` with its name.
fn place_of_test(root: &Path, suite: &[&str], name: &str) -> (PathBuf, String) {
    let mut parts: Vec<&str> = name.split("::").collect();
    parts.pop_if(|last| ["sqlite", "postgres"].contains(last));
    let function = parts.pop().expect("a name").to_owned();
    parts.pop_if(|last| *last == "tests");
    let file = parts.join("/") + ".rs";
    let folder = match suite {
        ["--lib"] => root.join("src"),
        ["--test", suite] => root.join("tests").join(suite),
        _ => panic!("{suite:?} is no suite"),
    };
    (folder.join(file), function)
}

/// Each bug of `tests/bugs` can still be made, and who has to catch it is there; that it does,
/// `tests/bugs/run` tries.
#[test]
fn seeded_bugs_do_not_rot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = fs::read_dir(root.join("tests/bugs")).expect("a folder");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let patches: BTreeSet<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|ext| ext == "patch"))
        .collect();
    assert!(patches.len() >= 30, "{}", patches.len());
    let has_git = Command::new("git").arg("--version").output().is_ok();
    if !has_git {
        eprintln!("SKIPPED: whether the bugs of tests/bugs apply; git is not there");
    }
    for (n, path) in patches.iter().enumerate() {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            name.starts_with(&format!("{:02}-", n + 1)),
            "{name}: its number"
        );
        let text = fs::read_to_string(path).expect("a file");
        let head = |what: &str| {
            let told = text.lines().find_map(|line| line.strip_prefix(what));
            told.unwrap_or_else(|| panic!("{name}: no line begins with {what:?}"))
        };
        head("# hurts: ");
        let caught_by: Vec<&str> = head("# caught-by: ").split(' ').collect();
        let (test, suite) = caught_by.split_last().expect("a test");
        let (file, function) = place_of_test(root, suite, test);
        let there = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there.contains(&format!("fn {function}(")),
            "{name}: there is no {test}"
        );
        if !has_git {
            continue;
        }
        let applied = Command::new("git")
            .args(["apply", "--check"])
            .arg(path)
            .current_dir(root)
            .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root))
            .output()
            .expect("git");
        let why = String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success(), "{name} does not apply: {why}");
    }
}
