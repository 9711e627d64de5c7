//! Typed events: the same as the records that they stand for.

use super::server::{TestServer, counts, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, TestDb, assert_same_rows,
        records::{Record, SUPPORT},
    },
};
use sentby::pb::{self, Operation, QuarantineReason as Why, SendEvent};
use serde_json::Value;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

/// The fields of a record, one by one.
fn typed(record: &Record) -> SendEvent {
    let text = |key: &str| {
        record
            .0
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let number = |key: &str| record.0.get(key).and_then(Value::as_i64).map(|n| n as i32);
    let either = |a: &str, b: &str| if text(a).is_empty() { text(b) } else { text(a) };
    SendEvent {
        record_id: text("Id"),
        time: timestamp(&format!("{}Z", text("CreationTime"))),
        operation: match text("Operation").as_str() {
            "SendAs" => Operation::SendAs,
            "SendOnBehalf" => Operation::SendOnBehalf,
            _ => Operation::Send,
        }
        .into(),
        user_id: text("UserId"),
        user_type: number("UserType"),
        user_key: text("UserKey"),
        logon_type: number("LogonType"),
        logon_user_sid: text("LogonUserSid"),
        token_object_id: text("TokenObjectId"),
        mailbox_owner_address: text("MailboxOwnerUPN"),
        mailbox_owner_sid: text("MailboxOwnerSid"),
        mailbox_guid: text("MailboxGuid"),
        sent_as_address: either("SendAsUserSmtp", "SendOnBehalfOfUserSmtp"),
        sent_as_mailbox_guid: either("SendAsUserMailboxGuid", "SendOnBehalfOfUserMailboxGuid"),
        internet_message_id: record.0.get("Item").map_or(String::new(), |item| {
            item["InternetMessageId"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        }),
        failed: text("ResultStatus") == "Failed",
        organization_id: text("OrganizationId"),
    }
}

fn batch(events: Vec<SendEvent>) -> pb::IngestAuditBatchRequest {
    pb::IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        events,
        ..Default::default()
    }
}

async fn send(
    server: &TestServer,
    batch: pb::IngestAuditBatchRequest,
) -> pb::IngestAuditBatchResponse {
    let response = server.ingest().ingest_audit_batch(batch).await;
    response.expect("ingested").into_inner()
}

/// Every field that an event has, and every shape.
fn records() -> Vec<Record> {
    let on_behalf = |n, side: fn(u128, &str, &str, &str) -> Record| {
        side(n, "carla@contoso.com", "<E2@x>", AT)
            .set("Operation", "SendOnBehalf")
            .set("SendOnBehalfOfUserSmtp", SUPPORT)
            .set(
                "SendOnBehalfOfUserMailboxGuid",
                "f3d40ece-6532-495d-803d-f55d9e496be5",
            )
            .set("SendAsUserSmtp", Value::Null)
            .set("SendAsUserMailboxGuid", Value::Null)
    };
    vec![
        Record::mailbox_side(1, ANNA, "<E1@x>", AT)
            .set("TokenObjectId", "a0d17000-0000-4000-8000-000000000001"),
        Record::agent_side(2, "Anna@Contoso.com", "E1@x", "2026-03-01T09:00:02"),
        on_behalf(3, Record::mailbox_side),
        on_behalf(4, Record::agent_side),
        Record::plain(5, ANNA, "<E3@x>", AT).set("UserType", 2),
        Record::plain(6, SUPPORT, "<E3@x>", AT).set("UserType", 5),
        Record::mailbox_side(7, ANNA, "<E4@x>", AT).set("ResultStatus", "Failed"),
        Record::mailbox_side(8, "bob@contoso.com", "<E4@x>", AT).set("LogonType", 1),
        Record::mailbox_side(9, "S-1-5-18", "<E5@x>", AT).set("UserType", 4),
        Record::mailbox_side(10, ANNA, "", AT).set("Item", Value::Null),
    ]
}

on_both_engines! {
    /// The same rows, and each is a repeat of the other.
    async fn an_event_and_its_record_are_one(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let records = records();
        let events: Vec<SendEvent> = records.iter().map(typed).collect();
        let n = records.len() as u64;
        assert_eq!(counts(&send(&server, batch(events.clone())).await), [n, n, 0, 0, 0]);
        let natives: Vec<String> = records.iter().map(Record::json).collect();
        let again = server.post(natives.join("\n")).await.expect("ingested");
        assert_eq!(counts(&again), [n, 0, n, 0, 0]);
        assert_eq!(again.revision, 1);

        let other = TestDb::sqlite().await;
        let native = TestServer::with_tenant(&other).await;
        native.post(natives.join("\n")).await.expect("ingested");
        assert_same_rows(&db.dump(TENANT).await, &other.dump(TENANT).await);
        assert_eq!(counts(&send(&native, batch(events)).await), [n, 0, n, 0, 0]);
    }

    /// Positions go on from content to records to events; what is wrong with an event is
    /// told by the names of the record, and can be seen in the quarantine.
    async fn a_wrong_event_is_quarantined(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let good = typed(&Record::mailbox_side(1, ANNA, "<G@x>", AT));
        let far = prost_types::Timestamp { seconds: i64::MAX, nanos: i32::MIN };
        let early = timestamp("1999-12-31T23:59:59Z");
        let wrong = [
            (SendEvent::default(), Why::MissingField, "Operation"),
            (SendEvent { operation: 99, ..good.clone() }, Why::MissingField, "Operation"),
            (SendEvent { record_id: String::new(), ..good.clone() }, Why::MissingField, "Id"),
            (SendEvent { record_id: "7".into(), ..good.clone() }, Why::InvalidField, "Id"),
            (SendEvent { time: None, ..good.clone() }, Why::MissingField, "CreationTime"),
            (SendEvent { time: Some(far), ..good.clone() }, Why::InvalidField, "CreationTime"),
            (SendEvent { time: early, ..good.clone() }, Why::InvalidField, "CreationTime"),
            (SendEvent { user_id: "a\0b".into(), ..good.clone() }, Why::InvalidField, "UserId"),
            (SendEvent { user_id: "x".repeat(600), ..good.clone() }, Why::InvalidField, "UserId"),
            (SendEvent { internet_message_id: "y".repeat(999), ..good.clone() }, Why::InvalidField, "Item"),
            (SendEvent { organization_id: "contoso".into(), ..good.clone() }, Why::InvalidField, "OrganizationId"),
            (SendEvent { organization_id: OTHER_TENANT.to_string(), ..good.clone() }, Why::ForeignTenant, "OrganizationId"),
        ];
        let mut mixed = batch(wrong.iter().map(|(event, _, _)| event.clone()).collect());
        mixed.content = Record::noise("Create", 90, AT).json().into_bytes().into();
        mixed.records = vec![Record::noise("Create", 91, AT).json().into_bytes().into()];
        mixed.events.push(good);
        let response = send(&server, mixed).await;
        assert_eq!(counts(&response), [15, 1, 0, 2, 12]);
        for (at, (problem, (_, why, field))) in response.problems.iter().zip(&wrong).enumerate() {
            assert_eq!((problem.index, problem.reason()), (at as u64 + 2, *why), "{problem:?}");
            assert!(problem.detail.starts_with(field), "{field}: {problem:?}");
        }
        assert_eq!(server.get("G@x").await.expect("its neighbour is kept").agent, ANNA);

        let list = pb::ListQuarantinedRecordsRequest {
            tenant_id: TENANT.to_string(),
            include_content: true,
            ..Default::default()
        };
        let listed = server.ingest().list_quarantined_records(list).await.expect("listed");
        let listed = listed.into_inner().records;
        assert_eq!(listed.len(), 12);
        for record in listed.iter().filter(|record| record.size.is_some()) {
            let json: Value = serde_json::from_slice(&record.content).expect("a record");
            assert_eq!(json["Workload"], "Exchange");
        }
    }
}
