//! GetAttribution.

use super::{App, Error, Result, coverage::Looked};
use crate::{
    cache::Known,
    domain::{Absence, MessageId, Revision, TenantId, Timestamp, Verdict},
};
use std::sync::Arc;

impl App {
    /// `sent_at`: if nothing is stored, it tells why.
    pub async fn get_attribution(
        self: &Arc<Self>,
        tenant: TenantId,
        id: MessageId,
        sent_at: Option<Timestamp>,
        revision: Revision,
    ) -> Result<Arc<Known>> {
        let keys = [id.key()];
        let looked = self.look_up(tenant, &keys, &[sent_at], revision).await?;
        match looked.into_iter().next() {
            // failed attempts are never an answer
            Some(Looked::Known(known)) if known.attribution.verdict != Verdict::Pending => {
                Ok(known)
            }
            Some(Looked::Absent(Absence::Complete)) => Err(Error::NoEvidence),
            Some(Looked::Absent(Absence::Lost)) => Err(Error::InLostGap),
            Some(Looked::Absent(Absence::SendTimeUnknown)) => Err(Error::SendTimeUnknown),
            _ => Err(Error::NoEvidenceYet),
        }
    }
}
