//! PutMailboxes.

use super::{App, Error, Result, check_audit_settings::MAX_SETTINGS, now, reattribute::Until};
use crate::{
    domain::{Mailbox, Revision, Setting, TenantId, Tombstones, settings::MailboxSettings},
    store::{Tx, retrying},
};
use std::collections::{BTreeMap, HashMap, btree_map::Entry};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct RegisterChange {
    pub tenant: TenantId,
    pub put: Vec<Mailbox>,
    /// What callers know of the settings of these or other mailboxes: captured now, whatever
    /// they say.
    pub settings: Vec<MailboxSettings>,
    /// Addresses of entries; done before the adding.
    pub remove: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub added: u32,
    pub changed: u32,
    pub unchanged: u32,
    pub removed: u32,
    /// Of people who were erased: not stored.
    pub erased: u32,
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
        let directory = self.directories.of_tx(&mut *tx).await?;
        let change = &without_erased(change, directory.tombstones());
        let (mut outcome, dirty) = apply(tx.mailboxes().await?, &change.put, change.remove)?;
        outcome.erased = change.erased;
        let mut tenant = tx.tenant().clone();
        let is_other_register = outcome.removed > 0 || !dirty.is_empty();
        if is_other_register {
            tenant.directory_version += 1;
            tenant.reattribute_after = Some(Uuid::nil());
            tx.remove_mailboxes(change.remove).await?;
            tx.put_mailboxes(&dirty).await?;
        }
        let has_captured = put_settings(&mut *tx, &change.settings).await?;
        if is_other_register || has_captured {
            tenant.revision = tenant.revision.next();
            tx.append_change(tenant.revision, now(), &[]).await?;
            tx.put_tenant(&tenant).await?;
        }
        tx.commit(&tenant).await?;
        Ok(outcome)
    }
}

/// A change, without anything of people who were erased.
struct Allowed<'a> {
    put: Vec<Mailbox>,
    settings: Vec<MailboxSettings>,
    remove: &'a [String],
    /// Entries that are about one of them.
    erased: u32,
}

fn without_erased<'a>(change: &'a RegisterChange, tombstones: &Tombstones) -> Allowed<'a> {
    let put = change.put.iter();
    let put = put.filter_map(|one| tombstones.erase_mailbox(one).or(one.clone()));
    let put: Vec<Mailbox> = put.collect();
    let settings = change.settings.iter().filter_map(|one| {
        let one = Setting::Mailbox(one.clone());
        match tombstones.erase_setting(&one).or(one)? {
            Setting::Mailbox(one) => Some(one),
            _ => None,
        }
    });
    Allowed {
        erased: u32::try_from(change.put.len() - put.len()).unwrap_or(u32::MAX),
        settings: settings.collect(),
        remove: &change.remove,
        put,
    }
}

/// Tells whether something that is kept became another.
async fn put_settings(tx: &mut dyn Tx, settings: &[MailboxSettings]) -> Result<bool> {
    if settings.is_empty() {
        return Ok(false);
    }
    let captured_at = now();
    let captured = settings.iter().map(|one| {
        Setting::Mailbox(MailboxSettings {
            captured_at,
            ..one.clone()
        })
    });
    let captured: Vec<Setting> = captured.collect();
    if tx.count_settings().await? + captured.len() as u64 > MAX_SETTINGS {
        let known = tx.setting_keys().await?;
        let is_known = |one: &Setting| one.key().is_some_and(|key| known.contains(&key));
        let new = captured.iter().filter(|one| !is_known(one)).count();
        if (known.len() + new) as u64 > MAX_SETTINGS {
            let why = "has settings for which there is no room: 50,000 are kept of a tenant";
            return Err(Error::field("mailboxes", why));
        }
    }
    Ok(tx.put_settings(&captured).await? > 0)
}

/// What the change does to the register, and the entries to write.
fn apply(
    stored: Vec<Mailbox>,
    put: &[Mailbox],
    remove: &[String],
) -> Result<(Changed, Vec<Mailbox>)> {
    let mut register: BTreeMap<String, Mailbox> = stored
        .into_iter()
        .map(|mailbox| (mailbox.address.clone(), mailbox))
        .collect();
    let mut outcome = Changed::default();
    for address in remove {
        outcome.removed += u32::from(register.remove(address).is_some());
    }
    let mut dirty = Vec::new();
    for mailbox in put {
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
