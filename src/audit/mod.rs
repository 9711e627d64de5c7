//! Audit records → domain. Tolerant: one decoder for the native record, whatever it is
//! wrapped in; a record that cannot be taken in fails alone, and nothing is dropped silently.
//!
//! | step | where |
//! |---|---|
//! | which form the content has | `form` |
//! | where a record begins and ends: JSON, pages of it, CSV | `cut`, `page`, `csv` |
//! | where a broken record ends | `salvage` |
//! | files of any size | [`Reader`] |
//! | the fields of a record | `native`, `keys`, `fields`, `composite` |
//! | the same, faster, of records that are plain, as nearly all are | `plain`, `scan` |
//! | what it is wrapped in | `envelope` |
//! | what they say | `decode`, `send`, `admin`, `kept` |
//! | whose it is, if it cannot be read | `foreign` |
//! | exports of the audit set-up | `setup` |

mod admin;
mod composite;
mod csv;
mod cut;
mod decode;
mod envelope;
mod fields;
mod foreign;
mod form;
mod kept;
mod keys;
mod microsoft_error;
mod native;
mod page;
mod plain;
mod reader;
mod salvage;
mod scan;
mod send;
mod setup;
mod utf16;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use microsoft_error::{MicrosoftError, microsoft_error};
pub use reader::Reader;
pub use setup::{MAX_SETTINGS, ObjectProblem, Setup, read_setup};

use crate::domain::send_event::MessageRef;
use crate::domain::{AdminChange, QuarantineReason, SendEvent, TenantId};
use cut::{Cutter, Step, WINDOW};
use form::Form;
use plain::Parsed;

/// Longest record, in bytes.
pub const MAX_RECORD: usize = 4 << 20;
/// Deepest nesting of a record: the record itself is the first level.
pub const MAX_DEPTH: usize = 64;

/// Longest [`Problem::detail`], in characters.
const MAX_DETAIL: usize = 200;

/// Why a record cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: QuarantineReason,
    /// For people: which field, and what is wrong with it. At most 200 characters; never a
    /// value of the record, which is private.
    pub detail: String,
}

impl Problem {
    fn new(reason: QuarantineReason, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self {
            reason,
            detail: detail.chars().take(MAX_DETAIL).collect(),
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    Send {
        message: MessageRef,
        event: SendEvent,
    },
    Admin(AdminChange),
    /// A record of no interest.
    Ignored {
        /// Trimmed, at most 100 characters, without control characters; not empty.
        operation: Cow<'a, str>,
    },
}

#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// As they came; of a CSV row only the cell that holds the record. Of a record that is
    /// too large the first [`MAX_RECORD`].
    pub bytes: Cow<'a, [u8]>,
    pub decoded: Result<Decoded<'a>, Problem>,
}

impl Record<'_> {
    fn into_owned(self) -> Record<'static> {
        Record {
            bytes: Cow::Owned(self.bytes.into_owned()),
            decoded: self.decoded.map(Decoded::into_owned),
        }
    }
}

impl Decoded<'_> {
    fn into_owned(self) -> Decoded<'static> {
        match self {
            Self::Send { message, event } => Decoded::Send { message, event },
            Self::Admin(change) => Decoded::Admin(change),
            Self::Ignored { operation } => Decoded::Ignored {
                operation: Cow::Owned(operation.into_owned()),
            },
        }
    }
}

/// The content is in no form that audit records come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither JSON nor CSV with audit records")]
pub struct NotRecognised;

/// All records of a content blob or an export that is in memory as a whole: a JSON array,
/// JSON objects one after another, pages of them, or CSV. No content is no records.
pub fn decode_content(
    content: &[u8],
    tenant: TenantId,
) -> Result<impl Iterator<Item = Record<'_>>, NotRecognised> {
    let start = form::start(content);
    let content = &content[start..];
    let (skip, form) = form::detect(&content[..content.len().min(form::PREFIX)])?;
    let content = &content[skip..];
    Ok(match form {
        Form::Json => Records::Json(JsonRecords::new(content, Cutter::new(), tenant)),
        Form::Csv(cutter) => Records::Csv(csv::CsvRecords::new(content, cutter, tenant)),
    })
}

/// One record that was cut before. It is one item, with all of its bytes, unless it is broken
/// and has swallowed others, or a page: then it is the records of the page. Nothing at all is
/// one broken record.
pub fn decode_record(record: &[u8], tenant: TenantId) -> impl Iterator<Item = Record<'_>> {
    let mut records = JsonRecords::new(record, Cutter::of_piece(), tenant);
    let mut first = records.next();
    let second = records.next();
    if !records.cutter.has_seen_a_page() {
        let first = first.get_or_insert_with(|| Record {
            bytes: Cow::Borrowed(record),
            decoded: decode::decode(record, None, tenant),
        });
        if second.is_none() {
            first.bytes = truncated(Cow::Borrowed(record));
        }
    }
    first.into_iter().chain(second).chain(records)
}

enum Records<'a> {
    Json(JsonRecords<'a>),
    Csv(csv::CsvRecords<'a>),
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Json(records) => records.next(),
            Self::Csv(records) => records.next(),
        }
    }
}

struct JsonRecords<'a> {
    rest: &'a [u8],
    cutter: Cutter,
    tenant: TenantId,
}

impl<'a> JsonRecords<'a> {
    fn new(content: &'a [u8], cutter: Cutter, tenant: TenantId) -> Self {
        Self {
            rest: content,
            cutter,
            tenant,
        }
    }
}

impl<'a> Iterator for JsonRecords<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let view = &self.rest[..self.rest.len().min(WINDOW)];
            let end = view.len() == self.rest.len();
            match self.cutter.step::<Parsed<'a>>(view, end) {
                Step::Skip(length) => self.rest = &self.rest[length..],
                Step::Record {
                    bytes,
                    parsed,
                    next,
                } => {
                    self.rest = &self.rest[next..];
                    let decoded = decode::decode(&bytes, parsed, self.tenant);
                    return Some(Record {
                        bytes: truncated(bytes),
                        decoded,
                    });
                }
                // never with a whole window in view
                Step::More => return None,
            }
        }
        None
    }
}

fn truncated(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..bytes.len().min(MAX_RECORD)]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(MAX_RECORD);
            Cow::Owned(bytes)
        }
    }
}
