//! The answer for one message.

use super::{MessageId, MessageKey, Revision, Side, Timestamp};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// One person sent it.
    Attributed,
    /// The evidence names two people or more: no guess.
    Conflict,
    /// A system, an application, or the shared mailbox itself.
    NotAPerson,
    /// Evidence, but no identifier in it leads to a person.
    Unresolved,
    /// The person was erased.
    Erased,
    /// No evidence that counts; it may still come.
    Pending,
}

impl Verdict {
    pub const ALL: [Self; 6] = [
        Self::Attributed,
        Self::Conflict,
        Self::NotAPerson,
        Self::Unresolved,
        Self::Erased,
        Self::Pending,
    ];

    /// As in the store, the API (with its prefix) and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attributed => "ATTRIBUTED",
            Self::Conflict => "CONFLICT",
            Self::NotAPerson => "NOT_A_PERSON",
            Self::Unresolved => "UNRESOLVED",
            Self::Erased => "ERASED",
            Self::Pending => "PENDING",
        }
    }
}

/// The strongest evidence used; the strongest is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    MailboxSendAs,
    AgentSendAs,
    MailboxSendOnBehalf,
    AgentSendOnBehalf,
    /// A plain `Send`, joined by message id.
    Send,
}

impl Basis {
    pub const ALL: [Self; 5] = [
        Self::MailboxSendAs,
        Self::AgentSendAs,
        Self::MailboxSendOnBehalf,
        Self::AgentSendOnBehalf,
        Self::Send,
    ];

    /// As in the store, the API (with its prefix) and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MailboxSendAs => "MAILBOX_SEND_AS",
            Self::AgentSendAs => "AGENT_SEND_AS",
            Self::MailboxSendOnBehalf => "MAILBOX_SEND_ON_BEHALF",
            Self::AgentSendOnBehalf => "AGENT_SEND_ON_BEHALF",
            Self::Send => "SEND",
        }
    }

    /// Whose log wrote it. A plain `Send` may stand in either.
    pub fn side(self) -> Option<Side> {
        match self {
            Self::MailboxSendAs | Self::MailboxSendOnBehalf => Some(Side::Mailbox),
            Self::AgentSendAs | Self::AgentSendOnBehalf => Some(Side::Agent),
            Self::Send => None,
        }
    }
}

/// What [`super::attribute`] makes of a message's evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    pub verdict: Verdict,
    /// None for `Pending`.
    pub basis: Option<Basis>,
    /// Set for `Attributed` only.
    pub agent: Option<String>,
    pub agent_object_id: Option<Uuid>,
    pub mailbox: Option<String>,
    pub confirmed: bool,
    pub contradicted: bool,
    /// Of the earliest event that counts (of the earliest at all for `Pending`).
    pub sent_at: Timestamp,
    /// Set for `Conflict` only: sorted. One who was erased is a pseudonym.
    pub candidates: Vec<String>,
    /// In ranges, summaries, views and the feed. Not so: private mail (nothing but plain
    /// sends from no known mailbox), and what only failed.
    pub listed: bool,
}

/// The attribution of one message as callers get it, without the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub key: MessageKey,
    /// None for an event whose record has no message id.
    pub id: Option<MessageId>,
    pub attribution: Attribution,
    /// The revision that last changed it.
    pub revision: Revision,
}

impl Answer {
    /// How much it holds, in bytes and roughly: what bounds a page of answers.
    pub fn size(&self) -> usize {
        const REST: usize = 200; // all but its texts, in memory
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let candidates = self.attribution.candidates.iter();
        REST + self.id.as_ref().map_or(0, |id| id.as_str().len())
            + text(&self.attribution.agent)
            + text(&self.attribution.mailbox)
            + candidates.map(|one| one.len() + 24).sum::<usize>()
    }
}
