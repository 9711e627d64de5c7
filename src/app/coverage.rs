//! What is covered, as answers need it: read where something is missing, and kept for a moment.

use super::{App, Result, at_least, delete_tenant::found, now};
use crate::{
    cache::Known,
    domain::{Absence, Coverage, Gap, MessageKey, Revision, TenantId, TimeRange, Timestamp},
};
use moka::sync::Cache;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Tenants of which it is kept.
const CAPACITY: u64 = 1_000;
/// For so long. What is covered only grows, so an older state says PENDING where a newer one
/// says NO_EVIDENCE, never the other way round.
const LIFE: Duration = Duration::from_secs(2);
/// Gaps that the answer of a range tells of.
const MAX_GAPS: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Filed {
    /// The state of the store that it was read from.
    pub(super) as_of: Revision,
    read_at: Instant,
    pub(super) coverage: Arc<Coverage>,
}

/// Of each tenant the one that was read last. Whoever reads it lets others wait for it.
#[derive(Debug)]
pub(super) struct Ledgers(Cache<TenantId, Arc<Mutex<Option<Filed>>>>);

impl Default for Ledgers {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl Ledgers {
    /// After a commit that covers more.
    pub(super) fn forget(&self, tenant: TenantId) {
        self.0.invalidate(&tenant);
    }
}

/// What is known of a message.
#[derive(Clone, Debug)]
pub enum Looked {
    Known(Arc<Known>),
    Absent(Absence),
}

/// What the answer of a range tells about what may be missing in it.
#[derive(Clone, Debug, Default)]
pub struct RangeCoverage {
    /// Send times of the tenant.
    pub complete: Option<TimeRange>,
    pub gaps: Vec<Gap>,
    pub gaps_omitted: u64,
}

impl App {
    /// As [`App::lookup_attributions`], and of what is missing why. `sent_at`: of each key; if
    /// it is empty, of none.
    pub async fn look_up(
        self: &Arc<Self>,
        tenant: TenantId,
        keys: &[MessageKey],
        sent_at: &[Option<Timestamp>],
        revision: Revision,
    ) -> Result<Vec<Looked>> {
        let found = self.lookup_attributions(tenant, keys, revision).await?;
        let is_missing = found.iter().any(Option::is_none);
        let mut looked: Vec<Looked> = found
            .into_iter()
            .map(|known| known.map_or(Looked::Absent(Absence::Open), Looked::Known))
            .collect();
        if !is_missing {
            return Ok(looked);
        }
        let filed = self
            .detached(move |app| async move { app.filed_coverage(tenant, revision).await })
            .await?;
        let (coverage, now) = (&filed.coverage, now());
        let (mut places, mut sure) = (Vec::new(), Vec::new());
        for (at, looked) in looked.iter_mut().enumerate() {
            if let Looked::Absent(absence) = looked {
                *absence = coverage.absence(sent_at.get(at).copied().flatten(), now);
                if *absence == Absence::Complete {
                    places.push(at);
                    sure.push(keys[at]);
                }
            }
        }
        if !sure.is_empty() {
            // what a window covers came no later than the window: the absence must be as new
            let as_of = filed.as_of.max(revision);
            let again = self.lookup_attributions(tenant, &sure, as_of).await?;
            for (at, known) in places.into_iter().zip(again) {
                if let Some(known) = known {
                    looked[at] = Looked::Known(known);
                }
            }
        }
        Ok(looked)
    }

    /// Not older than `revision`. Call it in a task of its own.
    pub(super) async fn filed_coverage(
        &self,
        tenant: TenantId,
        revision: Revision,
    ) -> Result<Filed> {
        let place = self.ledgers.0.get_with(tenant, Arc::default);
        let mut place = place.lock().await;
        let is_good = |filed: &&Filed| filed.read_at.elapsed() < LIFE && filed.as_of >= revision;
        if let Some(filed) = place.as_ref().filter(is_good) {
            return Ok(filed.clone());
        }
        let read_at = Instant::now();
        let covered = self.store.covered(tenant).await?;
        let covered = found(&*self.store, tenant, covered).await?;
        at_least(revision, covered.as_of)?;
        let lag = self.store.lag(tenant).await?;
        let periods = covered.value.into_iter();
        let periods = periods.map(|one| (one.line.clock, one.line.settled_days, one.range));
        let filed = Filed {
            as_of: covered.as_of,
            read_at,
            coverage: Arc::new(Coverage::new(periods, lag)),
        };
        *place = Some(filed.clone());
        Ok(filed)
    }

    /// What may be missing in a range. Read it before the rows, so that they are as new.
    pub(super) async fn coverage_of_range(
        &self,
        tenant: TenantId,
        range: TimeRange,
        revision: Revision,
    ) -> Result<RangeCoverage> {
        let coverage = self.filed_coverage(tenant, revision).await?.coverage;
        let now = now();
        let (gaps, gaps_omitted) = gaps_of(&coverage, Some(range), MAX_GAPS, now);
        Ok(RangeCoverage {
            complete: coverage.complete(now),
            gaps,
            gaps_omitted,
        })
    }
}

/// The first gaps that concern messages sent in the range, and how many more do.
pub(super) fn gaps_of(
    coverage: &Coverage,
    range: Option<TimeRange>,
    most: usize,
    now: Timestamp,
) -> (Vec<Gap>, u64) {
    let mut gaps = coverage.gaps(now);
    gaps.retain(|gap| range.is_none_or(|range| gap.sent.overlaps(range)));
    let omitted = gaps.len().saturating_sub(most);
    gaps.truncate(most);
    (gaps, omitted as u64)
}
