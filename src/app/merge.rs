//! The middle of a write: what a prepared batch does to the stored messages.

use super::{
    App, Result, Write,
    directories::{learn, note_waiting},
    now,
    prepared::Prepared,
    reattribute::{Anew, Until, judge_anew},
};
use crate::{
    domain::{AdminChange, ChangeKind, Directory, Message, MessageKey, Receipt, Revision, Tenant},
    store::Tx,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// What a batch teaches reaches older messages before the batch is acknowledged, up to this
/// number of transactions. More is rare, and goes on behind its back.
const SETTLE_AT_ONCE: Until = Until::Chunks(5);

/// What [`App::merge`] has written.
pub(super) struct Merged {
    pub(super) tenant: Tenant,
    directory: Arc<Directory>,
    pub(super) receipt: Receipt,
    /// All that the batch touched, changed or not.
    messages: Vec<Message>,
}

impl App {
    /// Learn, read, merge, write what changed. [`App::finish`] commits it.
    pub(super) async fn merge(&self, tx: &mut dyn Tx, prepared: &Prepared) -> Result<Merged> {
        let mut tenant = tx.tenant().clone();
        let mut receipt = prepared.receipt.clone();
        let admin_new = store_admin_changes(tx, prepared).await?;
        receipt.kept += admin_new;
        receipt.repeated += prepared.admin_records - admin_new;

        let directory = self.directories.of_tx(tx).await?;
        let directory = learn(tx, &mut tenant, directory, prepared.all_events()).await?;
        let revision = tenant.revision.next();
        let mut rows = read_and_merge(tx, prepared, &directory, revision).await?;
        receipt.kept += rows.kept;
        receipt.repeated += rows.repeated;
        rows.write(tx).await?;
        note_waiting(tx, &directory, &rows.dirty).await?;

        // most often these are all that a lesson touches
        let anew = judge_anew(tx, &mut tenant, directory, revision).await?;
        let directory = rows.add(anew);
        receipt.changed_messages += rows.reattributed;

        for event in prepared.all_events() {
            tenant.readiness.see(event.side, event.time);
        }
        if admin_new > 0 || !rows.dirty.is_empty() {
            tenant.revision = revision;
            tx.append_change(revision, now(), &rows.changes).await?;
        }
        if tenant != *tx.tenant() {
            tx.put_tenant(&tenant).await?;
        }
        receipt.revision = tenant.revision;
        rows.touched.append(&mut rows.dirty);
        Ok(Merged {
            tenant,
            directory,
            receipt,
            messages: rows.touched,
        })
    }

    /// Commits, and shows what was committed.
    pub(super) async fn finish(&self, write: Write, merged: Merged) -> Result<Receipt> {
        write.commit().await?;
        let Merged {
            tenant,
            directory,
            receipt,
            messages,
        } = merged;
        self.directories.keep(&tenant, directory);
        self.cache_messages(&tenant, &messages).await;
        if !tenant.is_settled()
            && let Err(error) = self.reattribute(tenant.id, SETTLE_AT_ONCE).await
        {
            // the batch is committed: what is left to do must not fail it
            tracing::warn!(tenant = %tenant.id, %error, "lessons have not reached all messages yet");
        }
        Ok(receipt)
    }
}

/// The messages of a batch, after its events were added.
#[derive(Default)]
struct Rows {
    /// Have to be written: those that are not stored yet, and the others.
    new: Vec<Message>,
    dirty: Vec<Message>,
    /// Know all of it already.
    touched: Vec<Message>,
    /// Of the dirty ones.
    changes: Vec<(MessageKey, ChangeKind)>,
    reattributed: u64,
    kept: u64,
    repeated: u64,
}

impl Rows {
    /// Behind it, the new ones are among the dirty ones.
    async fn write(&mut self, tx: &mut dyn Tx) -> Result<()> {
        tx.add_messages(&self.new).await?;
        tx.replace_messages(&self.dirty).await?;
        self.dirty.append(&mut self.new);
        Ok(())
    }

    /// One of them may be of the batch itself: an old message has just taught who it names.
    /// For everybody else it was created, or changed, once. The directory after it.
    fn add(&mut self, anew: Anew) -> Arc<Directory> {
        let again: HashSet<MessageKey> = anew.messages.iter().map(|m| m.key).collect();
        let before = self.dirty.len();
        self.dirty.retain(|message| !again.contains(&message.key));
        let twice = before - self.dirty.len();
        self.reattributed += (again.len() - twice) as u64;
        self.dirty.extend(anew.messages);
        let told: HashSet<MessageKey> = self.changes.iter().map(|(key, _)| *key).collect();
        let new = anew.changes.into_iter();
        self.changes
            .extend(new.filter(|(key, _)| !told.contains(key)));
        anew.directory
    }
}

async fn read_and_merge(
    tx: &mut dyn Tx,
    prepared: &Prepared,
    directory: &Directory,
    revision: Revision,
) -> Result<Rows> {
    let keys: Vec<MessageKey> = prepared.events.keys().copied().collect();
    let stored = tx.messages(&keys).await?;
    let mut stored: BTreeMap<MessageKey, Message> = stored
        .into_iter()
        .map(|message| (message.key, message))
        .collect();
    let mut rows = Rows::default();
    for (&key, (message_id, events)) in &prepared.events {
        let identity = (key, message_id.clone());
        let stored = stored.remove(&key);
        let is_new = stored.is_none();
        let merged = Message::merge(
            stored,
            identity,
            events.iter().cloned(),
            directory,
            revision,
        );
        rows.kept += merged.kept;
        rows.repeated += merged.repeated;
        rows.reattributed += u64::from(merged.reattributed);
        rows.changes.extend(merged.change.map(|kind| (key, kind)));
        if is_new {
            rows.new.push(merged.message);
        } else if merged.dirty {
            rows.dirty.push(merged.message);
        } else {
            rows.touched.push(merged.message);
        }
    }
    Ok(rows)
}

async fn store_admin_changes(tx: &mut dyn Tx, prepared: &Prepared) -> Result<u64> {
    let changes: Vec<AdminChange> = prepared.admin_changes.iter().cloned().collect();
    Ok(tx.put_admin_changes(&changes).await?)
}
