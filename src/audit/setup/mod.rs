//! What administrators export of an audit set-up → settings, and the changes among audit
//! records: the documented PowerShell checks as JSON, as `Format-List` text or as CSV, in
//! UTF-8 or UTF-16, and every form of audit records that [`super::Reader`] knows.
//!
//! An object that cannot be read fails alone.

mod object;
mod table;
mod text;
mod value;

use std::io::{self, Read};

use self::object::Object;
use super::foreign::named_tenant;
use super::form::PREFIX;
use super::utf16::Utf8Input;
use super::{Decoded, MAX_RECORD, NotRecognised, Reader, decode_record};
use crate::domain::settings::Settings;
use crate::domain::{AdminChange, TenantId, Timestamp};

/// Longest text or CSV of settings, in bytes. JSON and audit records may be of any size.
pub const MAX_SETTINGS: u64 = 64 << 20;

/// Most problems that are kept; all are counted.
const MAX_PROBLEMS: usize = 1_000;

/// What a source says of the set-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    pub settings: Settings,
    pub changes: Vec<AdminChange>,
    /// Audit records that tell nothing of the set-up.
    pub other_records: u64,
    pub problems: Vec<ObjectProblem>,
    pub problems_omitted: u64,
}

/// Why an object could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectProblem {
    /// Which one of the source, from 1.
    pub number: u64,
    /// For people. Never a value of the object.
    pub detail: String,
}

/// Reads a source to its end. `captured_at`: when the commands ran, for its settings.
/// `tenant`: whose records are taken; not known yet, the first record tells.
pub fn read_setup(
    mut source: impl Read,
    captured_at: Timestamp,
    tenant: &mut Option<TenantId>,
) -> io::Result<Result<Setup, NotRecognised>> {
    // the form shows here also where it is UTF-16
    let mut start = Vec::new();
    let most = 4 * PREFIX as u64;
    source.by_ref().take(most).read_to_end(&mut start)?;
    let mut reading = Reading {
        setup: Setup::default(),
        captured_at,
        tenant,
        number: 0,
    };
    if is_text(&start)? {
        let content = io::Cursor::new(start).chain(source).take(MAX_SETTINGS + 1);
        let content = utf8(content)?;
        if content.len() as u64 > MAX_SETTINGS {
            let detail = format!("longer than {} MiB: export it as JSON", MAX_SETTINGS >> 20);
            reading.problem(detail);
        } else {
            reading.text(&String::from_utf8_lossy(&content));
        }
        return Ok(Ok(reading.setup));
    }
    let objects = match Reader::new(io::Cursor::new(start).chain(source))? {
        Ok(objects) => objects,
        Err(unknown) => return Ok(Err(unknown)),
    };
    for object in objects {
        reading.json(&object?);
    }
    Ok(Ok(reading.setup))
}

/// `Format-List` or CSV of settings.
fn is_text(start: &[u8]) -> io::Result<bool> {
    let start = utf8(start)?;
    let text = String::from_utf8_lossy(&start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    Ok(!text.starts_with(['{', '[', '<'])
        && (text::is_format_list(text) || table::header(text).is_some()))
}

fn utf8(source: impl Read) -> io::Result<Vec<u8>> {
    let mut input = Utf8Input::new(source);
    let mut out = Vec::new();
    while !input.is_ended() {
        input.read_into(&mut out)?;
    }
    Ok(out)
}

struct Reading<'a> {
    setup: Setup,
    captured_at: Timestamp,
    tenant: &'a mut Option<TenantId>,
    number: u64,
}

impl Reading<'_> {
    fn problem(&mut self, detail: impl Into<String>) {
        if self.setup.problems.len() == MAX_PROBLEMS {
            self.setup.problems_omitted += 1;
            return;
        }
        self.setup.problems.push(ObjectProblem {
            number: self.number.max(1),
            detail: detail.into(),
        });
    }

    fn text(&mut self, text: &str) {
        let text = text.trim_start_matches('\u{feff}');
        if text::is_format_list(text) {
            for object in text::objects(text) {
                self.number += 1;
                self.object(&object);
            }
            return;
        }
        let Some((columns, delimiter, rows)) = table::header(text) else {
            return;
        };
        for object in table::objects(columns, delimiter, rows) {
            self.number += 1;
            match object {
                Some(object) => self.object(&object),
                None => self.problem("has more or fewer cells than there are columns"),
            }
        }
    }

    fn object(&mut self, object: &Object) {
        match object.settings(self.captured_at) {
            Ok(settings) => self.setup.settings.append(settings),
            Err(detail) => self.problem(detail),
        }
    }

    /// A setting, or an audit record.
    fn json(&mut self, bytes: &[u8]) {
        self.number += 1;
        if !self.setting(bytes) {
            self.record(bytes);
        }
    }

    /// False: it is none.
    fn setting(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > MAX_RECORD || !bytes.starts_with(b"{") {
            return false;
        }
        let object = serde_json::from_slice(bytes)
            .ok()
            .and_then(Object::from_json);
        match object {
            Some(object) if object.is_a_setting() && !object.has("Operation") => {
                self.object(&object);
                true
            }
            _ => false,
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        let tenant = self.tenant.or_else(|| named_tenant(bytes));
        *self.tenant = tenant;
        // a record that names no tenant is taken for any
        let tenant = tenant.unwrap_or(TenantId(uuid::Uuid::nil()));
        for record in decode_record(bytes, tenant) {
            match record.decoded {
                Ok(Decoded::Admin(change)) => self.setup.changes.push(change),
                Ok(Decoded::Send { .. } | Decoded::Ignored { .. }) => {
                    self.setup.other_records += 1;
                }
                // what a broken neighbour has swallowed
                Err(_) if record.bytes.len() < bytes.len() && self.setting(&record.bytes) => {}
                Err(problem) => self.problem(format!(
                    "is neither a setting nor an audit record that can be read: {}",
                    problem.detail
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests;
