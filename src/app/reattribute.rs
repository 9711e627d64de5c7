//! A changed directory reaches the stored messages.

use super::{App, Result, now};
use crate::{
    domain::{Message, MessageKey, Revision, Tenant, TenantId},
    store::retrying,
};

/// Messages judged anew in one transaction: other writers wait no longer than for a batch.
const CHUNK: u32 = 1_000;

impl App {
    /// Judges the messages anew that the tenant's last change of the register has not
    /// reached. Tells how many answers changed, and the revision after it.
    pub(super) async fn reattribute(&self, tenant: TenantId) -> Result<(u64, Revision)> {
        let mut reattributed = 0;
        loop {
            let (count, after) = retrying(|| self.reattribute_chunk(tenant)).await?;
            reattributed += count;
            if after.reattribute_after.is_none() {
                return Ok((reattributed, after.revision));
            }
        }
    }

    /// Goes on where an earlier process stopped. Several may do so at once. A tenant that
    /// fails does not keep the others from it.
    pub async fn resume_reattribution(&self) -> Result<()> {
        for tenant in self.store.tenants_to_reattribute().await? {
            match self.reattribute(tenant).await {
                Ok((reattributed, _)) => {
                    tracing::info!(%tenant, reattributed, "a changed register reached all messages");
                }
                Err(error) => {
                    tracing::warn!(%tenant, %error, "a changed register has not reached all messages");
                }
            }
        }
        Ok(())
    }

    async fn reattribute_chunk(&self, id: TenantId) -> Result<(u64, Tenant)> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        let Some(after) = tenant.reattribute_after else {
            tx.commit().await?;
            return Ok((0, tenant));
        };
        let directory = self.directories.of_tx(&mut *tx).await?;
        let messages = tx.messages_after(MessageKey(after), CHUNK).await?;
        let last = messages.last().map(|message| message.key.0);
        tenant.reattribute_after = last.filter(|_| messages.len() == CHUNK as usize);

        let revision = tenant.revision.next();
        let mut dirty: Vec<Message> = Vec::new();
        let mut changes = Vec::new();
        for message in messages {
            let merged = message.reattribute(&directory, revision);
            if merged.dirty {
                changes.extend(merged.change.map(|kind| (merged.message.key, kind)));
                dirty.push(merged.message);
            }
        }
        if !dirty.is_empty() {
            tenant.revision = revision;
            tx.put_messages(&dirty).await?;
            tx.append_change(revision, now(), &changes).await?;
        }
        tx.put_tenant(&tenant).await?;
        tx.commit().await?;
        self.cache_messages(&tenant, &dirty).await;
        Ok((dirty.len() as u64, tenant))
    }
}
