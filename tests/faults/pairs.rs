//! What one process has acknowledged, every read of another process shows at once, if it asks
//! for it by `at_least_revision`: never an older answer, never an error instead.

use crate::{
    fault::Fault,
    seed, set,
    stage::{Client, Message, RECORDS, Replica},
    support::{
        TestDb,
        copy::Copy,
        ledger,
        proxy::{Mode, Proxy},
        redis::Redis,
    },
};
use futures_util::future::join_all;
use sentby::{
    domain::TenantId,
    pb::{self, Attribution, explain_attribution_request::Message as Named, watch_position::Start},
    simulate::Random,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// Ingests in the suite, each of which is read by all methods.
const PAIRS: usize = 2_000;
const WORKERS: u32 = 6;
const TENANTS: u32 = 3;
/// Within this a read answers, or says that it cannot be that new. A store that is too busy is
/// waited for 5 s.
const BOUNDED: Duration = Duration::from_secs(10);
/// Messages of a worker that get further records.
const RECENT: usize = 12;

#[derive(Clone, Copy, Debug)]
enum Read {
    Get,
    Lookup,
    List,
    Stream,
    Explain,
}

const READS: [Read; 5] = [
    Read::Get,
    Read::Lookup,
    Read::List,
    Read::Stream,
    Read::Explain,
];

fn tenant(n: u32) -> TenantId {
    TenantId(Uuid::from_u128(0x6111_8111_0000_0000_0000 + u128::from(n)))
}

/// A message of one worker, and the records of it that are stored.
#[derive(Clone, Copy)]
struct Written {
    message: Message,
    records: u8,
    revision: u64,
}

impl Written {
    /// Each message has a second of its own, so a range can be as small as one message.
    fn second(&self) -> prost_types::Timestamp {
        let first: prost_types::Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
        prost_types::Timestamp {
            seconds: first.seconds + i64::from(self.message.number),
            nanos: 0,
        }
    }

    fn truth(&self) -> Attribution {
        if self.records == 0 {
            return self.message.answer(0);
        }
        Attribution {
            revision: self.revision,
            sent_at: Some(self.second()),
            ..self.message.answer((1 << self.records) - 1)
        }
    }

    /// What a read answers that may not be older than `at_least`. With a lookup it is asked for
    /// others, too.
    async fn read(
        &self,
        client: &Client,
        read: Read,
        at_least_revision: u64,
        others: &[Written],
    ) -> Result<Vec<Attribution>, Status> {
        let tenant = self.message.tenant;
        let (tenant_id, id) = (tenant.to_string(), self.message.id());
        let start = Some(self.second());
        let end = start.map(|start| prost_types::Timestamp {
            seconds: start.seconds + 1,
            ..start
        });
        let mut attributions = client.attributions();
        match read {
            Read::Get => Ok(vec![client.get(tenant, id, at_least_revision).await?]),
            Read::Lookup => {
                let all = others.iter().map(|other| other.message.id());
                let all = [id].into_iter().chain(all).collect();
                client.lookup(tenant, all, at_least_revision).await
            }
            Read::List => {
                let asked = pb::ListAttributionsRequest {
                    tenant_id,
                    start,
                    end,
                    at_least_revision,
                    ..Default::default()
                };
                let page = attributions.list_attributions(asked).await?.into_inner();
                assert!(page.revision >= at_least_revision);
                Ok(page.attributions)
            }
            Read::Stream => {
                let asked = pb::StreamAttributionsRequest {
                    tenant_id,
                    start,
                    end,
                    at_least_revision,
                    ..Default::default()
                };
                let walk = attributions.stream_attributions(asked).await?;
                let (mut walk, mut rows) = (walk.into_inner(), Vec::new());
                while let Some(chunk) = walk.message().await? {
                    assert!(chunk.revision >= at_least_revision);
                    rows.extend(chunk.attributions);
                }
                Ok(rows)
            }
            Read::Explain => {
                let asked = pb::ExplainAttributionRequest {
                    tenant_id,
                    message: Some(Named::MessageId(id)),
                    at_least_revision,
                };
                let explained = attributions.explain_attribution(asked).await?.into_inner();
                assert_eq!(explained.evidence.len(), usize::from(self.records));
                Ok(explained.attribution.into_iter().collect())
            }
        }
    }
}

/// Brings a copy up to this revision at least.
async fn watch(
    client: &Client,
    tenant: TenantId,
    copy: &mut Copy,
    at_least_revision: u64,
) -> Result<(), Status> {
    let asked = pb::WatchAttributionsRequest {
        positions: vec![pb::WatchPosition {
            tenant_id: tenant.to_string(),
            start: match copy.token.as_str() {
                "" => None,
                token => Some(Start::ResumeToken(token.into())),
            },
            at_least_revision,
        }],
        ..Default::default()
    };
    let mut watch = client
        .attributions()
        .watch_attributions(asked)
        .await?
        .into_inner();
    while let Some(response) = watch.message().await? {
        copy.take(response);
    }
    assert!(
        copy.revision >= Some(at_least_revision),
        "it ends when it is caught up"
    );
    Ok(())
}

/// An answer, in bounded time. A store that is busy, and a range that would only wait for it, is
/// asked again, as the error says, and that is counted; nothing else is an excuse.
async fn patiently<T>(
    busy: &AtomicUsize,
    mut ask: impl AsyncFnMut() -> Result<T, Status>,
) -> Result<T, Status> {
    for _ in 0..30 {
        let answer = timeout(BOUNDED, ask()).await.expect("an answer");
        let reason = answer
            .as_ref()
            .err()
            .and_then(Status::get_details_error_info);
        let is_busy = |reason: &str| ["STORE_UNAVAILABLE", "OVERLOADED"].contains(&reason);
        if !reason.is_some_and(|info| is_busy(&info.reason)) {
            return answer;
        }
        busy.fetch_add(1, Relaxed);
        sleep(Duration::from_secs(1)).await;
    }
    ask().await
}

/// One that ingests through one process and reads through the other.
struct Worker {
    clients: [Client; 2],
    random: Random,
    tenant: TenantId,
    /// Of the next message; nobody else writes these.
    number: u32,
    recent: Vec<Written>,
    copy: Copy,
    slowest: Duration,
    busy: Arc<AtomicUsize>,
    reads: usize,
    /// Reads that asked for what is not there yet.
    early: usize,
}

impl Worker {
    async fn run(mut self, left: Arc<AtomicI64>) -> Self {
        while left.fetch_sub(1, Relaxed) > 0 {
            self.pair().await;
        }
        self
    }

    async fn pair(&mut self) {
        let by = self.random.below(2) as usize;
        let (writer, reader) = (self.clients[by].clone(), self.clients[1 - by].clone());
        let mut written = self.next(&reader).await;
        let record = written.message.record(written.records);
        let time = written.second().to_string();
        let record = record.set("CreationTime", time.trim_end_matches('Z'));
        let record = [record];
        let post = async || {
            let id = format!("{}-{}", written.message.number, written.records);
            writer.post_as(self.tenant, &record, id).await
        };
        let posted = patiently(&self.busy, post).await;
        written.revision = posted.expect("ingested").revision;
        written.records += 1;

        let others = self.others();
        let revision = written.revision;
        let ask = async |read| {
            let ask = async || written.read(&reader, read, revision, &others).await;
            (read, patiently(&self.busy, ask).await)
        };
        let asked = Instant::now();
        let copy = &mut self.copy;
        let (answers, told) = tokio::join!(
            join_all(READS.map(ask)),
            patiently(&self.busy, async || watch(
                &reader,
                self.tenant,
                copy,
                revision
            )
            .await),
        );
        told.unwrap_or_else(|status| panic!("WatchAttributions: {status:?}"));
        self.slowest = self.slowest.max(asked.elapsed());
        for (read, seen) in answers {
            let seen = seen.unwrap_or_else(|status| panic!("{read:?}: {status:?}"));
            let mut truth = vec![written.truth()];
            if let Read::Lookup = read {
                truth.extend(others.iter().map(Written::truth));
            }
            assert_eq!(seen, truth, "{read:?}, asked for revision {revision}");
        }
        let truth = written.truth();
        assert_eq!(
            self.copy.rows.get(&truth.message_key),
            Some(&truth),
            "WatchAttributions"
        );
        self.reads += READS.len() + 1;
        if self.random.chance(4) {
            self.ask_too_early(&reader, written).await;
        }
        self.recent.insert(0, written);
        self.recent.truncate(RECENT);
    }

    /// A message to be written to: a new one, or one that the reader's process may have seen
    /// as it was.
    async fn next(&mut self, reader: &Client) -> Written {
        let at = self.random.below(2 * RECENT as u64) as usize;
        if self.recent.get(at).is_some_and(|old| old.records < RECORDS) {
            let old = self.recent.remove(at);
            if self.random.chance(70) {
                let tenant = self.tenant;
                let ask = async || reader.lookup(tenant, vec![old.message.id()], 0).await;
                let warm = patiently(&self.busy, ask).await;
                warm.expect("answered");
            }
            return old;
        }
        self.number += 1;
        let message = Message {
            tenant: self.tenant,
            number: self.number,
        };
        Written {
            message,
            records: 0,
            revision: 0,
        }
    }

    /// One that is stored, and one that is not.
    fn others(&self) -> Vec<Written> {
        let nothing = Written {
            message: Message {
                tenant: self.tenant,
                number: u32::MAX - self.number,
            },
            records: 0,
            revision: 0,
        };
        let stored = self.recent.first().copied();
        stored.into_iter().chain([nothing]).collect()
    }

    async fn ask_too_early(&mut self, reader: &Client, written: Written) {
        let never = written.revision + 1_000_000;
        let ask = async |read| {
            let ask = async || written.read(reader, read, never, &[]).await;
            patiently(&self.busy, ask).await.err()
        };
        let mut refused = join_all(READS.map(ask)).await;
        let copy = &mut self.copy;
        let watch = async || watch(reader, self.tenant, copy, never).await;
        refused.push(patiently(&self.busy, watch).await.err());
        self.early += refused.len();
        for status in refused {
            let status = status.expect("no answer can be that new");
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            let info = status.get_details_error_info().expect("an ErrorInfo");
            assert_eq!(info.reason, "REVISION_NOT_REACHED");
            assert!(status.get_details_retry_info().is_some(), "{status:?}");
        }
    }
}

/// The tenants of a play, and all who take part in it.
async fn workers(replicas: &[Replica], seed: u64) -> Vec<Worker> {
    let mut random = Random(seed);
    let client = replicas[0].client().await;
    for n in 0..TENANTS {
        client.register(tenant(n)).await;
        let school = Message {
            tenant: tenant(n),
            number: 0,
        };
        let records: Vec<_> = (0..RECORDS).map(|n| school.record(n)).collect();
        client.post(tenant(n), &records).await.expect("ingested");
    }
    let (busy, mut workers) = (Arc::default(), Vec::new());
    for n in 0..WORKERS {
        workers.push(Worker {
            clients: [replicas[0].client().await, replicas[1].client().await],
            random: Random(random.next()),
            tenant: tenant(n % TENANTS),
            number: (n + 1) * 1_000_000,
            recent: Vec::new(),
            copy: Copy::of_nothing(),
            slowest: Duration::ZERO,
            busy: Arc::clone(&busy),
            reads: 0,
            early: 0,
        });
    }
    workers
}

/// So many pairs by all of them together.
async fn play(name: &str, workers: Vec<Worker>, pairs: usize, seed: u64) -> Vec<Worker> {
    let begun = Instant::now();
    let left = Arc::new(AtomicI64::new(pairs as i64));
    let playing = workers.into_iter().map(|mut worker| {
        (worker.reads, worker.early, worker.slowest) = (0, 0, Duration::ZERO);
        worker.run(Arc::clone(&left))
    });
    let workers = join_all(playing).await;
    let slowest = workers.iter().map(|worker| worker.slowest).max();
    let busy = workers[0].busy.swap(0, Relaxed);
    println!(
        "pairs, {name}: {pairs} ingests, each read by 6 methods through another process: {} reads, \
         none older; {} too early, each refused; {busy} asked again; \
         the slowest took {:.3} s, all {:.1} s; seed {seed}",
        workers.iter().map(|worker| worker.reads).sum::<usize>(),
        workers.iter().map(|worker| worker.early).sum::<usize>(),
        slowest.unwrap_or_default().as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    );
    let slowest = slowest.unwrap_or_default().as_secs_f64();
    ledger::tell("read-your-write", pairs as u64, &[("slowest_s", slowest)]);
    workers
}

fn count_of_pairs() -> usize {
    set("SENTBY_TEST_PAIRS").unwrap_or(PAIRS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_ingested_another_reads_at_once() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(redis) = Redis::start().await else {
        return;
    };
    let replicas = [(); 2].map(|()| Replica::start(&db, &redis.url()));
    let seed = seed();
    let workers = workers(&replicas, seed).await;
    play("a shared Redis", workers, count_of_pairs(), seed).await;
    assert!(
        redis.hits().await > count_of_pairs() as u64,
        "the cache is used"
    );
    replicas.into_iter().for_each(Replica::stop);
}

/// Here the reader's own cache holds what the writer has overtaken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_a_cache_of_its_own_make_it_older() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let replicas = [(); 2].map(|()| Replica::start(&db, "memory"));
    let seed = seed();
    let workers = workers(&replicas, seed).await;
    play("caches of their own", workers, count_of_pairs() / 2, seed).await;
    replicas.into_iter().for_each(Replica::stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_a_broken_redis_make_it_older() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let seed = seed();
    let proxies = [
        Proxy::start(redis.port, seed).await,
        Proxy::start(redis.port, seed + 1).await,
    ];
    let replicas = [0, 1].map(|at: usize| Replica::start(&db, &proxies[at].url()));
    let mut workers = workers(&replicas, seed).await;
    let pairs = count_of_pairs() / 12;
    for (name, fault) in [
        ("Redis frozen", Fault::Frozen),
        ("Redis killed", Fault::Killed),
        ("one cut off from Redis", Fault::Answers(Mode::Cut)),
        ("Redis read-only", Fault::ReadOnly),
    ] {
        fault.strike(&mut redis, &proxies, &[0]).await;
        workers = play(name, workers, pairs, seed).await;
        fault.heal(&mut redis, &proxies, &[0]).await;
        workers = play(&format!("after: {name}"), workers, pairs / 2, seed).await;
    }
    replicas.into_iter().for_each(Replica::stop);
}
