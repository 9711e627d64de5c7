//! Which form a content has.

use super::NotRecognised;
use super::csv;
use super::cut::{BOM, is_space};
use super::salvage::begins_object;

/// The form shows within this many bytes after leading white space.
pub(super) const PREFIX: usize = 64 << 10;

pub(super) enum Form {
    Json,
    Csv(csv::Cutter),
}

/// How many bytes of white space and byte order marks come first.
pub(super) fn start(content: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += content[at..].iter().take_while(|&&b| is_space(b)).count();
        if !content[at..].starts_with(BOM) {
            return at;
        }
        at += BOM.len();
    }
}

/// `prefix`: begins after what [`start`] found. Also returns where the records begin.
/// Nothing at all counts as JSON without records.
pub(super) fn detect(prefix: &[u8]) -> Result<(usize, Form), NotRecognised> {
    match prefix.first() {
        None | Some(b'{' | b'[' | b']' | b',') => return Ok((0, Form::Json)),
        Some(b'<') => return Err(NotRecognised), // a page that tells of an error
        Some(_) => {}
    }
    if let Some((skip, cutter)) = csv::header(prefix) {
        return Ok((skip, Form::Csv(cutter)));
    }
    // the first record may be what is broken
    memchr::memchr_iter(b'{', prefix)
        .any(|at| begins_object(&prefix[at..]))
        .then_some((0, Form::Json))
        .ok_or(NotRecognised)
}
