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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored and what callers know depends on them: they must never change.
    #[test]
    fn names_and_sides() {
        assert_eq!(
            Verdict::ALL.map(Verdict::name),
            [
                "ATTRIBUTED",
                "CONFLICT",
                "NOT_A_PERSON",
                "UNRESOLVED",
                "ERASED",
                "PENDING"
            ]
        );
        let (mailbox, agent) = (Some(Side::Mailbox), Some(Side::Agent));
        assert_eq!(
            Basis::ALL.map(|basis| (basis.name(), basis.side())),
            [
                ("MAILBOX_SEND_AS", mailbox),
                ("AGENT_SEND_AS", agent),
                ("MAILBOX_SEND_ON_BEHALF", mailbox),
                ("AGENT_SEND_ON_BEHALF", agent),
                ("SEND", None)
            ]
        );
        assert!(Basis::ALL.is_sorted(), "the strongest is the smallest");
    }

    #[test]
    fn an_answer_is_as_large_as_its_texts() {
        let empty = Answer {
            key: MessageKey(Uuid::nil()),
            id: None,
            attribution: Attribution {
                verdict: Verdict::Conflict,
                basis: None,
                agent: None,
                agent_object_id: None,
                mailbox: None,
                confirmed: false,
                contradicted: false,
                sent_at: Timestamp::EARLIEST,
                candidates: Vec::new(),
                listed: true,
            },
            revision: Revision(1),
        };
        assert!(empty.size() > std::mem::size_of::<Uuid>());
        let text = |length: usize| "x".repeat(length);
        let mut full = empty.clone();
        full.id = Some(MessageId::parse(&text(600)).expect("an id"));
        assert_eq!(full.size(), empty.size() + 600);
        full.attribution.agent = Some(text(50));
        full.attribution.mailbox = Some(text(7));
        assert_eq!(full.size(), empty.size() + 657);
        let before = full.size();
        full.attribution.candidates = vec![text(1_000), text(2_000)];
        let more = full.size() - before;
        assert!((3_000..3_100).contains(&more), "{more}");
        full.attribution.candidates = vec![String::new(); 100];
        assert!(
            full.size() > before + 100,
            "also an empty one takes its place"
        );
    }
}
