//! PutMailboxes.

use super::{App, Error, Result, now, reattribute::Until};
use crate::{
    domain::{Mailbox, Revision, TenantId},
    store::retrying,
};
use std::collections::{BTreeMap, HashMap, btree_map::Entry};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct RegisterChange {
    pub tenant: TenantId,
    pub put: Vec<Mailbox>,
    /// Addresses of entries; done before the adding.
    pub remove: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub added: u32,
    pub changed: u32,
    pub unchanged: u32,
    pub removed: u32,
    /// Stored messages whose attribution is another one now.
    pub reattributed: u64,
    pub revision: Revision,
}

impl App {
    /// Changes the register, then judges the stored messages anew, a bounded number in each
    /// transaction. If that is interrupted it goes on at the next start or call.
    pub async fn put_mailboxes(&self, change: RegisterChange) -> Result<Changed> {
        let mut changed = retrying(|| self.change_register(&change)).await?;
        let (reattributed, revision) = self.reattribute(change.tenant, Until::Settled).await?;
        changed.reattributed = reattributed;
        changed.revision = revision;
        Ok(changed)
    }

    async fn change_register(&self, change: &RegisterChange) -> Result<Changed> {
        let mut tx = self.begin(change.tenant).await?;
        let (outcome, dirty) = apply(tx.mailboxes().await?, change)?;
        let mut tenant = tx.tenant().clone();
        if outcome.removed > 0 || !dirty.is_empty() {
            tenant.directory_version += 1;
            tenant.revision = tenant.revision.next();
            tenant.reattribute_after = Some(Uuid::nil());
            tx.remove_mailboxes(&change.remove).await?;
            tx.put_mailboxes(&dirty).await?;
            tx.append_change(tenant.revision, now(), &[]).await?;
            tx.put_tenant(&tenant).await?;
        }
        tx.commit(&tenant).await?;
        Ok(outcome)
    }
}

/// What the change does to the register, and the entries to write.
fn apply(stored: Vec<Mailbox>, change: &RegisterChange) -> Result<(Changed, Vec<Mailbox>)> {
    let mut register: BTreeMap<String, Mailbox> = stored
        .into_iter()
        .map(|mailbox| (mailbox.address.clone(), mailbox))
        .collect();
    let mut outcome = Changed::default();
    for address in &change.remove {
        outcome.removed += u32::from(register.remove(address).is_some());
    }
    let mut dirty = Vec::new();
    for mailbox in &change.put {
        match register.entry(mailbox.address.clone()) {
            Entry::Vacant(entry) => {
                outcome.added += 1;
                entry.insert(mailbox.clone());
            }
            Entry::Occupied(entry) if entry.get() == mailbox => {
                outcome.unchanged += 1;
                continue;
            }
            Entry::Occupied(mut entry) => {
                outcome.changed += 1;
                entry.insert(mailbox.clone());
            }
        }
        dirty.push(mailbox.clone());
    }
    refuse_shared_addresses(&register)?;
    Ok((outcome, dirty))
}

/// One address leads to one mailbox, or answers would depend on chance.
fn refuse_shared_addresses(register: &BTreeMap<String, Mailbox>) -> Result<()> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for mailbox in register.values() {
        for address in mailbox.aliases.iter().chain([&mailbox.address]) {
            if let Some(other) = owners.insert(address, &mailbox.address) {
                return Err(Error::AddressTaken {
                    address: address.clone(),
                    mailbox: other.to_owned(),
                });
            }
        }
    }
    Ok(())
}
