//! The same records told in two ways to the program itself: in order through one replica, and in
//! no order, with repeats, by several at once through two replicas whose Redis forgets. Tables,
//! change feeds and answers must come to the same, and that is what the oracle says.

use super::{
    callers::{Job, PATIENCE, answer_of, is_record, key, register},
    differ::SHRINKING,
    judge::{Answer, answers},
    number,
    real::{blob, pieces},
    stage::{Client, Replica},
    stream::Stream,
};
use crate::support::{TENANT, TestDb, again::again, feed::Random, ledger, redis::Redis};
use sentby::{domain::TenantId, pb};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;
use uuid::Uuid;

/// Feeds of the suite.
const FEEDS: u64 = 6;
/// Callers at a time of each replica.
const CALLERS: usize = 2;

/// What some tenants send, by a seed.
#[derive(Clone)]
struct Feed {
    seed: u64,
    streams: Vec<Stream>,
}

impl Feed {
    /// 200 to 1,000 records of two or three tenants, the first of which has the most.
    fn of(seed: u64) -> Self {
        let mut random = Random(seed ^ 0xfeed);
        let tenants = 2 + random.below(2);
        let mut left = usize::try_from(200 + random.below(801)).expect("few");
        let stream = |n| {
            let mut stream = Stream::of(seed.wrapping_mul(8) + n);
            let share = if n + 1 == tenants { left } else { left / 2 };
            stream.records.truncate(share);
            left -= stream.records.len();
            stream
        };
        Self {
            seed,
            streams: (0..tenants).map(stream).collect(),
        }
    }

    fn len(&self) -> usize {
        self.streams.iter().map(|stream| stream.records.len()).sum()
    }

    fn without(&self, records: std::ops::Range<usize>) -> Self {
        let mut fewer = self.clone();
        let mut at = 0;
        for stream in &mut fewer.streams {
            stream.records.retain(|_| {
                at += 1;
                !records.contains(&(at - 1))
            });
        }
        fewer
    }
}

struct Stage {
    db: TestDb,
    redis: Redis,
    replicas: [Replica; 2],
    clients: [Client; 2],
    tenants: u128,
}

impl Stage {
    async fn start() -> Option<Self> {
        let db = TestDb::postgres().await?;
        let redis = Redis::start().await?;
        let replicas = [(); 2].map(|()| Replica::start(&db, &redis.url()));
        let clients = [replicas[0].client().await, replicas[1].client().await];
        Some(Self {
            db,
            redis,
            replicas,
            clients,
            tenants: 0,
        })
    }

    async fn tenant(&mut self) -> TenantId {
        self.tenants += 1;
        let tenant = TenantId(Uuid::from_u128(TENANT.0.as_u128() + (self.tenants << 64)));
        self.clients[0].register(tenant).await;
        tenant
    }

    /// The register, then one batch after the other.
    async fn in_order(&mut self, feed: &Feed) -> Vec<TenantId> {
        let mut tenants = Vec::new();
        for stream in &feed.streams {
            let tenant = self.tenant().await;
            self.clients[0]
                .does(&Job::Put(tenant, register(stream)))
                .await;
            for records in stream.records.chunks(100) {
                let batch = Job::Ingest(tenant, blob(tenant, records));
                self.clients[0].does(&batch).await;
            }
            tenants.push(tenant);
        }
        tenants
    }

    /// In any order, some records up to three times, in batches of any size, all tenants at once.
    async fn anyhow(&mut self, feed: &Feed) -> Vec<TenantId> {
        let mut random = Random(feed.seed);
        let (mut tenants, mut jobs, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for stream in &feed.streams {
            let tenant = self.tenant().await;
            let mut records = Vec::new();
            for record in &stream.records {
                let copies = if random.chance(30) {
                    1 + random.below(3)
                } else {
                    1
                };
                records.extend((0..copies).map(|_| record.clone()));
            }
            random.shuffle(&mut records);
            let most = *random.pick(&[10, 40, 200]);
            let batches = pieces(&mut random, &records, most);
            let batch = |records: &&[String]| Job::Ingest(tenant, blob(tenant, records));
            jobs.extend(batches.iter().map(batch));
            jobs.push(Job::Put(tenant, register(stream)));
            ids.extend(expected(stream).into_keys().map(|id| (tenant, id)));
            tenants.push(tenant);
        }
        random.shuffle(&mut jobs);
        let jobs = Mutex::new(jobs);
        let is_over = AtomicBool::new(false);
        let mut seed = || Random(random.next());
        let callers: Vec<_> = (0..2 * CALLERS).map(|n| (n % 2, seed())).collect();
        let lookers: Vec<_> = (0..2).map(|n| (n, seed())).collect();
        let work = async {
            let callers = callers
                .into_iter()
                .map(|(n, random)| self.call(n, &jobs, random));
            futures(callers).await;
            is_over.store(true, Relaxed);
        };
        let looking = lookers
            .into_iter()
            .map(|(n, random)| self.look(n, &ids, &is_over, random));
        tokio::join!(work, futures(looking));
        tenants
    }

    /// Takes one job after the other. Now and then Redis forgets everything.
    async fn call(&self, replica: usize, jobs: &Mutex<Vec<Job>>, mut random: Random) {
        loop {
            let job = jobs.lock().expect("no panic").pop();
            let Some(job) = job else { return };
            self.clients[replica].does(&job).await;
            if random.chance(10) {
                self.redis.command("FLUSHALL").await;
            }
        }
    }

    /// Asks for messages that are being told, so that what is not yet whole is cached.
    async fn look(
        &self,
        replica: usize,
        ids: &[(TenantId, String)],
        is_over: &AtomicBool,
        mut random: Random,
    ) {
        // a feed that is shrunk may tell of no message
        while !ids.is_empty() && !is_over.load(Relaxed) {
            let tenant = random.pick(ids).0;
            let asked = (0..30).map(|_| random.pick(ids).clone());
            let asked = asked.filter(|(of, _)| *of == tenant).map(|(_, id)| id);
            let asked: Vec<String> = asked.collect();
            let count = asked.len();
            let client = &self.clients[replica];
            let looked = again(|| client.lookup(tenant, asked.clone(), 0)).await;
            assert_eq!(looked.expect("looked up").len(), count);
            sleep(Duration::from_millis(random.below(10))).await;
        }
    }

    /// When the directory has reached all messages: the revision then.
    async fn settled(&self, tenant: TenantId) -> u64 {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = again(|| {
                let asked = pb::GetTenantRequest {
                    tenant_id: tenant.to_string(),
                    ..Default::default()
                };
                let mut tenants = self.clients[1].tenants();
                async move { tenants.get_tenant(asked).await }
            });
            let answer = answer.await.expect("a tenant").into_inner().tenant;
            let answer = answer.expect("a tenant");
            if !answer.settling {
                return answer.revision;
            }
            assert!(Instant::now() < until, "{tenant} does not settle");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// All that is stored of it but what tells of commits and of the clock.
    async fn tables(&self, tenant: TenantId) -> Vec<String> {
        let mut rows = self.db.dump(tenant).await;
        let quarantine = format!(
            "SELECT reason || '|' || detail || '|' || coalesce(encode(bytes, 'escape'), '-') \
             FROM quarantine WHERE tenant_id = '{tenant}'"
        );
        let readiness = format!(
            "SELECT concat_ws('|', 'first and last', mailbox_side_first, mailbox_side_last, \
             agent_side_first, agent_side_last) FROM tenant WHERE tenant_id = '{tenant}'"
        );
        let register = format!(
            "SELECT concat_ws('|', address, kind, aliases, mailbox_guid, object_id) \
             FROM mailbox WHERE tenant_id = '{tenant}'"
        );
        for sql in [quarantine, readiness, register] {
            let mut set = self.db.texts(&sql).await;
            set.sort();
            rows.extend(set);
        }
        let own = tenant.to_string();
        let cut = self.cut(tenant).await;
        let is_of_cut = |row: &String| {
            row.rsplit_once('|')
                .is_some_and(|(_, key)| cut.contains(key))
        };
        let rows = rows.into_iter().filter(|row| !is_of_cut(row));
        rows.map(|row| row.replace(&own, &TENANT.to_string()))
            .collect()
    }

    /// The keys of messages with more evidence than is kept. One of those who gave way to others
    /// may still be waited for, if it came before them: what would be found has no answer to change.
    async fn cut(&self, tenant: TenantId) -> BTreeSet<String> {
        let rows = format!(
            "SELECT replace(message_key::text, '-', '') || '|' || encode(evidence, 'hex') \
             FROM attribution WHERE tenant_id = '{tenant}'"
        );
        let rows = self.db.texts(&rows).await;
        let cut = rows.iter().filter_map(|row| {
            let (key, hex) = row.split_once('|').expect("two");
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let evidence = sentby::store::evidence::decode(&bytes).expect("evidence");
            evidence.is_truncated().then(|| key.to_owned())
        });
        cut.collect()
    }

    /// Both ways, and what differs.
    async fn compare(&mut self, feed: &Feed) -> Result<usize, String> {
        let ordered = self.in_order(feed).await;
        let anyhow = self.anyhow(feed).await;
        let mut messages = 0;
        for ((stream, one), other) in feed.streams.iter().zip(ordered).zip(anyhow) {
            let expected = expected(stream);
            messages += expected.len();
            for (way, tenant) in [("in order", one), ("anyhow", other)] {
                let revision = self.settled(tenant).await;
                let told = |what: String| format!("{way}: {what}");
                self.answers_as(tenant, revision, &expected)
                    .await
                    .map_err(told)?;
                self.db.assert_gapless(tenant).await;
            }
            let (one, other) = (self.tables(one).await, self.tables(other).await);
            let mut pairs = one.iter().zip(&other);
            if let Some((one, other)) = pairs.find(|(one, other)| one != other) {
                return Err(format!("in order {one}\n  anyhow {other}"));
            }
            if one.len() != other.len() {
                return Err(format!(
                    "{} rows in order, {} anyhow",
                    one.len(),
                    other.len()
                ));
            }
        }
        Ok(messages)
    }

    /// Lookups through both replicas, what is listed, and what the feed comes to.
    async fn answers_as(
        &self,
        tenant: TenantId,
        revision: u64,
        expected: &BTreeMap<String, Answer>,
    ) -> Result<(), String> {
        let listed = self.clients[0].listed(tenant, revision).await;
        let copy = self.clients[1].fed(tenant).await;
        if copy != listed {
            let mut keys = copy.keys().chain(listed.keys());
            let key = keys.find(|key| copy.get(*key) != listed.get(*key));
            let key = key.expect("one differs");
            let (fed, listed) = (copy.get(key), listed.get(key));
            return Err(format!("fed {fed:?}\nlisted {listed:?}"));
        }
        let should = expected.iter().filter(|(_, answer)| answer.listed);
        let should: BTreeSet<String> = should.map(|(id, _)| key(id)).collect();
        let is: BTreeSet<String> = listed.keys().cloned().collect();
        if should != is {
            let (less, more) = (should.difference(&is), is.difference(&should));
            let (less, more): (Vec<_>, Vec<_>) = (less.collect(), more.collect());
            return Err(format!("not listed {less:?}, listed {more:?}"));
        }
        let ids: Vec<&String> = expected.keys().filter(|id| !is_record(id)).collect();
        let mut said: Vec<(&str, Answer)> = Vec::new();
        for (n, ids) in ids.chunks(300).enumerate() {
            let asked: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
            let client = &self.clients[n % 2];
            let looked = again(|| client.lookup(tenant, asked.clone(), revision)).await;
            let looked = looked.expect("looked up");
            let looked = ids.iter().zip(&looked);
            said.extend(looked.map(|(id, answer)| (id.as_str(), answer_of(answer))));
        }
        for id in expected.keys() {
            let listed = listed.get(&key(id)).map(answer_of);
            said.extend(listed.map(|listed| (id.as_str(), listed)));
        }
        for (id, said) in said {
            let should = &expected[id];
            let is_pending = should.verdict == "PENDING";
            let should = Answer {
                listed: said.listed,
                // no time of sending is told of what was not sent
                sent_at: if is_pending { 0 } else { should.sent_at },
                ..should.clone()
            };
            if should != said {
                return Err(format!("{id}\noracle {should:?}\n   api {said:?}"));
            }
        }
        Ok(())
    }

    /// The difference with the fewest records that still show one.
    async fn shrunk(&mut self, feed: &Feed, difference: String) -> String {
        let until = Instant::now() + SHRINKING;
        let (mut few, mut difference) = (feed.clone(), difference);
        let mut size = few.len().div_ceil(2);
        while Instant::now() < until {
            let (mut at, mut is_smaller) = (0, false);
            while at < few.len() && Instant::now() < until {
                let fewer = few.without(at..at + size);
                // of none there is nothing to compare
                if fewer.len() == 0 {
                    break;
                }
                match self.compare(&fewer).await {
                    Ok(_) => at += size,
                    Err(still) => {
                        (few, difference, is_smaller) = (fewer, still, true);
                    }
                }
            }
            if size == 1 && !is_smaller {
                break;
            }
            size = size.div_ceil(2).max(1);
        }
        let streams = few.streams.iter();
        let records = streams.flat_map(|stream| &stream.records).cloned();
        let records: Vec<String> = records.collect();
        let seed = feed.seed;
        format!(
            "SENTBY_TEST_SEED={seed} SENTBY_TEST_EQUAL=1 tests/run --test oracle replicas\n{}\n\
             {difference}",
            records.join("\n")
        )
    }
}

/// All at once, in this task.
async fn futures<F: Future<Output = ()>>(all: impl Iterator<Item = F>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

fn expected(stream: &Stream) -> BTreeMap<String, Answer> {
    let records = stream.records.iter().map(String::as_str);
    answers(records, &stream.register, TENANT.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_way_it_is_told_it_comes_to_the_same() {
    let Some(mut stage) = Stage::start().await else {
        return;
    };
    let (first, count) = (
        number("SENTBY_TEST_SEED", 1),
        number("SENTBY_TEST_EQUAL", FEEDS),
    );
    let (mut records, mut messages) = (0, 0);
    for seed in first..first + count {
        let feed = Feed::of(seed);
        println!("a feed of {} records, seed {seed}", feed.len());
        records += feed.len();
        match stage.compare(&feed).await {
            Ok(count) => messages += count,
            Err(difference) => panic!("{}", stage.shrunk(&feed, difference).await),
        }
    }
    println!(
        "{count} feeds of {records} records: both ways come to the same {messages} messages; \
         seed {first}"
    );
    let figures = [("records", records as f64), ("messages", messages as f64)];
    ledger::tell("equal-feeds", count, &figures);
    stage.replicas.into_iter().for_each(Replica::stop);
}
