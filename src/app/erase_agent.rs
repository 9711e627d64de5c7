//! EraseAgent: a person becomes a pseudonym, everywhere.

use super::{
    App, Error, Result,
    erased::{Whose, bury, count},
    now,
};
use crate::{
    domain::{
        Directory, Gathering, MessageKey, Pseudonym, TenantId, Tombstones,
        erasure::{Shown, Subject},
    },
    store::{Erasure, Tx, privacy::Counts, retrying},
};
use std::sync::Arc;
use uuid::Uuid;

/// Messages of one transaction that only looks.
const CHUNK: u32 = 1_000;

impl App {
    /// Everything is done when it returns, in bounded transactions; if it is interrupted, it goes
    /// on by itself ([`App::resume_erasures`]). Asked again it answers the same.
    pub async fn erase_agent(&self, id: TenantId, subject: &Subject) -> Result<Erasure> {
        let pseudonym = retrying(|| self.begin_erasure(id, subject)).await?;
        self.sweep(id).await?;
        let erasure = self.store.erasure(id, pseudonym).await?;
        erasure.ok_or_else(|| Error::Bug("an erasure without a receipt".into()))
    }

    /// From its commit on nothing of the person comes in any more.
    async fn begin_erasure(&self, id: TenantId, subject: &Subject) -> Result<Pseudonym> {
        let mut tx = self.begin(id).await?;
        let mut tenant = tx.tenant().clone();
        let directory = self.directories.of_tx(&mut *tx).await?;
        let (_, pseudonym, shown) = self.collect(id, &directory, subject).await?;
        let known = tx.erasures().await?;
        let is_known = known.iter().any(|one| one.pseudonym == pseudonym);
        if is_known && shown.is_empty() {
            return Ok(pseudonym);
        }
        if !is_known {
            tx.put_erasure(&begun(pseudonym)).await?;
        }
        bury(&mut *tx, &mut tenant, &shown).await?;
        tenant.revision = tenant.revision.next();
        tx.append_change(tenant.revision, now(), &[]).await?;
        tx.put_tenant(&tenant).await?;
        tx.commit(&tenant).await?;
        self.forget_tenant(&tenant);
        Ok(pseudonym)
    }

    /// The tombstones with all that is known of the person, who he becomes, and what of it is new.
    async fn collect(
        &self,
        id: TenantId,
        directory: &Directory,
        subject: &Subject,
    ) -> Result<(Tombstones, Pseudonym, Vec<Shown>)> {
        let mut tombstones = directory.tombstones().clone();
        if tombstones.is_empty() {
            let key = self.secret().await?.tombstone_key(id);
            tombstones = Tombstones::new(key, []);
        }
        let person = tombstones.collect(subject, directory);
        let person = person.map_err(|_| Error::NotAPersonsOwn)?;
        Ok((tombstones, person.pseudonym, person.shown))
    }

    /// What it would do, with the rows that it would change. Nothing is stored.
    pub async fn preview_erasure(&self, id: TenantId, subject: &Subject) -> Result<Erasure> {
        let mut tx = self.begin(id).await?;
        let directory = self.directories.of_tx(&mut *tx).await?;
        let (mut tombstones, pseudonym, mut shown) = self.collect(id, &directory, subject).await?;
        let known = tx.erasures().await?;
        drop(tx);
        if shown.is_empty()
            && let Some(known) = known.into_iter().find(|one| one.pseudonym == pseudonym)
        {
            return Ok(known);
        }
        let mut people = loop {
            let (people, more) = self
                .look_at_messages(id, &mut tombstones, &directory)
                .await?;
            if more.is_empty() {
                break people;
            }
            shown.extend(more);
        };
        self.look_at_tables(id, &tombstones, &mut people).await?;
        let mut erasure = begun(pseudonym);
        erasure.counts = people.remove(&pseudonym).unwrap_or_default();
        let mut tx = self.begin(id).await?;
        for (table, rows) in forgotten(&mut *tx, &shown).await? {
            *erasure.counts.entry(table).or_default() += rows;
        }
        Ok(erasure)
    }

    /// All messages once: how many would change, and what else they show of the person.
    async fn look_at_messages(
        &self,
        id: TenantId,
        tombstones: &mut Tombstones,
        directory: &Arc<Directory>,
    ) -> Result<(Whose, Vec<Shown>)> {
        let (mut people, mut shown) = (Whose::new(), Vec::new());
        let mut after = MessageKey(Uuid::nil());
        loop {
            let messages = self.begin(id).await?.messages_after(after, CHUNK).await?;
            let is_last = messages.len() < CHUNK as usize;
            for message in messages {
                after = message.key;
                for event in message.evidence.events() {
                    shown.extend(tombstones.learn(event, directory));
                }
                let whose = Gathering::from(message).erase(tombstones);
                count(&mut people, whose, "attribution");
            }
            if is_last {
                return Ok((people, shown));
            }
        }
    }
}

/// In a transaction that is not committed.
async fn forgotten(tx: &mut dyn Tx, shown: &[Shown]) -> Result<Counts> {
    let identities = shown.iter().filter_map(|one| one.identity.clone());
    let identities: Vec<_> = identities.collect();
    let addresses = shown.iter().filter(|one| one.identity.is_none());
    let sure = addresses.filter(|one| one.tombstone.is_sure);
    let addresses: Vec<String> = sure.map(|one| one.text.clone()).collect();
    Ok(tx.forget(&identities, &addresses).await?)
}

fn begun(pseudonym: Pseudonym) -> Erasure {
    Erasure {
        pseudonym,
        requested_at: now(),
        finished_at: None,
        revision: None,
        is_swept: false,
        counts: Counts::new(),
    }
}
