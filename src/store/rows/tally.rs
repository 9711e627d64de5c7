//! Rows that a summary is made of.

use super::{Basis, Micros, Result, TenantId, Verdict, check_tenant, corrupt, one_of, unsigned};
use crate::domain::{TimeRange, Timestamp, summary::Tally};
use sqlx::FromRow;
use uuid::Uuid;

/// A send time that a range is measured by.
#[derive(Debug, FromRow)]
pub(in crate::store) struct ExtentRow {
    tenant_id: Uuid,
    /// 0: of the first message; 1: of the one that is too many; 2: of the last.
    place: i64,
    sent_at: Micros,
}

/// Rows of one statement, each place at most once. `None`: there is no message.
pub(in crate::store) fn extent(rows: Vec<ExtentRow>, asked: TenantId) -> Result<Option<TimeRange>> {
    let mut places = [None; 3];
    for row in rows {
        check_tenant(asked, row.tenant_id, "attribution")?;
        let place = usize::try_from(row.place).ok();
        let place = place.and_then(|place| places.get_mut(place));
        *place.ok_or_else(|| corrupt("attribution", "sent_at"))? = Some(row.sent_at);
    }
    let behind = |Micros(time)| Timestamp::from_micros(time + 1);
    let [Some(start), too_many, Some(last)] = places else {
        return Ok(None);
    };
    let end = match too_many {
        // all of one moment
        Some(too_many) if too_many == start => behind(start),
        Some(too_many) => too_many.into(),
        None => behind(last),
    };
    let start = start.into();
    Ok(Some(TimeRange { start, end }))
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
    confirmed_contradicted: i64,
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
            confirmed_contradicted: unsigned(self.confirmed_contradicted, TABLE)?,
            without_message_id: unsigned(self.without_message_id, TABLE)?,
            first: self.first_sent_at.into(),
            last: self.last_sent_at.into(),
        })
    }
}
