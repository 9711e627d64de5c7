//! What strikes, and when: a pure function of the seed.

use sentby::simulate::Random;
use std::{collections::HashMap, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A replica, with SIGKILL; it comes back at the same place.
    ServiceKilled,
    /// With SIGTERM.
    ServiceRestarted,
    ServiceFrozen,
    /// One session of the program in Postgres, with SIGKILL: the others end with it.
    SessionKilled,
    /// The postmaster and all its processes, with SIGKILL.
    PostgresKilled,
    /// In order, without waiting for anybody.
    PostgresRestarted,
    PostgresFrozen,
    RedisKilled,
    RedisFlushed,
    RedisFrozen,
    /// On the way from a replica to Postgres …
    StoreCut,
    StoreHeld,
    StoreSlow,
    StoreUnanswered,
    /// Every COMMIT arrives, and its answer does not.
    CommitsUnanswered,
    /// … to Redis …
    CacheCut,
    CacheHeld,
    CacheUnanswered,
    /// … and from its callers to it.
    CallersCut,
    CallersHeld,
    CallersSlow,
    CallersUnanswered,
}

/// What can be struck once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Object {
    Service(usize),
    Postgres,
    Redis,
    Store(usize),
    Cache(usize),
    Callers(usize),
}

impl Fault {
    fn object(self, replica: usize) -> Object {
        match self {
            Self::ServiceKilled | Self::ServiceRestarted | Self::ServiceFrozen => {
                Object::Service(replica)
            }
            Self::SessionKilled
            | Self::PostgresKilled
            | Self::PostgresRestarted
            | Self::PostgresFrozen => Object::Postgres,
            Self::RedisKilled | Self::RedisFlushed | Self::RedisFrozen => Object::Redis,
            Self::StoreCut
            | Self::StoreHeld
            | Self::StoreSlow
            | Self::StoreUnanswered
            | Self::CommitsUnanswered => Object::Store(replica),
            Self::CacheCut | Self::CacheHeld | Self::CacheUnanswered => Object::Cache(replica),
            Self::CallersCut | Self::CallersHeld | Self::CallersSlow | Self::CallersUnanswered => {
                Object::Callers(replica)
            }
        }
    }
}

/// All of them, with how often they come.
const WEIGHTS: [(Fault, u64); 22] = [
    (Fault::ServiceKilled, 12),
    (Fault::ServiceRestarted, 3),
    (Fault::ServiceFrozen, 6),
    (Fault::SessionKilled, 4),
    (Fault::PostgresKilled, 4),
    (Fault::PostgresRestarted, 2),
    (Fault::PostgresFrozen, 4),
    (Fault::RedisKilled, 5),
    (Fault::RedisFlushed, 4),
    (Fault::RedisFrozen, 5),
    (Fault::StoreCut, 5),
    (Fault::StoreHeld, 5),
    (Fault::StoreSlow, 3),
    (Fault::StoreUnanswered, 5),
    (Fault::CommitsUnanswered, 10),
    (Fault::CacheCut, 3),
    (Fault::CacheHeld, 3),
    (Fault::CacheUnanswered, 3),
    (Fault::CallersCut, 4),
    (Fault::CallersHeld, 4),
    (Fault::CallersSlow, 2),
    (Fault::CallersUnanswered, 4),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To or at this replica, where it is of one.
    Strike(Fault, usize),
    Heal(Fault, usize),
    /// Nothing is struck: callers go on, as long as after so many strikes.
    Calm(usize),
}

/// Each with the time since the one before.
pub type Schedule = Vec<(Duration, Step)>;

/// So many at most strike in one another's time.
const TOGETHER: u64 = 4;

/// Of all kinds, some of them together.
pub fn mixed(seed: u64, strikes: usize) -> Schedule {
    let mut random = Random(seed);
    let mut schedule = Schedule::new();
    let mut left = strikes;
    while left > 0 {
        let count = left.min(1 + random.below(TOGETHER) as usize);
        let mut free: HashMap<Object, u64> = HashMap::new();
        let mut steps = Vec::new();
        for _ in 0..count {
            let (fault, replica) = (any(&mut random), random.below(2) as usize);
            let free = free.entry(fault.object(replica)).or_default();
            let begin = (*free).max(20 + random.below(500));
            let end = begin + lasts(&mut random);
            *free = end + 50;
            steps.push((begin, Step::Strike(fault, replica)));
            steps.push((end, Step::Heal(fault, replica)));
        }
        steps.sort_by_key(|(at, _)| *at);
        put(&mut schedule, &steps, count);
        left -= count;
    }
    schedule
}

/// These in turn, each alone.
pub fn in_turn(seed: u64, strikes: usize, of: &[Fault]) -> Schedule {
    let mut random = Random(seed);
    let mut schedule = Schedule::new();
    for n in 0..strikes {
        let (fault, replica) = (of[n % of.len()], random.below(2) as usize);
        // in the midst of whatever callers do then
        let begin = 50 + random.below(300);
        let end = begin + random.below(150);
        let steps = [
            (begin, Step::Strike(fault, replica)),
            (end, Step::Heal(fault, replica)),
        ];
        put(&mut schedule, &steps, 1);
    }
    schedule
}

fn any(random: &mut Random) -> Fault {
    let mut drawn = random.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
    for (fault, weight) in WEIGHTS {
        if drawn < weight {
            return fault;
        }
        drawn -= weight;
    }
    unreachable!("less than all of them")
}

/// Mostly not for long, so that many strike; now and then longer than callers wait.
fn lasts(random: &mut Random) -> u64 {
    let longest = match random.below(20) {
        0 => 4_000,
        1..6 => 1_200,
        _ => 300,
    };
    20 + random.below(longest)
}

/// `steps`: each with its time in milliseconds, in order.
fn put(schedule: &mut Schedule, steps: &[(u64, Step)], strikes: usize) {
    let mut now = 0;
    for &(at, step) in steps {
        schedule.push((Duration::from_millis(at - now), step));
        now = at;
    }
    schedule.push((Duration::ZERO, Step::Calm(strikes)));
}

#[test]
fn a_schedule_is_a_function_of_its_seed_and_has_everything_in_it() {
    let schedule = mixed(7, 300);
    assert_eq!(schedule, mixed(7, 300));
    assert_ne!(schedule, mixed(8, 300));
    let mut struck: HashMap<Object, Fault> = HashMap::new();
    let mut kinds: HashMap<Fault, usize> = HashMap::new();
    let mut most = 0;
    for (_, step) in schedule {
        match step {
            Step::Strike(fault, replica) => {
                *kinds.entry(fault).or_default() += 1;
                assert_eq!(struck.insert(fault.object(replica), fault), None);
            }
            Step::Heal(fault, replica) => {
                assert_eq!(struck.remove(&fault.object(replica)), Some(fault));
            }
            Step::Calm(_) => assert!(struck.is_empty(), "{struck:?}"),
        }
        most = most.max(struck.len());
    }
    assert_eq!(kinds.len(), WEIGHTS.len(), "{kinds:?}");
    assert_eq!(kinds.values().sum::<usize>(), 300);
    assert!(most >= 3, "some strike together: {most}");
}
