//! Points in time as audit records write them.

use jiff::{Timestamp, tz::Offset};

/// .NET ticks (100 ns since 0001-01-01) at 1970-01-01.
const EPOCH_TICKS: i64 = 621_355_968_000_000_000;

/// Milliseconds since 1970-01-01 UTC; never before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1_000)
    }

    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0 + ms)
    }

    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_ms(seconds * 1_000)
    }

    pub const fn ms(self) -> i64 {
        self.0
    }

    /// `CreationTime`: `2021-07-19T17:55:04`, without a `Z`.
    pub fn native(self) -> String {
        let at = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        let at = Offset::UTC.to_datetime(at);
        let (year, month, day) = (at.year(), at.month(), at.day());
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// The last 12 hexadecimal digits that the record `Id` of this moment has.
    pub fn ticks_of_id(self) -> u64 {
        let ticks = (EPOCH_TICKS + self.0 * 10_000).unsigned_abs();
        (ticks >> 16) & 0xffff_ffff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_microsoft_writes_it() {
        let moment = Moment::from_seconds(1_626_717_304).plus_ms(999);
        assert_eq!(moment.native(), "2021-07-19T17:55:04");
        let moment = moment.plus_seconds(-1_626_717_304);
        assert_eq!(moment.native(), "1970-01-01T00:00:00");
    }

    /// Of a published record: `20fd5006-645b-42be-e9de-08db592255ac`, 2023-05-20T11:07:00.
    #[test]
    fn the_id_tells_the_time() {
        let at = Moment::from_seconds(1_684_580_820);
        assert_eq!(at.native(), "2023-05-20T11:07:00");
        let steps = 0x08db_5922_55ac_u64.abs_diff(at.ticks_of_id());
        assert!(steps < 160, "within 1.02 s, in steps of 6.55 ms: {steps}");
    }
}
