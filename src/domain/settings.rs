//! What a tenant's audit set-up is, as an administrator's commands show it. Plain data: the
//! rule that makes findings of it is [`super::findings()`].

use super::{MailboxKind, Timestamp};

/// One property of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Property<T> {
    Known(T),
    /// It is there, and its value cannot be told: cut off, or in a form that loses it.
    Unknown,
    /// The export does not have it.
    #[default]
    NotGiven,
}

impl<T> Property<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown | Self::NotGiven => None,
        }
    }

    pub fn is_given(&self) -> bool {
        !matches!(self, Self::NotGiven)
    }
}

/// A list of names. PowerShell prints four values and then `…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub names: Vec<String>,
    /// There are more than these: what is not among them is unknown, not missing.
    pub is_cut: bool,
}

/// Longest name of a list, in bytes, and most of them.
pub const MAX_NAME: usize = 512;
const MAX_NAMES: usize = 1_000;

const SEPARATORS: [char; 4] = [',', ';', '\n', '\r'];

impl Names {
    /// Whatever its case. `None`: it may be in the part that is not shown.
    pub fn has(&self, name: &str) -> Option<bool> {
        let mut names = self.names.iter();
        let shown = names.any(|known| known.eq_ignore_ascii_case(name));
        (shown || !self.is_cut).then_some(shown)
    }

    /// Single words: sign-in types, actions, rights. Joined by commas, semicolons, line ends,
    /// or by blanks: so an array becomes text that is too deep for ConvertTo-Json.
    pub fn push_words(&mut self, text: &str) {
        let joined_by_blanks = !text.contains(SEPARATORS);
        let separators: &[char] = if joined_by_blanks {
            &[' ']
        } else {
            &SEPARATORS
        };
        for word in text.split(separators) {
            // a word that was wrapped has a blank in it, the last of a cut list an ellipsis
            let word: String = word.chars().filter(|c| !c.is_whitespace()).collect();
            let clean = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_word = clean.bytes().all(|b| b.is_ascii_alphanumeric())
                && !clean.starts_with(|c: char| c.is_ascii_digit());
            self.is_cut |= clean.len() != word.len() || !is_word;
            if is_word {
                self.push(clean);
            }
        }
    }

    /// Names that may have blanks.
    pub fn push_names(&mut self, text: &str) {
        for name in text.split(SEPARATORS) {
            let name = name.trim();
            let clean = name.trim_end_matches('…').trim_end_matches("...");
            self.is_cut |= clean.len() != name.len();
            self.push(clean);
        }
    }

    fn push(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        let is_full = self.names.len() == MAX_NAMES;
        if is_full || name.len() > MAX_NAME || name.contains(char::is_control) {
            self.is_cut = true;
            return;
        }
        self.names.push(name.to_owned());
    }
}

/// What PowerShell writes for an object that it does not look into.
pub fn is_type_name(text: &str) -> bool {
    let text = text.trim_start_matches("Deserialized.");
    text.starts_with("System.") || text.starts_with("Microsoft.") || text.starts_with("@{")
}

/// As PowerShell and audit records write it.
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 3]| {
        words
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text.trim()))
    };
    if is(["true", "$true", "1"]) {
        Some(true)
    } else {
        is(["false", "$false", "0"]).then_some(false)
    }
}

/// `[-][d.]hh:mm:ss[.fffffff]`, or days alone; in seconds.
pub fn parse_period(text: &str) -> Option<i64> {
    let number = |text: &str| {
        let is_number = (1..=7).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok()).flatten()
    };
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let Some((hours, rest)) = text.split_once(':') else {
        return Some(sign * number(text)? * 86_400);
    };
    let (days, hours) = match hours.split_once('.') {
        Some((days, hours)) => (number(days)?, number(hours)?),
        None => (0, number(hours)?),
    };
    let (minutes, seconds) = rest.split_once(':')?;
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    // less than a second is not zero
    let rest = i64::from(number(seconds)? == 0 && number(fraction)? > 0);
    let seconds = number(seconds)? + rest;
    Some(sign * (((days * 24 + hours) * 60 + number(minutes)?) * 60 + seconds))
}

/// `RecipientTypeDetails`, as Microsoft spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientType(pub String);

impl RecipientType {
    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| name.eq_ignore_ascii_case(&self.0))
    }

    /// `None`: nothing that the register has a word for.
    pub fn kind(&self) -> Option<MailboxKind> {
        if self.is_one_of(&["SharedMailbox", "RemoteSharedMailbox", "TeamMailbox"]) {
            Some(MailboxKind::Shared)
        } else if self.is_one_of(&["UserMailbox", "LinkedMailbox", "RemoteUserMailbox"]) {
            Some(MailboxKind::User)
        } else if self.is_one_of(&["GroupMailbox"]) {
            Some(MailboxKind::Group)
        } else if self.is_one_of(&["RoomMailbox", "EquipmentMailbox", "SchedulingMailbox"]) {
            Some(MailboxKind::Resource)
        } else {
            None
        }
    }

    /// Mailbox auditing does not know this kind, whatever is set.
    pub fn is_never_audited(&self) -> bool {
        self.kind() == Some(MailboxKind::Resource)
            || self.is_one_of(&["PublicFolderMailbox", "DiscoveryMailbox"])
    }
}

/// What an object of an export is called there: all in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// `PrimarySmtpAddress`; else the `UserPrincipalName`; else the first name there is.
    /// Empty: the export does not say which one it is.
    pub name: String,
    /// The same for certain: addresses, GUIDs.
    pub also: Vec<String>,
    /// Names that two may have: `DisplayName`, `Name`, `Alias`.
    pub perhaps: Vec<String>,
}

/// `Get-Mailbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSettings {
    /// When the command ran: what is newer counts.
    pub captured_at: Timestamp,
    pub called: Called,
    pub recipient_type: Property<RecipientType>,
    /// As stored where it is false. True is shown for every mailbox when auditing is on by
    /// default, and tells nothing.
    pub audit_enabled: Property<bool>,
    /// The sign-in types (`Admin`, `Delegate`, `Owner`) whose actions are Microsoft's defaults.
    pub default_audit_set: Property<Names>,
    pub audit_delegate: Property<Names>,
    pub audit_owner: Property<Names>,
    /// No cause rests on it.
    pub audit_admin: Property<Names>,
    /// Seconds.
    pub audit_log_age_limit: Property<i64>,
    pub region: Property<String>,
    /// Who may send on its behalf, by any of their names.
    pub grant_send_on_behalf_to: Property<Names>,
}

/// `Get-OrganizationConfig` and `Get-AdminAuditLogConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationSettings {
    pub captured_at: Timestamp,
    pub audit_disabled: Property<bool>,
    /// Always false where Security & Compliance PowerShell was asked.
    pub ingestion_enabled: Property<bool>,
    /// More than one: the tenant is multi-geo.
    pub allowed_regions: Property<Names>,
    /// Of mailboxes that have none of their own.
    pub default_region: Property<String>,
}

/// `Get-MailboxAuditBypassAssociation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BypassSettings {
    pub captured_at: Timestamp,
    pub called: Called,
    pub enabled: Property<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    SendAs,
    SendOnBehalf,
    FullAccess,
}

/// One row of `Get-RecipientPermission` or `Get-MailboxPermission`: who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionSettings {
    pub captured_at: Timestamp,
    /// Any of its names, in lower case.
    pub mailbox: String,
    /// Any of its names, in lower case; a person, a group, or the mailbox itself.
    pub trustee: String,
    /// Those that matter here.
    pub rights: Vec<Right>,
    /// The row is about rights that `Get-RecipientPermission` shows, and not about `FullAccess`.
    pub of_recipient: bool,
    pub is_denied: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub mailboxes: Vec<MailboxSettings>,
    pub organizations: Vec<OrganizationSettings>,
    pub bypasses: Vec<BypassSettings>,
    pub permissions: Vec<PermissionSettings>,
}

impl Settings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn len(&self) -> usize {
        self.mailboxes.len()
            + self.organizations.len()
            + self.bypasses.len()
            + self.permissions.len()
    }

    pub fn append(&mut self, mut other: Self) {
        self.mailboxes.append(&mut other.mailboxes);
        self.organizations.append(&mut other.organizations);
        self.bypasses.append(&mut other.bypasses);
        self.permissions.append(&mut other.permissions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(push: impl Fn(&mut Names)) -> (Vec<String>, bool) {
        let mut names = Names::default();
        push(&mut names);
        (names.names, names.is_cut)
    }

    #[test]
    fn words_are_told_apart_however_they_are_joined() {
        for (text, words, is_cut) in [
            ("Update, SendAs", &["Update", "SendAs"][..], false),
            (
                "Update;SendAs\r\nSend",
                &["Update", "SendAs", "Send"],
                false,
            ),
            ("Update SendAs", &["Update", "SendAs"], false),
            ("Update, Se ndAs", &["Update", "SendAs"], false),
            ("Update, SendAs…", &["Update", "SendAs"], true),
            ("Update, ...", &["Update"], true),
            ("Send-As, Update", &["Update"], true),
            ("7, Update", &["Update"], true),
            ("", &[], false),
        ] {
            let found = names(|names| names.push_words(text));
            assert_eq!(
                found,
                (words.iter().map(ToString::to_string).collect(), is_cut),
                "{text}"
            );
        }
    }

    #[test]
    fn names_may_have_blanks() {
        for (text, expected, is_cut) in [
            ("Anna Kern, Ben", &["Anna Kern", "Ben"][..], false),
            ("Anna Kern;Ben…", &["Anna Kern", "Ben"], true),
            ("Anna Kern, ...", &["Anna Kern"], true),
            ("a\u{7}b, Ben", &["Ben"], true),
        ] {
            let found = names(|names| names.push_names(text));
            assert_eq!(
                found,
                (expected.iter().map(ToString::to_string).collect(), is_cut),
                "{text}"
            );
        }
        let name = |length: usize| "x".repeat(length);
        assert!(!names(|names| names.push_names(&name(MAX_NAME))).1);
        assert!(names(|names| names.push_names(&name(MAX_NAME + 1))).1);
        let many = |count: usize| {
            let (all, is_cut) = names(|names| names.push_names(&"x,".repeat(count)));
            (all.len(), is_cut)
        };
        assert_eq!(many(MAX_NAMES), (MAX_NAMES, false));
        assert_eq!(many(MAX_NAMES + 1), (MAX_NAMES, true));
    }

    #[test]
    fn what_is_not_among_the_names_of_a_cut_list_is_unknown() {
        let mut list = Names::default();
        list.push_words("Update,SendAs");
        assert_eq!(
            (list.has("SENDAS"), list.has("Send")),
            (Some(true), Some(false))
        );
        list.is_cut = true;
        assert_eq!((list.has("SENDAS"), list.has("Send")), (Some(true), None));
    }

    #[test]
    fn values_as_power_shell_writes_them() {
        for (text, value) in [
            (" True ", Some(true)),
            ("$true", Some(true)),
            ("1", Some(true)),
            ("FALSE", Some(false)),
            ("$false", Some(false)),
            ("0", Some(false)),
            ("", None),
            ("yes", None),
        ] {
            assert_eq!(parse_boolean(text), value, "{text}");
        }
        for (text, seconds) in [
            ("90.00:00:00", Some(7_776_000)),
            (" 1.02:03:04 ", Some(93_784)),
            ("02:03:04", Some(7_384)),
            ("-1.00:00:01", Some(-86_401)),
            ("00:00:00", Some(0)),
            ("00:00:00.0000001", Some(1)),
            ("00:00:00.0000000", Some(0)),
            ("00:00:02.5", Some(2)),
            ("90", Some(7_776_000)),
            ("-90", Some(-7_776_000)),
            ("9999999", Some(863_999_913_600)),
            ("99999999", None),
            ("", None),
            ("-", None),
            ("1:2", None),
            ("a", None),
            ("1.x:00:00", None),
            ("00:00:+1", None),
        ] {
            assert_eq!(parse_period(text), seconds, "{text}");
        }
        for text in [
            "System.String[]",
            "Deserialized.Microsoft.Exchange",
            "@{Add=",
        ] {
            assert!(is_type_name(text), "{text}");
        }
        assert!(!is_type_name("Systems") && !is_type_name("support@contoso.com"));
    }

    #[test]
    fn every_type_of_recipient_is_of_a_kind() {
        for (names, kind, is_never_audited) in [
            (
                &["SharedMailbox", "remotesharedmailbox", "TeamMailbox"][..],
                Some(MailboxKind::Shared),
                false,
            ),
            (
                &["UserMailbox", "LinkedMailbox", "RemoteUserMailbox"],
                Some(MailboxKind::User),
                false,
            ),
            (&["GroupMailbox"], Some(MailboxKind::Group), false),
            (
                &["RoomMailbox", "EquipmentMailbox", "SchedulingMailbox"],
                Some(MailboxKind::Resource),
                true,
            ),
            (&["PublicFolderMailbox", "DiscoveryMailbox"], None, true),
            (&["MailUser", ""], None, false),
        ] {
            for name in names {
                let recipient = RecipientType((*name).to_owned());
                assert_eq!(recipient.kind(), kind, "{name}");
                assert_eq!(recipient.is_never_audited(), is_never_audited, "{name}");
            }
        }
    }

    #[test]
    fn what_is_given_may_be_unknown() {
        let all = [Property::Known(7), Property::Unknown, Property::NotGiven];
        let told = all.map(|one| (one.known().copied(), one.is_given()));
        assert_eq!(told, [(Some(7), true), (None, true), (None, false)]);
    }
}
