//! The whole way: a simulated tenant's feed in every form that records come in, imported by
//! the program, every answer compared with what was told; and the same rows whatever the
//! order, the repeats, the split and the number of importers.

#[path = "../support/mod.rs"]
mod support;

use sentby::{audit::Reader, domain::TenantId};
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};
use support::{
    TestDb, assert_same_rows,
    feed::Random,
    process::{Server, database, json_lines, run, sentby, succeeded},
};
use tempfile::TempDir;

/// A simulated feed on disk.
struct Feed {
    folder: TempDir,
    tenant: TenantId,
    shared: Vec<String>,
    /// In the order in which they were delivered.
    files: Vec<PathBuf>,
    /// Of other tenants, or cut off.
    cannot_be_taken_in: u64,
    /// All others.
    can_be_taken_in: u64,
}

fn simulate(seed: u32, messages: u32, noise: &str) -> Feed {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("feed");
    let (seed, messages) = (seed.to_string(), messages.to_string());
    let out = out.to_str().expect("a path");
    succeeded(&run(&[
        "simulate",
        "--seed",
        &seed,
        "--messages",
        &messages,
        "--noise",
        noise,
        "--out",
        out,
    ]));
    let summary = fs::read(Path::new(out).join("summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_slice(&summary).expect("JSON");
    let [tenant] = summary["tenants"].as_array().expect("a list").as_slice() else {
        panic!("one tenant: {summary}");
    };
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let records = tenant["records"].as_object().expect("by kind").values();
    let cannot_be_taken_in = number(&tenant["cannot_be_taken_in"]);
    let id = tenant["tenant_id"].as_str().expect("an id");
    let shared = tenant["register"].as_array().expect("a list").iter();
    let files = fs::read_dir(Path::new(out).join(id)).expect("a folder");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    Feed {
        tenant: TenantId::parse(id).expect("a GUID"),
        shared: shared
            .map(|address| address.as_str().expect("text").to_owned())
            .collect(),
        cannot_be_taken_in,
        can_be_taken_in: records.map(number).sum::<u64>() - cannot_be_taken_in,
        files,
        folder,
    }
}

impl Feed {
    fn import(&self, to: [&str; 2], files: &[PathBuf]) -> Child {
        let mut import = sentby(&["import", "--json", "--register", "--tenant"]);
        import.arg(self.tenant.to_string()).args(to);
        for address in &self.shared {
            import.args(["--shared", address]);
        }
        import
            .args(files)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    }

    /// Every record is accounted for; the import's summary.
    #[track_caller]
    fn imported(&self, import: Child) -> serde_json::Value {
        let summary = json_lines(&import.wait_with_output().expect("it ends")).remove(0);
        assert_eq!(summary["accounted"], true, "{summary}");
        summary
    }

    /// Every row of truth.csv is the answer.
    #[track_caller]
    fn verify(&self, to: [&str; 2]) {
        let truth = self.folder.path().join("feed/truth.csv");
        let truth = truth.to_str().expect("a path");
        succeeded(&run(&["verify", to[0], to[1], truth]));
    }

    /// Every record of all files, as it was cut.
    fn records(&self) -> Vec<Vec<u8>> {
        let files = self
            .files
            .iter()
            .map(|file| File::open(file).expect("a file"));
        files
            .flat_map(|file| Reader::new(file).expect("read").expect("a known form"))
            .map(|record| record.expect("read"))
            .collect()
    }

    fn file(&self, name: &str, records: &[&Vec<u8>]) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut file = std::io::BufWriter::new(File::create(&path).expect("a file"));
        for record in records {
            file.write_all(record)
                .and_then(|()| file.write_all(b"\n"))
                .expect("written");
        }
        file.flush().expect("written");
        path
    }

    /// The rows as they are after an import of the files in their order, on SQLite.
    async fn rows(&self) -> Vec<String> {
        let db = TestDb::sqlite().await;
        let target = database(&db.config.database);
        self.imported(self.import(["--database", &target], &self.files));
        db.dump(self.tenant).await
    }
}

on_both_engines! {
    /// 20,000 messages, each form of a file, lookups of 1,000.
    async fn every_answer_is_the_truth(db: TestDb) {
        let feed = simulate(7, 20_000, "1");
        let server = Server::start(&database(&db.config.database));
        let to = ["--server", server.url.as_str()];
        let summary = feed.imported(feed.import(to, &feed.files));
        let number = |name: &str| summary[name].as_u64().expect("a number");
        assert_eq!(number("received") - number("quarantined"), feed.can_be_taken_in, "{summary}");
        // two broken ones in a row may be one
        let lost_in_another = feed.cannot_be_taken_in - number("quarantined");
        assert!(lost_in_another < 5, "{lost_in_another} of {}", feed.cannot_be_taken_in);
        feed.verify(to);
        db.assert_gapless(feed.tenant).await;
    }

    /// In reverse order; all of it twice; by two importers at once, split at random.
    async fn any_way_in_gives_the_same_rows(db: TestDb) {
        let feed = simulate(11, 3_000, "0.5");
        let expected = feed.rows().await;
        assert!(expected.len() > 3_000);
        let records = feed.records();
        let target = database(&db.config.database);
        let server = Server::start(&target);
        let to = ["--server", server.url.as_str()];

        // the first half of the time by nobody: what comes first is the end
        let mut backwards: Vec<&Vec<u8>> = records.iter().rev().collect();
        let file = feed.file("backwards.jsonl", &backwards);
        feed.imported(feed.import(to, &[file]));
        feed.verify(to);
        assert_same_rows(&db.dump(feed.tenant).await, &expected);
        let revision = db.assert_gapless(feed.tenant).await;

        // all of it again, twice, by two at once, split at random
        let mut random = Random(3);
        backwards.extend(records.iter());
        random.shuffle(&mut backwards);
        let at = random.below(backwards.len() as u64) as usize;
        let (one, two) = backwards.split_at(at);
        let (one, two) = (feed.file("one.jsonl", one), feed.file("two.jsonl", two));
        let (one, two) = (feed.import(to, &[one]), feed.import(["--database", &target], &[two]));
        for importer in [one, two] {
            assert_eq!(feed.imported(importer)["kept"], 0);
        }
        assert_same_rows(&db.dump(feed.tenant).await, &expected);
        assert_eq!(db.assert_gapless(feed.tenant).await, revision);
        assert_eq!(server.stop(), Some(0));
    }

    /// Two importers at once on an empty store, each with all of it in an order of its own.
    async fn two_importers_at_once_give_the_same_rows(db: TestDb) {
        let feed = simulate(13, 3_000, "0.5");
        let expected = feed.rows().await;
        let records = feed.records();
        let target = database(&db.config.database);
        let server = Server::start(&target);
        let to = ["--server", server.url.as_str()];
        let mut random = Random(5);
        let mut importers = Vec::new();
        for (name, to) in [("one.jsonl", to), ("two.jsonl", ["--database", target.as_str()])] {
            let mut shuffled: Vec<&Vec<u8>> = records.iter().collect();
            random.shuffle(&mut shuffled);
            let file = feed.file(name, &shuffled);
            importers.push(feed.import(to, &[file]));
        }
        for importer in importers {
            feed.imported(importer);
        }
        feed.verify(to);
        assert_same_rows(&db.dump(feed.tenant).await, &expected);
        db.assert_gapless(feed.tenant).await;
    }
}
