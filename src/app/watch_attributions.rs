//! WatchAttributions: the changes of tenants, as they are committed.
//!
//! Between two stretches a watch holds nothing but its positions. It reads when its reader has
//! taken what there was and the tenant has moved on, which [`super::newest`] tells it; so a
//! slow reader costs no more than a fast one, and a quiet watch no statement at all.

pub use super::feed::{FeedRefusal, RefusedPosition, Told};
use super::{
    App, Error, Result,
    admission::Overloaded,
    at_least,
    feed::FeedPage,
    newest::{Seen, moved},
    now, places,
};
use crate::{
    domain::{FeedPosition, Generation, Revision, TenantId},
    store::TenantRevision,
    telemetry::meters,
};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Tenants of one watch.
pub const MAX_TENANTS: usize = 1_000;
/// Watches of this process at a time.
pub const MAX_WATCHES: usize = 2_000;
/// Reads for them at a time: they leave connections to everybody else.
pub(super) const READERS: usize = 3;
/// Of them for one tenant: however many watch it, the others' reads find one.
pub(super) const READERS_OF_ONE: usize = 1;

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    Now,
    Token(String),
}

#[derive(Clone, Debug)]
pub struct Place {
    pub tenant: TenantId,
    pub start: Start,
    pub at_least: Revision,
}

#[derive(Clone, Debug)]
pub struct Asked {
    /// Each tenant once.
    pub places: Vec<Place>,
    /// Does not end when all are caught up.
    pub follow: bool,
    /// How long a tenant is quiet before a checkpoint.
    pub checkpoint: Duration,
}

/// The next stretch of one tenant's changes.
#[derive(Debug)]
pub struct Chunk {
    pub tenant: TenantId,
    /// None: a checkpoint.
    pub changes: Vec<Told>,
    /// The changes of all revisions up to here came before.
    pub after: Revision,
    /// And up to here with this.
    pub revision: Revision,
    pub newest: Revision,
    pub resume_token: String,
    pub caught_up: bool,
}

/// A watch under way.
pub struct Watch {
    app: Arc<App>,
    follow: bool,
    checkpoint: Duration,
    readers: Vec<Reader>,
    /// Those that may have something to read, and those that are to be told that they do not.
    ready: VecDeque<usize>,
    due: VecDeque<usize>,
    /// The others, until their tenant moves on.
    quiet: FuturesUnordered<BoxFuture<'static, usize>>,
    _place: places::Place,
}

/// One tenant of a watch.
struct Reader {
    tenant: TenantId,
    generation: Generation,
    at: FeedPosition,
    seen: Seen,
    /// Nothing was told yet.
    is_new: bool,
    is_quiet: bool,
    /// It had caught up, and was woken.
    was_quiet: bool,
    told: Instant,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch of {} tenants", self.readers.len())
    }
}

impl App {
    /// What is wrong with a position shows here, or with the first read.
    pub async fn watch_attributions(self: Arc<Self>, asked: Asked) -> Result<Watch> {
        let of = match asked.places.as_slice() {
            [of] => Some(of.tenant),
            _ => None,
        };
        let kept = self.watches.enter(of);
        let kept = kept.map_err(|Overloaded| Error::TooManyStreams { max: MAX_WATCHES })?;
        // before they are asked for: what is committed meanwhile is seen
        let places = asked.places.into_iter();
        let places: Vec<(Place, Seen)> = places
            .map(|place| {
                let seen = self.newest.follow(place.tenant);
                (place, seen)
            })
            .collect();
        let tenants: Vec<TenantId> = places.iter().map(|(place, _)| place.tenant).collect();
        let found = {
            // those who begin to watch one tenant take turns, and leave the others the readers
            let _own = match of {
                Some(tenant) => Some(self.feed_turns.of(tenant).await),
                None => None,
            };
            self.store.revisions(&tenants).await?.into_iter()
        };
        let found: HashMap<TenantId, TenantRevision> =
            found.map(|found| (found.tenant, found)).collect();
        let mut readers = Vec::with_capacity(places.len());
        for (place, seen) in places {
            let now = found.get(&place.tenant);
            let now = now.ok_or(Error::TenantNotFound(place.tenant))?;
            readers.push(self.reader(place, *now, seen).await?);
        }
        Ok(Watch {
            app: self,
            follow: asked.follow,
            checkpoint: asked.checkpoint,
            ready: (0..readers.len()).collect(),
            due: VecDeque::new(),
            quiet: FuturesUnordered::new(),
            readers,
            _place: kept,
        })
    }

    async fn reader(&self, place: Place, now: TenantRevision, seen: Seen) -> Result<Reader> {
        at_least(place.at_least, now.revision)?;
        let at = match place.start {
            Start::Beginning => FeedPosition::default(),
            Start::Now => FeedPosition::behind(now.revision),
            Start::Token(token) => {
                self.open_feed_token(place.tenant, now.generation, &token)
                    .await?
            }
        };
        Ok(Reader {
            tenant: place.tenant,
            generation: now.generation,
            at,
            seen,
            is_new: true,
            is_quiet: false,
            was_quiet: false,
            told: Instant::now(),
        })
    }
}

impl Watch {
    /// The next stretch of any of the tenants, in turn; waits for it. `None`: all are caught up,
    /// and nobody wants to follow.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(turn) = self.ready.pop_front() {
                if let Some(chunk) = self.read(turn).await? {
                    return Ok(Some(chunk));
                }
            } else if let Some(turn) = self.due.pop_front() {
                return self.checkpoint(turn).await.map(Some);
            } else if self.follow {
                self.wait().await;
            } else {
                return Ok(None);
            }
        }
    }

    /// `None`: nothing is new.
    async fn read(&mut self, turn: usize) -> Result<Option<Chunk>> {
        let reader = &mut self.readers[turn];
        let (tenant, generation, at) = (reader.tenant, reader.generation, reader.at);
        let read = move |app: Arc<App>| async move { app.read_feed(tenant, generation, at).await };
        let FeedPage {
            changes,
            end,
            newest,
        } = self.app.detached(read).await?;
        let is_news = reader.is_new || end != at;
        reader.is_new = false;
        reader.at = end;
        let caught_up = end == FeedPosition::behind(newest);
        if !caught_up {
            self.ready.push_back(turn);
        } else if self.follow {
            self.rest(turn);
        }
        if !is_news {
            return Ok(None);
        }
        self.chunk(turn, changes, at.revision, newest)
            .await
            .map(Some)
    }

    async fn chunk(
        &mut self,
        turn: usize,
        changes: Vec<Told>,
        after: Revision,
        newest: Revision,
    ) -> Result<Chunk> {
        let reader = &mut self.readers[turn];
        reader.told = Instant::now();
        let counted = &meters().feed;
        counted.told.increment(changes.len() as u64);
        if let Some(first) = changes.first().filter(|_| reader.was_quiet) {
            let lag = now().micros() - first.change.committed_at.micros();
            counted.told_lag.record(lag.max(0) as f64 / 1e6);
        }
        reader.was_quiet = false;
        let token = self
            .app
            .feed_token(reader.tenant, reader.generation, reader.at);
        Ok(Chunk {
            tenant: reader.tenant,
            changes,
            after,
            revision: reader.at.revision,
            newest,
            resume_token: token.await?,
            caught_up: reader.at == FeedPosition::behind(newest),
        })
    }

    /// Until the tenant moves on.
    fn rest(&mut self, turn: usize) {
        let reader = &mut self.readers[turn];
        reader.is_quiet = true;
        let from = TenantRevision {
            tenant: reader.tenant,
            generation: reader.generation,
            revision: reader.at.revision,
        };
        let seen = reader.seen.clone();
        self.quiet.push(Box::pin(async move {
            moved(seen, from).await;
            turn
        }));
    }

    /// Until a tenant moves on, or one has to be told that it did not.
    async fn wait(&mut self) {
        let quiet = self.readers.iter().filter(|reader| reader.is_quiet);
        let longest = quiet.map(|reader| reader.told).min();
        let due = longest.unwrap_or_else(Instant::now) + self.checkpoint;
        tokio::select! {
            Some(turn) = self.quiet.next() => {
                self.readers[turn].is_quiet = false;
                self.readers[turn].was_quiet = true;
                self.ready.push_back(turn);
            }
            () = sleep_until(due) => self.find_due(),
        }
    }

    fn find_due(&mut self) {
        let now = Instant::now();
        // who cannot ask must not say that there is nothing
        let is_known = self.app.newest.is_current();
        for (turn, reader) in self.readers.iter_mut().enumerate() {
            if reader.is_quiet && reader.told + self.checkpoint <= now {
                reader.told = now;
                if is_known {
                    self.due.push_back(turn);
                }
            }
        }
    }

    async fn checkpoint(&mut self, turn: usize) -> Result<Chunk> {
        let at = self.readers[turn].at.revision;
        self.chunk(turn, Vec::new(), at, at).await
    }
}
