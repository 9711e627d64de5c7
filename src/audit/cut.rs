//! Cuts JSON text into records, a window of bytes at a time.
//!
//! Knows arrays, pages, objects one after another, and several of each one after another, in
//! any mixture. What is neither a record nor punctuation between records is a record of its own
//! that will not decode, so that nothing is dropped silently. Only an array or a
//! page that is cut off exactly between two records cannot be told from a complete one. What follows a broken
//! record is in [`super::salvage`].

use std::borrow::Cow;

use serde::de::{Deserialize, IgnoredAny};

use super::MAX_RECORD;
use super::page::{self, No};
use super::salvage::Salvage;

/// With this much of the input in view (or all that is left) a step never needs more: a
/// record, and one that begins anywhere inside it, each as long as a record may be.
pub(super) const WINDOW: usize = 2 * MAX_RECORD + 4096;

/// Longest beginning of a page that is known as one where too much was read in vain.
const PAGE_HEAD: usize = 512;

pub(super) const BOM: &[u8] = "\u{feff}".as_bytes();

/// What stands at the beginning of the window.
pub(super) enum Step<'a, T> {
    /// This many bytes belong to no record.
    Skip(usize),
    /// It takes more bytes to tell. Never with [`WINDOW`] bytes in view, or at the end.
    More,
    Record {
        /// Longer than [`MAX_RECORD`]: cut there, what follows of it is skipped.
        bytes: Cow<'a, [u8]>,
        /// Where reading it as `T` was possible.
        parsed: Option<T>,
        /// Goes on after this many bytes; at least 1.
        next: usize,
    },
}

/// What an object is read as.
pub(super) trait Object<'a>: Sized {
    /// Reads the object at the beginning. Its length: where it ends.
    fn read(json: &'a [u8]) -> Result<(Self, usize), serde_json::Error>;

    /// It is not known to be none.
    fn may_be_a_page(&self) -> bool;
}

impl<'a> Object<'a> for IgnoredAny {
    fn read(json: &'a [u8]) -> Result<(Self, usize), serde_json::Error> {
        parse(json)
    }

    fn may_be_a_page(&self) -> bool {
        true
    }
}

/// Decides from the bytes alone, never from where a window ends: the records are the same
/// whatever portions the input comes in.
pub(super) struct Cutter {
    in_array: bool,
    /// Nothing but punctuation has been seen: plain values are junk, not elements.
    is_piece: bool,
    /// Every record so far was a line of its own. `None`: there was none yet.
    one_a_line: Option<bool>,
    pages: Pages,
    salvage: Salvage,
}

/// Pages that have begun.
#[derive(Default)]
struct Pages {
    open: usize,
    any: bool,
    /// A list has ended: what follows may be the rest of its page.
    behind_list: bool,
    /// Whether the outermost one stands in an array.
    in_array: bool,
}

impl Cutter {
    pub fn new() -> Self {
        Self {
            in_array: false,
            is_piece: false,
            one_a_line: None,
            pages: Pages::default(),
            salvage: Salvage::default(),
        }
    }

    /// For one record that was cut before: what was one record stays one.
    pub fn of_piece() -> Self {
        Self {
            in_array: true,
            is_piece: true,
            one_a_line: None,
            pages: Pages::default(),
            salvage: Salvage::default(),
        }
    }

    pub fn has_seen_a_page(&self) -> bool {
        self.pages.any
    }

    /// `view`: not empty. `end`: nothing follows it.
    pub fn step<'a, T: Object<'a>>(&mut self, view: &'a [u8], end: bool) -> Step<'a, T> {
        let step = self.look::<T>(view, end);
        match &step {
            Step::Skip(length) | Step::Record { next: length, .. } => self.salvage.moved(*length),
            Step::More => {}
        }
        step
    }

    fn look<'a, T: Object<'a>>(&mut self, view: &'a [u8], end: bool) -> Step<'a, T> {
        let complete = end || view.len() >= WINDOW;
        let view = &view[..view.len().min(WINDOW)];
        if self.salvage.is_discarding() {
            return if complete {
                Step::Skip(self.salvage.discard(view))
            } else {
                Step::More
            };
        }
        let punctuation = view.iter().take_while(|&&b| is_separator(b)).count();
        if punctuation > 0 {
            return Step::Skip(punctuation);
        }
        if std::mem::take(&mut self.pages.behind_list)
            && let Some(step) = self.rest_of_page(view, complete)
        {
            return step;
        }
        match view[0] {
            b']' => {
                self.in_array = false;
                self.pages.behind_list = self.pages.open > 0;
                Step::Skip(1)
            }
            b'[' => self.array(view, complete),
            b'{' => self.value::<T>(view, complete, true),
            _ if view.starts_with(BOM) => Step::Skip(BOM.len()),
            _ if self.is_piece => self.broken(view, complete, Junk::Unknown),
            b'"' => self.value::<T>(view, complete, false),
            _ => self.word(view, complete),
        }
    }

    /// Arrays of arrays of records are read as one array; other arrays in arrays are junk.
    fn array<'a, T: Object<'a>>(&mut self, view: &'a [u8], complete: bool) -> Step<'a, T> {
        let first = view[1..].iter().find(|&&b| !is_space(b));
        match first {
            _ if !self.in_array => {}
            None if !complete => return Step::More,
            Some(b'{') => {}
            _ if self.is_piece => return self.broken(view, complete, Junk::Unknown),
            _ => return self.value(view, complete, true),
        }
        self.in_array = true;
        Step::Skip(1)
    }

    /// None if something else follows.
    fn rest_of_page<'a, T>(&mut self, view: &'a [u8], complete: bool) -> Option<Step<'a, T>> {
        match view[0] {
            b'}' => {
                self.pages.open -= 1;
                self.in_array = self.pages.open > 0 || self.pages.in_array;
                Some(Step::Skip(1))
            }
            b'"' => {
                let step = match page::pair(view) {
                    Ok(length) => Step::Skip(length),
                    Err(No::MoreBytes) if !complete => Step::More,
                    Err(_) => return None,
                };
                self.pages.behind_list = true;
                Some(step)
            }
            _ => None,
        }
    }

    /// Steps into a page. Its bytes are looked at again: how many were read already?
    fn page<'a, T>(&mut self, list: usize, read: usize) -> Step<'a, T> {
        self.salvage.wasted(read);
        if self.pages.open == 0 {
            self.pages.in_array = self.in_array && !self.is_piece;
        }
        self.pages.open += 1;
        self.pages.any = true;
        self.in_array = true;
        self.is_piece = false;
        Step::Skip(list)
    }

    /// An object, an array or a string.
    fn value<'a, T: Object<'a>>(
        &mut self,
        view: &'a [u8],
        complete: bool,
        delimits_itself: bool,
    ) -> Step<'a, T> {
        let mut head = &view[..view.len().min(MAX_RECORD)];
        let is_object = head[0] == b'{';
        if self.salvage.is_exhausted() {
            if !complete {
                return Step::More;
            }
            if is_object && let Some(list) = page::list_of(&head[..head.len().min(PAGE_HEAD)]) {
                return self.page(list, 0);
            }
            head = &head[..self.salvage.lines_of_one(head)];
        }
        if is_object && let Ok((value, length)) = T::read(head) {
            return self.object(view, length, Some(value));
        }
        match parse::<IgnoredAny>(head) {
            Ok((_, length)) if is_object => self.object(view, length, None),
            Ok((_, length)) if delimits_itself => {
                self.broken(view, complete, Junk::Value { length })
            }
            Ok((_, length)) => self.element(view, complete, length),
            Err(_) if !complete => Step::More,
            Err(error) => {
                let read = failed_at(head, &error);
                match page::list_of(head) {
                    Some(list) if is_object => self.page(list, read),
                    _ => {
                        self.salvage.wasted(read);
                        self.broken(view, complete, Junk::Unknown)
                    }
                }
            }
        }
    }

    fn object<'a, T: Object<'a>>(
        &mut self,
        view: &'a [u8],
        length: usize,
        parsed: Option<T>,
    ) -> Step<'a, T> {
        let object = &view[..length];
        if parsed.as_ref().is_none_or(Object::may_be_a_page)
            && let Some(list) = page::list_of(object)
            && !page::is_a_record(object)
        {
            return self.page(list, length);
        }
        // the end of the page's list can close a list of a record that was cut off in it
        if self.pages.open > 0
            && let Some(cut) = self.salvage.swallowed(view, length)
        {
            return Step::Record {
                bytes: Cow::Borrowed(&view[..cut.length]),
                parsed: None,
                next: cut.next,
            };
        }
        let is_line = !self.in_array
            && memchr::memchr(b'\n', object).is_none()
            && matches!(view[length..], [] | [b'\n' | b'\r', ..]);
        self.one_a_line = Some(is_line && self.one_a_line != Some(false));
        self.is_piece = false;
        record(view, length, parsed)
    }

    /// A number, `null`, `true`, or anything.
    fn word<'a, T>(&mut self, view: &'a [u8], complete: bool) -> Step<'a, T> {
        let length = view
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || b"+-._".contains(b))
            .count();
        self.element(view, complete, length)
    }

    /// A plain value is a record of its own if it ends like an element or a line.
    fn element<'a, T>(&mut self, view: &'a [u8], complete: bool, length: usize) -> Step<'a, T> {
        let rest = &view[length..];
        let after = rest.iter().find(|&&b| !matches!(b, b' ' | b'\t' | b'\r'));
        match after {
            None if !complete => Step::More,
            None | Some(b',' | b']' | b'[' | b'{' | b'\n') if length > 0 => {
                record(view, length, None)
            }
            _ => self.broken(view, complete, Junk::Unknown),
        }
    }

    /// Where every record is a line of its own, no broken one reaches into the next line.
    fn line_of<'a>(&self, view: &'a [u8]) -> &'a [u8] {
        match memchr::memchr(b'\n', view) {
            Some(end) if self.one_a_line == Some(true) => &view[..=end],
            _ => view,
        }
    }

    fn broken<'a, T>(&mut self, view: &'a [u8], complete: bool, junk: Junk) -> Step<'a, T> {
        if !complete {
            return Step::More;
        }
        self.is_piece = false;
        let cut = match junk {
            Junk::Value { length } => self.salvage.inside(view, length),
            Junk::Unknown => self.salvage.from(self.line_of(view)),
        };
        Step::Record {
            bytes: Cow::Borrowed(&view[..cut.length]),
            parsed: None,
            next: cut.next,
        }
    }
}

enum Junk {
    /// Valid JSON of this length that is no record.
    Value { length: usize },
    /// Nobody knows where it ends.
    Unknown,
}

fn record<T>(view: &[u8], length: usize, parsed: Option<T>) -> Step<'_, T> {
    Step::Record {
        bytes: Cow::Borrowed(&view[..length]),
        parsed,
        next: length,
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn is_separator(byte: u8) -> bool {
    is_space(byte) || byte == b','
}

/// Reads the value at the beginning. Its length: where it ends.
pub(super) fn parse<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
) -> Result<(T, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    match values.next() {
        Some(value) => value.map(|value| (value, values.byte_offset())),
        None => Err(serde::de::Error::custom("nothing there")),
    }
}

/// How many bytes were read in vain.
pub(super) fn failed_at(bytes: &[u8], error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return bytes.len();
    }
    let line_start = match error.line() {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', bytes)
            .nth(line - 2)
            .map_or(0, |newline| newline + 1),
    };
    (line_start + error.column()).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_up_to_the_mistake_were_read_in_vain() {
        for text in [
            "?",
            "{?",
            "{\n?",
            "{\n\n \"a\":1,\n  \"b\": ?\n}\n",
            "{\r\n\"a\"?",
        ] {
            let error = parse::<serde_json::Value>(text.as_bytes()).expect_err("a mistake");
            let mistake = text.find('?').expect("one") + 1;
            assert_eq!(failed_at(text.as_bytes(), &error), mistake, "{text}");
        }
        let cut_off = b"{\n\"a\":";
        let error = parse::<serde_json::Value>(cut_off).expect_err("a mistake");
        assert_eq!(failed_at(cut_off, &error), cut_off.len());
    }
}
