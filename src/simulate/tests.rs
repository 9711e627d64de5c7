//! The feed keeps what it promises.

use super::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn plan(messages: u64) -> Plan {
    Plan {
        messages,
        ..Plan::default()
    }
}

/// Everything of a plan in one tenant.
fn told(plan: &Plan) -> (Vec<Delivered>, Vec<Truth>, Feed) {
    let mut feed = Feed::of(plan, 0);
    let records: Vec<Delivered> = feed.by_ref().collect();
    let truth = feed.take_truth();
    (records, truth, feed)
}

fn written(plan: &Plan) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    write(plan, dir.path(), false, |_| {}).unwrap();
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir.path()).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let two = Plan {
        tenants: 2,
        ..plan(300)
    };
    let (one, again) = (written(&two), written(&two));
    assert!(one == again);
    assert!(one.contains_key("truth.csv") && one.contains_key("summary.json"));
    let other = written(&Plan { seed: 2, ..two });
    assert_ne!(one["truth.csv"], other["truth.csv"]);
}

/// A test that this machine gives what every other one does. It may change with the
/// stories; then what was measured on such a feed was measured on another one.
#[test]
fn the_bytes_of_a_plan_are_known() {
    let (records, _, _) = told(&plan(500));
    let mut hasher = blake3::Hasher::new();
    for record in &records {
        hasher.update(record.json.as_bytes());
    }
    let digest = hasher.finalize().to_hex();
    assert_eq!(&digest[..16], "d1e3082590df1837");
}

#[test]
fn every_story_is_told_and_most_of_them_early() {
    for (messages, at_least) in [(2_000, Story::ALL.len()), (200, Story::ALL.len() * 3 / 4)] {
        let (_, truth, feed) = told(&plan(messages));
        let mut stories: BTreeSet<&str> = truth.iter().map(|row| &*row.story).collect();
        if feed.without_id() > 0 {
            stories.insert(Story::NoMessageId.name());
        }
        assert!(stories.len() >= at_least, "{messages}: {}", stories.len());
        assert_eq!(truth.len() as u64 + feed.without_id(), messages);
    }
}

#[test]
fn a_message_has_one_truth() {
    let (_, truth, _) = told(&plan(3_000));
    let ids: BTreeSet<&str> = truth
        .iter()
        .map(|row| row.message_id.trim_matches(['<', '>']))
        .collect();
    assert_eq!(ids.len(), truth.len());
    for row in &truth {
        assert!(
            row.agent.is_empty() || row.verdict == truth::ATTRIBUTED,
            "{row:?}"
        );
        assert_eq!(
            row.candidates.is_empty(),
            row.verdict != truth::CONFLICT,
            "{row:?}"
        );
        assert!(row.candidates.is_sorted());
        assert_eq!(
            row.basis.is_empty(),
            row.verdict == truth::PENDING,
            "{row:?}"
        );
    }
}

#[test]
fn delivery_is_late_repeated_and_out_of_order() {
    let (records, _, _) = told(&plan(3_000));
    assert!(records.is_sorted_by_key(|record| record.due));
    let fields: Vec<Value> = records
        .iter()
        .map(|record| serde_json::from_str(&record.json).unwrap())
        .collect();
    let times: Vec<&str> = fields
        .iter()
        .filter_map(|fields| fields["CreationTime"].as_str())
        .collect();
    assert!(!times.is_sorted());
    let ids: BTreeSet<&str> = fields.iter().filter_map(|f| f["Id"].as_str()).collect();
    let copies = 1.0 - ids.len() as f64 / records.len() as f64;
    assert!((0.05..0.20).contains(&copies), "{copies}");
}

/// What the service has to read, and how much of it matters.
#[test]
fn sizes_and_shares_are_those_of_real_feeds() {
    for (noise, sends) in [(1.5, 0.35..0.45), (3.0, 0.20..0.30), (30.0, 0.02..0.05)] {
        let plan = Plan { noise, ..plan(600) };
        let (records, _, _) = told(&plan);
        let size = |keep: &dyn Fn(Kind) -> bool| {
            let sizes: Vec<usize> = records
                .iter()
                .filter(|record| keep(record.kind))
                .map(|record| record.json.len())
                .collect();
            sizes.iter().sum::<usize>() / sizes.len()
        };
        let of_sends = size(&|kind| kind == Kind::Send);
        let of_noise = size(&|kind| kind == Kind::Noise);
        assert!((1_750..2_050).contains(&of_sends), "{of_sends}");
        assert!((1_450..1_700).contains(&of_noise), "{of_noise}");
        assert!((1_200..1_800).contains(&size(&|_| true)));
        let count = records
            .iter()
            .filter(|record| record.kind == Kind::Send)
            .count();
        let share = count as f64 / records.len() as f64;
        assert!(sends.contains(&share), "{noise}: {share}");
    }
}

#[test]
fn a_record_is_complete() {
    let (records, _, feed) = told(&plan(400));
    let tenant = feed.tenant().to_string();
    for record in records.iter().filter(|record| record.kind == Kind::Send) {
        let fields: Value = serde_json::from_str(&record.json).unwrap();
        let fields = fields.as_object().unwrap();
        let has = |name: &str| {
            let mut keys = fields.keys();
            keys.any(|key| key.trim().eq_ignore_ascii_case(name))
        };
        for name in [
            "Id",
            "CreationTime",
            "Operation",
            "UserId",
            "UserKey",
            "UserType",
        ] {
            assert!(has(name), "{name}: {}", record.json);
        }
        assert_eq!(fields["OrganizationId"], tenant.as_str());
    }
}

/// A short feed comes in every form, and each file holds its records.
#[test]
fn every_envelope_is_used() {
    let plan = plan(300);
    let (records, _, _) = told(&plan);
    let mut names = BTreeSet::new();
    let mut in_files = 0;
    for file in plan.files().next().unwrap() {
        let text = String::from_utf8(file.bytes).unwrap();
        in_files += file.records;
        match file.envelope.extension() {
            "jsonl" => assert_eq!(text.lines().count() as u64, file.records),
            "csv" => assert!(text.contains("AuditData")),
            _ => assert!(text.starts_with(['[', '{'])),
        }
        names.insert(file.envelope);
    }
    assert_eq!(names.len(), Envelope::ALL.len());
    assert_eq!(in_files, records.len() as u64);
}

#[test]
fn blobs_are_arrays_of_so_many_records() {
    let blobs: Vec<Vec<u8>> = Feed::of(&plan(200), 0).blobs(100).collect();
    let (last, full) = blobs.split_last().unwrap();
    // what is cut off is no JSON, and neither is a blob that has it
    let parsed: Vec<Vec<Value>> = full
        .iter()
        .filter_map(|blob| serde_json::from_slice(blob).ok())
        .collect();
    assert!(parsed.len() + 3 >= full.len());
    assert!(parsed.iter().all(|records| records.len() == 100));
    assert!(!last.is_empty());
}

#[test]
fn only_the_wanted_stories_are_told() {
    let plan = Plan {
        stories: vec![Story::OwnSend, Story::BothSides],
        noise: 0.0,
        ..plan(100)
    };
    let (records, truth, _) = told(&plan);
    assert!(records.iter().all(|record| record.kind == Kind::Send));
    let stories: BTreeSet<&str> = truth.iter().map(|row| &*row.story).collect();
    assert_eq!(stories, BTreeSet::from(["both_sides", "own_send"]));
}

#[test]
fn no_messages_are_no_records() {
    let (records, truth, _) = told(&plan(0));
    assert!(records.is_empty() && truth.is_empty());
}
