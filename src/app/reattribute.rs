//! A changed directory reaches the stored messages.

use super::{
    App, Result,
    directories::{Directories, learn, note_waiting},
    erased::{gather_erased, learn_erased, note_erased},
    now,
};
use crate::{
    domain::{ChangeKind, Directory, Gathering, Message, MessageKey, Revision, Tenant, TenantId},
    store::{Tx, retrying},
};
use std::{collections::HashMap, sync::Arc};

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

    /// Goes on where another call or another process stopped. Several may do so at once. The
    /// tenants take turns, and one that fails does not keep the others from it.
    pub async fn resume_reattribution(&self) -> Result<()> {
        let mut tenants = self.store.tenants_to_reattribute().await?;
        let mut reattributed: HashMap<TenantId, u64> = HashMap::new();
        while !tenants.is_empty() {
            let mut unsettled = Vec::new();
            for tenant in tenants {
                let sum = reattributed.entry(tenant).or_default();
                match retrying(|| self.reattribute_chunk(tenant)).await {
                    Ok((count, after)) => {
                        *sum += count;
                        if after.is_settled() {
                            tracing::info!(%tenant, reattributed = *sum, "a changed directory reached all messages");
                        } else {
                            unsettled.push(tenant);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%tenant, %error, "a changed directory has not reached all messages");
                    }
                }
            }
            tenants = unsettled;
        }
        Ok(())
    }

    async fn reattribute_chunk(&self, id: TenantId) -> Result<(u64, Tenant)> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        if tenant.is_settled() {
            tx.commit(&tenant).await?;
            return Ok((0, tenant));
        }
        let directory = self.directories.of_tx(&mut *tx).await?;
        let revision = tenant.revision.next();
        let anew = judge_anew(
            &self.directories,
            &mut *tx,
            &mut tenant,
            directory,
            revision,
        )
        .await?;
        if !anew.messages.is_empty() {
            tenant.revision = revision;
            tx.append_change(revision, now(), &anew.changes).await?;
        }
        tx.put_tenant(&tenant).await?;
        tx.commit(&tenant).await?;
        self.directories.keep(&tenant, anew.directory);
        self.cache_messages(&tenant, &anew.messages).await;
        Ok((anew.messages.len() as u64, tenant))
    }
}

/// What [`judge_anew`] has written.
pub(super) struct Anew {
    /// Those with another answer than before.
    pub(super) messages: Vec<Message>,
    pub(super) changes: Vec<(MessageKey, ChangeKind)>,
    /// It may have learned something.
    pub(super) directory: Arc<Directory>,
}

/// Judges some of the messages that the directory has not reached, and notes in `tenant` what
/// is left to do. Nothing, if all is done.
pub(super) async fn judge_anew(
    directories: &Directories,
    tx: &mut dyn Tx,
    tenant: &mut Tenant,
    directory: Arc<Directory>,
    revision: Revision,
) -> Result<Anew> {
    let messages = next(tx, tenant).await?;
    let events = messages.iter().flat_map(|m| m.evidence.events());
    let directory = learn_erased(directories, tx, tenant, directory, events).await?;
    let (messages, erased) = gather_erased(messages, directory.tombstones());
    note_erased(tx, &erased, true).await?;
    // an older program may have stored them, which learned nothing
    let events = messages.iter().flat_map(Gathering::events);
    let directory = learn(tx, tenant, directory, events).await?;
    let mut anew = Anew {
        messages: Vec::new(),
        changes: Vec::new(),
        directory,
    };
    let mut unchanged = Vec::new();
    for message in messages {
        let judged = message.judge(&anew.directory, revision);
        if judged.dirty {
            let change = judged.change.map(|kind| (judged.message.key, kind));
            anew.changes.extend(change);
            anew.messages.push(judged.message);
        } else {
            unchanged.push(judged.message);
        }
    }
    note_waiting(tx, &anew.directory, &unchanged).await?;
    note_waiting(tx, &anew.directory, &anew.messages).await?;
    tx.replace_messages(&anew.messages).await?;
    Ok(anew)
}

/// The next messages to judge, and in `tenant` where it goes on behind them. First those that
/// a lesson was waited for: they are few, and known.
async fn next(tx: &mut dyn Tx, tenant: &mut Tenant) -> Result<Vec<Message>> {
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
