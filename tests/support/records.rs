//! Audit records as Microsoft writes them, by the shapes of a send event.

use serde_json::{Map, Value, json};
use uuid::Uuid;

pub const SUPPORT: &str = "support@contoso.com";
pub const SUPPORT_SID: &str = "S-1-5-21-2732292425-2947708389-3327383510-1001";

/// A native record that can be changed field by field.
#[derive(Clone, Debug)]
pub struct Record(pub Map<String, Value>);

impl Record {
    /// The common part.
    fn new(operation: &str, id: u128, time: &str) -> Self {
        let Value::Object(fields) = json!({
            "CreationTime": time,
            "Id": Uuid::from_u128(id).to_string(),
            "Operation": operation,
            "OrganizationId": super::TENANT.to_string(),
            "RecordType": 2,
            "ResultStatus": "Succeeded",
            "UserKey": "10032001266C162C",
            "UserType": 0,
            "Version": 1,
            "Workload": "Exchange",
            "ClientIP": "203.0.113.7",
            "ClientInfoString": "Client=MSExchangeRPC",
            "ExternalAccess": false,
            "OriginatingServer": "DB8PR04MB6875 (15.20.3977.029)\r\n"
        }) else {
            unreachable!()
        };
        Self(fields)
    }

    /// Shape A: SendAs in the shared mailbox's log.
    pub fn mailbox_side(id: u128, agent: &str, message_id: &str, time: &str) -> Self {
        Self::new("SendAs", id, time)
            .set("UserId", agent)
            .set("UserKey", puid(agent))
            .set("LogonType", 2)
            .set("InternalLogonType", 0)
            .set("LogonUserSid", sid(agent))
            .set("MailboxOwnerSid", SUPPORT_SID)
            .set("MailboxOwnerUPN", SUPPORT)
            .set("MailboxGuid", guid(SUPPORT))
            .set("Item", item(message_id))
    }

    /// Shape B: SendAs in the agent's log.
    pub fn agent_side(id: u128, agent: &str, message_id: &str, time: &str) -> Self {
        Self::new("SendAs", id, time)
            .set("UserId", agent)
            .set("UserKey", puid(agent))
            .set("LogonType", 2)
            .set("InternalLogonType", 0)
            .set("LogonUserSid", sid(agent))
            .set("MailboxOwnerSid", sid(agent))
            .set("MailboxOwnerUPN", agent)
            .set("MailboxGuid", guid(agent))
            .set("SendAsUserSmtp", SUPPORT)
            .set("SendAsUserMailboxGuid", guid(SUPPORT))
            .set("Item", item(message_id))
    }

    /// Shape C: the agent's own Send.
    pub fn plain(id: u128, agent: &str, message_id: &str, time: &str) -> Self {
        let mut record = Self::agent_side(id, agent, message_id, time)
            .set("Operation", "Send")
            .set("LogonType", 0);
        record.0.remove("SendAsUserSmtp");
        record.0.remove("SendAsUserMailboxGuid");
        record
    }

    /// Of an operation that does not matter.
    pub fn noise(operation: &str, id: u128, time: &str) -> Self {
        Self::new(operation, id, time).set("UserId", "viewer@contoso.com")
    }

    pub fn admin(operation: &str, id: u128, parameters: &[(&str, &str)]) -> Self {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, value)| json!({"Name": name, "Value": value}))
            .collect();
        Self::new(operation, id, "2026-03-01T08:00:00")
            .set("RecordType", 1)
            .set("ResultStatus", "True")
            .set("UserType", 2)
            .set("UserId", "admin@contoso.onmicrosoft.com")
            .set("ObjectId", "support")
            .set("Parameters", parameters)
    }

    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    pub fn json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// A content blob.
pub fn blob(records: &[Record]) -> Vec<u8> {
    let records: Vec<String> = records.iter().map(Record::json).collect();
    format!("[{}]", records.join(",")).into_bytes()
}

fn item(message_id: &str) -> Value {
    json!({
        "Id": "Unknown",
        "InternetMessageId": message_id,
        "ParentFolder": {"Id": "LgAAAAB", "Path": "\\Drafts"},
        "Subject": "Re: Your order"
    })
}

/// The same account always has the same identifiers.
fn hash(account: &str) -> u64 {
    account
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

pub fn sid(account: &str) -> String {
    format!("S-1-5-21-2732292425-2947708389-{}", hash(account) >> 32)
}

pub fn puid(account: &str) -> String {
    format!("1003{:012X}", hash(account) >> 16)
}

pub fn guid(account: &str) -> String {
    Uuid::from_u128(u128::from(hash(account))).to_string()
}
