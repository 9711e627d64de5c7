//! What is shipped beside the program says what is true of it: image, manifests, run book.

use crate::support::process::{run, text};
use sentby::config::{Config, ENV_CONFIG, Role, SETTINGS};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below `deploy/`, and those beside it that ship it; without what `prepare` makes.
fn shipped() -> Vec<PathBuf> {
    let mut files = vec![root().join("Dockerfile"), root().join("compose.yaml")];
    let mut folders = vec![root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true if path.ends_with("secrets") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    assert!(files.len() > 10);
    files
}

/// Words that begin with `start`, to the end of the name.
fn names<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(start)
        .filter(|(at, _)| !text[..*at].ends_with(is_name))
        .map(|(at, _)| {
            let rest = &text[at..];
            &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]
        })
        .collect()
}

/// The indented or quoted text behind a line, such as a file inside of another one.
fn inner(text: &str, behind: &str, until: &str) -> String {
    let (_, rest) = text.split_once(behind).expect(behind);
    let lines = rest.lines().skip(1).take_while(|line| *line != until);
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn settings_that_are_shipped_are_settings() {
    let dir = tempfile::tempdir().unwrap();
    let compose = read("deploy/compose/prepare");
    for (from, toml) in [
        ("image", read("deploy/image/sentby.toml")),
        ("compose", inner(&compose, "sentby.toml\" <<END", "END")),
        (
            "kubernetes",
            inner(
                &read("deploy/kubernetes/settings.yaml"),
                "sentby.toml: |",
                "",
            ),
        ),
    ] {
        let file = dir.path().join(from);
        fs::write(&file, &toml).unwrap();
        let config = Config::load(Role::Command, &[], Some(&file), []);
        let config = config.unwrap_or_else(|error| panic!("{from}: {error}"));
        assert!(
            config.listen.ip().is_unspecified() && !config.insecure,
            "{from}"
        );
        // a health check has to get by TLS
        assert_eq!(
            config.tls_cert_file.is_some(),
            config.ops_listen.is_some(),
            "{from}"
        );
    }
}

#[test]
fn variables_that_are_shipped_are_settings() {
    // of compose, of clients, and the one that tells why service links are off
    let mut known: BTreeSet<String> = ["USER", "TOKEN", "SERVICE_HOST"]
        .map(|name| format!("SENTBY_{name}"))
        .into();
    known.extend(SETTINGS.iter().map(|setting| setting.env()));
    known.insert(ENV_CONFIG.into());
    for path in shipped() {
        let text = fs::read_to_string(&path).expect("text");
        for name in names(&text, "SENTBY_") {
            assert!(
                name == "SENTBY_" || known.contains(name),
                "{}: {name}",
                path.display()
            );
        }
        // Kubernetes would make variables of the service, which are no settings
        let is_of_pods = text.contains("\n      containers:");
        assert!(
            !is_of_pods || text.contains("enableServiceLinks: false"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn versions_that_are_shipped_are_those_of_the_program() {
    let docker = read("Dockerfile");
    let version = env!("CARGO_PKG_VERSION");
    assert!(docker.contains(&format!("ARG VERSION={version}\n")));
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(docker.contains(&format!("FROM rust:{rust}-")));
    for folder in ["", "migrate/"] {
        let manifest = read(&format!("deploy/kubernetes/{folder}kustomization.yaml"));
        assert!(manifest.contains(&format!("newTag: \"{version}\"")));
    }
}

#[test]
fn the_image_as_it_is_serves_nobody_but_says_what_it_needs() {
    let file = root().join("deploy/image/sentby.toml");
    let refused = run(&["serve", "--config", &file.display().to_string()]);
    assert_ne!(refused.status.code(), Some(0));
    let said = text(&refused.stderr);
    assert!(
        said.contains("authentication") || said.contains("callers"),
        "{said}"
    );
}

/// Lines of code blocks and code in lines that begin with the program.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(line.split("&&").map(|part| part.trim().to_owned()));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let ours = |command: String| {
        let at = command.find("sentby ")?;
        let before = command[..at].trim();
        let is_ours = before.is_empty() || before.ends_with("--") || before.contains('=');
        is_ours.then(|| command[at..].to_owned())
    };
    found.into_iter().filter_map(ours).collect()
}

/// What of a command line the program does not know.
fn unknown(command: &str) -> Option<String> {
    let command = command.split([';', '|']).next().expect("a first part");
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let is_name = |word: &&&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    // a second word is a command of the first one, or an argument
    let names: Vec<&str> = words.iter().take_while(is_name).take(2).copied().collect();
    let help = |names: &[&str]| run(&[names, &["--help"]].concat());
    let mut shown = help(&names);
    if names.len() == 2 && !shown.status.success() {
        shown = help(&names[..1]);
    }
    if !shown.status.success() {
        return Some(names.join(" "));
    }
    let shown = text(&shown.stdout);
    let mut flags = words.iter().filter(|word| word.starts_with("--"));
    let flag = flags.find(|flag| !shown.contains(*flag))?;
    Some(format!("{flag} of {}", names.join(" ")))
}

#[test]
fn commands_that_are_told_exist() {
    let pages = [
        "docs/runbook.md",
        "deploy/compose/README.md",
        "deploy/image/README.md",
        "deploy/kubernetes/README.md",
    ];
    let told: BTreeSet<String> = pages
        .iter()
        .flat_map(|page| commands(&read(page)))
        .collect();
    assert!(told.len() > 20, "{told:?}");
    let unknown: Vec<String> = told.iter().filter_map(|command| unknown(command)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// As a page of Markdown makes links of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_of_the_run_book_lead_somewhere() {
    let book = read("docs/runbook.md");
    for (at, _) in book.match_indices("](") {
        let target = book[at + 2..].split(')').next().expect("a target");
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let page = match file {
            "" => book.clone(),
            file => read(&format!("docs/{file}")),
        };
        assert!(
            anchor.is_empty() || anchors(&page).contains(anchor),
            "{target}"
        );
    }
}

#[test]
fn every_alert_is_in_the_run_book() {
    let book = read("docs/runbook.md");
    let alerts = read("deploy/prometheus/alerts.yaml");
    let alerts: BTreeSet<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let told: BTreeSet<&str> = book
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|name| name.starts_with("Sentby"))
        .collect();
    assert!(!told.is_empty());
    assert_eq!(alerts, told);
}
