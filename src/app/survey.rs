//! What metrics tell of all tenants together: how far collectors are, and who is behind.

use super::{App, Result, now};
use crate::{
    domain::{Clock, Coverage, Tenant},
    telemetry::meters::{meters, set_to_now},
};

/// Tenants that are looked through at most: with two short reads each, in the order of their ids.
const MOST: usize = 5_000;
/// Tenants that are listed at a time.
const PAGE: u32 = 1_000;

#[derive(Debug, Default)]
struct Survey {
    active: u64,
    revoked: u64,
    deleted: u64,
    covered: u64,
    /// Microseconds.
    silence: i64,
    lag: i64,
    open_gaps: u64,
    lost_gaps: u64,
    quarantined: u64,
    quarantined_bytes: u64,
}

impl App {
    /// Sets the gauges of tenants. What it reads of each is small, and it reads one after the
    /// other.
    pub async fn survey(&self) -> Result<()> {
        let mut survey = Survey::default();
        let mut after = None;
        let mut seen = 0;
        loop {
            let tenants = self.store.tenants(after, PAGE).await?;
            for tenant in &tenants {
                if tenant.deletion.is_some() {
                    survey.deleted += 1;
                } else if tenant.revoked_at.is_some() {
                    survey.revoked += 1;
                } else {
                    survey.active += 1;
                }
                seen += 1;
                if seen <= MOST {
                    self.look_at(tenant, &mut survey).await?;
                }
            }
            after = tenants.last().map(|tenant| tenant.id);
            if tenants.len() < PAGE as usize {
                break;
            }
        }
        survey.show();
        Ok(())
    }

    async fn look_at(&self, tenant: &Tenant, survey: &mut Survey) -> Result<()> {
        let quarantine = self.store.quarantine_usage(tenant.id).await?;
        survey.quarantined += quarantine.copies + quarantine.without_copy;
        survey.quarantined_bytes += quarantine.bytes;
        if tenant.revoked_at.is_some() || tenant.deletion.is_some() {
            return Ok(()); // nobody has to collect for it
        }
        let Some(covered) = self.store.covered(tenant.id).await? else {
            return Ok(()); // deleted meanwhile
        };
        // whoever imports an export once is no collector
        let collected = covered.value.iter();
        let collected = collected.filter(|one| one.line.clock == Clock::ContentCreated);
        let Some(last) = collected.map(|one| one.advanced_at).max() else {
            return Ok(());
        };
        let lag = self.store.lag(tenant.id).await?;
        let periods = covered.value.iter();
        let periods = periods.map(|one| (one.line.clock, one.line.settled_days, one.range));
        let coverage = Coverage::new(periods, lag);
        let now = now();
        survey.covered += 1;
        survey.silence = survey.silence.max(now.micros() - last.micros());
        if let Some(complete) = coverage.complete(now) {
            survey.lag = survey.lag.max(now.micros() - complete.end.micros());
        }
        for gap in coverage.gaps(now) {
            match gap.served_until {
                Some(_) => survey.open_gaps += 1,
                None => survey.lost_gaps += 1,
            }
        }
        Ok(())
    }
}

impl Survey {
    fn show(&self) {
        let tenants = &meters().tenants;
        tenants.active.set(self.active as f64);
        tenants.revoked.set(self.revoked as f64);
        tenants.deleted.set(self.deleted as f64);
        tenants.covered.set(self.covered as f64);
        tenants.silence.set(self.silence as f64 / 1e6);
        tenants.lag.set(self.lag as f64 / 1e6);
        tenants.open_gaps.set(self.open_gaps as f64);
        tenants.lost_gaps.set(self.lost_gaps as f64);
        tenants.quarantined.set(self.quarantined as f64);
        tenants.quarantined_bytes.set(self.quarantined_bytes as f64);
        set_to_now(&tenants.surveyed_at);
    }
}
