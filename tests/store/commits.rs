//! What the database does not take when it is to commit: nobody is told that it is stored.

use super::support::{
    TENANT, TestDb, batch,
    records::{Record, blob},
};
use crate::on_both_engines;
use sentby::{
    config::DatabaseUrl,
    domain::{MessageId, Revision},
};

/// From now on a transaction that adds the message `Bad@x` can do all it wants, but not commit.
async fn refuse_commits(db: &TestDb) {
    let statements: &[&'static str] = match &db.config.database {
        DatabaseUrl::Sqlite(_) => &[
            "CREATE TABLE nobody (id INTEGER PRIMARY KEY)",
            "CREATE TABLE asks (id INTEGER REFERENCES nobody DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER refuse AFTER INSERT ON attribution WHEN new.message_id = 'Bad@x' \
             BEGIN INSERT INTO asks VALUES (1); END",
        ],
        DatabaseUrl::Postgres(_) => &[
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON attribution \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.message_id = 'Bad@x') \
             EXECUTE FUNCTION refuse()",
        ],
    };
    for &statement in statements {
        db.execute(statement).await;
    }
}

on_both_engines! {
    /// All was done but for the commit: it is no success, and no answer from the cache or the store.
    async fn what_is_not_committed_is_neither_acknowledged_nor_cached(db: TestDb) {
        let app = db.app_with_tenant().await;
        refuse_commits(&db).await;
        let sent = |n: u128, id: &str| {
            let anna = "anna@contoso.com";
            batch(TENANT, blob(&[Record::mailbox_side(n, anna, id, "2026-03-01T09:00:00")]))
        };
        let found = async |id: &str| {
            let key = MessageId::parse(id).expect("an id").key();
            let found = app.lookup_attributions(TENANT, &[key], Revision(0)).await;
            found.expect("read")[0].is_some()
        };
        for _ in 0..2 {
            let refused = app.ingest_audit_batch(sent(1, "<Bad@x>")).await;
            refused.expect_err("not committed");
            assert!(!found("<Bad@x>").await);
        }
        let stored = app.ingest_audit_batch(sent(2, "<Good@x>")).await.expect("stored");
        assert_eq!(stored.receipt.revision, Revision(1), "the first that was committed");
        assert!(found("<Good@x>").await);
        assert_eq!(db.assert_gapless(TENANT).await, 1);
    }
}
