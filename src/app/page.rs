//! How every listing is paged.

use super::{Error, Result};

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

/// The page size that a caller gets: 0 is the default, too much is the most.
pub fn page_size(asked: i32) -> Result<u32> {
    match u32::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(asked) => Ok(asked.min(MAX_PAGE)),
        Err(_) => Err(Error::field("page_size", "must not be negative")),
    }
}

/// Cuts the one row too many that was asked for to see whether there is a next page.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}
