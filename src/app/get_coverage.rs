//! GetCoverage.

use super::{App, Result, at_least, coverage::gaps_of, delete_tenant::found, now};
use crate::{
    domain::{
        Clock, Coverage, Gap, Intervals, Lag, Revision, TenantId, TimeRange, Timestamp,
        coverage::{Covered, Failure},
    },
    store::ledger::SideSeen,
};
use std::collections::BTreeMap;

/// Gaps, and pairs of mailbox and agent with their sides, of one answer.
const MAX_GAPS: usize = 1_000;
const MAX_SIDES: usize = 1_000;
/// Periods of one source.
const MAX_PERIODS: usize = 100;
/// Failures of as many sources and clocks are read.
const MAX_FAILURES: u32 = 1_000;

#[derive(Debug)]
pub struct CoverageReport {
    pub revision: Revision,
    /// Of the first to behind the last send time.
    pub complete: Option<TimeRange>,
    /// In microseconds.
    pub allowance: i64,
    pub lag: Lag,
    /// In the order of source and clock.
    pub sources: Vec<SourceReport>,
    pub gaps: Vec<Gap>,
    pub gaps_omitted: u64,
    pub sides: Vec<SideSeen>,
    /// Of them, at least so many were left out.
    pub sides_omitted: u64,
}

#[derive(Debug)]
pub struct SourceReport {
    pub source: String,
    pub clock: Clock,
    /// The last ones, in order.
    pub periods: Vec<TimeRange>,
    pub periods_omitted: u64,
    pub last_success: Option<Timestamp>,
    pub last_failure: Option<Failure>,
}

#[derive(Default)]
struct Source {
    periods: Intervals,
    last_success: Option<Timestamp>,
    last_failure: Option<Failure>,
}

impl App {
    /// `range`: of periods and gaps only what touches it.
    pub async fn get_coverage(
        &self,
        tenant: TenantId,
        range: Option<TimeRange>,
        revision: Revision,
    ) -> Result<CoverageReport> {
        let covered = self.store.covered(tenant).await?;
        let covered = found(&*self.store, tenant, covered).await?;
        at_least(revision, covered.as_of)?;
        let lag = self.store.lag(tenant).await?;
        let failures = self.store.last_failures(tenant, MAX_FAILURES).await?;
        let mut sides = self.store.sides_seen(tenant, 1 + MAX_SIDES as u32).await?;
        let sides_omitted = sides.len().saturating_sub(MAX_SIDES) as u64;
        sides.truncate(MAX_SIDES);

        let now = now();
        let periods = covered.value.iter();
        let periods = periods.map(|one| (one.line.clock, one.line.settled_days, one.range));
        let coverage = Coverage::new(periods, lag);
        let (gaps, gaps_omitted) = gaps_of(&coverage, range, MAX_GAPS, now);
        let sources = sources(covered.value, failures, coverage.settled_days());
        let sources = sources.into_iter();
        let sources = sources.map(|((source, clock), of)| of.report(source, clock, range));
        Ok(CoverageReport {
            revision: covered.as_of,
            complete: coverage.complete(now),
            allowance: coverage.allowance(),
            lag: coverage.lag().clone(),
            sources: sources.collect(),
            gaps,
            gaps_omitted,
            sides,
            sides_omitted,
        })
    }
}

fn sources(
    covered: Vec<Covered>,
    failures: Vec<Failure>,
    settled_days: i64,
) -> BTreeMap<(String, Clock), Source> {
    let mut sources: BTreeMap<(String, Clock), Source> = BTreeMap::new();
    for Covered {
        line,
        range,
        advanced_at,
    } in covered
    {
        let counts = line.clock == Clock::ContentCreated || line.settled_days == settled_days;
        let source = sources.entry((line.source, line.clock)).or_default();
        source.last_success = source.last_success.max(Some(advanced_at));
        if counts {
            source.periods.add(range);
        }
    }
    for failure in failures {
        let name = (failure.source.clone(), failure.window.clock);
        sources.entry(name).or_default().last_failure = Some(failure);
    }
    sources
}

impl Source {
    fn report(self, source: String, clock: Clock, range: Option<TimeRange>) -> SourceReport {
        let touches = |period: &TimeRange| range.is_none_or(|range| period.overlaps(range));
        let mut periods: Vec<TimeRange> = self.periods.iter().filter(touches).collect();
        let omitted = periods.len().saturating_sub(MAX_PERIODS);
        periods.drain(..omitted);
        SourceReport {
            source,
            clock,
            periods,
            periods_omitted: omitted as u64,
            last_success: self.last_success,
            last_failure: self.last_failure,
        }
    }
}
