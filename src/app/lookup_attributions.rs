//! LookupAttributions: many messages at once, through the cache.

use super::{App, Error, Result, at_least, delete_tenant::found, scopes::Scopes};
use crate::{
    cache::{Cache, Cached, Known, Source},
    domain::{Answer, Message, MessageKey, Revision, Tenant, TenantId},
    store::{Store, TenantRevision},
    telemetry::meters,
};
use std::{collections::HashMap, sync::Arc};
use tracing::Instrument as _;

/// Messages of one call.
pub const MAX_LOOKUPS: usize = 1_000;

impl App {
    /// The answer for each key in the order asked; `None`: nothing is stored.
    ///
    /// What this process holds is answered without waiting. The rest is read by tasks of
    /// their own, so a caller may leave at any time.
    pub async fn lookup_attributions(
        &self,
        tenant: TenantId,
        keys: &[MessageKey],
        revision: Revision,
    ) -> Result<Vec<Option<Arc<Known>>>> {
        // a value read from an older state than demanded is a miss
        let fresh = |cached: &Cached| cached.as_of >= revision;
        let scope = self.scopes.get(tenant);
        let peek = |key: &MessageKey| self.cache.peek(scope.as_deref()?, *key).filter(fresh);
        let mut found: Vec<Option<Cached>> = keys.iter().map(peek).collect();

        if let Some(scope) = scope {
            let missing = Missing::of(keys, &found);
            let cached = self.cache.get(&scope, &missing.keys);
            let cached = cached.instrument(tracing::debug_span!("cache get")).await;
            for (place, cached) in missing.places(cached) {
                found[place] = cached.filter(fresh);
            }
        }
        let missing = Missing::of(keys, &found);
        let counted = &meters().cache;
        counted
            .hits
            .increment((keys.len() - missing.keys.len()) as u64);
        if !missing.keys.is_empty() {
            counted.misses.increment(missing.keys.len() as u64);
            let stored = self.stored_answers.read(&tenant, &missing.keys);
            let stored = stored
                .instrument(tracing::debug_span!("store read"))
                .await?;
            for (place, stored) in missing.places(stored) {
                at_least(revision, stored.as_of)?;
                found[place] = Some(stored);
            }
        }
        let answer = |found: Option<Cached>| found.and_then(|cached| cached.answer);
        Ok(found.into_iter().map(answer).collect())
    }

    /// After a commit and before its acknowledgement, also where nothing changed: whoever
    /// saw the acknowledgement finds these answers in the cache.
    pub(super) async fn cache_messages(&self, tenant: &Tenant, messages: &[Message]) {
        let scope = match self.scopes.see(tenant.id, tenant.generation).await {
            Ok(scope) => scope,
            // it was made ready before the write
            Err(error) => return tracing::error!(%error, "answers were not cached"),
        };
        let values = messages.iter().map(|message| {
            let cached = cached(tenant.revision, Some(message.answer()));
            (message.key, cached)
        });
        let set = self.cache.set(&scope, values.collect());
        set.instrument(tracing::debug_span!("cache set")).await;
    }

    /// The same of messages that were deleted.
    pub(super) async fn cache_absent(&self, tenant: &Tenant, keys: &[MessageKey]) {
        if let Ok(scope) = self.scopes.see(tenant.id, tenant.generation).await {
            let absent = |key: &MessageKey| (*key, cached(tenant.revision, None));
            self.cache
                .set(&scope, keys.iter().map(absent).collect())
                .await;
        }
    }

    /// The same for a batch that was committed before and is acknowledged again: whoever wrote
    /// it may have died before others could see it in a cache that they share.
    pub(super) async fn cache_again(&self, tenant: TenantId, keys: &[MessageKey]) -> Result<()> {
        let snapshot = self.store.answers(tenant, keys).await?;
        let snapshot = found(&*self.store, tenant, snapshot).await?;
        let scope = self.scopes.see(tenant, snapshot.generation).await?;
        let value = |answer: Answer| (answer.key, cached(snapshot.as_of, Some(answer)));
        let values = snapshot.value.into_iter().map(value);
        self.cache.set(&scope, values.collect()).await;
        Ok(())
    }
}

fn cached(as_of: Revision, answer: Option<Answer>) -> Cached {
    Cached {
        as_of,
        answer: answer.map(|answer| Arc::new(Known::new(answer))),
    }
}

/// The keys of a lookup that nothing was found of, and their places in it.
struct Missing {
    keys: Vec<MessageKey>,
    places: Vec<usize>,
}

impl Missing {
    fn of(keys: &[MessageKey], found: &[Option<Cached>]) -> Self {
        let missing = keys.iter().zip(found).enumerate();
        let missing = missing.filter(|(_, (_, found))| found.is_none());
        let (places, keys) = missing.map(|(place, (key, _))| (place, *key)).unzip();
        Self { keys, places }
    }

    /// Values for these keys with their places.
    fn places<T>(&self, values: Vec<T>) -> impl Iterator<Item = (usize, T)> {
        self.places.iter().copied().zip(values)
    }
}

/// The store as the coalescer reads it. What it reads goes into the cache.
#[derive(Debug)]
pub(super) struct StoredAnswers {
    pub(super) store: Arc<dyn Store>,
    pub(super) cache: Arc<Cache>,
    pub(super) scopes: Arc<Scopes>,
}

impl Source for StoredAnswers {
    type Of = TenantId;
    type Value = Cached;
    type Error = Error;

    async fn read(&self, tenant: &TenantId, keys: &[MessageKey]) -> Result<Vec<Cached>> {
        let before = self.scopes.newest(*tenant);
        let snapshot = self.store.answers(*tenant, keys).await?;
        let snapshot = found(&*self.store, *tenant, snapshot).await?;
        let now = TenantRevision {
            tenant: *tenant,
            generation: snapshot.generation,
            revision: snapshot.as_of,
        };
        self.scopes.found(before, now);
        let answers = snapshot.value.into_iter();
        let mut answers: HashMap<_, _> = answers.map(|answer| (answer.key, answer)).collect();
        let value = |key| cached(snapshot.as_of, answers.remove(key));
        let values: Vec<Cached> = keys.iter().map(value).collect();
        // what cannot be cached is answered all the same
        if let Ok(scope) = self.scopes.see(*tenant, snapshot.generation).await {
            let read = keys.iter().copied().zip(values.iter().cloned());
            self.cache.fill(&scope, read.collect());
        }
        Ok(values)
    }

    fn broken() -> Error {
        Error::Bug("a read of answers was broken off".into())
    }
}
