//! So many of one tenant at a time; the others of it wait, and stand in nobody else's way.
//!
//! Who waits is counted: where more wait than can be done, and that does not pass, whoever comes
//! would only wait for an answer that comes too late.

use crate::domain::TenantId;
use foldhash::{HashMap, HashMapExt as _};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Of what can be done at a time so many times as much may be asked for: what waits then is
/// answered after two others.
const CROWD: usize = 3;
/// A crowd that is gone by then does not matter: everybody may ask for much at once.
const PASSES: Duration = Duration::from_secs(1);
/// For so long there is none before it is gone.
const LULL: Duration = Duration::from_millis(500);
/// Nor does one in which nobody waits longer than that, however many they are.
const SOON: Duration = Duration::from_millis(100);
/// But nobody joins one that takes longer than that to pass: all in it would be answered late, and
/// who comes meanwhile not at all.
const ENDLESS: Duration = Duration::from_secs(2);

/// Of tenants that are at work now.
#[derive(Debug)]
pub struct Turns {
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Of each tenant as many as it can have at a time: more of them are in nobody else's way.
    all: Crowd,
    of: HashMap<TenantId, (Arc<Semaphore>, Crowd)>,
}

/// Held while the work is waited for, and goes on.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    tenant: TenantId,
    came: Instant,
    permit: Option<OwnedSemaphorePermit>,
}

/// Those who wait or work.
#[derive(Debug)]
struct Crowd {
    count: usize,
    /// So many are one.
    many: usize,
    /// When it began, and was last seen.
    seen: Option<(Instant, Instant)>,
    /// When the last one left, and how long it had waited and worked.
    left: Option<(Instant, Duration)>,
    /// Since when it is one, if it is, and how long after each other they leave.
    since: Instant,
    pace: Duration,
}

impl Turns {
    /// `each`: how many a tenant has at a time. What there is in all is taken for twice as many.
    pub fn new(each: usize) -> Self {
        let taken = Taken {
            all: Crowd::of(2 * each * CROWD),
            of: HashMap::new(),
        };
        Self {
            each,
            taken: Mutex::new(taken),
        }
    }

    pub async fn of(&self, tenant: TenantId) -> Turn<'_> {
        let came = Instant::now();
        let mut turn = Turn {
            turns: self,
            tenant,
            came,
            permit: None,
        };
        let of_tenant = self.taken().join(tenant, self.each, came);
        turn.permit = of_tenant.acquire_owned().await.ok();
        turn
    }

    /// Whether for some time more was asked for than can be done, and the tenant has its part in
    /// that.
    pub fn is_behind(&self, tenant: TenantId) -> bool {
        self.taken().is_behind(tenant, Instant::now())
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // nothing in here can leave it half-changed
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn join(&mut self, tenant: TenantId, each: usize, now: Instant) -> Arc<Semaphore> {
        let new = || (Arc::new(Semaphore::new(each)), Crowd::of(each * CROWD));
        let (turns, crowd) = self.of.entry(tenant).or_insert_with(new);
        if crowd.count < each {
            self.all.join(now);
        }
        crowd.join(now);
        Arc::clone(turns)
    }

    fn leave(&mut self, tenant: TenantId, each: usize, came: Instant, now: Instant) {
        if let Some((_, crowd)) = self.of.get_mut(&tenant) {
            crowd.leave(came, now);
            if crowd.count < each {
                self.all.leave(came, now);
            }
            if crowd.count == 0 {
                self.of.remove(&tenant);
            }
        }
    }

    fn is_behind(&self, tenant: TenantId, now: Instant) -> bool {
        let share = (self.all.many / self.of.len().max(1)).max(1);
        self.of.get(&tenant).is_some_and(|(_, crowd)| {
            crowd.stays(now) || (self.all.stays(now) && crowd.count >= share)
        })
    }
}

impl Crowd {
    fn of(many: usize) -> Self {
        Self {
            count: 0,
            many,
            seen: None,
            left: None,
            since: Instant::now(),
            pace: Duration::ZERO,
        }
    }

    fn join(&mut self, now: Instant) {
        self.count += 1;
        if self.count == self.many {
            let goes_on = self.seen.filter(|(_, last)| now - *last <= LULL);
            if goes_on.is_none() {
                self.pace = Duration::ZERO; // that of another crowd says nothing of this one
            }
            self.seen = Some((goes_on.map_or(now, |(began, _)| began), now));
            self.since = now;
        }
    }

    fn leave(&mut self, came: Instant, now: Instant) {
        if let Some((_, last)) = self.seen.as_mut().filter(|_| self.count >= self.many) {
            *last = now;
            let before = self
                .left
                .map_or(self.since, |(left, _)| left.max(self.since));
            let pace = now - before;
            self.pace = match self.pace {
                Duration::ZERO => pace,
                known => (known * 7 + pace) / 8,
            };
        }
        self.count -= 1;
        self.left = Some((now, now - came));
    }

    fn stays(&self, now: Instant) -> bool {
        let Some((began, _)) = self.seen.filter(|_| self.count >= self.many) else {
            return false;
        };
        // if nobody leaves any more they wait since then
        let (left, took) = self.left.unwrap_or((began, Duration::ZERO));
        let stays = now - began >= PASSES && took.max(now - left) > SOON;
        stays || self.pace * self.count as u32 > ENDLESS
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let now = Instant::now();
        let each = self.turns.each;
        self.turns.taken().leave(self.tenant, each, self.came, now);
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
        let taken = turns.taken();
        assert!(
            taken.of.is_empty() && taken.all.count == 0,
            "nothing is kept"
        );
    }

    /// In each tenth of what passes one leaves that came so long ago, and another one comes.
    fn go_on(taken: &mut Taken, now: &mut Instant, ago: Duration) {
        for _ in 0..10 {
            assert!(!taken.is_behind(tenant(1), *now));
            *now += PASSES / 10;
            taken.leave(tenant(1), 2, *now - ago, *now);
            taken.join(tenant(1), 2, *now);
        }
    }

    #[test]
    fn a_crowd_that_stays_is_behind_and_one_that_passes_is_not() {
        let late = 2 * SOON;
        let turns = Turns::new(2);
        let mut taken = turns.taken();
        let mut now = Instant::now();
        for _ in 0..2 * CROWD {
            taken.join(tenant(1), 2, now);
        }
        assert!(!taken.is_behind(tenant(1), now), "it has only come");
        go_on(&mut taken, &mut now, late);
        assert!(taken.is_behind(tenant(1), now));
        let other = tenant(2);
        assert!(!taken.is_behind(other, now), "it has no part in it");
        taken.join(other, 2, now);
        assert!(!taken.is_behind(other, now));
        // where only one less waits there is room for one
        taken.leave(tenant(1), 2, now - late, now);
        assert!(!taken.is_behind(tenant(1), now));
        taken.join(tenant(1), 2, now);
        assert!(taken.is_behind(tenant(1), now));
        // and the next one begins anew
        taken.leave(tenant(1), 2, now - late, now);
        now += 2 * LULL;
        taken.join(tenant(1), 2, now);
        assert!(!taken.is_behind(tenant(1), now + PASSES / 2));
        assert!(
            taken.is_behind(tenant(1), now + PASSES),
            "also if nothing moves"
        );
    }

    #[test]
    fn a_crowd_in_which_nobody_waits_long_is_served() {
        let turns = Turns::new(2);
        let mut taken = turns.taken();
        let mut now = Instant::now();
        for _ in 0..5 * CROWD {
            taken.join(tenant(1), 2, now);
        }
        for _ in 0..3 {
            go_on(&mut taken, &mut now, SOON);
        }
        assert!(!taken.is_behind(tenant(1), now), "it stays, and is quick");
        taken.leave(tenant(1), 2, now - 2 * SOON, now);
        assert!(taken.is_behind(tenant(1), now), "it is no longer");
    }

    #[test]
    fn nobody_joins_a_crowd_that_takes_too_long() {
        let turns = Turns::new(2);
        let mut taken = turns.taken();
        let mut now = Instant::now();
        for _ in 0..100 {
            taken.join(tenant(1), 2, now);
            assert!(
                !taken.is_behind(tenant(1), now),
                "nobody knows how long it takes"
            );
        }
        let each = ENDLESS / 50;
        now += each;
        taken.leave(tenant(1), 2, now - each, now);
        assert!(taken.is_behind(tenant(1), now));
        for _ in 0..50 {
            now += each / 10;
            taken.leave(tenant(1), 2, now - each, now);
        }
        assert!(!taken.is_behind(tenant(1), now), "it has become quicker");
    }

    #[test]
    fn a_slow_crowd_of_before_refuses_nobody() {
        let mut crowd = Crowd::of(2);
        let mut now = Instant::now();
        crowd.join(now);
        crowd.join(now);
        for _ in 0..2 {
            now += 2 * ENDLESS;
            crowd.leave(now - 2 * ENDLESS, now);
        }
        now += 2 * LULL;
        crowd.join(now);
        crowd.join(now);
        assert!(!crowd.stays(now));
    }

    #[test]
    fn a_crowd_of_one_tenant_is_none_of_the_others() {
        let turns = Turns::new(2);
        let mut taken = turns.taken();
        let now = Instant::now();
        for _ in 0..100 {
            taken.join(tenant(1), 2, now);
        }
        for n in 2..6 {
            taken.join(tenant(n), 2, now);
        }
        let later = now + PASSES;
        assert!(taken.is_behind(tenant(1), later));
        assert!(!taken.is_behind(tenant(2), later));
        for _ in 0..100 {
            taken.leave(tenant(1), 2, now, later);
        }
        for n in 2..6 {
            taken.leave(tenant(n), 2, now, later);
        }
        assert!(
            taken.of.is_empty() && taken.all.count == 0,
            "nothing is kept"
        );
    }

    #[test]
    fn many_tenants_are_behind_together() {
        let turns = Turns::new(2);
        let (mut taken, now) = (turns.taken(), Instant::now());
        for n in 0..2 * 2 * CROWD as u128 {
            taken.join(tenant(n), 2, now);
        }
        assert!(!taken.is_behind(tenant(1), now));
        assert!(taken.is_behind(tenant(1), now + PASSES), "it has its share");
        assert!(!taken.is_behind(tenant(100), now + PASSES));
    }
}
