//! RegisterTenant.

use super::{
    App, Error, Result,
    delete_tenant::{check_not_deleted, is_due},
    now, secret,
};
use crate::{
    domain::{Generation, Readiness, Revision, Tenant, TenantId, Timestamp},
    store::retrying,
};

/// How far a caller's clock may be ahead of ours: five minutes, in microseconds.
const CLOCK_SKEW: i64 = 5 * 60 * 1_000_000;

#[derive(Clone, Debug)]
pub struct Registration {
    pub tenant: TenantId,
    /// Empty: keep the name that is there.
    pub display_name: String,
    pub consented_at: Timestamp,
    /// How long messages are kept, by send time; 0: without end. `None`: as it is.
    pub retention_days: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Reconsented,
    /// Was deleted, and is back with its data.
    Restored,
    Updated,
    Unchanged,
}

impl App {
    pub async fn register_tenant(&self, new: Registration) -> Result<(Tenant, Outcome)> {
        check_past("consented_at", new.consented_at)?;
        let tenant = Tenant {
            id: new.tenant,
            display_name: new.display_name.clone(),
            consented_at: new.consented_at,
            revoked_at: None,
            registered_at: now(),
            revision: Revision::default(),
            generation: random_generation()?,
            directory_version: 0,
            reattribute_after: None,
            taught: false,
            readiness: Readiness::default(),
            deletion: None,
            retention_days: new.retention_days.unwrap_or_default(),
        };
        if self.store.create_tenant(&tenant).await? {
            self.scopes.see(tenant.id, tenant.generation).await?;
            return Ok((tenant, Outcome::Created));
        }
        retrying(|| self.register_again(&new)).await
    }

    async fn register_again(&self, new: &Registration) -> Result<(Tenant, Outcome)> {
        let mut tx = self.begin_any(new.tenant).await?;
        let mut tenant = tx.tenant().clone();
        if is_due(&tenant) {
            check_not_deleted(&tenant)?;
        }
        let outcome = apply(&mut tenant, new);
        if outcome != Outcome::Unchanged {
            tx.put_tenant(&tenant).await?;
        }
        tx.commit(&tenant).await?;
        Ok((tenant, outcome))
    }
}

/// A late retry of an old registration revives nothing: only a consent later than the
/// revoke, or than the deletion, counts.
fn apply(tenant: &mut Tenant, new: &Registration) -> Outcome {
    let deleted_at = tenant.deletion.map(|deletion| deletion.deleted_at);
    if deleted_at.is_some_and(|deleted_at| new.consented_at <= deleted_at) {
        return Outcome::Unchanged;
    }
    let outcome = match tenant.revoked_at {
        Some(revoked_at) if new.consented_at <= revoked_at => return Outcome::Unchanged,
        _ if deleted_at.is_some() => Outcome::Restored,
        Some(_) => Outcome::Reconsented,
        None => Outcome::Updated,
    };
    let before = tenant.clone();
    tenant.revoked_at = None;
    tenant.deletion = None;
    tenant.consented_at = tenant.consented_at.max(new.consented_at);
    if !new.display_name.is_empty() {
        tenant.display_name.clone_from(&new.display_name);
    }
    tenant.retention_days = new.retention_days.unwrap_or(tenant.retention_days);
    if *tenant == before {
        Outcome::Unchanged
    } else {
        outcome
    }
}

/// Times of consent order grants and revokes, so one from the future would block the rest.
pub(super) fn check_past(field: &str, time: Timestamp) -> Result<()> {
    if !time.is_plausible() {
        return Err(Error::field(field, "must be a time between 2000 and 2100"));
    }
    if time.micros() > now().micros() + CLOCK_SKEW {
        return Err(Error::field(field, "must not be in the future"));
    }
    Ok(())
}

pub(super) fn random_generation() -> Result<Generation> {
    let random = secret::random()?;
    let (first, _) = random.split_first_chunk().expect("32 bytes hold 8");
    Ok(Generation(i64::from_le_bytes(*first)))
}
