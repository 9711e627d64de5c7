//! What the page says in words, and what follows from the numbers: pure.

use super::{
    super::show,
    axis::Axis,
    fetch::Fetched,
    names::{Names, People, Told},
    sums::Counts,
};
use crate::{
    domain::{TimeRange, Timestamp},
    pb::{CoverageGap, Finding, FindingSeverity, GetCoverageResponse, SideSeen},
};
use std::{cmp::Reverse, collections::BTreeSet};

/// How sure an answer is: its name, its class in the style sheet, and the number.
pub(super) type Certainty = (&'static str, &'static str, fn(&Counts) -> u64);

/// Each message is in one of these, the surest first.
pub(super) const CERTAINTIES: [Certainty; 7] = [
    ("both sides agree", "both", |counts| counts.both_sides),
    ("one side", "one", |counts| counts.one_side),
    ("contradicted", "contra", |counts| counts.contradicted),
    ("conflict", "conflict", |counts| counts.conflict),
    ("unresolved", "unres", |counts| counts.unresolved),
    ("not a person", "noperson", |counts| counts.not_a_person),
    ("erased", "erased", |counts| counts.erased),
];

/// What is known of the log of a period: the worst that is true of any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogState {
    Complete,
    /// Some of it was not fetched, and still can be.
    Gap,
    /// Some of it was not fetched, and Microsoft serves it no more.
    Lost,
    /// Behind what is complete: more may come.
    Open,
    /// Before what is complete, or nobody tells what is, or where the gaps are.
    Unknown,
}

impl LogState {
    pub const ALL: [Self; 5] = [
        Self::Complete,
        Self::Gap,
        Self::Lost,
        Self::Open,
        Self::Unknown,
    ];

    pub fn words(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Gap => "a gap that can still be fetched",
            Self::Lost => "a gap that is lost",
            Self::Open => "not complete yet",
            Self::Unknown => "nobody tells",
        }
    }

    pub fn of(coverage: &GetCoverageResponse, period: TimeRange) -> Self {
        let gaps = coverage.gaps.iter();
        let touched = gaps.filter(|gap| sent(gap).is_some_and(|sent| sent.overlaps(period)));
        let touched: Vec<&CoverageGap> = touched.collect();
        let since = time(coverage.complete_since.as_ref());
        let through = time(coverage.complete_through.as_ref());
        let (Some(since), Some(through)) = (since, through) else {
            return Self::Unknown;
        };
        if touched.iter().any(|gap| gap.served_until.is_some()) {
            return Self::Gap;
        }
        if !touched.is_empty() {
            return Self::Lost;
        }
        let is_told = period.start >= since && !may_have_more_gaps(coverage, period);
        match (is_told, period.end > through) {
            (false, _) => Self::Unknown,
            (true, true) => Self::Open,
            (true, false) => Self::Complete,
        }
    }
}

/// Gaps are told in the order in which they begin: those that are left out begin no earlier than
/// the last one that is told.
fn may_have_more_gaps(coverage: &GetCoverageResponse, period: TimeRange) -> bool {
    let last = coverage.gaps.last().and_then(sent);
    coverage.gaps_omitted > 0 && last.is_none_or(|last| period.end > last.start)
}

/// The send times that a gap concerns.
pub(super) fn sent(gap: &CoverageGap) -> Option<TimeRange> {
    Some(TimeRange {
        start: time(gap.sent_start.as_ref())?,
        end: time(gap.sent_end.as_ref())?,
    })
}

pub(super) fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    let micros = time.seconds.checked_mul(1_000_000)?;
    Some(Timestamp::from_micros(
        micros.checked_add(i64::from(time.nanos) / 1_000)?,
    ))
}

/// `97 %`; never 100 where something is missing, nor 0 where there is something.
pub(super) fn percent(part: u64, of: u64) -> String {
    if of == 0 {
        return "–".into();
    }
    let rounded = (u128::from(part) * 100 + u128::from(of) / 2) / u128::from(of);
    let shown = match rounded {
        0 if part > 0 => return "< 1 %".into(),
        100 if part < of => return "> 99 %".into(),
        shown => shown,
    };
    format!("{shown} %")
}

/// The first sentence: how much there is of what.
pub(super) fn headline(fetched: &Fetched) -> String {
    let sums = &fetched.sums;
    let mailboxes = sums.mailboxes.keys().filter(|name| !name.is_empty());
    lead(
        sums.total.messages,
        mailboxes.count() as u64,
        sums.agents.len() as u64,
    )
}

/// Not that the agents sent them: of some messages no agent is known, or there was none.
fn lead(messages: u64, mailboxes: u64, agents: u64) -> String {
    let from = match mailboxes {
        0 => "no known mailbox".to_owned(),
        1 => "1 mailbox".to_owned(),
        many => format!("{} mailboxes", show::count(many)),
    };
    let known = match agents {
        0 => "no agent is known".to_owned(),
        1 => "1 agent is known".to_owned(),
        many => format!("{} agents are known", show::count(many)),
    };
    match messages {
        0 => "No message is known to have been sent in this period.".into(),
        1 => format!("1 message was sent from {from}; {known}."),
        many => format!(
            "{} messages were sent from {from}; {known}.",
            show::count(many)
        ),
    }
}

/// The second one: how sure that is.
pub(super) fn sureness(total: &Counts) -> Option<String> {
    let of = |part| percent(part, total.messages);
    (total.messages > 0).then(|| {
        format!(
            "Of {} one agent is known surely; of {} both sides of the audit log say so.",
            of(total.sure()),
            of(total.both_sides)
        )
    })
}

/// How far all of it is here: a word, and what it means.
pub(super) struct Completeness {
    pub class: &'static str,
    pub title: String,
    pub text: String,
}

pub(super) fn completeness(coverage: &GetCoverageResponse, axis: &Axis) -> Completeness {
    let listed = coverage.gaps.len() as u64;
    let gaps = listed + coverage.gaps_omitted;
    let lost = coverage.gaps.iter();
    let lost = lost.filter(|gap| gap.served_until.is_none()).count() as u64;
    let since = time(coverage.complete_since.as_ref());
    let through = time(coverage.complete_through.as_ref());
    let (Some(since), Some(through)) = (since, through) else {
        return Completeness {
            class: "unsure",
            title: "Nothing is known to be complete".into(),
            text: "No collector tells yet what it has fetched, so a message that is missing here \
                   may have been sent all the same."
                .into(),
        };
    };
    let title = format!("Complete until {}", axis.moment(through));
    let mut text = if through >= axis.range.end && since <= axis.range.start {
        "All that was sent in this period and left a record is counted.".to_owned()
    } else if since > axis.range.start {
        format!(
            "What was sent from {} until then and left a record is counted. Nobody tells what is \
             missing before it, and after it more may come.",
            axis.moment(since)
        )
    } else {
        "What was sent before that and left a record is counted. Later numbers are about to grow."
            .into()
    };
    if gaps > 0 {
        let are = if gaps == 1 { "is" } else { "are" };
        let can = match lost {
            0 => "can still be fetched",
            lost if lost == listed => "Microsoft serves it no more",
            _ => "only a part of that can still be fetched",
        };
        let many = show::plural(gaps, "gap");
        // of those that are left out nobody tells
        let of = match coverage.gaps_omitted {
            0 => String::new(),
            _ => format!(", as far as the first {} tell", show::count(listed)),
        };
        text.push_str(&format!(
            " But there {are} {many}: something was not fetched, and {can}{of}."
        ));
    }
    let class = match (gaps, through >= axis.range.end && since <= axis.range.start) {
        (0, true) => "good",
        _ => "unsure",
    };
    Completeness { class, title, text }
}

/// How many findings there are of each kind that is one.
pub(super) fn wrong(fetched: &Fetched) -> Option<String> {
    let of = |severity| {
        let all = fetched.findings.iter();
        all.filter(|one| one.severity() == severity).count() as u64
    };
    let parts = [
        (
            FindingSeverity::Error,
            "leaves messages without an answer",
            "leave messages without an answer",
        ),
        (
            FindingSeverity::Warning,
            "makes answers fewer or weaker",
            "make answers fewer or weaker",
        ),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(severity, one, many)| match of(severity) {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{} {many}", show::count(number))),
        });
    let parts: Vec<String> = parts.collect();
    let sum = of(FindingSeverity::Error) + of(FindingSeverity::Warning);
    (sum > 0).then(|| {
        let (things, are) = if sum == 1 {
            ("thing", "is")
        } else {
            ("things", "are")
        };
        let sum = show::count(sum);
        format!(
            "{sum} {things} in the audit set-up {are} wrong: {}.",
            parts.join(", ")
        )
    })
}

/// Everybody who is named anywhere in what was fetched. By no order that tells of names, or
/// whoever knows the staff could count the pseudonyms off: by messages, and then by `key`.
pub(super) fn people<'a>(fetched: &'a Fetched, key: &[u8; 32]) -> People<'a> {
    let place = |name: &str| *blake3::keyed_hash(key, name.as_bytes()).as_bytes();
    let sums = &fetched.sums;
    let mut agents: Vec<_> = sums.agents.iter().collect();
    agents.sort_by_key(|(name, sums)| (Reverse(sums.total.messages), place(name)));
    let mut mailboxes: BTreeSet<&str> = sums.mailboxes.keys().map(String::as_str).collect();
    let mut others: BTreeSet<&str> = BTreeSet::new();
    for one in &fetched.register {
        others.insert(&one.address);
    }
    for finding in &fetched.findings {
        mailboxes.insert(&finding.mailbox);
        others.insert(&finding.agent);
        others.extend(finding.clues.iter().map(|clue| clue.actor.as_str()));
    }
    for side in &fetched.coverage.sides {
        mailboxes.insert(&side.mailbox);
        others.insert(&side.agent);
    }
    let ordered = |names: BTreeSet<&'a str>| {
        let mut names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort_by_key(|name| place(name));
        names
    };
    People {
        agents: agents.into_iter().map(|(name, _)| name.as_str()).collect(),
        mailboxes: ordered(mailboxes),
        others: ordered(others),
        tenant: &fetched.tenant.tenant_id,
    }
}

/// Pseudonyms for names wherever things are sorted by them: the order must not tell them.
pub(super) fn hide(fetched: &mut Fetched, names: &Names) {
    let shown = |name: &str| names.shown(&Told::from(name)).into_owned();
    let rename = |name: &mut String| *name = shown(name);
    let place = |name: &String| (name.len(), name.clone());
    let sums = &mut fetched.sums;
    let agents = std::mem::take(&mut sums.agents).into_iter();
    sums.agents = agents.map(|(name, sums)| (shown(&name), sums)).collect();
    let mailboxes = std::mem::take(&mut sums.mailboxes).into_iter();
    sums.mailboxes = mailboxes
        .map(|(name, mut sums)| {
            let agents = std::mem::take(&mut sums.agents).into_iter();
            sums.agents = agents
                .map(|(name, counts)| (shown(&name), counts))
                .collect();
            (shown(&name), sums)
        })
        .collect();
    for side in &mut fetched.coverage.sides {
        rename(&mut side.mailbox);
        rename(&mut side.agent);
    }
    let of = |one: &SideSeen| (place(&one.mailbox), place(&one.agent), one.side);
    fetched.coverage.sides.sort_by_key(of);
    for finding in &mut fetched.findings {
        rename(&mut finding.mailbox);
        rename(&mut finding.agent);
    }
    let of = |one: &Finding| {
        let names = (place(&one.mailbox), place(&one.agent));
        (one.severity, one.cause, names)
    };
    fetched.findings.sort_by_key(of);
}

/// Shared mailboxes of the register from which nothing was sent.
pub(super) fn silent(fetched: &Fetched, asked: &str) -> Vec<Told> {
    use crate::pb::MailboxKind::Shared;
    let shared = fetched.register.iter().filter(|one| one.kind() == Shared);
    let silent = shared.filter(|one| !fetched.sums.mailboxes.contains_key(&one.address));
    let silent = silent.filter(|one| asked.is_empty() || one.address == asked);
    silent.map(|one| Told::from(&one.address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::summary::Zone;

    fn at(text: &str) -> Option<prost_types::Timestamp> {
        Some(text.parse().unwrap())
    }

    fn day(day: u32) -> TimeRange {
        let time = |day| Timestamp::parse(&format!("2026-03-{day:02}T00:00:00Z")).unwrap();
        TimeRange {
            start: time(day),
            end: time(day + 1),
        }
    }

    fn coverage() -> GetCoverageResponse {
        let gap = |start: &str, end: &str, until: Option<&str>| CoverageGap {
            sent_start: at(start),
            sent_end: at(end),
            served_until: until.and_then(at),
            ..Default::default()
        };
        GetCoverageResponse {
            complete_since: at("2026-03-02T00:00:00Z"),
            complete_through: at("2026-03-06T12:00:00Z"),
            gaps: vec![
                gap("2026-03-03T08:00:00Z", "2026-03-03T09:00:00Z", None),
                gap(
                    "2026-03-06T12:00:00Z",
                    "2026-03-07T12:00:00Z",
                    Some("2026-03-14T00:00:00Z"),
                ),
            ],
            ..Default::default()
        }
    }

    #[test]
    fn a_day_is_as_good_as_its_worst_part() {
        let of = |number| LogState::of(&coverage(), day(number));
        let states: Vec<LogState> = (1..9).map(of).collect();
        use LogState::{Complete, Gap, Lost, Open, Unknown};
        assert_eq!(
            states,
            [Unknown, Complete, Lost, Complete, Complete, Gap, Gap, Open]
        );
        let nothing = GetCoverageResponse::default();
        assert_eq!(LogState::of(&nothing, day(3)), Unknown);
    }

    /// The last listed gap begins at noon of the sixth.
    #[test]
    fn where_gaps_are_left_out_nothing_is_complete() {
        let cut = GetCoverageResponse {
            gaps_omitted: 3,
            ..coverage()
        };
        let of = |number| LogState::of(&cut, day(number));
        use LogState::{Complete, Gap, Lost, Unknown};
        assert_eq!(
            (2..9).map(of).collect::<Vec<_>>(),
            [Complete, Lost, Complete, Complete, Gap, Gap, Unknown]
        );
        let of_some_lost = GetCoverageResponse {
            gaps: coverage().gaps[..1].to_vec(),
            ..cut.clone()
        };
        let of = |number| LogState::of(&of_some_lost, day(number));
        assert_eq!(
            (2..6).map(of).collect::<Vec<_>>(),
            [Complete, Lost, Unknown, Unknown]
        );
        let range = TimeRange {
            start: day(2).start,
            end: day(9).start,
        };
        let axis = Axis::of(range, Zone::named("").unwrap());
        let told = completeness(&of_some_lost, &axis).text;
        let expected = "there are 4 gaps: something was not fetched, and Microsoft serves it no \
                        more, as far as the first 1 tell.";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn messages_are_counted_and_agents_are_known() {
        assert_eq!(
            lead(12, 1, 0),
            "12 messages were sent from 1 mailbox; no agent is known."
        );
        assert_eq!(
            lead(1_200, 3, 2),
            "1,200 messages were sent from 3 mailboxes; 2 agents are known."
        );
        assert_eq!(
            lead(1, 0, 1),
            "1 message was sent from no known mailbox; 1 agent is known."
        );
        assert!(lead(0, 0, 0).starts_with("No message is known"));
    }

    #[test]
    fn what_is_complete_is_told_in_words() {
        let axis = |from, to| {
            let range = TimeRange {
                start: day(from).start,
                end: day(to).start,
            };
            Axis::of(range, Zone::named("").unwrap())
        };
        let told = completeness(&coverage(), &axis(2, 9));
        assert_eq!(told.title, "Complete until 6\u{a0}Mar\u{a0}2026, 12:00");
        assert!(
            told.text.contains("Later numbers are about to grow."),
            "{}",
            told.text
        );
        assert!(told.text.contains("there are 2 gaps"), "{}", told.text);
        assert!(told.text.contains("only a part of that"), "{}", told.text);
        let early = completeness(&coverage(), &axis(1, 9));
        assert!(early.text.contains("Nobody tells what is missing before"));
        let whole = GetCoverageResponse {
            gaps: Vec::new(),
            ..coverage()
        };
        let told = completeness(&whole, &axis(2, 6));
        assert_eq!(told.class, "good");
        assert!(told.text.starts_with("All that was sent"), "{}", told.text);
        let nothing = completeness(&GetCoverageResponse::default(), &axis(2, 6));
        assert_eq!(nothing.title, "Nothing is known to be complete");
    }

    #[test]
    fn percents_never_promise_too_much() {
        assert_eq!(percent(0, 0), "–");
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(1, 1_000), "< 1 %");
        assert_eq!(percent(1, 2), "50 %");
        assert_eq!(percent(999, 1_000), "> 99 %");
        assert_eq!(percent(10, 10), "100 %");
    }
}
