//! GetAttribution.

use super::{App, Error, Result};
use crate::domain::{Answer, MessageId, Revision, TenantId, Verdict};
use std::sync::Arc;

impl App {
    pub async fn get_attribution(
        &self,
        tenant: TenantId,
        id: MessageId,
        revision: Revision,
    ) -> Result<Arc<Answer>> {
        let mut answers = self.lookup_attributions(tenant, &[id], revision).await?;
        match answers.pop().flatten() {
            // failed attempts are never an answer
            Some(answer) if answer.attribution.verdict != Verdict::Pending => Ok(answer),
            _ => Err(Error::NoEvidenceYet),
        }
    }
}
