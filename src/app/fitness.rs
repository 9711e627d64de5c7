//! Whether the database is one that may be served from: looked at before the first call, when it
//! comes back, and now and then.

use super::{App, Error, Result};
use crate::store::{Problem, SCHEMA_VERSIONS};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How old the last look may be. It costs the database some ten milliseconds.
const EVERY: Duration = Duration::from_secs(60);

/// What the last look has found.
#[derive(Debug, Default)]
pub(super) struct Fitness {
    is_fit: AtomicBool,
    last: Mutex<Option<(Instant, Option<Unfit>)>>,
}

/// Why the store may not be served from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    NoSchema,
    Schema(i64),
    /// The fatal ones.
    Problems(Vec<Problem>),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSchema => f.write_str("the store has no schema: run `sentby migrate`"),
            Self::Schema(version) => write!(
                f,
                "the schema is version {version}, this program works with {} to {}: run \
                 `sentby migrate`, or a newer program",
                SCHEMA_VERSIONS.start(),
                SCHEMA_VERSIONS.end()
            ),
            Self::Problems(problems) => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
        }
    }
}

impl App {
    /// The last look has found nothing.
    pub fn is_fit(&self) -> bool {
        self.fitness.is_fit.load(Relaxed)
    }

    /// Looks again if the last look is old, or `anew`. `None`: it may be served from. Where the
    /// store is out of reach nothing changes.
    pub async fn unfit(self: &Arc<Self>, anew: bool) -> Result<Option<Unfit>> {
        let app = Arc::clone(self);
        self.detached(move |_| async move { app.look(anew).await })
            .await
    }

    /// Serves nothing from a store that nobody has looked at.
    pub async fn fit(self: &Arc<Self>) -> Result<()> {
        if self.is_fit() {
            return Ok(());
        }
        match self.unfit(false).await? {
            None => Ok(()),
            Some(_) => Err(Error::StoreUnfit),
        }
    }

    /// The version is asked each time: whoever migrates must be seen soon.
    async fn look(&self, anew: bool) -> Result<Option<Unfit>> {
        let version = self.store.schema_version().await?;
        // one look at a time
        let mut last = self.fitness.last.lock().await;
        let is_good = |(at, _): &&(Instant, Option<Unfit>)| !anew && at.elapsed() < EVERY;
        let unfit = match version {
            None => Some(Unfit::NoSchema),
            Some(version) if !SCHEMA_VERSIONS.contains(&version) => Some(Unfit::Schema(version)),
            Some(_) => {
                if let Some((_, known)) = last.as_ref().filter(is_good) {
                    return Ok(known.clone());
                }
                self.problems().await?
            }
        };
        self.fitness.is_fit.store(unfit.is_none(), Relaxed);
        *last = Some((Instant::now(), unfit.clone()));
        Ok(unfit)
    }

    async fn problems(&self) -> Result<Option<Unfit>> {
        let found = self.store.check().await?;
        let (fatal, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| one.is_fatal);
        for problem in &fatal {
            tracing::error!(repair = problem.repair, "STORE: {}", problem.what);
        }
        for problem in &others {
            tracing::warn!(repair = problem.repair, "store: {}", problem.what);
        }
        Ok((!fatal.is_empty()).then_some(Unfit::Problems(fatal)))
    }
}
