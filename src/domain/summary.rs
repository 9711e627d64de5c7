//! How many messages each agent sent from each mailbox in each hour, day or week of a time zone.
//!
//! A bucket is the same calendar hour, day or week of the zone, cut to the range that was asked
//! for. Days have 23 or 25 hours where clocks change, and an hour that occurs twice is two.

use super::{Basis, Side, TimeRange, Timestamp, Verdict};
use jiff::{
    civil::Date,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use std::{collections::BTreeMap, ops::AddAssign};

/// How long a period each row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Hour,
    Day,
    /// Begins on Monday.
    Week,
    /// The whole range.
    Total,
}

impl Bucket {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Total => "TOTAL",
        }
    }
}

/// A time zone by its IANA name. Its rules are part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// In any case; an empty name is UTC. `None`: there is no such zone.
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(Self(TimeZone::UTC));
        }
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (!zone.is_unknown()).then_some(Self(zone))
    }

    /// As it is spelled, `UTC` for an empty one.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// How far its clock is ahead of UTC then, in microseconds.
    pub fn offset(&self, time: Timestamp) -> i64 {
        i64::from(self.0.to_offset(jiff_time(time)).seconds()) * 1_000_000
    }

    /// The first moment of a day, by its number since 1970-01-01.
    pub fn first_moment(&self, day: i32) -> Timestamp {
        self.midnight(plus(Date::constant(1970, 1, 1), day))
    }

    /// The first moment of a day; of one that the zone leaves out, of the next one.
    fn midnight(&self, date: Date) -> Timestamp {
        let zone = &self.0;
        let midnight = zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
        let is_left_out = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        let Ok(mut first) = midnight.compatible() else {
            return Timestamp::LATEST; // outside the calendar
        };
        if is_left_out {
            // clocks go over it: the day begins when they do
            let next = jiff_time(Timestamp::from_micros(first.as_microsecond() + 1));
            let change = zone.preceding(next).next();
            first = change.map_or(first, |change| change.timestamp());
        }
        Timestamp::from_micros(first.as_microsecond())
    }
}

/// The buckets of a range.
#[derive(Clone, Debug)]
pub struct Buckets {
    pub range: TimeRange,
    pub bucket: Bucket,
    pub zone: Zone,
}

impl Buckets {
    /// The bucket of a time inside the range, as the calendar has it: its ends may be outside.
    pub fn whole(&self, time: Timestamp) -> TimeRange {
        match self.bucket {
            Bucket::Total => self.range,
            Bucket::Hour => self.hour(time),
            Bucket::Day => self.days(time, 1),
            Bucket::Week => self.days(time, 7),
        }
    }

    /// The same, cut to the range.
    pub fn containing(&self, time: Timestamp) -> TimeRange {
        let whole = self.whole(time);
        TimeRange {
            start: whole.start.max(self.range.start),
            end: whole.end.min(self.range.end),
        }
    }

    /// Whole hours of the clock between two changes of it.
    fn hour(&self, time: Timestamp) -> TimeRange {
        const HOUR: i64 = 3_600_000_000;
        let zone = &self.zone.0;
        let at = jiff_time(time);
        let offset = i64::from(zone.to_offset(at).seconds()) * 1_000_000;
        let start = (time.micros() + offset).div_euclid(HOUR) * HOUR - offset;
        let (mut start, mut end) = (start, start + HOUR);
        let is_change = |at: jiff::Timestamp| {
            let before = jiff_time(Timestamp::from_micros(at.as_microsecond() - 1));
            zone.to_offset(at) != zone.to_offset(before)
        };
        // what has changed at this very moment has changed before the next microsecond
        let next = jiff_time(Timestamp::from_micros(time.micros() + 1));
        for change in zone.preceding(next) {
            let change = change.timestamp();
            if change.as_microsecond() <= start {
                break;
            }
            if is_change(change) {
                start = change.as_microsecond();
                break;
            }
        }
        for change in zone.following(at) {
            let change = change.timestamp();
            if change.as_microsecond() >= end {
                break;
            }
            if is_change(change) {
                end = change.as_microsecond();
                break;
            }
        }
        TimeRange {
            start: Timestamp::from_micros(start),
            end: Timestamp::from_micros(end),
        }
    }

    /// A day, or the days of a week.
    fn days(&self, time: Timestamp, length: i32) -> TimeRange {
        let mut date = self.zone.0.to_datetime(jiff_time(time)).date();
        if length == 7 {
            date = plus(date, -i32::from(date.weekday().to_monday_zero_offset()));
        }
        // where the clock goes back over midnight, the old day shows again after the new one
        // has begun
        while self.zone.midnight(plus(date, length)) <= time {
            date = plus(date, length);
        }
        TimeRange {
            start: self.zone.midnight(date),
            end: self.zone.midnight(plus(date, length)),
        }
    }

    /// Slots that fall into one bucket each, of all buckets that `span` touches.
    pub fn slots(&self, span: TimeRange) -> Slots {
        let first = self.whole(span.start);
        let origin = first.start;
        let (mut end, mut width) = (first.end, first.end.micros() - origin.micros());
        while end < span.end {
            let bucket = self.whole(end);
            width = common(width, bucket.end.micros() - bucket.start.micros());
            end = bucket.end;
        }
        Slots {
            origin,
            width: width.max(1),
        }
    }
}

fn plus(date: Date, days: i32) -> Date {
    let days = jiff::Span::new().days(days);
    date.saturating_add(days)
}

fn jiff_time(time: Timestamp) -> jiff::Timestamp {
    // a plausible time is far inside
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(jiff::Timestamp::MAX)
}

/// Greatest common divisor.
fn common(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Periods of `width` microseconds, one of which begins at `origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    pub origin: Timestamp,
    pub width: i64,
}

/// What is counted of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub messages: u64,
    /// In the order of [`Verdict::ALL`].
    pub by_verdict: [u64; Verdict::ALL.len()],
    /// In the order of [`Basis::ALL`].
    pub by_basis: [u64; Basis::ALL.len()],
    pub confirmed: u64,
    pub contradicted: u64,
    /// Of `Attributed` those that both sides name and nothing contradicts, and those that
    /// something contradicts; the rest has one side.
    pub both_sides: u64,
    pub disputed: u64,
    /// Messages that the mailbox side is known to have written of, and the agent side.
    pub by_mailbox_side: u64,
    pub by_agent_side: u64,
    /// Inside `messages` too.
    pub without_message_id: u64,
    /// Send times.
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Counts {
    pub fn of_verdict(&self, verdict: Verdict) -> u64 {
        let at = Verdict::ALL.iter().position(|one| *one == verdict);
        at.map_or(0, |at| self.by_verdict[at])
    }

    pub fn of_basis(&self, basis: Basis) -> u64 {
        let at = Basis::ALL.iter().position(|one| *one == basis);
        at.map_or(0, |at| self.by_basis[at])
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        for (sum, more) in self.by_verdict.iter_mut().zip(more.by_verdict) {
            *sum += more;
        }
        for (sum, more) in self.by_basis.iter_mut().zip(more.by_basis) {
            *sum += more;
        }
        self.confirmed += more.confirmed;
        self.contradicted += more.contradicted;
        self.both_sides += more.both_sides;
        self.disputed += more.disputed;
        self.by_mailbox_side += more.by_mailbox_side;
        self.by_agent_side += more.by_agent_side;
        self.without_message_id += more.without_message_id;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// Messages of one slot, mailbox, agent, verdict and basis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Its beginning.
    pub slot: Timestamp,
    pub mailbox: Option<String>,
    pub agent: Option<String>,
    pub verdict: Verdict,
    pub basis: Option<Basis>,
    pub messages: u64,
    pub confirmed: u64,
    pub contradicted: u64,
    /// Confirmed and contradicted.
    pub confirmed_contradicted: u64,
    pub without_message_id: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Tally {
    fn counts(&self) -> Counts {
        let at = |is: bool| if is { self.messages } else { 0 };
        let of_attributed = |number: u64| match self.verdict {
            Verdict::Attributed => number,
            _ => 0,
        };
        let side = self.basis.and_then(Basis::side);
        // what is confirmed has both sides, whichever the basis is of
        let of_side = |one: Side| match side {
            Some(side) if side == one => self.messages,
            _ => self.confirmed,
        };
        Counts {
            messages: self.messages,
            by_verdict: Verdict::ALL.map(|one| at(one == self.verdict)),
            by_basis: Basis::ALL.map(|one| at(Some(one) == self.basis)),
            confirmed: self.confirmed,
            contradicted: self.contradicted,
            both_sides: of_attributed(self.confirmed.saturating_sub(self.confirmed_contradicted)),
            disputed: of_attributed(self.contradicted),
            by_mailbox_side: of_side(Side::Mailbox),
            by_agent_side: of_side(Side::Agent),
            without_message_id: self.without_message_id,
            first: self.first,
            last: self.last,
        }
    }
}

/// Names a row, and orders rows: by the start of the bucket, then mailbox, then agent. Empty
/// where there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    pub bucket: Timestamp,
    pub mailbox: String,
    pub agent: String,
}

/// The messages of one agent from one mailbox in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    pub bucket: TimeRange,
    pub mailbox: String,
    pub agent: String,
    pub counts: Counts,
}

/// Adds tallies up to the first rows from a place on. Holds no more than these, however many
/// there are.
#[derive(Debug)]
pub struct Fold {
    buckets: Buckets,
    from: Option<RowKey>,
    most: usize,
    rows: BTreeMap<RowKey, Counts>,
    /// The bucket of the last tally, whole: the next one is mostly of the same.
    last: TimeRange,
}

impl Fold {
    /// The first `most` rows at `from` or behind it.
    pub fn new(buckets: Buckets, from: Option<RowKey>, most: usize) -> Self {
        Self {
            buckets,
            from,
            most: most.max(1),
            rows: BTreeMap::new(),
            last: TimeRange {
                start: Timestamp::LATEST,
                end: Timestamp::EARLIEST,
            },
        }
    }

    pub fn add(&mut self, tally: Tally) {
        let counts = tally.counts();
        if !(self.last.start..self.last.end).contains(&tally.slot) {
            self.last = self.buckets.whole(tally.slot);
        }
        let key = RowKey {
            bucket: self.last.start.max(self.buckets.range.start),
            mailbox: tally.mailbox.unwrap_or_default(),
            agent: tally.agent.unwrap_or_default(),
        };
        if self.from.as_ref().is_some_and(|from| key < *from) {
            return;
        }
        if let Some(row) = self.rows.get_mut(&key) {
            *row += counts;
            return;
        }
        self.rows.insert(key, counts);
        if self.rows.len() > self.most {
            // so many are before it already, and none of them goes away
            self.rows.pop_last();
        }
    }

    /// Whether nothing sent at `time` or later can change a row any more, or add one.
    pub fn is_full(&self, time: Timestamp) -> bool {
        self.rows.len() == self.most
            && self
                .rows
                .last_key_value()
                .is_some_and(|(key, _)| self.buckets.containing(key.bucket).end <= time)
    }

    /// In their order.
    pub fn into_rows(self) -> Vec<SummaryRow> {
        let rows = self.rows.into_iter().map(|(key, counts)| SummaryRow {
            bucket: self.buckets.containing(key.bucket),
            mailbox: key.mailbox,
            agent: key.agent,
            counts,
        });
        rows.collect()
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
