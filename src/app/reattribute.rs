//! A changed directory reaches the stored messages.

use super::{App, Result, Write, directories::note_waiting, now};
use crate::{
    domain::{Message, MessageKey, Revision, Tenant, TenantId},
    store::retrying,
};

/// Messages judged anew in one transaction: other writers wait no longer than for a batch.
const CHUNK: u32 = 1_000;

/// How far a call goes before it leaves the rest to [`App::resume_reattribution`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Settled,
    /// So many transactions.
    Chunks(usize),
}

impl App {
    /// Judges the messages anew that the last changes of the tenant's directory have not
    /// reached. Tells how many answers changed, and the revision after it.
    pub(super) async fn reattribute(
        &self,
        tenant: TenantId,
        until: Until,
    ) -> Result<(u64, Revision)> {
        let mut reattributed = 0;
        let mut chunks = 0;
        loop {
            let (count, after) = retrying(|| self.reattribute_chunk(tenant)).await?;
            reattributed += count;
            chunks += 1;
            if after.is_settled() {
                return Ok((reattributed, after.revision));
            }
            if until == Until::Chunks(chunks) {
                self.unsettled.notify_one();
                return Ok((reattributed, after.revision));
            }
        }
    }

    /// Returns when a call has left messages to [`App::resume_reattribution`].
    pub async fn unsettled(&self) {
        self.unsettled.notified().await;
    }

    /// Goes on where another call or another process stopped. Several may do so at once. A
    /// tenant that fails does not keep the others from it.
    pub async fn resume_reattribution(&self) -> Result<()> {
        for tenant in self.store.tenants_to_reattribute().await? {
            match self.reattribute(tenant, Until::Settled).await {
                Ok((reattributed, _)) => {
                    tracing::info!(%tenant, reattributed, "a changed directory reached all messages");
                }
                Err(error) => {
                    tracing::warn!(%tenant, %error, "a changed directory has not reached all messages");
                }
            }
        }
        Ok(())
    }

    async fn reattribute_chunk(&self, id: TenantId) -> Result<(u64, Tenant)> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        if tenant.is_settled() {
            tx.commit().await?;
            return Ok((0, tenant));
        }
        let messages = next(&mut tx, &mut tenant).await?;
        // an older program may have stored them, which learned nothing
        let events = messages.iter().flat_map(|m| m.evidence.events());
        let directory = self.directories.learn(&mut tx, &mut tenant, events).await?;
        note_waiting(&mut tx, &directory, &messages).await?;

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
        self.directories.keep(&tenant, directory);
        self.cache_messages(&tenant, &dirty).await;
        Ok((dirty.len() as u64, tenant))
    }
}

/// The next messages to judge, and in `tenant` where it goes on behind them. First those that
/// a lesson was waited for: they are few, and known.
async fn next(tx: &mut Write, tenant: &mut Tenant) -> Result<Vec<Message>> {
    if tenant.taught {
        let keys = tx.messages_taught(CHUNK).await?;
        tenant.taught = keys.len() == CHUNK as usize;
        tx.remove_taught(&keys).await?;
        return Ok(tx.messages(&keys).await?);
    }
    let Some(after) = tenant.reattribute_after else {
        return Ok(Vec::new());
    };
    let messages = tx.messages_after(MessageKey(after), CHUNK).await?;
    let last = messages.last().map(|message| message.key.0);
    tenant.reattribute_after = last.filter(|_| messages.len() == CHUNK as usize);
    Ok(messages)
}
