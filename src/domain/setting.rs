//! Settings as they are kept: of each subject and shape the newest. So whatever order they come
//! in, what is kept tells the rule the same as all of them would.

use super::{
    Settings, Timestamp,
    settings::{
        BypassSettings, MailboxSettings, Names, OrganizationSettings, PermissionSettings, Property,
        Right,
    },
};
use uuid::Uuid;

/// One object of an export.
#[allow(clippy::large_enum_variant)] // most of them are mailboxes
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Mailbox(MailboxSettings),
    Organization(OrganizationSettings),
    Bypass(BypassSettings),
    Permission(PermissionSettings),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingKind {
    Mailbox,
    Organization,
    Bypass,
    Permission,
}

impl SettingKind {
    pub const ALL: [Self; 4] = [
        Self::Mailbox,
        Self::Organization,
        Self::Bypass,
        Self::Permission,
    ];

    /// As in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "MAILBOX",
            Self::Organization => "ORGANIZATION",
            Self::Bypass => "BYPASS",
            Self::Permission => "PERMISSION",
        }
    }
}

/// What a newer setting takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingKey {
    pub kind: SettingKind,
    /// What it is of: a name in lower case; of a permission the mailbox, a line end and who has
    /// it; nothing for the organisation.
    pub subject: String,
    /// Which properties it tells, and which it has without telling them: an export that has less
    /// than the one before must not take its place. Hashed.
    pub shape: Uuid,
}

impl Setting {
    pub fn kind(&self) -> SettingKind {
        match self {
            Self::Mailbox(_) => SettingKind::Mailbox,
            Self::Organization(_) => SettingKind::Organization,
            Self::Bypass(_) => SettingKind::Bypass,
            Self::Permission(_) => SettingKind::Permission,
        }
    }

    pub fn captured_at(&self) -> Timestamp {
        match self {
            Self::Mailbox(one) => one.captured_at,
            Self::Organization(one) => one.captured_at,
            Self::Bypass(one) => one.captured_at,
            Self::Permission(one) => one.captured_at,
        }
    }

    /// `None`: it does not say what it is of.
    pub fn key(&self) -> Option<SettingKey> {
        let mut shape = Shape::default();
        let subject = match self {
            Self::Mailbox(one) => {
                shape.plain(&one.recipient_type);
                shape.false_only(&one.audit_enabled);
                shape.list(&one.default_audit_set);
                shape.list(&one.audit_delegate);
                shape.list(&one.audit_owner);
                shape.list(&one.audit_admin);
                shape.plain(&one.audit_log_age_limit);
                shape.plain(&one.region);
                shape.list(&one.grant_send_on_behalf_to);
                named(&one.called.name)?
            }
            Self::Organization(one) => {
                shape.plain(&one.audit_disabled);
                shape.plain(&one.ingestion_enabled);
                shape.list(&one.allowed_regions);
                shape.plain(&one.default_region);
                String::new()
            }
            Self::Bypass(one) => {
                shape.plain(&one.enabled);
                named(&one.called.name)?
            }
            Self::Permission(one) => {
                for right in [Right::SendAs, Right::SendOnBehalf, Right::FullAccess] {
                    shape.add(&[u8::from(one.rights.contains(&right))]);
                }
                shape.add(&[u8::from(one.of_recipient), u8::from(one.is_denied)]);
                format!("{}\n{}", one.mailbox, one.trustee)
            }
        };
        Some(SettingKey {
            kind: self.kind(),
            subject,
            shape: shape.hash(),
        })
    }
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

#[derive(Default)]
struct Shape(blake3::Hasher);

impl Shape {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn plain<T>(&mut self, property: &Property<T>) {
        self.add(match property {
            Property::Known(_) => b"known",
            Property::Unknown => b"unknown",
            Property::NotGiven => b"",
        });
    }

    /// True cannot be trusted, so it takes no place of a False.
    fn false_only(&mut self, property: &Property<bool>) {
        match property {
            Property::Known(true) => self.add(b"true"),
            _ => self.plain(property),
        }
    }

    /// What is shown of a list that is cut off may be what no newer one shows.
    fn list(&mut self, property: &Property<Names>) {
        match property {
            Property::Known(list) if list.is_cut => {
                self.add(b"cut");
                self.add(list.names.join("\n").as_bytes());
            }
            _ => self.plain(property),
        }
    }

    fn hash(&self) -> Uuid {
        let hash = self.0.finalize();
        let (first, _) = hash.as_bytes().split_at(16);
        Uuid::from_slice(first).expect("16 bytes are a UUID")
    }
}

impl From<Settings> for Vec<Setting> {
    fn from(settings: Settings) -> Self {
        let mut all = Self::with_capacity(settings.len());
        all.extend(settings.mailboxes.into_iter().map(Setting::Mailbox));
        all.extend(
            settings
                .organizations
                .into_iter()
                .map(Setting::Organization),
        );
        all.extend(settings.bypasses.into_iter().map(Setting::Bypass));
        all.extend(settings.permissions.into_iter().map(Setting::Permission));
        all
    }
}

impl FromIterator<Setting> for Settings {
    fn from_iter<I: IntoIterator<Item = Setting>>(all: I) -> Self {
        let mut settings = Self::default();
        settings.extend(all);
        settings
    }
}

impl Extend<Setting> for Settings {
    fn extend<I: IntoIterator<Item = Setting>>(&mut self, all: I) {
        for setting in all {
            match setting {
                Setting::Mailbox(one) => self.mailboxes.push(one),
                Setting::Organization(one) => self.organizations.push(one),
                Setting::Bypass(one) => self.bypasses.push(one),
                Setting::Permission(one) => self.permissions.push(one),
            }
        }
    }
}

/// What is known of the settings of one mailbox: of each property the newest that tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownSettings {
    /// Of the newest of them.
    pub captured_at: Option<Timestamp>,
    pub region: Option<String>,
    pub audit_enabled: Option<bool>,
    /// Seconds.
    pub audit_log_age_limit: Option<i64>,
    pub default_audit_set: Option<Names>,
    pub audit_owner: Option<Names>,
    pub audit_delegate: Option<Names>,
    pub audit_admin: Option<Names>,
}

impl KnownSettings {
    pub fn of(mut settings: Vec<MailboxSettings>) -> Self {
        settings.sort_by_key(|one| one.captured_at);
        let mut known = Self::default();
        for one in settings {
            let mut tells = false;
            tells |= take(&mut known.region, one.region);
            tells |= take(&mut known.audit_enabled, one.audit_enabled);
            tells |= take(&mut known.audit_log_age_limit, one.audit_log_age_limit);
            tells |= take_list(&mut known.default_audit_set, one.default_audit_set);
            tells |= take_list(&mut known.audit_owner, one.audit_owner);
            tells |= take_list(&mut known.audit_delegate, one.audit_delegate);
            tells |= take_list(&mut known.audit_admin, one.audit_admin);
            if tells {
                known.captured_at = Some(one.captured_at);
            }
        }
        known
    }
}

fn take<T>(known: &mut Option<T>, told: Property<T>) -> bool {
    let Property::Known(told) = told else {
        return false;
    };
    *known = Some(told);
    true
}

/// One that is cut off does not tell.
fn take_list(known: &mut Option<Names>, told: Property<Names>) -> bool {
    let is_whole = told.known().is_some_and(|list| !list.is_cut);
    is_whole && take(known, told)
}

#[cfg(test)]
#[path = "setting_laws.rs"]
pub(in crate::domain) mod laws;
