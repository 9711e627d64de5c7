//! How every listing is paged.

use super::{App, Error, Result, secret::Query};
use crate::{domain::Timestamp, store::ReceivedPosition};
use uuid::Uuid;

const DEFAULT_PAGE: u32 = 100;
pub(super) const MAX_PAGE: u32 = 1_000;
/// Bytes of a page whose rows have no small bound: far enough below the 4 MiB of an answer.
pub const MAX_PAGE_BYTES: usize = 3 << 20;

/// The page size that a caller gets: 0 is the default, too much is the most.
pub fn page_size(asked: i32) -> Result<u32> {
    size("page_size", asked, DEFAULT_PAGE)
}

/// The same for the chunks of a stream, which come unasked: there the most is the default.
pub fn chunk_size(asked: i32) -> Result<u32> {
    size("chunk_size", asked, MAX_PAGE)
}

/// The same for a summary, of which small pages may cost as much as large ones.
pub fn summary_page_size(asked: i32) -> Result<u32> {
    size("page_size", asked, MAX_PAGE)
}

fn size(field: &str, asked: i32, default: u32) -> Result<u32> {
    match u32::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked.min(MAX_PAGE)),
        Err(_) => Err(Error::field(field, "must not be negative")),
    }
}

/// Cuts the one row too many that was asked for to see whether there is a next page.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

/// Cuts what would make the page too large. The first row stays, whatever its size.
pub(super) fn cut_by_size<T>(
    mut rows: Vec<T>,
    more: bool,
    size: impl Fn(&T) -> usize,
) -> (Vec<T>, bool) {
    let mut bytes = 0;
    let fits = rows.iter().take_while(|row| {
        bytes += size(row);
        bytes <= MAX_PAGE_BYTES
    });
    let fits = fits.count().max(1);
    let more = more || rows.len() > fits;
    rows.truncate(fits);
    (rows, more)
}

/// A row of a listing from new to old: the next page begins behind it.
pub(super) trait Behind {
    fn position(&self) -> ReceivedPosition;
}

impl App {
    /// The position in a token of a listing from new to old.
    pub(super) async fn open(
        &self,
        query: &Query,
        token: &str,
    ) -> Result<Option<ReceivedPosition>> {
        if token.is_empty() {
            return Ok(None);
        }
        let position = self.secret().await?.open(query, token)?;
        let (received_at, id) = position
            .split_first_chunk()
            .ok_or(Error::PageTokenInvalid)?;
        Ok(Some(ReceivedPosition {
            received_at: Timestamp::from_micros(i64::from_le_bytes(*received_at)),
            id: Uuid::from_slice(id).map_err(|_| Error::PageTokenInvalid)?,
        }))
    }

    /// The token of the page behind `last`; empty if there is none.
    pub(super) async fn seal<T: Behind + Sync>(
        &self,
        query: &Query,
        last: Option<&T>,
    ) -> Result<String> {
        let Some(last) = last.map(Behind::position) else {
            return Ok(String::new());
        };
        let received_at = last.received_at.micros().to_le_bytes();
        let position = [&received_at[..], last.id.as_bytes()].concat();
        self.secret().await?.seal(query, &position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_by_its_size_but_never_empty() {
        const MIB: usize = 1 << 20;
        for (sizes, more, kept, next) in [
            (vec![MIB, MIB, MIB], false, 3, false),
            (vec![MIB, MIB, MIB], true, 3, true),
            (vec![MIB, MIB, MIB, 1], false, 3, true),
            (vec![4 * MIB, 1], false, 1, true),
            (vec![4 * MIB], false, 1, false),
            (vec![], false, 0, false),
        ] {
            let (rows, is_more) = cut_by_size(sizes.clone(), more, |size| *size);
            assert_eq!((rows.len(), is_more), (kept, next), "{sizes:?}");
        }
    }
}
