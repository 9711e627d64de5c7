//! The change feed leaves nothing out and tells nothing twice: writers on many tenants through
//! two replicas that are killed again and again, writes that are rolled back or refused, and
//! watchers that are cut off. In the end each has what is listed.

use crate::{
    seed, set,
    stage::{Client, Message, RECORDS, Replica},
    support::{TestDb, copy::Copy, ledger, process::database, records::Record},
    watchers::{Act, Watcher, read_all},
};
use sentby::{
    app::App,
    domain::{ChangeKind, MessageId, MessageKey, Tenant, TenantId, Timestamp},
    pb::{self, Attribution},
    simulate::Random,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// In the suite.
const CHANGES: usize = 5_000;
const TENANTS: u128 = 12;
const WRITERS: u32 = 4;
/// A revision of more changes than one response holds.
const BIG: u32 = 1_100;
/// Within this a reader that waits is told of the last commit of another process.
const PROMPT: Duration = Duration::from_secs(5);
/// Within this it has caught up with the storm, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all of the play share.
pub struct Scene {
    tenants: Vec<TenantId>,
    /// Where the replicas are, and a connection to each.
    replicas: Mutex<Vec<(String, Client)>>,
    act: watch::Sender<Act>,
    /// Nobody writes, dies or revokes any more.
    is_over: AtomicBool,
    /// Watchers that are at the goal of the calm.
    arrived: AtomicUsize,
    /// Records that were acknowledged as new.
    kept: AtomicUsize,
    refused: AtomicUsize,
}

impl Scene {
    pub fn act(&self) -> Act {
        self.act.borrow().clone()
    }

    pub fn url(&self, replica: usize) -> String {
        self.replicas.lock().expect("no panic")[replica].0.clone()
    }

    pub fn arrived(&self) {
        self.arrived.fetch_add(1, Relaxed);
    }

    fn client(&self, random: &mut Random) -> Client {
        let replicas = self.replicas.lock().expect("no panic");
        random.pick(&replicas).1.clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

/// `Ok(Err)` is what sentby itself refuses; `Err`: whether it was done nobody knows.
async fn known<T>(answer: Result<T, Status>) -> Result<Result<T, Status>, ()> {
    match answer {
        Err(status) if status.get_details_error_info().is_none() => {
            sleep(Duration::from_millis(5)).await;
            Err(())
        }
        answer => Ok(answer),
    }
}

/// Of each message the bits of the records that are stored, and of those that may be.
type Ledger = HashMap<Message, (u64, u64)>;

/// A batch of new messages, and of further records of the last ones. A long run has larger ones.
fn batch(
    most: u64,
    number: &mut u32,
    last: &mut Vec<(Message, u8)>,
    tenant: TenantId,
    random: &mut Random,
) -> Vec<(Message, u8)> {
    let is_big = number.is_multiple_of(1_000_000) || random.below(1_500) == 0;
    let count = if is_big {
        BIG
    } else {
        1 + random.below(most) as u32
    };
    let mut batch: Vec<(Message, u8)> = Vec::new();
    for _ in 0..count {
        let old = random.below(20) as usize;
        let next = match last.get_mut(old).filter(|_| !is_big) {
            Some((message, n)) if *n + 1 < RECORDS && !batch.iter().any(|b| b.0 == *message) => {
                *n += 1;
                (*message, *n)
            }
            _ => {
                *number += 1;
                let message = Message {
                    tenant,
                    number: *number,
                };
                last.insert(0, (message, 0));
                last.truncate(12);
                (message, 0)
            }
        };
        batch.push(next);
    }
    batch
}

async fn write(scene: Arc<Scene>, writer: u32, wanted: usize, mut random: Random) -> Ledger {
    let mut ledger = Ledger::new();
    let mut last: HashMap<TenantId, Vec<(Message, u8)>> = HashMap::new();
    let mut number = writer * 1_000_000;
    while scene.kept.load(Relaxed) < wanted {
        let tenant = *random.pick(&scene.tenants);
        let most = 4.max(wanted / 500) as u64;
        let batch = batch(
            most,
            &mut number,
            last.entry(tenant).or_default(),
            tenant,
            &mut random,
        );
        let records: Vec<_> = batch
            .iter()
            .map(|(message, n)| message.record(*n))
            .collect();
        let (stored, sent) = post(&scene, tenant, &records, &mut random).await;
        for (message, n) in batch {
            let known = ledger.entry(message).or_default();
            known.0 |= u64::from(stored) << n;
            known.1 |= u64::from(sent) << n;
        }
    }
    ledger
}

/// Whether the records are stored, and whether they may be.
async fn post(
    scene: &Scene,
    tenant: TenantId,
    records: &[Record],
    random: &mut Random,
) -> (bool, bool) {
    let mut is_unknown = false;
    loop {
        let client = scene.client(random);
        match known(client.post(tenant, records).await).await {
            Ok(Ok(posted)) => {
                let kept = posted.counts.expect("counts").kept;
                scene.kept.fetch_add(kept as usize, Relaxed);
                return (true, true);
            }
            Ok(Err(status)) => {
                assert_refused(scene, tenant, &status);
                scene.refused.fetch_add(1, Relaxed);
                return (false, is_unknown);
            }
            Err(()) if random.chance(70) => is_unknown = true,
            Err(()) => return (false, true),
        }
    }
}

/// Only the first tenant takes its consent back.
fn assert_refused(scene: &Scene, tenant: TenantId, status: &Status) {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "CONSENT_REVOKED", "{status:?}");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(tenant, scene.tenants[0]);
}

/// Writes of this process that are given up when all but the commit is done.
async fn roll_back(scene: Arc<Scene>, app: Arc<App>, mut random: Random) -> usize {
    let mut count = 0;
    while !scene.is_over() {
        let tenant = *random.pick(&scene.tenants);
        let tx = app.store().begin(tenant).await.expect("begun");
        let mut tx = tx.expect("a tenant");
        let after = MessageKey(Uuid::from_u128(random.id()));
        let stored = tx.messages_after(after, 3).await.expect("read");
        let revision = tx.tenant().revision.next();
        let mut changes = Vec::new();
        for mut message in stored {
            let id = MessageId::parse(&format!("ROLLED-{}@x", random.next())).expect("an id");
            let mut new = message.clone();
            (new.key, new.id, new.revision) = (id.key(), Some(id), revision);
            (message.revision, message.attribution.agent) = (revision, Some("nobody@x".into()));
            changes.extend([
                (new.key, ChangeKind::Created),
                (message.key, ChangeKind::Corrected),
            ]);
            tx.add_messages(&[new]).await.expect("added");
            tx.replace_messages(&[message]).await.expect("replaced");
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = Timestamp::from_micros(now.expect("after 1970").as_micros() as i64);
        tx.append_change(revision, now, &changes)
            .await
            .expect("appended");
        let tenant = Tenant {
            revision,
            ..tx.tenant().clone()
        };
        tx.put_tenant(&tenant).await.expect("put");
        sleep(Duration::from_millis(random.below(15))).await;
        drop(tx);
        count += 1;
        sleep(Duration::from_millis(random.below(40))).await;
    }
    count
}

/// The first tenant revokes its consent and gives it again; in the end it consents.
async fn waver(scene: Arc<Scene>, mut random: Random) -> usize {
    let tenant_id = scene.tenants[0].to_string();
    let mut count = 0;
    while !scene.is_over() {
        let request = pb::RevokeConsentRequest {
            tenant_id: tenant_id.clone(),
            revoked_at: None,
        };
        loop {
            let client = scene.client(&mut random);
            let revoked = client.tenants().revoke_consent(request.clone()).await;
            if let Ok(revoked) = known(revoked).await {
                revoked.expect("revoked");
                break;
            }
        }
        sleep(Duration::from_millis(random.below(100))).await;
        let request = pb::RegisterTenantRequest {
            tenant_id: tenant_id.clone(),
            consented_at: Some(SystemTime::now().into()),
            ..Default::default()
        };
        loop {
            let client = scene.client(&mut random);
            let consented = client.tenants().register_tenant(request.clone()).await;
            if let Ok(consented) = known(consented).await {
                consented.expect("consented");
                break;
            }
        }
        count += 1;
        sleep(Duration::from_millis(random.below(300))).await;
    }
    count
}

/// One replica after the other dies and comes back.
async fn kill(
    scene: Arc<Scene>,
    database: String,
    mut replicas: Vec<Replica>,
    mut random: Random,
) -> (Vec<Replica>, usize) {
    let mut kills = 0;
    while !scene.is_over() {
        sleep(Duration::from_millis(300 + random.below(1_500))).await;
        let at = random.below(2) as usize;
        drop(replicas.remove(at)); // by SIGKILL
        let database = database.clone();
        let start = move || Replica::start_on(&database, "none");
        let replica = spawn_blocking(start).await.expect("started");
        let client = replica.client().await;
        let url = replica.server.url.clone();
        scene.replicas.lock().expect("no panic")[at] = (url, client);
        replicas.insert(at, replica);
        kills += 1;
    }
    (replicas, kills)
}

pub async fn listed(client: &Client, tenant: TenantId, at_least_revision: u64) -> Vec<Attribution> {
    let asked = pb::StreamAttributionsRequest {
        tenant_id: tenant.to_string(),
        start: Some("2000-01-01T00:00:00Z".parse().expect("a time")),
        end: Some("2099-01-01T00:00:00Z".parse().expect("a time")),
        at_least_revision,
        ..Default::default()
    };
    let walk = client.attributions().stream_attributions(asked).await;
    let mut walk = walk.expect("opened").into_inner();
    let mut rows = Vec::new();
    while let Some(chunk) = walk.message().await.expect("no error") {
        rows.extend(chunk.attributions);
    }
    rows
}

/// What is listed is what was acknowledged, and at most what was not answered besides.
fn assert_true(ledger: &Ledger, tenant: TenantId, rows: &[Attribution]) {
    let rows: HashMap<&str, &Attribution> = rows
        .iter()
        .map(|row| (row.message_id.as_str(), row))
        .collect();
    let mut known = 0;
    for (message, &(stored, sent)) in ledger.iter().filter(|(m, _)| m.tenant == tenant) {
        let row = rows.get(message.id().as_str());
        known += usize::from(row.is_some());
        assert!(row.is_some() || stored == 0, "{message:?} was acknowledged");
        assert!(row.is_none() || sent != 0, "{message:?} was refused");
        if let (Some(row), true) = (row, stored == sent) {
            let truth = Attribution {
                revision: row.revision,
                ..message.answer(stored)
            };
            assert_eq!(**row, truth);
        }
    }
    assert_eq!(known, rows.len(), "nothing else is listed");
}

/// The newest revision of each tenant, each of which has its change row.
async fn revisions(db: &TestDb, tenants: &[TenantId]) -> Arc<BTreeMap<TenantId, u64>> {
    let mut revisions = BTreeMap::new();
    for &tenant in tenants {
        revisions.insert(tenant, db.assert_gapless(tenant).await as u64);
    }
    Arc::new(revisions)
}

/// Stores the first records of a message.
async fn say(client: &Client, tenant: TenantId, number: u32, records: u8) -> (Message, (u64, u64)) {
    let message = Message { tenant, number };
    let bits = (1 << records) - 1;
    let records: Vec<Record> = (0..records).map(|n| message.record(n)).collect();
    client.post(tenant, &records).await.expect("ingested");
    (message, (bits, bits))
}

/// Until each reader waits at its stream, with nothing left to be told.
async fn settle(scene: &Scene, readers: &mut JoinSet<Watcher>) {
    let since = Instant::now();
    while scene.arrived.load(Relaxed) < readers.len() {
        if let Some(failed) = readers.try_join_next() {
            failed.expect("no reader fails");
        }
        let left = readers.len() - scene.arrived.load(Relaxed);
        assert!(since.elapsed() < PATIENCE, "{left} readers do not catch up");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Four of one tenant each, and three of all of them; some of both kinds lose tokens.
fn watchers(scene: &Arc<Scene>, random: &mut Random) -> Vec<Watcher> {
    let all = &scene.tenants[..];
    let of = [&all[..1], &all[1..2], &all[1..2], &all[2..3], all, all, all];
    let watcher = |(n, tenants): (usize, &&[TenantId])| {
        let random = Random(random.next());
        Watcher::new(scene, n % 2, tenants, n % 4 > 1, random)
    };
    of.iter().enumerate().map(watcher).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_leaves_nothing_out_whoever_dies() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let wanted = set("SENTBY_TEST_CHANGES").unwrap_or(CHANGES);
    let seed = seed();
    let mut random = Random(seed);
    let database = database(&db.config.database);
    let replicas = vec![Replica::start(&db, "none"), Replica::start(&db, "none")];
    let mut clients = Vec::new();
    for replica in &replicas {
        clients.push((replica.server.url.clone(), replica.client().await));
    }
    let tenant = |n| TenantId(Uuid::from_u128(0x5111_8111_0000_0000_0000 + n));
    let scene = Arc::new(Scene {
        tenants: (0..TENANTS).map(tenant).collect(),
        replicas: Mutex::new(clients),
        act: watch::Sender::new(Act::Storm),
        is_over: AtomicBool::new(false),
        arrived: AtomicUsize::new(0),
        kept: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
    });
    let mut ledger = Ledger::new();
    for &tenant in &scene.tenants {
        let client = scene.client(&mut random);
        client.register(tenant).await;
        ledger.extend([say(&client, tenant, 1, RECORDS).await]); // who the agents are
    }

    let begun = Instant::now();
    let mut readers = JoinSet::new();
    for watcher in watchers(&scene, &mut random) {
        readers.spawn(watcher.run());
    }
    let mut writers = JoinSet::new();
    for n in 1..=WRITERS {
        writers.spawn(write(Arc::clone(&scene), n, wanted, Random(random.next())));
    }
    let killer = tokio::spawn(kill(
        Arc::clone(&scene),
        database,
        replicas,
        Random(random.next()),
    ));
    let roller = tokio::spawn(roll_back(
        Arc::clone(&scene),
        db.app().await,
        Random(random.next()),
    ));
    let waverer = tokio::spawn(waver(Arc::clone(&scene), Random(random.next())));
    while let Some(written) = writers.join_next().await {
        ledger.extend(written.expect("no writer fails"));
    }
    scene.is_over.store(true, Relaxed);
    let (replicas, kills) = killer.await.expect("killed");
    let (rollbacks, revokes) = (
        roller.await.expect("rolled back"),
        waverer.await.expect("wavered"),
    );
    let goal = revisions(&db, &scene.tenants).await;
    scene.act.send_replace(Act::Calm(goal));
    settle(&scene, &mut readers).await;
    let client = replicas[0].client().await;
    for &tenant in &scene.tenants {
        ledger.extend([say(&client, tenant, 2, 1).await]);
    }
    let goal = revisions(&db, &scene.tenants).await;
    scene.act.send_replace(Act::End(Arc::clone(&goal)));
    let said = Instant::now();
    let readers = timeout(PROMPT, readers.join_all()).await;
    let readers = readers.expect("who waits is told what another process commits");
    let (prompt, took) = (said.elapsed(), begun.elapsed());

    let mut rows = BTreeMap::new();
    let mut fresh = BTreeMap::new();
    for (n, (&tenant, &revision)) in goal.iter().enumerate() {
        let clients = [
            replicas[n % 2].client().await,
            replicas[1 - n % 2].client().await,
        ];
        let listed = listed(&clients[0], tenant, revision).await;
        let copy = read_all(&clients[1], tenant).await;
        assert_eq!((copy.revision, copy.repeats), (Some(revision), 0));
        copy.assert_is(listed.clone());
        assert_true(&ledger, tenant, &listed);
        rows.insert(tenant, listed);
        fresh.insert(tenant, copy);
    }
    for reader in &readers {
        for (tenant, copy) in &reader.copies {
            assert_eq!(copy.revision, goal.get(tenant).copied());
            assert_eq!(copy.changes - copy.repeats, fresh[tenant].changes);
            copy.assert_is(rows[tenant].clone());
        }
        // what came again is what was received without its token being kept
        assert_eq!(reader.repeats(), reader.forgotten);
    }
    let sum = |of: fn(&Watcher) -> usize| readers.iter().map(of).sum::<usize>();
    println!(
        "feed: {} changes in {} revisions of {TENANTS} tenants, {} responses to {} readers, {} \
         cuts, {} broken by {kills} kills, {rollbacks} rolled back, {} refused under {revokes} \
         revokes, in {:.1} s; none missing, {} again of {} whose token was lost; the last words took {:.3} s; \
         seed {seed}",
        fresh
            .values()
            .map(|copy: &Copy| copy.changes)
            .sum::<usize>(),
        goal.values().sum::<u64>(),
        sum(|reader| reader.responses),
        readers.len(),
        sum(|reader| reader.cuts),
        sum(|reader| reader.deaths),
        scene.refused.load(Relaxed),
        took.as_secs_f64(),
        sum(Watcher::repeats),
        sum(|reader| reader.forgotten),
        prompt.as_secs_f64(),
    );
    let changes: usize = fresh.values().map(|copy: &Copy| copy.changes).sum();
    ledger::tell("feed-complete", changes as u64, &[("kills", kills as f64)]);
    replicas.into_iter().for_each(Replica::stop);
}
