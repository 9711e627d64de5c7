//! Where a broken record ends. A broken record fails alone: the records around it are kept.
//!
//! Two exceptions. A broken record whose brackets do not close takes along what follows it
//! up to the next object that looks like an audit record, or to the next line that cannot
//! belong to it: a neighbour without `Id` or `Operation`, or one that is broken too, may be
//! part of its bytes; but not where every record so far was a line of its own. And input of
//! which too much was read in vain (see [`WASTE`]) is cut at line ends only.
//!
//! Text inside of JSON strings can never be taken for a record here: its quotes are escaped,
//! and a record begins with a brace and a bare quote.

use super::MAX_RECORD;
use super::cut::{failed_at, is_space, parse};
use super::envelope::holds_a_record;
use super::native::Native;

/// Looking for the next record reads some bytes more than once. What is read in vain, in
/// bytes, must stay below this and ...
const WASTE: usize = 64 << 20;
/// ... this much for every byte of the input that is done with. Beyond it, a line that
/// begins like an object is taken for the beginning of the next record.
const WASTE_PER_BYTE: usize = 8;

/// Longest first key of an object that is taken for the beginning of a record.
const MAX_KEY: usize = 128;

#[derive(Default)]
pub(super) struct Salvage {
    done: usize,
    wasted: usize,
    discarding: bool,
    /// No line that begins like an object follows a line end before this byte of the input.
    same_line_up_to: usize,
}

/// A broken record.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    pub length: usize,
    /// Where the search for the next record goes on.
    pub next: usize,
}

impl Salvage {
    pub fn moved(&mut self, bytes: usize) {
        self.done += bytes;
    }

    pub fn wasted(&mut self, bytes: usize) {
        self.wasted += bytes;
    }

    pub fn is_exhausted(&self) -> bool {
        self.wasted > WASTE + self.done.saturating_mul(WASTE_PER_BYTE)
    }

    /// The cheap search: how far the record at the beginning reaches at most.
    pub fn lines_of_one(&mut self, view: &[u8]) -> usize {
        let from = self.same_line_up_to.saturating_sub(self.done).max(1);
        let from = from.min(view.len());
        let found = line_start(&view[from..], view.len() - from).map(|at| from + at);
        // what begins at the end of the view may be an object, too
        let sure = found.map_or(view.len().saturating_sub(2 * MAX_KEY), |at| at - 1);
        self.same_line_up_to = self.same_line_up_to.max(self.done + sure);
        found.unwrap_or(view.len())
    }

    /// The rest of a record that is too large is passed over.
    pub fn is_discarding(&self) -> bool {
        self.discarding
    }

    /// Returns how many bytes to pass over.
    pub fn discard(&mut self, view: &[u8]) -> usize {
        let limit = view.len().min(MAX_RECORD);
        let next = self
            .record_start(view, 0, limit, None)
            .or_else(|| match self.is_exhausted() {
                true => line_start(view, limit),
                false => None,
            });
        self.discarding = next.is_none();
        next.unwrap_or(limit)
    }

    /// The broken thing at the beginning is valid JSON of this length, but no record.
    pub fn inside(&mut self, view: &[u8], length: usize) -> Cut {
        let next = self.record_start(view, 1, length, None);
        next.map_or_else(|| whole(length), |next| up_to(view, next))
    }

    /// The object at the beginning, which is valid JSON of this length, has a record in one of
    /// its lists. No record has: it was cut off, and those that followed it are that list.
    pub fn swallowed(&mut self, view: &[u8], length: usize) -> Option<Cut> {
        let is_element = |at: usize| {
            let before = view[..at].iter().rfind(|&&b| !is_space(b));
            matches!(before, Some(b',' | b'['))
        };
        let next = memchr::memchr_iter(b'{', &view[..length])
            .skip(1)
            .filter(|&at| is_element(at) && begins_object(&view[at..]))
            .find(|&at| !self.is_exhausted() && self.begins_record(&view[at..length]))?;
        Some(up_to(view, next))
    }

    /// The broken thing at the beginning ends where its brackets close, or before the first
    /// record after its beginning, whichever comes first.
    pub fn from(&mut self, view: &[u8]) -> Cut {
        let limit = view.len().min(MAX_RECORD);
        if self.is_exhausted() {
            return self.cheaply(view, limit, 1);
        }
        let mut brackets = Brackets::default();
        let mut searched = 1;
        let mut bound = 4096;
        let mut string_break = None;
        loop {
            bound = bound.min(limit);
            match brackets.scan(view, bound) {
                Scan::Closed(end) if is_between_records(&view[end..]) => {
                    let next = self.record_start(view, searched.min(end), end, None);
                    return next.map_or_else(|| whole(end), |next| up_to(view, next));
                }
                Scan::BrokenString(newline) => string_break = Some(newline),
                _ => {}
            }
            if let Some(next) = self.record_start(view, searched, bound, string_break) {
                return up_to(view, next);
            }
            if self.is_exhausted() {
                return self.cheaply(view, limit, searched);
            }
            searched = bound;
            if bound == limit {
                break;
            }
            bound *= 2;
        }
        self.all(view, limit)
    }

    fn cheaply(&mut self, view: &[u8], limit: usize, from: usize) -> Cut {
        match line_start(&view[from..], limit - from) {
            Some(next) => up_to(view, from + next),
            None => self.all(view, limit),
        }
    }

    fn all(&mut self, view: &[u8], limit: usize) -> Cut {
        if limit == view.len() {
            return up_to(view, limit);
        }
        self.discarding = true;
        // one byte too many tells that it is too large
        Cut {
            length: limit + 1,
            next: limit,
        }
    }

    /// The first place in `from..to` where a record starts.
    fn record_start(
        &mut self,
        view: &[u8],
        from: usize,
        to: usize,
        string_break: Option<usize>,
    ) -> Option<usize> {
        for at in memchr::memchr_iter(b'{', &view[from..to]).map(|at| from + at) {
            if self.is_exhausted() {
                return None;
            }
            if !begins_object(&view[at..]) {
                continue;
            }
            let before = &view[..at];
            if before.last() == Some(&b'\n') {
                let last = before.iter().rfind(|&&b| !is_space(b));
                let no_value_here = last.is_some_and(|b| !b",:[".contains(b));
                if no_value_here || string_break == Some(at - 1) {
                    return Some(at);
                }
            }
            if self.begins_record(&view[at..view.len().min(at + MAX_RECORD)]) {
                return Some(at);
            }
        }
        None
    }

    fn begins_record(&mut self, text: &[u8]) -> bool {
        match parse::<Native<'_>>(text) {
            Ok((native, _)) if holds_a_record(&native) => return true,
            // reading it was not in vain only if it is no part of what is read again
            Ok((_, length)) => self.wasted(length),
            Err(error) => self.wasted(failed_at(text, &error)),
        }
        false
    }
}

fn whole(length: usize) -> Cut {
    Cut {
        length,
        next: length,
    }
}

/// Without the separators at its end.
fn up_to(view: &[u8], next: usize) -> Cut {
    let length = view[..next]
        .iter()
        .rposition(|&b| !is_space(b) && b != b',')
        .map_or(next, |last| last + 1);
    Cut { length, next }
}

/// `{`, a short key in quotes, `:`.
pub(super) fn begins_object(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"{") else {
        return false;
    };
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"\"") else {
        return false;
    };
    memchr::memchr(b'"', &rest[..rest.len().min(MAX_KEY)])
        .is_some_and(|end| end > 0 && rest[end + 1..].trim_ascii_start().starts_with(b":"))
}

/// The first line that begins like an object.
fn line_start(view: &[u8], limit: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &view[..limit])
        .map(|newline| newline + 1)
        .find(|&at| begins_object(&view[at..]))
}

/// Whether what follows can follow a record: the end, the next record, a new line.
fn is_between_records(rest: &[u8]) -> bool {
    let spaces = rest.iter().take_while(|&&b| is_space(b)).count();
    let (spaces, rest) = rest.split_at(spaces);
    match rest.first() {
        Some(b',') => !rest[1..].trim_ascii_start().starts_with(b"\""),
        None | Some(b']' | b'[' | b'{') => true,
        Some(b'"' | b'}' | b':') => false,
        Some(_) => spaces.contains(&b'\n'),
    }
}

/// Follows brackets and strings, whatever stands between them.
#[derive(Default)]
struct Brackets {
    at: usize,
    depth: usize,
    /// Bit by depth, up to 64: a list, not an object.
    lists: u64,
    in_string: bool,
    done: bool,
}

#[derive(Debug, PartialEq)]
enum Scan {
    Open,
    /// Behind the bracket that closes the first one.
    Closed(usize),
    /// A line ends here, inside of a string.
    BrokenString(usize),
    Broken,
}

impl Brackets {
    /// Goes on up to `bound`.
    fn scan(&mut self, view: &[u8], bound: usize) -> Scan {
        if self.done {
            return Scan::Broken;
        }
        while self.at < bound {
            let at = self.at;
            let byte = view[at];
            self.at += 1;
            if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.at += 1,
                    b'\n' => {
                        self.done = true;
                        return Scan::BrokenString(at);
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if self.depth < 64 {
                        self.lists &= !(1 << self.depth);
                        self.lists |= u64::from(byte == b'[') << self.depth;
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    let is_list = byte == b']';
                    let fits = match self.depth {
                        0 => false,
                        depth @ 1..=64 => (self.lists >> (depth - 1) & 1 == 1) == is_list,
                        _ => true,
                    };
                    self.depth = self.depth.saturating_sub(1);
                    if !fits || self.depth == 0 {
                        self.done = true;
                        return if fits {
                            Scan::Closed(self.at)
                        } else {
                            Scan::Broken
                        };
                    }
                }
                // what does not begin with a bracket has no end of its own
                _ if self.depth == 0 => {
                    self.done = true;
                    return Scan::Broken;
                }
                _ => {}
            }
        }
        Scan::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_like_an_object_ends_what_is_before_it() {
        let text = b"{\"a\": ?\n {\"b\":2}\n{}\n{\"c\":3}\n{\"d\":4}";
        let start = text.windows(4).position(|four| four == b"{\"c\"");
        assert_eq!(line_start(text, text.len()), start);
        assert_eq!(Salvage::default().lines_of_one(text), start.expect("c"));
        let before = &text[..start.expect("c")];
        assert_eq!(line_start(before, before.len()), None);
        assert_eq!(Salvage::default().lines_of_one(before), before.len());
    }

    /// Of the lines of one nothing is looked at twice, but for an end that more may follow.
    #[test]
    fn a_line_that_is_not_whole_yet_is_found_when_it_is() {
        let before = [b'x'; 1_000];
        let key = "k".repeat(MAX_KEY - 1);
        let line = format!("\n{{{}\"{key}\":1}}", " ".repeat(MAX_KEY - 8));
        let whole = [&before, line.as_bytes()].concat();
        let at = before.len() + 1;
        for seen in at..at + line.len() - 4 {
            let mut salvage = Salvage::default();
            assert_eq!(salvage.lines_of_one(&whole[..seen]), seen);
            assert_eq!(salvage.lines_of_one(&whole), at, "after {seen}");
        }
    }
}
