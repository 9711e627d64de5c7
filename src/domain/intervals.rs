//! A set of times.

use super::{TimeRange, Timestamp};

/// Half-open periods that neither overlap nor touch, in order. As it is a set, it does not
/// matter in which order, how often and how overlapping they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<TimeRange>);

impl Intervals {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = TimeRange> + ExactSizeIterator {
        self.0.iter().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first time that is in it.
    pub fn start(&self) -> Option<Timestamp> {
        self.0.first().map(|first| first.start)
    }

    /// Behind the last time that is in it.
    pub fn end(&self) -> Option<Timestamp> {
        self.0.last().map(|last| last.end)
    }

    /// From its first time to its last one.
    pub fn hull(&self) -> Option<TimeRange> {
        let (start, end) = self.start().zip(self.end())?;
        Some(TimeRange { start, end })
    }

    /// An empty period adds nothing.
    pub fn add(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        // those that it touches
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        let mut merged = range;
        if let (Some(first), Some(last)) = (self.0[from..to].first(), self.0[from..to].last()) {
            merged.start = merged.start.min(first.start);
            merged.end = merged.end.max(last.end);
        }
        self.0.splice(from..to, [merged]);
    }

    /// The period that holds this time.
    pub fn around(&self, time: Timestamp) -> Option<TimeRange> {
        let after = self.0.partition_point(|known| known.start <= time);
        let known = *self.0.get(after.checked_sub(1)?)?;
        (time < known.end).then_some(known)
    }

    /// All of the period is in it.
    pub fn covers(&self, range: TimeRange) -> bool {
        let around = self.around(range.start);
        range.is_empty() || around.is_some_and(|known| range.end <= known.end)
    }

    /// What of the period is not in it.
    pub fn gaps(&self, range: TimeRange) -> Self {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let first = self.0.partition_point(|known| known.end <= range.start);
        for known in &self.0[first..] {
            if known.start >= range.end {
                break;
            }
            if at < known.start {
                gaps.push(TimeRange {
                    start: at,
                    end: known.start,
                });
            }
            at = known.end;
        }
        if at < range.end {
            gaps.push(TimeRange {
                start: at,
                end: range.end,
            });
        }
        Self(gaps)
    }

    /// The times after which so much more (in microseconds) is in it without a gap.
    pub fn shortened(&self, by: i64) -> Self {
        let shorter = self.0.iter().map(|known| TimeRange {
            start: known.start,
            end: known.end.plus(-by),
        });
        Self(shorter.filter(|shorter| !shorter.is_empty()).collect())
    }
}

impl Extend<TimeRange> for Intervals {
    fn extend<T: IntoIterator<Item = TimeRange>>(&mut self, ranges: T) {
        for range in ranges {
            self.add(range);
        }
    }
}

impl FromIterator<TimeRange> for Intervals {
    fn from_iter<T: IntoIterator<Item = TimeRange>>(ranges: T) -> Self {
        let mut set = Self::default();
        set.extend(ranges);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Times of the tests are few, so that periods touch, overlap and are empty.
    const TIMES: usize = 60;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange {
            start: Timestamp::from_micros(start),
            end: Timestamp::from_micros(end),
        }
    }

    fn ranges() -> impl Strategy<Value = Vec<TimeRange>> {
        let one = (0..TIMES as i64, 0..12i64);
        let one = one.prop_map(|(start, length)| range(start, (start + length).min(TIMES as i64)));
        prop::collection::vec(one, 0..25)
    }

    /// The same set, time by time.
    fn bitmap(ranges: impl IntoIterator<Item = TimeRange>) -> [bool; TIMES] {
        let mut bits = [false; TIMES];
        for range in ranges {
            for at in range.start.micros()..range.end.micros() {
                bits[at as usize] = true;
            }
        }
        bits
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_set_of_its_times(ranges in ranges(), start in 0..TIMES as i64, length in 0..30i64, by in 0..15i64) {
            let set: Intervals = ranges.iter().copied().collect();
            let bits = bitmap(ranges.iter().copied());
            prop_assert_eq!(bitmap(set.iter()), bits);
            let known: Vec<TimeRange> = set.iter().collect();
            prop_assert!(known.iter().all(|one| !one.is_empty()));
            prop_assert!(known.windows(2).all(|two| two[0].end < two[1].start), "they are apart");
            let hull = known.first().zip(known.last()).map(|(first, last)| TimeRange { start: first.start, end: last.end });
            prop_assert_eq!(set.hull(), hull);
            prop_assert_eq!(set.is_empty(), known.is_empty());

            let asked = range(start, (start + length).min(TIMES as i64));
            let inside = start as usize..asked.end.micros() as usize;
            prop_assert_eq!(set.covers(asked), inside.clone().all(|at| bits[at]));
            let gaps = set.gaps(asked);
            prop_assert!(gaps.iter().all(|gap| !gap.is_empty()));
            let missing = bitmap(gaps.iter());
            for (at, is_missing) in missing.into_iter().enumerate() {
                prop_assert_eq!(is_missing, inside.contains(&at) && !bits[at]);
            }
            let around = set.around(asked.start);
            prop_assert_eq!(around.is_some(), bits[start as usize]);

            let shortened = bitmap(set.shortened(by).iter());
            for (at, is_in) in shortened.into_iter().enumerate() {
                let rest = at..=at + by as usize;
                let whole = rest.into_iter().all(|at| bits.get(at).is_some_and(|bit| *bit));
                prop_assert_eq!(is_in, whole, "{}", at);
            }
        }

        #[test]
        fn order_and_repeats_do_not_matter(ranges in ranges(), turn in any::<prop::sample::Index>()) {
            let set: Intervals = ranges.iter().copied().collect();
            let turn = if ranges.is_empty() { 0 } else { turn.index(ranges.len()) };
            let (front, back) = ranges.split_at(turn);
            let other: Intervals = back.iter().rev().chain(front).chain(back).copied().collect();
            prop_assert_eq!(set, other);
        }
    }
}
