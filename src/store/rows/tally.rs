//! Rows that a summary is made of.

use super::{Basis, Micros, Result, TenantId, Verdict, check_tenant, one_of, unsigned};
use crate::domain::{TimeRange, Timestamp, summary::Tally};
use sqlx::FromRow;
use uuid::Uuid;

/// Send times: of the first message, of the one that is too many, of the last.
#[derive(Debug, FromRow)]
pub(in crate::store) struct ExtentRow(Option<Micros>, Option<Micros>, Option<Micros>);

impl ExtentRow {
    pub(in crate::store) fn into_extent(self) -> Option<TimeRange> {
        let Self(first, too_many, last) = self;
        let behind = |Micros(time)| Timestamp::from_micros(time + 1);
        let (start, last) = (first?, last?);
        let end = match too_many {
            // all of one moment
            Some(too_many) if too_many == start => behind(start),
            Some(too_many) => too_many.into(),
            None => behind(last),
        };
        let start = start.into();
        Some(TimeRange { start, end })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct TallyRow {
    tenant_id: Uuid,
    slot: Micros,
    mailbox: Option<String>,
    agent: Option<String>,
    verdict: String,
    basis: Option<String>,
    messages: i64,
    confirmed: i64,
    contradicted: i64,
    without_message_id: i64,
    first_sent_at: Micros,
    last_sent_at: Micros,
}

impl TallyRow {
    pub(in crate::store) fn into_tally(self, asked: TenantId) -> Result<Tally> {
        const TABLE: &str = "attribution";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let basis = self.basis.as_deref();
        Ok(Tally {
            slot: self.slot.into(),
            mailbox: self.mailbox,
            agent: self.agent,
            verdict: one_of(Verdict::ALL, Verdict::name, &self.verdict)?,
            basis: basis
                .map(|basis| one_of(Basis::ALL, Basis::name, basis))
                .transpose()?,
            messages: unsigned(self.messages, TABLE)?,
            confirmed: unsigned(self.confirmed, TABLE)?,
            contradicted: unsigned(self.contradicted, TABLE)?,
            without_message_id: unsigned(self.without_message_id, TABLE)?,
            first: self.first_sent_at.into(),
            last: self.last_sent_at.into(),
        })
    }
}
