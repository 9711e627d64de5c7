//! ListQuarantinedRecords.

use super::{
    App, Result,
    page::{Behind, MAX_PAGE_BYTES, cut, cut_by_size},
    secret::Query,
};
use crate::{
    domain::{QuarantineEntry, QuarantineReason, Revision, TenantId},
    store::ReceivedPosition,
};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Debug)]
pub struct Page {
    /// From new to old, each with its content if that was asked for and there is a copy: the
    /// first [`MAX_PAGE_BYTES`] of it.
    pub records: Vec<(QuarantineEntry, Option<Vec<u8>>)>,
    /// Empty: this was the last page.
    pub next_token: String,
}

impl App {
    pub async fn list_quarantined_records(
        &self,
        tenant: TenantId,
        revision: Revision,
        reason: Option<QuarantineReason>,
        include_content: bool,
        page_size: u32,
        token: &str,
    ) -> Result<Page> {
        let generation = self.tenant(tenant, revision).await?.generation;
        let query = Query::new(
            "ListQuarantinedRecords",
            &[
                tenant.0.as_bytes(),
                &generation.0.to_le_bytes(),
                reason.map_or("", QuarantineReason::name).as_bytes(),
                &[u8::from(include_content)],
            ],
        );
        let after = self.open(&query, token).await?;
        let rows = self
            .store
            .quarantined(tenant, reason, after, page_size + 1)
            .await?;
        let (mut entries, mut more) = cut(rows, page_size);
        let mut contents = HashMap::new();
        if include_content {
            (entries, more) = cut_by_size(entries, more, size);
            let digests: Vec<Uuid> = entries.iter().map(|entry| entry.digest).collect();
            contents = self.store.quarantined_copies(tenant, &digests).await?;
        }
        let next_token = self.seal(&query, entries.last().filter(|_| more)).await?;
        let records = entries.into_iter().map(|entry| {
            let content = contents.remove(&entry.digest).map(|mut content| {
                content.truncate(MAX_PAGE_BYTES);
                content
            });
            (entry, content)
        });
        Ok(Page {
            records: records.collect(),
            next_token,
        })
    }
}

impl Behind for QuarantineEntry {
    fn position(&self) -> ReceivedPosition {
        ReceivedPosition {
            received_at: self.received_at,
            id: self.digest,
        }
    }
}

/// Bytes of a record as it is answered with its content, or a little more.
fn size(entry: &QuarantineEntry) -> usize {
    const REST: usize = 128;
    let content = entry.size.unwrap_or_default();
    usize::try_from(content)
        .unwrap_or(usize::MAX)
        .min(MAX_PAGE_BYTES)
        + entry.detail.len()
        + REST
}
