//! One native audit record, as a JSON value, read into the words of the rule. Plain and slow:
//! a field is searched for whenever it is needed.

use super::names::Identity;
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

/// What a record says of a message, and all of it that is kept. Texts are in lower case, and none
/// is empty.
///
/// Of what contradicts itself the choice is by content, says the specification; in which order
/// contents come is the real one's choice: that of these fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Microseconds since 1970.
    pub time: i64,
    pub record_id: Uuid,
    pub operation: Operation,
    pub side: Side,
    pub failed: bool,
    /// An administrator's session.
    pub admin: bool,
    pub user_type: Option<i64>,
    pub user_id: Option<String>,
    pub user_key: Option<String>,
    pub logon_sid: Option<String>,
    /// An owner's session in another's log: the SID may not be that of the name.
    pub sid_is_doubtful: bool,
    pub object_id: Option<Uuid>,
    pub owner: Option<String>,
    /// The log is that of the one who did it, as far as the SIDs tell.
    pub owner_is_actor: Option<bool>,
    pub owner_guid: Option<Uuid>,
    pub sent_as: Option<String>,
    pub sent_as_guid: Option<Uuid>,
    /// Normalised; case is kept.
    pub message_id: Option<String>,
}

/// `None`: not of this tenant, not a send event, or it cannot be read.
pub fn read(json: &str, tenant: Uuid) -> Option<Event> {
    let Ok(Value::Object(record)) = serde_json::from_str(json) else {
        return None;
    };
    let record = Fields(&record);
    if record.contradicts_itself() {
        return None;
    }
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
    let guid_of = |name| record.lower(name).and_then(|text| guid(&text));
    // some have the fields of the other operation
    let as_user = ["SendAsUserSmtp", "SendAsUserMailboxGuid"];
    let on_behalf = ["SendOnBehalfOfUserSmtp", "SendOnBehalfOfUserMailboxGuid"];
    let fields = match operation {
        Operation::SendAs => vec![as_user, on_behalf],
        Operation::SendOnBehalf => vec![on_behalf, as_user],
        Operation::Send => vec![], // a plain Send does not say from where
    };
    let fields = fields
        .into_iter()
        .map(|[name, guid]| (record.lower(name), guid_of(guid)));
    let mut fields = fields.filter(|(name, guid)| name.is_some() || guid.is_some());
    let (sent_as, sent_as_guid) = fields.next().unwrap_or_default();
    let logon_sid = record.lower("LogonUserSid");
    let logon_type = record.code("LogonType", &LOGON_TYPES);
    let owner_sid = record.lower("MailboxOwnerSid");
    let owner_is_actor = owner_sid
        .zip(logon_sid.as_ref())
        .map(|(owner, actor)| owner == *actor);
    let status = record.lower("ResultStatus");
    let mut event = Event {
        // the log has whole seconds: a fraction comes from somebody on the way
        time: time(&record.text("CreationTime")?)?.div_euclid(1_000_000) * 1_000_000,
        record_id: guid(&record.text("Id")?)?,
        operation,
        side: Side::Agent,
        // `False` is what records of cmdlets have
        failed: matches!(status.as_deref(), Some("failed" | "false")),
        admin: matches!(logon_type, Some(1 | 6)),
        user_type: record.code("UserType", &USER_TYPES),
        user_id: record.lower("UserId").map(|id| without_claims(&id)),
        user_key: record.lower("UserKey"),
        logon_sid,
        sid_is_doubtful: owner_is_actor == Some(false) && logon_type == Some(0),
        object_id: guid_of("TokenObjectId"),
        owner: record.lower("MailboxOwnerUPN"),
        owner_is_actor,
        owner_guid: guid_of("MailboxGuid"),
        sent_as,
        sent_as_guid,
        message_id: record.message_id()?,
    };
    event.side = event.side();
    Some(event)
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

const FIELDS: [&str; 19] = [
    "CreationTime",
    "Id",
    "Item",
    "LogonType",
    "LogonUserSid",
    "MailboxGuid",
    "MailboxOwnerSid",
    "MailboxOwnerUPN",
    "Operation",
    "OrganizationId",
    "ResultStatus",
    "SendAsUserMailboxGuid",
    "SendAsUserSmtp",
    "SendOnBehalfOfUserMailboxGuid",
    "SendOnBehalfOfUserSmtp",
    "TokenObjectId",
    "UserId",
    "UserKey",
    "UserType",
];

/// Names of fields are compared without case and without the space around them.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        let field = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        field.map(|(_, value)| value)
    }

    /// A field that matters is there twice, with two values.
    fn contradicts_itself(&self) -> bool {
        FIELDS.iter().any(|name| {
            let here = self
                .0
                .iter()
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            let values: Vec<&Value> = here.map(|(_, value)| value).collect();
            values.iter().any(|value| *value != values[0])
        })
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
        let number = named.or_else(|| text.parse().ok());
        let number = number.filter(|number| *number < names.len());
        number.and_then(|number| i64::try_from(number).ok())
    }

    /// Inside `Item`, which may be the text of its JSON. The outer `None`: it cannot be one.
    fn message_id(&self) -> Option<Option<String>> {
        let item = match self.value("Item") {
            Some(Value::String(text)) => serde_json::from_str(text).ok()?,
            Some(value) => value.clone(),
            None => return Some(None),
        };
        let item = match item {
            Value::Null => return Some(None),
            Value::Object(item) => item,
            _ => return None,
        };
        let id = Fields(&item).text("InternetMessageId");
        let id = id.and_then(|id| normal_message_id(&id));
        let fits = id
            .as_ref()
            .is_none_or(|id| id.len() <= 998 && !id.contains('\0'));
        fits.then_some(id)
    }
}

/// Without folding and brackets; case is kept. Nothing may be left. All pairs of brackets, as the
/// API says: with one pair less an id that was answered could not be asked for.
pub fn normal_message_id(written: &str) -> Option<String> {
    let text: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    let mut text = text.as_str();
    while let Some(inner) = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
    {
        text = inner;
    }
    (!text.is_empty()).then(|| text.to_owned())
}

/// In braces or without.
fn guid(text: &str) -> Option<Uuid> {
    let text = text.trim();
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    Uuid::try_parse(inner.unwrap_or(text)).ok()
}

/// UTC where nothing else is said.
fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let instant = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(instant.as_microsecond())
}

/// `i:0#.f|membership|user@contoso.com`
fn without_claims(user_id: &str) -> String {
    let is_claims = user_id.starts_with("i:0");
    let name = user_id.rsplit('|').next().filter(|_| is_claims);
    name.unwrap_or(user_id).to_owned()
}

/// Never an agent, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    System,
    Application,
}

/// An address as people have it: `app@sharepoint` and a template's placeholder are none.
pub fn is_telling(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let has_space = text.contains(|c: char| c.is_whitespace() || c.is_control());
    !local.is_empty() && domain.contains('.') && !domain.ends_with(".templatetenant") && !has_space
}

impl Event {
    /// By what the record itself says, never by the directory: stored evidence must be bounded
    /// in the same way whatever is known. The SIDs tell best; who is not known to be in another
    /// log is taken for the agent, which is the weaker evidence.
    fn side(&self) -> Side {
        if let Some(own) = self.owner_is_actor {
            return if own { Side::Agent } else { Side::Mailbox };
        }
        if let (Some(sent_as), Some(log)) = (self.sent_as_guid, self.owner_guid) {
            return if sent_as == log {
                Side::Mailbox
            } else {
                Side::Agent
            };
        }
        match (&self.owner, &self.sent_as) {
            (Some(log), Some(sent_as)) if log == sent_as => Side::Mailbox,
            // a Send is written for owners and administrators; the rest for delegates
            (Some(log), None)
                if self.operation != Operation::Send && Some(log) != self.user_id.as_ref() =>
            {
                Side::Mailbox
            }
            _ => Side::Agent,
        }
    }

    pub fn service(&self) -> Option<Service> {
        match self.user_type {
            Some(5 | 6) => return Some(Service::Application),
            Some(3 | 4 | 7 | 8) => return Some(Service::System),
            _ => {}
        }
        let user_id = self.user_id.as_deref().unwrap_or_default();
        let is_application =
            user_id.starts_with("serviceprincipal_") || user_id == "app@sharepoint";
        let is_system = SYSTEMS.iter().any(|prefix| user_id.starts_with(prefix))
            || user_id.starts_with("s-1-5-") && account_sid(user_id).is_none();
        match (is_application, is_system) {
            (true, _) => Some(Service::Application),
            (_, true) => Some(Service::System),
            _ => None,
        }
    }

    /// What else than the name says who it was: what stands in the place of the name first.
    /// Without the SID of an owner's session in another's log: it may not be that of the name.
    pub fn identities(&self) -> Vec<Identity> {
        let doubtful = self.sid_is_doubtful;
        let doubtful = self
            .logon_sid
            .as_deref()
            .filter(|_| doubtful)
            .and_then(account_sid);
        let mut all = self.all_identities();
        let itself = self.user_id.as_deref().and_then(account_sid);
        all.retain(|one| Some(one) != doubtful.as_ref() || Some(one) == itself.as_ref());
        all
    }

    pub fn all_identities(&self) -> Vec<Identity> {
        let user_id = self.user_id.as_deref().unwrap_or_default();
        let itself = account_sid(user_id)
            .or_else(|| puid(user_id))
            .or_else(|| Uuid::try_parse(user_id).ok().map(Identity::Object));
        let sid = self.logon_sid.as_deref().and_then(account_sid);
        let object = self.object_id.map(Identity::Object);
        let puid = self.user_key.as_deref().and_then(puid);
        [itself, sid, object, puid].into_iter().flatten().collect()
    }

    /// Nobody sends as himself: the GUID of his own log belongs to that.
    pub fn guid_of_sent_as(&self) -> Option<Uuid> {
        let by_name = self.owner.is_some() && self.owner == self.user_id;
        let own = self.owner_is_actor == Some(true) || by_name;
        self.sent_as_guid
            .filter(|_| !(own && self.sent_as_guid == self.owner_guid))
    }

    /// The message that it is about: its id, or else the record itself.
    pub fn message(&self) -> String {
        match &self.message_id {
            Some(id) => id.clone(),
            None => format!("record {}", self.record_id),
        }
    }
}

const SYSTEMS: [&str; 10] = [
    r"nt authority\",
    r"nt service\",
    r"microsoft\",
    r"sharepoint\",
    "airinvestigation",
    "certificate",
    "ffoservicepartneruser",
    "microsoft teams sync",
    "securitycompliancealerts",
    "threatintel",
];

fn account_sid(text: &str) -> Option<Identity> {
    text.starts_with("s-1-5-21-")
        .then(|| Identity::Sid(text.to_owned()))
}

/// 16 hexadecimal digits, not all 0.
fn puid(text: &str) -> Option<Identity> {
    let is_puid = text.len() == 16
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte != b'0');
    is_puid.then(|| Identity::Puid(text.to_owned()))
}
