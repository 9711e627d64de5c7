//! Who wrote what and who saw what, and the proof that nobody saw what he must not.
//!
//! A tenant's revisions order all changes, so every message has one line of versions. Times
//! are those of one clock, taken outside of a call: a change took effect between its call and
//! its return, and an answer was chosen between its own.

use crate::stage::Message;
use sentby::{domain::TenantId, pb};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

/// An acknowledged batch.
#[derive(Clone, Debug)]
pub struct Write {
    pub call: Duration,
    pub returned: Duration,
    pub revision: u64,
    /// Numbers of messages, with the number of the record that each got.
    pub records: Vec<(u32, u8)>,
}

/// The answer for one message.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub message: u32,
    pub call: Duration,
    pub returned: Duration,
    /// `at_least_revision`
    pub asked: u64,
    /// The answer's own; 0: nothing was found.
    pub seen: u64,
}

/// What callers saw of each version, by message and revision: one answer, or something is wrong.
#[derive(Debug, Default)]
pub struct Shown(HashMap<(u32, u64), Vec<pb::Attribution>>);

impl Shown {
    pub fn add(&mut self, message: u32, answer: pb::Attribution) {
        let known = self.0.entry((message, answer.revision)).or_default();
        if !known.contains(&answer) {
            known.push(answer);
        }
    }

    pub fn join(&mut self, other: Self) {
        for ((message, _), answers) in other.0 {
            for answer in answers {
                self.add(message, answer);
            }
        }
    }
}

/// How old an answer may be that did not ask for better: for so long after the
/// acknowledgement of a newer one may it still be given.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    pub found: Duration,
    pub absent: Duration,
    /// After an answer nobody gets an older one.
    pub monotone: bool,
}

impl Promise {
    /// No answer is older than what was acknowledged before the question.
    pub const FRESH: Self = Self {
        found: Duration::ZERO,
        absent: Duration::ZERO,
        monotone: true,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// No change led to this revision of the message.
    NeverCommitted,
    /// It is not what the records of that revision say.
    OtherContent,
    /// It was answered before anybody had written it.
    FromTheFuture,
    OlderThanAsked,
    OlderThanPromised,
    WentBack,
}

#[derive(Debug)]
pub struct Checked {
    pub answers: usize,
    /// Versions of messages.
    pub changes: usize,
    /// How long the oldest answer had been overtaken when it was asked for.
    pub oldest: Duration,
    /// Answers that had been overtaken.
    pub overtaken: usize,
    pub wrong: Vec<(Wrong, Read)>,
}

impl Checked {
    #[track_caller]
    pub fn assert_right(&self) {
        let mut kinds: BTreeMap<Wrong, usize> = BTreeMap::new();
        for (wrong, _) in &self.wrong {
            *kinds.entry(*wrong).or_default() += 1;
        }
        let first = &self.wrong[..self.wrong.len().min(5)];
        assert!(self.wrong.is_empty(), "{self}: {kinds:?}, first {first:?}");
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers, {} changes, {} answers overtaken, the oldest for {:.3} s",
            self.answers,
            self.changes,
            self.overtaken,
            self.oldest.as_secs_f64()
        )
    }
}

/// One version of a message.
#[derive(Debug)]
struct Version {
    revision: u64,
    /// The bits of its records.
    records: u64,
    /// The first call of a batch that brought something new.
    called: Duration,
    /// The first return of a batch that holds it.
    acknowledged: Duration,
}

pub fn check(
    tenant: TenantId,
    writes: &[Write],
    reads: &[Read],
    shown: &Shown,
    promise: Promise,
) -> Checked {
    let lines = versions(tenant, writes);
    let mut by_message: HashMap<u32, Vec<Read>> = HashMap::new();
    for read in reads {
        by_message.entry(read.message).or_default().push(*read);
    }
    let mut checked = Checked {
        answers: reads.len(),
        changes: lines.values().map(Vec::len).sum(),
        oldest: Duration::ZERO,
        overtaken: 0,
        wrong: Vec::new(),
    };
    for (number, reads) in &by_message {
        let line = lines.get(number).map_or(&[][..], Vec::as_slice);
        let message = Message {
            tenant,
            number: *number,
        };
        let mut compared = HashSet::new();
        for read in reads {
            check_read(line, read, promise, &mut checked);
            if compared.insert(read.seen) && !is_true(line, message, read.seen, shown) {
                checked.wrong.push((Wrong::OtherContent, *read));
            }
        }
        if promise.monotone {
            let back = went_back(reads).into_iter();
            checked
                .wrong
                .extend(back.map(|read| (Wrong::WentBack, read)));
        }
    }
    checked
}

/// The versions of every message, in order.
fn versions(tenant: TenantId, writes: &[Write]) -> HashMap<u32, Vec<Version>> {
    let mut touched: HashMap<u32, Vec<(&Write, u8)>> = HashMap::new();
    for write in writes {
        for &(message, record) in &write.records {
            touched.entry(message).or_default().push((write, record));
        }
    }
    let line = |(number, touched)| (number, versions_of(Message { tenant, number }, touched));
    touched.into_iter().map(line).collect()
}

/// A version is what looks different: a further record may leave the answer as it was.
fn versions_of(message: Message, mut touched: Vec<(&Write, u8)>) -> Vec<Version> {
    touched.sort_by_key(|(write, _)| write.revision);
    let mut line: Vec<Version> = Vec::new();
    let mut known = 0u64;
    for revision in touched.chunk_by(|a, b| a.0.revision == b.0.revision) {
        let before = known;
        known |= revision
            .iter()
            .fold(0, |bits, (_, record)| bits | 1 << record);
        if message.answer(known) == message.answer(before) {
            continue;
        }
        let bringing = revision
            .iter()
            .filter(|(_, record)| before >> record & 1 == 0);
        line.push(Version {
            revision: revision[0].0.revision,
            records: known,
            called: bringing
                .map(|(write, _)| write.call)
                .min()
                .unwrap_or_default(),
            acknowledged: Duration::MAX,
        });
    }
    // who acknowledges a revision acknowledges all before it
    for (write, _) in touched {
        for version in &mut line {
            if version.revision <= write.revision {
                version.acknowledged = version.acknowledged.min(write.returned);
            }
        }
    }
    line
}

fn check_read(line: &[Version], read: &Read, promise: Promise, checked: &mut Checked) {
    let mut wrong = |kind| checked.wrong.push((kind, *read));
    match line.iter().find(|version| version.revision == read.seen) {
        Some(seen) if seen.called > read.returned => wrong(Wrong::FromTheFuture),
        None if read.seen != 0 => wrong(Wrong::NeverCommitted),
        _ => {}
    }
    let Some(next) = line.iter().find(|version| version.revision > read.seen) else {
        return;
    };
    if next.revision <= read.asked {
        wrong(Wrong::OlderThanAsked);
    }
    let overtaken = read.call.saturating_sub(next.acknowledged);
    let allowed = match read.seen {
        0 => promise.absent,
        _ => promise.found,
    };
    if overtaken > allowed {
        wrong(Wrong::OlderThanPromised);
    }
    checked.overtaken += usize::from(!overtaken.is_zero());
    checked.oldest = checked.oldest.max(overtaken);
}

/// Whether all that was seen of this version is what its records say.
fn is_true(line: &[Version], message: Message, revision: u64, shown: &Shown) -> bool {
    let version = line.iter().find(|version| version.revision == revision);
    let truth = pb::Attribution {
        revision,
        ..message.answer(version.map_or(0, |version| version.records))
    };
    let seen = shown.0.get(&(message.number, revision));
    seen.is_some_and(|seen| seen.iter().all(|answer| *answer == truth))
}

/// Reads that began after one ended that had seen something newer.
fn went_back(reads: &[Read]) -> Vec<Read> {
    let mut by_call: Vec<&Read> = reads.iter().collect();
    by_call.sort_by_key(|read| read.call);
    let mut by_return: Vec<&Read> = reads.iter().collect();
    by_return.sort_by_key(|read| read.returned);
    let mut ended = by_return.into_iter().peekable();
    let mut newest = 0;
    let mut back = Vec::new();
    for read in by_call {
        while let Some(before) = ended.next_if(|before| before.returned < read.call) {
            newest = newest.max(before.seen);
        }
        if read.seen < newest {
            back.push(*read);
        }
    }
    back
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
