//! All that is kept of a tenant is gone through after somebody was erased.

use super::{
    App, Result,
    erased::{Whose, count, note_erased},
    now,
    reattribute::Until,
};
use crate::{
    domain::{
        AdminChange, Pseudonym, Revision, Setting, Tenant, TenantId, Timestamp, Tombstones,
        erasure::Erased,
    },
    store::{ReceivedPosition, Tx, retrying},
};
use bytes::Bytes;
use uuid::Uuid;

/// Rows of one transaction.
const CHUNK: u32 = 500;
/// Copies of one transaction: each may be large.
const COPIES: u32 = 50;

impl App {
    /// Ends what a call or another process began and did not end.
    pub async fn resume_erasures(&self) -> Result<()> {
        for tenant in self.store.tenants_to_sweep().await? {
            match self.sweep(tenant).await {
                Ok(()) => tracing::info!(%tenant, "erased people are gone from all tables"),
                Err(error) => {
                    tracing::warn!(%tenant, %error, "erased people are not gone from all tables yet");
                }
            }
        }
        Ok(())
    }

    /// What is stored becomes what it would be if the tombstones had been there first. Several may
    /// do so at once, and again.
    pub(super) async fn sweep(&self, id: TenantId) -> Result<()> {
        loop {
            self.reattribute(id, Until::Settled).await?;
            let tombstones = self.tombstones(id).await?;
            self.sweep_changes(id).await?;
            self.sweep_settings(id, &tombstones).await?;
            self.sweep_quarantine(id).await?;
            if retrying(|| self.end_sweep(id, tombstones.len())).await? {
                return Ok(());
            }
        }
    }

    async fn tombstones(&self, id: TenantId) -> Result<Tombstones> {
        let key = self.secret().await?.tombstone_key(id);
        Ok(Tombstones::new(key, self.store.tombstones(id).await?))
    }

    /// `false`: more became known meanwhile, and it has to be done again.
    async fn end_sweep(&self, id: TenantId, tombstones: usize) -> Result<bool> {
        let mut tx = self.begin(id).await?;
        let tenant = tx.tenant().clone();
        let is_whole = tx.tombstones().await?.len() == tombstones;
        if !is_whole || tenant.reattribute_after.is_some() {
            return Ok(false);
        }
        let erasures = tx.erasures().await?;
        for mut erasure in erasures.into_iter().filter(|one| !one.is_swept) {
            erasure.is_swept = true;
            if erasure.finished_at.is_none() {
                erasure.finished_at = Some(now());
                erasure.revision = Some(tenant.revision);
            }
            tx.put_erasure(&erasure).await?;
        }
        tx.commit(&tenant).await?;
        self.forget_tenant(&tenant);
        Ok(true)
    }

    async fn sweep_changes(&self, id: TenantId) -> Result<()> {
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let next = retrying(|| self.sweep_some_changes(id, after)).await?;
            let Some(next) = next else { return Ok(()) };
            after = next;
        }
    }

    async fn sweep_some_changes(
        &self,
        id: TenantId,
        after: (Uuid, Uuid),
    ) -> Result<Option<(Uuid, Uuid)>> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        let directory = self.directories.of_tx(&mut *tx).await?;
        let changes = tx.admin_changes_after(after, CHUNK).await?;
        let last = changes.last().map(|one| (one.record_id, one.digest()));
        let next = last.filter(|_| changes.len() == CHUNK as usize);
        let mut people = Whose::new();
        for change in changes {
            if let Erased::Changed(erased) = directory.tombstones().erase_change(&change) {
                tx.remove_admin_change(&change).await?;
                tx.put_admin_changes(std::slice::from_ref(&erased)).await?;
                count(&mut people, of_change(&erased).collect(), "admin_change");
            }
        }
        if !people.is_empty() {
            note_erased(&mut *tx, &people, true).await?;
            next_revision(&mut *tx, &mut tenant).await?;
            tx.commit(&tenant).await?;
        }
        Ok(next)
    }

    async fn sweep_settings(&self, id: TenantId, tombstones: &Tombstones) -> Result<()> {
        let settings = self.store.settings(id).await?;
        let named = |setting: Setting| match tombstones.erase_setting(&setting) {
            Erased::Unchanged => None,
            Erased::Changed(erased) => Some((setting, Some(erased))),
            Erased::Gone => Some((setting, None)),
        };
        let named: Vec<_> = settings.into_iter().filter_map(named).collect();
        for some in named.chunks(CHUNK as usize) {
            retrying(|| self.sweep_some_settings(id, tombstones, some)).await?;
        }
        Ok(())
    }

    async fn sweep_some_settings(
        &self,
        id: TenantId,
        tombstones: &Tombstones,
        some: &[(Setting, Option<Setting>)],
    ) -> Result<()> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        let mut people = Whose::new();
        for (setting, erased) in some {
            // a newer one in its place came in after the tombstones
            if tx.remove_setting(setting).await? {
                tx.put_settings(erased.as_slice()).await?;
                let whose = tombstones.of_setting(setting).into_iter().collect();
                count(&mut people, whose, "audit_setting");
            }
        }
        if !people.is_empty() {
            note_erased(&mut *tx, &people, true).await?;
            next_revision(&mut *tx, &mut tenant).await?;
            tx.commit(&tenant).await?;
        }
        Ok(())
    }

    async fn sweep_quarantine(&self, id: TenantId) -> Result<()> {
        let mut after = ReceivedPosition {
            received_at: Timestamp::LATEST,
            id: Uuid::max(),
        };
        loop {
            let next = retrying(|| self.sweep_some_copies(id, after)).await?;
            let Some(next) = next else { return Ok(()) };
            after = next;
        }
    }

    async fn sweep_some_copies(
        &self,
        id: TenantId,
        after: ReceivedPosition,
    ) -> Result<Option<ReceivedPosition>> {
        let mut tx = self.begin(id).await?;
        let tenant = tx.tenant().clone();
        let directory = self.directories.of_tx(&mut *tx).await?;
        let copies = tx.quarantine_copies_after(after, COPIES).await?;
        let last = copies.last().map(|(position, _)| *position);
        let next = last.filter(|_| copies.len() == COPIES as usize);
        let named = self.decoding(move || named_in(copies, directory.tombstones()));
        let named = named.await?;
        if named.is_empty() {
            return Ok(next);
        }
        let mut people = Whose::new();
        let pending = tx.erasures().await?;
        let pending = pending.iter().filter(|one| one.finished_at.is_none());
        let pending: Vec<Pseudonym> = pending.map(|one| one.pseudonym).collect();
        for (digest, pseudonym) in named {
            tx.remove_quarantined_copy(digest).await?;
            // of one that cannot be read it is not known whose it was
            let whose = pseudonym.or_else(|| pending.first().copied());
            count(&mut people, whose.into_iter().collect(), "quarantine");
        }
        note_erased(&mut *tx, &people, true).await?;
        tx.commit(&tenant).await?;
        Ok(next)
    }

    /// How many rows of tables that only a sweep reads.
    pub(super) async fn look_at_tables(
        &self,
        id: TenantId,
        tombstones: &Tombstones,
        people: &mut Whose,
    ) -> Result<()> {
        for setting in self.store.settings(id).await? {
            let whose = tombstones.of_setting(&setting);
            count(people, whose.into_iter().collect(), "audit_setting");
        }
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let mut tx = self.begin(id).await?;
            let some = tx.admin_changes_after(after, CHUNK).await?;
            drop(tx);
            for change in &some {
                after = (change.record_id, change.digest());
                if let Erased::Changed(erased) = tombstones.erase_change(change) {
                    count(people, of_change(&erased).collect(), "admin_change");
                }
            }
            if some.len() < CHUNK as usize {
                break;
            }
        }
        let mut after = ReceivedPosition {
            received_at: Timestamp::LATEST,
            id: Uuid::max(),
        };
        loop {
            let some = self
                .begin(id)
                .await?
                .quarantine_copies_after(after, COPIES)
                .await?;
            let is_last = some.len() < COPIES as usize;
            after = some.last().map_or(after, |(position, _)| *position);
            for (_, pseudonym) in named_in(some, tombstones) {
                count(people, pseudonym.into_iter().collect(), "quarantine");
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Copies that name an erased person, or may; and whom, where it can be read.
fn named_in(
    copies: Vec<(ReceivedPosition, Bytes)>,
    tombstones: &Tombstones,
) -> Vec<(Uuid, Option<Pseudonym>)> {
    let named = copies.into_iter().filter_map(|(position, bytes)| {
        let may_be = tombstones.may_be_named_in(&bytes);
        may_be.then(|| {
            let text = String::from_utf8_lossy(&bytes);
            (position.id, tombstones.named_in(&text))
        })
    });
    named.collect()
}

fn of_change(change: &AdminChange) -> impl Iterator<Item = Pseudonym> {
    let values = change.parameters.iter().map(|(_, value)| value);
    let texts = [&change.actor, &change.target].into_iter().chain(values);
    texts.flat_map(|text| Pseudonym::all_in(text))
}

/// Of a change that the feed has nothing to say of.
async fn next_revision(tx: &mut dyn Tx, tenant: &mut Tenant) -> Result<Revision> {
    tenant.revision = tenant.revision.next();
    tx.append_change(tenant.revision, now(), &[]).await?;
    tx.put_tenant(tenant).await?;
    Ok(tenant.revision)
}
