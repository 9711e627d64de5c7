//! Order, repeats, split and the number of writers do not matter: equal rows, byte for byte,
//! on both engines.

use super::support::{
    TENANT, TestDb, assert_same_rows,
    feed::{Random, batches, records},
    records::Record,
};
use crate::on_both_engines;
use sentby::app::App;
use std::sync::Arc;

const MESSAGES: usize = 2_000;

/// Feeds batches one after another; the counts always add up.
async fn feed(app: &Arc<App>, batches: Vec<Vec<u8>>) -> u64 {
    let mut kept = 0;
    for content in batches {
        let batch = crate::support::batch(TENANT, content);
        let receipt = app
            .ingest_audit_batch(batch)
            .await
            .expect("ingested")
            .receipt;
        assert_eq!(
            receipt.received,
            receipt.kept + receipt.repeated + receipt.ignored + receipt.quarantined
        );
        kept += receipt.kept;
    }
    kept
}

/// The rows that the feed gives in the order it was told, in one go, on SQLite.
async fn expected(records: &[String]) -> Vec<String> {
    let db = TestDb::sqlite().await;
    let app = db.app_with_tenant().await;
    feed(
        &app,
        records
            .chunks(5_000)
            .map(|batch| batch.join("\n").into_bytes())
            .collect(),
    )
    .await;
    db.dump(TENANT).await
}

on_both_engines! {
    /// Any order, repeats and split.
    async fn any_order_repeats_and_split_give_the_same_rows(db: TestDb) {
        let records = records(1, MESSAGES);
        let expected = expected(&records).await;
        assert!(expected.len() > MESSAGES);
        let mut random = Random(2);
        let app = db.app_with_tenant().await;
        let mut shuffled: Vec<String> = records.iter().chain(&records[..records.len() / 3]).cloned().collect();
        random.shuffle(&mut shuffled);
        let first = feed(&app, batches(&mut random, &shuffled, 400)).await;
        assert_same_rows(&db.dump(TENANT).await, &expected);
        let revision = db.assert_gapless(TENANT).await;

        // all of it again changes nothing, not even the revision
        random.shuffle(&mut shuffled);
        let again = feed(&app, batches(&mut random, &shuffled, 3_000)).await;
        assert!(first > 0);
        assert_eq!(again, 0);
        assert_same_rows(&db.dump(TENANT).await, &expected);
        assert_eq!(db.assert_gapless(TENANT).await, revision);
    }

    /// Two importers at once, each with all of it in its own order, as two processes.
    async fn two_importers_at_once_give_the_same_rows(db: TestDb) {
        let records = records(3, MESSAGES);
        let expected = expected(&records).await;
        let (one, two) = (db.app_with_tenant().await, db.app().await);
        let order = |seed: u64| {
            let mut random = Random(seed);
            let mut records = records.clone();
            random.shuffle(&mut records);
            batches(&mut random, &records, 500)
        };
        let (first, second) = tokio::join!(feed(&one, order(4)), feed(&two, order(5)));
        assert!(first + second > 0);
        assert_same_rows(&db.dump(TENANT).await, &expected);
        db.assert_gapless(TENANT).await;
    }

    /// More of one agent than a message keeps, one by one: the same are kept in any order.
    async fn too_many_events_are_bounded_alike(db: TestDb) {
        let event = |n: u128| {
            let at = format!("2026-03-01T09:00:{n:02}");
            Record::mailbox_side(n, "anna@contoso.com", "<A@x>", &at).json()
        };
        let mut records: Vec<String> = (1..=20).map(event).collect();
        let expected = expected(&records).await;
        let app = db.app_with_tenant().await;
        Random(6).shuffle(&mut records);
        feed(&app, records.into_iter().map(String::into_bytes).collect()).await;
        assert_same_rows(&db.dump(TENANT).await, &expected);
    }
}
