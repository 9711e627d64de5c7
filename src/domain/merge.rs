//! One message as it is stored, and how new evidence or a new directory changes it.

use super::{
    Answer, Attribution, Directory, Evidence, MessageId, MessageKey, Revision, SendEvent, Verdict,
    attribute,
};

/// One row: the aggregate that is merged, versioned, cached, explained and fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub key: MessageKey,
    /// None for an event whose record has no message id.
    pub id: Option<MessageId>,
    pub evidence: Evidence,
    pub attribution: Attribution,
    /// The revision that last changed the attribution.
    pub revision: Revision,
}

/// What the change feed says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    Created = 1,
    /// The other side came in and names the same person.
    Confirmed = 2,
    /// Another answer than before.
    Corrected = 3,
    /// No longer in ranges and the feed.
    Erased = 4,
}

/// What [`Message::merge`] did.
#[derive(Debug)]
pub struct Merged {
    pub message: Message,
    /// Events that were new, and those that said nothing new.
    pub kept: u64,
    pub repeated: u64,
    /// The row has to be written.
    pub dirty: bool,
    /// The attribution is new or another one.
    pub reattributed: bool,
    /// What the feed has to say; nothing of what is not listed.
    pub change: Option<ChangeKind>,
}

impl Message {
    pub fn answer(&self) -> Answer {
        Answer {
            key: self.key,
            id: self.id.clone(),
            attribution: self.attribution.clone(),
            revision: self.revision,
        }
    }

    /// Adds events to a message (`None`: not stored yet). `revision` is stamped only where
    /// the attribution changes.
    pub fn merge(
        stored: Option<Self>,
        (key, id): (MessageKey, Option<MessageId>),
        events: impl IntoIterator<Item = SendEvent>,
        directory: &Directory,
        revision: Revision,
    ) -> Merged {
        let (mut evidence, before) = match stored {
            Some(stored) => (stored.evidence, Some((stored.attribution, stored.revision))),
            None => (Evidence::default(), None),
        };
        let was_truncated = evidence.is_truncated();
        let added = evidence.add(events);
        let dirty = added.new > 0 || evidence.is_truncated() != was_truncated;
        let mut merged = Self::judge(key, id, evidence, before, directory, revision);
        merged.kept = added.new;
        merged.repeated = added.repeated;
        merged.dirty |= dirty;
        merged
    }

    /// Judges the stored evidence anew under another directory.
    pub fn reattribute(self, directory: &Directory, revision: Revision) -> Merged {
        let before = Some((self.attribution, self.revision));
        Self::judge(
            self.key,
            self.id,
            self.evidence,
            before,
            directory,
            revision,
        )
    }

    fn judge(
        key: MessageKey,
        id: Option<MessageId>,
        evidence: Evidence,
        before: Option<(Attribution, Revision)>,
        directory: &Directory,
        revision: Revision,
    ) -> Merged {
        let attribution = attribute(&evidence, directory);
        let (old, old_revision) = before.unzip();
        let reattributed = old.as_ref() != Some(&attribution);
        Merged {
            change: change(old.as_ref(), &attribution),
            message: Self {
                key,
                id,
                evidence,
                revision: match old_revision {
                    Some(old) if !reattributed => old,
                    _ => revision,
                },
                attribution,
            },
            kept: 0,
            repeated: 0,
            dirty: reattributed,
            reattributed,
        }
    }
}

fn change(old: Option<&Attribution>, new: &Attribution) -> Option<ChangeKind> {
    let old = old.filter(|old| old.listed);
    match (old, new.listed) {
        (None, false) => None,
        (None, true) => Some(ChangeKind::Created),
        (Some(_), false) => Some(ChangeKind::Erased),
        (Some(old), true) if old == new => None,
        (Some(old), true) => {
            let confirmed = new.confirmed && !old.confirmed;
            let same_agent = old.verdict == Verdict::Attributed && old.agent == new.agent;
            Some(if confirmed && same_agent {
                ChangeKind::Confirmed
            } else {
                ChangeKind::Corrected
            })
        }
    }
}
