//! How long events take until they can be fetched.

use super::time::{DAY, HOUR, MINUTE};

/// The scale, in microseconds. The last step holds all that is longer.
pub const SCALE: [i64; 23] = [
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    45 * MINUTE,
    HOUR,
    90 * MINUTE,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    18 * HOUR,
    DAY,
    36 * HOUR,
    2 * DAY,
    60 * HOUR,
    3 * DAY,
    4 * DAY,
    5 * DAY,
    7 * DAY,
];

/// With so many events all counts are halved: what is older counts less and less.
const MOST_EVENTS: u64 = 1_000_000;

/// A histogram of lags, of a fixed size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag([u64; SCALE.len()]);

impl Lag {
    /// One event more, in microseconds. A negative lag is of a clock that is ahead.
    pub fn add(&mut self, lag: i64) {
        let step = SCALE.partition_point(|bound| *bound < lag);
        self.0[step.min(SCALE.len() - 1)] += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
        while self.events() > MOST_EVENTS {
            self.0.iter_mut().for_each(|count| *count /= 2);
        }
    }

    pub fn events(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub fn is_empty(&self) -> bool {
        self.events() == 0
    }

    /// So many of a thousand events took so long or less, in microseconds. `None`: there are
    /// no events.
    pub fn permille(&self, share: u64) -> Option<i64> {
        let events = u128::from(self.events());
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += u128::from(*count);
            seen > 0 && seen * 1_000 >= events * u128::from(share)
        };
        let step = self.0.iter().position(reached)?;
        Some(SCALE[step])
    }

    /// As it is stored: a count a step, 8 bytes each, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|count| count.to_le_bytes())
            .collect()
    }

    /// `None`: it is no such histogram.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (counts, rest) = bytes.as_chunks::<8>();
        let counts: Vec<u64> = counts
            .iter()
            .map(|count| u64::from_le_bytes(*count))
            .collect();
        let counts = counts.try_into().ok().filter(|_| rest.is_empty())?;
        Some(Self(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lags: &[(i64, u64)]) -> Lag {
        let mut all = Lag::default();
        for (lag, events) in lags {
            (0..*events).for_each(|_| all.add(*lag));
        }
        all
    }

    #[test]
    fn percentiles_are_steps_of_the_scale() {
        // stored histograms depend on it: these values must never change
        let minutes = [
            5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1_080, 1_440, 2_160,
            2_880, 3_600, 4_320, 5_760, 7_200, 10_080,
        ];
        assert_eq!(SCALE, minutes.map(|minutes| minutes * 60_000_000));
        assert_eq!(Lag::default().permille(500), None);
        let one = of(&[(61 * MINUTE, 1)]);
        assert_eq!(one.permille(0), Some(90 * MINUTE));
        assert_eq!(one.permille(999), Some(90 * MINUTE));
        let lag = of(&[
            (-HOUR, 500),
            (HOUR, 400),
            (HOUR + 1, 99),
            (3 * DAY, 1),
            (30 * DAY, 1),
        ]);
        assert_eq!(lag.events(), 1_001);
        assert_eq!(lag.permille(490), Some(5 * MINUTE));
        assert_eq!(lag.permille(500), Some(HOUR));
        assert_eq!(lag.permille(990), Some(90 * MINUTE));
        assert_eq!(lag.permille(999), Some(3 * DAY));
        assert_eq!(lag.permille(1_000), Some(7 * DAY));
    }

    #[test]
    fn it_comes_back_as_it_was_stored() {
        let lag = of(&[(0, 3), (HOUR, 70_000), (9 * DAY, 2)]);
        assert_eq!(Lag::decode(&lag.encode()), Some(lag.clone()));
        for broken in [&lag.encode()[1..], &lag.encode()[8..], &[]] {
            assert_eq!(Lag::decode(broken), None);
        }
    }

    #[test]
    fn old_events_count_less() {
        let mut lag = of(&[(HOUR, 10)]);
        lag.0[0] = MOST_EVENTS;
        lag.merge(&of(&[(HOUR, 2)]));
        assert_eq!((lag.0[0], lag.0[6]), (MOST_EVENTS / 2, 6));
        let mut most = of(&[(HOUR, 1)]);
        most.0[0] = MOST_EVENTS - 1;
        lag = Lag::default();
        lag.merge(&most);
        assert_eq!(lag, most, "not yet");
        assert!(!lag.is_empty() && Lag::default().is_empty());
        lag.0[0] = u64::MAX;
        lag.merge(&of(&[(0, 1)]));
        assert!(lag.events() <= MOST_EVENTS);
    }
}
