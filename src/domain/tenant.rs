//! A Microsoft 365 organisation that sentby serves.

use super::Timestamp;
use std::fmt;
use uuid::Uuid;

/// The Entra tenant GUID: `OrganizationId` in audit records. Every store method takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

impl TenantId {
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text.trim()).ok().map(Self)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tenant's commit number: +1 for each committed change, gapless, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The one before it; of the first, itself.
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A random number that a tenant gets at registration: part of tokens and cache keys, so
/// that revisions of an old life are never taken for the new one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(pub i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub display_name: String,
    pub consented_at: Timestamp,
    /// Set while the consent is withdrawn.
    pub revoked_at: Option<Timestamp>,
    pub registered_at: Timestamp,
    pub revision: Revision,
    pub generation: Generation,
    /// Counts changes of the register and of the lessons: a [`super::Directory`] read at this number is current.
    pub directory_version: i64,
    /// Where judging the stored messages anew goes on (a message key), while a changed
    /// directory has not reached all of them.
    pub reattribute_after: Option<Uuid>,
    /// Messages wait for an identity that a lesson speaks of by now.
    pub taught: bool,
    pub readiness: Readiness,
    /// Set while it is deleted.
    pub deletion: Option<Deletion>,
    /// Of messages, by send time. 0: they are kept without end.
    pub retention_days: u32,
}

/// A deleted tenant is neither read nor written, and can come back until it is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub deleted_at: Timestamp,
    /// From then on its rows are removed.
    pub delete_after: Timestamp,
}

impl Tenant {
    /// A changed directory has reached all stored messages.
    pub fn is_settled(&self) -> bool {
        self.reattribute_after.is_none() && !self.taught
    }
}

/// First and last send event of each side that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub mailbox_side: Option<(Timestamp, Timestamp)>,
    pub agent_side: Option<(Timestamp, Timestamp)>,
}

impl Readiness {
    pub fn see(&mut self, side: super::Side, time: Timestamp) {
        let span = match side {
            super::Side::Mailbox => &mut self.mailbox_side,
            super::Side::Agent => &mut self.agent_side,
        };
        *span = Some(span.map_or((time, time), |(first, last)| {
            (first.min(time), last.max(time))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Side;

    #[test]
    fn a_tenant_is_named_by_its_guid() {
        let text = "79dc228f-c8f2-4016-8bf0-b990b6c72e98";
        let id = TenantId::parse(&format!(" {} ", text.to_uppercase())).expect("a GUID");
        assert_eq!(id.to_string(), text);
        assert_eq!(TenantId::parse("contoso.com"), None);
    }

    #[test]
    fn revisions_follow_one_another() {
        let first = Revision::default();
        let second = first.next().next();
        assert_eq!(second, Revision(2));
        assert_eq!((second.before(), first.before()), (Revision(1), first));
        assert_eq!(second.to_string(), "2");
    }

    #[test]
    fn a_tenant_is_settled_when_no_message_waits() {
        let tenant = |reattribute_after, taught| Tenant {
            id: TenantId(Uuid::nil()),
            display_name: String::new(),
            consented_at: Timestamp::EARLIEST,
            revoked_at: None,
            registered_at: Timestamp::EARLIEST,
            revision: Revision(0),
            generation: Generation(0),
            directory_version: 0,
            reattribute_after,
            taught,
            readiness: Readiness::default(),
            deletion: None,
            retention_days: 0,
        };
        assert!(tenant(None, false).is_settled());
        assert!(!tenant(Some(Uuid::nil()), false).is_settled());
        assert!(!tenant(None, true).is_settled());
    }

    #[test]
    fn readiness_is_the_first_and_the_last_of_each_side() {
        let at = Timestamp::from_micros;
        let mut readiness = Readiness::default();
        for time in [5, 3, 9, 4] {
            readiness.see(Side::Mailbox, at(time));
        }
        assert_eq!(readiness.mailbox_side, Some((at(3), at(9))));
        assert_eq!(readiness.agent_side, None);
        readiness.see(Side::Agent, at(7));
        assert_eq!(readiness.agent_side, Some((at(7), at(7))));
        assert_eq!(readiness.mailbox_side, Some((at(3), at(9))));
    }
}
