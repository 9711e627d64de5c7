//! Points in time and periods. Whole microseconds since 1970-01-01 UTC everywhere inside.

use jiff::tz::Offset;
use std::fmt;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// In microseconds.
pub const MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A point in time: microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 2000-01-01: no audit log reaches further back.
    pub const EARLIEST: Self = Self(946_684_800 * MICROS_PER_SECOND);
    /// 2100-01-01: later than this is a broken clock.
    pub const LATEST: Self = Self(4_102_444_800 * MICROS_PER_SECOND);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Without its fraction of a second.
    pub const fn whole_seconds(self) -> Self {
        Self(self.0.div_euclid(MICROS_PER_SECOND) * MICROS_PER_SECOND)
    }

    /// So many microseconds later.
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Within [`Self::EARLIEST`] and [`Self::LATEST`]: what a record or a caller may name.
    pub fn is_plausible(self) -> bool {
        (Self::EARLIEST..Self::LATEST).contains(&self)
    }

    /// The time of an audit record: `2021-07-19T17:55:04`, which is UTC also without the
    /// `Z`, with a fraction or an offset if somebody on the way added one. `None` if it is
    /// no such text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = text.as_bytes();
        if bytes.len() < 19 || !text.is_ascii() {
            return None;
        }
        let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        if separators.iter().any(|&(at, byte)| bytes[at] != byte)
            || !matches!(bytes[10], b'T' | b't' | b' ')
        {
            return None;
        }
        let days = days(
            digits(&bytes[0..4])?,
            digits(&bytes[5..7])?,
            digits(&bytes[8..10])?,
        )?;
        let (hour, minute, second) = (
            digits(&bytes[11..13])?,
            digits(&bytes[14..16])?,
            digits(&bytes[17..19])?,
        );
        // 60 is a leap second; it counts as the second after it
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, zone) = fraction(&bytes[19..])?;
        let seconds = days * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second);
        Some(Self(
            (seconds - offset(zone)?) * MICROS_PER_SECOND + fraction,
        ))
    }
}

/// RFC 3339 in UTC, with a fraction only where there is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = jiff::Timestamp::from_microsecond(self.0) else {
            return write!(f, "{}us", self.0); // outside the calendar
        };
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let time = Offset::UTC.to_datetime(time);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

/// A half-open period `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl TimeRange {
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// They have a time in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end && !self.is_empty() && !other.is_empty()
    }
}

/// Days since 1970-01-01 of a day of the calendar; `None` if there is no such day. By hand, since
/// it is on the way of every record. Years are counted from March: so the leap day is the last
/// of its year, and the months before a month have the same days in every year.
fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    /// Days of 400 years, which are added so that no year is negative.
    const CYCLE: u32 = 146_097;
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: u32 = 719_468;
    let length = LENGTHS.get(month.wrapping_sub(1) as usize)?;
    let is_leap_day = month == 2
        && day == 29
        && year.is_multiple_of(4)
        && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if day == 0 || (day > *length && !is_leap_day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year + 400, month - 3)
    } else {
        (year + 399, month + 9)
    };
    let before = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    Some(i64::from(before + day - 1) - i64::from(CYCLE + EPOCH))
}

/// A number of at most 9 digits.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0'))
    })
}

/// Splits off `.1234567`: its microseconds (further digits are cut), and what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else {
        return Some((0, bytes));
    };
    let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let micros = (0..6).try_fold(0, |n, i| {
        let digit = if i < length { rest[i] - b'0' } else { 0 };
        Some(n * 10 + i64::from(digit))
    })?;
    Some((micros, &rest[length..]))
}

/// Seconds east of UTC of `Z`, `+hh:mm`, `+hhmm` or nothing.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest.len() {
        4 => (&rest[..2], &rest[2..]),
        5 if rest[2] == b':' => (&rest[..2], &rest[3..]),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * i64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_of_one_instant_is_the_same() {
        let forms = [
            "2021-07-19T17:55:04",
            "2021-07-19T17:55:04Z",
            " 2021-07-19T17:55:04.000Z ",
            "2021-07-19 17:55:04.0000000Z",
            "2021-07-19T19:55:04+02:00",
            "2021-07-19T12:55:04-0500",
        ];
        for form in forms {
            let time = Timestamp::parse(form).expect(form);
            assert_eq!(time.to_string(), "2021-07-19T17:55:04Z", "{form}");
            assert_eq!(time.micros(), 1_626_717_304_000_000, "{form}");
        }
        let precise = Timestamp::parse("2024-02-29T00:00:00.1234567Z").expect("leap day");
        assert_eq!(precise.to_string(), "2024-02-29T00:00:00.123456Z");
        let whole = precise.whole_seconds();
        assert_eq!(whole.to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(whole.whole_seconds(), whole);
    }

    #[test]
    fn the_calendar_is_that_of_the_library() {
        let (mut date, mut number) = (jiff::civil::date(0, 1, 1), -719_528);
        loop {
            let year = date.year().unsigned_abs().into();
            let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
            let (month, day) = (month.into(), day.into());
            assert_eq!(days(year, month, day), Some(number));
            let Ok(next) = date.tomorrow() else { break };
            if next.month() != date.month() {
                assert_eq!(days(year, month, day + 1), None);
            }
            (date, number) = (next, number + 1);
        }
        assert_eq!(days(2026, 0, 1), None);
        assert_eq!(days(2026, 13, 1), None);
        assert_eq!(days(2026, 1, 0), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2021-07-19",
            "2021-02-30T00:00:00",
            "2021-13-01T00:00:00",
            "2021-01-01T24:00:00",
            "2021-01-01T00:00:00.",
            "2021-01-01T00:00:00+1",
            "2021-01-01T00:00:00 garbage",
            "7/19/2021 5:55:04 PM",
            "2021-07-19T17:55:0\u{664}",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_part_of_a_time_has_its_limits() {
        for (text, expected) in [
            ("2021-07-19t23:59:59z", "2021-07-19T23:59:59Z"),
            ("2021-07-19T23:59:60", "2021-07-20T00:00:00Z"),
            ("2021-07-19T00:00:00.5", "2021-07-19T00:00:00.500000Z"),
            ("2021-07-19T00:00:00.0001", "2021-07-19T00:00:00.000100Z"),
            (
                "2021-07-19T00:00:00.123456999-00:30",
                "2021-07-19T00:30:00.123456Z",
            ),
            ("2021-07-19T23:59:00+23:59", "2021-07-19T00:00:00Z"),
            ("2021-07-19T00:00:00-2359", "2021-07-19T23:59:00Z"),
        ] {
            let time = Timestamp::parse(text).expect(text);
            assert_eq!(time.to_string(), expected, "{text}");
        }
        for text in [
            "2021-07-19T23:60:00",
            "2021-07-19T23:59:61",
            "2021-07-19T00:00:00+24:00",
            "2021-07-19T00:00:00+00:60",
            "2021-07-19T00:00:00+00.00",
            "2021-07-19T00:00:00+0",
            "2021-07-19T00:00:00ZZ",
            "2021-07-19T00:00:00.Z",
            "2021-07-19T00:00:0",
            "2021-07-19T00:00:0x",
            "2021/07-19T00:00:00",
            "2021-07/19T00:00:00",
            "2021-07-19T00.00:00",
            "2021-07-19T00:00.00",
            "2021-07-19x00:00:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_that_may_be_named() {
        assert_eq!(Timestamp::EARLIEST.to_string(), "2000-01-01T00:00:00Z");
        assert_eq!(Timestamp::LATEST.to_string(), "2100-01-01T00:00:00Z");
        for (time, is_plausible) in [
            (Timestamp::EARLIEST.plus(-1), false),
            (Timestamp::EARLIEST, true),
            (Timestamp::LATEST.plus(-1), true),
            (Timestamp::LATEST, false),
        ] {
            assert_eq!(time.is_plausible(), is_plausible, "{time}");
        }
        let periods = [MINUTE, HOUR, DAY].map(|period| period / MICROS_PER_SECOND);
        assert_eq!(periods, [60, 3_600, 86_400]);
    }

    #[test]
    fn times_before_1970_and_outside_the_calendar() {
        let before = Timestamp::from_micros(-1);
        assert_eq!(before.to_string(), "1969-12-31T23:59:59.999999Z");
        let whole = before.whole_seconds();
        assert_eq!(whole.to_string(), "1969-12-31T23:59:59Z");
        let last = Timestamp::from_micros(i64::MAX);
        assert_eq!(last.to_string(), "9223372036854775807us");
        assert_eq!(last.plus(1), last);
    }

    #[test]
    fn periods_that_have_a_time_in_common() {
        let range = |start, end| TimeRange {
            start: Timestamp::from_micros(start),
            end: Timestamp::from_micros(end),
        };
        for (a, b, overlap) in [
            (range(0, 10), range(5, 15), true),
            (range(0, 10), range(2, 3), true),
            (range(0, 10), range(9, 15), true),
            (range(0, 10), range(10, 15), false),
            (range(0, 10), range(20, 30), false),
            (range(0, 10), range(5, 5), false),
        ] {
            assert_eq!(
                (a.overlaps(b), b.overlaps(a)),
                (overlap, overlap),
                "{a:?} {b:?}"
            );
        }
        let empty = [range(0, 1), range(1, 1), range(2, 1)].map(TimeRange::is_empty);
        assert_eq!(empty, [false, true, true]);
    }
}
