//! CSV exports: of the portal, old and new, of PowerShell, and of what keeps the record in a
//! column of its own. Only that column is read.
//!
//! Quoting is taken strictly where a row goes on over several lines. There a truncated row
//! whose quote is never closed would otherwise swallow the rows behind it.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use super::cut::{BOM, Step, WINDOW, parse};
use super::envelope::holds_a_record;
use super::native::Native;
use super::plain::Parsed;
use super::{Decoded, MAX_RECORD, Record, decode, decode_record};
use crate::domain::TenantId;

/// The columns that hold a record. Of several the first one counts.
const COLUMNS: [&str; 4] = ["AuditData", "RawEventData", "event.original", "_raw"];

/// As for JSON: what is read in vain, in bytes, is limited, and ...
const WASTE: usize = 64 << 20;
/// ... so much more of it for every byte that is done with. Beyond it, every line is a row.
const WASTE_PER_BYTE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Columns {
    delimiter: u8,
    count: usize,
    /// Which of them holds the record.
    at: usize,
}

/// Cuts rows, a window of bytes at a time, like [`super::cut::Cutter`].
pub(super) struct Cutter {
    columns: Columns,
    done: usize,
    wasted: usize,
    /// The rest of a line that is too long is passed over.
    discarding: bool,
}

/// Where the rows begin, if the text begins with a header that names the column.
pub(super) fn header(text: &[u8]) -> Option<(usize, Cutter)> {
    let mut skip = 0;
    loop {
        let rest = &text[skip..];
        let line = line(rest);
        skip += line.next;
        let line = &rest[..line.length];
        if let Some(columns) = Columns::of_header(line) {
            let cutter = Cutter {
                columns,
                done: 0,
                wasted: 0,
                discarding: false,
            };
            return Some((skip, cutter));
        }
        if !is_preamble(line) || skip == text.len() {
            return None;
        }
    }
}

/// `#TYPE …` of PowerShell, `sep=;` of Excel, or nothing.
fn is_preamble(line: &[u8]) -> bool {
    line.starts_with(b"#TYPE") || line.starts_with(b"sep=") || line.trim_ascii().is_empty()
}

impl Columns {
    fn of_header(line: &[u8]) -> Option<Self> {
        if memchr::memchr2(b'{', b'}', line).is_some() {
            return None; // a row, or the rest of one
        }
        COLUMNS.iter().find_map(|name| Self::with(line, name))
    }

    fn with(line: &[u8], name: &str) -> Option<Self> {
        b",;\t".iter().find_map(|&delimiter| {
            let mut fields = line.split(|&b| b == delimiter);
            let at = fields.position(|field| is_name(field, name))?;
            Some(Self {
                delimiter,
                count: at + 1 + fields.count(),
                at,
            })
        })
    }
}

fn is_name(field: &[u8], name: &str) -> bool {
    let field = field.trim_ascii();
    let field = field
        .strip_prefix(b"\"")
        .and_then(|field| field.strip_suffix(b"\""))
        .unwrap_or(field);
    field.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

impl Cutter {
    /// `view`: not empty. `end`: nothing follows it.
    pub fn step<'a>(&mut self, view: &'a [u8], end: bool) -> Step<'a, Never> {
        let complete = end || view.len() >= WINDOW;
        let end = end && view.len() <= WINDOW;
        let view = &view[..view.len().min(WINDOW)];
        let step = self.look(view, complete, end);
        match &step {
            Step::Skip(length) | Step::Record { next: length, .. } => self.done += length,
            Step::More => {}
        }
        step
    }

    fn look<'a>(&mut self, view: &'a [u8], complete: bool, end: bool) -> Step<'a, Never> {
        let first = line(view);
        if self.discarding {
            self.discarding = !first.is_ended;
            return Step::Skip(first.next);
        }
        if !first.is_ended && !complete {
            return Step::More;
        }
        let text = &view[..first.length];
        if view.starts_with(BOM) {
            return Step::Skip(BOM.len());
        }
        if is_preamble(text) || text.iter().all(|b| b",;\t ".contains(b)) {
            return Step::Skip(first.next);
        }
        if let Some(columns) = Columns::of_header(text) {
            self.columns = columns; // another export behind the first one
            return Step::Skip(first.next);
        }
        let only_line = self.wasted > WASTE + self.done.saturating_mul(WASTE_PER_BYTE);
        let row = if only_line {
            scan(text, true, self.columns)
        } else {
            scan(view, end, self.columns)
        };
        match row {
            Scan::Open(_) if !complete => return Step::More,
            Scan::Row(row) => {
                let on_one_line = row.next <= first.next;
                if let Some(bytes) = row.record(view, self.columns, on_one_line) {
                    return Step::Record {
                        bytes,
                        parsed: None,
                        next: if only_line { first.next } else { row.next },
                    };
                }
                self.wasted += row.next;
            }
            Scan::Open(read) | Scan::Broken(read) => self.wasted += read,
        }
        self.discarding = !first.is_ended && !end;
        Step::Record {
            bytes: Cow::Borrowed(&text[..text.len().min(MAX_RECORD + 1)]),
            parsed: None,
            next: first.next,
        }
    }
}

/// A row is not read while it is cut.
pub(super) enum Never {}

struct Line {
    /// Without the line end.
    length: usize,
    next: usize,
    is_ended: bool,
}

/// The first line of the text, quotes or not.
fn line(text: &[u8]) -> Line {
    match memchr::memchr(b'\n', text) {
        Some(newline) => Line {
            length: newline - usize::from(text[..newline].ends_with(b"\r")),
            next: newline + 1,
            is_ended: true,
        },
        None => Line {
            length: text.len(),
            next: text.len(),
            is_ended: false,
        },
    }
}

/// What a row looks like. The numbers: how many bytes were read to know it.
enum Scan {
    Row(Row),
    /// The text ends inside of the row.
    Open(usize),
    /// Something stands between a closing quote and the next delimiter, or a row of several
    /// lines has too many fields.
    Broken(usize),
}

struct Row {
    fields: usize,
    cell: Option<Cell>,
    next: usize,
}

struct Cell {
    /// Inside of the quotes.
    range: Range<usize>,
    is_quoted: bool,
}

fn scan(view: &[u8], end: bool, columns: Columns) -> Scan {
    let mut row = Row {
        fields: 0,
        cell: None,
        next: 0,
    };
    let mut at = 0;
    let mut lines = false;
    loop {
        let blanks = view[at..].iter().take_while(|&&b| b == b' ').count();
        let is_quoted = view.get(at + blanks) == Some(&b'"');
        let range = if is_quoted {
            let start = at + blanks + 1;
            let Some(stop) = closing_quote(view, start) else {
                return Scan::Open(view.len());
            };
            if stop + 1 == view.len() && !end {
                return Scan::Open(view.len()); // the first of two quotes, perhaps
            }
            lines = lines || memchr::memchr(b'\n', &view[start..stop]).is_some();
            at = stop + 1;
            at += view[at..].iter().take_while(|&&b| b == b' ').count();
            start..stop
        } else {
            let start = at;
            at += memchr::memchr2(columns.delimiter, b'\n', &view[at..]).unwrap_or(view.len() - at);
            start..at
        };
        if row.fields == columns.at {
            row.cell = Some(Cell { range, is_quoted });
        }
        row.fields += 1;
        if lines && row.fields > columns.count {
            return Scan::Broken(at);
        }
        match &view[at..] {
            [] if end => row.next = at,
            [] | [b'\r'] if !end => return Scan::Open(at),
            [b'\r'] => row.next = at + 1,
            [b'\n', ..] => row.next = at + 1,
            [b'\r', b'\n', ..] => row.next = at + 2,
            [byte, ..] if *byte == columns.delimiter => {
                at += 1;
                continue;
            }
            _ => return Scan::Broken(at),
        }
        return Scan::Row(row);
    }
}

/// The quote that is not the first of two.
fn closing_quote(view: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr(b'"', &view[at..])?;
        if view.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

impl Row {
    /// The record that the row holds. On one line a cell is a cell also if the record in it
    /// is broken, or if there are too many or too few others.
    fn record<'a>(
        &self,
        view: &'a [u8],
        columns: Columns,
        on_one_line: bool,
    ) -> Option<Cow<'a, [u8]>> {
        let bytes = self.cell.as_ref()?.unquoted(view);
        let fits = self.fields == columns.count;
        let is_record = || {
            let trimmed = bytes.trim_ascii();
            trimmed.starts_with(b"{")
                && parse::<IgnoredAny>(trimmed).is_ok_and(|(_, length)| length == trimmed.len())
        };
        let holds = if on_one_line {
            (fits && !bytes.trim_ascii().is_empty()) || is_record()
        } else {
            fits && is_record()
        };
        holds.then_some(bytes)
    }
}

impl Cell {
    fn unquoted<'a>(&self, view: &'a [u8]) -> Cow<'a, [u8]> {
        let text = &view[self.range.clone()];
        if !self.is_quoted {
            return Cow::Borrowed(text.trim_ascii());
        }
        if memchr::memchr(b'"', text).is_none() {
            return Cow::Borrowed(text);
        }
        let mut unquoted = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(quote) = memchr::memchr(b'"', rest) {
            unquoted.extend_from_slice(&rest[..=quote]);
            rest = rest.get(quote + 2..).unwrap_or_default();
        }
        unquoted.extend_from_slice(rest);
        Cow::Owned(unquoted)
    }
}

pub(super) struct CsvRecords<'a> {
    rest: &'a [u8],
    cutter: Cutter,
    tenant: TenantId,
    /// More of the last row, if it turned out to be several records.
    more: std::vec::IntoIter<Record<'a>>,
}

impl<'a> CsvRecords<'a> {
    pub fn new(content: &'a [u8], cutter: Cutter, tenant: TenantId) -> Self {
        Self {
            rest: content,
            cutter,
            tenant,
            more: Vec::new().into_iter(),
        }
    }

    /// The same as [`decode_record`], without a copy of the bytes where there is one record.
    fn decode(&mut self, bytes: Cow<'a, [u8]>) -> Option<Record<'a>> {
        if bytes.starts_with(b"{")
            && bytes.len() <= MAX_RECORD
            && let Ok((native, length)) = parse::<Native<'_>>(&bytes)
            && length == bytes.len()
            && holds_a_record(&native)
        {
            let decoded =
                decode::decode(&bytes, Some(Parsed::Native(Box::new(native))), self.tenant)
                    .map(Decoded::into_owned);
            return Some(Record { bytes, decoded });
        }
        let records: Vec<Record<'a>> = decode_record(&bytes, self.tenant)
            .map(Record::into_owned)
            .collect();
        self.more = records.into_iter();
        self.more.next()
    }
}

impl<'a> Iterator for CsvRecords<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.more.next() {
            return Some(record);
        }
        while !self.rest.is_empty() {
            let view = &self.rest[..self.rest.len().min(WINDOW)];
            let end = view.len() == self.rest.len();
            match self.cutter.step(view, end) {
                Step::Skip(length) => self.rest = &self.rest[length..],
                Step::Record { bytes, next, .. } => {
                    self.rest = &self.rest[next..];
                    // none: the row holds a page without records
                    let first = self.decode(bytes);
                    if first.is_some() {
                        return first;
                    }
                }
                // never with a whole window in view
                Step::More => return None,
            }
        }
        None
    }
}
