//! What the decoder promises, on records in the shapes of real ones.

mod csv;
mod envelopes;
mod fixtures;
mod forms;
mod hostile;
mod judgement;
mod mutations;
mod native;
mod pages;
mod plain;
mod properties;
mod salvage;
mod wrapped;

use uuid::Uuid;

use super::*;
use crate::domain::QuarantineReason as Reason;
use crate::domain::{Operation, Side, Timestamp};

pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(0x79dc_228f));

/// What one record says.
pub(super) type Answer = Result<Decoded<'static>, Problem>;

/// One audit record: keys with the JSON of their values, in the order they are written.
#[derive(Clone, Debug)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of the mailbox side: Anna sends as support from the session on the shared mailbox.
    pub fn mailbox_side() -> Self {
        Self(Vec::new())
            .text("CreationTime", "2024-05-06T07:08:09")
            .text("Id", "e8958887-1634-4b76-9753-08d5649b7d68")
            .text("Operation", "SendAs")
            .text("OrganizationId", &TENANT.to_string())
            .json("RecordType", "2")
            .text("ResultStatus", "Succeeded")
            .text("UserKey", "10032001266C162C")
            .json("UserType", "0")
            .json("Version", "1")
            .text("Workload", "Exchange")
            .text("UserId", "Anna.Kern@contoso.com")
            .text("ClientInfoString", "Client=MSExchangeRPC")
            .json("ExternalAccess", "false")
            .json("InternalLogonType", "0")
            .json("LogonType", "2")
            .text("LogonUserSid", "S-1-5-21-1-2-3-1001")
            .text("MailboxGuid", "f3d40ece-6532-495d-803d-f55d9e496be5")
            .text("MailboxOwnerSid", "S-1-5-21-1-2-3-2002")
            .text("MailboxOwnerUPN", "support@contoso.com")
            .text("OriginatingServer", "DB6PR0601MB2519 (15.20.0444.000)\r\n")
            .text("ClientRequestId", "{F3D40ECE-6532}")
            .text("SendAsUserSmtp", "Support@contoso.com")
            .text("SendAsUserMailboxGuid", "f3d40ece-6532-495d-803d-f55d9e496be5")
            .json(
                "Item",
                r#"{"Id":"Unknown","InternetMessageId":"<AB12@mail.contoso.com>","ParentFolder":{"Id":"LgAB","Path":"\\Drafts"},"Subject":"Re: {\"your, \\\"order\\\"\": [7] é"}"#,
            )
    }

    /// The same message in the log of Anna's own mailbox.
    pub fn agent_side() -> Self {
        Self::mailbox_side()
            .text("Id", "0b1c2d3e-1634-4b76-9753-08d5649b7d69")
            .text("CreationTime", "2024-05-06T07:08:11")
            .text("UserId", "anna.kern@contoso.com")
            .text("MailboxGuid", "11111111-6532-495d-803d-f55d9e496be5")
            .text("MailboxOwnerSid", "S-1-5-21-1-2-3-1001")
            .text("MailboxOwnerUPN", "anna.kern@contoso.com")
            .text("ClientInfoString", "Client=OWA;Action=ViaProxy")
    }

    /// Anna's plain Send.
    pub fn own_send() -> Self {
        Self::agent_side()
            .text("Operation", "Send")
            .text("Id", "5e5e5e5e-1634-4b76-9753-08d5649b7d69")
            .json("LogonType", "0")
            .without("SendAsUserSmtp")
            .without("SendAsUserMailboxGuid")
    }

    pub fn admin(operation: &str, parameters: &str) -> Self {
        Self(Vec::new())
            .text("CreationTime", "2023-05-20T11:07:00")
            .text("Id", "20fd5006-645b-42be-e9de-08db592255ac")
            .text("Operation", operation)
            .text("OrganizationId", &TENANT.to_string())
            .json("RecordType", "1")
            .text("ResultStatus", "True")
            .text("UserKey", "10032002643F6746")
            .json("UserType", "2")
            .text("Workload", "Exchange")
            .text("ObjectId", "a88ae17c-f562-4c1f-a377-8910b6847d76")
            .text("UserId", "Root@contoso.com")
            .json("Parameters", parameters)
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        let json = serde_json::to_string(value).expect("a string");
        self.json(key, &json)
    }

    /// In its place, or at the end.
    pub fn json(mut self, key: &str, json: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = json.to_owned(),
            None => self.0.push((key.to_owned(), json.to_owned())),
        }
        self
    }

    /// Also if it is there already.
    pub fn again(mut self, key: &str, json: &str) -> Self {
        self.0.push((key.to_owned(), json.to_owned()));
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.0.retain(|(known, _)| known != key);
        self
    }

    pub fn rename(mut self, from: &str, to: &str) -> Self {
        for (key, _) in &mut self.0 {
            if key == from {
                *key = to.to_owned();
            }
        }
        self
    }

    pub fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == key);
        &found.expect(key).1
    }

    pub fn map_keys(mut self, map: impl Fn(&str) -> String) -> Self {
        for (key, _) in &mut self.0 {
            *key = map(key);
        }
        self
    }

    pub fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }

    /// On one line.
    pub fn to_json(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// On many lines.
    pub fn to_pretty_json(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("    \"{key}\": {value}"))
            .collect();
        format!("  {{\r\n{}\r\n  }}", pairs.join(",\r\n"))
    }

    /// The quoted cell of a CSV file.
    pub fn to_cell(&self) -> String {
        format!("\"{}\"", self.to_json().replace('"', "\"\""))
    }

    /// Decodes to exactly one record.
    pub fn decode(&self) -> Answer {
        decode_one(self.to_json().as_bytes())
    }

    /// A send event.
    pub fn event(&self) -> (MessageRef, SendEvent) {
        match self.decode() {
            Ok(Decoded::Send { message, event }) => (message, event),
            other => panic!("no send event: {other:?}"),
        }
    }

    pub fn reason(&self) -> Option<Reason> {
        self.decode().err().map(|problem| problem.reason)
    }
}

pub(super) fn decode_one(record: &[u8]) -> Answer {
    let mut records: Vec<Record<'_>> = decode_record(record, TENANT).collect();
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0).into_owned().decoded
}

pub(super) fn decode_all(content: &[u8]) -> Vec<Record<'_>> {
    decode_content(content, TENANT)
        .expect("a known form")
        .collect()
}

/// `S` a send event, `A` an admin change, `-` ignored, else the reason.
pub(super) fn outcomes(content: &[u8]) -> Vec<&'static str> {
    decode_all(content).iter().map(outcome).collect()
}

pub(super) fn outcome(record: &Record<'_>) -> &'static str {
    match &record.decoded {
        Ok(Decoded::Send { .. }) => "S",
        Ok(Decoded::Admin(_)) => "A",
        Ok(Decoded::Ignored { .. }) => "-",
        Err(problem) => problem.reason.name(),
    }
}

pub(super) fn read_all(content: &[u8]) -> Result<Vec<Vec<u8>>, NotRecognised> {
    let reader = Reader::new(content).expect("no error")?;
    Ok(reader.map(|record| record.expect("no error")).collect())
}
