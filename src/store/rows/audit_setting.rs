//! Rows of `audit_setting`. The content is a document of structs of its own, with a version: a
//! program that is older than a document refuses it and loses nothing of it.

use super::{Micros, Result, check_tenant, corrupt};
use crate::domain::{
    Setting, SettingKey, SettingKind, TenantId, Timestamp,
    settings::{
        BypassSettings, Called, MailboxSettings, Names, OrganizationSettings, PermissionSettings,
        Property, RecipientType, Right,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::FromRow;
use uuid::Uuid;

const TABLE: &str = "audit_setting";
/// Of the documents that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

#[derive(Debug, FromRow)]
pub(in crate::store) struct SettingRow {
    tenant_id: Uuid,
    kind: String,
    pub(in crate::store) subject: String,
    captured_at: Micros,
    content: String,
}

impl SettingRow {
    pub(in crate::store) fn into_setting(self, asked: TenantId) -> Result<Setting> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        let at = self.captured_at.into();
        let content = self.content.as_str();
        Ok(match kind(&self.kind)? {
            SettingKind::Mailbox => Setting::Mailbox(read::<MailboxDoc>(content)?.into_domain(at)),
            SettingKind::Organization => {
                Setting::Organization(read::<OrganizationDoc>(content)?.into_domain(at))
            }
            SettingKind::Bypass => Setting::Bypass(read::<BypassDoc>(content)?.into_domain(at)),
            SettingKind::Permission => {
                Setting::Permission(read::<PermissionDoc>(content)?.into_domain(at))
            }
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct SettingKeyRow {
    tenant_id: Uuid,
    kind: String,
    subject: String,
    shape: Uuid,
}

impl SettingKeyRow {
    pub(in crate::store) fn into_key(self, asked: TenantId) -> Result<SettingKey> {
        check_tenant(asked, self.tenant_id, TABLE)?;
        Ok(SettingKey {
            kind: kind(&self.kind)?,
            subject: self.subject,
            shape: self.shape,
        })
    }
}

fn kind(name: &str) -> Result<SettingKind> {
    let kind = SettingKind::ALL.into_iter().find(|one| one.name() == name);
    kind.ok_or_else(|| corrupt(TABLE, "kind"))
}

/// What is in every document.
#[derive(Serialize, Deserialize)]
struct Document<T> {
    version: u32,
    setting: T,
}

fn read<T: DeserializeOwned>(content: &str) -> Result<T> {
    let unknown = |_| corrupt(TABLE, "content");
    // a newer one may have anything in it
    let any: Document<&serde_json::value::RawValue> =
        serde_json::from_str(content).map_err(unknown)?;
    if any.version > VERSION {
        return Err(corrupt(TABLE, "content"));
    }
    serde_json::from_str(any.setting.get()).map_err(unknown)
}

/// Equal settings give equal documents.
pub(in crate::store) fn content(setting: &Setting) -> String {
    match setting {
        Setting::Mailbox(one) => write(MailboxDoc::of(one)),
        Setting::Organization(one) => write(OrganizationDoc::of(one)),
        Setting::Bypass(one) => write(BypassDoc::of(one)),
        Setting::Permission(one) => write(PermissionDoc::of(one)),
    }
}

fn write<T: Serialize>(setting: T) -> String {
    let document = Document {
        version: VERSION,
        setting,
    };
    // strings, numbers and lists of them always become JSON
    serde_json::to_string(&document).unwrap_or_default()
}

/// A [`Property`]; `None`: not given.
type Told<T> = Option<Value<T>>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value<T> {
    Is(T),
    Unknown,
}

fn told<T, U>(property: &Property<T>, convert: impl Fn(&T) -> U) -> Told<U> {
    match property {
        Property::Known(value) => Some(Value::Is(convert(value))),
        Property::Unknown => Some(Value::Unknown),
        Property::NotGiven => None,
    }
}

fn property<T, U>(told: Told<T>, convert: impl Fn(T) -> U) -> Property<U> {
    match told {
        Some(Value::Is(value)) => Property::Known(convert(value)),
        Some(Value::Unknown) => Property::Unknown,
        None => Property::NotGiven,
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesDoc {
    names: Vec<String>,
    is_cut: bool,
}

impl NamesDoc {
    fn of(names: &Names) -> Self {
        Self {
            names: names.names.clone(),
            is_cut: names.is_cut,
        }
    }

    fn into_domain(self) -> Names {
        Names {
            names: self.names,
            is_cut: self.is_cut,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalledDoc {
    name: String,
    also: Vec<String>,
    perhaps: Vec<String>,
}

impl CalledDoc {
    fn of(called: &Called) -> Self {
        Self {
            name: called.name.clone(),
            also: called.also.clone(),
            perhaps: called.perhaps.clone(),
        }
    }

    fn into_domain(self) -> Called {
        Called {
            name: self.name,
            also: self.also,
            perhaps: self.perhaps,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxDoc {
    called: CalledDoc,
    recipient_type: Told<String>,
    audit_enabled: Told<bool>,
    default_audit_set: Told<NamesDoc>,
    audit_delegate: Told<NamesDoc>,
    audit_owner: Told<NamesDoc>,
    audit_admin: Told<NamesDoc>,
    audit_log_age_limit: Told<i64>,
    region: Told<String>,
    grant_send_on_behalf_to: Told<NamesDoc>,
}

impl MailboxDoc {
    fn of(one: &MailboxSettings) -> Self {
        Self {
            called: CalledDoc::of(&one.called),
            recipient_type: told(&one.recipient_type, |kind| kind.0.clone()),
            audit_enabled: told(&one.audit_enabled, |is| *is),
            default_audit_set: told(&one.default_audit_set, NamesDoc::of),
            audit_delegate: told(&one.audit_delegate, NamesDoc::of),
            audit_owner: told(&one.audit_owner, NamesDoc::of),
            audit_admin: told(&one.audit_admin, NamesDoc::of),
            audit_log_age_limit: told(&one.audit_log_age_limit, |seconds| *seconds),
            region: told(&one.region, String::clone),
            grant_send_on_behalf_to: told(&one.grant_send_on_behalf_to, NamesDoc::of),
        }
    }

    fn into_domain(self, captured_at: Timestamp) -> MailboxSettings {
        let names = |told| property(told, NamesDoc::into_domain);
        MailboxSettings {
            captured_at,
            called: self.called.into_domain(),
            recipient_type: property(self.recipient_type, RecipientType),
            audit_enabled: property(self.audit_enabled, |is| is),
            default_audit_set: names(self.default_audit_set),
            audit_delegate: names(self.audit_delegate),
            audit_owner: names(self.audit_owner),
            audit_admin: names(self.audit_admin),
            audit_log_age_limit: property(self.audit_log_age_limit, |seconds| seconds),
            region: property(self.region, |region| region),
            grant_send_on_behalf_to: names(self.grant_send_on_behalf_to),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationDoc {
    audit_disabled: Told<bool>,
    ingestion_enabled: Told<bool>,
    allowed_regions: Told<NamesDoc>,
    default_region: Told<String>,
}

impl OrganizationDoc {
    fn of(one: &OrganizationSettings) -> Self {
        Self {
            audit_disabled: told(&one.audit_disabled, |is| *is),
            ingestion_enabled: told(&one.ingestion_enabled, |is| *is),
            allowed_regions: told(&one.allowed_regions, NamesDoc::of),
            default_region: told(&one.default_region, String::clone),
        }
    }

    fn into_domain(self, captured_at: Timestamp) -> OrganizationSettings {
        OrganizationSettings {
            captured_at,
            audit_disabled: property(self.audit_disabled, |is| is),
            ingestion_enabled: property(self.ingestion_enabled, |is| is),
            allowed_regions: property(self.allowed_regions, NamesDoc::into_domain),
            default_region: property(self.default_region, |region| region),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BypassDoc {
    called: CalledDoc,
    enabled: Told<bool>,
}

impl BypassDoc {
    fn of(one: &BypassSettings) -> Self {
        Self {
            called: CalledDoc::of(&one.called),
            enabled: told(&one.enabled, |is| *is),
        }
    }

    fn into_domain(self, captured_at: Timestamp) -> BypassSettings {
        BypassSettings {
            captured_at,
            called: self.called.into_domain(),
            enabled: property(self.enabled, |is| is),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RightDoc {
    SendAs,
    SendOnBehalf,
    FullAccess,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionDoc {
    mailbox: String,
    trustee: String,
    rights: Vec<RightDoc>,
    of_recipient: bool,
    is_denied: bool,
}

impl PermissionDoc {
    fn of(one: &PermissionSettings) -> Self {
        let right = |right: &Right| match right {
            Right::SendAs => RightDoc::SendAs,
            Right::SendOnBehalf => RightDoc::SendOnBehalf,
            Right::FullAccess => RightDoc::FullAccess,
        };
        Self {
            mailbox: one.mailbox.clone(),
            trustee: one.trustee.clone(),
            rights: one.rights.iter().map(right).collect(),
            of_recipient: one.of_recipient,
            is_denied: one.is_denied,
        }
    }

    fn into_domain(self, captured_at: Timestamp) -> PermissionSettings {
        let right = |right| match right {
            RightDoc::SendAs => Right::SendAs,
            RightDoc::SendOnBehalf => Right::SendOnBehalf,
            RightDoc::FullAccess => Right::FullAccess,
        };
        PermissionSettings {
            captured_at,
            mailbox: self.mailbox,
            trustee: self.trustee,
            rights: self.rights.into_iter().map(right).collect(),
            of_recipient: self.of_recipient,
            is_denied: self.is_denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_document_of_a_newer_program_is_refused() {
        let row = |content: &str| SettingRow {
            tenant_id: Uuid::from_u128(1),
            kind: "BYPASS".into(),
            subject: "a".into(),
            captured_at: Micros(5),
            content: content.into(),
        };
        let tenant = TenantId(Uuid::from_u128(1));
        let known = r#"{"version":1,"setting":{"called":{"name":"a","also":[],"perhaps":[]},"enabled":"unknown"}}"#;
        let setting = row(known).into_setting(tenant).unwrap();
        assert_eq!(content(&setting), known);
        for wrong in [
            known.replace("\"version\":1", "\"version\":2"),
            known.replace("\"enabled\"", "\"more\":1,\"enabled\""),
            known.replace("\"version\":1,", ""),
            "{}".into(),
        ] {
            let refused = row(&wrong).into_setting(tenant);
            assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{wrong}");
        }
        let other = TenantId(Uuid::from_u128(2));
        assert!(row(known).into_setting(other).is_err(), "the tenant wall");
    }
}
