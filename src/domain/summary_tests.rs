use super::*;
use jiff::tz::TimeZoneNameIter;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn range(start: &str, end: &str) -> TimeRange {
    TimeRange {
        start: time(start),
        end: time(end),
    }
}

fn buckets(bucket: Bucket, zone: &str) -> Buckets {
    Buckets {
        range: TimeRange {
            start: Timestamp::EARLIEST,
            end: Timestamp::from_micros(Timestamp::LATEST.micros() - 1),
        },
        bucket,
        zone: Zone::named(zone).expect(zone),
    }
}

/// The beginnings of the buckets that a range touches, and the end of the last one.
fn bounds(bucket: Bucket, zone: &str, start: &str, end: &str) -> Vec<String> {
    let buckets = buckets(bucket, zone);
    let mut found = vec![buckets.whole(time(start)).start];
    let mut at = time(start);
    while at < time(end) {
        let bucket = buckets.whole(at);
        assert_eq!(Some(&bucket.start), found.last(), "no gap, no overlap");
        at = bucket.end;
        found.push(at);
    }
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn days_have_as_many_hours_as_the_clock_gives_them() {
    for (zone, bounds_of_three_days) in [
        (
            "Europe/Berlin", // 23 hours
            [
                "2026-03-28T00:00:00+01:00",
                "2026-03-29T00:00:00+01:00",
                "2026-03-30T00:00:00+02:00",
            ],
        ),
        (
            "Europe/Berlin", // 25 hours
            [
                "2026-10-24T00:00:00+02:00",
                "2026-10-25T00:00:00+02:00",
                "2026-10-26T00:00:00+01:00",
            ],
        ),
        (
            "America/New_York",
            [
                "2026-03-07T00:00:00-05:00",
                "2026-03-08T00:00:00-05:00",
                "2026-03-09T00:00:00-04:00",
            ],
        ),
        (
            "America/New_York",
            [
                "2026-10-31T00:00:00-04:00",
                "2026-11-01T00:00:00-04:00",
                "2026-11-02T00:00:00-05:00",
            ],
        ),
        (
            "Australia/Lord_Howe", // 24 hours and a half
            [
                "2026-04-04T00:00:00+11:00",
                "2026-04-05T00:00:00+11:00",
                "2026-04-06T00:00:00+10:30",
            ],
        ),
        (
            "Asia/Kathmandu",
            [
                "2026-03-01T00:00:00+05:45",
                "2026-03-02T00:00:00+05:45",
                "2026-03-03T00:00:00+05:45",
            ],
        ),
        (
            "America/Sao_Paulo", // midnight is left out: the day begins at one
            [
                "2018-11-03T00:00:00-03:00",
                "2018-11-04T01:00:00-02:00",
                "2018-11-05T00:00:00-02:00",
            ],
        ),
        (
            "Pacific/Apia", // the 30th is left out
            [
                "2011-12-28T00:00:00-10:00",
                "2011-12-29T00:00:00-10:00",
                "2011-12-31T00:00:00+14:00",
            ],
        ),
        (
            "America/St_Johns", // at 00:01 clocks go back into the day before
            [
                "2007-11-03T00:00:00-02:30",
                "2007-11-04T00:00:00-02:30",
                "2007-11-05T00:00:00-03:30",
            ],
        ),
    ] {
        let expected = bounds_of_three_days.map(|bound| time(bound).to_string());
        let found = bounds(Bucket::Day, zone, &expected[0], &expected[2]);
        assert_eq!(found, expected, "{zone}");
    }
}

#[test]
fn an_hour_that_occurs_twice_is_two() {
    assert_eq!(
        bounds(
            Bucket::Hour,
            "Europe/Berlin",
            "2026-10-24T23:10:00Z",
            "2026-10-25T03:00:00Z"
        ),
        [
            "2026-10-24T23:00:00Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T03:00:00Z"
        ]
    );
    // 01:00 to 02:00, then 01:30 to 02:00 once more
    assert_eq!(
        bounds(
            Bucket::Hour,
            "Australia/Lord_Howe",
            "2026-04-04T14:20:00Z",
            "2026-04-04T16:30:00Z"
        ),
        [
            "2026-04-04T14:00:00Z",
            "2026-04-04T15:00:00Z",
            "2026-04-04T15:30:00Z",
            "2026-04-04T16:30:00Z"
        ]
    );
    assert_eq!(
        bounds(
            Bucket::Hour,
            "Asia/Kathmandu",
            "2026-03-01T00:00:00Z",
            "2026-03-01T01:00:00Z"
        ),
        [
            "2026-02-28T23:15:00Z",
            "2026-03-01T00:15:00Z",
            "2026-03-01T01:15:00Z"
        ]
    );
}

#[test]
fn weeks_begin_on_monday() {
    assert_eq!(
        bounds(
            Bucket::Week,
            "Europe/Berlin",
            "2026-03-27T12:00:00Z",
            "2026-04-05T22:00:00Z"
        ),
        [
            "2026-03-22T23:00:00Z",
            "2026-03-29T22:00:00Z",
            "2026-04-05T22:00:00Z"
        ]
    );
    assert_eq!(
        bounds(
            Bucket::Week,
            "",
            "2025-12-31T23:59:59Z",
            "2026-01-05T00:00:00Z"
        ),
        ["2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"]
    );
}

#[test]
fn a_bucket_is_cut_to_the_range() {
    let buckets = Buckets {
        range: range("2026-03-01T09:30:00Z", "2026-03-02T10:00:00Z"),
        ..buckets(Bucket::Day, "")
    };
    let first = buckets.containing(time("2026-03-01T10:00:00Z"));
    assert_eq!(first, range("2026-03-01T09:30:00Z", "2026-03-02T00:00:00Z"));
    let last = buckets.containing(time("2026-03-02T00:00:00Z"));
    assert_eq!(last, range("2026-03-02T00:00:00Z", "2026-03-02T10:00:00Z"));
    let total = Buckets {
        bucket: Bucket::Total,
        ..buckets
    };
    assert_eq!(total.containing(time("2026-03-02T00:00:00Z")), total.range);
}

fn names() -> TimeZoneNameIter<'static> {
    static BUNDLED: std::sync::LazyLock<TimeZoneDatabase> =
        std::sync::LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.available()
}

/// Every zone is so many minutes from UTC that hours begin at a quarter of one: slots are never
/// small, however often clocks change.
#[test]
fn the_clocks_of_all_zones_differ_by_quarters_of_an_hour() {
    let mut zones = 0;
    for name in names() {
        let zone = TimeZone::clone(&Zone::named(name.as_str()).expect("a zone").0);
        let first = jiff_time(Timestamp::EARLIEST);
        let offsets = zone
            .following(first)
            .take_while(|change| change.timestamp() < jiff_time(Timestamp::LATEST))
            .map(|change| change.offset())
            .chain([zone.to_offset(first)]);
        for offset in offsets {
            assert_eq!(offset.seconds() % 900, 0, "{}", name.as_str());
        }
        zones += 1;
    }
    assert!(zones > 400, "{zones}");
}

/// In every zone and at every change of its clock: buckets follow one another, each time is in
/// the bucket that it begins, and slots never cross from one into another.
#[test]
fn buckets_of_all_zones_follow_one_another() {
    const HOUR: i64 = 3_600_000_000;
    for name in names() {
        for bucket in [Bucket::Hour, Bucket::Day, Bucket::Week] {
            let buckets = buckets(bucket, name.as_str());
            let zone = TimeZone::clone(&buckets.zone.0);
            let changes = zone.following(jiff_time(time("2005-01-01T00:00:00Z")));
            let of_some_years =
                changes.take_while(|at| at.timestamp() < jiff_time(time("2030-01-01T00:00:00Z")));
            for change in of_some_years.step_by(if bucket == Bucket::Week { 3 } else { 1 }) {
                let change = change.timestamp().as_microsecond();
                let mut at = Timestamp::from_micros(change - 26 * HOUR);
                let span = TimeRange {
                    start: at,
                    end: Timestamp::from_micros(change + 26 * HOUR),
                };
                let slots = buckets.slots(span);
                at = buckets.whole(at).start;
                while at < span.end {
                    let whole = buckets.whole(at);
                    assert_eq!(whole.start, at, "{}", name.as_str());
                    assert!(whole.end > at, "{}", name.as_str());
                    let last = Timestamp::from_micros(whole.end.micros() - 1);
                    assert_eq!(buckets.whole(last), whole, "{} {last}", name.as_str());
                    let from_origin = whole.end.micros() - slots.origin.micros();
                    assert_eq!(from_origin % slots.width, 0, "{}", name.as_str());
                    at = whole.end;
                }
            }
        }
    }
}

#[test]
fn slots_are_as_wide_as_buckets_allow() {
    let of = |bucket, zone: &str, start: &str, end: &str| {
        let slots = buckets(bucket, zone).slots(range(start, end));
        (slots.origin.to_string(), slots.width / 60_000_000)
    };
    let (start, end) = ("2026-03-02T12:00:00Z", "2026-03-20T00:00:00Z");
    assert_eq!(
        of(Bucket::Day, "Europe/Berlin", start, end),
        ("2026-03-01T23:00:00Z".into(), 1_440)
    );
    assert_eq!(
        of(Bucket::Week, "", start, end),
        ("2026-03-02T00:00:00Z".into(), 7 * 1_440)
    );
    let end = "2026-04-20T00:00:00Z"; // clocks change in between
    assert_eq!(of(Bucket::Day, "Europe/Berlin", start, end).1, 60);
    assert_eq!(of(Bucket::Day, "Australia/Lord_Howe", start, end).1, 30);
    assert_eq!(
        of(Bucket::Hour, "Asia/Kathmandu", start, end),
        ("2026-03-02T11:15:00Z".into(), 60)
    );
}

#[test]
fn a_zone_has_a_name() {
    assert_eq!(Zone::named("").expect("UTC").name(), "UTC");
    assert_eq!(
        Zone::named("europe/berlin").expect("a zone").name(),
        "Europe/Berlin"
    );
    for wrong in [
        "Europe/Atlantis",
        "+01:00",
        "CET-1",
        "Etc/Unknown",
        "../etc/passwd",
        " ",
    ] {
        assert_eq!(Zone::named(wrong), None, "{wrong}");
    }
}

fn tally(slot: &str, mailbox: &str, agent: Option<&str>, messages: u64) -> Tally {
    Tally {
        slot: time(slot),
        mailbox: Some(mailbox.into()),
        agent: agent.map(Into::into),
        verdict: match agent {
            Some(_) => Verdict::Attributed,
            None => Verdict::Conflict,
        },
        basis: Some(Basis::MailboxSendAs),
        messages,
        confirmed: 1,
        contradicted: 0,
        confirmed_contradicted: 0,
        without_message_id: 1,
        first: time(slot),
        last: time(slot),
    }
}

/// Of a plain Send nothing but the confirmation tells in whose log it stands.
#[test]
fn a_side_is_counted_where_it_is_known() {
    let of = |basis| {
        let slot = "2026-03-01T09:00:00Z";
        let counts = Tally {
            basis,
            ..tally(slot, "a@x", Some("anna@x"), 5)
        }
        .counts();
        (counts.by_mailbox_side, counts.by_agent_side)
    };
    assert_eq!(of(Some(Basis::MailboxSendAs)), (5, 1));
    assert_eq!(of(Some(Basis::AgentSendOnBehalf)), (1, 5));
    assert_eq!(of(Some(Basis::Send)), (1, 1));
    assert_eq!(of(None), (1, 1));
}

#[test]
fn a_fold_holds_no_more_than_its_page_in_any_order() {
    let days = Buckets {
        range: range("2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z"),
        ..buckets(Bucket::Day, "")
    };
    let mut tallies: Vec<Tally> = Vec::new();
    for (slot, _) in [
        ("2026-03-01T09:00:00Z", 0),
        ("2026-03-01T10:00:00Z", 0),
        ("2026-03-02T09:00:00Z", 0),
    ] {
        for mailbox in ["a@x", "b@x"] {
            for agent in [None, Some("anna@x"), Some("bob@x")] {
                tallies.push(tally(slot, mailbox, agent, 2));
            }
        }
    }
    let rows = |from: Option<RowKey>, most, tallies: &[Tally]| {
        let mut fold = Fold::new(days.clone(), from, most);
        tallies.iter().cloned().for_each(|tally| fold.add(tally));
        assert!(fold.rows.len() <= most);
        fold.into_rows()
    };
    let all = rows(None, 100, &tallies);
    assert_eq!(all.len(), 12);
    assert_eq!(
        (all[0].agent.as_str(), all[1].agent.as_str()),
        ("", "anna@x")
    );
    assert_eq!((all[0].counts.messages, all[6].counts.messages), (4, 2));
    assert_eq!(all[0].counts.of_verdict(Verdict::Conflict), 4);
    assert_eq!(all[1].counts.of_basis(Basis::MailboxSendAs), 4);
    assert_eq!(
        (all[0].counts.confirmed, all[0].counts.without_message_id),
        (2, 2)
    );
    assert_eq!(all[0].counts.first, time("2026-03-01T09:00:00Z"));
    assert_eq!(all[0].counts.last, time("2026-03-01T10:00:00Z"));
    for turn in 0..tallies.len() {
        tallies.rotate_left(1);
        if turn % 2 == 0 {
            tallies.reverse();
        }
        for most in 1..=13 {
            for from in 0..all.len() {
                let key = RowKey {
                    bucket: all[from].bucket.start,
                    mailbox: all[from].mailbox.clone(),
                    agent: all[from].agent.clone(),
                };
                let behind = &all[from..all.len().min(from + most)];
                assert_eq!(rows(Some(key), most, &tallies), behind);
            }
        }
    }
}

#[test]
fn a_fold_is_full_when_its_last_bucket_is_over() {
    let days = buckets(Bucket::Day, "");
    let mut fold = Fold::new(days, None, 2);
    let end = time("2026-03-02T00:00:00Z");
    assert!(!fold.is_full(end));
    fold.add(tally("2026-03-01T09:00:00Z", "a@x", None, 1));
    assert!(!fold.is_full(end));
    fold.add(tally("2026-03-01T09:00:00Z", "b@x", None, 1));
    assert!(!fold.is_full(time("2026-03-01T23:59:59Z")));
    assert!(fold.is_full(end));
}

#[test]
fn a_zone_tells_its_clock_and_its_days() {
    let zone = |name| Zone::named(name).expect("a zone");
    let hours = |name, at| zone(name).offset(time(at)) / 3_600_000_000;
    assert_eq!(hours("", "2026-03-29T12:00:00Z"), 0);
    assert_eq!(hours("Europe/Berlin", "2026-03-29T00:59:59Z"), 1);
    assert_eq!(hours("Europe/Berlin", "2026-03-29T01:00:00Z"), 2);
    assert_eq!(hours("America/New_York", "2026-01-01T00:00:00Z"), -5);
    for (name, day, expected) in [
        ("", 0, "1970-01-01T00:00:00Z"),
        ("", 20_513, "2026-03-01T00:00:00Z"),
        ("Europe/Berlin", 20_513, "2026-02-28T23:00:00Z"),
        ("Europe/Berlin", 20_542, "2026-03-29T22:00:00Z"),
        // there clocks go over midnight: the day begins at one
        ("America/Santiago", 20_702, "2026-09-06T04:00:00Z"),
    ] {
        assert_eq!(zone(name).first_moment(day), time(expected), "{name} {day}");
    }
}

#[test]
fn counts_add_up_field_by_field() {
    let counts = |n: u64, first: &str, last: &str| Counts {
        messages: n,
        by_verdict: std::array::from_fn(|at| n + 1 + at as u64),
        by_basis: std::array::from_fn(|at| n + 20 + at as u64),
        confirmed: n + 40,
        contradicted: n + 50,
        both_sides: n + 51,
        disputed: n + 52,
        by_mailbox_side: n + 53,
        by_agent_side: n + 54,
        without_message_id: n + 60,
        first: time(first),
        last: time(last),
    };
    let mut sum = counts(100, "2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z");
    sum += counts(1_000, "2026-03-01T08:00:00Z", "2026-03-01T12:00:00Z");
    let expected = Counts {
        messages: 1_100,
        by_verdict: std::array::from_fn(|at| 1_102 + 2 * at as u64),
        by_basis: std::array::from_fn(|at| 1_140 + 2 * at as u64),
        confirmed: 1_180,
        contradicted: 1_200,
        both_sides: 1_202,
        disputed: 1_204,
        by_mailbox_side: 1_206,
        by_agent_side: 1_208,
        without_message_id: 1_220,
        first: time("2026-03-01T08:00:00Z"),
        last: time("2026-03-02T09:00:00Z"),
    };
    assert_eq!(sum, expected);
}
