//! CheckAuditSettings: what the PowerShell checks print in, findings out.

use super::{
    App, Error, Result,
    findings::judge,
    ingest_audit_batch::check_consent,
    now,
    page::{cut, cut_by_size},
    register_tenant::check_past,
};
use crate::{
    audit::{self, ObjectProblem, Setup},
    domain::{AdminChange, Finding, Revision, Setting, SettingKey, TenantId, Timestamp},
    store::{Tx, retrying},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Cursor,
};

/// Settings that are kept of a tenant. One more is refused; those that are kept go on to be
/// brought up to date.
pub const MAX_SETTINGS: u64 = 50_000;
/// Findings of an answer.
const MAX_FINDINGS: u32 = 100;

#[derive(Debug)]
pub struct Check {
    pub tenant: TenantId,
    /// What the checks have printed.
    pub content: Vec<u8>,
    /// When they ran; now.
    pub captured_at: Option<Timestamp>,
    /// Store nothing.
    pub validate_only: bool,
}

#[derive(Debug)]
pub struct Checked {
    pub counts: Counts,
    pub problems: Vec<ObjectProblem>,
    pub problems_omitted: u64,
    /// Something that is kept became another, or would have.
    pub changed: bool,
    /// What is wrong after it, the worst first.
    pub findings: Vec<Finding>,
    pub findings_omitted: u64,
    pub revision: Revision,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub mailboxes: u64,
    pub organizations: u64,
    pub bypasses: u64,
    pub permissions: u64,
    pub admin_changes: u64,
    pub other_records: u64,
}

/// What is to be stored.
struct Ready {
    tenant: TenantId,
    /// Each with a key, in the order of keys.
    settings: BTreeMap<SettingKey, Vec<Setting>>,
    changes: Vec<AdminChange>,
    validate_only: bool,
}

/// What became of it.
struct Stored {
    settings: Vec<Setting>,
    without_room: u64,
    changed: bool,
    revision: Revision,
}

impl App {
    pub async fn check_audit_settings(&self, check: Check) -> Result<Checked> {
        if let Some(at) = check.captured_at {
            check_past("captured_at", at)?;
        }
        let captured_at = check.captured_at.unwrap_or_else(now);
        let (tenant, content) = (check.tenant, check.content);
        let read = move || audit::read_setup(Cursor::new(content), captured_at, &mut Some(tenant));
        let mut setup = self
            .decoding(read)
            .await?
            .map_err(|_| Error::SettingsNotRecognised)?
            .map_err(|_| Error::SettingsNotRecognised)?;
        let counts = counts(&setup);
        let mut ready = Ready {
            tenant,
            settings: BTreeMap::new(),
            changes: setup
                .changes
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            validate_only: check.validate_only,
        };
        let mut unnamed = 0;
        for setting in Vec::from(std::mem::take(&mut setup.settings)) {
            match setting.key() {
                Some(key) => ready.settings.entry(key).or_default().push(setting),
                None => unnamed += 1,
            }
        }
        let stored = retrying(|| self.store_settings(&ready)).await?;
        let mut problems = setup.problems;
        problems.extend(of_several(
            unnamed,
            "without a name: export PrimarySmtpAddress (of a bypass Identity) too",
        ));
        problems.extend(of_several(
            stored.without_room,
            "for which there is no room: 50,000 are kept of a tenant",
        ));
        let findings = self.findings_after(&ready, &stored).await?;
        let all = findings.len();
        let (findings, more) = cut(findings, MAX_FINDINGS);
        let (findings, _) = cut_by_size(findings, more, Finding::size);
        Ok(Checked {
            counts,
            problems,
            problems_omitted: setup.problems_omitted,
            changed: stored.changed,
            findings_omitted: (all - findings.len()) as u64,
            findings,
            revision: stored.revision,
        })
    }

    /// Under the tenant's lock. To validate is to do it, and not to commit.
    async fn store_settings(&self, ready: &Ready) -> Result<Stored> {
        let mut tx = self.begin(ready.tenant).await?;
        check_consent(tx.tenant())?;
        let mut tenant = tx.tenant().clone();
        let directory = self.directories.of_tx(&mut *tx).await?;
        let tombstones = directory.tombstones();
        let (settings, without_room) = with_room(&mut *tx, &ready.settings).await?;
        let settings = settings.into_iter();
        let settings = settings.filter_map(|one| tombstones.erase_setting(&one).or(one));
        let settings: Vec<Setting> = settings.collect();
        let changed = tx.put_settings(&settings).await? > 0;
        let changes = ready.changes.iter();
        let changes = changes.filter_map(|one| tombstones.erase_change(one).or(one.clone()));
        let new = tx.put_admin_changes(&changes.collect::<Vec<_>>()).await?;
        let changed = changed || !new.is_empty();
        if changed && !ready.validate_only {
            tenant.revision = tenant.revision.next();
            tx.append_change(tenant.revision, now(), &[]).await?;
            tx.put_tenant(&tenant).await?;
            tx.commit(&tenant).await?;
        }
        Ok(Stored {
            settings,
            without_room,
            changed,
            revision: tenant.revision,
        })
    }

    async fn findings_after(&self, ready: &Ready, stored: &Stored) -> Result<Vec<Finding>> {
        if !ready.validate_only {
            let judged = self.judged(ready.tenant, stored.revision).await?;
            return Ok(judged.findings.clone());
        }
        let tenant = self.tenant(ready.tenant, stored.revision).await?;
        let failure = self.last_failure(ready.tenant).await?;
        let mut known = self.known(&tenant, failure).await?;
        known.settings.extend(stored.settings.iter().cloned());
        known.changes.extend(ready.changes.iter().cloned());
        judge(known).await
    }
}

/// What there is room for, and how many there is none for.
async fn with_room(
    tx: &mut dyn Tx,
    settings: &BTreeMap<SettingKey, Vec<Setting>>,
) -> Result<(Vec<Setting>, u64)> {
    let count = tx.count_settings().await?;
    let mut room = MAX_SETTINGS.saturating_sub(count);
    let known = if settings.len() as u64 <= room {
        HashSet::new()
    } else {
        tx.setting_keys().await?
    };
    let (mut stored, mut refused) = (Vec::new(), 0);
    for (key, some) in settings {
        if !known.contains(key) {
            if room == 0 {
                refused += some.len() as u64;
                continue;
            }
            room -= 1;
        }
        stored.extend(some.iter().cloned());
    }
    Ok((stored, refused))
}

/// A problem of objects that are not told one by one.
fn of_several(count: u64, what: &str) -> Option<ObjectProblem> {
    let s = if count == 1 { "" } else { "s" };
    (count > 0).then(|| ObjectProblem {
        number: 0,
        detail: format!("{count} setting{s} {what}"),
    })
}

fn counts(setup: &Setup) -> Counts {
    Counts {
        mailboxes: setup.settings.mailboxes.len() as u64,
        organizations: setup.settings.organizations.len() as u64,
        bypasses: setup.settings.bypasses.len() as u64,
        permissions: setup.settings.permissions.len() as u64,
        admin_changes: setup.changes.len() as u64,
        other_records: setup.other_records,
    }
}
