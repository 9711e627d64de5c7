//! The one connection to Redis: in use, or away.
//!
//! At the first call that fails or takes too long the connection is thrown away, so that a
//! late answer meets no other question, and nobody waits for Redis any more. A task connects
//! again, proves that it takes writes, has what is owed settled, and only then values are read.

use super::{
    owed::{Keys, Owed},
    server::{CONNECT, Connection, Server},
};
use crate::{
    cache::Scope,
    domain::{MessageKey, Revision},
    telemetry::meters,
};
use redis::{Cmd, RedisError, Value};
use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout};

/// How long a reader waits, who has another way: about ten times what an answer takes.
const SOON: Duration = Duration::from_millis(5);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(40);
/// Our own process may have been held up: then the answer is here, and was not looked at yet.
const SECOND_LOOK: Duration = Duration::from_millis(10);
/// Between two attempts to connect, at first and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A connection that lasted so long was a good one: the next is tried at once.
const GOOD: Duration = Duration::from_secs(5);
/// After an interruption nothing is read for so long: other processes settle what they owe.
const OTHERS_SETTLE: Duration = Duration::from_millis(750);

#[derive(Debug)]
pub(super) struct Link {
    server: Server,
    state: Mutex<State>,
    /// Rung when there is something to do for [`Link::keep`].
    changed: Notify,
    /// How long a value can live.
    lasts: Duration,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Connections there were.
    number: u64,
    owed: Owed,
}

#[derive(Clone, Debug)]
enum Phase {
    Away,
    /// Writes go there; what is there is not read.
    Settling(Live),
    Up(Live),
}

/// A connection in use.
#[derive(Clone)]
pub(super) struct Live {
    number: u64,
    connection: Connection,
    /// Set while an answer does not come soon: it may be frozen, and nothing more is read.
    late: Arc<AtomicBool>,
}

/// An error that Redis tells of one call alone; the connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The script is not there (any more).
    NoScript,
    /// There is no room for what was to be set.
    Full,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Refused(Refused),
    /// It may still come; nobody waits for it.
    Late,
    /// The connection is gone.
    Lost,
}

impl Link {
    pub(super) fn new(server: Server, lasts: Duration) -> Self {
        Self {
            server,
            state: Mutex::new(State {
                phase: Phase::Away,
                number: 0,
                owed: Owed::default(),
            }),
            changed: Notify::new(),
            lasts,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing in here can leave it half-changed
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For reads. `None`: ask the store.
    pub(super) fn reader(&self) -> Option<Live> {
        match &self.state().phase {
            Phase::Up(live) if !live.late.load(Relaxed) => Some(live.clone()),
            Phase::Up(_) | Phase::Settling(_) | Phase::Away => None,
        }
    }

    /// For writes. `None`: they are owed.
    pub(super) fn writer(&self) -> Option<Live> {
        match &self.state().phase {
            Phase::Up(live) | Phase::Settling(live) => Some(live.clone()),
            Phase::Away => None,
        }
    }

    /// After this nothing is read before these keys are settled.
    pub(super) fn owe(&self, scope: &Arc<Scope>, keys: &[(MessageKey, Revision)]) {
        let mut state = self.state();
        for (key, as_of) in keys {
            state.owed.add(scope, *key, *as_of);
        }
        if let Phase::Up(live) = &state.phase {
            state.phase = Phase::Settling(live.clone());
            self.changed.notify_one();
        }
    }

    /// Asks for a reader. What takes longer than some milliseconds decides in the background
    /// whether the connection is kept, and until then nobody else waits for it.
    pub(super) async fn ask(self: &Arc<Self>, live: &Live, command: Cmd) -> Result<Value, Failed> {
        let (link, asked) = (Arc::clone(self), live.clone());
        let mut answer = Box::pin(async move { link.call(&asked, &command).await });
        if let Ok(answer) = timeout(SOON, &mut answer).await {
            return answer;
        }
        let late = Arc::clone(&live.late);
        late.store(true, Relaxed);
        tokio::spawn(async move {
            if !matches!(answer.await, Err(Failed::Lost)) {
                late.store(false, Relaxed);
            }
        });
        Err(Failed::Late)
    }

    /// Asks, and waits no longer than tens of milliseconds.
    pub(super) async fn call(&self, live: &Live, command: &Cmd) -> Result<Value, Failed> {
        let mut connection = live.connection.clone();
        let mut answer = pin!(connection.query(command));
        let mut answered = timeout(PATIENCE, &mut answer).await;
        if answered.is_err() {
            answered = timeout(SECOND_LOOK, &mut answer).await;
        }
        match answered {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(match refused(&error) {
                Some(refused) => Failed::Refused(refused),
                None => self.lost(live, &error.to_string()),
            }),
            Err(_) => Err(self.lost(live, "no answer in time")),
        }
    }

    /// Throws the connection away.
    pub(super) fn lost(&self, live: &Live, why: &str) -> Failed {
        let mut state = self.state();
        let is_used = match &state.phase {
            Phase::Up(used) | Phase::Settling(used) => used.number == live.number,
            Phase::Away => false,
        };
        if is_used {
            state.phase = Phase::Away;
            self.changed.notify_one();
            meters().cache.lost.increment(1);
            tracing::warn!(
                why,
                "Redis is not used for now: answers come from the store"
            );
        }
        Failed::Lost
    }

    /// Keeps a connection, for ever. `settle` makes keys void.
    pub(super) async fn keep<F, Fut>(self: Arc<Self>, settle: F)
    where
        F: Fn(Live, Arc<Scope>, Keys) -> Fut,
        Fut: Future<Output = Result<(), Failed>>,
    {
        let mut pause = PAUSE;
        let mut others_settle = Duration::ZERO; // nothing was interrupted yet
        loop {
            let connected = self.connect().await;
            let since = Instant::now();
            match connected {
                Ok(()) => self.use_it(since + others_settle, &settle).await,
                Err(why) => tracing::debug!(why, "Redis is not reached"),
            }
            others_settle = OTHERS_SETTLE;
            if since.elapsed() > GOOD {
                pause = PAUSE;
            } else {
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }

    /// A new connection that answers and takes writes.
    async fn connect(&self) -> Result<(), String> {
        let proven = timeout(CONNECT, async {
            let mut connection = self.server.connect().await?;
            // of a cluster all of them
            connection.query(&redis::cmd("PING")).await?;
            let mut probe = redis::cmd("SET");
            probe.arg("sentby:probe").arg("").arg("PX").arg(1_000);
            connection.query(&probe).await?;
            Ok::<_, RedisError>(connection)
        });
        let connection = match proven.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("no answer in time".into()),
        };
        let mut state = self.state();
        state.number += 1;
        state.phase = Phase::Settling(Live {
            number: state.number,
            connection,
            late: Arc::default(),
        });
        Ok(())
    }

    /// Until it is lost: settles what is owed, and lets values be read while nothing is.
    async fn use_it<F, Fut>(&self, read_from: Instant, settle: &F)
    where
        F: Fn(Live, Arc<Scope>, Keys) -> Fut,
        Fut: Future<Output = Result<(), Failed>>,
    {
        loop {
            let wait = match self.next(read_from) {
                Next::Away => return,
                Next::Settle(live, scope, keys) => {
                    let done = settle(live.clone(), Arc::clone(&scope), keys.clone()).await;
                    match done {
                        Ok(()) => self.state().owed.settled(&scope, &keys),
                        Err(_) => drop(self.lost(&live, "what is owed cannot be settled")),
                    }
                    continue;
                }
                Next::Wait(wait) => wait,
            };
            // whatever comes first
            let _ = timeout(wait, self.changed.notified()).await;
        }
    }

    fn next(&self, read_from: Instant) -> Next {
        let mut state = self.state();
        let Phase::Settling(live) = state.phase.clone() else {
            return match state.phase {
                Phase::Away => Next::Away,
                _ => Next::Wait(Duration::MAX),
            };
        };
        if let Some((scope, keys)) = state.owed.some(AT_ONCE) {
            return Next::Settle(live, scope, keys);
        }
        let wait = state.owed.wait(self.lasts).unwrap_or_default();
        let wait = wait.max(read_from.saturating_duration_since(Instant::now()));
        if wait.is_zero() {
            state.phase = Phase::Up(live);
            tracing::info!("Redis is used");
            return Next::Wait(Duration::MAX);
        }
        Next::Wait(wait)
    }

    /// Keys; all there can be where they were too many to remember.
    pub(super) fn owed(&self) -> usize {
        self.state().owed.count()
    }

    /// So many there were.
    #[cfg(test)]
    pub(super) fn connections(&self) -> u64 {
        self.state().number
    }

    /// Whether values are read.
    pub(super) fn is_up(&self) -> bool {
        self.reader().is_some()
    }
}

/// Keys that are settled at once.
const AT_ONCE: usize = 500;

enum Next {
    Away,
    Settle(Live, Arc<Scope>, Keys),
    Wait(Duration),
}

/// What is no reason to throw the connection away.
fn refused(error: &RedisError) -> Option<Refused> {
    match error.code()? {
        "NOSCRIPT" => Some(Refused::NoScript),
        "OOM" => Some(Refused::Full),
        _ => None,
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("number", &self.number)
            .finish()
    }
}
