//! Rows of the ledger: `coverage_window`, `coverage_failure`, `lag`, `side_seen`.

use super::{Micros, Result, check_tenant, corrupt};
use crate::{
    domain::{
        Lag, Side, TenantId, TimeRange, Window,
        coverage::{Clock, Covered, Failure, Line, Outcome},
    },
    store::ledger::{SidePair, SideSeen},
};
use sqlx::FromRow;
use uuid::Uuid;

#[derive(Debug, FromRow)]
pub(in crate::store) struct CoveredRow {
    tenant_id: Uuid,
    source: String,
    clock: String,
    settled_days: i64,
    start_at: Micros,
    end_at: Micros,
    advanced_at: Micros,
}

impl CoveredRow {
    pub(in crate::store) fn into_covered(self, asked: TenantId) -> Result<Covered> {
        const TABLE: &str = "coverage_window";
        check_tenant(asked, self.tenant_id, TABLE)?;
        Ok(Covered {
            line: Line {
                source: self.source,
                clock: clock(&self.clock, TABLE)?,
                settled_days: self.settled_days,
            },
            range: TimeRange {
                start: self.start_at.into(),
                end: self.end_at.into(),
            },
            advanced_at: self.advanced_at.into(),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct FailureRow {
    tenant_id: Uuid,
    source: String,
    clock: String,
    start_at: Micros,
    end_at: Micros,
    outcome: String,
    code: String,
    received_at: Micros,
}

impl FailureRow {
    pub(in crate::store) fn into_failure(self, asked: TenantId) -> Result<Failure> {
        const TABLE: &str = "coverage_failure";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|one| one.name() == self.outcome);
        Ok(Failure {
            source: self.source,
            window: Window {
                range: TimeRange {
                    start: self.start_at.into(),
                    end: self.end_at.into(),
                },
                clock: clock(&self.clock, TABLE)?,
                outcome: outcome.ok_or_else(|| corrupt(TABLE, "outcome"))?,
                code: self.code,
            },
            received_at: self.received_at.into(),
        })
    }
}

fn clock(name: &str, table: &str) -> Result<Clock> {
    let clock = Clock::ALL.into_iter().find(|clock| clock.name() == name);
    clock.ok_or_else(|| corrupt(table, "clock"))
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct LagRow {
    tenant_id: Uuid,
    events: Vec<u8>,
}

impl LagRow {
    pub(in crate::store) fn into_lag(self, asked: TenantId) -> Result<Lag> {
        const TABLE: &str = "lag";
        check_tenant(asked, self.tenant_id, TABLE)?;
        Lag::decode(&self.events).ok_or_else(|| corrupt(TABLE, "events"))
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct SideSeenRow {
    tenant_id: Uuid,
    mailbox: String,
    agent: String,
    side: String,
    first_at: Micros,
    last_at: Micros,
}

const SIDES: [(Side, &str); 2] = [(Side::Mailbox, "MAILBOX"), (Side::Agent, "AGENT")];

pub(in crate::store) fn side(side: Side) -> &'static str {
    let known = SIDES.iter().find(|(known, _)| *known == side);
    known.map_or("", |(_, name)| name)
}

impl SideSeenRow {
    pub(in crate::store) fn into_side_seen(self, asked: TenantId) -> Result<SideSeen> {
        const TABLE: &str = "side_seen";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let side = SIDES.iter().find(|(_, name)| *name == self.side);
        Ok(SideSeen {
            pair: SidePair {
                mailbox: self.mailbox,
                agent: self.agent,
                side: side.ok_or_else(|| corrupt(TABLE, "side"))?.0,
            },
            first: self.first_at.into(),
            last: self.last_at.into(),
        })
    }
}
