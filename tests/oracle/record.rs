//! One native audit record, as a JSON value, read into the words of the rule. Plain and slow:
//! a field is searched for whenever it is needed.

use serde_json::{Map, Value};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    SendAs,
    SendOnBehalf,
    Send,
}

/// Whose log wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Mailbox,
    Agent,
}

/// What a record says of a message. All texts in lower case, and none is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Seconds since 1970.
    pub time: i64,
    pub record_id: Uuid,
    pub operation: Operation,
    pub failed: bool,
    /// Normalised; case is kept.
    pub message_id: Option<String>,
    pub user_id: Option<String>,
    pub user_type: Option<i64>,
    pub user_key: Option<String>,
    pub logon_type: Option<i64>,
    pub logon_sid: Option<String>,
    pub object_id: Option<Uuid>,
    pub owner: Option<String>,
    pub owner_sid: Option<String>,
    pub owner_guid: Option<Uuid>,
    pub sent_as: Option<String>,
    pub sent_as_guid: Option<Uuid>,
}

/// `None`: not of this tenant, not a send event, or it cannot be read.
pub fn read(json: &str, tenant: Uuid) -> Option<Event> {
    let Ok(Value::Object(record)) = serde_json::from_str(json) else {
        return None;
    };
    let record = Fields(&record);
    let operation = match record.lower("Operation")?.as_str() {
        "sendas" => Operation::SendAs,
        "sendonbehalf" => Operation::SendOnBehalf,
        "send" => Operation::Send,
        _ => return None,
    };
    if let Some(organization) = record.lower("OrganizationId")
        && guid(&organization)? != tenant
    {
        return None;
    }
    let (sent_as, sent_as_guid) = match operation {
        Operation::SendAs => ("SendAsUserSmtp", "SendAsUserMailboxGuid"),
        Operation::SendOnBehalf => (
            "SendOnBehalfOfUserSmtp",
            "SendOnBehalfOfUserMailboxGuid",
        ),
        Operation::Send => ("", ""), // a plain Send does not say from where
    };
    let guid_of = |name| record.lower(name).and_then(|text| guid(&text));
    Some(Event {
        time: time(&record.text("CreationTime")?)?,
        record_id: guid(&record.text("Id")?)?,
        operation,
        failed: record.lower("ResultStatus").as_deref() == Some("failed"),
        message_id: record.message_id(),
        user_id: record.lower("UserId").map(|id| without_claims(&id)),
        user_type: record.code("UserType", &USER_TYPES),
        user_key: record.lower("UserKey"),
        logon_type: record.code("LogonType", &LOGON_TYPES),
        logon_sid: record.lower("LogonUserSid"),
        object_id: guid_of("TokenObjectId"),
        owner: record.lower("MailboxOwnerUPN"),
        owner_sid: record.lower("MailboxOwnerSid"),
        owner_guid: guid_of("MailboxGuid"),
        sent_as: record.lower(sent_as),
        sent_as_guid: guid_of(sent_as_guid),
    })
}

const USER_TYPES: [&str; 11] = [
    "regular",
    "reserved",
    "admin",
    "dcadmin",
    "system",
    "application",
    "serviceprincipal",
    "custompolicy",
    "systempolicy",
    "partnertechnician",
    "guest",
];
const LOGON_TYPES: [&str; 7] = [
    "owner",
    "admin",
    "delegated",
    "transport",
    "systemservice",
    "bestaccess",
    "delegatedadmin",
];

/// Names of fields are compared without case and without the space around them.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        let field = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        field.map(|(_, value)| value)
    }

    /// Numbers are text here too.
    fn text(&self, name: &str) -> Option<String> {
        let text = match self.value(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    fn lower(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.to_lowercase())
    }

    /// A number, written as one, as text or by its name.
    fn code(&self, name: &str, names: &[&str]) -> Option<i64> {
        let text = self.lower(name)?;
        let named = names.iter().position(|name| *name == text);
        named.map_or_else(|| text.parse().ok(), |number| i64::try_from(number).ok())
    }

    /// Inside `Item`, which may be the text of its JSON.
    fn message_id(&self) -> Option<String> {
        let item = match self.value("Item")? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            value => value.clone(),
        };
        let Value::Object(item) = item else {
            return None;
        };
        normal_message_id(&Fields(&item).text("InternetMessageId")?)
    }
}

/// Without folding and one pair of brackets; case is kept. Nothing may be left.
pub fn normal_message_id(written: &str) -> Option<String> {
    let text: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let text = inner.unwrap_or(&text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// In braces or without.
fn guid(text: &str) -> Option<Uuid> {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    Uuid::try_parse(inner.unwrap_or(text)).ok()
}

/// UTC where nothing else is said. The log has whole seconds.
fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond().div_euclid(1_000_000));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let instant = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(instant.as_microsecond().div_euclid(1_000_000))
}

/// `i:0#.f|membership|user@contoso.com`
fn without_claims(user_id: &str) -> String {
    let is_claims = user_id.starts_with("i:0");
    let name = user_id.rsplit('|').next().filter(|_| is_claims);
    name.unwrap_or(user_id).to_owned()
}

impl Event {
    /// By what the record itself says, never by the directory: as stored evidence must be
    /// bounded in the same way whatever is known.
    pub fn side(&self) -> Side {
        let same_guid = self.sent_as_guid.is_some() && self.sent_as_guid == self.owner_guid;
        let same_name = self.sent_as.is_some() && self.sent_as == self.owner;
        if same_guid || same_name {
            Side::Mailbox
        } else if self.is_own_log() || self.operation == Operation::Send && !self.is_others_log() {
            Side::Agent
        } else {
            Side::Mailbox
        }
    }

    /// The log is that of the one who did it.
    pub fn is_own_log(&self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        same(&self.owner_sid, &self.logon_sid) || same(&self.owner, &self.user_id)
    }

    /// The log is known to be somebody else's.
    pub fn is_others_log(&self) -> bool {
        if self.is_own_log() {
            return false;
        }
        let differ = |a: &Option<String>, b: &Option<String>| {
            a.is_some() && b.is_some() && a != b
        };
        differ(&self.owner_sid, &self.logon_sid)
            || self.logon_type.is_some_and(|logon| logon != 0)
    }

    /// The message that it is about: its id, or else the record itself.
    pub fn message(&self) -> String {
        match &self.message_id {
            Some(id) => id.clone(),
            None => format!("record {}", self.record_id),
        }
    }
}
