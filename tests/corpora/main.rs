//! Everything that the fuzzers found and were begun with, tried again: what `fuzz/` asks of any bytes holds
//! for each of them, on any compiler.
//!
//! `SENTBY_WRITE_CORPUS=1 cargo test --test corpora` writes anew what the fuzzers begin with.
#![allow(dead_code)] // of the messages a part is used

#[path = "../../fuzz/src/lib.rs"]
mod bodies;

mod seeds;
#[path = "../support/settings.rs"]
mod settings;
#[path = "../api/hostile/spoil.rs"]
mod spoil;

use sentby::simulate::Random;
use settings::set;
use std::{fs, path::Path};

/// The files of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = fs::read_dir(folder.join(target)).expect("a corpus");
    let paths = entries.map(|entry| entry.expect("a file").path());
    let mut files: Vec<(String, Vec<u8>)> = paths
        .map(|path| (path.display().to_string(), fs::read(&path).expect("read")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target}");
    files
}

#[test]
fn every_find_holds() {
    if std::env::var_os("SENTBY_WRITE_CORPUS").is_some() {
        seeds::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"));
    }
    for (target, holds) in bodies::TARGETS {
        for (name, bytes) in corpus(target) {
            // named before it is tried: of a panic the last name is the one
            println!("{target}: {name}");
            holds(&bytes);
        }
    }
}

/// The same with changes that nobody guides: `SENTBY_TEST_FUZZ` of each target.
#[test]
fn every_find_holds_with_changes() {
    let seed = set("SENTBY_TEST_SEED").unwrap_or(1);
    let only = std::env::var("SENTBY_TEST_TARGET").ok();
    let targets = bodies::TARGETS.iter();
    for (target, holds) in targets.filter(|(name, _)| only.as_ref().is_none_or(|only| only == name))
    {
        let random = Random(seed);
        let mut spoiler = spoil::Spoiler { random };
        let files = corpus(target);
        for _ in 0..set("SENTBY_TEST_FUZZ").unwrap_or(100) {
            let (name, bytes) = spoiler.random.pick(&files).clone();
            let bytes = spoiler.bytes(bytes);
            let held = std::panic::catch_unwind(|| holds(&bytes));
            if held.is_err() {
                let kept = std::env::temp_dir().join(format!("regress-{target}"));
                fs::write(&kept, &bytes).expect("written");
                panic!(
                    "seed {seed}: {target}: {name} changed is in {}",
                    kept.display()
                );
            }
        }
    }
}
