//! What is wrong with a tenant's audit set-up: gathered, judged, and kept until something changes.

use super::{App, Error, Result, compute, delete_tenant::found, now};
use crate::{
    domain::{
        AdminChange, Finding, Generation, Mailbox, Revision, Settings, Side, Tenant, TenantId,
        Timestamp, coverage,
        findings::{Collector, Failure, Inputs, Observed, Sides, Span, findings, senders},
        time::DAY,
    },
    store::{ChangesLimit, ledger::SideSeen},
};
use moka::sync::Cache;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Findings that are kept, of all tenants together.
const CAPACITY: u64 = 100_000;
/// For so long, at most: who sends is asked of the days before now.
const LIFE: Duration = Duration::from_secs(600);
/// Tenants that are judged at a time.
const AT_A_TIME: usize = 2;

/// Administrators' changes that count.
const CHANGES: ChangesLimit = ChangesLimit {
    newest: 20_000,
    all: 50_000,
};
/// Sides of mailboxes and agents.
const MAX_SIDES: u32 = 20_000;
/// Messages that nobody sent: the newest of so many days.
const MAX_OF_NOBODY: u32 = 10_000;
const DAYS_OF_NOBODY: i64 = 30;
const MAX_FAILURES: u32 = 1_000;

/// What the findings are of. Consent and failures change without a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    generation: Generation,
    revision: Revision,
    revoked_at: Option<Timestamp>,
    failure: Option<Failure>,
}

/// A tenant's findings.
#[derive(Debug)]
pub(super) struct Judged {
    /// They are of this revision, or of a later one.
    pub(super) revision: Revision,
    pub(super) generation: Generation,
    /// In the order of [`Finding::order`].
    pub(super) findings: Vec<Finding>,
    stamp: Stamp,
    judged_at: Instant,
}

/// Of each tenant the last ones.
#[derive(Debug)]
pub(super) struct Judgements {
    known: Cache<TenantId, Arc<Judged>>,
    turns: Semaphore,
}

impl Default for Judgements {
    fn default() -> Self {
        let weight = |_: &TenantId, judged: &Arc<Judged>| {
            u32::try_from(judged.findings.len() + 10).unwrap_or(u32::MAX)
        };
        let known = Cache::builder().max_capacity(CAPACITY).weigher(weight);
        Self {
            known: known.build(),
            turns: Semaphore::new(AT_A_TIME),
        }
    }
}

impl Judgements {
    /// After something went that no revision tells of.
    pub(super) fn forget(&self, tenant: TenantId) {
        self.known.invalidate(&tenant);
    }

    fn get(&self, tenant: TenantId, stamp: &Stamp) -> Option<Arc<Judged>> {
        let judged = self.known.get(&tenant)?;
        (judged.stamp == *stamp && judged.judged_at.elapsed() < LIFE).then_some(judged)
    }
}

/// All that a tenant is judged by.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) settings: Settings,
    pub(super) changes: Vec<AdminChange>,
    register: Vec<Mailbox>,
    observed: Observed,
}

impl App {
    /// Not older than `revision`.
    pub(super) async fn judged(&self, id: TenantId, revision: Revision) -> Result<Arc<Judged>> {
        let judged_at = Instant::now();
        let tenant = self.tenant(id, revision).await?;
        let failure = self.last_failure(id).await?;
        let stamp = Stamp {
            generation: tenant.generation,
            revision: tenant.revision,
            revoked_at: tenant.revoked_at,
            failure: failure.clone(),
        };
        if let Some(judged) = self.judgements.get(id, &stamp) {
            return Ok(judged);
        }
        let turn = self.judgements.turns.acquire().await;
        let _turn = turn.map_err(|closed| Error::bug(&closed))?;
        // somebody else may have judged it while we waited
        if let Some(judged) = self.judgements.get(id, &stamp) {
            return Ok(judged);
        }
        let known = self.known(&tenant, failure).await?;
        let judged = Arc::new(Judged {
            revision: tenant.revision,
            generation: tenant.generation,
            findings: judge(known).await?,
            stamp,
            judged_at,
        });
        self.judgements.known.insert(id, Arc::clone(&judged));
        Ok(judged)
    }

    /// As it is now: read behind the tenant's row, so nothing of it is older than that.
    pub(super) async fn known(&self, tenant: &Tenant, failure: Option<Failure>) -> Result<Known> {
        let (id, store) = (tenant.id, &self.store);
        let since = now().plus(-DAYS_OF_NOBODY * DAY);
        let nobody = store.messages_of_nobody(id, since, MAX_OF_NOBODY).await?;
        let directory = self.directories.of_tenant(&**store, tenant).await?;
        let senders = compute(nobody.len(), move || senders(&nobody, &directory)).await?;
        let covered = store.covered(id).await?;
        let covered = found(&*self.store, id, covered).await?.value;
        Ok(Known {
            settings: store.settings(id).await?.into_iter().collect(),
            changes: store.admin_changes(id, CHANGES).await?,
            register: store.mailboxes(id, "", u32::MAX).await?,
            observed: Observed {
                sides: sides(store.sides_seen(id, MAX_SIDES).await?),
                senders,
                revoked_at: tenant.revoked_at,
                collector: Collector {
                    last_success: covered.iter().map(|one| one.advanced_at).max(),
                    last_failure: failure,
                },
            },
        })
    }

    /// The last one of whichever source.
    pub(super) async fn last_failure(&self, tenant: TenantId) -> Result<Option<Failure>> {
        let failures = self.store.last_failures(tenant, MAX_FAILURES).await?;
        let order = |one: &coverage::Failure| (one.received_at, one.id());
        let last = failures.into_iter().max_by_key(order);
        Ok(last.map(|failure| Failure {
            at: failure.received_at,
            code: failure.window.code,
        }))
    }
}

pub(super) async fn judge(known: Known) -> Result<Vec<Finding>> {
    let size = known.settings.len() + known.changes.len() + known.observed.sides.len();
    let judge = move || {
        findings(&Inputs {
            settings: &known.settings,
            register: &known.register,
            changes: &known.changes,
            observed: &known.observed,
        })
    };
    compute(size, judge).await
}

/// Both sides of each mailbox and agent.
fn sides(seen: Vec<SideSeen>) -> Vec<Sides> {
    let mut pairs: BTreeMap<(String, String), (Option<Span>, Option<Span>)> = BTreeMap::new();
    for SideSeen { pair, first, last } in seen {
        let sides = pairs.entry((pair.mailbox, pair.agent)).or_default();
        let span = Some(Span { first, last });
        match pair.side {
            Side::Mailbox => sides.0 = span,
            Side::Agent => sides.1 = span,
        }
    }
    let sides = |((mailbox, agent), (mailbox_side, agent_side))| Sides {
        mailbox,
        agent,
        mailbox_side,
        agent_side,
    };
    pairs.into_iter().map(sides).collect()
}
