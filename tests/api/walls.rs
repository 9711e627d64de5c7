//! No byte of another tenant in any answer: every method is called in the name of one tenant with
//! everything that is another's (ids, tokens whole and spliced, digests, records that name it),
//! while values in Redis are crossed.
//!
//! `SENTBY_TEST_WALLS` says how many foreign things are named (20,000), `SENTBY_TEST_SEED`
//! which ones: each run prints its seed.

pub mod attacker;
mod victims;

use super::server::TestServer;
use crate::support::{
    TestDb, ledger,
    messages::{Api, Method, open},
    redis::Redis,
    register,
    resp::Reply,
    settings::{seed, set},
};
use attacker::{Attacker, Handles};
use bytes::Bytes;
use sentby::{app::App, config::CacheKind, domain::TenantId, simulate::Random};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use tonic::{Code, Extensions, Status, metadata::MetadataMap, transport::Channel};
use uuid::Uuid;

/// In every value of the victims that nobody names, in lower case as addresses are.
const CANARY: &str = "cnry-";
/// Begins the identifiers of victims that have to be GUIDs.
const GUID: &str = "c0ffee0b";
/// Begins the names of victims, which the list of all tenants shows to whoever may call it.
const NAME: &str = "Name-of-a-victim-";
/// Methods that answer of all tenants.
const OF_ALL: [&str; 2] = ["ListTenants", "GetServerInfo"];

/// Attackers at a time.
const AT_ONCE: u64 = 6;

fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(
        0x4444_4444_4444_4444_8444_0000_0000_0000 + number,
    ))
}

/// What a call was answered, message by message, and how it ended.
pub struct Answer {
    pub messages: Vec<Bytes>,
    pub end: Option<Status>,
}

async fn call(channel: &Channel, method: &Method, requests: Vec<Vec<u8>>) -> Answer {
    call_with(channel, method, requests, MetadataMap::new(), usize::MAX).await
}

/// The same with metadata; of the answers so many.
pub async fn call_with(
    channel: &Channel,
    method: &Method,
    requests: Vec<Vec<u8>>,
    metadata: MetadataMap,
    most: usize,
) -> Answer {
    let mut answer = Answer {
        messages: Vec::new(),
        end: None,
    };
    let requests = tokio_stream::iter(requests);
    let requests = tonic::Request::from_parts(metadata, Extensions::new(), requests);
    let called = async {
        let mut stream = open(channel, &method.path, requests).await?;
        while let Some(message) = stream.message().await? {
            answer.messages.push(message);
            if answer.messages.len() == most {
                break;
            }
        }
        Ok(())
    };
    let ended: Result<(), Status> = called.await;
    answer.end = ended.err();
    answer
}

/// All bytes that a caller could see.
fn seen(answer: &Answer) -> impl Iterator<Item = String> {
    let end = answer.end.iter().map(|status| {
        let details = String::from_utf8_lossy(status.details());
        format!("{} {details} {:?}", status.message(), status.metadata())
    });
    let messages = answer.messages.iter();
    messages
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .chain(end)
}

fn marks(method: &Method) -> impl Iterator<Item = &'static str> {
    let names_of_all = OF_ALL.contains(&method.name.as_str());
    [CANARY, GUID, NAME]
        .into_iter()
        .filter(move |mark| !(names_of_all && *mark == NAME))
}

/// The values of fields by which something is named.
pub fn harvest(api: &Api, method: &Method, answer: &Answer, into: &mut Vec<(String, String)>) {
    for message in &answer.messages {
        api.texts(&method.response, message.clone(), &mut |field, text| {
            if Handles::is_one(field) && !text.is_empty() && !text.contains(CANARY) {
                into.push((field.to_owned(), text.to_owned()));
            }
        });
    }
    let most = into.len().saturating_sub(4_000);
    into.drain(..most);
}

struct Stage {
    db: TestDb,
    redis: Redis,
    server: TestServer,
    api: Arc<Api>,
    victims: Arc<Vec<TenantId>>,
    handles: Arc<Mutex<Handles>>,
    seed: u64,
}

impl Stage {
    async fn set() -> Option<Self> {
        let mut db = TestDb::postgres().await?;
        let redis = Redis::start().await?;
        db.config.cache = CacheKind::Redis(redis.url());
        let server = TestServer::start(&db).await;
        let victims: Vec<TenantId> = [tenant(1), tenant(2)].into();
        for (number, victim) in victims.iter().enumerate() {
            victims::fill(&server, *victim, number).await;
        }
        let seed = seed();
        Some(Self {
            db,
            redis,
            server,
            api: Arc::new(Api::read()),
            victims: Arc::new(victims),
            handles: Arc::default(),
            seed,
        })
    }

    fn attacker(&self, tenant: TenantId, number: u64, is_honest: bool) -> Attacker {
        Attacker {
            tenant,
            victims: Arc::clone(&self.victims),
            random: Random(self.seed.wrapping_add(number)),
            handles: Arc::clone(&self.handles),
            attempts: 0,
            time_of: String::new(),
            way: 0,
            is_honest,
        }
    }

    /// Victims ask for their own: what they are answered is what others try to get, and each mark
    /// is in it, so that it would be found.
    async fn let_victims_ask(&self) {
        let reads = [
            "Get",
            "Lookup",
            "List",
            "Stream",
            "Watch",
            "Summarize",
            "Explain",
        ];
        // what is asked is drawn, so a method is asked again where it has shown nothing yet
        let (usual, most) = (12, 600);
        let shows = [
            "ListMailboxes",
            "ListAuditBatches",
            "ListQuarantinedRecords",
            "ListAttributions",
            "GetCoverage",
            "ListFindings",
        ];
        let mut found = BTreeSet::new();
        for (number, victim) in self.victims.iter().enumerate() {
            let mut honest = self.attacker(*victim, number as u64, true);
            for method in &self.api.methods {
                if !reads.iter().any(|read| method.name.starts_with(read))
                    || method.name == "StreamAuditBatches"
                {
                    continue;
                }
                let mut has_shown = !shows.contains(&method.name.as_str());
                let mut asked = 0;
                while asked < usual || (!has_shown && asked < most) {
                    asked += 1;
                    let request = self
                        .api
                        .build(&method.request, &mut |m, f| honest.fill(m, f));
                    let answer = call(&self.server.channel, method, vec![request]).await;
                    for text in seen(&answer) {
                        for mark in marks(method).filter(|mark| text.contains(mark)) {
                            found.insert((mark, method.name.clone()));
                            has_shown = true;
                        }
                    }
                    let mut handles = self.handles.lock().expect("no panic");
                    harvest(&self.api, method, &answer, &mut handles.theirs);
                }
                assert!(has_shown, "{} shows no mark: {found:?}", method.name);
            }
        }
        let kinds: BTreeSet<&str> = found.iter().map(|(mark, _)| *mark).collect();
        assert_eq!(
            kinds.len(),
            3,
            "each mark is seen by its own tenant: {found:?}"
        );
        let handles = self.handles.lock().expect("no panic");
        for kind in [
            "page_token",
            "resume_token",
            "watch_token",
            "digest",
            "message_key",
            "batch_id",
        ] {
            assert!(
                handles.theirs.iter().any(|(field, _)| field.contains(kind)),
                "no {kind} to try"
            );
        }
    }

    /// All that is stored of the victims.
    async fn stored(&self) -> BTreeMap<String, String> {
        let tables = "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant_id'";
        let mut stored = BTreeMap::new();
        for table in self.db.texts(tables).await {
            for victim in self.victims.iter() {
                let sql = format!(
                    "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') \
                     FROM {table} t WHERE tenant_id = '{victim}'"
                );
                stored.insert(
                    format!("{table} of {victim}"),
                    self.db.texts(&sql).await.remove(0),
                );
            }
        }
        stored
    }

    /// What Redis has of one message is put in the place of another, of whichever tenant.
    async fn cross(&self, random: &mut Random) {
        let keys = self.redis.keys().await;
        for _ in 0..keys.len().min(40) {
            let (key, from) = (random.pick(&keys), random.pick(&keys));
            if let Reply::Bytes(Some(dumped)) = self.redis.ask(&[b"DUMP", from]).await {
                self.redis
                    .ask(&[b"RESTORE", key, b"60000", &dumped, b"REPLACE"])
                    .await;
            }
        }
    }

    /// The answers of a victim from the cache.
    async fn looked_up(&self, victim: usize) -> Vec<sentby::pb::Attribution> {
        let ids = (0..victims::MESSAGES).map(|number| victims::message_id(victim, number));
        let request = sentby::pb::LookupAttributionsRequest {
            tenant_id: self.victims[victim].to_string(),
            message_ids: ids.collect(),
            ..Default::default()
        };
        let answer = self
            .server
            .attributions()
            .lookup_attributions(request)
            .await;
        answer.expect("looked up").into_inner().attributions
    }
}

/// Shared by the attackers of a run.
struct Run {
    app: Arc<App>,
    seed: u64,
    attempts: AtomicU64,
    calls: Mutex<BTreeMap<String, BTreeMap<String, u64>>>,
    most: u64,
}

/// Calls until enough was tried.
async fn attack(mut attacker: Attacker, api: Arc<Api>, channel: Channel, run: Arc<Run>) {
    let what = format!("seed {}", run.seed);
    while run.attempts.load(Relaxed) < run.most {
        let method = attacker.random.pick(&api.methods).clone();
        let changes_a_life = ["RevokeConsent", "DeleteTenant"].contains(&method.name.as_str());
        if changes_a_life && attacker.random.chance(80) {
            continue;
        }
        let before = attacker.attempts;
        let requests = match method.name.as_str() {
            "StreamAuditBatches" => 1 + attacker.random.below(3),
            _ => 1,
        };
        let requests: Vec<Vec<u8>> = (0..requests)
            .map(|_| {
                api.build(&method.request, &mut |message, field| {
                    attacker.fill(message, field)
                })
            })
            .collect();
        let answer = call(&channel, &method, requests.clone()).await;
        for text in seen(&answer) {
            for mark in marks(&method) {
                assert!(
                    !text.contains(mark),
                    "{what}: {} gave {mark}: {text} for {requests:?}",
                    method.name
                );
            }
        }
        let code = answer.end.as_ref().map_or(Code::Ok, Status::code);
        assert!(
            ![Code::Internal, Code::Unknown, Code::DataLoss].contains(&code),
            "{what}: {}: {:?}",
            method.name,
            answer.end
        );
        if changes_a_life && code == Code::Ok {
            // nothing is taken in for this tenant any more: it goes on as another
            attacker.tenant = TenantId(Uuid::from_u128(attacker.random.id()));
            register(&run.app, attacker.tenant).await;
        }
        harvest(
            &api,
            &method,
            &answer,
            &mut attacker.handles.lock().expect("no panic").ours,
        );
        run.attempts.fetch_add(attacker.attempts - before, Relaxed);
        let mut calls = run.calls.lock().expect("no panic");
        *calls
            .entry(method.name)
            .or_default()
            .entry(format!("{code:?}"))
            .or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reaches_another_tenant() {
    let Some(stage) = Stage::set().await else {
        return;
    };
    let what = format!("seed {}", stage.seed);
    for method in &stage.api.methods {
        let is_of_one = stage.api.names_a_tenant(&method.request);
        assert_eq!(
            !is_of_one,
            OF_ALL.contains(&method.name.as_str()),
            "{}: whose data does it answer?",
            method.name
        );
    }
    stage.let_victims_ask().await;
    let before = stage.stored().await;
    let expected = [stage.looked_up(0).await, stage.looked_up(1).await];
    let run = Arc::new(Run {
        app: Arc::clone(&stage.server.app),
        seed: stage.seed,
        attempts: AtomicU64::new(0),
        calls: Mutex::default(),
        most: set("SENTBY_TEST_WALLS").unwrap_or(20_000),
    });
    let mut attackers = JoinSet::new();
    for number in 0..AT_ONCE {
        let ours = tenant(10 + u128::from(number));
        register(&stage.server.app, ours).await;
        let attacker = stage.attacker(ours, 100 + number, false);
        let (api, channel) = (Arc::clone(&stage.api), stage.server.channel.clone());
        attackers.spawn(attack(attacker, api, channel, Arc::clone(&run)));
    }
    let mut random = Random(stage.seed);
    loop {
        stage.cross(&mut random).await;
        for (victim, expected) in expected.iter().enumerate() {
            assert_eq!(
                &stage.looked_up(victim).await,
                expected,
                "{what}: victim {victim}"
            );
        }
        match tokio::time::timeout(Duration::from_millis(300), attackers.join_next()).await {
            Ok(Some(ended)) => ended.expect("no attacker found anything"),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    let after = stage.stored().await;
    let calls = run.calls.lock().expect("no panic");
    let sum: u64 = calls.values().flat_map(BTreeMap::values).sum();
    println!(
        "{what}: {} foreign things in {sum} calls, 0 foreign bytes",
        run.attempts.load(Relaxed)
    );
    for (method, codes) in calls.iter() {
        println!("  {method}: {codes:?}");
    }
    assert_eq!(
        calls.len(),
        stage.api.methods.len(),
        "every method was called"
    );
    assert_eq!(after, before, "{what}: what is stored of the victims");
    let foreign = run.attempts.load(Relaxed);
    ledger::tell("foreign-named", foreign, &[("calls", sum as f64)]);
}
