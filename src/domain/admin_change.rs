//! An administrator's change of what is audited or of who may send: it explains why
//! evidence stopped or started.

use super::Timestamp;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdminChange {
    pub time: Timestamp,
    pub record_id: Uuid,
    /// The cmdlet, as Microsoft spells it, e.g. `Set-Mailbox`.
    pub operation: &'static str,
    /// `UserId`, in lower case: who did it.
    pub actor: String,
    /// `ObjectId`, else the parameter `Identity`: what was changed. May be a GUID.
    pub target: String,
    pub failed: bool,
    /// The parameters that matter, by name; and `Identity`, where it is an address and
    /// `target` is another name.
    pub parameters: Vec<(String, String)>,
}

impl AdminChange {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let found = parameters.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Of everything but the record id: tells two contents of one record id apart.
    pub fn digest(&self) -> Uuid {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(&self.time.micros().to_le_bytes());
        add(&[u8::from(self.failed)]);
        add(self.operation.as_bytes());
        add(self.actor.as_bytes());
        add(self.target.as_bytes());
        for (name, value) in &self.parameters {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_at(16);
        Uuid::from_slice(first).expect("16 bytes are a UUID")
    }
}

/// The cmdlets, and of each the parameters that matter. A record without any of them is
/// ignored: `Set-Mailbox` by the system itself is the most frequent record of all.
const CHANGES: [(&str, &[&str]); 8] = [
    (
        "Set-AdminAuditLogConfig",
        &["UnifiedAuditLogIngestionEnabled"],
    ),
    ("Set-OrganizationConfig", &["AuditDisabled"]),
    ("Set-MailboxAuditBypassAssociation", &["AuditBypassEnabled"]),
    (
        "Set-Mailbox",
        &[
            "AuditAdmin",
            "AuditDelegate",
            "AuditEnabled",
            "AuditLogAgeLimit",
            "AuditOwner",
            "DefaultAuditSet",
        ],
    ),
    ("Add-RecipientPermission", &["AccessRights", "Trustee"]),
    ("Remove-RecipientPermission", &["AccessRights", "Trustee"]),
    ("Add-MailboxPermission", &["AccessRights", "User"]),
    ("Remove-MailboxPermission", &["AccessRights", "User"]),
];

/// The cmdlet as Microsoft spells it, if its changes matter.
pub fn operation(text: &str) -> Option<&'static str> {
    CHANGES
        .iter()
        .map(|&(name, _)| name)
        .find(|name| name.eq_ignore_ascii_case(text))
}

/// The parameter as Microsoft spells it, if it matters for this cmdlet.
pub fn parameter(operation: &str, text: &str) -> Option<&'static str> {
    let (_, parameters) = CHANGES.iter().find(|(name, _)| *name == operation)?;
    parameters
        .iter()
        .copied()
        .find(|name| name.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmdlets_and_parameters_are_spelled_as_microsoft_spells_them() {
        for (name, parameters) in CHANGES {
            assert_eq!(operation(&name.to_uppercase()), Some(name));
            for one in parameters {
                assert_eq!(parameter(name, &one.to_lowercase()), Some(*one));
            }
        }
        assert_eq!(operation("Get-Mailbox"), None);
        // each has its own
        assert_eq!(parameter("Set-Mailbox", "Trustee"), None);
        assert_eq!(parameter("Get-Mailbox", "AuditEnabled"), None);
    }

    #[test]
    fn a_content_has_a_digest_of_its_own() {
        let parameters = [("AuditEnabled", "False"), ("AuditOwner", "")];
        let one = AdminChange {
            time: Timestamp::EARLIEST,
            record_id: Uuid::from_u128(1),
            operation: "Set-Mailbox",
            actor: "root@contoso.com".into(),
            target: "support@contoso.com".into(),
            failed: false,
            parameters: parameters
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        };
        assert_eq!(one.parameter("AuditEnabled"), Some("False"));
        assert_eq!(one.parameter("AuditOwner"), Some(""));
        assert_eq!(one.parameter("AuditDelegate"), None);
        let again = AdminChange {
            record_id: Uuid::from_u128(2),
            ..one.clone()
        };
        assert_eq!(again.digest(), one.digest());
        let others: [fn(&mut AdminChange); 7] = [
            |one| one.time = Timestamp::LATEST,
            |one| one.operation = "Set-OrganizationConfig",
            |one| one.actor = "anna@contoso.com".into(),
            |one| one.target = "sales@contoso.com".into(),
            |one| one.failed = true,
            |one| one.parameters.truncate(1),
            |one| std::mem::swap(&mut one.actor, &mut one.target),
        ];
        let digests = others.map(|change| {
            let mut other = one.clone();
            change(&mut other);
            other.digest()
        });
        let all: std::collections::BTreeSet<Uuid> =
            digests.into_iter().chain([one.digest()]).collect();
        assert_eq!(all.len(), 8);
    }
}
