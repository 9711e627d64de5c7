//! How many calls, and how many streams of each kind, may be in progress at a time, and which of
//! them gives way.
//!
//! A call beyond what there may be is refused at once: in a queue it would only use up its
//! caller's time. While the process is half idle everybody is let in. Above that a tenant has
//! a share, as large as that of each other tenant that calls now, so a noisy one takes no
//! places that others want.

use super::admission::Overloaded;
use crate::domain::TenantId;
use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls of the process in progress. A store that takes its time with each of them answers the
/// last one while its caller still waits.
pub const MAX_CALLS: usize = 512;
/// Until so many of a hundred are taken nobody is asked for a share, so one tenant never has more.
pub const UNSHARED_PERCENT: usize = 50;

/// Of one kind.
#[derive(Clone, Debug)]
pub struct Places {
    max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// `None`: of no tenant, of several, or of one that only a look at the whole message would
    /// tell.
    of: HashMap<Option<TenantId>, usize>,
}

/// Held while the call is in progress.
#[derive(Debug)]
pub struct Place {
    places: Places,
    tenant: Option<TenantId>,
}

impl Places {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            taken: Arc::default(),
        }
    }

    /// How many are taken now.
    pub fn count(&self) -> usize {
        self.taken().all
    }

    pub fn enter(&self, tenant: Option<TenantId>) -> Result<Place, Overloaded> {
        let mut taken = self.taken();
        let has = taken.of.get(&tenant).copied().unwrap_or_default();
        let callers = taken.of.len() + usize::from(has == 0);
        let is_over_share = has >= (self.max / (callers + 1)).max(1);
        let is_shared = taken.all >= self.max * UNSHARED_PERCENT / 100;
        if taken.all >= self.max || (is_shared && is_over_share) {
            return Err(Overloaded);
        }
        taken.all += 1;
        *taken.of.entry(tenant).or_default() += 1;
        Ok(Place {
            places: self.clone(),
            tenant,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // nothing in here can leave it half-changed
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(has) = taken.of.get_mut(&self.tenant) {
            *has -= 1;
            if *has == 0 {
                taken.of.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant(n: u128) -> Option<TenantId> {
        Some(TenantId(Uuid::from_u128(n)))
    }

    fn take(places: &Places, of: Option<TenantId>, most: usize) -> Vec<Place> {
        (0..most).map_while(|_| places.enter(of).ok()).collect()
    }

    #[test]
    fn a_noisy_tenant_leaves_the_others_their_places() {
        // of the smallest kind, too: nine others with a tenth of its demand each get all that
        // they ask for
        for (max, each) in [(MAX_CALLS, 25), (20, 1)] {
            let places = Places::new(max);
            let noisy = take(&places, tenant(0), 10 * max);
            assert_eq!(noisy.len(), max / 2);
            let others: Vec<Vec<Place>> = (1..10).map(|n| take(&places, tenant(n), each)).collect();
            assert!(others.iter().all(|places| places.len() == each));
            assert!(
                places.enter(tenant(0)).is_err(),
                "it has more than its share"
            );
        }
    }

    #[test]
    fn there_are_no_more_than_all_of_them() {
        let places = Places::new(MAX_CALLS);
        let all: Vec<Place> = (0..10_000)
            .map_while(|n| places.enter(tenant(n)).ok())
            .collect();
        assert_eq!(all.len(), MAX_CALLS);
        assert!(places.enter(None).is_err());
        drop(all);
        assert_eq!(take(&places, None, 1).len(), 1);
        assert!(
            places.taken().of.is_empty(),
            "nothing is kept of who has left"
        );
    }
}
