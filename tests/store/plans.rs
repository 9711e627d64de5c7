//! Writes go by the primary key, whatever Postgres knows of the table, or does not know.

use super::support::{TENANT, TestDb, register, time};
use sentby::{
    app::App,
    domain::{Directory, Gathering, Message, MessageId, MessageKey, Revision, SendEvent},
};
use std::{ops::Range, time::Duration};
use uuid::Uuid;

const OF_A_BATCH: usize = 100;
const KNOWN_OF_A_BATCH: usize = 30;
const BATCHES: usize = 40;

fn event(record: usize) -> SendEvent {
    SendEvent {
        record_id: Uuid::from_u128(record as u128),
        ..super::rows::full_event(1, time("2026-03-01T09:00:00Z"))
    }
}

fn message(n: usize) -> Message {
    let id = MessageId::parse(&format!("m{n}@x")).expect("an id");
    let mut message = Gathering::new(id.key(), Some(id));
    message.add([event(n)]);
    message.judge(&Directory::default(), Revision(1)).message
}

/// A batch of new messages, and of some that are stored.
async fn write(app: &App, new: Range<usize>) {
    let known = new.start.saturating_sub(OF_A_BATCH)..new.start;
    let new: Vec<Message> = new.map(message).collect();
    let known: Vec<Message> = known.take(KNOWN_OF_A_BATCH).map(message).collect();
    let all = new.iter().chain(&known);
    let keys: Vec<MessageKey> = all.map(|message| message.key).collect();
    let tx = app.store().begin(TENANT).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    let stored = tx.messages(&keys).await.expect("read");
    assert_eq!(stored.len(), known.len());
    tx.add_messages(&new).await.expect("added");
    tx.replace_messages(&known).await.expect("replaced");
    tx.commit().await.expect("committed");
}

/// Entries of the primary key that were read so far, when all that was done is told.
async fn read_entries(db: &TestDb, looked_up: i64) -> i64 {
    const SCANS: &str = "SELECT idx_scan FROM pg_stat_user_indexes WHERE $1 IS NOT NULL \
         AND schemaname = current_schema() AND indexrelname = 'attribution_pkey'";
    const READ: &str = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE $1 IS NOT NULL \
         AND schemaname = current_schema() AND indexrelname = 'attribution_pkey'";
    const SEQUENTIAL: &str = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE $1 IS NOT NULL \
         AND schemaname = current_schema() AND relname = 'attribution'";
    // a session tells what it has done when it ends
    for _ in 0..300 {
        if db.number(SCANS, TENANT).await >= looked_up {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(db.number(SCANS, TENANT).await >= looked_up);
    assert_eq!(db.number(SEQUENTIAL, TENANT).await, 0);
    db.number(READ, TENANT).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_by_the_primary_key() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    register(&*db.app().await, TENANT).await;
    db.execute("ALTER TABLE attribution SET (autovacuum_enabled = false)")
        .await;
    let (mut written, mut looked_up) = (0, 0);
    for statistics in ["none", "of one row", "of a filled table"] {
        let app = db.app().await;
        if statistics == "of one row" {
            db.execute("TRUNCATE attribution").await;
            write(&app, 0..1).await;
            written = 1;
        }
        if statistics != "none" {
            db.execute("ANALYZE attribution").await;
        }
        for _ in 0..BATCHES {
            write(&app, written..written + OF_A_BATCH).await;
            written += OF_A_BATCH;
            looked_up += OF_A_BATCH as i64;
        }
        drop(app);
        let read = read_entries(&db, looked_up).await;
        // each known one is read twice, and may have an entry of each time it was replaced
        let needed = looked_up * 4 * KNOWN_OF_A_BATCH as i64 / OF_A_BATCH as i64;
        assert!(
            read <= needed,
            "statistics {statistics}: {read} entries, not {needed}"
        );
    }
}
