//! Use cases: one file per RPC. Knows the domain, the records and the traits of store and
//! cache; nothing of gRPC or SQL.
//!
//! A call that may write must run to its end even if the caller leaves: whoever calls from a
//! place that can be cancelled goes through [`App::detached`].

pub mod admission;
pub mod check_audit_settings;
mod counted;
pub mod coverage;
pub mod delete_tenant;
mod directories;
pub mod erase_agent;
mod erased;
mod error;
pub mod expire;
pub mod explain_attribution;
mod feed;
mod findings;
mod fitness;
pub mod get_attribution;
pub mod get_coverage;
pub mod get_server_info;
pub mod get_tenant;
pub mod ingest_audit_batch;
pub mod list_attributions;
pub mod list_audit_batches;
pub mod list_findings;
pub mod list_mailboxes;
pub mod list_quarantined_records;
pub mod list_tenants;
pub mod lookup_attributions;
mod merge;
mod newest;
mod outdated;
mod page;
pub mod places;
mod prepared;
pub mod put_mailboxes;
mod quarantine;
mod reattribute;
mod receipt;
pub mod register_tenant;
pub mod restored;
pub mod retry_quarantined_records;
pub mod revoke_consent;
mod rounds;
mod scopes;
pub mod secret;
mod sides;
pub mod stream_attributions;
pub mod summarize_agents;
pub mod survey;
mod sweep;
mod walks;
pub mod watch_attributions;
mod windows;

use crate::{
    cache::{Cache, Coalescer},
    domain::{Revision, Tenant, TenantId, Timestamp, time::MINUTE},
    store::{self, Store, TenantRevision, Turns, Tx},
    telemetry::{
        call,
        meters::{meters, on_render},
    },
};
use admission::Admission;
use coverage::Ledgers;
use delete_tenant::check_not_deleted;
use directories::Directories;
pub use error::{Error, FieldError, Result};
use findings::Judgements;
use fitness::Fitness;
pub use fitness::Unfit;
use lookup_attributions::StoredAnswers;
use moka::sync::Cache as Moka;
use newest::Newest;
pub use page::{chunk_size, page_size, summary_page_size};
use places::Places;
use rounds::Rounds;
use scopes::Scopes;
use secret::{Secret, SecretCell};
use sides::Sides;
use std::{
    future::Future,
    num::NonZeroUsize,
    ops::{Deref, DerefMut},
    sync::Arc,
    thread::available_parallelism,
    time::{Instant, SystemTime},
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, Semaphore};
use walks::Walks;

/// What every use case works with.
#[derive(Debug)]
pub struct App {
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    scopes: Arc<Scopes>,
    /// Answers that are in no cache.
    stored_answers: Coalescer<StoredAnswers>,
    admission: Admission,
    places: Places,
    walks: Walks,
    directories: Directories,
    ledgers: Ledgers,
    judgements: Judgements,
    sides: Sides,
    turns: Moka<TenantId, Arc<Mutex<()>>>,
    rounds: Rounds,
    /// Batches that are decoded at a time: one a processor, so that lookups find one too.
    decoders: Semaphore,
    /// Rung where a call leaves messages to be judged anew by somebody else.
    unsettled: Notify,
    /// Places for streams of answers, and for watches.
    streams: Places,
    watches: Places,
    /// Reads for watches, of one tenant and of all of them together.
    feed_turns: Turns,
    feed_readers: Semaphore,
    newest: Arc<Newest>,
    limits: Limits,
    settings: Vec<(&'static str, String)>,
    /// Summaries at a time: each keeps a connection of the store busy.
    summaries: Semaphore,
    secret: Arc<SecretCell>,
    fitness: Fitness,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of batches that may be in memory at a time.
    pub ingest_memory: usize,
    /// How long changes are kept for those who watch.
    pub change_days: u32,
    /// Connections of callers at a time.
    pub connections: usize,
    /// How long private mail is kept.
    pub unjoined_send_days: u32,
    /// How long a deleted tenant can come back.
    pub delete_grace_days: u32,
}

impl App {
    /// `secret`: the deployment's, if it is not kept in the store.
    pub fn new(
        store: Arc<dyn Store>,
        cache: Cache,
        secret: Option<[u8; 32]>,
        limits: Limits,
    ) -> Self {
        let cache = Arc::new(cache);
        let secret = Arc::new(SecretCell::new(Arc::clone(&store), secret));
        let scopes = Arc::new(Scopes::new(cache.is_shared().then(|| Arc::clone(&secret))));
        let stored_answers = StoredAnswers {
            store: Arc::clone(&store),
            cache: Arc::clone(&cache),
            scopes: Arc::clone(&scopes),
        };
        let newest = Arc::new(Newest::new(Arc::clone(&store), Arc::clone(&scopes)));
        let streams = Places::new(stream_attributions::MAX_STREAMS);
        let watches = Places::new(watch_attributions::MAX_WATCHES);
        sampled(&streams, &watches);
        Self {
            store,
            cache,
            scopes,
            stored_answers: Coalescer::new(stored_answers),
            admission: Admission::new(limits.ingest_memory),
            places: Places::new(places::MAX_CALLS),
            walks: Walks::default(),
            directories: Directories::new(Arc::clone(&secret)),
            ledgers: Ledgers::default(),
            judgements: Judgements::default(),
            sides: Sides::default(),
            turns: Moka::new(TURNS),
            rounds: Rounds::default(),
            decoders: Semaphore::new(available_parallelism().map_or(1, NonZeroUsize::get)),
            unsettled: Notify::new(),
            streams,
            watches,
            feed_turns: Turns::new(watch_attributions::READERS_OF_ONE),
            feed_readers: Semaphore::new(watch_attributions::READERS),
            newest,
            limits,
            settings: Vec::new(),
            summaries: Semaphore::new(summarize_agents::AT_A_TIME),
            secret,
            fitness: Fitness::default(),
        }
    }

    /// With the settings that it runs by, for those who ask.
    pub fn with_settings(mut self, settings: Vec<(&'static str, String)>) -> Self {
        self.settings = settings;
        self
    }

    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    pub fn walks(&self) -> &Walks {
        &self.walks
    }

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// To be kept.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Runs a use case in a task of its own: a caller that leaves only stops waiting, and
    /// what was begun is committed or rolled back, never left open.
    pub async fn detached<T, F, Fut>(self: &Arc<Self>, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let work = store::inherited(store::deadline(), run(Arc::clone(self)));
        let task = call::spawn(work);
        task.await.unwrap_or_else(|failed| Err(Error::bug(&failed)))
    }

    async fn secret(&self) -> Result<&Arc<Secret>> {
        self.secret.get().await
    }

    /// Starts a write of this tenant. Writers of one tenant wait here for each other, not
    /// each with a connection of the store, so that one busy tenant leaves the others theirs.
    /// A deleted tenant is refused.
    async fn begin(&self, id: TenantId) -> Result<Write> {
        let write = self.begin_any(id).await?;
        check_not_deleted(write.tenant())?;
        Ok(write)
    }

    async fn begin_any(&self, id: TenantId) -> Result<Write> {
        let asked = Instant::now();
        self.secret().await?; // before the store's lock is taken: it may have to be read there
        self.scopes.ready().await?;
        let turns = self.turns.get_with(id, Arc::default);
        let turn = turns.lock_owned().await;
        let before = self.scopes.newest(id);
        let tx = self.store.begin(id).await?;
        let tx = tx.ok_or(Error::TenantNotFound(id))?;
        self.scopes.found(before, at(tx.tenant()));
        let begun = Instant::now();
        let store = &meters().store;
        store.begin.record((begun - asked).as_secs_f64());
        store.begun.increment(1);
        Ok(Write {
            tx,
            begun,
            scopes: Arc::clone(&self.scopes),
            newest: Arc::clone(&self.newest),
            _turn: turn,
        })
    }

    /// Work on the bytes of a batch, which takes long: behind that of other batches, and where
    /// no other task waits for it.
    async fn decoding<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let span = tracing::debug_span!("decode");
        let _turn = self.decoders.acquire().await.map_err(|e| Error::bug(&e))?;
        let done = call::spawn_blocking(span, work).await;
        done.map_err(|failed| Error::bug(&failed))
    }

    /// As it is at this revision, or later.
    async fn tenant(&self, id: TenantId, revision: Revision) -> Result<Tenant> {
        let tenant = self.store.tenant(id).await?;
        let tenant = tenant.ok_or(Error::TenantNotFound(id))?;
        check_not_deleted(&tenant)?;
        at_least(revision, tenant.revision)?;
        Ok(tenant)
    }
}

/// How many of these are taken is asked when somebody wants to know.
fn sampled(streams: &Places, watches: &Places) {
    let (streams, watches) = (streams.clone(), watches.clone());
    on_render(move || {
        let feed = &meters().feed;
        feed.streams.set(streams.count() as f64);
        feed.watches.set(watches.count() as f64);
    });
}

/// Tenants whose queue of writers is kept. One that falls out gets another queue; the store's
/// own lock is what counts.
const TURNS: u64 = 10_000;

/// Work on so few messages is done where it stands.
const AT_ONCE: usize = 200;

/// Work on messages for a processor. Much of it is done where no other task waits behind it.
async fn compute<T: Send + 'static>(
    messages: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if messages <= AT_ONCE {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|failed| Error::bug(&failed))
}

/// A write of one tenant, and its turn among the writers of this process.
struct Write {
    tx: Box<dyn Tx>,
    scopes: Arc<Scopes>,
    begun: Instant,
    newest: Arc<Newest>,
    _turn: OwnedMutexGuard<()>,
}

impl Write {
    /// `after`: the tenant as it is then. Whoever watches it is told where that is further on.
    async fn commit(self, after: &Tenant) -> Result<()> {
        let is_new = after.revision != self.tx.tenant().revision;
        self.tx.commit().await?;
        self.scopes.found(None, at(after));
        let store = &meters().store;
        store.transaction.record(self.begun.elapsed().as_secs_f64());
        store.committed.increment(1);
        if is_new {
            self.newest.committed(at(after));
        }
        Ok(())
    }
}

/// Where a tenant is.
fn at(tenant: &Tenant) -> TenantRevision {
    TenantRevision {
        tenant: tenant.id,
        generation: tenant.generation,
        revision: tenant.revision,
    }
}

impl Deref for Write {
    type Target = dyn Tx;

    fn deref(&self) -> &Self::Target {
        &*self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.tx
    }
}

/// Refuses an answer that is older than the caller demands.
fn at_least(asked: Revision, as_of: Revision) -> Result<()> {
    if as_of >= asked {
        Ok(())
    } else {
        Err(Error::RevisionNotReached { asked, as_of })
    }
}

/// How much ahead of ours a collector's clock may be: 5 minutes.
const CLOCK_SKEW: i64 = 5 * MINUTE;

/// Whether a period that ends then can have been fetched.
pub fn window_may_end(end: Timestamp) -> bool {
    end <= now().plus(CLOCK_SKEW)
}

/// The server's clock. It never orders or merges anything: it stamps what was received when.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
