//! So many of one tenant at a time; the others of it wait, and stand in nobody else's way.

use crate::domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of tenants that are at work now.
#[derive(Debug)]
pub struct Turns {
    each: usize,
    of: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// Held while the work goes on.
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
            of: Mutex::default(),
        }
    }

    pub async fn of(&self, tenant: TenantId) -> Turn<'_> {
        let mut turn = Turn {
            turns: self,
            tenant,
            permit: None,
        };
        let of_tenant = {
            let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(self.each));
            Arc::clone(all.entry(tenant).or_insert_with(new))
        };
        turn.permit = of_tenant.acquire_owned().await.ok();
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut all = self.turns.of.lock().unwrap_or_else(PoisonError::into_inner);
        // others hold it where they work or wait
        if all
            .get(&self.tenant)
            .is_some_and(|of| Arc::strong_count(of) == 1)
        {
            all.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{future::join_all, poll};
    use uuid::Uuid;

    #[tokio::test]
    async fn one_that_waits_keeps_no_other_waiting() {
        let [noisy, other] = [1, 2].map(|n| TenantId(Uuid::from_u128(n)));
        let turns = Turns::new(2);
        let held = (turns.of(noisy).await, turns.of(noisy).await);
        let waiting: Vec<_> = (0..100).map(|_| Box::pin(turns.of(noisy))).collect();
        let mut waiting = join_all(waiting);
        assert!(poll!(&mut waiting).is_pending());
        drop(turns.of(other).await);
        drop((held, waiting));
        assert!(
            turns.of.lock().expect("no panic").is_empty(),
            "nothing is kept"
        );
    }
}
