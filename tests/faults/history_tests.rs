//! The checker finds what is wrong, and nothing where nothing is.

use super::*;
use crate::support::TENANT;
use sentby::simulate::Random;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn write(call: u64, returned: u64, revision: u64, records: &[(u32, u8)]) -> Write {
    Write {
        call: ms(call),
        returned: ms(returned),
        revision,
        records: records.to_vec(),
    }
}

fn read(call: u64, returned: u64, asked: u64, seen: u64) -> Read {
    Read {
        message: 1,
        call: ms(call),
        returned: ms(returned),
        asked,
        seen,
    }
}

/// Message 1 changes at the revisions 3, 5 and 9, and 11 adds what looks no different. The batch of revision 7 tells it nothing
/// new, and is acknowledged before the one of revision 5 that it repeats.
fn writes() -> Vec<Write> {
    vec![
        write(100, 200, 3, &[(1, 1), (2, 0)]),
        write(300, 500, 5, &[(1, 2)]),
        write(350, 400, 7, &[(1, 2)]),
        write(600, 700, 9, &[(1, 3)]),
        write(710, 720, 11, &[(1, 0)]),
        write(600, 700, 10, &[(2, 1)]),
    ]
}

fn shown(answers: impl IntoIterator<Item = pb::Attribution>) -> Shown {
    let mut shown = Shown::default();
    for answer in answers {
        shown.add(1, answer);
    }
    shown
}

fn true_versions() -> Shown {
    let message = Message {
        tenant: TENANT,
        number: 1,
    };
    let version = |(revision, records)| {
        let answer = message.answer(records);
        pb::Attribution { revision, ..answer }
    };
    shown([(0, 0), (3, 0b10), (5, 0b110), (9, 0b1110)].map(version))
}

const STALE: Promise = Promise {
    found: ms(1_000),
    absent: ms(500),
    monotone: false,
};

#[test]
fn each_kind_of_wrong_is_found() {
    use Wrong::{FromTheFuture, NeverCommitted, OlderThanAsked, OlderThanPromised, WentBack};
    let fresh = Promise::FRESH;
    let cases: &[(&str, Promise, &[Read], &[Wrong])] = &[
        ("nothing was written", fresh, &[read(0, 50, 0, 0)], &[]),
        ("not yet acknowledged", fresh, &[read(150, 250, 0, 0)], &[]),
        (
            "seen while it is written",
            fresh,
            &[read(50, 150, 0, 3)],
            &[],
        ),
        (
            "committed, not acknowledged",
            fresh,
            &[read(310, 320, 0, 5)],
            &[],
        ),
        ("still the old one", fresh, &[read(360, 390, 0, 3)], &[]),
        ("the newest", fresh, &[read(800, 900, 11, 9)], &[]),
        (
            "acknowledged at this instant",
            fresh,
            &[read(200, 250, 0, 0)],
            &[],
        ),
        (
            "absent after the acknowledgement",
            fresh,
            &[read(201, 250, 0, 0)],
            &[OlderThanPromised],
        ),
        (
            "old after the acknowledgement of a repeat",
            fresh,
            &[read(450, 460, 0, 3)],
            &[OlderThanPromised],
        ),
        (
            "an acknowledgement of another message says nothing",
            fresh,
            &[read(800, 900, 0, 9)],
            &[],
        ),
        (
            "a revision of nobody",
            fresh,
            &[read(800, 900, 0, 4)],
            &[NeverCommitted, OlderThanPromised],
        ),
        (
            "of another message",
            fresh,
            &[read(800, 900, 0, 10)],
            &[NeverCommitted],
        ),
        (
            "of a batch that changed nothing",
            fresh,
            &[read(450, 460, 0, 7)],
            &[NeverCommitted],
        ),
        (
            "before anybody called",
            fresh,
            &[read(250, 290, 0, 5)],
            &[FromTheFuture],
        ),
        (
            "older than asked",
            STALE,
            &[read(650, 660, 9, 5)],
            &[OlderThanAsked],
        ),
        (
            "absent, but something asked for",
            STALE,
            &[read(210, 220, 3, 0)],
            &[OlderThanAsked],
        ),
        (
            "asked for a revision between",
            STALE,
            &[read(450, 460, 7, 5)],
            &[],
        ),
        ("as old as may be", STALE, &[read(1_700, 1_710, 0, 5)], &[]),
        (
            "too old",
            STALE,
            &[read(1_701, 1_710, 0, 5)],
            &[OlderThanPromised],
        ),
        (
            "absent as long as may be",
            STALE,
            &[read(700, 710, 0, 0)],
            &[],
        ),
        (
            "absent too long",
            STALE,
            &[read(701, 710, 0, 0)],
            &[OlderThanPromised],
        ),
        (
            "back to an older one",
            Promise {
                monotone: true,
                ..STALE
            },
            &[read(610, 620, 0, 9), read(621, 630, 0, 5)],
            &[WentBack],
        ),
        (
            "two at once may differ",
            Promise {
                monotone: true,
                ..STALE
            },
            &[read(610, 625, 0, 9), read(621, 630, 0, 5)],
            &[],
        ),
        (
            "back where it may",
            STALE,
            &[read(610, 620, 0, 9), read(621, 630, 0, 5)],
            &[],
        ),
    ];
    for (name, promise, reads, wrong) in cases {
        let mut shown = true_versions();
        // content is another matter, and these versions have none
        for revision in [4, 7, 10] {
            let nothing = Message {
                tenant: TENANT,
                number: 1,
            }
            .answer(0);
            shown.add(
                1,
                pb::Attribution {
                    revision,
                    ..nothing
                },
            );
        }
        let checked = check(TENANT, &writes(), reads, &shown, *promise);
        let mut found: Vec<Wrong> = checked.wrong.iter().map(|(kind, _)| *kind).collect();
        found.sort();
        assert_eq!(found, *wrong, "{name}");
    }
}

/// Any difference counts: a value of another version, another message, another tenant.
#[test]
fn content_is_compared_whole() {
    let message = |number| Message {
        tenant: TENANT,
        number,
    };
    let foreign = Message {
        tenant: crate::support::OTHER_TENANT,
        number: 1,
    };
    let reads = [read(550, 560, 0, 5)];
    let right = pb::Attribution {
        revision: 5,
        ..message(1).answer(0b110)
    };
    let cases = [
        ("right", right.clone(), 0),
        (
            "an older version",
            pb::Attribution {
                revision: 5,
                ..message(1).answer(0b10)
            },
            1,
        ),
        (
            "another message",
            pb::Attribution {
                revision: 5,
                ..message(2).answer(0b110)
            },
            1,
        ),
        (
            "another tenant's",
            pb::Attribution {
                revision: 5,
                ..foreign.answer(0b110)
            },
            1,
        ),
        (
            "one letter",
            pb::Attribution {
                agent: "agent00!@contoso.com".into(),
                ..right.clone()
            },
            1,
        ),
    ];
    for (name, answer, wrong) in cases {
        // also where others got the right one, before or after
        for answers in [
            vec![answer.clone()],
            vec![right.clone(), answer.clone()],
            vec![answer, right.clone()],
        ] {
            let mut all = shown(answers);
            all.join(true_versions());
            let checked = check(TENANT, &writes(), &reads, &all, Promise::FRESH);
            assert_eq!(checked.wrong.len(), wrong, "{name}");
        }
    }
}

#[test]
fn age_is_told() {
    let reads = [
        read(480, 490, 0, 3),
        read(800, 810, 0, 5),
        read(800, 810, 0, 9),
    ];
    let checked = check(TENANT, &writes(), &reads, &true_versions(), STALE);
    assert_eq!(checked.oldest, ms(100));
    assert_eq!((checked.overtaken, checked.answers), (2, 3));
    assert_eq!(checked.changes, 3 + 2);
    checked.assert_right();
}

/// Two readers of a cache that is asked before a write and answers after it, with random
/// delays: right as long as the writer sets it before it acknowledges, wrong as soon as not.
#[test]
fn a_writer_that_forgets_the_cache_is_found() {
    for (seed, forgets) in (0..200).map(|seed| (seed, seed % 2 == 1)) {
        let mut random = Random(seed);
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        let (mut now, mut cached) = (0, 0);
        for revision in 1..=10u64 {
            let (call, returned) = (now + random.below(3), now + 10 + random.below(3));
            writes.push(write(call, returned, revision, &[(1, revision as u8)]));
            // one begins before the write is set, one ends after it
            reads.push(read(call + 1 + random.below(3), returned + 5, 0, cached));
            if !forgets || random.chance(80) {
                cached = revision;
            }
            reads.push(read(
                returned + 1 + random.below(3),
                returned + 9,
                0,
                cached,
            ));
            now = returned + 10;
        }
        let message = Message {
            tenant: TENANT,
            number: 1,
        };
        let version = |revision: u64| {
            let records = (1..=revision).fold(0, |bits, n| bits | 1 << n);
            let answer = message.answer(records);
            pb::Attribution { revision, ..answer }
        };
        let shown = shown((0..=10).map(version));
        let checked = check(TENANT, &writes, &reads, &shown, Promise::FRESH);
        let sets_all = reads
            .iter()
            .skip(1)
            .step_by(2)
            .zip(1..)
            .all(|(r, n)| r.seen == n);
        assert_eq!(checked.wrong.is_empty(), sets_all, "seed {seed}");
        assert!(sets_all || forgets);
    }
}
