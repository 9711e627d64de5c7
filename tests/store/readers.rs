//! Many readers at once.

use super::support::{
    TENANT,
    records::{Record, blob},
};
use crate::on_both_engines;
use sentby::domain::MessageId;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

on_both_engines! {
    /// More than there are connections for: each has its turn, and nobody waits for those who
    /// came after him, or for those who are done.
    async fn each_reader_of_answers_has_its_turn(db: TestDb) {
        let app = db.app_with_tenant().await;
        let id = "<R@x>";
        let record = Record::mailbox_side(1, "anna@contoso.com", id, "2026-03-01T09:00:00");
        let batch = crate::support::batch(TENANT, blob(&[record]));
        app.ingest_audit_batch(batch).await.expect("ingested");
        let key = MessageId::parse(id).expect("an id").key();
        let mut readers = JoinSet::new();
        for _ in 0..32 {
            let app = Arc::clone(&app);
            readers.spawn(async move {
                let mut slowest = Duration::ZERO;
                for _ in 0..60 {
                    let asked = Instant::now();
                    let read = app.store().answers(TENANT, &[key]).await.expect("read");
                    assert_eq!(read.expect("a tenant").value.len(), 1);
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            });
        }
        let slowest = readers.join_all().await.into_iter().max().expect("some");
        assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    }
}
