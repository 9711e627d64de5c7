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
use crowd::{Crowd, ENDLESS, WAIT};
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
    /// part already. The first one of a tenant waits for all only where that has no end.
    fn is_behind(&self, tenant: TenantId, now: Instant) -> bool {
        let Some(Tenant { crowd, .. }) = self.of.get(&tenant) else {
            let wait = self.all.takes(now) * self.all.count as u32 / OF_ALL as u32;
            return self.all.is_one() && wait > ENDLESS;
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
mod tests {
    use super::{crowd::STALE, *};
    use futures_util::{future::join_all, poll};
    use uuid::Uuid;

    const SECOND: Duration = Duration::from_secs(1);

    fn tenant(n: usize) -> TenantId {
        TenantId(Uuid::from_u128(n as u128))
    }

    /// A store that is done with one call in each `pace`, of whichever tenant came first, while
    /// one of these comes in each `gap`.
    struct Store {
        walks: Walks,
        now: Instant,
        /// Who came when.
        inside: VecDeque<(TenantId, Instant)>,
    }

    #[derive(Debug, Default)]
    struct Seen {
        done: usize,
        refused: usize,
        longest: Duration,
    }

    impl Store {
        fn new() -> Self {
            Self {
                walks: Walks::default(),
                now: Instant::now(),
                inside: VecDeque::new(),
            }
        }

        fn comes(&mut self, tenant: TenantId) -> bool {
            let is_in = self.walks.taken().join(tenant, self.now).is_ok();
            if is_in {
                self.inside.push_back((tenant, self.now));
            }
            is_in
        }

        /// `pace`: at which all leave.
        fn goes(&mut self, pace: Duration) -> Option<Duration> {
            let at_work = self.inside.len().min(OF_ALL) as u32;
            let (tenant, came) = self.inside.pop_front()?;
            let took = Some(pace * at_work);
            self.walks.taken().leave(tenant, took, self.now);
            Some(self.now - came)
        }

        fn run(
            &mut self,
            tenants: &[usize],
            gap: Duration,
            pace: Duration,
            time: Duration,
        ) -> Seen {
            let (mut seen, end) = (Seen::default(), self.now + time);
            let (mut comes, mut goes) = (self.now, self.now + pace);
            for n in 0.. {
                while goes <= comes {
                    self.now = goes;
                    if let Some(took) = self.goes(pace) {
                        seen.done += 1;
                        seen.longest = seen.longest.max(took);
                    }
                    goes += pace;
                }
                if comes >= end {
                    break;
                }
                self.now = comes;
                seen.refused += usize::from(!self.comes(tenant(tenants[n % tenants.len()])));
                comes += gap;
            }
            seen
        }
    }

    const TEN: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    #[test]
    fn however_many_come_the_store_is_busy_and_nobody_in_it_waits_long() {
        let pace = Duration::from_millis(40);
        for times in [2, 5, 10] {
            for tenants in [&TEN[..], &TEN[..1]] {
                let mut store = Store::new();
                store.run(tenants, pace / times, pace, 3 * SECOND);
                let seen = store.run(tenants, pace / times, pace, 4 * SECOND);
                assert!(seen.done >= 99, "{times} times: {seen:?}");
                let most = pace * (tenants.len().max(OF_ALL + WAIT) + 1) as u32;
                assert!(seen.longest <= most, "{times} times: {seen:?}");
                // and as before, after
                store.run(tenants, 2 * pace, pace, SECOND / 2);
                let after = store.run(tenants, 2 * pace, pace, SECOND);
                assert_eq!(after.refused, 0, "{times} times");
            }
        }
    }

    #[tokio::test]
    async fn one_tenant_has_half_of_the_turns_and_who_leaves_gives_up_his() {
        let walks = Walks::default();
        let enter = |n, many| {
            join_all(
                (0..many)
                    .map(|_| Box::pin(walks.enter(tenant(n))))
                    .collect::<Vec<_>>(),
            )
        };
        let at_work = enter(1, OF_ONE).await;
        let mut others_of_it = enter(1, 100);
        assert!(poll!(&mut others_of_it).is_pending());
        let others = enter(2, OF_ALL - OF_ONE).await;
        let mut third = Box::pin(walks.enter(tenant(3)));
        assert!(poll!(&mut third).is_pending(), "all turns are taken");
        drop(others);
        assert!(third.await.is_ok());
        drop(others_of_it);
        drop(at_work);
        assert!(enter(1, OF_ONE).await.iter().all(Result::is_ok));
        let taken = walks.taken();
        assert!(
            taken.of.is_empty() && taken.all.count == 0 && taken.at_work == 0,
            "nothing is kept of who has left"
        );
    }

    #[tokio::test]
    async fn each_has_its_part_and_what_is_left_over_is_kept_for_the_next_tenant() {
        let walks = Walks::default();
        let enter = |n| Box::pin(walks.enter(tenant(n)));
        let (one, another) = (enter(1).await, enter(1).await);
        let mut noisy = join_all((0..100).map(|_| enter(1)).collect::<Vec<_>>());
        assert!(poll!(&mut noisy).is_pending());
        let others = (enter(2).await, enter(3).await);
        let at_work = |n| walks.taken().of.get(&tenant(n)).map_or(0, |of| of.at_work);
        drop(one);
        assert_eq!(at_work(1), 1, "others are there");
        drop(enter(4).await.expect("a turn"));
        assert_eq!(at_work(1), 1, "the next may come at any time");
        let mut second = enter(2);
        assert!(poll!(&mut second).is_pending());
        assert_eq!(at_work(1), 2, "several want it, and this one came first");
        drop(another);
        assert!(second.await.is_ok(), "now it is its turn");
        drop(others);
        assert_eq!(at_work(1), OF_ONE);
        drop(noisy);
        assert_eq!(walks.taken().at_work, 0);
    }

    #[tokio::test]
    async fn who_waits_for_long_is_told() {
        let walks = Walks::default();
        let held = join_all((0..OF_ONE).map(|_| walks.enter(tenant(1)))).await;
        let soon = Duration::from_millis(10);
        assert!(walks.enter_within(soon, tenant(1)).await.is_err());
        assert_eq!(walks.taken().all.count, OF_ONE, "it has left");
        drop(held);
    }

    #[test]
    fn at_once_everybody_may_ask_for_much() {
        let mut store = Store::new();
        assert!((0..500).all(|_| store.comes(tenant(1))));
        let pace = Duration::from_millis(1);
        store.now += pace;
        while store.goes(pace).is_some() {
            store.now += pace;
            assert!(!store.walks.taken().is_behind(tenant(1), store.now));
        }
        let taken = store.walks.taken();
        assert!(
            taken.of.is_empty() && taken.all.count == 0,
            "nothing is kept of who has left"
        );
    }

    #[test]
    fn a_crowd_in_which_nobody_waits_long_is_served() {
        let mut store = Store::new();
        for _ in 0..50 {
            store.comes(tenant(1));
        }
        // one comes for each that leaves
        let pace = Duration::from_millis(1);
        let seen = store.run(&[1], pace, pace, 3 * SECOND);
        assert_eq!(seen.refused, 0);
        // until it becomes slow
        let seen = store.run(&[1], 5 * pace, 5 * pace, SECOND);
        assert!(seen.refused > 0, "{seen:?}");
    }

    #[test]
    fn nobody_joins_where_nobody_leaves() {
        let mut store = Store::new();
        for _ in 0..OF_ONE + WAIT {
            assert!(store.comes(tenant(1)));
        }
        store.now += SECOND / 2;
        assert!(store.comes(tenant(1)), "it may pass");
        store.now += SECOND;
        assert!(!store.comes(tenant(1)));
        assert!(store.comes(tenant(2)), "it has no part in it");
    }

    #[test]
    fn a_slow_crowd_of_before_refuses_nobody() {
        let mut store = Store::new();
        store.run(&[1], SECOND / 20, SECOND, 20 * SECOND);
        while store.goes(SECOND).is_some() {}
        store.now += 2 * STALE;
        assert!((0..100).all(|_| store.comes(tenant(1))));
    }

    #[test]
    fn a_noisy_tenant_has_others_refused_by_none_of_its_waits() {
        let mut store = Store::new();
        let pace = Duration::from_millis(40);
        // it gets all there is: its reads take turns, and those of the others go between them
        store.run(&[1], pace / 10, pace, 3 * SECOND);
        assert!(
            (0..OF_ONE + WAIT).any(|_| !store.comes(tenant(1))),
            "it is behind"
        );
        for n in 2..=6 {
            assert!(store.comes(tenant(n)), "{n}");
        }
    }

    #[test]
    fn many_tenants_are_behind_together_and_each_has_its_part() {
        let mut store = Store::new();
        let pace = Duration::from_millis(40);
        let many: Vec<usize> = (0..100).collect();
        store.run(&many, pace / 5, pace, 5 * SECOND);
        let seen = store.run(&many, pace / 5, pace, 5 * SECOND);
        assert!(seen.longest <= ENDLESS + 2 * pace, "{seen:?}");
        let taken = store.walks.taken();
        let (of, _) = taken.of.iter().next().expect("one that is in it");
        assert!(taken.is_behind(*of, store.now), "it has its share");
    }
}
