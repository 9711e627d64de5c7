//! Ways of telling the same that must come to the same tables, byte for byte, whatever the
//! answers are: order, repeats, the split, who takes it in, its form, and what stands around it.

use super::{
    number,
    people::Entry,
    real::{Real, blob, ingest, of_tenant, pieces, put},
    stream::Stream,
};
use crate::{
    on_both_engines,
    support::{OTHER_TENANT, TENANT, TestDb, assert_same_rows, batch, feed::Random},
};
use sentby::{
    domain::TenantId,
    simulate::{Delivered, Envelope, Plan},
};
use serde_json::Value;
use std::sync::Arc;

/// Of each stream the first.
const RECORDS: usize = 250;

/// One of each relation, or a tenth of the feeds that were asked for.
fn streams(first: u64) -> impl Iterator<Item = Stream> {
    let first = first + number("SENTBY_TEST_ORACLE_SEED", 1);
    let count = number("SENTBY_TEST_ORACLE", 1).div_ceil(10);
    (first..first + count).map(|seed| {
        let mut stream = Stream::of(seed);
        stream.records.truncate(RECORDS);
        stream
    })
}

/// The register, then all records in one batch, on SQLite.
async fn plainly(stream: &Stream) -> Vec<String> {
    let mut real = Real::new(TestDb::sqlite().await).await;
    let tenant = real.tenant().await;
    put(&real.app, tenant, &stream.register).await;
    ingest(&real.app, tenant, blob(tenant, &stream.records)).await;
    let rows = tables(&real, tenant).await;
    assert!(rows.len() > 20);
    rows
}

async fn tables(real: &Real, tenant: TenantId) -> Vec<String> {
    real.app.resume_reattribution().await.expect("settled");
    real.db.dump(tenant).await
}

/// All of these batches, the register before them.
async fn told(real: &mut Real, register: &[Entry], batches: &[Vec<String>]) -> Vec<String> {
    let tenant = real.tenant().await;
    put(&real.app, tenant, register).await;
    for records in batches {
        ingest(&real.app, tenant, blob(tenant, records)).await;
    }
    tables(real, tenant).await
}

fn cut(random: &mut Random, records: &[String], most: u64) -> Vec<Vec<String>> {
    let pieces = pieces(random, records, most);
    pieces.into_iter().map(<[String]>::to_vec).collect()
}

/// Another spelling of letters where the spelling says nothing.
fn in_other_case(record: &str, random: &mut Random) -> String {
    const FIELDS: [&str; 9] = [
        "UserId",
        "MailboxOwnerUPN",
        "SendAsUserSmtp",
        "SendOnBehalfOfUserSmtp",
        "LogonUserSid",
        "UserKey",
        "MailboxGuid",
        "Id",
        "OrganizationId",
    ];
    let Ok(mut value) = serde_json::from_str::<Value>(record) else {
        return record.to_owned();
    };
    for field in FIELDS {
        if let Some(text) = value.get(field).and_then(Value::as_str) {
            let letters = text.chars().map(|letter| match random.below(3) {
                0 => letter.to_ascii_uppercase(),
                1 => letter.to_ascii_lowercase(),
                _ => letter,
            });
            let text: String = letters.collect();
            value[field] = text.into();
        }
    }
    value.to_string()
}

/// Nothing of it is kept.
fn noise(random: &mut Random, near: &str) -> String {
    let with = |field: &str, text: &str| match serde_json::from_str::<Value>(near) {
        Ok(mut value) => {
            value[field] = text.into();
            value.to_string()
        }
        Err(_) => near.to_owned(),
    };
    match random.below(6) {
        0 => with("Operation", "MailItemsAccessed"),
        1 => with("OrganizationId", &OTHER_TENANT.to_string()),
        2 => with("CreationTime", "2026-02-30T00:00:00"),
        3 => with("Id", "nothing"),
        4 => "17".into(),
        _ => near.chars().take(near.chars().count() * 2 / 3).collect(),
    }
}

/// The records that a tool can put into any envelope: whole, and with the fields that it
/// copies.
fn whole(records: &[String]) -> Vec<String> {
    let is_whole = |record: &&String| {
        let Ok(value) = serde_json::from_str::<Value>(record) else {
            return false;
        };
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        text("OrganizationId") == TENANT.to_string() && text("CreationTime").len() == 19
    };
    records.iter().filter(is_whole).cloned().collect()
}

/// As records that are delivered, of which the simulator makes files.
fn delivered(records: &[String], tenant: TenantId) -> Vec<Delivered> {
    let plan = Plan {
        messages: 1,
        ..Plan::default()
    };
    let one = plan.feeds().flatten().next().expect("a record");
    let of = |record: &String| {
        let mut delivered = one.clone();
        delivered.json = of_tenant(record, tenant);
        delivered.cut = None;
        delivered
    };
    records.iter().map(of).collect()
}

on_both_engines! {
    /// Any order, and of each record up to five copies more.
    async fn order_and_copies(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(1_000) {
            let mut random = Random(stream.seed);
            let mut records = Vec::new();
            for record in &stream.records {
                for _ in 0..=random.below(6) {
                    records.push(record.clone());
                }
            }
            random.shuffle(&mut records);
            let batches = cut(&mut random, &records, 900);
            let rows = told(&mut real, &stream.register, &batches).await;
            assert_same_rows(&rows, &plainly(&stream).await);
        }
    }

    /// Batches of a few records each.
    async fn split(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(2_000) {
            let batches = cut(&mut Random(stream.seed), &stream.records, 12);
            let rows = told(&mut real, &stream.register, &batches).await;
            assert_same_rows(&rows, &plainly(&stream).await);
        }
    }

    /// Each batch three times: with its request id twice, and with another one.
    async fn replays(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(3_000) {
            let tenant = real.tenant().await;
            put(&real.app, tenant, &stream.register).await;
            for (n, piece) in cut(&mut Random(stream.seed), &stream.records, 150).iter().enumerate() {
                for (id, replayed) in [("a", false), ("a", true), ("b", false)] {
                    let mut batch = batch(tenant, blob(tenant, piece));
                    batch.request_id = Some(format!("{n}-{id}"));
                    let done = real.app.ingest_audit_batch(batch).await.expect("ingested");
                    assert_eq!(done.replayed, replayed);
                }
            }
            assert_same_rows(&tables(&real, tenant).await, &plainly(&stream).await);
            real.db.assert_gapless(tenant).await;
        }
    }

    /// Two processes at once, each with half of it and some of the other's.
    async fn two_writers(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(4_000) {
            let tenant = real.tenant().await;
            put(&real.app, tenant, &stream.register).await;
            let mut random = Random(stream.seed);
            let mut writers = Vec::new();
            for half in 0..2 {
                let app = if half == 0 { Arc::clone(&real.app) } else { real.db.app().await };
                let mine = stream.records.iter().enumerate();
                let mine = mine.filter(|(n, _)| n % 2 == half || random.chance(20));
                let mine: Vec<String> = mine.map(|(_, record)| record.clone()).collect();
                let batches = cut(&mut random, &mine, 40);
                writers.push(tokio::spawn(async move {
                    for records in batches {
                        ingest(&app, tenant, blob(tenant, &records)).await;
                    }
                }));
            }
            for writer in writers {
                writer.await.expect("written");
            }
            assert_same_rows(&tables(&real, tenant).await, &plainly(&stream).await);
            real.db.assert_gapless(tenant).await;
        }
    }

    /// One record is one record through every form.
    async fn envelopes(db: TestDb) {
        let mut real = Real::new(db).await;
        for mut stream in streams(5_000) {
            stream.records = whole(&stream.records);
            let expected = plainly(&stream).await;
            for envelope in Envelope::ALL {
                let tenant = real.tenant().await;
                put(&real.app, tenant, &stream.register).await;
                let records = delivered(&stream.records, tenant);
                ingest(&real.app, tenant, envelope.wrap(&records, &mut Random(stream.seed))).await;
                let rows = tables(&real, tenant).await;
                assert_eq!(rows.len(), expected.len(), "{envelope:?} of seed {}", stream.seed);
                for (row, expected) in rows.iter().zip(&expected) {
                    assert_eq!(row, expected, "{envelope:?} of seed {}", stream.seed);
                }
            }
        }
    }

    /// Of addresses, identifiers and GUIDs.
    async fn letter_case(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(6_000) {
            let mut random = Random(stream.seed);
            let tenant = real.tenant().await;
            put(&real.app, tenant, &stream.register).await;
            let records = stream.records.iter().map(|record| of_tenant(record, tenant));
            let records = records.map(|record| in_other_case(&record, &mut random));
            let records: Vec<String> = records.collect();
            ingest(&real.app, tenant, blob(tenant, &records)).await;
            assert_same_rows(&tables(&real, tenant).await, &plainly(&stream).await);
        }
    }

    /// Other operations, other tenants' records and broken ones in between.
    async fn noise_in_between(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(7_000) {
            let mut random = Random(stream.seed);
            let mut records = Vec::new();
            for record in &stream.records {
                records.push(record.clone());
                for _ in 0..random.below(3) {
                    records.push(noise(&mut random, record));
                }
            }
            let batches = cut(&mut random, &records, 700);
            let rows = told(&mut real, &stream.register, &batches).await;
            assert_same_rows(&rows, &plainly(&stream).await);
        }
    }

    /// The register after the records, in parts between them, and changed until it is right.
    async fn register_at_any_time(db: TestDb) {
        let mut real = Real::new(db).await;
        for stream in streams(8_000) {
            let expected = plainly(&stream).await;
            let tenant = real.tenant().await;
            ingest(&real.app, tenant, blob(tenant, &stream.records)).await;
            put(&real.app, tenant, &stream.register).await;
            assert_same_rows(&tables(&real, tenant).await, &expected);

            let tenant = real.tenant().await;
            let wrong: Vec<Entry> = stream.register.iter().map(|entry| Entry {
                nobody: !entry.nobody,
                aliases: Vec::new(),
                guid: None,
                ..entry.clone()
            }).collect();
            put(&real.app, tenant, &wrong).await;
            let mut entries = stream.register.iter();
            for records in cut(&mut Random(stream.seed), &stream.records, 150) {
                ingest(&real.app, tenant, blob(tenant, &records)).await;
                if let Some(entry) = entries.next() {
                    put(&real.app, tenant, std::slice::from_ref(entry)).await;
                }
            }
            put(&real.app, tenant, &stream.register).await;
            assert_same_rows(&tables(&real, tenant).await, &expected);
        }
    }
}
