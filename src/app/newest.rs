//! Where the tenants that somebody watches are by now, told as soon as it is known.
//!
//! Writers of this process tell it themselves. What others commit is found by asking for all
//! watched tenants at once, every [`POLL`] and when the store hints at it: a hint makes it fast,
//! asking makes it certain. So a thousand watchers cost one statement a second.

use super::{Result, scopes::Scopes};
use crate::{
    domain::TenantId,
    store::{Store, TenantRevision},
};
use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// How often it is asked. It is also how late a commit of another process is seen where no hint
/// comes.
const POLL: Duration = Duration::from_secs(1);
/// Who is asked every [`POLL`] and has not answered for so long is out of reach.
const CURRENT: Duration = Duration::from_secs(3);
/// Commits that follow each other more closely are told together.
const TOGETHER: Duration = Duration::from_millis(2);
/// Tenants of one statement.
const ASKED: usize = 1_000;
/// How long it is before hints are listened for again.
const AGAIN: Duration = Duration::from_secs(5);

/// `None`: not known yet, or there is no such tenant.
pub(super) type Seen = watch::Receiver<Option<TenantRevision>>;

#[derive(Debug)]
pub(super) struct Newest {
    store: Arc<dyn Store>,
    scopes: Arc<Scopes>,
    watched: Mutex<HashMap<TenantId, watch::Sender<Option<TenantRevision>>>>,
    /// Tenants that another process has changed.
    hinted: Mutex<HashSet<TenantId>>,
    hint: Notify,
    /// When the store last answered where all of them are. `None`: it does not.
    answered: Mutex<Option<Instant>>,
    /// Tenants that other processes have to be told of.
    told: Mutex<HashSet<TenantId>>,
    tell: Notify,
    is_telling: AtomicBool,
}

impl Newest {
    pub(super) fn new(store: Arc<dyn Store>, scopes: Arc<Scopes>) -> Self {
        Self {
            store,
            scopes,
            watched: Mutex::default(),
            hinted: Mutex::default(),
            hint: Notify::new(),
            answered: Mutex::default(),
            told: Mutex::default(),
            tell: Notify::new(),
            is_telling: AtomicBool::new(false),
        }
    }

    /// Begins to follow a tenant, as long as the answer is kept.
    pub(super) fn follow(self: &Arc<Self>, tenant: TenantId) -> Seen {
        let mut watched = lock(&self.watched);
        let is_first = watched.is_empty();
        let seen = watched.entry(tenant).or_default().subscribe();
        drop(watched);
        if is_first {
            tokio::spawn(Arc::clone(self).ask_on());
        }
        seen
    }

    /// What was just committed here.
    pub(super) fn committed(self: &Arc<Self>, now: TenantRevision) {
        if let Some(sender) = lock(&self.watched).get(&now.tenant) {
            see(sender, now);
        }
        lock(&self.told).insert(now.tenant);
        self.tell.notify_one();
        if !self.is_telling.swap(true, Relaxed) {
            tokio::spawn(Arc::clone(self).tell_on());
        }
    }

    /// What is known is at most [`CURRENT`] old: a store that hangs does not answer either.
    pub(super) fn is_current(&self) -> bool {
        lock(&self.answered).is_some_and(|at| at.elapsed() < CURRENT)
    }

    /// Tells other processes, what has gathered meanwhile at a time.
    async fn tell_on(self: Arc<Self>) {
        loop {
            self.tell.notified().await;
            let tenants: Vec<TenantId> = lock(&self.told).drain().collect();
            if let Err(error) = self.store.hint(&tenants).await {
                tracing::debug!(%error, "other processes were not told of a commit: they will ask");
            }
            sleep(TOGETHER).await;
        }
    }

    /// Asks as long as anybody watches.
    async fn ask_on(self: Arc<Self>) {
        let mut listening = JoinSet::new(); // ends with this task
        listening.spawn(Arc::clone(&self).listen_on());
        let mut hinted = None;
        let mut all_due = Instant::now() + POLL;
        loop {
            let are_all = hinted.is_none();
            let Some(tenants) = self.to_ask(hinted) else {
                return;
            };
            // a hint about others is no question
            if !tenants.is_empty() {
                self.ask(&tenants, are_all).await;
            }
            let hint = timeout_at(all_due, self.hint.notified()).await;
            let some = std::mem::take(&mut *lock(&self.hinted));
            // hints that never end must not keep the others from being asked about
            hinted = match hint {
                Ok(()) if Instant::now() < all_due => Some(some),
                _ => {
                    all_due = Instant::now() + POLL;
                    None
                }
            };
        }
    }

    /// Gathers hints while others are asked about. The store may be out of reach for a while.
    async fn listen_on(self: Arc<Self>) {
        loop {
            match self.store.hints().await {
                Ok(None) => return,
                Ok(Some(mut hints)) => {
                    while let Ok(tenants) = hints.next().await {
                        lock(&self.hinted).extend(tenants);
                        self.hint.notify_one();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot listen for hints: commits of others are seen by asking");
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Those of the tenants, or all, that somebody watches; `None` when nobody watches any more.
    fn to_ask(&self, hinted: Option<HashSet<TenantId>>) -> Option<Vec<TenantId>> {
        let mut watched = lock(&self.watched);
        watched.retain(|_, sender| sender.receiver_count() > 0);
        let all = watched.keys().copied();
        let those = match hinted {
            Some(hinted) => all.filter(|tenant| hinted.contains(tenant)).collect(),
            None => all.collect(),
        };
        // under the lock: who follows next starts to ask again
        (!watched.is_empty()).then_some(those)
    }

    async fn ask(&self, tenants: &[TenantId], are_all: bool) {
        match self.look(tenants).await {
            Ok(()) if are_all => *lock(&self.answered) = Some(Instant::now()),
            Ok(()) => {}
            Err(error) => {
                if lock(&self.answered).take().is_some() {
                    tracing::warn!(%error, "watchers wait: the store does not tell what is new");
                }
            }
        }
    }

    async fn look(&self, tenants: &[TenantId]) -> Result<()> {
        for some in tenants.chunks(ASKED) {
            let before: HashMap<TenantId, _> = some
                .iter()
                .map(|tenant| (*tenant, self.scopes.newest(*tenant)))
                .collect();
            let found = self.store.revisions(some).await?;
            let watched = lock(&self.watched);
            for now in found {
                self.scopes
                    .found(before.get(&now.tenant).copied().flatten(), now);
                if let Some(sender) = watched.get(&now.tenant) {
                    see(sender, now);
                }
            }
        }
        Ok(())
    }
}

/// Never goes back within a life of the tenant: who asked may have been slower than who wrote.
fn see(sender: &watch::Sender<Option<TenantRevision>>, now: TenantRevision) {
    sender.send_if_modified(|seen| {
        let is_known = seen
            .is_some_and(|seen| seen.generation == now.generation && seen.revision >= now.revision);
        if !is_known {
            *seen = Some(now);
        }
        !is_known
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing in here can leave it half-changed
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the tenant is elsewhere than at this revision of this life.
pub(super) async fn moved(mut seen: Seen, from: TenantRevision) -> Seen {
    let is_elsewhere = |seen: &Option<TenantRevision>| {
        seen.is_some_and(|seen| seen.generation != from.generation || seen.revision > from.revision)
    };
    if seen.wait_for(is_elsewhere).await.is_err() {
        // nobody tells any more: it will not happen
        return pending().await;
    }
    seen
}
