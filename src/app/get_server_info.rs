//! GetServerInfo: what this process is, takes, and runs by.

use super::{
    App, admission, ingest_audit_batch::MAX_RECORDS, lookup_attributions::MAX_LOOKUPS, now,
    page::MAX_PAGE, places, stream_attributions, watch_attributions,
};
use crate::{domain::Timestamp, store::SCHEMA_VERSIONS};
use std::{ops::RangeInclusive, time::Duration};

/// How long the store may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct ServerInfo {
    pub version: &'static str,
    /// `None`: it has none, or does not answer.
    pub schema_version: Option<i64>,
    pub schema_versions: RangeInclusive<i64>,
    pub capacity: Capacity,
    /// Every setting in effect, without secrets.
    pub settings: Vec<(&'static str, String)>,
    pub time: Timestamp,
}

/// What is refused beyond, as far as it is no matter of messages.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub batch_records: usize,
    pub lookup_ids: usize,
    pub page_rows: u32,
    pub watch_tenants: usize,
    pub answer_streams: usize,
    pub watches: usize,
    pub batch_streams: usize,
    pub calls: usize,
    pub tenant_percent: usize,
    pub connections: usize,
    pub ingest_bytes: usize,
}

impl App {
    pub async fn server_info(&self) -> ServerInfo {
        let version = tokio::time::timeout(PATIENCE, self.store.schema_version()).await;
        ServerInfo {
            version: env!("CARGO_PKG_VERSION"),
            schema_version: version.ok().and_then(Result::ok).flatten(),
            schema_versions: SCHEMA_VERSIONS,
            capacity: Capacity {
                batch_records: MAX_RECORDS,
                lookup_ids: MAX_LOOKUPS,
                page_rows: MAX_PAGE,
                watch_tenants: watch_attributions::MAX_TENANTS,
                answer_streams: stream_attributions::MAX_STREAMS,
                watches: watch_attributions::MAX_WATCHES,
                batch_streams: admission::MAX_STREAMS,
                calls: places::MAX_CALLS,
                tenant_percent: places::UNSHARED_PERCENT,
                connections: self.limits.connections,
                ingest_bytes: self.limits.ingest_memory,
            },
            settings: self.settings.clone(),
            time: now(),
        }
    }
}
