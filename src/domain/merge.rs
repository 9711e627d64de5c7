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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        attribute::tests::{ANNA, BOB, agent_side, judged, mailbox_side, plain},
        evidence::MAX_PER_GROUP,
    };
    use uuid::Uuid;

    fn new() -> Gathering {
        let id = MessageId::parse("<a@b>").expect("an id");
        Gathering::new(id.key(), Some(id))
    }

    fn judge(gathering: Gathering, revision: u64) -> Judgement {
        gathering.judge(&Directory::default(), Revision(revision))
    }

    #[test]
    fn what_the_feed_tells_of_an_answer() {
        let anna = judged(&[mailbox_side(1, ANNA)]);
        let confirmed = judged(&[mailbox_side(1, ANNA), agent_side(2, ANNA)]);
        let bob = judged(&[mailbox_side(1, BOB), agent_side(2, BOB)]);
        let conflict = judged(&[mailbox_side(1, ANNA), mailbox_side(2, BOB)]);
        let private = judged(&[plain(1, ANNA)]);
        assert!(confirmed.confirmed && bob.confirmed && !private.listed);
        let (created, corrected) = (Some(ChangeKind::Created), Some(ChangeKind::Corrected));
        for (old, new, expected) in [
            (None, &anna, created),
            (None, &private, None),
            (Some(&private), &anna, created),
            (Some(&private), &private, None),
            (Some(&anna), &private, Some(ChangeKind::Erased)),
            (Some(&anna), &anna, None),
            (Some(&anna), &confirmed, Some(ChangeKind::Confirmed)),
            (Some(&confirmed), &anna, corrected),
            (Some(&anna), &bob, corrected),
            (Some(&anna), &conflict, corrected),
            (Some(&conflict), &confirmed, corrected),
        ] {
            assert_eq!(change(old, new), expected, "{old:?} {new:?}");
        }
        let other = Attribution {
            contradicted: true,
            ..confirmed.clone()
        };
        assert_eq!(change(Some(&confirmed), &other), corrected);
    }

    #[test]
    fn only_what_changes_an_answer_has_a_revision() {
        let mut first = new();
        first.add([mailbox_side(1, ANNA)]);
        assert!(first.knows(&mailbox_side(1, ANNA)) && !first.knows(&mailbox_side(2, ANNA)));
        let key = first.key();
        assert_eq!(MessageId::parse("a@b").map(|id| id.key()), Ok(key));
        let first = judge(first, 1);
        assert!(first.is_new && first.dirty && first.reattributed);
        let message = first.message;
        let answer = message.answer();
        assert_eq!((answer.key, answer.id), (key, message.id.clone()));
        assert_eq!(
            (answer.revision, &answer.attribution),
            (Revision(1), &message.attribution)
        );

        // nothing new; more that says the same; more than is kept; another answer
        let again = |events: &[SendEvent]| {
            let mut gathering = Gathering::from(message.clone());
            gathering.add(events.iter().cloned());
            let judged = judge(gathering, 2);
            let told = (judged.is_new, judged.dirty, judged.reattributed);
            (told, judged.message.revision, judged.message)
        };
        let (told, revision, _) = again(&[mailbox_side(1, ANNA)]);
        assert_eq!((told, revision), ((false, false, false), Revision(1)));
        let all: Vec<SendEvent> = (1..=MAX_PER_GROUP as u128)
            .map(|n| mailbox_side(n, ANNA))
            .collect();
        let (told, revision, full) = again(&all);
        assert_eq!((told, revision), ((false, true, false), Revision(1)));
        let mut truncated = Gathering::from(full);
        assert_eq!(truncated.add([mailbox_side(99, ANNA)]).new, 0);
        assert!(judge(truncated, 2).dirty, "that it is truncated is new");
        let (told, revision, _) = again(&[mailbox_side(2, BOB)]);
        assert_eq!((told, revision), ((false, true, true), Revision(2)));
    }

    #[test]
    fn who_was_erased_is_told() {
        use crate::domain::erasure::Subject;
        let mut tombstones = Tombstones::new([7; 32], []);
        let anna = Subject::parse(ANNA).expect("an address");
        let person = tombstones
            .collect(&anna, &Directory::default())
            .expect("a person");
        for (event, whose) in [
            (mailbox_side(1, ANNA), BTreeSet::from([person.pseudonym])),
            (mailbox_side(1, BOB), BTreeSet::new()),
        ] {
            let mut stored = new();
            stored.add([event]);
            let mut stored = Gathering::from(judge(stored, 1).message);
            assert_eq!(stored.erase(&tombstones), whose);
            assert_eq!(judge(stored, 2).dirty, !whose.is_empty());
        }
        let mut none = Gathering::new(MessageKey(Uuid::nil()), None);
        assert_eq!(none.events().count(), 0);
        none.add([mailbox_side(1, ANNA)]);
        assert_eq!(none.events().count(), 1);
    }
}
