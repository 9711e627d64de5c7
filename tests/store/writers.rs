//! Many writers, and callers that leave.

use super::support::{
    OTHER_TENANT, TENANT,
    records::{Record, blob},
    register,
};
use crate::on_both_engines;
use sentby::{
    app::{App, ingest_audit_batch::Batch},
    domain::{MessageId, Revision, TenantId},
};
use std::{sync::Arc, time::Duration};

fn batch(tenant: TenantId, records: &[Record]) -> Batch {
    let of_tenant = |record: &Record| record.clone().set("OrganizationId", tenant.to_string());
    let records: Vec<Record> = records.iter().map(of_tenant).collect();
    crate::support::batch(tenant, blob(&records))
}

fn record(n: u128) -> Record {
    let id = format!("<W{n}@x>");
    Record::mailbox_side(n + 1, "anna@contoso.com", &id, "2026-03-01T09:00:00")
}

async fn write(app: Arc<App>, tenant: TenantId, from: u128) {
    for n in from..from + 20 {
        // each batch also touches what the others write
        let records = [record(n), record(7), record(n + 1)];
        let receipt = app
            .ingest_audit_batch(batch(tenant, &records))
            .await
            .expect("ingested")
            .receipt;
        let id = MessageId::parse(&format!("<W{n}@x>")).expect("an id");
        let read = app
            .get_attribution(tenant, id, None, receipt.revision)
            .await;
        read.expect("what was acknowledged is there");
    }
}

on_both_engines! {
    /// Two processes, several writers each, two tenants: every revision once, in order.
    async fn revisions_are_gapless_under_many_writers(db: TestDb) {
        let apps = [db.app_with_tenant().await, db.app().await];
        register(&apps[0], OTHER_TENANT).await;
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..8u32 {
            let app = Arc::clone(&apps[n as usize % 2]);
            let tenant = if n < 6 { TENANT } else { OTHER_TENANT };
            writers.spawn(write(app, tenant, 1_000 * u128::from(n)));
        }
        while let Some(done) = writers.join_next().await {
            done.expect("no writer panicked");
        }
        db.assert_gapless(TENANT).await;
        db.assert_gapless(OTHER_TENANT).await;
        let count = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
        assert_eq!(db.number(count, TENANT).await, 6 * 21);
        assert_eq!(db.number(count, OTHER_TENANT).await, 2 * 21 + 1);
    }

    /// A caller that leaves at any moment leaves no half write and no broken connection.
    async fn a_cancelled_call_ends_whole(db: TestDb) {
        let app = db.app_with_tenant().await;
        for n in 0..120u64 {
            let records = [record(u128::from(2 * n)), record(u128::from(2 * n + 1))];
            let batch = batch(TENANT, &records);
            let call = app.detached(|app| async move { app.ingest_audit_batch(batch).await });
            let _ = tokio::time::timeout(Duration::from_micros(n * n), call).await;
        }
        // all that was begun ends by itself; then every batch is there whole or not at all
        tokio::time::timeout(Duration::from_secs(30), async {
            for n in 0..120u128 {
                let keys = [2 * n, 2 * n + 1]
                    .map(|n| MessageId::parse(&format!("<W{n}@x>")).expect("an id").key());
                loop {
                    let found = app.lookup_attributions(TENANT, &keys, Revision(0)).await;
                    let found: Vec<bool> = found.expect("read").iter().map(Option::is_some).collect();
                    assert_eq!(found[0], found[1], "batch {n} is there by half");
                    if found[0] { break }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
        .await
        .expect("every detached call ends");
        db.assert_gapless(TENANT).await;
    }
}
