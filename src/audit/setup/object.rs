//! One object of an export → what it says of the set-up. Which command it came from shows in
//! its properties.

use foldhash::HashMap;
use serde_json::Value;

use super::value::{boolean, name, names, recipient_type, seconds, text, words};
use crate::domain::Timestamp;
use crate::domain::directory::parse_address;
use crate::domain::settings::{
    BypassSettings, Called, MailboxSettings, OrganizationSettings, PermissionSettings, Property,
    Right, Settings,
};

/// The properties of an object, by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Object(HashMap<String, Value>);

/// Properties that tell something, in lower case, of which one makes an object a setting.
const TELLING: [&str; 15] = [
    "accessrights",
    "auditbypassenabled",
    "auditdelegate",
    "auditdisabled",
    "auditenabled",
    "auditlogagelimit",
    "auditowner",
    "auditadmin",
    "defaultauditset",
    "delegateauditactions",
    "grantsendonbehalfto",
    "mailboxregion",
    "ownerauditactions",
    "recipienttypedetails",
    "unifiedauditlogingestionenabled",
];

/// The same for what has a name and nothing else that tells.
const ORGANIZATION: [&str; 2] = ["allowedmailboxregions", "defaultmailboxregion"];

/// Of `Microsoft-Extractor-Suite`, and what they stand for.
const OTHER_NAMES: [(&str, &str); 2] = [
    ("delegateauditactions", "auditdelegate"),
    ("ownerauditactions", "auditowner"),
];

pub(super) fn is_telling(key: &str) -> bool {
    let known = TELLING.iter().chain(&ORGANIZATION);
    known
        .into_iter()
        .any(|known| known.eq_ignore_ascii_case(key.trim()))
}

impl Object {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn from_json(value: Value) -> Option<Self> {
        let Value::Object(properties) = value else {
            return None;
        };
        let mut object = Self::new();
        for (key, value) in properties {
            object.insert(&key, value);
        }
        Some(object)
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(&key.trim().to_lowercase())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second value of the same property makes it one that cannot be told.
    pub fn insert(&mut self, key: &str, value: Value) {
        let key = key.trim().to_lowercase();
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == key);
        let key = other.map_or(key, |(_, stands_for)| (*stands_for).to_owned());
        match self.0.get_mut(&key) {
            Some(known) if *known == value => {}
            Some(known) => *known = Value::Object(serde_json::Map::new()),
            None => {
                self.0.insert(key, value);
            }
        }
    }

    fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    fn has_one_of(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.0.contains_key(*key))
    }

    /// It comes from one of the commands. An audit record has an `Operation`.
    pub fn is_a_setting(&self) -> bool {
        self.has_one_of(&TELLING) || self.has_one_of(&ORGANIZATION)
    }

    fn called(&self) -> Called {
        const ADDRESSES: [&str; 3] = [
            "primarysmtpaddress",
            "windowsemailaddress",
            "userprincipalname",
        ];
        const CERTAIN: [&str; 5] = [
            "exchangeguid",
            "externaldirectoryobjectid",
            "objectid",
            "guid",
            "distinguishedname",
        ];
        const PERHAPS: [&str; 5] = ["identity", "name", "id", "alias", "displayname"];
        let all = |keys: &[&str]| -> Vec<String> {
            let mut all: Vec<String> = Vec::new();
            for name in keys.iter().filter_map(|key| name(self.get(key))) {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
            all
        };
        let mut also = all(&ADDRESSES);
        let address = also.iter().find_map(|name| parse_address(name));
        also.extend(all(&CERTAIN));
        let perhaps = all(&PERHAPS);
        let as_address = || perhaps.iter().find_map(|name| parse_address(name));
        let name = address
            .or_else(as_address)
            .or_else(|| perhaps.first().or(also.first()).cloned());
        Called {
            name: name.unwrap_or_default(),
            also,
            perhaps,
        }
    }

    /// Nothing: it does not come from one of the commands, or says too little; why.
    pub fn settings(&self, captured_at: Timestamp) -> Result<Settings, &'static str> {
        let mut settings = Settings::default();
        if self.has_one_of(&["accessrights"]) {
            settings.permissions.push(self.permission(captured_at)?);
            return Ok(settings);
        }
        let of_organization = ["auditdisabled", "unifiedauditlogingestionenabled"];
        if self.has_one_of(&of_organization) || self.has_one_of(&ORGANIZATION) {
            settings.organizations.push(OrganizationSettings {
                captured_at,
                audit_disabled: boolean(self.get("auditdisabled")),
                ingestion_enabled: boolean(self.get("unifiedauditlogingestionenabled")),
                allowed_regions: words(self.get("allowedmailboxregions")),
                default_region: self.region("defaultmailboxregion"),
            });
            return Ok(settings);
        }
        let called = self.called();
        if self.has_one_of(&["auditbypassenabled"]) {
            settings.bypasses.push(BypassSettings {
                captured_at,
                called: called.clone(),
                enabled: boolean(self.get("auditbypassenabled")),
            });
        }
        let of_mailbox = |key: &&&str| **key != "auditbypassenabled";
        let of_mailbox: Vec<&str> = TELLING.iter().filter(of_mailbox).copied().collect();
        if self.has_one_of(&of_mailbox) {
            settings.mailboxes.push(self.mailbox(captured_at, called));
        }
        if settings.is_empty() {
            return Err("has none of the properties that tell something");
        }
        Ok(settings)
    }

    fn mailbox(&self, captured_at: Timestamp, called: Called) -> MailboxSettings {
        MailboxSettings {
            captured_at,
            called,
            recipient_type: recipient_type(self.get("recipienttypedetails")),
            audit_enabled: boolean(self.get("auditenabled")),
            default_audit_set: words(self.get("defaultauditset")),
            audit_delegate: words(self.get("auditdelegate")),
            audit_owner: words(self.get("auditowner")),
            audit_admin: words(self.get("auditadmin")),
            audit_log_age_limit: seconds(self.get("auditlogagelimit")),
            region: self.region("mailboxregion"),
            grant_send_on_behalf_to: names(self.get("grantsendonbehalfto")),
        }
    }

    fn region(&self, key: &str) -> Property<String> {
        match self.get(key) {
            Value::Null => Property::NotGiven,
            Value::String(text) if text.trim().is_empty() => Property::NotGiven,
            value => text(value).map_or(Property::Unknown, |text| {
                Property::Known(text.to_ascii_uppercase())
            }),
        }
    }

    fn permission(&self, captured_at: Timestamp) -> Result<PermissionSettings, &'static str> {
        let of_recipient = self.has("trustee");
        let trustee = self.get(if of_recipient { "trustee" } else { "user" });
        let trustee = name(trustee).ok_or("does not say whom it lets do what")?;
        let mailbox = name(self.get("identity"))
            .or_else(|| name(self.get("identityname")))
            .ok_or("does not say of which mailbox the permission is: add Identity")?;
        let mut rights = Vec::new();
        match words(self.get("accessrights")) {
            Property::Known(names) => {
                for (name, right) in [
                    ("SendAs", Right::SendAs),
                    ("FullAccess", Right::FullAccess),
                    ("SendOnBehalf", Right::SendOnBehalf),
                ] {
                    if names.has(name) == Some(true) {
                        rights.push(right);
                    }
                }
                // there is no other right that this command shows
                if of_recipient && rights.is_empty() && names.is_cut {
                    rights.push(Right::SendAs);
                }
            }
            _ if of_recipient => rights.push(Right::SendAs),
            _ => return Err("has AccessRights that cannot be told"),
        }
        let denied = text(self.get("accesscontroltype"));
        let denied = denied.is_some_and(|text| text.eq_ignore_ascii_case("Deny"));
        Ok(PermissionSettings {
            captured_at,
            mailbox,
            trustee,
            rights,
            of_recipient,
            is_denied: denied || boolean(self.get("deny")) == Property::Known(true),
        })
    }
}
