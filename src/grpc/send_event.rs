//! A typed event → the native record that it stands for, as Microsoft writes it.
//!
//! Nothing is judged here. What is wrong is written so that the decoder finds it wrong.

use crate::{domain::Timestamp, pb};
use serde::Serialize;
use tonic::codegen::Bytes;

/// The fields of the record, in the order and spelling of the log; absent ones are left out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_time: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    organization_id: &'a str,
    record_type: u8,
    result_status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<i32>,
    workload: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logon_type: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    logon_user_sid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mailbox_guid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mailbox_owner_sid: &'a str,
    #[serde(rename = "MailboxOwnerUPN", skip_serializing_if = "str::is_empty")]
    mailbox_owner_upn: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    token_object_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    send_as_user_smtp: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    send_as_user_mailbox_guid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    send_on_behalf_of_user_smtp: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    send_on_behalf_of_user_mailbox_guid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'a> {
    internet_message_id: &'a str,
}

pub(super) fn record(event: &pb::SendEvent) -> Bytes {
    let sent_as = (
        event.sent_as_address.as_str(),
        event.sent_as_mailbox_guid.as_str(),
    );
    let (send_as, on_behalf_of) = match event.operation() {
        pb::Operation::SendOnBehalf => (("", ""), sent_as),
        _ => (sent_as, ("", "")),
    };
    let record = Record {
        creation_time: event.time.as_ref().map(creation_time),
        id: &event.record_id,
        operation: match event.operation() {
            pb::Operation::SendAs => Some("SendAs"),
            pb::Operation::SendOnBehalf => Some("SendOnBehalf"),
            pb::Operation::Send => Some("Send"),
            pb::Operation::Unspecified => None,
        },
        organization_id: &event.organization_id,
        record_type: 2, // ExchangeItem
        result_status: if event.failed { "Failed" } else { "Succeeded" },
        user_key: &event.user_key,
        user_type: event.user_type,
        workload: "Exchange",
        user_id: &event.user_id,
        logon_type: event.logon_type,
        logon_user_sid: &event.logon_user_sid,
        mailbox_guid: &event.mailbox_guid,
        mailbox_owner_sid: &event.mailbox_owner_sid,
        mailbox_owner_upn: &event.mailbox_owner_address,
        token_object_id: &event.token_object_id,
        send_as_user_smtp: send_as.0,
        send_as_user_mailbox_guid: send_as.1,
        send_on_behalf_of_user_smtp: on_behalf_of.0,
        send_on_behalf_of_user_mailbox_guid: on_behalf_of.1,
        item: Some(event.internet_message_id.as_str())
            .filter(|id| !id.is_empty())
            .map(|internet_message_id| Item {
                internet_message_id,
            }),
    };
    let json = serde_json::to_vec(&record).expect("texts and numbers have a JSON");
    json.into()
}

/// As the record has it. A time that no clock shows comes out as no time.
fn creation_time(time: &prost_types::Timestamp) -> String {
    let micros = time
        .seconds
        .checked_mul(1_000_000)
        .and_then(|micros| micros.checked_add(i64::from(time.nanos / 1_000)));
    micros.map_or_else(
        || format!("{} seconds", time.seconds),
        |micros| Timestamp::from_micros(micros).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_microsoft_would() {
        let event = pb::SendEvent {
            record_id: "a0d17000-0000-4000-8000-000000000001".into(),
            time: Some("2026-03-01T09:00:00Z".parse().expect("a time")),
            operation: pb::Operation::SendOnBehalf.into(),
            user_id: "anna@contoso.com".into(),
            user_type: Some(0),
            sent_as_address: "support@contoso.com".into(),
            internet_message_id: "<\"a\"@x>".into(),
            ..Default::default()
        };
        let json = record(&event);
        assert_eq!(
            std::str::from_utf8(&json).expect("text"),
            r#"{"CreationTime":"2026-03-01T09:00:00Z","Id":"a0d17000-0000-4000-8000-000000000001","Operation":"SendOnBehalf","RecordType":2,"ResultStatus":"Succeeded","UserType":0,"Workload":"Exchange","UserId":"anna@contoso.com","SendOnBehalfOfUserSmtp":"support@contoso.com","Item":{"InternetMessageId":"<\"a\"@x>"}}"#
        );
    }
}
