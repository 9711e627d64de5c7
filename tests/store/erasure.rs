//! A person who was erased is a pseudonym in every row, whatever came first.

use super::support::{
    OTHER_TENANT, TENANT, TestDb, assert_same_rows, batch,
    feed::{Random, batches, records},
    records::{Record, blob, guid, puid, sid},
    register,
};
use crate::on_both_engines;
use sentby::{app::App, domain::erasure::Subject};
use std::sync::Arc;

const MESSAGES: usize = 400;
const BOB: &str = "bob@contoso.com";

async fn feed(app: &Arc<App>, contents: Vec<Vec<u8>>) {
    for content in contents {
        let done = app.ingest_audit_batch(batch(TENANT, content)).await;
        done.expect("ingested");
    }
}

async fn erase(app: &Arc<App>, person: &str) -> sentby::store::Erasure {
    let subject = Subject::parse(person).expect("an identifier");
    app.erase_agent(TENANT, &subject).await.expect("erased")
}

/// All that leads to Bob, as any table could hold it.
fn canaries(person: &str) -> Vec<Vec<u8>> {
    let texts = [
        person.to_owned(),
        sid(person).to_lowercase(),
        puid(person).to_lowercase(),
        guid(person),
    ];
    let id = uuid::Uuid::parse_str(&guid(person)).expect("a GUID");
    let packed_puid = u64::from_str_radix(&puid(person), 16).expect("digits");
    let texts = texts.iter().map(|text| text.clone().into_bytes());
    texts
        .chain([id.as_bytes().to_vec(), packed_puid.to_be_bytes().to_vec()])
        .collect()
}

#[track_caller]
fn assert_gone(rows: &[Vec<u8>], person: &str) {
    for row in rows {
        let row = row.to_ascii_lowercase();
        for canary in canaries(person) {
            let hex: String = canary.iter().map(|byte| format!("{byte:02x}")).collect();
            for canary in [canary.to_ascii_lowercase(), hex.into_bytes()] {
                let is_there = row.windows(canary.len()).any(|part| part == canary);
                assert!(!is_there, "{canary:?} in {}", String::from_utf8_lossy(&row));
            }
        }
    }
}

on_both_engines! {
    /// Ingest-then-erase, erase-then-ingest, and erased in between: the same rows.
    async fn what_came_first_does_not_matter(db: TestDb) {
        let records = records(1, MESSAGES);
        let mut random = Random(2);
        let before = TestDb::sqlite().await;
        let app = before.app_with_tenant().await;
        let first = erase(&app, BOB).await;
        assert!(first.counts.is_empty());
        feed(&app, batches(&mut random, &records, 200)).await;
        app.resume_erasures().await.expect("resumed");
        let expected = before.dump(TENANT).await;
        assert!(expected.iter().any(|row| row.contains("|ERASED|")));
        assert!(expected.iter().any(|row| row.contains("|CONFLICT|") && row.contains("erased:")));

        let app = db.app_with_tenant().await;
        let (front, back) = records.split_at(records.len() / 2);
        feed(&app, batches(&mut random, front, 200)).await;
        let halfway = erase(&app, BOB).await;
        assert_eq!(halfway.pseudonym, first.pseudonym, "by the same key file");
        feed(&app, batches(&mut random, back, 200)).await;
        app.resume_erasures().await.expect("resumed");
        assert_same_rows(&db.dump(TENANT).await, &expected);
        assert_gone(&db.everything().await, BOB);

        // replays resurrect nothing
        feed(&app, batches(&mut random, &records, 300)).await;
        assert_same_rows(&db.dump(TENANT).await, &expected);
        db.assert_gapless(TENANT).await;
        assert_eq!(erase(&app, BOB).await, halfway, "the same receipt");
    }
}
