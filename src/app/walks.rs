//! Calls that read a range, each for itself: how many are at work, whose turn it is, and when one
//! more would be answered too late.
//!
//! Each makes several reads, one after the other. Were all of them at work at once, all would be
//! answered late together; so the others wait before they begin. Tenants that wait take turns, and
//! at work each has at most its part, and never more than half. How long a newcomer would wait is
//! known from how long the last ones took: whoever would wait too long is told so at once, while
//! the caller can still ask another replica, or later.

mod crowd;

use super::admission::Overloaded;
use crate::domain::TenantId;
use crowd::{Crowd, WAIT};
use foldhash::HashMap;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// At work at a time: of one tenant, and of all. These keep the six connections of the store busy:
/// while one is looked after behind a read, the call reads on with another.
const OF_ONE: usize = 2;
const OF_ALL: usize = 2 * OF_ONE;
/// Who waits so long all the same is told: those before it may be held up for longer still.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of the process.
#[derive(Clone, Debug)]
pub struct Walks(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    /// Of each tenant no more than may be at work: more of them are in nobody else's way.
    all: Crowd,
    /// Those who have a turn.
    at_work: usize,
    of: HashMap<TenantId, Tenant>,
    /// Tenants of which somebody waits, the one first whose turn it is.
    lines: VecDeque<TenantId>,
}

#[derive(Debug)]
struct Tenant {
    crowd: Crowd,
    at_work: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Held while the call waits for its turn, and while it is at work.
#[derive(Debug)]
pub struct Walk {
    walks: Walks,
    tenant: TenantId,
    at_work: Option<(Instant, Turn)>,
}

/// Another's, once it is dropped.
#[derive(Debug)]
struct Turn {
    walks: Walks,
    tenant: TenantId,
}

impl Default for Walks {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Taken {
            all: Crowd::of(OF_ALL, None),
            at_work: 0,
            of: HashMap::default(),
            lines: VecDeque::new(),
        })))
    }
}

impl Walks {
    /// Waits for a turn, if that is not in vain.
    pub async fn enter(&self, tenant: TenantId) -> Result<Walk, Overloaded> {
        self.enter_within(PATIENCE, tenant).await
    }

    async fn enter_within(&self, patience: Duration, tenant: TenantId) -> Result<Walk, Overloaded> {
        let turn = self.taken().join(tenant, Instant::now())?;
        let mut walk = Walk {
            walks: self.clone(),
            tenant,
            at_work: None,
        };
        self.go_on();
        let turn = timeout(patience, turn).await.ok().and_then(Result::ok);
        walk.at_work = Some((Instant::now(), turn.ok_or(Overloaded)?));
        Ok(walk)
    }

    /// Gives the turns that are free to those whose they are.
    fn go_on(&self) {
        let next = self.taken().next();
        // outside the lock: the turn of one that has left meanwhile comes back by itself
        for (tenant, waits) in next {
            let walks = self.clone();
            let _ = waits.send(Turn { walks, tenant });
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // nothing in here can leave it half-changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = self.at_work.as_ref().map(|(since, _)| now - *since);
        self.walks.taken().leave(self.tenant, took, now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.walks.taken().give_back(self.tenant);
        self.walks.go_on();
    }
}

impl Taken {
    fn join(
        &mut self,
        tenant: TenantId,
        now: Instant,
    ) -> Result<oneshot::Receiver<Turn>, Overloaded> {
        if self.is_behind(tenant, now) {
            return Err(Overloaded);
        }
        let takes = self.all.takes;
        let of = self.of.entry(tenant).or_insert_with(|| Tenant {
            crowd: Crowd::of(OF_ONE, takes),
            at_work: 0,
            waiting: VecDeque::new(),
        });
        if of.crowd.count < OF_ONE {
            self.all.join(now);
        }
        of.crowd.join(now);
        of.waiting.retain(|waits| !waits.is_closed());
        if !self.lines.contains(&tenant) {
            self.lines.push_back(tenant);
        }
        let (waits, turn) = oneshot::channel();
        of.waiting.push_back(waits);
        Ok(turn)
    }

    /// Those who have a turn now.
    fn next(&mut self) -> Vec<(TenantId, oneshot::Sender<Turn>)> {
        let of = &self.of;
        let waits = |tenant: &TenantId| of.get(tenant).is_some_and(|of| !of.waiting.is_empty());
        self.lines.retain(waits);
        let (tenants, mut next, mut looked_at) = (self.of.len().max(1), Vec::new(), 0);
        while self.at_work < OF_ALL && looked_at < self.lines.len() {
            // what is left over is kept for the next tenant that comes, unless several want it
            let part = match self.lines.len() {
                1 => OF_ALL / tenants,
                _ => OF_ALL.div_ceil(tenants),
            };
            let tenant = self.lines[looked_at];
            let of = self.of.get_mut(&tenant);
            let Some(of) = of.filter(|of| of.at_work < part.clamp(1, OF_ONE)) else {
                looked_at += 1;
                continue;
            };
            // another's turn before its next one
            self.lines.remove(looked_at);
            while let Some(waits) = of.waiting.pop_front() {
                if !waits.is_closed() {
                    of.at_work += 1;
                    self.at_work += 1;
                    next.push((tenant, waits));
                    break;
                }
            }
            if !of.waiting.is_empty() {
                self.lines.push_back(tenant);
            }
        }
        next
    }

    fn give_back(&mut self, tenant: TenantId) {
        self.at_work -= 1;
        if let Some(of) = self.of.get_mut(&tenant) {
            of.at_work -= 1;
        }
        self.forget(tenant);
    }

    /// `took`: how long it was at work, if it had its turn.
    fn leave(&mut self, tenant: TenantId, took: Option<Duration>, now: Instant) {
        let Some(Tenant { crowd, .. }) = self.of.get_mut(&tenant) else {
            return;
        };
        crowd.moves(took, now);
        self.all.moves(took, now);
        crowd.count -= 1;
        if crowd.count < OF_ONE {
            self.all.count -= 1;
        }
        self.forget(tenant);
    }

    /// If nobody of it is left.
    fn forget(&mut self, tenant: TenantId) {
        let of = self.of.get(&tenant);
        if of.is_some_and(|of| of.crowd.count == 0 && of.at_work == 0) {
            self.of.remove(&tenant);
        }
    }

    /// Whether it would wait too long for the others of its tenant; or for all, of whom it has its
    /// part already. The first one of a tenant is before those: it may wait until all at work are
    /// done, and as many again. Among many tenants none waits for more than that, once it would
    /// take too long.
    fn is_behind(&self, tenant: TenantId, now: Instant) -> bool {
        let Some(Tenant { crowd, .. }) = self.of.get(&tenant) else {
            let wait = self.all.takes(now) * self.all.count as u32 / OF_ALL as u32;
            return self.all.count >= 2 * OF_ALL && self.all.is_too_long(wait, now);
        };
        let tenants = self.of.len();
        let is_in_all = crowd.count >= (OF_ALL + WAIT) / tenants;
        let others = self.all.count - crowd.count.min(OF_ONE);
        // what others leave it, or its part
        let turns = OF_ALL.saturating_sub(others).min(OF_ONE) as f64;
        let turns = turns.max(OF_ALL as f64 / tenants as f64);
        let wait = crowd.takes(now).mul_f64(crowd.count as f64 / turns);
        crowd.is_too_long(wait, now) || (is_in_all && self.all.is_too_long(wait, now))
    }
}

#[cfg(test)]
mod tests;
