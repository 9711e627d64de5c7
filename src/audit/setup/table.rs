//! CSV of settings: `Export-Csv`, and what `Microsoft-Extractor-Suite` writes.

use serde_json::Value;

use super::object::{Object, is_telling};

/// Most columns of a header that is taken for one.
const MAX_COLUMNS: usize = 1_000;

/// Where the rows begin, and the names of the columns, if it begins with a header that names
/// a property that tells something.
pub(super) fn header(text: &str) -> Option<(Vec<String>, char, &str)> {
    let mut rest = text;
    loop {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let is_preamble = line.starts_with("#TYPE") || line.trim().is_empty();
        if is_preamble && !next.is_empty() {
            rest = next;
            continue;
        }
        return [',', ';', '\t'].into_iter().find_map(|delimiter| {
            let (columns, rows) = row(rest, delimiter);
            let is_header = (2..=MAX_COLUMNS).contains(&columns.len())
                && columns.iter().any(|name| is_telling(name))
                && columns.iter().all(|name| is_name(name));
            is_header.then_some((columns, delimiter, rows))
        });
    }
}

/// A command that is in the file as it was typed is none.
fn is_name(column: &str) -> bool {
    let mut chars = column.chars();
    chars.all(|c| c.is_alphanumeric() || " _.-()".contains(c))
}

/// A row with more or fewer cells than there are columns is no object.
pub(super) fn objects<'a>(
    columns: Vec<String>,
    delimiter: char,
    rows: &'a str,
) -> impl Iterator<Item = Option<Object>> + 'a {
    let mut rest = rows;
    let next = move || {
        while !rest.is_empty() {
            let (cells, next) = row(rest, delimiter);
            rest = next;
            if cells.iter().any(|cell| !cell.is_empty()) {
                return Some(cells);
            }
        }
        None
    };
    std::iter::from_fn(next)
        .map(move |cells| (cells.len() == columns.len()).then(|| object(&columns, cells)))
}

fn object(columns: &[String], cells: Vec<String>) -> Object {
    let mut object = Object::new();
    // blank is "none of them" where auditing was exported, and "not exported" elsewhere
    let audit_enabled = columns.iter().zip(&cells);
    let mut audit_enabled = audit_enabled.filter(|(name, _)| is_column(name, "AuditEnabled"));
    let is_exported = audit_enabled.any(|(_, cell)| !cell.is_empty());
    for (name, cell) in columns.iter().zip(cells) {
        if !cell.is_empty() || is_exported {
            object.insert(name, Value::String(cell));
        }
    }
    object
}

fn is_column(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// The cells of the first row, trimmed, and what follows it. A quote that is never closed
/// ends with the line: it must not swallow the rows behind it.
fn row(text: &str, delimiter: char) -> (Vec<String>, &str) {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let quoted = rest.trim_start_matches(' ').strip_prefix('"');
        let (cell, next) = match quoted.and_then(quoted_cell) {
            Some((cell, next)) => (cell, next.trim_start_matches(' ')),
            None => {
                let end = rest.find([delimiter, '\n']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        cells.push(cell.trim().to_owned());
        let next = next.strip_prefix('\r').unwrap_or(next);
        match next.chars().next() {
            Some(c) if c == delimiter && cells.len() <= MAX_COLUMNS => {
                rest = &next[delimiter.len_utf8()..];
            }
            Some('\n') => return (cells, &next[1..]),
            None => return (cells, ""),
            // something behind a closing quote, or far too many cells: no row
            Some(_) => {
                let end = next.find('\n').map_or(next.len(), |newline| newline + 1);
                return (vec!["?".into(); MAX_COLUMNS + 1], &next[end..]);
            }
        }
    }
}

/// Longest cell that goes over several lines, in bytes: looking for the end of an open quote
/// must not read the rest of the file once a row.
const MAX_CELL: usize = 64 << 10;

/// Behind its opening quote.
fn quoted_cell(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let quote = rest.bytes().take(MAX_CELL).position(|byte| byte == b'"')?;
        cell.push_str(&rest[..quote]);
        at += quote + 1;
        if text[at..].starts_with('"') {
            cell.push('"');
            at += 1;
        } else {
            return Some((cell, &text[at..]));
        }
        if at > MAX_CELL {
            return None;
        }
    }
}
