//! simulate → import → verify: the answers are what the stories say, not what our merge says.

use crate::support::process::{json_lines, run, succeeded, text, url};
use serde_json::Value;
use std::{fs, path::Path};

fn simulate(out: &Path, more: &[&str]) -> String {
    let out = out.display().to_string();
    succeeded(&run(&[&["simulate", "--out", &out], more].concat()))
}

fn summary(out: &Path) -> Value {
    let json = fs::read(out.join("summary.json")).expect("a summary");
    serde_json::from_slice(&json).expect("JSON")
}

/// Imports every file of a tenant, in the order of delivery; the summary of it.
fn import(out: &Path, database: &str, tenant: &Value) -> Value {
    let id = tenant["tenant_id"].as_str().expect("a GUID");
    let mut arguments = vec!["import", "--register", "--json", "--database", database];
    arguments.extend(["--tenant", id]);
    for address in tenant["register"].as_array().expect("addresses") {
        arguments.extend(["--shared", address.as_str().expect("an address")]);
    }
    let mut files: Vec<String> = fs::read_dir(out.join(id))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path().display().to_string())
        .collect();
    files.sort();
    arguments.extend(files.iter().map(String::as_str));
    json_lines(&run(&arguments)).remove(0)
}

#[test]
fn a_simulated_feed_is_answered_as_it_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, database) = (folder.path().join("feed"), url(&folder.path().join("a.db")));
    let told = simulate(&out, &["--messages", "2400", "--tenants", "2"]);
    assert!(
        told.contains(" import --tenant ") && told.contains(" verify "),
        "{told}"
    );
    assert!(told.contains("--shared support@contoso.com"), "{told}");

    let summary = summary(&out);
    let tenants = summary["tenants"].as_array().expect("tenants");
    assert_eq!(tenants.len(), 2);
    for tenant in tenants {
        let imported = import(&out, &database, tenant);
        let records = &tenant["records"];
        let sum = |names: &[&str]| -> u64 {
            let counts = names.iter().filter_map(|name| records[*name].as_u64());
            counts.sum()
        };
        let number = |name: &str| imported[name].as_u64().expect("a number");
        assert_eq!(number("ignored"), sum(&["noise"]));
        assert_eq!(number("kept") + number("repeated"), sum(&["send", "admin"]));
        assert_eq!(imported["quarantined"], tenant["cannot_be_taken_in"]);
        assert!(tenant["cannot_be_taken_in"].as_u64() > Some(10), "{tenant}");
        assert_eq!(imported["accounted"], true);
    }

    let verify = |path: &Path| {
        let path = path.display().to_string();
        run(&["verify", "--database", &database, &path])
    };
    let truth = out.join("truth.csv");
    let told = succeeded(&verify(&truth)).replace(',', "");
    let rows = fs::read_to_string(&truth).expect("rows");
    let rows: Vec<&str> = rows.lines().collect();
    let all = rows.len() - 1;
    assert!(all > 2_000, "{all}");
    assert!(
        told.contains(&format!("Equal: {all} of {all} rows")),
        "{told}"
    );

    // an answer that is not the truth is found
    let row = rows
        .iter()
        .find(|row| row.ends_with(",both_sides"))
        .expect("one");
    let wrong = row.replace(",ATTRIBUTED,", ",CONFLICT,");
    let false_truth = folder.path().join("false.csv");
    fs::write(&false_truth, format!("{}\n{wrong}\n", rows[0])).expect("written");
    let verified = verify(&false_truth);
    assert_eq!(verified.status.code(), Some(1));
    let told = text(&verified.stdout);
    assert!(
        told.contains("verdict is ATTRIBUTED, should be CONFLICT"),
        "{told}"
    );
    assert!(told.contains("Equal: 0 of 1 row"), "{told}");
}

/// A comparison of nothing must not look like a success.
#[test]
fn nothing_proves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("feed");
    simulate(&out, &["--messages", "20"]);
    let rows = fs::read_to_string(out.join("truth.csv")).expect("rows");
    let header = folder.path().join("header.csv");
    fs::write(&header, rows.lines().next().expect("a header")).expect("written");
    let database = url(&folder.path().join("a.db"));
    import(&out, &database, &summary(&out)["tenants"][0]);
    let verified = run(&[
        "verify",
        "--database",
        &database,
        &header.display().to_string(),
    ]);
    assert_eq!(
        verified.status.code(),
        Some(1),
        "{}",
        text(&verified.stderr)
    );

    let out = folder.path().join("future").display().to_string();
    let refused = run(&["simulate", "--start", "2098-01-01T00:00:00Z", "--out", &out]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("--start"),
        "{}",
        text(&refused.stderr)
    );
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_feed_is_written_into_an_empty_directory_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let arguments = ["simulate", "--messages", "20", "--gzip", "--out", &out];
    assert!(succeeded(&run(&arguments)).contains("verify"));
    assert_eq!(summary(folder.path())["messages"], 20);
    let again = run(&arguments);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("not empty"));
    let database = url(&folder.path().join("none.db"));
    let verified = run(&["verify", "--database", &database, &out]);
    assert_eq!(
        verified.status.code(),
        Some(1),
        "{}",
        text(&verified.stderr)
    );
}
