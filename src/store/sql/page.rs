//! Rows of one statement → what was asked for.

use super::super::{
    PageLimit, RangePage, Result, Snapshot, StoreError,
    rows::{AsOf, check_tenant},
};
use crate::domain::{Answer, Generation, Revision, TenantId};
use futures_util::{Stream, TryStreamExt as _};

/// Reads on until the page is full.
pub(super) async fn range_page(
    mut answers: impl Stream<Item = Result<Answer>> + Unpin,
    limit: PageLimit,
) -> Result<RangePage> {
    let mut page = RangePage::default();
    let (mut bytes, mut is_full) = (0, false);
    while let Some(answer) = answers.try_next().await? {
        if is_full {
            page.more = true;
            break;
        }
        bytes += answer.size();
        page.answers.push(answer);
        is_full = page.answers.len() == limit.rows as usize || bytes >= limit.bytes;
    }
    Ok(page)
}

/// Takes the rows of one statement apart: no row at all is no such tenant.
pub(super) fn snapshot<R, T>(
    tenant: TenantId,
    rows: Vec<AsOf<R>>,
    convert: impl Fn(R) -> Result<T>,
) -> Result<Option<Snapshot<Vec<T>>>> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    for row in &rows {
        check_tenant(tenant, row.of_tenant, "tenant")?;
    }
    let generation = Generation(first.generation);
    let as_of = u64::try_from(first.as_of)
        .map_err(|_| StoreError::Corrupt("tenant.revision is negative".into()))?;
    let value: Result<Vec<T>> = rows
        .into_iter()
        .filter_map(|found| found.row)
        .map(convert)
        .collect();
    Ok(Some(Snapshot {
        generation,
        as_of: Revision(as_of),
        value: value?,
    }))
}
