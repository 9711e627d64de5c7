//! Batches that wait for one tenant are written together: for each caller as if alone.

use super::support::{
    TENANT, TestDb, assert_same_rows,
    feed::{Random, batches, records},
    records::{Record, blob},
    time,
};
use crate::on_both_engines;
use sentby::{
    app::{
        App, Error,
        ingest_audit_batch::{Batch, Ingested},
        register_tenant::Registration,
    },
    config::DatabaseUrl,
    domain::{MessageId, Receipt, Revision, Tenant},
    store::StoreError,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

fn batch(content: impl Into<Vec<u8>>) -> Batch {
    crate::support::batch(TENANT, content.into())
}

type Answer = Result<Ingested, Error>;

fn post(app: &Arc<App>, batch: Batch) -> JoinHandle<Answer> {
    let app = Arc::clone(app);
    tokio::spawn(async move { app.ingest_audit_batch(batch).await })
}

async fn answers(calls: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("no panic"));
    }
    answers
}

/// Sends them while another write of the tenant is in the way, for so long that they have
/// probably all come to wait behind it.
async fn at_once(app: &Arc<App>, batches: Vec<Batch>, pause: Duration) -> Vec<Answer> {
    let before = app.store().begin(TENANT).await.expect("begun");
    let calls = batches.into_iter().map(|batch| post(app, batch)).collect();
    tokio::time::sleep(pause).await;
    drop(before.expect("a tenant"));
    answers(calls).await
}

const PAUSE: Duration = Duration::from_millis(500);

fn receipts(answers: Vec<Answer>) -> Vec<Receipt> {
    let receipt = |answer: Answer| answer.expect("ingested").receipt;
    answers.into_iter().map(receipt).collect()
}

fn sum(receipts: &[Receipt]) -> [u64; 6] {
    let mut sum = [0; 6];
    for receipt in receipts {
        let of = [
            receipt.received,
            receipt.kept,
            receipt.repeated,
            receipt.ignored,
            receipt.quarantined,
            receipt.quarantined_without_copy,
        ];
        assert_eq!(of[0], of[1] + of[2] + of[3] + of[4]);
        for (sum, of) in sum.iter_mut().zip(of) {
            *sum += of;
        }
    }
    sum
}

/// Both sides of messages that several batches share, repeats, an administrator's change and
/// a broken record in each.
fn overlapping(n: u128) -> Vec<u8> {
    let mut records = Vec::new();
    for m in n..n + 5 {
        let id = format!("<J{m}@x>");
        records.push(Record::mailbox_side(2 * m + 1, ANNA, &id, AT).json());
        if n.is_multiple_of(2) {
            records.push(Record::agent_side(2 * m + 2, ANNA, &id, AT).json());
        }
    }
    let parameters = [("Identity", "support"), ("AuditDelegate", "Update")];
    records.push(Record::admin("Set-Mailbox", 9_000 + n / 3, &parameters).json());
    records.push(Record::noise("FileAccessed", 8_000, AT).json());
    records.push(format!(r#"{{"Id":"{}","Operation":"SendAs""#, n / 2));
    records.join("\n").into_bytes()
}

fn sent(n: u128, id: &str) -> Vec<u8> {
    blob(&[Record::mailbox_side(n, ANNA, id, AT)])
}

async fn is_there(app: &App, id: &str) -> bool {
    let id = [MessageId::parse(id).expect("an id").key()];
    let found = app.lookup_attributions(TENANT, &id, Revision(0)).await;
    found.expect("read")[0].is_some()
}

/// From now on the database refuses the message `Bad@x`.
async fn refuse_bad(db: &TestDb) {
    db.execute(match &db.config.database {
        DatabaseUrl::Sqlite(_) => {
            "CREATE TRIGGER refuse BEFORE INSERT ON attribution WHEN new.message_id = 'Bad@x' \
             BEGIN SELECT raise(ABORT, 'refused'); END"
        }
        DatabaseUrl::Postgres(_) => {
            "ALTER TABLE attribution ADD CONSTRAINT refuse CHECK (message_id <> 'Bad@x')"
        }
    })
    .await;
}

on_both_engines! {
    /// The same rows as one after another.
    async fn joined_batches_give_the_same_rows(db: TestDb) {
        let records = records(3, 600);
        let alone = TestDb::sqlite().await;
        let one_by_one = alone.app_with_tenant().await;
        for content in records.chunks(100) {
            let done = one_by_one.ingest_audit_batch(batch(content.join("\n"))).await;
            done.expect("ingested");
        }
        let app = db.app_with_tenant().await;
        let batches = batches(&mut Random(7), &records, 40).into_iter().map(batch).collect();
        receipts(at_once(&app, batches, PAUSE).await);
        app.resume_reattribution().await.expect("settled");
        assert_same_rows(&db.dump(TENANT).await, &alone.dump(TENANT).await);
        db.assert_gapless(TENANT).await;
    }

    /// Each batch has its own counts, together they are those of one after another; all of a
    /// round have its revision.
    async fn each_batch_has_its_own_counts(db: TestDb) {
        let alone = TestDb::sqlite().await;
        let one_by_one = alone.app_with_tenant().await;
        let mut expected = Vec::new();
        for n in 0..30 {
            let done = one_by_one.ingest_audit_batch(batch(overlapping(n))).await;
            expected.push(done.expect("ingested").receipt);
        }
        let app = db.app_with_tenant().await;
        let joined = receipts(at_once(&app, (0..30).map(overlapping).map(batch).collect(), PAUSE).await);
        assert_eq!(sum(&joined), sum(&expected));
        assert_same_rows(&db.dump(TENANT).await, &alone.dump(TENANT).await);
        let revisions: BTreeSet<Revision> = joined.iter().map(|receipt| receipt.revision).collect();
        assert_eq!(db.assert_gapless(TENANT).await, revisions.last().expect("some").0 as i64);
        let changes = "SELECT count(*) FROM admin_change WHERE tenant_id = $1";
        assert_eq!(db.number(changes, TENANT).await, 10);
        let batches = "SELECT count(*) FROM audit_batch WHERE tenant_id = $1";
        assert_eq!(db.number(batches, TENANT).await, 30);
    }

    /// What waits is written together. A busy machine may need longer until all of it waits.
    async fn what_waits_is_one_revision(db: TestDb) {
        let app = db.app_with_tenant().await;
        for attempt in 1..=6u32 {
            let from = u128::from(100 * attempt);
            let batches = (from..from + 20).map(|n| batch(sent(n, &format!("<{n}@x>"))));
            let joined = receipts(at_once(&app, batches.collect(), attempt * PAUSE).await);
            let revisions: BTreeSet<Revision> = joined.iter().map(|r| r.revision).collect();
            for receipt in &joined {
                assert_eq!((receipt.kept, receipt.changed_messages), (1, 1));
            }
            db.assert_gapless(TENANT).await;
            if revisions.len() == 1 {
                return;
            }
        }
        panic!("20 batches that waited together were never written together");
    }

    /// The database refuses a row of one batch: that one fails, the others are written.
    async fn a_bad_batch_fails_alone(db: TestDb) {
        let app = db.app_with_tenant().await;
        refuse_bad(&db).await;
        let id = |n: u128| if n == 7 { "<Bad@x>".to_owned() } else { format!("<G{n}@x>") };
        let batches = (0..20).map(|n| batch(sent(n + 1, &id(n)))).collect();
        for (n, answer) in at_once(&app, batches, PAUSE).await.into_iter().enumerate() {
            if n == 7 {
                let refused = answer.expect_err("refused");
                let is_refused = |error: &StoreError| matches!(error, StoreError::Refused(_));
                assert!(matches!(&refused, Error::Store(e) if is_refused(e)), "{refused}");
            } else {
                assert_eq!(answer.expect("ingested").receipt.kept, 1);
            }
            assert_eq!(is_there(&app, &id(n as u128)).await, n != 7);
        }
        db.assert_gapless(TENANT).await;
        let next = app.ingest_audit_batch(batch(sent(99, "<After@x>"))).await;
        next.expect("the tenant goes on");
    }

    /// One request id several times at once: one is stored, the rest gets its answer.
    async fn a_request_id_is_stored_once(db: TestDb) {
        let app = db.app_with_tenant().await;
        let named = |n: u128| Batch {
            request_id: Some(format!("blob {}", n % 3)),
            ..batch(sent(n % 3 + 1, &format!("<R{}@x>", n % 3)))
        };
        let answers = at_once(&app, (0..15).map(named).collect(), PAUSE).await;
        let answers: Vec<Ingested> = answers.into_iter().map(|a| a.expect("ingested")).collect();
        for n in 0..3 {
            let same: Vec<&Ingested> = answers.iter().skip(n).step_by(3).collect();
            assert_eq!(same.iter().filter(|answer| !answer.replayed).count(), 1);
            for answer in &same {
                assert_eq!((&answer.receipt, answer.batch_id), (&same[0].receipt, same[0].batch_id));
                assert_eq!(answer.receipt.kept, 1);
            }
        }
        let batches = "SELECT count(*) FROM audit_batch WHERE tenant_id = $1";
        assert_eq!(db.number(batches, TENANT).await, 3);
    }

    /// From the answer to a revoke on nothing is committed of what still waits.
    async fn a_revoke_ends_what_waits(db: TestDb) {
        let app = db.app_with_tenant().await;
        let before = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let posted = |n: u128| post(&app, batch(sent(n + 1, &format!("<V{n}@x>"))));
        let mut calls: Vec<_> = (0..20).map(posted).collect();
        let revoke = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.revoke_consent(TENANT, None).await }
        });
        tokio::time::sleep(PAUSE).await;
        calls.extend((20..40).map(posted));
        drop(before);
        revoke.await.expect("no panic").expect("revoked");
        let last = Revision(db.assert_gapless(TENANT).await as u64);
        for answer in answers(calls).await {
            match answer {
                Ok(ingested) => assert!(ingested.receipt.revision <= last),
                Err(error) => assert!(matches!(error, Error::ConsentRevoked { .. }), "{error}"),
            }
        }
        assert_eq!(db.assert_gapless(TENANT).await as u64, last.0);
    }

    /// Consent is revoked by a transaction that is not committed yet: whoever saw it as it was before
    /// still has to see what it is under the lock.
    async fn consent_is_what_it_is_under_the_lock(db: TestDb) {
        let app = db.app_with_tenant().await;
        let first = app.ingest_audit_batch(batch(sent(99, "<First@x>"))).await;
        first.expect("all that is read once is read");
        let mut revoking = app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let revoked = Tenant {
            revoked_at: Some(time("2026-03-02T00:00:00Z")),
            ..revoking.tenant().clone()
        };
        revoking.put_tenant(&revoked).await.expect("put");
        let posted = |n: u128| post(&app, batch(sent(n + 1, &format!("<L{n}@x>"))));
        let calls: Vec<_> = (0..5).map(posted).collect();
        tokio::time::sleep(PAUSE).await;
        revoking.commit().await.expect("committed");
        for answer in answers(calls).await {
            let refused = answer.expect_err("revoked before it could write");
            assert!(matches!(refused, Error::ConsentRevoked { .. }), "{refused}");
        }
        assert_eq!(db.assert_gapless(TENANT).await, 1);
    }

    /// Other writes of a tenant take turns with a flood of its batches.
    async fn other_writes_take_turns(db: TestDb) {
        let app = db.app_with_tenant().await;
        let stop = Arc::new(AtomicBool::new(false));
        let flood: Vec<_> = (0..8u128).map(|writer| {
            let (app, stop) = (Arc::clone(&app), Arc::clone(&stop));
            tokio::spawn(async move {
                for n in 1_000 * writer.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let batch = batch(sent(n + 1, &format!("<F{n}@x>")));
                    app.ingest_audit_batch(batch).await.expect("ingested");
                }
            })
        }).collect();
        let others = async {
            for n in 0..20 {
                let registration = Registration {
                    tenant: TENANT,
                    display_name: format!("Contoso {n}"),
                    consented_at: time("2026-01-01T00:00:00Z"),
retention_days: None,
};
                app.register_tenant(registration).await.expect("registered");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), others).await.expect("nobody starves");
        stop.store(true, Ordering::Relaxed);
        for writer in flood {
            writer.await.expect("no panic");
        }
        db.assert_gapless(TENANT).await;
    }
}
