//! What is kept for a time only: receipts and quarantined records.

use super::support::{OTHER_TENANT, TENANT, register, time};
use crate::on_both_engines;
use sentby::{
    app::App,
    domain::{
        AuditBatch, BatchId, QuarantineReason, QuarantinedRecord, Receipt, RecordProblem, Revision,
        TenantId, TimeRange, Timestamp, audit_batch::Request,
    },
    store::{BatchFilter, Expiring, Tx},
};
use std::{slice, time::SystemTime};
use uuid::Uuid;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_micros(since.expect("after 1970").as_micros() as i64)
}

fn days_ago(days: f64) -> Timestamp {
    Timestamp::from_micros(now().micros() - (days * 86_400e6) as i64)
}

fn batch(n: u128, received_at: Timestamp) -> AuditBatch {
    AuditBatch {
        id: BatchId(Uuid::from_u128(n)),
        request: None,
        source: String::new(),
        received_at,
        receipt: Receipt::default(),
    }
}

fn record(n: u128, received_at: Timestamp) -> QuarantinedRecord {
    QuarantinedRecord {
        digest: Uuid::from_u128(n),
        reason: QuarantineReason::Malformed,
        detail: String::new(),
        received_at,
        bytes: Some(vec![1].into()),
    }
}

async fn write(app: &App, tenant: TenantId, what: impl AsyncFnOnce(&mut dyn Tx)) {
    let mut tx = app
        .store()
        .begin(tenant)
        .await
        .expect("begun")
        .expect("a tenant");
    what(&mut *tx).await;
    tx.commit().await.expect("committed");
}

fn any_time() -> BatchFilter {
    BatchFilter {
        received: TimeRange {
            start: Timestamp::EARLIEST,
            end: Timestamp::LATEST,
        },
        source: None,
    }
}

on_both_engines! {
    /// Every field of a receipt comes back as it was.
    async fn a_receipt_comes_back_as_it_was(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let full = AuditBatch {
            request: Some(Request { id: "a\u{fc}'\"".into(), content_digest: Uuid::max() }),
            source: "collector".into(),
            receipt: Receipt {
                received: 10,
                kept: 1,
                repeated: 2,
                ignored: 3,
                quarantined: 4,
                quarantined_without_copy: 2,
                ignored_operations: [("Create \"x\"".to_owned(), 2), ("(other)".to_owned(), 1)].into(),
                problems: vec![RecordProblem {
                    index: 7,
                    reason: QuarantineReason::TooDeep,
                    detail: "deep {}".into(),
                }],
                revision: Revision(5),
                changed_messages: 6,
            },
            ..batch(1, time("2026-03-01T09:00:00.123457Z"))
        };
        let bare = batch(2, time("2026-03-01T09:00:00Z"));
        for written in [full, bare] {
            write(&app, TENANT, async |tx| {
                assert_eq!(tx.audit_batches(&[written.id]).await.expect("read"), []);
                tx.put_audit_batches(slice::from_ref(&written)).await.expect("put");
                let stored = tx.audit_batches(&[written.id]).await.expect("read");
                assert_eq!(stored, slice::from_ref(&written));
            }).await;
            let store = app.store();
            assert_eq!(store.audit_batch(TENANT, written.id).await.expect("read"), Some(written.clone()));
            assert_eq!(store.audit_batch(OTHER_TENANT, written.id).await.expect("read"), None);
            assert!(store.audit_batches(OTHER_TENANT, &any_time(), None, 9).await.expect("read").is_empty());
        }
    }

    /// What is put is listed, counted, changed and removed; of one tenant only.
    async fn a_quarantine_is_kept_by_digest(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let at = time("2026-03-01T09:00:00.000007Z");
        let copy = QuarantinedRecord {
            bytes: Some(vec![0, 0xff, b'\''].into()),
            detail: "\u{fc} cut off".into(),
            ..record(1, at)
        };
        let empty = QuarantinedRecord { bytes: Some(vec![].into()), ..record(2, at) };
        let none = QuarantinedRecord { bytes: None, ..record(3, at) };
        let records = [copy.clone(), empty.clone(), none.clone(), copy.clone()];
        write(&app, OTHER_TENANT, async |tx| {
            tx.put_quarantined(&[record(1, at)]).await.expect("put");
        }).await;
        write(&app, TENANT, async |tx| {
            tx.put_quarantined(&[]).await.expect("put");
            tx.put_quarantined(&records).await.expect("put");
            let asked: Vec<Uuid> = (1..9).map(Uuid::from_u128).collect();
            let known = tx.quarantined(&asked).await.expect("read");
            assert_eq!(known, [(copy.digest, true), (empty.digest, true), (none.digest, false)].into());
            let usage = tx.quarantine_usage().await.expect("read");
            assert_eq!((usage.copies, usage.bytes, usage.without_copy), (2, 3, 1));
        }).await;

        let store = app.store();
        let listed = store.quarantined(TENANT, None, None, 9).await.expect("read");
        let sizes: Vec<_> = listed.iter().map(|entry| (entry.digest, entry.size)).collect();
        assert_eq!(sizes, [(none.digest, None), (empty.digest, Some(0)), (copy.digest, Some(3))]);
        assert_eq!((&listed[2].detail, listed[2].received_at), (&copy.detail, at));
        let digests = [copy.digest, empty.digest, none.digest];
        let copies = store.quarantined_copies(TENANT, &digests).await.expect("read");
        assert_eq!(copies, [(copy.digest, vec![0, 0xff, b'\'']), (empty.digest, vec![])].into());

        write(&app, TENANT, async |tx| {
            let mut changed = listed[2].clone();
            changed.reason = QuarantineReason::TooDeep;
            tx.change_quarantined(&[changed]).await.expect("changed");
            tx.remove_quarantined(&[empty.digest, none.digest]).await.expect("removed");
        }).await;
        let deep = Some(QuarantineReason::TooDeep);
        assert_eq!(store.quarantined(TENANT, deep, None, 9).await.expect("read").len(), 1);
        assert_eq!(store.quarantined(TENANT, None, None, 9).await.expect("read").len(), 1);
        let theirs = store.quarantined(OTHER_TENANT, None, None, 9).await.expect("read");
        assert_eq!(theirs[0].reason, QuarantineReason::Malformed);
    }

    /// Receipts go after a week, quarantined records after a month, of every tenant; what is
    /// younger stays.
    async fn what_has_expired_is_deleted(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        for tenant in [TENANT, OTHER_TENANT] {
            write(&app, tenant, async |tx| {
                for (n, days) in [(1, 0.0), (2, 6.9), (3, 7.1), (4, 29.9), (5, 30.1)] {
                    tx.put_audit_batches(&[batch(n, days_ago(days))]).await.expect("put");
                    tx.put_quarantined(&[record(n, days_ago(days))]).await.expect("put");
                }
            }).await;
        }
        app.expire().await.expect("deleted");
        let receipts = "SELECT count(*) FROM audit_batch WHERE tenant_id = $1";
        let quarantine = "SELECT count(*) FROM quarantine WHERE tenant_id = $1";
        for tenant in [TENANT, OTHER_TENANT] {
            assert_eq!(db.number(receipts, tenant).await, 2);
            assert_eq!(db.number(quarantine, tenant).await, 4);
        }
    }

    /// A bounded number at a time, oldest first, by several processes at once.
    async fn expiry_is_bounded(db: TestDb) {
        let (app, other) = (db.app_with_tenant().await, db.app().await);
        write(&app, TENANT, async |tx| {
            let receipts = (0..50u32).map(|n| {
                let at = Timestamp::from_micros(time("2026-03-01T00:00:00Z").micros() + i64::from(n));
                batch(u128::from(n), at)
            });
            let receipts: Vec<AuditBatch> = receipts.collect();
            tx.put_audit_batches(&receipts).await.expect("put");
        }).await;
        let before = time("2026-03-02T00:00:00Z");
        let expire = async |app: &App, limit| {
            app.store().expire(TENANT, Expiring::Receipts, before, limit).await.expect("deleted")
        };
        assert_eq!(expire(&app, 20).await, 20);
        let left = app.store().audit_batches(TENANT, &any_time(), None, 100).await.expect("read");
        let left: Vec<u128> = left.iter().map(|batch| batch.id.0.as_u128()).collect();
        assert_eq!(left, (20..50).rev().collect::<Vec<u128>>());
        let (one, two) = tokio::join!(expire(&app, 100), expire(&other, 100));
        assert_eq!(one + two, 30);
        assert_eq!(expire(&app, 100).await, 0);
    }
}
