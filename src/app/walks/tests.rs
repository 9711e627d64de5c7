use super::{
    crowd::{ENDLESS, STALE},
    *,
};
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

    fn run(&mut self, tenants: &[usize], gap: Duration, pace: Duration, time: Duration) -> Seen {
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

/// Ten tenants ask in turn, `factor` times what can be answered, and each call is at work for `takes`
/// from when it has its turn: the part of what there is that is answered, and p99.
fn asked_in_turn(factor: f64, takes: Duration) -> (f64, Duration) {
    let (walks, begin) = (Walks::default(), Instant::now());
    let (measured, end) = (begin + 6 * SECOND, begin + 15 * SECOND);
    let gap = takes.div_f64(OF_ALL as f64 * factor);
    let (mut asked, mut answered, mut times) = (0, 0.0, Vec::new());
    let mut waiting = VecDeque::new();
    let mut at_work: Vec<(TenantId, Instant, Instant)> = Vec::new();
    let mut now = begin;
    while now < end {
        now += takes / 100;
        let mut taken = walks.taken();
        at_work.retain(|&(tenant, came, since)| {
            if now - since < takes {
                return true;
            }
            taken.leave(tenant, Some(now - since), now);
            taken.give_back(tenant);
            answered += if now > measured { 1.0 } else { 0.0 };
            times.extend((came > measured).then_some(now - came));
            false
        });
        while begin + gap.mul_f64(f64::from(asked)) <= now {
            let tenant = tenant(asked as usize % TEN.len());
            if let Ok(turn) = taken.join(tenant, now) {
                waiting.push_back((tenant, now, turn));
            }
            asked += 1;
        }
        for (tenant, _) in taken.next() {
            let first = waiting.iter().position(|(of, ..)| *of == tenant);
            let (_, came, _) = waiting.remove(first.expect("one")).expect("one");
            at_work.push((tenant, came, now));
        }
    }
    times.sort_unstable();
    let there_is = (end - measured).div_duration_f64(takes) * OF_ALL as f64;
    (answered / there_is, times[times.len() * 99 / 100])
}

#[test]
fn what_is_answered_of_many_tenants_is_answered_soon() {
    for takes in [150, 300].map(Duration::from_millis) {
        for times in [1.2, 2.0, 3.0, 5.0, 10.0] {
            let (answered, p99) = asked_in_turn(times, takes);
            assert!(answered >= 0.98, "{times} times: {answered}");
            // those at work, and itself
            let most = takes.mul_f64(2.1);
            assert!(p99 <= most, "{times} times of {takes:?}: {p99:?}");
        }
    }
}
