//! The period of a report, cut into days, weeks or months of its time zone.

use crate::domain::{
    TimeRange, Timestamp,
    summary::Zone,
    time::{DAY, HOUR, MINUTE},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Step {
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// Most columns that a picture has of days, and of weeks.
const MOST_DAYS: i64 = 62;
const MOST_WEEKS: i64 = 62;

pub(super) struct Axis {
    pub range: TimeRange,
    pub zone: Zone,
    pub step: Step,
    /// One after the other and without gaps, the first and the last cut to the range.
    pub periods: Vec<Period>,
}

pub(super) struct Period {
    pub range: TimeRange,
    /// Its first day: `2 Mar 2026`, `Mar 2026` of a month.
    pub label: String,
}

impl Axis {
    /// Of a range that is not empty.
    pub fn of(range: TimeRange, zone: Zone) -> Self {
        let last = Timestamp::from_micros(range.end.micros() - 1);
        let (first, last) = (day_of(&zone, range.start), day_of(&zone, last));
        let days = last - first + 1;
        let step = match days {
            ..=MOST_DAYS => Step::Day,
            days if days <= MOST_WEEKS * 7 => Step::Week,
            _ => Step::Month,
        };
        let is_start = |day: i64| match step {
            Step::Day => true,
            Step::Week => weekday(day) == 0,
            Step::Month => civil(day).2 == 1,
        };
        let starts = (first..=last).filter(|day| *day == first || is_start(*day));
        let starts: Vec<i64> = starts.collect();
        let at = |day: i64| zone.first_moment(i32::try_from(day).unwrap_or(i32::MAX));
        let mut periods: Vec<Period> = Vec::new();
        for (number, day) in starts.iter().enumerate() {
            let next = starts.get(number + 1).map_or(range.end, |day| at(*day));
            let period = TimeRange {
                start: at(*day).max(range.start),
                end: next.min(range.end),
            };
            // a day that the zone leaves out
            if !period.is_empty() {
                periods.push(Period {
                    range: period,
                    label: label(*day, step),
                });
            }
        }
        Self {
            range,
            zone,
            step,
            periods,
        }
    }

    /// Which period a time is in; of times outside the nearest one.
    pub fn index(&self, time: Timestamp) -> usize {
        let behind = self.periods.partition_point(|one| one.range.start <= time);
        behind.saturating_sub(1)
    }

    /// Monday is 0, and the hour, by the clock of the zone.
    pub fn weekday_and_hour(&self, time: Timestamp) -> (usize, usize) {
        let local = time.micros() + self.zone.offset(time);
        let hour = local.rem_euclid(DAY) / HOUR;
        let weekday = weekday(local.div_euclid(DAY));
        (
            usize::try_from(weekday).unwrap_or(0),
            usize::try_from(hour).unwrap_or(0),
        )
    }

    /// `2 Mar 2026, 09:14`
    pub fn moment(&self, time: Timestamp) -> String {
        let local = time.micros() + self.zone.offset(time);
        let (hour, minute) = (
            local.rem_euclid(DAY) / HOUR,
            local.rem_euclid(HOUR) / MINUTE,
        );
        let day = label(local.div_euclid(DAY), Step::Day);
        format!("{day}, {hour:02}:{minute:02}")
    }

    /// A moment that ends something: midnight is of the day before.
    pub fn last_day(&self, end: Timestamp) -> String {
        label(
            day_of(&self.zone, Timestamp::from_micros(end.micros() - 1)),
            Step::Day,
        )
    }

    pub fn first_day(&self, start: Timestamp) -> String {
        label(day_of(&self.zone, start), Step::Day)
    }

    /// The range begins and ends with days of the zone.
    pub fn is_of_whole_days(&self) -> bool {
        let is_midnight = |time: Timestamp| {
            let day = day_of(&self.zone, time);
            self.zone
                .first_moment(i32::try_from(day).unwrap_or(i32::MAX))
                == time
        };
        is_midnight(self.range.start) && is_midnight(self.range.end)
    }
}

/// A day that somebody has named (`2026-03-01`): its first moment in the zone.
pub(super) fn first_moment(zone: &Zone, day: &str) -> Option<Timestamp> {
    let utc = Timestamp::parse(&format!("{day}T00:00:00"))?;
    let number = i32::try_from(utc.micros().div_euclid(DAY)).ok()?;
    Some(zone.first_moment(number))
}

/// Days since 1970-01-01.
fn day_of(zone: &Zone, time: Timestamp) -> i64 {
    (time.micros() + zone.offset(time)).div_euclid(DAY)
}

/// 1970-01-01 was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Year, month and day.
fn civil(day: i64) -> (i64, usize, i64) {
    let text = Timestamp::from_micros(day.saturating_mul(DAY)).to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let month = part(5, 7).and_then(|month: i64| usize::try_from(month).ok());
    (
        part(0, 4).unwrap_or(1970),
        month.unwrap_or(1),
        part(8, 10).unwrap_or(1),
    )
}

fn label(day: i64, step: Step) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day) = civil(day);
    let month = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&"");
    match step {
        // spaces at which no line ends
        Step::Month => format!("{month}\u{a0}{year}"),
        Step::Day | Step::Week => format!("{day}\u{a0}{month}\u{a0}{year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(start: &str, end: &str, zone: &str) -> Axis {
        let time = |text| Timestamp::parse(text).unwrap();
        let range = TimeRange {
            start: time(start),
            end: time(end),
        };
        Axis::of(range, Zone::named(zone).unwrap())
    }

    #[test]
    fn periods_are_those_of_the_clock() {
        let march = axis(
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
            "Europe/Berlin",
        );
        assert_eq!((march.step, march.periods.len()), (Step::Day, 31));
        assert!(march.is_of_whole_days());
        assert_eq!(march.periods[0].label, "1\u{a0}Mar\u{a0}2026");
        let hours = |day: usize| {
            let range = march.periods[day].range;
            (range.end.micros() - range.start.micros()) / HOUR
        };
        assert_eq!((hours(27), hours(28), hours(29)), (24, 23, 24));
        assert_eq!(march.last_day(march.range.end), "31\u{a0}Mar\u{a0}2026");
        let at = Timestamp::parse("2026-03-29T22:30:00Z").unwrap();
        assert_eq!(march.index(at), 29);
        assert_eq!(march.weekday_and_hour(at), (0, 0));
        assert_eq!(march.moment(at), "30\u{a0}Mar\u{a0}2026, 00:30");
        assert_eq!(march.index(march.range.end), 30);

        let part = axis("2026-03-04T12:00:00Z", "2026-06-10T12:00:00Z", "");
        assert_eq!((part.step, part.periods.len()), (Step::Week, 15));
        assert!(!part.is_of_whole_days());
        assert_eq!(part.periods[1].label, "9\u{a0}Mar\u{a0}2026");
        let years = axis("2025-01-15T00:00:00Z", "2026-12-31T00:00:00Z", "");
        assert_eq!((years.step, years.periods.len()), (Step::Month, 24));
        assert_eq!(years.periods[1].label, "Feb\u{a0}2025");
        for axis in [&march, &part, &years] {
            let periods = &axis.periods;
            let touches = |two: &[Period]| two[0].range.end == two[1].range.start;
            assert!(periods.windows(2).all(touches));
            assert_eq!(periods[0].range.start, axis.range.start);
            assert_eq!(periods[periods.len() - 1].range.end, axis.range.end);
        }
    }
}
