//! One message as it is stored, and how new evidence or a new directory changes it.

use super::{
    Answer, Attribution, ChangeKind, Directory, Evidence, MessageId, MessageKey, Pseudonym,
    Revision, SendEvent, Tombstones, Verdict, attribute, evidence::Added,
};
use std::{collections::BTreeSet, sync::Arc};

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

/// A message that takes evidence in, and is judged when it has all of it.
#[derive(Debug)]
pub struct Gathering {
    key: MessageKey,
    id: Option<MessageId>,
    evidence: Evidence,
    /// As it is stored.
    before: Option<(Attribution, Revision)>,
    has_more: bool,
}

/// What became of a message.
#[derive(Debug)]
pub struct Judgement {
    pub message: Message,
    /// It was not stored before.
    pub is_new: bool,
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
}

impl Gathering {
    /// A message that is not stored yet.
    pub fn new(key: MessageKey, id: Option<MessageId>) -> Self {
        Self {
            key,
            id,
            evidence: Evidence::default(),
            before: None,
            has_more: false,
        }
    }

    pub fn key(&self) -> MessageKey {
        self.key
    }

    /// It has this event already.
    pub fn knows(&self, event: &SendEvent) -> bool {
        self.evidence.contains(event)
    }

    pub fn events(&self) -> impl Iterator<Item = &SendEvent> + Clone {
        self.evidence.events()
    }

    pub fn add<E>(&mut self, events: impl IntoIterator<Item = E>) -> Added
    where
        E: Into<Arc<SendEvent>>,
    {
        let was_truncated = self.evidence.is_truncated();
        let added = self.evidence.add(events);
        self.has_more |= added.new > 0 || self.evidence.is_truncated() != was_truncated;
        added
    }

    /// Replaces what the evidence has of people who were erased, and tells whose it was.
    pub fn erase(&mut self, tombstones: &Tombstones) -> BTreeSet<Pseudonym> {
        let Some((evidence, whose)) = self.evidence.erased(tombstones) else {
            return BTreeSet::new();
        };
        self.evidence = evidence;
        self.has_more = true;
        whose
    }

    /// Judges all the evidence under this directory. `revision` is stamped only where the
    /// attribution changes.
    pub fn judge(self, directory: &Directory, revision: Revision) -> Judgement {
        let attribution = attribute(&self.evidence, directory);
        let is_new = self.before.is_none();
        let (old, old_revision) = self.before.unzip();
        let reattributed = old.as_ref() != Some(&attribution);
        Judgement {
            is_new,
            dirty: self.has_more || reattributed,
            reattributed,
            change: change(old.as_ref(), &attribution),
            message: Message {
                key: self.key,
                id: self.id,
                evidence: self.evidence,
                revision: match old_revision {
                    Some(old) if !reattributed => old,
                    _ => revision,
                },
                attribution,
            },
        }
    }
}

/// As it is stored.
impl From<Message> for Gathering {
    fn from(message: Message) -> Self {
        Self {
            key: message.key,
            id: message.id,
            evidence: message.evidence,
            before: Some((message.attribution, message.revision)),
            has_more: false,
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
