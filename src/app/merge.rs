//! The middle of a write: what prepared batches do to the stored messages.

use super::{
    App, Result, Write, compute,
    directories::{learn, note_waiting},
    erased::{Whose, erase_batches, gather_erased, note_erased},
    now,
    outdated::without_outdated,
    prepared::Prepared,
    reattribute::{Anew, Until, judge_anew},
    sides,
    windows::{Stopwatch, note_lag, note_windows},
};
use crate::{
    domain::{
        AdminChange, ChangeKind, Directory, Gathering, Lag, Message, MessageKey, Receipt, Revision,
        SendEvent, Tenant, Timestamp,
    },
    store::{Tx, ledger::SideSeen},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// What batches teach reaches older messages before they are acknowledged, up to this number
/// of transactions. More is rare, and goes on behind their back.
const SETTLE_AT_ONCE: Until = Until::Chunks(5);

/// What [`App::merge`] has written.
pub(super) struct Merged {
    pub(super) tenant: Tenant,
    directory: Arc<Directory>,
    /// One for each batch, in their order.
    pub(super) receipts: Vec<Receipt>,
    /// All that the batches touched, changed or not.
    messages: Vec<Message>,
    covers_more: bool,
    sides: Vec<SideSeen>,
}

impl App {
    /// Learn, read, merge, write what changed. [`App::finish`] commits it.
    ///
    /// Of what several batches bring, the first of them has it new. They share one revision,
    /// and each message is judged once.
    pub(super) async fn merge(
        &self,
        tx: &mut dyn Tx,
        batches: Vec<Arc<Prepared>>,
    ) -> Result<Merged> {
        let mut tenant = tx.tenant().clone();
        let mut receipts: Vec<Receipt> = batches.iter().map(|b| b.receipt.clone()).collect();
        let before = self.directories.of_tx(tx).await?;
        let (before, batches) =
            erase_batches(&self.directories, tx, &mut tenant, before, batches).await?;
        let batches = without_outdated(&tenant, batches, &mut receipts);
        let admin_new = store_admin_changes(tx, &batches, &mut receipts).await?;
        let directory = learn(tx, &mut tenant, Arc::clone(&before), all_events(&batches)).await?;
        let revision = tenant.revision.next();
        let received_at = now();
        let mut rows = read_and_merge(tx, &batches, &directory, revision, received_at).await?;
        rows.write(tx).await?;
        note_erased(tx, &rows.erased, true).await?;
        note_lag(tx, &rows.lag).await?;
        let covers_more = note_windows(tx, &batches, received_at).await?;
        note_waiting(tx, &directory, &rows.dirty).await?;

        // most often these are all that a lesson touches
        let anew = judge_anew(&self.directories, tx, &mut tenant, directory, revision).await?;
        let directory = rows.add(anew);

        let sides = self.sides.news(&tenant, std::mem::take(&mut rows.sides));
        tx.put_sides_seen(&sides).await?;

        for event in all_events(&batches) {
            tenant.readiness.see(event.side, event.time);
        }
        if admin_new || covers_more || !rows.dirty.is_empty() {
            tenant.revision = revision;
            tx.append_change(revision, received_at, &rows.changes)
                .await?;
        }
        if tenant != *tx.tenant() {
            tx.put_tenant(&tenant).await?;
        }
        for (at, (batch, receipt)) in batches.iter().zip(&mut receipts).enumerate() {
            receipt.kept += rows.counts[at].kept;
            receipt.repeated += rows.counts[at].repeated;
            receipt.changed_messages = rows.changed_by(batch, &before);
            receipt.revision = tenant.revision;
        }
        rows.touched.append(&mut rows.dirty);
        Ok(Merged {
            tenant,
            directory,
            receipts,
            messages: rows.touched,
            covers_more,
            sides,
        })
    }

    /// Commits, and shows what was committed.
    pub(super) async fn finish(&self, write: Write, merged: Merged) -> Result<()> {
        let Merged {
            tenant,
            directory,
            receipts: _,
            messages,
            covers_more,
            sides,
        } = merged;
        write.commit(&tenant).await?;
        self.sides.keep(&tenant, sides);
        if covers_more {
            self.ledgers.forget(tenant.id);
        }
        self.directories.keep(&tenant, directory);
        self.cache_messages(&tenant, &messages).await;
        if !tenant.is_settled()
            && let Err(error) = self.reattribute(tenant.id, SETTLE_AT_ONCE).await
        {
            // the batches are committed: what is left to do must not fail them
            tracing::warn!(tenant = %tenant.id, %error, "lessons have not reached all messages yet");
        }
        Ok(())
    }
}

fn all_events(batches: &[Arc<Prepared>]) -> impl Iterator<Item = &SendEvent> {
    batches.iter().flat_map(|batch| batch.all_events())
}

/// The messages of the batches, after their events were added.
#[derive(Default)]
struct Rows {
    /// Have to be written: those that are not stored yet, and the others.
    new: Vec<Message>,
    dirty: Vec<Message>,
    /// Know all of it already.
    touched: Vec<Message>,
    /// Of the dirty ones.
    changes: Vec<(MessageKey, ChangeKind)>,
    /// Those with another answer than before.
    reattributed: HashSet<MessageKey>,
    /// The same of others, which a lesson has reached.
    taught: HashSet<MessageKey>,
    /// One for each batch, in their order.
    counts: Vec<Counts>,
    /// Of the new events of those whose window tells.
    lag: Lag,
    /// Which sides the new and the dirty ones have.
    sides: Vec<SideSeen>,
    /// Stored ones that had something of an erased person.
    erased: Whose,
}

#[derive(Clone, Copy, Default)]
struct Counts {
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

    /// One of them may be of the batches themselves: an old message has just taught who it
    /// names. For everybody else it was created, or changed, once. The directory after it.
    fn add(&mut self, anew: Anew) -> Arc<Directory> {
        let again: HashSet<MessageKey> = anew.messages.iter().map(|m| m.key).collect();
        self.dirty.retain(|message| !again.contains(&message.key));
        self.taught = again.difference(&self.reattributed).copied().collect();
        self.dirty.extend(anew.messages);
        let told: HashSet<MessageKey> = self.changes.iter().map(|(key, _)| *key).collect();
        let new = anew.changes.into_iter();
        self.changes
            .extend(new.filter(|(key, _)| !told.contains(key)));
        anew.directory
    }

    /// Messages that the batch touched and that have another answer now; and those that a
    /// lesson has reached, if the batch taught one.
    fn changed_by(&self, batch: &Prepared, before: &Directory) -> u64 {
        let changed = |key: &&MessageKey| self.reattributed.contains(*key);
        let changed = batch.events.keys().filter(changed).count();
        let taught = if !self.taught.is_empty() && batch.teaches(before) {
            self.taught.len()
        } else {
            0
        };
        (changed + taught) as u64
    }
}

async fn read_and_merge(
    tx: &mut dyn Tx,
    batches: &[Arc<Prepared>],
    directory: &Arc<Directory>,
    revision: Revision,
    received_at: Timestamp,
) -> Result<Rows> {
    let mut keys: Vec<MessageKey> = batches
        .iter()
        .flat_map(|b| b.events.keys().copied())
        .collect();
    if batches.len() > 1 {
        keys.sort_unstable();
        keys.dedup();
    }
    let stored = tx.messages(&keys).await?;
    let (batches, directory) = (batches.to_vec(), Arc::clone(directory));
    compute(keys.len(), move || {
        let mut rows = Rows::default();
        let (stored, erased) = gather_erased(stored, directory.tombstones());
        rows.erased = erased;
        let messages = gather(stored, &batches, received_at, &mut rows);
        judge(messages, rows, &directory, revision)
    })
    .await
}

/// All evidence of the messages. `rows` notes of each batch what of it was new.
fn gather(
    stored: Vec<Gathering>,
    batches: &[Arc<Prepared>],
    received_at: Timestamp,
    rows: &mut Rows,
) -> BTreeMap<MessageKey, Gathering> {
    let stored = stored.into_iter().map(|m| (m.key(), m));
    let mut messages: BTreeMap<MessageKey, Gathering> = stored.collect();
    let mut lag = Lag::default();
    let add = |batch: &Arc<Prepared>| {
        let mut counts = Counts::default();
        let watch = Stopwatch::of(batch, received_at);
        for (&key, (id, events)) in &batch.events {
            let message = messages
                .entry(key)
                .or_insert_with(|| Gathering::new(key, id.clone()));
            if watch.is_running() {
                let new = events.iter().filter(|event| !message.knows(event));
                new.for_each(|event| watch.note(event, &mut lag));
            }
            let added = message.add(events.iter().map(Arc::clone));
            counts.kept += added.new;
            counts.repeated += added.repeated;
        }
        counts
    };
    rows.counts = batches.iter().map(add).collect();
    rows.lag = lag;
    messages
}

fn judge(
    messages: BTreeMap<MessageKey, Gathering>,
    mut rows: Rows,
    directory: &Directory,
    revision: Revision,
) -> Rows {
    for (key, message) in messages {
        let judged = message.judge(directory, revision);
        if judged.reattributed {
            rows.reattributed.insert(key);
        }
        rows.changes.extend(judged.change.map(|kind| (key, kind)));
        if judged.is_new {
            rows.new.push(judged.message);
        } else if judged.dirty {
            rows.dirty.push(judged.message);
        } else {
            rows.touched.push(judged.message);
        }
    }
    rows.sides = sides::seen(rows.new.iter().chain(&rows.dirty));
    rows
}

/// Of a change that several batches bring the first has it new. Tells whether any was.
async fn store_admin_changes(
    tx: &mut dyn Tx,
    batches: &[Arc<Prepared>],
    receipts: &mut [Receipt],
) -> Result<bool> {
    let changes: BTreeSet<&AdminChange> = batches.iter().flat_map(|b| &b.admin_changes).collect();
    if changes.is_empty() {
        return Ok(false);
    }
    let changes: Vec<AdminChange> = changes.into_iter().cloned().collect();
    let mut new = tx.put_admin_changes(&changes).await?;
    let any = !new.is_empty();
    for (batch, receipt) in batches.iter().zip(receipts) {
        let names = batch
            .admin_changes
            .iter()
            .map(|c| (c.record_id, c.digest()));
        let first = names.filter(|name| new.remove(name)).count() as u64;
        receipt.kept += first;
        receipt.repeated += batch.admin_records - first;
    }
    Ok(any)
}
