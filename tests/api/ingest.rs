//! IngestService: what is taken, counted, kept and told.

use super::server::{TestServer, counts, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, SUPPORT, blob},
    },
};
use sentby::pb::{self, QuarantineReason as Why};

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

on_both_engines! {
    /// The newest name of a person counts: one record of the future would decide it for years.
    async fn a_record_of_the_future_waits_in_quarantine(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let in_days = |days: u64| {
            let seconds = now.as_secs() + days * 24 * 3_600;
            let time = prost_types::Timestamp { seconds: seconds as i64, nanos: 0 };
            time.to_string()
        };
        let records = [
            Record::mailbox_side(1, ANNA, "<A@x>", &in_days(1)).json(),
            Record::mailbox_side(2, ANNA, "<B@x>", &in_days(3)).json(),
            Record::admin("Set-Mailbox", 3, &[("AuditDelegate", "Update")])
                .set("CreationTime", in_days(30))
                .json(),
        ];
        let response = server.post(records.join("\n")).await.expect("ingested");
        assert_eq!(counts(&response), [3, 1, 0, 0, 2]);
        for problem in &response.problems {
            assert_eq!(problem.reason(), Why::InvalidField);
            assert!(problem.detail.contains("in the future"), "{problem:?}");
        }
    }

    /// One batch with everything in it: the counts add up, each problem is told.
    async fn a_batch_is_accounted_for(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let kept = Record::mailbox_side(1, ANNA, "<A@x>", AT);
        let records = [
            kept.json(),
            kept.json(),
            Record::noise("MailItemsAccessed", 2, AT).json(),
            Record::noise("Create", 3, AT).json(),
            Record::noise("MailItemsAccessed", 4, AT).json(),
            r#"{"Id": "broken""#.into(),
            Record::mailbox_side(5, ANNA, "<B@x>", "yesterday").json(),
            Record::mailbox_side(6, ANNA, "<C@x>", AT)
                .set("OrganizationId", OTHER_TENANT.to_string())
                .json(),
            Record::admin("Set-Mailbox", 7, &[("AuditDelegate", "Update")]).json(),
            Record::admin("Set-Mailbox", 8, &[("Name", "x")]).json(),
        ];
        let response = server.post(records.join("\n")).await.expect("ingested");
        assert_eq!(counts(&response), [10, 2, 1, 4, 3]);
        let problems: Vec<(u64, Why)> =
            response.problems.iter().map(|problem| (problem.index, problem.reason())).collect();
        assert_eq!(
            problems,
            [(5, Why::Malformed), (6, Why::InvalidField), (7, Why::ForeignTenant)]
        );
        assert_eq!(response.ignored_operations["MailItemsAccessed"], 2);
        assert_eq!((response.revision, response.changed_messages), (1, 1));

        let again = server.post(records.join("\n")).await.expect("ingested");
        assert_eq!(counts(&again), [10, 0, 3, 4, 3]);
        assert_eq!((again.revision, again.changed_messages), (1, 0));

        let quarantined = "SELECT count(*) FROM quarantine WHERE tenant_id = $1";
        assert_eq!(db.number(quarantined, TENANT).await, 3, "one copy each");
        let foreign = "SELECT count(*) FROM quarantine WHERE tenant_id = $1 \
                       AND reason = 'FOREIGN_TENANT' AND bytes IS NULL";
        assert_eq!(db.number(foreign, TENANT).await, 1, "its bytes are not stored");
        let changes = "SELECT count(*) FROM admin_change WHERE tenant_id = $1";
        assert_eq!(db.number(changes, TENANT).await, 1);
    }

    /// The same records in every form are the same evidence.
    async fn every_form_is_read(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let records: Vec<Record> = (1..4)
            .map(|n| Record::mailbox_side(n, ANNA, &format!("<F{n}@x>"), AT))
            .collect();
        let lines: Vec<String> = records.iter().map(Record::json).collect();
        let cells: Vec<String> = lines.iter().map(|line| line.replace('"', "\"\"")).collect();
        let rows = |before: &str, after: &str| -> String {
            cells.iter().map(|cell| format!("{before}\"{cell}\"{after}\r\n")).collect()
        };
        let portal_old = format!("CreationDate,UserIds,Operations,AuditData\r\n{}",
            rows("2026-03-01T09:00:00.0000000Z,anna@contoso.com,SendAs,", ""));
        let portal_new = format!(
            "\u{feff}RecordId,CreationDate,RecordType,Operation,UserId,AuditData,\
             AssociatedAdminUnits,AssociatedAdminUnitsNames\r\n{}",
            rows("x,2026-03-01T09:00:00.0000000Z ,2,SendAs,anna@contoso.com,", ",,"));
        let search = format!(
            "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n\
             \"RecordType\",\"CreationDate\",\"UserIds\",\"Operations\",\"AuditData\",\"Identity\"\r\n{}",
            rows("\"ExchangeItem\",\"3/1/2026 9:00:00 AM\",\"anna@contoso.com\",\"SendAs\",", ",\"x\""));
        let first = server.post(blob(&records)).await.expect("ingested");
        assert_eq!(counts(&first), [3, 3, 0, 0, 0]);
        for form in [lines.join("\n"), lines.join(","), portal_old, portal_new, search] {
            let response = server.post(form.clone()).await.expect("ingested");
            assert_eq!(counts(&response), [3, 0, 3, 0, 0], "{form}");
        }
        let request = pb::IngestAuditBatchRequest {
            tenant_id: TENANT.to_string(),
            records: lines.into_iter().map(|line| line.into_bytes().into()).collect(),
            ..Default::default()
        };
        let cut = server.ingest().ingest_audit_batch(request).await.expect("ingested");
        assert_eq!(counts(&cut.into_inner()), [3, 0, 3, 0, 0]);
    }

    /// A late second side confirms; a late other person makes a conflict; both are told.
    async fn an_answer_is_never_final(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let first = Record::mailbox_side(1, ANNA, "<A@x>", AT);
        server.post(blob(&[first])).await.expect("ingested");
        let answer = server.get("<A@x>").await.expect("an answer");
        assert_eq!((answer.confirmed, answer.revision), (false, 1));

        let late = Record::agent_side(2, "Anna@Contoso.com", "A@x", "2026-03-01T09:00:02");
        server.post(blob(&[late])).await.expect("ingested");
        let answer = server.get("A@x").await.expect("an answer");
        assert_eq!((answer.confirmed, answer.revision), (true, 2));
        assert_eq!(answer.agent, ANNA);
        assert_eq!(answer.mailbox, SUPPORT);

        let other = Record::agent_side(3, "bob@contoso.com", "<A@x>", "2026-03-01T09:00:02");
        server.post(blob(&[other])).await.expect("ingested");
        let answer = server.get("A@x").await.expect("an answer");
        assert_eq!(answer.verdict(), pb::Verdict::Conflict);
        assert_eq!((answer.agent.as_str(), answer.candidates.len()), ("", 2));
    }

    /// An id in more brackets than one pair is one message, whoever writes it how; stored and
    /// answered ids can be asked for.
    async fn odd_message_ids_are_one_message(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let records = [
            Record::mailbox_side(1, ANNA, "<<O@x>>", AT),
            Record::agent_side(2, ANNA, "O@x", AT),
            Record::mailbox_side(3, ANNA, "<<>>", AT),
        ];
        for _ in 0..2 {
            let response = server.post(blob(&records)).await.expect("ingested");
            assert_eq!(counts(&response)[4], 0, "{response:?}");
        }
        let answer = server.get("<<<O@x>>>").await.expect("an answer");
        assert_eq!((answer.message_id.as_str(), answer.confirmed), ("O@x", true));
        let put = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![pb::Mailbox {
                address: SUPPORT.into(),
                kind: pb::MailboxKind::Shared.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        server.tenants().put_mailboxes(put).await.expect("put");
    }

    /// Another tenant's record keeps no bytes in whatever envelope it comes.
    async fn a_foreign_record_in_an_unknown_envelope_is_not_stored(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let foreign = Record::mailbox_side(1, ANNA, "<A@x>", AT)
            .set("OrganizationId", OTHER_TENANT.to_string());
        let inner = serde_json::Value::Object(foreign.0.clone());
        let as_text = serde_json::Value::String(foreign.json());
        for envelope in [
            serde_json::json!({"integration": "office365", "office365": inner}),
            serde_json::json!({"properties": {"RawEventData": as_text}}),
            serde_json::json!({"AuditData": {"AuditData": inner}}),
        ] {
            let response = server.post(envelope.to_string()).await.expect("ingested");
            assert_eq!(response.problems[0].reason(), Why::ForeignTenant, "{envelope}");
        }
        let bytes = "SELECT count(bytes) FROM quarantine WHERE tenant_id = $1";
        assert_eq!(db.number(bytes, TENANT).await, 0);
    }

    /// `validate_only` reads and counts; nothing is stored.
    async fn validate_only_stores_nothing(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let record = Record::mailbox_side(1, ANNA, "<A@x>", AT);
        let request = pb::IngestAuditBatchRequest {
            tenant_id: TENANT.to_string(),
            content: blob(&[record.clone(), record]).into(),
            validate_only: true,
            ..Default::default()
        };
        let response = server.ingest().ingest_audit_batch(request).await.expect("validated");
        let response = response.into_inner();
        assert_eq!(counts(&response), [2, 1, 1, 0, 0]);
        assert_eq!(response.revision, 0);
        assert!(server.get("A@x").await.is_err());
    }

    /// Events without a message id stand alone, are listed, and can be explained by key.
    async fn an_event_without_a_message_id_is_kept(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let record = Record::mailbox_side(1, ANNA, "<A@x>", AT)
            .set("Item", serde_json::json!({"Id": "Unknown"}));
        server.post(blob(&[record])).await.expect("ingested");
        let list = pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: timestamp("2026-03-01T00:00:00Z"),
            end: timestamp("2026-03-02T00:00:00Z"),
            ..Default::default()
        };
        let listed = server.attributions().list_attributions(list).await.expect("listed");
        let listed = listed.into_inner().attributions;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].message_id.as_str(), listed[0].agent.as_str()), ("", ANNA));
        let explain = pb::ExplainAttributionRequest {
            tenant_id: TENANT.to_string(),
            message: Some(pb::explain_attribution_request::Message::MessageKey(
                listed[0].message_key.clone(),
            )),
            ..Default::default()
        };
        let explained = server.attributions().explain_attribution(explain).await;
        assert_eq!(explained.expect("explained").into_inner().evidence.len(), 1);
    }
}
