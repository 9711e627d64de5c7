//! Directories of tenants, kept between calls: every write and every range needs one.

use super::{Result, secret::SecretCell};
use crate::{
    domain::{
        Directory, Generation, Lesson, Mailbox, Message, MessageKey, SendEvent, Tenant, TenantId,
        Tombstone, Tombstones,
    },
    store::{Store, Tx},
};
use moka::sync::Cache;
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// Entries and lessons that are kept, of all tenants together. A tenant of 5,000 people has
/// about 30,000.
const CAPACITY: u64 = 1_000_000;

/// Of each tenant the newest one only: every lesson makes a new one, and they are large.
///
/// A directory belongs to one (generation, version) of the tenant's row, so it is never
/// older than that row. A reader may file a newer register under the version that it read
/// just before; a writer cannot come across that, because it holds the tenant's lock.
#[derive(Debug)]
pub(super) struct Directories {
    known: Cache<TenantId, Filed>,
    secret: Arc<SecretCell>,
}

#[derive(Clone, Debug)]
struct Filed {
    generation: Generation,
    version: i64,
    directory: Arc<Directory>,
}

impl Directories {
    pub(super) fn new(secret: Arc<SecretCell>) -> Self {
        let weight = |_: &TenantId, filed: &Filed| {
            u32::try_from(filed.directory.len() + 10).unwrap_or(u32::MAX)
        };
        let known = Cache::builder().max_capacity(CAPACITY).weigher(weight);
        Self {
            known: known.build(),
            secret,
        }
    }

    /// As stored, under the tenant's lock.
    pub(super) async fn of_tx(&self, tx: &mut dyn Tx) -> Result<Arc<Directory>> {
        if let Some(directory) = self.filed(tx.tenant()) {
            return Ok(directory);
        }
        let directory = self.read(tx).await?;
        self.keep(tx.tenant(), Arc::clone(&directory));
        Ok(directory)
    }

    /// The same, whatever is known of it.
    pub(super) async fn read(&self, tx: &mut dyn Tx) -> Result<Arc<Directory>> {
        let (tenant, mailboxes) = (tx.tenant().id, tx.mailboxes().await?);
        let (lessons, tombstones) = (tx.lessons().await?, tx.tombstones().await?);
        self.build(tenant, mailboxes, lessons, tombstones).await
    }

    async fn build(
        &self,
        tenant: TenantId,
        mailboxes: Vec<Mailbox>,
        lessons: Vec<Lesson>,
        tombstones: Vec<Tombstone>,
    ) -> Result<Arc<Directory>> {
        let directory = Directory::new(mailboxes, lessons);
        if tombstones.is_empty() {
            return Ok(Arc::new(directory));
        }
        let key = self.secret.get().await?.tombstone_key(tenant);
        let tombstones = Tombstones::new(key, tombstones);
        Ok(Arc::new(directory.with_tombstones(tombstones)))
    }

    pub(super) async fn of_tenant(
        &self,
        store: &dyn Store,
        tenant: &Tenant,
    ) -> Result<Arc<Directory>> {
        if let Some(directory) = self.filed(tenant) {
            return Ok(directory);
        }
        let mailboxes = store.mailboxes(tenant.id, "", u32::MAX).await?;
        let lessons = store.lessons(tenant.id).await?;
        let tombstones = store.tombstones(tenant.id).await?;
        let directory = self.build(tenant.id, mailboxes, lessons, tombstones);
        let directory = directory.await?;
        self.keep(tenant, Arc::clone(&directory));
        Ok(directory)
    }

    fn filed(&self, tenant: &Tenant) -> Option<Arc<Directory>> {
        let filed = self.known.get(&tenant.id)?;
        let is_of = (filed.generation, filed.version);
        (is_of == (tenant.generation, tenant.directory_version)).then_some(filed.directory)
    }

    /// What [`learn`] made of the directory: call it after its commit.
    pub(super) fn keep(&self, tenant: &Tenant, directory: Arc<Directory>) {
        let new = Filed {
            generation: tenant.generation,
            version: tenant.directory_version,
            directory,
        };
        // a slow reader must not take the newer one from everybody
        let is_late =
            |known: &Filed| known.generation == new.generation && known.version > new.version;
        if !self
            .known
            .get(&tenant.id)
            .is_some_and(|known| is_late(&known))
        {
            self.known.insert(tenant.id, new);
        }
    }
}

/// The directory after these events have taught. What is new goes into the store, and `tenant`
/// notes whom it has to reach.
pub(super) async fn learn(
    tx: &mut dyn Tx,
    tenant: &mut Tenant,
    directory: Arc<Directory>,
    events: impl Iterator<Item = &SendEvent>,
) -> Result<Arc<Directory>> {
    let mut lessons: Vec<Lesson> = Vec::new();
    for event in events {
        directory.untaught(event, &mut lessons);
    }
    if lessons.is_empty() {
        return Ok(directory);
    }
    let lessons = united(lessons);
    tx.put_lessons(&lessons).await?;
    tenant.directory_version += 1;
    let learned = directory.learn(&lessons);
    if learned.renamed {
        tenant.reattribute_after = Some(Uuid::nil());
    }
    tenant.taught |= tx.is_waited_for(&learned.introduced).await?;
    Ok(Arc::new(learned.directory))
}

/// The same lesson several times becomes one, which one statement can store.
fn united(mut lessons: Vec<Lesson>) -> Vec<Lesson> {
    fn said(lesson: &Lesson) -> impl Ord + '_ {
        (&lesson.identity, &lesson.address, lesson.named_by)
    }
    lessons.sort_by(|a, b| said(a).cmp(&said(b)));
    lessons.dedup_by(|other, kept| {
        let same = said(other) == said(kept);
        if same {
            kept.seen = kept.seen.and(other.seen);
        }
        same
    });
    lessons
}

/// Notes what the messages wait for, so that a lesson finds them.
pub(super) async fn note_waiting(
    tx: &mut dyn Tx,
    directory: &Directory,
    messages: &[Message],
) -> Result<()> {
    let mut waiting: BTreeSet<(_, MessageKey)> = BTreeSet::new();
    for message in messages {
        for event in message.evidence.events() {
            let unknown = directory.waits_for(event).into_iter();
            waiting.extend(unknown.map(|identity| (identity.into_owned(), message.key)));
        }
    }
    let waiting: Vec<_> = waiting.into_iter().collect();
    Ok(tx.put_waiting(&waiting).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Readiness, Revision, Timestamp};

    fn tenant(generation: i64, directory_version: i64) -> Tenant {
        Tenant {
            id: TenantId(Uuid::from_u128(1)),
            display_name: String::new(),
            consented_at: Timestamp::EARLIEST,
            revoked_at: None,
            registered_at: Timestamp::EARLIEST,
            revision: Revision::default(),
            generation: Generation(generation),
            directory_version,
            reattribute_after: None,
            taught: false,
            readiness: Readiness::default(),
            deletion: None,
            retention_days: 0,
        }
    }

    #[tokio::test]
    async fn a_tenant_has_one_directory_and_only_for_its_version() {
        let store = crate::store::open_sqlite(std::path::Path::new("never-opened.db"));
        let secret = SecretCell::new(store, Some([7; 32]));
        let directories = Directories::new(Arc::new(secret));
        for (generation, version) in [(7, 0), (7, 1), (7, 3), (7, 2), (8, 0)] {
            directories.keep(&tenant(generation, version), Arc::default());
            directories.known.run_pending_tasks();
            assert_eq!(directories.known.entry_count(), 1);
            let is_late = (generation, version) == (7, 2);
            let filed = directories.filed(&tenant(generation, version));
            assert_eq!(filed.is_none(), is_late, "{generation} {version}");
            let stays = directories.filed(&tenant(7, 3));
            assert_eq!(
                stays.is_some(),
                is_late || version == 3,
                "{generation} {version}"
            );
        }
    }
}
