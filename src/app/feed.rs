//! The change feed of one tenant: a stretch of it at a time, and positions that others hold.

use super::{App, Error, Result, delete_tenant::found, secret::Query};
use crate::{
    domain::{
        Answer, Change, ChangeKind, Commit, FeedPosition, Generation, MessageKey, Revision,
        TenantId, feed::Stretch,
    },
    store::{CommitLimit, StoreError},
};
use std::{collections::HashMap, fmt};

/// What is read at a time, and told at a time: a stretch ends with the change that reaches one of
/// these.
const CHANGES: usize = 1_000;
const BYTES: usize = 256 << 10;
const READ: CommitLimit = CommitLimit {
    revisions: 500,
    bytes: 17 * CHANGES,
};

/// A change, and the message as it is by now. `None`: it is listed no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub change: Change,
    pub answer: Option<Answer>,
}

/// What follows on a position.
#[derive(Debug)]
pub(super) struct FeedPage {
    pub changes: Vec<Told>,
    pub end: FeedPosition,
    /// The tenant's revision when it was read.
    pub newest: Revision,
}

/// Why a position is no place to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedRefusal {
    /// No token of this deployment.
    Invalid,
    /// Of another tenant, or no position at all.
    Mismatch,
    /// What is right behind it is not kept any more.
    Expired,
    /// Of another life of the tenant.
    OtherGeneration,
    /// The store has lost commits since.
    Ahead,
}

/// A refused position, and what there is instead.
#[derive(Clone, Debug)]
pub struct RefusedPosition {
    pub tenant: TenantId,
    pub why: FeedRefusal,
    pub oldest: Revision,
    pub oldest_token: String,
    pub newest: Revision,
}

impl fmt::Display for RefusedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            FeedRefusal::Invalid => "the token is damaged or of another deployment",
            FeedRefusal::Mismatch => "the token is of another tenant, or no position of this feed",
            FeedRefusal::Expired => "what changed right behind the position is not kept any more",
            FeedRefusal::OtherGeneration => {
                "the tenant was registered anew or restored since the token was given: its \
                 revisions are others now"
            }
            FeedRefusal::Ahead => {
                "the position is ahead of the store, which has lost commits (restored from a \
                 backup?)"
            }
        })?;
        write!(
            f,
            " (tenant {}, whose changes are kept behind revision {} up to {}): read the whole range \
             with StreamAttributions and go on at its watch_token",
            self.tenant, self.oldest, self.newest
        )
    }
}

impl App {
    /// The next stretch behind a position in this life of the tenant.
    pub(super) async fn read_feed(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: FeedPosition,
    ) -> Result<FeedPage> {
        // together they leave the other readers their connections
        let _own = self.feed_turns.of(tenant).await;
        let _turn = self
            .feed_readers
            .acquire()
            .await
            .map_err(|e| Error::bug(&e))?;
        let commits = self.store.commits(tenant, at.revision, READ).await?;
        let commits = found(&*self.store, tenant, commits).await?;
        if commits.generation != generation {
            return Err(self.refuse(tenant, FeedRefusal::OtherGeneration).await);
        }
        let newest = commits.as_of;
        match follows(at, &commits.value, newest) {
            Ok(()) => {}
            Err(Broken::Refused(why)) => return Err(self.refuse(tenant, why).await),
            Err(Broken::Hole(revision)) => {
                let what = format!("change: revision {revision} is missing");
                return Err(StoreError::Corrupt(what).into());
            }
        }
        let mut stretch = Stretch::new(at, commits.value);
        stretch.cut(CHANGES);
        let now = self
            .listed_now(tenant, generation, &stretch.changes)
            .await?;
        let (mut changes, mut bytes) = (Vec::with_capacity(stretch.changes.len()), 0);
        for change in &stretch.changes {
            if bytes >= BYTES {
                break;
            }
            let told = tell(*change, now.get(&change.key).cloned());
            bytes += told.answer.as_ref().map_or(0, Answer::size);
            changes.push(told);
        }
        stretch.cut(changes.len());
        Ok(FeedPage {
            changes,
            end: stretch.end(),
            newest,
        })
    }

    /// Those of the changed messages that are listed, as they are now. Read after the changes, so
    /// none of them is older than its change.
    async fn listed_now(
        &self,
        tenant: TenantId,
        generation: Generation,
        changes: &[Change],
    ) -> Result<HashMap<MessageKey, Answer>> {
        let mut keys: Vec<MessageKey> = changes.iter().map(|change| change.key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let answers = self.store.answers(tenant, &keys).await?;
        let answers = found(&*self.store, tenant, answers).await?;
        if answers.generation != generation {
            return Err(self.refuse(tenant, FeedRefusal::OtherGeneration).await);
        }
        let answers = answers.value.into_iter();
        let listed = answers.filter(|answer| answer.attribution.listed);
        Ok(listed.map(|answer| (answer.key, answer)).collect())
    }

    /// The error that says why, and where a reader may begin instead.
    pub(super) async fn refuse(&self, tenant: TenantId, why: FeedRefusal) -> Error {
        match self.refused(tenant, why).await {
            Ok(refused) => Error::PositionRefused(Box::new(refused)),
            Err(error) => error,
        }
    }

    async fn refused(&self, tenant: TenantId, why: FeedRefusal) -> Result<RefusedPosition> {
        let first = CommitLimit {
            revisions: 1,
            bytes: 1,
        };
        let kept = self
            .store
            .commits(tenant, Revision::default(), first)
            .await?;
        let kept = found(&*self.store, tenant, kept).await?;
        let oldest = kept.value.first().map(|commit| commit.revision.before());
        let oldest = oldest.unwrap_or(kept.as_of);
        let position = FeedPosition::behind(oldest);
        Ok(RefusedPosition {
            tenant,
            why,
            oldest,
            oldest_token: self.feed_token(tenant, kept.generation, position).await?,
            newest: kept.as_of,
        })
    }

    /// A position as callers keep it.
    pub(super) async fn feed_token(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: FeedPosition,
    ) -> Result<String> {
        let position = [
            &generation.0.to_le_bytes()[..],
            &at.revision.0.to_le_bytes(),
            &at.offset.to_le_bytes(),
        ]
        .concat();
        self.secret().await?.seal(&query(tenant), &position)
    }

    /// The position that a token stands for, if it is of this life of the tenant.
    pub(super) async fn open_feed_token(
        &self,
        tenant: TenantId,
        generation: Generation,
        token: &str,
    ) -> Result<FeedPosition> {
        let why = match self.secret().await?.open(&query(tenant), token) {
            Ok(position) => match decode(&position) {
                Some((of, at)) if of == generation => return Ok(at),
                Some(_) => FeedRefusal::OtherGeneration,
                None => FeedRefusal::Invalid,
            },
            Err(Error::PageTokenMismatch) => FeedRefusal::Mismatch,
            Err(Error::PageTokenInvalid) => FeedRefusal::Invalid,
            Err(error) => return Err(error),
        };
        Err(self.refuse(tenant, why).await)
    }
}

/// All that a token is bound to.
fn query(tenant: TenantId) -> Query {
    Query::new("WatchAttributions", &[tenant.0.as_bytes()])
}

/// What a token holds: 8 bytes generation, 8 bytes revision, 4 bytes offset.
fn decode(bytes: &[u8]) -> Option<(Generation, FeedPosition)> {
    let (generation, rest) = bytes.split_first_chunk()?;
    let (revision, offset) = rest.split_first_chunk()?;
    let at = FeedPosition {
        revision: Revision(u64::from_le_bytes(*revision)),
        offset: u32::from_le_bytes(offset.try_into().ok()?),
    };
    Some((Generation(i64::from_le_bytes(*generation)), at))
}

#[derive(Debug, PartialEq, Eq)]
enum Broken {
    Refused(FeedRefusal),
    /// The revision that is missing. Only a beginning may be: somebody has deleted rows.
    Hole(Revision),
}

/// Whether these commits are all that follows on the position, one after the other.
fn follows(at: FeedPosition, commits: &[Commit], newest: Revision) -> Result<(), Broken> {
    if at.revision > newest || (at.revision == newest && at.offset > 0) {
        return Err(Broken::Refused(FeedRefusal::Ahead));
    }
    let mut next = at.revision.next();
    if commits
        .first()
        .map_or(newest.next(), |first| first.revision)
        != next
    {
        return Err(Broken::Refused(FeedRefusal::Expired));
    }
    for commit in commits {
        if commit.revision != next {
            return Err(Broken::Hole(next));
        }
        next = next.next();
    }
    Ok(())
}

/// What became of the message since counts more than what the change once was.
fn tell(mut change: Change, answer: Option<Answer>) -> Told {
    match &answer {
        None => change.kind = ChangeKind::Erased,
        // it is back since
        Some(_) if change.kind == ChangeKind::Erased => change.kind = ChangeKind::Created,
        Some(_) => {}
    }
    Told { change, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn only_a_beginning_may_be_missing() {
        let commits = |revisions: &[u64]| -> Vec<Commit> {
            let commit = |&revision: &u64| Commit {
                revision: Revision(revision),
                committed_at: Timestamp::EARLIEST,
                messages: Vec::new(),
            };
            revisions.iter().map(commit).collect()
        };
        let refused = |why| Err(Broken::Refused(why));
        for (at, offset, kept, newest, expected) in [
            (0, 0, &[1, 2, 3][..], 3, Ok(())),
            (0, 0, &[], 0, Ok(())),
            (3, 0, &[], 3, Ok(())),
            (2, 5, &[3], 3, Ok(())),
            (0, 0, &[2, 3], 3, refused(FeedRefusal::Expired)),
            (2, 0, &[], 3, refused(FeedRefusal::Expired)),
            (4, 0, &[], 3, refused(FeedRefusal::Ahead)),
            (3, 1, &[], 3, refused(FeedRefusal::Ahead)),
            (0, 0, &[1, 3], 3, Err(Broken::Hole(Revision(2)))),
        ] {
            let at = FeedPosition {
                revision: Revision(at),
                offset,
            };
            let found = follows(at, &commits(kept), Revision(newest));
            assert_eq!(found, expected, "{at:?} {kept:?} {newest}");
        }
    }
}
