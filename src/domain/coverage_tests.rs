//! What follows from windows, against the same told hour by hour.

use super::*;
use proptest::prelude::*;

/// Hours of a story; windows begin and end at whole ones.
const HOURS: i64 = 24 * 20;
/// The allowance without a telling lag.
const ALLOWANCE: i64 = 24;
const WEEK: i64 = 7 * 24;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(1_772_323_200_000_000 + hour * HOUR)
}

fn hours(start: i64, end: i64) -> TimeRange {
    TimeRange {
        start: at(start),
        end: at(end),
    }
}

fn of(content: &[(i64, i64)], searched: &[(i64, i64)]) -> Coverage {
    let all = |clock, days, ranges: &[(i64, i64)]| {
        let ranges = ranges
            .iter()
            .map(move |(start, end)| (clock, days, hours(*start, *end)));
        ranges.collect::<Vec<_>>()
    };
    let covered = all(Clock::ContentCreated, 0, content);
    let searched = all(Clock::EventTime, 1, searched);
    Coverage::new(covered.into_iter().chain(searched), Lag::default())
}

#[test]
fn a_missing_hour_is_named_exactly_and_holds_the_rest_back_until_it_is_lost() {
    let feed = of(&[(0, 100)], &[]);
    assert_eq!(feed.complete(at(100)), Some(hours(0, 76)));
    assert_eq!(feed.gaps(at(100)), []);

    let gapped = of(&[(0, 50), (51, 100)], &[]);
    let gap = Gap {
        clock: Clock::ContentCreated,
        range: hours(50, 51),
        sent: hours(26, 51),
        served_until: Some(at(50 + WEEK)),
    };
    assert_eq!(gapped.gaps(at(100)), [gap]);
    assert_eq!(gapped.complete(at(100)), Some(hours(0, 26)));
    for (hour, absence) in [
        (25, Absence::Complete),
        (26, Absence::Open),
        (50, Absence::Open),
        (51, Absence::Complete),
    ] {
        assert_eq!(gapped.absence(Some(at(hour)), at(100)), absence, "{hour}");
    }
    // a week later it is lost: it stays listed, and holds nothing back
    let later = at(51 + WEEK);
    assert_eq!(
        gapped.gaps(later),
        [Gap {
            served_until: None,
            ..gap
        }]
    );
    assert_eq!(gapped.complete(later), Some(hours(0, 76)));
    assert_eq!(gapped.absence(Some(at(26)), later), Absence::Lost);
    // a search of the time of its messages closes it, at any time
    assert_eq!(of(&[(0, 50), (51, 100)], &[(26, 51)]), {
        let mut closed = gapped.clone();
        closed.searched[0].add(hours(26, 51));
        closed
    });
    let closed = of(&[(0, 50), (51, 100)], &[(26, 51)]);
    assert_eq!(closed.gaps(later), []);
    assert_eq!(closed.complete(at(100)), Some(hours(0, 76)));
    // one of less than that does not
    let half = of(&[(0, 50), (51, 100)], &[(26, 50)]);
    assert_eq!(half.gaps(at(100)), [gap]);
    assert_eq!(half.complete(at(100)), Some(hours(0, 50)));
}

#[test]
fn a_gap_that_is_served_in_part_is_two() {
    let feed = of(&[(0, 50), (60, 300)], &[]);
    let gaps = feed.gaps(at(55 + WEEK));
    let told: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.range, gap.served_until))
        .collect();
    assert_eq!(
        told,
        [(hours(50, 55), None), (hours(55, 60), Some(at(55 + WEEK)))]
    );
}

#[test]
fn what_nobody_covers_says_nothing() {
    let none = Coverage::default();
    assert!(none.is_empty());
    assert_eq!(none.complete(at(0)), None);
    assert_eq!(none.gaps(at(0)), []);
    assert_eq!(none.absence(None, at(0)), Absence::Open);
    assert_eq!(none.absence(Some(at(-9_000)), at(0)), Absence::Open);
    // some is covered, but nothing completely
    let little = of(&[(0, 24)], &[]);
    assert_eq!(little.complete(at(24)), None);
    assert_eq!(little.absence(None, at(24)), Absence::SendTimeUnknown);
    assert_eq!(little.absence(Some(at(0)), at(24)), Absence::Open);
    assert_eq!(little.absence(Some(at(-9_000)), at(24)), Absence::Lost);
}

#[test]
fn a_collector_that_has_died_completes_nothing() {
    let feed = of(&[(0, 100)], &[]);
    assert_eq!(feed.complete(at(9_000)), Some(hours(0, 76)));
    // back again: what could still be fetched goes on behind a lost gap
    let back = of(&[(0, 100), (9_000 - WEEK, 9_000)], &[]);
    assert_eq!(back.complete(at(9_000)), Some(hours(0, 9_000 - 24)));
    assert_eq!(back.gaps(at(9_000)).len(), 1);
}

#[test]
fn an_export_and_what_was_collected_after_it_are_one() {
    let both = of(&[(500, 600)], &[(0, 400)]);
    let gap = Gap {
        clock: Clock::EventTime,
        range: hours(400, 500),
        sent: hours(400, 500),
        served_until: Some(at(400 + WEEK)),
    };
    assert_eq!(both.gaps(at(560)), [gap]);
    assert_eq!(both.complete(at(560)), Some(hours(0, 400)));
    assert_eq!(both.complete(at(500 + WEEK)), Some(hours(0, 576)));
}

#[test]
fn a_window_covers_what_there_was_to_find() {
    let window = |clock, outcome| Window {
        range: hours(0, 100),
        clock,
        outcome,
        code: String::new(),
    };
    let adds = |clock, outcome, received| -> Vec<_> {
        let adds = window(clock, outcome).adds("me", at(received)).into_iter();
        adds.map(|(line, range)| (line.settled_days, range))
            .collect()
    };
    let content = Clock::ContentCreated;
    assert_eq!(adds(content, Outcome::Complete, 200), [(0, hours(0, 100))]);
    assert_eq!(adds(content, Outcome::Complete, 70), [(0, hours(0, 70))]);
    assert_eq!(adds(content, Outcome::Complete, 0), []);
    for outcome in [Outcome::Partial, Outcome::Failed] {
        assert_eq!(adds(content, outcome, 200), []);
        assert_eq!(adds(Clock::EventTime, outcome, 200), []);
    }
    let found = adds(Clock::EventTime, Outcome::Complete, 130);
    let later = window(Clock::EventTime, Outcome::Complete).adds("me", at(131).plus(-1));
    assert_eq!(later.len(), found.len());
    for ((line, range), found) in later.into_iter().zip(&found) {
        assert_eq!((line.settled_days, range), *found, "to the hour");
    }
    let ends = [100, 82, 58, 34, 10];
    let expected: Vec<_> = (1..)
        .zip(ends)
        .map(|(days, end)| (days, hours(0, end)))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        adds(Clock::EventTime, Outcome::Complete, 30),
        [(1, hours(0, 6))]
    );
}

#[test]
fn late_events_raise_the_allowance() {
    let lag = |late: i64, events: usize| {
        let mut lag = Lag::default();
        (0..events).for_each(|_| lag.add(HOUR));
        (0..2).for_each(|_| lag.add(late));
        lag
    };
    let of = |lag| Coverage::new([(Clock::ContentCreated, 0, hours(0, 300))], lag);
    for (late, events, expected, days) in [
        (2 * HOUR, 2_000, 24, 1),
        (30 * HOUR, 997, 24, 1), // so few tell nothing
        (30 * HOUR, 998, 36, 2),
        (30 * HOUR, 5_000, 24, 1),
        (30 * DAY, 998, 120, 5),
    ] {
        let coverage = of(lag(late, events));
        assert_eq!(*coverage.lag(), lag(late, events));
        assert_eq!(coverage.allowance(), expected * HOUR);
        assert_eq!(coverage.settled_days(), days);
        assert_eq!(coverage.complete(at(300)), Some(hours(0, 300 - expected)));
    }
    // what was searched too early for it counts no more
    let searched = |lag| {
        Coverage::new(
            (1..=5).map(|days| (Clock::EventTime, days, hours(0, 300 - 24 * days))),
            lag,
        )
    };
    assert_eq!(
        searched(lag(HOUR, 998)).complete(at(300)),
        Some(hours(0, 276))
    );
    assert_eq!(
        searched(lag(40 * HOUR, 998)).complete(at(300)),
        Some(hours(0, 252))
    );
}

/// What is stored and what callers know depends on them: they must never change.
#[test]
fn clocks_and_outcomes_have_names() {
    let clocks = Clock::ALL.map(Clock::name);
    assert_eq!(clocks, ["CONTENT_CREATED", "EVENT_TIME"]);
    let outcomes = Outcome::ALL.map(Outcome::name);
    assert_eq!(outcomes, ["COMPLETE", "PARTIAL", "FAILED"]);
    let is_complete = Outcome::ALL.map(|outcome| {
        let window = Window {
            range: hours(0, 1),
            clock: Clock::EventTime,
            outcome,
            code: String::new(),
        };
        window.is_complete()
    });
    assert_eq!(is_complete, [true, false, false]);
}

#[test]
fn a_failure_is_named_by_what_it_says() {
    let failure = |source: &str, code: &str| Failure {
        source: source.into(),
        window: Window {
            range: hours(0, 1),
            clock: Clock::ContentCreated,
            outcome: Outcome::Failed,
            code: code.into(),
        },
        received_at: at(2),
    };
    let again = Failure {
        received_at: at(3),
        ..failure("a", "b")
    };
    assert_eq!(failure("a", "b").id(), again.id());
    assert_ne!(failure("a", "b").id(), failure("", "ab").id());
}

/// Hour by hour.
struct Naive {
    content: Vec<bool>,
    searched: Vec<bool>,
    lost_before: i64,
}

impl Naive {
    fn of(content: &[(i64, i64)], searched: &[(i64, i64)], now: i64) -> Self {
        let bits = |ranges: &[(i64, i64)]| -> Vec<bool> {
            let within = |hour: &i64| {
                ranges
                    .iter()
                    .any(|(start, end)| (start..end).contains(&hour))
            };
            (0..HOURS + 2 * ALLOWANCE)
                .map(|hour| within(&hour))
                .collect()
        };
        Self {
            content: bits(content),
            searched: bits(searched),
            lost_before: now - WEEK,
        }
    }

    fn missing(&self, hour: i64) -> impl Iterator<Item = i64> {
        (hour..=hour + ALLOWANCE).filter(|hour| !self.content[*hour as usize])
    }

    fn is_complete(&self, hour: i64) -> bool {
        self.searched[hour as usize] || self.missing(hour).next().is_none()
    }

    fn absence(&self, hour: i64) -> Absence {
        if self.is_complete(hour) {
            Absence::Complete
        } else if self.missing(hour).all(|missing| missing < self.lost_before) {
            Absence::Lost
        } else {
            Absence::Open
        }
    }

    fn complete(&self) -> Option<TimeRange> {
        let complete = |hour: &i64| self.is_complete(*hour);
        let first = (0..HOURS).find(complete)?;
        let last = (0..HOURS).rev().find(complete)?;
        let through = (first..=last).find(|hour| self.absence(*hour) == Absence::Open);
        Some(hours(first, through.unwrap_or(last + 1)))
    }
}

fn ranges() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let one = (0..HOURS, 1..150i64);
    let one = one.prop_map(|(start, length)| (start, (start + length).min(HOURS)));
    prop::collection::vec(one, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_the_hours_say(content in ranges(), searched in ranges(), now in HOURS..HOURS + 2 * WEEK) {
        let coverage = of(&content, &searched);
        let naive = Naive::of(&content, &searched, now);
        let now = at(now);
        prop_assume!(!coverage.is_empty());
        prop_assert_eq!(coverage.complete(now), naive.complete());
        for hour in 0..HOURS {
            for time in [at(hour), at(hour).plus(HOUR - 1)] {
                prop_assert_eq!(coverage.absence(Some(time), now), naive.absence(hour), "{}", hour);
            }
        }
    }

    #[test]
    fn every_gap_is_told_and_nothing_else(content in ranges(), searched in ranges(), now in HOURS..HOURS + 2 * WEEK) {
        let coverage = of(&content, &searched);
        let naive = Naive::of(&content, &searched, now);
        let gaps = coverage.gaps(at(now));
        for gap in &gaps {
            let first = (gap.range.start.micros() - at(0).micros()) / HOUR;
            let last = (gap.range.end.micros() - at(0).micros()) / HOUR;
            let (bits, shadow) = match gap.clock {
                Clock::ContentCreated => (&naive.content, ALLOWANCE),
                Clock::EventTime => (&naive.searched, 0),
            };
            prop_assert!((first..last).all(|hour| !bits[hour as usize]), "{:?}", gap);
            prop_assert_eq!(gap.sent, hours(first - shadow, last));
            let is_lost = last <= naive.lost_before;
            prop_assert_eq!(gap.served_until, (!is_lost).then(|| at(first + WEEK)));
            prop_assert!(is_lost || first >= naive.lost_before, "in part only");
        }
        // whatever is incomplete between complete times has a gap to show for it, which is lost if it is
        if let Some(hull) = coverage.complete_times().hull() {
            for hour in 0..HOURS {
                let time = hours(hour, hour + 1);
                if hull.overlaps(time) && !naive.is_complete(hour) {
                    let told = gaps.iter().filter(|gap| gap.sent.overlaps(time));
                    let mut told = told.map(|gap| gap.served_until.is_none()).peekable();
                    prop_assert!(told.peek().is_some(), "{}", hour);
                    if naive.absence(hour) == Absence::Lost {
                        prop_assert!(told.any(|is_lost| is_lost), "{}", hour);
                    }
                }
            }
        }
    }
}
