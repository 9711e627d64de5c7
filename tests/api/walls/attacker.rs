//! Calls in the name of one tenant with everything that is another's.

use super::victims::{self, MESSAGES};
use crate::support::{messages::Value, records::Record};
use prost_types::{FieldDescriptorProto, field_descriptor_proto::Type};
use sentby::{domain::TenantId, simulate::Random};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// Without these a call means nothing.
const MUST_BE: [&str; 16] = [
    "tenant_id",
    "start",
    "end",
    "batch",
    "positions",
    "consented_at",
    "message_id",
    "seconds",
    "message_ids",
    "queries",
    "content",
    "records",
    "address",
    "kind",
    "bucket",
    "time_zone",
];

/// Tokens, keys, digests and ids that answers gave.
#[derive(Default)]
pub struct Handles {
    pub theirs: Vec<(String, String)>,
    pub ours: Vec<(String, String)>,
}

impl Handles {
    pub fn is_one(field: &str) -> bool {
        ["token", "digest", "batch_id", "message_key", "record_id"]
            .iter()
            .any(|part| field.contains(part))
    }
}

pub struct Attacker {
    pub tenant: TenantId,
    pub victims: Arc<Vec<TenantId>>,
    pub random: Random,
    pub handles: Arc<Mutex<Handles>>,
    /// Foreign things that were named in calls so far.
    pub attempts: u64,
    /// Of several ways to say the same the one that is taken.
    pub way: u64,
    /// The field whose time is being made.
    pub time_of: String,
    /// Calls as their own tenant makes them: nothing foreign in them.
    pub is_honest: bool,
}

impl Attacker {
    fn victim(&mut self) -> usize {
        usize::try_from(self.random.below(self.victims.len() as u64)).expect("small")
    }

    fn foreign(&mut self, text: String) -> String {
        self.attempts += 1;
        text
    }

    /// For [`crate::support::messages::Api::build`].
    pub fn fill(&mut self, message: &str, field: &FieldDescriptorProto) -> Vec<Value> {
        let name = field.name();
        if name == "tenant_id" {
            self.way = self.random.below(3);
        }
        let is_other_way = match name {
            "message_ids" => self.way == 0,
            "queries" => self.way != 0,
            "content" => self.way == 0 && message.contains("Ingest"),
            "records" => self.way != 0,
            "window" | "events" => self.random.chance(80),
            _ => false,
        };
        if is_other_way || !MUST_BE.contains(&name) && self.random.chance(50) {
            return Vec::new();
        }
        let many = match name {
            "message_ids" | "queries" => 1 + self.random.below(200),
            "records" => 1 + self.random.below(40),
            "events" | "digests" => self.random.below(6),
            _ => 1,
        };
        (0..many).map(|_| self.value(message, field)).collect()
    }

    fn value(&mut self, message: &str, field: &FieldDescriptorProto) -> Value {
        let name = field.name();
        match field.r#type() {
            Type::String => Value::Text(self.text(name)),
            Type::Bytes => Value::Bytes(self.content(message, name)),
            Type::Message => {
                self.time_of = name.into();
                Value::Nested
            }
            Type::Bool => Value::Number(u64::from(name != "follow" && self.random.chance(30))),
            Type::Enum => Value::Number(1 + self.random.below(3)),
            _ => Value::Number(match (message, name) {
                (".google.protobuf.Timestamp", "seconds") => {
                    // 2026-01-01, and days from then on
                    let from = if self.time_of == "end" { 150 } else { 0 };
                    1_767_225_600 + (from + self.random.below(300)) * 86_400
                }
                (".google.protobuf.Duration", "seconds") => 1,
                (_, "page_size" | "chunk_size") => 1 + self.random.below(20),
                (_, "sequence") => self.random.below(1 << 30),
                (_, "at_least_revision") => u64::from(self.random.chance(5)),
                _ => self.random.below(4),
            }),
        }
    }

    fn text(&mut self, name: &str) -> String {
        let victim = self.victim();
        let number = u32::try_from(self.random.below(u64::from(MESSAGES))).expect("small");
        if name == "tenant_id" {
            return self.tenant.to_string();
        }
        if self.is_honest {
            return match name {
                "message_id" | "message_ids" => victims::message_id(victim, number),
                "time_zone" => "UTC".into(),
                _ => String::new(),
            };
        }
        match name {
            "message_id" | "message_ids" | "internet_message_id" => {
                let id = victims::message_id(victim, number);
                self.foreign(id)
            }
            "request_id" if self.random.chance(50) => {
                let id = victims::request_id(victim, number % 3);
                self.foreign(id)
            }
            "organization_id" => {
                let id = self.victims[victim].to_string();
                self.foreign(id)
            }
            "mailbox" | "agent" | "mailbox_address" | "agent_address" if self.random.chance(40) => {
                let what = ["shared", "agent"][usize::from(name.starts_with("agent"))];
                let address = victims::address(victim, what);
                self.foreign(address)
            }
            "time_zone" => "Europe/Berlin".into(),
            "address" => format!("ours{number}@attacker.example"),
            "user_id" => "planted@attacker.example".into(),
            "record_id" => Uuid::from_u128(self.random.id()).to_string(),
            "display_name" => "ours".into(),
            name if Handles::is_one(name) => self.handle(name),
            _ => String::new(),
        }
    }

    /// One that an answer gave to somebody, for this field or for another one, as it is or not.
    fn handle(&mut self, name: &str) -> String {
        // else most tokens are another method's, and whole methods may answer nothing
        if self.is_honest && self.random.below(2) == 0 {
            return String::new();
        }
        let handles = Arc::clone(&self.handles);
        let handles = handles.lock().expect("no panic");
        let mut draw = |from: &[(String, String)]| {
            let kind = if name.contains("token") {
                "token"
            } else {
                name.trim_end_matches('s')
            };
            let of_kind: Vec<&(String, String)> = from
                .iter()
                .filter(|(field, _)| field.contains(kind))
                .collect();
            match of_kind.is_empty() {
                true => String::new(),
                false => self.random.pick(&of_kind).1.clone(),
            }
        };
        let (theirs, ours) = (draw(&handles.theirs), draw(&handles.ours));
        drop(handles);
        let mixed = match self.random.below(8) {
            0 => return ours,
            1 if !theirs.is_empty() => {
                let mut bytes = theirs.into_bytes();
                let at = self.random.below(bytes.len() as u64);
                let at = usize::try_from(at).expect("small");
                bytes[at] = self.random.pick(b"ABCDEFabcdef0189-_").to_owned();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            2 => theirs
                .chars()
                .take(ours.len() / 2)
                .chain(ours.chars().skip(ours.len() / 2))
                .collect(),
            3 => ours
                .chars()
                .take(ours.len() / 2)
                .chain(theirs.chars().skip(ours.len() / 2))
                .collect(),
            _ => theirs,
        };
        self.foreign(mixed)
    }

    fn content(&mut self, message: &str, name: &str) -> Vec<u8> {
        if message.contains("CheckAuditSettings") {
            return br#"[{"PrimarySmtpAddress":"ours@attacker.example","RecipientTypeDetails":"UserMailbox","AuditOwner":["Update"]}]"#.to_vec();
        }
        let records: Vec<String> = match name {
            "content" => (0..1 + self.random.below(40))
                .map(|_| self.record())
                .collect(),
            _ => return self.record().into_bytes(),
        };
        format!("[{}]", records.join(",")).into_bytes()
    }

    /// One that says that it is another tenant's, in one of many ways; or one of our own about a
    /// message of theirs.
    fn record(&mut self) -> String {
        let victim = self.victim();
        let theirs = if self.is_honest {
            self.tenant
        } else {
            self.victims[victim]
        }
        .to_string();
        let number = u32::try_from(self.random.below(u64::from(MESSAGES))).expect("small");
        let message_id = victims::message_id(victim, number);
        let agent = "planted@attacker.example";
        let record =
            Record::mailbox_side(self.random.id(), agent, &message_id, "2026-03-05T09:00:00");
        let ours = self.tenant.to_string();
        self.attempts += u64::from(!self.is_honest);
        match self.random.below(9) {
            0 => record.set("OrganizationId", ours).json(),
            1 => record.set("OrganizationId", theirs.to_uppercase()).json(),
            2 => record.set("OrganizationId", format!("{{{theirs}}}")).json(),
            3 => record
                .set("OrganizationId", format!(" {theirs}\r\n"))
                .json(),
            4 => {
                let record = record.set("OrganizationId", theirs).json();
                record.replace("\"OrganizationId\"", "\"organizationid\"")
            }
            5 => {
                let twice = format!("{{\"OrganizationId\":\"{theirs}\",");
                record
                    .set("OrganizationId", ours)
                    .json()
                    .replacen('{', &twice, 1)
            }
            6 => {
                let data = record.set("OrganizationId", theirs).json();
                serde_json::json!({ "AuditData": data, "OrganizationId": ours }).to_string()
            }
            7 => record
                .set("OrganizationId", theirs)
                .set("TenantId", ours)
                .json(),
            _ => record.set("OrganizationId", theirs).json(),
        }
    }
}
