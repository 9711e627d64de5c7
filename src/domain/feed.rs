//! The change feed: what each revision of a tenant changed, in the order of revisions.

use super::{MessageKey, Revision, Timestamp};

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

impl ChangeKind {
    pub const ALL: [Self; 4] = [
        Self::Created,
        Self::Confirmed,
        Self::Corrected,
        Self::Erased,
    ];
}

/// What one revision changed. Nothing, where it changed no listed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub revision: Revision,
    pub committed_at: Timestamp,
    pub messages: Vec<(MessageKey, ChangeKind)>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: Revision,
    pub committed_at: Timestamp,
    pub kind: ChangeKind,
    pub key: MessageKey,
}

/// How far a reader has come: all changes up to `revision`, and of the next revision the first
/// `offset`, for a revision may have more changes than fit into one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPosition {
    pub revision: Revision,
    pub offset: u32,
}

impl FeedPosition {
    /// Behind all of a revision.
    pub fn behind(revision: Revision) -> Self {
        Self {
            revision,
            offset: 0,
        }
    }
}

/// The changes of some revisions that follow each other, behind a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub changes: Vec<Change>,
    /// Of each change, the position before it.
    before: Vec<FeedPosition>,
    /// Behind the last change, and behind the revisions after it that changed nothing.
    end: FeedPosition,
}

impl Stretch {
    /// `commits` are the revisions behind `from`, in order and without a gap.
    pub fn new(from: FeedPosition, commits: Vec<Commit>) -> Self {
        let mut stretch = Self {
            changes: Vec::new(),
            before: Vec::new(),
            end: from,
        };
        for commit in commits {
            let read = stretch.end.offset;
            let changes = commit.messages.into_iter().zip(0u32..);
            for ((key, kind), offset) in changes.skip(read as usize) {
                stretch.before.push(FeedPosition {
                    revision: stretch.end.revision,
                    offset,
                });
                stretch.changes.push(Change {
                    revision: commit.revision,
                    committed_at: commit.committed_at,
                    kind,
                    key,
                });
            }
            stretch.end = FeedPosition::behind(commit.revision);
        }
        stretch
    }

    /// Keeps the first `count` changes.
    pub fn cut(&mut self, count: usize) {
        if let Some(&end) = self.before.get(count) {
            self.end = end;
            self.changes.truncate(count);
            self.before.truncate(count);
        }
    }

    /// Where a reader of it is.
    pub fn end(&self) -> FeedPosition {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// Revision n has the n-th of these numbers of changes.
    fn commits(sizes: &[u32]) -> Vec<Commit> {
        let commit = |(size, revision): (&u32, u64)| Commit {
            revision: Revision(revision),
            committed_at: Timestamp::EARLIEST,
            messages: (0..*size)
                .map(|n| {
                    let key = Uuid::from_u64_pair(revision, u64::from(n));
                    (MessageKey(key), ChangeKind::Created)
                })
                .collect(),
        };
        sizes.iter().zip(1..).map(commit).collect()
    }

    #[test]
    fn however_it_is_cut_every_change_comes_once_and_in_order() {
        let all = commits(&[3, 0, 1, 5, 0, 0, 2, 0]);
        let whole = Stretch::new(FeedPosition::default(), all.clone());
        assert_eq!(whole.changes.len(), 11);
        assert_eq!(whole.end(), FeedPosition::behind(Revision(8)));
        for rows in 1..=8 {
            for most in 1..=11 {
                let (mut at, mut seen) = (FeedPosition::default(), Vec::new());
                while at.revision < Revision(8) {
                    let next = all.iter().filter(|commit| commit.revision > at.revision);
                    let mut stretch = Stretch::new(at, next.take(rows).cloned().collect());
                    stretch.cut(most);
                    assert!(stretch.changes.len() <= most);
                    assert_ne!(stretch.end(), at, "it goes on");
                    at = stretch.end();
                    seen.extend(stretch.changes);
                }
                assert_eq!(seen, whole.changes, "{rows} revisions, {most} changes");
                assert_eq!(at, whole.end());
            }
        }
    }

    #[test]
    fn what_is_empty_moves_on() {
        let stretch = Stretch::new(FeedPosition::default(), commits(&[0, 0]));
        assert_eq!(stretch.changes, []);
        assert_eq!(stretch.end(), FeedPosition::behind(Revision(2)));
        let at = FeedPosition::behind(Revision(2));
        assert_eq!(Stretch::new(at, Vec::new()).end(), at);
    }
}
