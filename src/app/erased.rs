//! What writes bring of people who were erased does not come back.

use super::{App, Result, directories::Directories, prepared::Prepared};
use crate::{
    domain::{
        Directory, Gathering, Message, Pseudonym, QuarantinedRecord, SendEvent, Tenant, Tombstones,
        erasure::{Erased, Shown},
    },
    store::{Tx, privacy::Counts},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

/// The batches without anything of erased people. What they show of one beside what is known of
/// him becomes a tombstone too, and `tenant` notes that stored messages may have it. Where nobody
/// was erased nothing is looked at.
pub(super) async fn erase_batches(
    directories: &Directories,
    tx: &mut dyn Tx,
    tenant: &mut Tenant,
    directory: Arc<Directory>,
    batches: Vec<Arc<Prepared>>,
) -> Result<(Arc<Directory>, Vec<Arc<Prepared>>)> {
    if directory.tombstones().is_empty() {
        return Ok((directory, batches));
    }
    let events = batches.iter().flat_map(|batch| batch.all_events());
    let directory = learn_erased(directories, tx, tenant, directory, events).await?;
    let tombstones = directory.tombstones();
    let batches = batches
        .into_iter()
        .map(|batch| match batch.erased(tombstones) {
            None => batch,
            Some(erased) => Arc::new(erased),
        });
    let batches = batches.collect();
    Ok((directory, batches))
}

/// The directory after these events have shown more identifiers of erased people.
pub(super) async fn learn_erased(
    directories: &Directories,
    tx: &mut dyn Tx,
    tenant: &mut Tenant,
    directory: Arc<Directory>,
    events: impl Iterator<Item = &SendEvent> + Clone,
) -> Result<Arc<Directory>> {
    let mut tombstones = directory.tombstones().clone();
    if tombstones.is_empty() {
        return Ok(directory);
    }
    let mut shown: Vec<Shown> = Vec::new();
    loop {
        let before = shown.len();
        for event in events.clone() {
            shown.extend(tombstones.learn(event, &directory));
        }
        if shown.len() == before {
            break;
        }
    }
    if shown.is_empty() {
        return Ok(directory);
    }
    bury(tx, tenant, &shown).await?;
    directories.read(tx).await
}

/// Stores tombstones, and deletes what stands under what they are of. Messages and all else that
/// has it somewhere is gone through afterwards.
pub(super) async fn bury(tx: &mut dyn Tx, tenant: &mut Tenant, shown: &[Shown]) -> Result<()> {
    let tombstones: Vec<_> = shown.iter().map(|one| one.tombstone).collect();
    tx.put_tombstones(&tombstones).await?;
    let mut people: BTreeMap<Pseudonym, Vec<&Shown>> = BTreeMap::new();
    for one in shown {
        let person = people.entry(one.tombstone.pseudonym).or_default();
        person.push(one);
    }
    for (pseudonym, shown) in people {
        let identities = shown.iter().filter_map(|one| one.identity.clone());
        let identities: Vec<_> = identities.collect();
        let addresses = shown.iter().filter(|one| one.identity.is_none());
        let sure = addresses.filter(|one| one.tombstone.is_sure);
        let addresses: Vec<String> = sure.map(|one| one.text.clone()).collect();
        let counts = tx.forget(&identities, &addresses).await?;
        note_erased(tx, &[(pseudonym, counts)].into(), false).await?;
    }
    tenant.directory_version += 1;
    tenant.reattribute_after = Some(Uuid::nil());
    Ok(())
}

/// Adds to the receipts of these erasures. One that is finished stays as it was told.
pub(super) async fn note_erased(
    tx: &mut dyn Tx,
    people: &BTreeMap<Pseudonym, Counts>,
    is_swept: bool,
) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    for mut erasure in tx.erasures().await? {
        let Some(counts) = people.get(&erasure.pseudonym) else {
            continue;
        };
        let before = erasure.clone();
        if erasure.finished_at.is_none() {
            for (table, count) in counts {
                *erasure.counts.entry(table.clone()).or_default() += count;
            }
        }
        erasure.is_swept &= is_swept;
        if erasure != before {
            tx.put_erasure(&erasure).await?;
        }
    }
    Ok(())
}

/// How many messages of whom.
pub(super) type Whose = BTreeMap<Pseudonym, Counts>;

/// Stored messages, without anything of erased people.
pub(super) fn gather_erased(
    messages: Vec<Message>,
    tombstones: &Tombstones,
) -> (Vec<Gathering>, Whose) {
    let mut people = Whose::new();
    let gathered = messages.into_iter().map(|message| {
        let mut message = Gathering::from(message);
        if !tombstones.is_empty() {
            count(&mut people, message.erase(tombstones), "attribution");
        }
        message
    });
    let gathered = gathered.collect();
    (gathered, people)
}

pub(super) fn count(people: &mut Whose, whose: BTreeSet<Pseudonym>, table: &str) {
    for pseudonym in whose {
        let counts = people.entry(pseudonym).or_default();
        *counts.entry(table.to_owned()).or_default() += 1;
    }
}

/// Of a record that may name an erased person there is no copy.
pub(super) fn without_copy(
    record: &QuarantinedRecord,
    tombstones: &Tombstones,
) -> QuarantinedRecord {
    let mut record = record.clone();
    record
        .bytes
        .take_if(|bytes| tombstones.may_be_named_in(bytes));
    record
}

impl Prepared {
    /// `None`: it names nobody who was erased.
    fn erased(&self, tombstones: &Tombstones) -> Option<Self> {
        let mut names_one = false;
        let mut events = BTreeMap::new();
        for (key, (id, of_message)) in &self.events {
            let of_message = of_message
                .iter()
                .map(|event| match tombstones.erase(event) {
                    None => Arc::clone(event),
                    Some(erased) => {
                        names_one = true;
                        Arc::new(erased)
                    }
                });
            events.insert(*key, (id.clone(), of_message.collect::<Vec<_>>()));
        }
        let changes =
            self.admin_changes
                .iter()
                .map(|change| match tombstones.erase_change(change) {
                    Erased::Changed(erased) => {
                        names_one = true;
                        erased
                    }
                    Erased::Unchanged | Erased::Gone => change.clone(),
                });
        let admin_changes = changes.collect();
        names_one.then(|| Self {
            events,
            admin_changes,
            ..self.clone()
        })
    }
}

impl App {
    /// What this process knows of a tenant that may name somebody who was erased.
    pub(super) fn forget_tenant(&self, tenant: &Tenant) {
        self.sides.forget(tenant);
        self.ledgers.forget(tenant.id);
        self.judgements.forget(tenant.id);
    }
}
