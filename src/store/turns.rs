//! So many of one tenant at a time; the others of it wait, and stand in nobody else's way.

use crate::domain::TenantId;
use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of tenants that are at work now.
#[derive(Debug)]
pub struct Turns {
    each: usize,
    taken: Mutex<HashMap<TenantId, Of>>,
}

#[derive(Debug)]
struct Of {
    turns: Arc<Semaphore>,
    /// Who waits or works.
    count: usize,
}

/// Held while the work is waited for, and goes on.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    tenant: TenantId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// `each`: how many a tenant has at a time.
    pub fn new(each: usize) -> Self {
        Self {
            each,
            taken: Mutex::default(),
        }
    }

    pub async fn of(&self, tenant: TenantId) -> Turn<'_> {
        let mut turn = Turn {
            turns: self,
            tenant,
            permit: None,
        };
        let of_tenant = self.join(tenant);
        turn.permit = of_tenant.acquire_owned().await.ok();
        turn
    }

    fn join(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut taken = self.taken();
        let of = taken.entry(tenant).or_insert_with(|| Of {
            turns: Arc::new(Semaphore::new(self.each)),
            count: 0,
        });
        of.count += 1;
        Arc::clone(&of.turns)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, Of>> {
        // nothing in here can leave it half-changed
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut taken = self.turns.taken();
        if let Some(of) = taken.get_mut(&self.tenant) {
            of.count -= 1;
            if of.count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{future::join_all, poll};
    use uuid::Uuid;

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn one_that_waits_keeps_no_other_waiting() {
        let turns = Turns::new(2);
        let held = (turns.of(tenant(1)).await, turns.of(tenant(1)).await);
        let waiting: Vec<_> = (0..100).map(|_| Box::pin(turns.of(tenant(1)))).collect();
        let mut waiting = join_all(waiting);
        assert!(poll!(&mut waiting).is_pending());
        drop(turns.of(tenant(2)).await);
        drop((held, waiting));
        assert!(turns.taken().is_empty(), "nothing is kept");
    }
}
