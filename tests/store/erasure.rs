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

/// Pseudonyms are keyed by the deployment: two stores of one.
fn key_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "07".repeat(32)).expect("a key");
    file
}

/// All that leads to a person, as any table could hold it.
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

/// Her entry in the register.
async fn put_anna(app: &Arc<App>) {
    app.put_mailboxes(sentby::app::put_mailboxes::RegisterChange {
        tenant: TENANT,
        put: vec![sentby::domain::Mailbox {
            address: "anna@contoso.com".into(),
            kind: sentby::domain::MailboxKind::User,
            aliases: vec!["anna.k@contoso.com".into()],
            display_name: "Anna".into(),
            guid: None,
            object_id: None,
        }],
        settings: Vec::new(),
        remove: Vec::new(),
    })
    .await
    .expect("put");
}

on_both_engines! {
    /// Ingest-then-erase, erase-then-ingest, and erased in between: the same rows.
    async fn what_came_first_does_not_matter(db: TestDb) {
        let records = records(1, MESSAGES);
        let mut random = Random(2);
        let (mut before, mut db, key) = (TestDb::sqlite().await, db, key_file());
        before.config.key_file = Some(key.path().to_owned());
        db.config.key_file = Some(key.path().to_owned());
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

    /// Nothing of the person is left in any table, also of what is no message; the neighbours stay
    /// byte for byte; what comes later resurrects nothing.
    async fn nothing_is_left_in_any_table(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let anna = "anna@contoso.com";
        let broken = format!(r#"{{"Id":"1","Operation":"SendAs","UserId":"{anna}""#);
        let named = Record::admin("Add-RecipientPermission", 77, &[("Identity", "support"), ("Trustee", anna), ("AccessRights", "SendAs")])
            .set("UserId", anna);
        let all = [
            Record::mailbox_side(1, anna, "<1@x>", "2026-03-01T09:00:00"),
            Record::agent_side(2, anna, "<1@x>", "2026-03-01T09:00:01"),
            Record::mailbox_side(3, BOB, "<2@x>", "2026-03-01T09:00:02"),
            Record::plain(4, anna, "<3@x>", "2026-03-01T09:00:03"),
            Record::mailbox_side(5, anna, "<4@x>", "2026-03-01T09:00:04"),
            Record::agent_side(6, BOB, "<4@x>", "2026-03-01T09:00:05"),
            Record::mailbox_side(7, &sid(anna), "<5@x>", "2026-03-01T09:00:06"),
            named,
        ];
        let lines: Vec<String> = all.iter().map(Record::json).chain([broken]).collect();
        let content = lines.join("\n").into_bytes();
        feed(&app, vec![content.clone()]).await;
        put_anna(&app).await;
        let neighbours = |rows: Vec<String>| -> Vec<String> {
            rows.into_iter().filter(|row| row.contains("2@x")).collect()
        };
        let before = neighbours(db.dump(TENANT).await);
        assert_eq!(before.len(), 1);

        let preview = app.preview_erasure(TENANT, &Subject::parse(anna).expect("one")).await;
        let preview = preview.expect("previewed");
        let receipt = erase(&app, "ANNA.K@contoso.com").await;
        let told = |receipt: &sentby::store::Erasure| -> Vec<(String, u64)> {
            receipt.counts.clone().into_iter().collect()
        };
        assert_eq!(told(&receipt), told(&preview));
        let count = |table: &str| receipt.counts.get(table).copied().unwrap_or_default();
        assert_eq!(count("attribution"), 4, "{receipt:?}");
        assert_eq!((count("mailbox"), count("quarantine"), count("admin_change")), (1, 1, 1));
        assert!(count("lesson") > 0 && count("side_seen") > 0, "{receipt:?}");
        assert!(receipt.is_swept && receipt.finished_at.is_some() && receipt.revision.is_some());
        assert_eq!(neighbours(db.dump(TENANT).await), before);
        assert_gone(&db.everything().await, anna);

        // a replay, a retry of the quarantine, and other identifiers of the same person
        feed(&app, vec![content]).await;
        let retry = sentby::app::retry_quarantined_records::Retry::default();
        app.retry_quarantined_records(TENANT, &retry).await.expect("retried");
        let renamed = Record::mailbox_side(8, "anna.renamed@contoso.com", "<6@x>", "2026-03-01T09:00:07")
            .set("LogonUserSid", sid(anna)).set("UserKey", puid(anna));
        // that name stands for the mailbox too where it is her own log
        let own_log = Record::agent_side(10, "anna.renamed@contoso.com", "<8@x>", "2026-03-01T09:00:09")
            .set("LogonUserSid", sid(anna)).set("UserKey", puid(anna));
        feed(&app, vec![blob(&[renamed, own_log])]).await;
        let later = Record::mailbox_side(9, "anna.renamed@contoso.com", "<7@x>", "2026-03-01T09:00:08")
            .set("LogonUserSid", "").set("UserKey", "");
        feed(&app, vec![blob(&[later])]).await;
        app.resume_erasures().await.expect("resumed");
        let everything = db.everything().await;
        assert_gone(&everything, anna);
        // sent again there would be no copy either
        let without = "SELECT max(quarantined_without_copy) FROM audit_batch WHERE tenant_id = $1";
        assert_eq!(db.number(without, TENANT).await, 0);
        for row in &everything {
            let text = String::from_utf8_lossy(row).to_lowercase();
            assert!(!text.contains("anna.renamed") && !text.contains("anna.k"), "{text}");
        }
        assert_eq!(neighbours(db.dump(TENANT).await), before);
        assert_eq!(erase(&app, anna).await, receipt, "the same receipt, by another identifier");
        db.assert_gapless(TENANT).await;
    }

    /// Whoever dies in the middle leaves it to the next who looks.
    async fn what_is_broken_off_goes_on(db: TestDb) {
        let app = db.app_with_tenant().await;
        let records = records(5, 3_000);
        feed(&app, batches(&mut Random(6), &records, 2_000)).await;
        let app = {
            let erasing = tokio::spawn(async move { erase(&app, BOB).await });
            // its first transaction is committed, the rest is broken off between two
            for _ in 0..2_000 {
                if db.number("SELECT count(*) FROM erasure WHERE tenant_id = $1", TENANT).await > 0 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            erasing.abort();
            let _ = erasing.await;
            db.app().await
        };
        app.resume_reattribution().await.expect("resumed");
        app.resume_erasures().await.expect("resumed");
        let left = "SELECT count(*) FROM erasure WHERE tenant_id = $1 AND NOT is_swept";
        assert_eq!(db.number(left, TENANT).await, 0);
        assert_gone(&db.everything().await, BOB);
        db.assert_gapless(TENANT).await;
        let receipt = erase(&app, BOB).await;
        assert!(receipt.counts["attribution"] > 100, "{receipt:?}");
    }
}
