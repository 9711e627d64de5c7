//! Batches that wait for one tenant are written together.
//!
//! While one transaction commits, the next batches collect; nobody waits for more of them, so
//! a lone batch goes at once. A tenant has one task that takes what waits, as long as something
//! does; other writes of the tenant take turns with it.

use super::{
    App, Error, Result, Write, counted,
    ingest_audit_batch::{Ingested, check_consent},
    prepared::Prepared,
    quarantine::quarantine,
    receipt::Label,
};
use crate::{
    domain::{BatchId, TenantId},
    store::{StoreError, retrying},
    telemetry::{call::Behalf, meters},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;
use tracing::Instrument as _;

/// What one transaction takes at most: other writers wait no longer than for that, and a
/// reader's memory of it stays small.
const MAX_BATCHES: usize = 64;
const MAX_EVENTS: usize = 20_000;

/// A batch that only has to be written.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) prepared: Arc<Prepared>,
    pub(super) label: Label,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Ready>,
    /// Of the call that it came with.
    behalf: Behalf,
    answer: oneshot::Sender<Result<Ingested>>,
}

/// What waits, by tenant. A tenant that is in it has a task that takes from it.
#[derive(Debug, Default)]
pub(super) struct Rounds(Mutex<HashMap<TenantId, VecDeque<Waiting>>>);

impl Rounds {
    fn queues(&self) -> MutexGuard<'_, HashMap<TenantId, VecDeque<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a task has to be started.
    fn push(&self, tenant: TenantId, waiting: Waiting) -> bool {
        let mut queues = self.queues();
        let is_first = !queues.contains_key(&tenant);
        queues.entry(tenant).or_default().push_back(waiting);
        is_first
    }

    /// Whether anything waits. If not the task must end, for the next batch starts another.
    fn goes_on(&self, tenant: TenantId) -> bool {
        let mut queues = self.queues();
        let goes_on = queues.get(&tenant).is_some_and(|queue| !queue.is_empty());
        if !goes_on {
            queues.remove(&tenant);
        }
        goes_on
    }

    /// Of the first that waits: a round is part of its call, for there must be one.
    fn behalf(&self, tenant: TenantId) -> Behalf {
        let queues = self.queues();
        let first = queues.get(&tenant).and_then(VecDeque::front);
        first.map_or_else(Behalf::of_nobody, |first| first.behalf.clone())
    }

    /// As many as one transaction takes, in order.
    fn take(&self, tenant: TenantId) -> Vec<Waiting> {
        let mut queues = self.queues();
        queues.get_mut(&tenant).map(take).unwrap_or_default()
    }

    fn take_all(&self, tenant: TenantId) -> Vec<Waiting> {
        let mut queues = self.queues();
        let queue = queues.get_mut(&tenant).map(std::mem::take);
        queue.unwrap_or_default().into()
    }
}

/// One that has the request id of another in the round waits for its receipt.
fn take(queue: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut round, mut later) = (Vec::new(), VecDeque::new());
    let mut ids: HashSet<BatchId> = HashSet::new();
    let mut events = 0;
    while let Some(waiting) = queue.pop_front() {
        let more = waiting.batch.prepared.sends;
        let full = round.len() == MAX_BATCHES || events + more > MAX_EVENTS;
        if full && !round.is_empty() {
            queue.push_front(waiting);
            break;
        }
        if ids.insert(waiting.batch.label.id) {
            events += more;
            round.push(waiting);
        } else {
            later.push_back(waiting);
        }
    }
    later.append(queue);
    *queue = later;
    round
}

impl App {
    /// Waits until the batch is written, with others or alone. Whoever stops waiting does not
    /// stop the writing.
    pub(super) async fn write(self: &Arc<Self>, id: TenantId, batch: Ready) -> Result<Ingested> {
        let (answer, answered) = oneshot::channel();
        let batch = Arc::new(batch);
        let waiting = Waiting {
            batch,
            behalf: Behalf::current(),
            answer,
        };
        if self.rounds.push(id, waiting) {
            let app = Arc::clone(self);
            tokio::spawn(async move { app.write_rounds(id).await });
        }
        answered
            .await
            .unwrap_or_else(|_| Err(Error::Bug("a round ended without an answer".into())))
    }

    async fn write_rounds(self: Arc<Self>, id: TenantId) {
        while self.rounds.goes_on(id) {
            let behalf = self.rounds.behalf(id);
            let span = tracing::debug_span!(parent: behalf.span(), "round", tenant = %id);
            let round = self.write_round(id).instrument(span);
            behalf.scope(round).await;
        }
    }

    async fn write_round(self: &Arc<Self>, id: TenantId) {
        let begun = self.detached(move |app| async move { app.begin_again(id).await });
        let (round, done) = match begun.await {
            Ok(write) => {
                // not before: while it waited for its turn more may have come
                let round = self.rounds.take(id);
                let batches = batches(&round);
                let done = self.write_together(id, Some(write), batches).await;
                (round, done)
            }
            Err(error) => (self.rounds.take_all(id), Err(error)),
        };
        let counted = &meters().ingest;
        match done {
            Ok(answers) => {
                counted.rounds_committed.increment(1);
                counted.round_batches.record(round.len() as f64);
                for (waiting, answer) in round.into_iter().zip(answers) {
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(error) if round.len() > 1 && may_be_of_one(&error) => {
                counted.rounds_split.increment(1);
                tracing::warn!(tenant = %id, %error, batches = round.len(), "a round failed: each batch alone");
                for waiting in round {
                    self.write_alone(id, waiting).await;
                }
            }
            Err(error) => {
                counted.rounds_failed.increment(1);
                for waiting in round {
                    let _ = waiting.answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn write_alone(self: &Arc<Self>, id: TenantId, waiting: Waiting) {
        let alone = vec![Arc::clone(&waiting.batch)];
        let done = self.write_together(id, None, alone).await;
        let answer = done.and_then(|mut answers| {
            let answer = answers.pop();
            answer.unwrap_or_else(|| Err(Error::Bug("a batch without an answer".into())))
        });
        let _ = waiting.answer.send(answer);
    }

    async fn begin_again(&self, id: TenantId) -> Result<Write> {
        retrying(|| self.begin(id)).await
    }

    /// One transaction, in a task of its own, again where another writer was in the way.
    async fn write_together(
        self: &Arc<Self>,
        id: TenantId,
        begun: Option<Write>,
        batches: Vec<Arc<Ready>>,
    ) -> Result<Vec<Result<Ingested>>> {
        self.detached(move |app| async move {
            let mut begun = begun;
            retrying(|| {
                let begun = begun.take();
                let (app, batches) = (&app, &batches);
                async move {
                    let write = match begun {
                        Some(write) => write,
                        None => app.begin(id).await?,
                    };
                    app.write_once(write, batches)
                        .instrument(tracing::debug_span!("transaction"))
                        .await
                }
            })
            .await
        })
        .await
    }

    /// The transaction: consent, replays, merge, quarantine, receipts, commit. An answer each.
    async fn write_once(
        &self,
        mut write: Write,
        batches: &[Arc<Ready>],
    ) -> Result<Vec<Result<Ingested>>> {
        check_consent(write.tenant())?;
        let labels = batches.iter().map(|batch| &batch.label);
        let mut answers: BTreeMap<usize, Result<Ingested>> =
            Label::answered(labels, &mut *write).await?;
        let is_new = |(at, _): &(usize, _)| !answers.contains_key(at);
        let new: Vec<(usize, &Arc<Ready>)> = batches.iter().enumerate().filter(is_new).collect();
        if !new.is_empty() {
            let prepared = new.iter().map(|(_, batch)| Arc::clone(&batch.prepared));
            let prepared: Vec<Arc<Prepared>> = prepared.collect();
            let directory = self.directories.of_tx(&mut *write).await?;
            let without_copy = quarantine(&mut *write, &prepared, directory.tombstones()).await?;
            let mut merged = self.merge(&mut *write, prepared).await?;
            let mut stored = Vec::with_capacity(new.len());
            let receipts = merged.receipts.drain(..).zip(without_copy);
            for ((_, batch), (mut receipt, without_copy)) in new.iter().zip(receipts) {
                receipt.quarantined_without_copy = without_copy;
                stored.push(batch.label.batch(receipt));
            }
            write.put_audit_batches(&stored).await?;
            self.finish(write, merged).await?;
            for ((_, batch), stored) in new.iter().zip(&stored) {
                counted::stored(&batch.prepared, &stored.receipt);
            }
            let at = new.iter().map(|(at, _)| *at);
            answers.extend(at.zip(stored.into_iter().map(|batch| Ok(Ingested::of(batch)))));
        }
        Ok(answers.into_values().collect())
    }
}

fn batches(round: &[Waiting]) -> Vec<Arc<Ready>> {
    let batches = round.iter().map(|waiting| Arc::clone(&waiting.batch));
    batches.collect()
}

/// Something in one batch may be the cause. Else all of them would fail alike.
fn may_be_of_one(error: &Error) -> bool {
    match error {
        Error::Store(error) => {
            !matches!(error, StoreError::Unavailable(_) | StoreError::Contended(_))
        }
        Error::Bug(_) => true,
        _ => false,
    }
}
