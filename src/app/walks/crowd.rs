//! Calls that wait or are at work together: how long they have been too many, and how long one more
//! of them would wait.

use std::time::Duration;
use tokio::time::Instant;

/// A crowd is where so many more wait. They are at hand when one is done; with more of them only
/// the waits grow.
pub(super) const WAIT: usize = 2;
/// A crowd that is gone by then does not matter: everybody may ask for much at once.
const PASSES: Duration = Duration::from_secs(1);
/// For so long there is none before it is gone.
const LULL: Duration = Duration::from_millis(500);
/// Nor does one in which nobody waits longer than that, however many they are.
const SOON: Duration = Duration::from_millis(100);
/// But nobody joins one that takes longer than that to pass: all in it would be answered late, and
/// who comes meanwhile not at all.
pub(super) const ENDLESS: Duration = Duration::from_secs(1);
/// How long calls took before that says nothing of those that come now.
pub(super) const STALE: Duration = Duration::from_secs(10);

/// Those who wait or are at work.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) count: usize,
    /// So many are at work at a time.
    at_work: usize,
    /// When it began to be a crowd, and was last seen as one.
    seen: Option<(Instant, Instant)>,
    /// When the last one left, or it became a crowd.
    moved: Instant,
    /// How long the last ones were at work, and when one last said so.
    pub(super) takes: Option<(Duration, Instant)>,
}

impl Crowd {
    pub(super) fn of(at_work: usize, takes: Option<(Duration, Instant)>) -> Self {
        Self {
            count: 0,
            at_work,
            seen: None,
            moved: Instant::now(),
            takes,
        }
    }

    pub(super) fn is_one(&self) -> bool {
        self.count >= self.at_work + WAIT
    }

    pub(super) fn join(&mut self, now: Instant) {
        self.count += 1;
        if self.count == self.at_work + WAIT {
            let goes_on = self.seen.filter(|(_, last)| now - *last <= LULL);
            self.seen = Some((goes_on.map_or(now, |(began, _)| began), now));
            self.moved = now;
        }
    }

    /// One is about to leave.
    pub(super) fn moves(&mut self, took: Option<Duration>, now: Instant) {
        if self.is_one() {
            self.seen = self.seen.map(|(began, _)| (began, now));
            self.moved = now;
        }
        let Some(took) = took else { return };
        let known = self.takes.filter(|(_, at)| now - *at <= STALE);
        let takes = known.map_or(took, |(takes, _)| (takes * 7 + took) / 8);
        self.takes = Some((takes, now));
    }

    /// How long each is at work, as far as that is known.
    pub(super) fn takes(&self, now: Instant) -> Duration {
        let known = self.takes.filter(|(_, at)| now - *at <= STALE);
        known.map_or(Duration::ZERO, |(takes, _)| takes)
    }

    /// For one that would wait so long.
    pub(super) fn is_too_long(&self, wait: Duration, now: Instant) -> bool {
        let Some((began, _)) = self.seen.filter(|_| self.is_one()) else {
            return false;
        };
        let nobody_leaves = now - self.moved >= PASSES;
        nobody_leaves || wait > ENDLESS || (now - began >= PASSES && wait > SOON)
    }
}
