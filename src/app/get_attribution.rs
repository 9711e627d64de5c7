//! GetAttribution.

use super::{App, Error, Result};
use crate::{
    cache::Known,
    domain::{MessageId, Revision, TenantId, Verdict},
};
use std::sync::Arc;

impl App {
    pub async fn get_attribution(
        &self,
        tenant: TenantId,
        id: MessageId,
        revision: Revision,
    ) -> Result<Arc<Known>> {
        let keys = [id.key()];
        let mut answers = self.lookup_attributions(tenant, &keys, revision).await?;
        match answers.pop().flatten() {
            // failed attempts are never an answer
            Some(known) if known.attribution.verdict != Verdict::Pending => Ok(known),
            _ => Err(Error::NoEvidenceYet),
        }
    }
}
