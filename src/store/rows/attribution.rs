//! Rows of `attribution` as they are written.

use super::{Micros, evidence, signed};
use crate::domain::{Message, TenantId};
use uuid::Uuid;

/// Borrows what it can: there are thousands in a batch.
#[derive(Debug)]
pub(in crate::store) struct AttributionRow<'a> {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) message_key: Uuid,
    pub(in crate::store) message_id: Option<&'a str>,
    pub(in crate::store) sent_at: Micros,
    pub(in crate::store) revision: i64,
    pub(in crate::store) verdict: &'static str,
    pub(in crate::store) basis: Option<&'static str>,
    pub(in crate::store) agent: Option<&'a str>,
    pub(in crate::store) agent_object_id: Option<Uuid>,
    pub(in crate::store) mailbox: Option<&'a str>,
    pub(in crate::store) candidates: Option<String>,
    pub(in crate::store) confirmed: bool,
    pub(in crate::store) contradicted: bool,
    pub(in crate::store) listed: bool,
    pub(in crate::store) evidence: Vec<u8>,
}

impl<'a> AttributionRow<'a> {
    pub(in crate::store) fn of(tenant: TenantId, message: &'a Message) -> Self {
        let attribution = &message.attribution;
        Self {
            tenant_id: tenant.0,
            message_key: message.key.0,
            message_id: message.id.as_ref().map(|id| id.as_str()),
            sent_at: attribution.sent_at.into(),
            revision: signed(message.revision),
            verdict: attribution.verdict.name(),
            basis: attribution.basis.map(|basis| basis.name()),
            agent: attribution.agent.as_deref(),
            agent_object_id: attribution.agent_object_id,
            mailbox: attribution.mailbox.as_deref(),
            candidates: match attribution.candidates.as_slice() {
                [] => None,
                candidates => Some(candidates.join(" ")),
            },
            confirmed: attribution.confirmed,
            contradicted: attribution.contradicted,
            listed: attribution.listed,
            evidence: evidence::encode(&message.evidence),
        }
    }
}
