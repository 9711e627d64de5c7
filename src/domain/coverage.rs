//! What collectors have covered, and until when "no evidence" therefore means "not sent".
//!
//! An event at t is somewhere in the content that was created in [t, t + allowance]. So t is
//! completely covered if all of that content was fetched; or if t itself was searched for, at
//! least the allowance (in whole days) after it.

use super::{
    Intervals, Lag, TimeRange, Timestamp,
    time::{DAY, HOUR},
};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// Microsoft serves a content for so long after it was created, in microseconds.
pub const SERVED: i64 = 7 * DAY;

/// Bounds of the allowance, in microseconds.
const LEAST_ALLOWANCE: i64 = DAY;
const MOST_ALLOWANCE: i64 = 5 * DAY;
/// Events from which on the lag of one in a thousand means anything.
const TELLING_EVENTS: u64 = 1_000;

/// Whole days that an allowance may have. Of what was searched by event time one set is kept
/// for each, so that a longer allowance takes back what it no longer vouches for.
pub const SETTLED_DAYS: RangeInclusive<i64> = 1..=5;

/// By which of its times a record was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// When Microsoft put it into a content: the Management Activity API lists by that.
    ContentCreated,
    /// `CreationTime` of the record: exports and searches go by that.
    EventTime,
}

impl Clock {
    pub const ALL: [Self; 2] = [Self::ContentCreated, Self::EventTime];

    /// As in the store, the API (with its prefix) and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContentCreated => "CONTENT_CREATED",
            Self::EventTime => "EVENT_TIME",
        }
    }
}

/// What became of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All of it has been sent.
    Complete,
    /// Some of it could not be fetched.
    Partial,
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Complete, Self::Partial, Self::Failed];

    /// As in the store, the API (with its prefix) and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
        }
    }
}

/// The period that a batch says it completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not empty.
    pub range: TimeRange,
    pub clock: Clock,
    pub outcome: Outcome,
    /// Why it is not complete. May be empty.
    pub code: String,
}

/// A line of the ledger: a set of times of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    pub source: String,
    pub clock: Clock,
    /// Of [`Clock::EventTime`] one of [`SETTLED_DAYS`], else 0.
    pub settled_days: i64,
}

/// One period of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    pub line: Line,
    pub range: TimeRange,
    /// When a window last added to it.
    pub advanced_at: Timestamp,
}

/// A window that was not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub source: String,
    pub window: Window,
    /// Last, if it came several times.
    pub received_at: Timestamp,
}

impl Failure {
    /// The same for the same window of the same source.
    pub fn id(&self) -> Uuid {
        let mut hasher = blake3::Hasher::new();
        let Window {
            range,
            clock,
            outcome,
            code,
        } = &self.window;
        for part in [&self.source, clock.name(), outcome.name(), code] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        for time in [range.start, range.end] {
            hasher.update(&time.micros().to_le_bytes());
        }
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_at(16);
        Uuid::from_slice(first).expect("16 bytes are a UUID")
    }
}

impl Window {
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }

    /// The lines that it adds to, and what. Nothing is covered that had not happened yet, or,
    /// by event time, that could not be found yet.
    pub fn adds(&self, source: &str, received_at: Timestamp) -> Vec<(Line, TimeRange)> {
        let days = match (self.outcome, self.clock) {
            (Outcome::Partial | Outcome::Failed, _) => return Vec::new(),
            (Outcome::Complete, Clock::ContentCreated) => 0..=0,
            (Outcome::Complete, Clock::EventTime) => SETTLED_DAYS,
        };
        let add = |settled_days: i64| {
            let line = Line {
                source: source.to_owned(),
                clock: self.clock,
                settled_days,
            };
            let mut found = received_at.plus(-settled_days * DAY);
            if self.clock == Clock::EventTime {
                // the same search again, a moment later, is no news
                found = found.plus(-found.micros().rem_euclid(HOUR));
            }
            let range = TimeRange {
                start: self.range.start,
                end: self.range.end.min(found),
            };
            (line, range)
        };
        let adds = days.map(add);
        adds.filter(|(_, range)| !range.is_empty()).collect()
    }
}

/// A period between covered ones that is not covered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub clock: Clock,
    pub range: TimeRange,
    /// Messages sent in it may be missing.
    pub sent: TimeRange,
    /// `None`: it is lost. Microsoft serves nothing of it any more.
    pub served_until: Option<Timestamp>,
}

/// Why there is no evidence of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Nobody has said when it was sent, and that would tell.
    SendTimeUnknown,
    /// It may still come.
    Open,
    /// Of its time not all was fetched, and Microsoft no longer serves the rest.
    Lost,
    /// Its time is completely covered.
    Complete,
}

/// What all sources together have covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By the creation of content.
    content: Intervals,
    /// By event time: what was at least so many days old when it was searched.
    searched: [Intervals; 5],
    lag: Lag,
}

impl Coverage {
    pub fn new(covered: impl IntoIterator<Item = (Clock, i64, TimeRange)>, lag: Lag) -> Self {
        let mut coverage = Self {
            lag,
            ..Self::default()
        };
        for (clock, settled_days, range) in covered {
            match clock {
                Clock::ContentCreated => coverage.content.add(range),
                Clock::EventTime => {
                    let at = usize::try_from(settled_days - SETTLED_DAYS.start());
                    let set = at.ok().and_then(|at| coverage.searched.get_mut(at));
                    set.into_iter().for_each(|set| set.add(range));
                }
            }
        }
        coverage
    }

    /// No window has covered anything.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.searched[0].is_empty()
    }

    pub fn lag(&self) -> &Lag {
        &self.lag
    }

    /// How long a record may take until it can be fetched, in microseconds.
    pub fn allowance(&self) -> i64 {
        let slowest = self.lag.permille(999);
        let slowest = slowest.filter(|_| self.lag.events() >= TELLING_EVENTS);
        slowest.map_or(LEAST_ALLOWANCE, |lag| {
            lag.clamp(LEAST_ALLOWANCE, MOST_ALLOWANCE)
        })
    }

    /// The allowance in whole days, and never less: one of [`SETTLED_DAYS`].
    pub fn settled_days(&self) -> i64 {
        (self.allowance() + DAY - 1) / DAY
    }

    /// Send times that are completely covered because they were searched for.
    fn searched(&self) -> &Intervals {
        let at = usize::try_from(self.settled_days() - SETTLED_DAYS.start());
        &self.searched[at.expect("an allowance is a day at least")]
    }

    /// All send times that are completely covered.
    fn complete_times(&self) -> Intervals {
        let mut complete = self.content.shortened(self.allowance());
        complete.extend(self.searched().iter());
        complete
    }

    /// Why there is no evidence of a message that was sent at this time.
    pub fn absence(&self, sent_at: Option<Timestamp>, now: Timestamp) -> Absence {
        let Some(sent_at) = sent_at else {
            return if self.is_empty() {
                Absence::Open
            } else {
                Absence::SendTimeUnknown
            };
        };
        if self.searched().around(sent_at).is_some() {
            return Absence::Complete;
        }
        let needed = TimeRange {
            start: sent_at,
            end: sent_at.plus(self.allowance() + 1),
        };
        match self.content.gaps(needed).end() {
            None => Absence::Complete,
            Some(end) if end <= lost_before(now) && !self.is_empty() => Absence::Lost,
            Some(_) => Absence::Open,
        }
    }

    /// From the first send time that is completely covered until here all are, or are lost.
    /// `None`: none is.
    pub fn complete(&self, now: Timestamp) -> Option<TimeRange> {
        let complete = self.complete_times();
        let hull = complete.hull()?;
        // what is lost holds nothing back, but says nothing of what comes behind all windows
        let mut settled = self.content.clone();
        settled.add(TimeRange {
            start: hull.start,
            end: lost_before(now),
        });
        let mut settled = settled.shortened(self.allowance());
        settled.extend(self.searched().iter());
        let run = settled.around(hull.start)?;
        Some(TimeRange {
            start: hull.start,
            end: run.end.min(hull.end),
        })
    }

    /// In the order of the send times that they concern.
    pub fn gaps(&self, now: Timestamp) -> Vec<Gap> {
        let allowance = self.allowance();
        let mut gaps = Vec::new();
        // by send time, between what was searched and what was fetched as content
        let mut reached = self.searched().clone();
        if let Some(content) = self.content.hull() {
            for range in self.content.gaps(content).iter() {
                gaps.extend(split(Clock::ContentCreated, range, allowance, now));
            }
            reached.add(TimeRange {
                start: content.start,
                end: content.end.plus(-allowance),
            });
        }
        if let Some(hull) = reached.hull() {
            for range in reached.gaps(hull).iter() {
                gaps.extend(split(Clock::EventTime, range, 0, now));
            }
        }
        // a search has found what the contents would have told
        gaps.retain(|gap| !self.searched().covers(gap.sent));
        gaps.sort_by_key(|gap| (gap.sent.start, gap.range.start));
        gaps
    }
}

/// What was created before it is no longer served.
fn lost_before(now: Timestamp) -> Timestamp {
    now.plus(-SERVED)
}

/// A gap of which a part is lost becomes two.
fn split(clock: Clock, range: TimeRange, allowance: i64, now: Timestamp) -> Vec<Gap> {
    let lost_before = lost_before(now).clamp(range.start, range.end);
    let parts = [(range.start, lost_before), (lost_before, range.end)];
    let parts = parts.map(|(start, end)| TimeRange { start, end });
    let gap = |(range, is_lost): (TimeRange, bool)| Gap {
        clock,
        range,
        sent: TimeRange {
            start: range.start.plus(-allowance),
            end: range.end,
        },
        served_until: (!is_lost).then(|| range.start.plus(SERVED)),
    };
    let parts = parts.into_iter().zip([true, false]);
    let parts = parts.filter(|(range, _)| !range.is_empty());
    parts.map(gap).collect()
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
