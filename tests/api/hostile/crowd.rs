//! A crowd of hostile callers at the real program: every method with everything that is wrong, and batches
//! of spoilt records in every envelope. The program goes on, in bounded memory; nothing that is wrong with a call
//! is its own fault; and each batch holds good records that are found.
//!
//! `SENTBY_TEST_HOSTILE` says how many calls and spoilt records there are together (20,000), `SENTBY_TEST_SEED`
//! which ones: each run prints its seed.

use super::{
    batches::{Good, Maker},
    spoil::Spoiler,
};
use crate::{
    server::reason,
    support::{
        TestDb,
        again::again,
        ledger,
        messages::{Api, Method, Value},
        process::{Server, database},
        redis::Redis,
        settings::{seed, set},
    },
    walls::{
        attacker::{Attacker, Handles},
        call_with, harvest,
    },
};
use sentby::{
    domain::TenantId,
    pb::{
        self, IngestAuditBatchRequest, LookupAttributionsRequest, RegisterTenantRequest,
        admin_service_client::AdminServiceClient,
        attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient, tenant_service_client::TenantServiceClient,
    },
    simulate::Random,
};
use std::{
    collections::BTreeMap,
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Code, Status, metadata::MetadataMap, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

const AT_ONCE: u64 = 8;
/// Of the log that is spoilt.
const TENANTS: usize = 2;
/// Messages of a stream that are looked at.
const MOST: usize = 20;
/// A server is given no more than that.
const MEMORY: u64 = 512 << 20;

/// Shared by all callers.
struct Run {
    api: Api,
    seed: u64,
    most: u64,
    calls: AtomicU64,
    spoilt: AtomicU64,
    good: AtomicU64,
    codes: Mutex<BTreeMap<String, BTreeMap<String, u64>>>,
}

impl Run {
    fn is_over(&self) -> bool {
        self.calls.load(Relaxed) + self.spoilt.load(Relaxed) >= self.most
    }

    fn count(&self, method: &str, code: &str) {
        self.calls.fetch_add(1, Relaxed);
        let mut codes = self.codes.lock().expect("no panic");
        *codes
            .entry(method.into())
            .or_default()
            .entry(code.into())
            .or_default() += 1;
    }
}

struct Caller {
    run: Arc<Run>,
    channel: Channel,
    spoiler: Spoiler,
    maker: Maker,
    attacker: Attacker,
}

impl Caller {
    async fn go_on(mut self) {
        register(&self.channel, self.attacker.tenant).await;
        while !self.run.is_over() {
            if self.spoiler.random.chance(18) {
                self.batch().await;
            } else {
                self.call().await;
            }
        }
    }

    /// Any method with anything.
    async fn call(&mut self) {
        let run = Arc::clone(&self.run);
        let method = self.spoiler.random.pick(&run.api.methods).clone();
        let ends_a_life = ["RevokeConsent", "DeleteTenant"].contains(&method.name.as_str());
        if ends_a_life && self.spoiler.random.chance(80) {
            return;
        }
        let own = self.attacker.tenant;
        let reads = [
            "Get",
            "Lookup",
            "List",
            "Stream",
            "Watch",
            "Summarize",
            "Explain",
        ];
        let is_read = reads.iter().any(|read| method.name.starts_with(read))
            && !method.name.contains("Batches");
        if is_read && self.spoiler.random.chance(70) {
            self.attacker.tenant = self.maker.tenant;
        }
        let many = if method.name == "StreamAuditBatches" {
            1 + self.spoiler.random.below(4)
        } else {
            1
        };
        let requests: Vec<Vec<u8>> = (0..many).map(|_| self.request(&method)).collect();
        self.attacker.tenant = own;
        let headers = self.headers(&method);
        let sent = (!headers.is_empty(), requests.clone());
        let metadata = MetadataMap::from_headers(headers);
        let called = call_with(&self.channel, &method, requests, metadata, MOST);
        let answer = tokio::time::timeout(Duration::from_secs(60), called).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("seed {}: {} has no end", run.seed, method.name));
        let end = answer.end.as_ref();
        let told = end.map_or("Ok".into(), |status| self.told(&method, status, &sent));
        run.count(&method.name, &told);
        {
            let mut handles = self.attacker.handles.lock().expect("no panic");
            harvest(&run.api, &method, &answer, &mut handles.ours);
        }
        if ends_a_life && told == "Ok" {
            self.attacker.tenant = TenantId(Uuid::from_u128(self.spoiler.random.id()));
            register(&self.channel, self.attacker.tenant).await;
        }
    }

    fn headers(&mut self, method: &Method) -> http::HeaderMap {
        let mut headers = match self.spoiler.random.chance(15) {
            true => self.spoiler.metadata(),
            false => http::HeaderMap::new(),
        };
        if method.name.starts_with("Watch") {
            headers.insert("grpc-timeout", http::HeaderValue::from_static("200m"));
        }
        headers
    }

    fn request(&mut self, method: &Method) -> Vec<u8> {
        let share = self.spoiler.random.below(40);
        let (attacker, spoiler) = (&mut self.attacker, &mut self.spoiler);
        let request = self.run.api.build(&method.request, &mut |message, field| {
            let mut values = attacker.fill(message, field);
            if values.is_empty() || !spoiler.random.chance(share) {
                return values;
            }
            if field.name() == "tenant_id" && spoiler.random.chance(70) {
                return values;
            }
            let at = usize::try_from(spoiler.random.below(values.len() as u64)).expect("an index");
            let spoilt = match &values[at] {
                Value::Text(text) => Value::Text(spoiler.text(text)),
                Value::Bytes(bytes) => Value::Bytes(spoiler.bytes(bytes.clone())),
                Value::Number(_) => Value::Number(spoiler.number()),
                Value::Nested => Value::Bytes(spoiler.message(Vec::new())),
            };
            values[at] = spoilt;
            values
        });
        match self.spoiler.random.chance(20) {
            true => self.spoiler.message(request),
            false => request,
        }
    }

    /// Its code, once it is known that the caller is to blame and was told so.
    fn told(&self, method: &Method, status: &Status, sent: &(bool, Vec<Vec<u8>>)) -> String {
        let (is_odd, requests) = sent;
        let what = || {
            let (seed, name) = (self.run.seed, &method.name);
            format!("seed {seed}: {name}: {status:?} for {requests:?}")
        };
        // by our own end: a time that is over, or what no connection takes with a call
        let by_client = status.get_details_error_info().is_none();
        if by_client && (status.code() == Code::Cancelled || *is_odd && status.source().is_some()) {
            return "no answer".into();
        }
        let is_ours = [Code::Internal, Code::Unknown, Code::DataLoss].contains(&status.code());
        assert!(!is_ours, "{}", what());
        let (code, why) = reason(status);
        format!("{code:?} {why}")
    }

    /// Spoilt records, and the good ones among them.
    async fn batch(&mut self) {
        let run = Arc::clone(&self.run);
        let batch = self.maker.batch(&mut self.spoiler);
        let what = || {
            let content = String::from_utf8_lossy(&batch.content);
            format!("seed {}: {:?}: {content}", run.seed, batch.envelope)
        };
        let request = IngestAuditBatchRequest {
            tenant_id: self.maker.tenant.to_string(),
            content: batch.content.clone().into(),
            ..Default::default()
        };
        let posted = again(|| {
            let mut ingest = IngestServiceClient::new(self.channel.clone());
            let request = request.clone();
            async move { ingest.ingest_audit_batch(request).await }
        })
        .await;
        let answer = posted.unwrap_or_else(|status| panic!("{status:?} {}", what()));
        let answer = answer.into_inner();
        let counts = answer.counts.expect("counts");
        let sum = counts.kept + counts.repeated + counts.ignored + counts.quarantined;
        assert_eq!(counts.received, sum, "{counts:?} {}", what());
        let problems = answer.problems.len() as u64 + answer.problems_omitted;
        assert_eq!(problems, counts.quarantined, "{}", what());
        if batch.is_whole {
            assert_eq!(counts.received, batch.records, "{counts:?} {}", what());
        }
        run.count("IngestAuditBatch", "Ok");
        run.spoilt.fetch_add(batch.spoilt, Relaxed);
        self.are_found(&batch.good, answer.revision, &what()).await;
        run.good.fetch_add(batch.good.len() as u64, Relaxed);
    }

    async fn are_found(&self, good: &[Good], revision: u64, what: &str) {
        let request = LookupAttributionsRequest {
            tenant_id: self.maker.tenant.to_string(),
            message_ids: good.iter().map(|good| good.message_id.clone()).collect(),
            at_least_revision: revision,
            ..Default::default()
        };
        let looked = again(|| {
            let mut lookup = AttributionServiceClient::new(self.channel.clone());
            let request = request.clone();
            async move { lookup.lookup_attributions(request).await }
        })
        .await;
        let answer = looked.unwrap_or_else(|status| panic!("{status:?} {what}"));
        let answer = answer.into_inner();
        for (found, good) in answer.attributions.iter().zip(good) {
            assert_eq!(found.verdict(), pb::Verdict::Attributed, "{good:?} {what}");
            assert_eq!(found.agent, good.agent, "{what}");
        }
        assert_eq!(answer.attributions.len(), good.len());
    }
}

async fn register(channel: &Channel, tenant: TenantId) {
    let request = RegisterTenantRequest {
        tenant_id: tenant.to_string(),
        display_name: "Contoso".into(),
        consented_at: crate::server::timestamp("2026-01-01T00:00:00Z"),
        ..Default::default()
    };
    let registered = again(|| {
        let mut tenants = TenantServiceClient::new(channel.clone());
        let request = request.clone();
        async move { tenants.register_tenant(request).await }
    });
    registered.await.expect("registered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_crowd_breaks_nothing() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(redis) = Redis::start().await else {
        return;
    };
    let server = Server::start_with(&database(&db.config.database), &["--cache", &redis.url()]);
    let seed = seed();
    println!("seed {seed}");
    let run = Arc::new(Run {
        api: Api::read(),
        seed,
        most: set("SENTBY_TEST_HOSTILE").unwrap_or(20_000),
        calls: AtomicU64::new(0),
        spoilt: AtomicU64::new(0),
        good: AtomicU64::new(0),
        codes: Mutex::default(),
    });
    let victims = Arc::new(vec![
        TenantId(Uuid::from_u128(1)),
        TenantId(Uuid::from_u128(2)),
    ]);
    let handles = Arc::new(Mutex::new(Handles::default()));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..AT_ONCE {
        let channel = Channel::from_shared(server.url.clone())
            .expect("a URI")
            .connect()
            .await;
        let channel = channel.expect("connected");
        let which = usize::try_from(number).expect("small") % TENANTS;
        let maker = Maker::new(seed, TENANTS, which, number);
        register(&channel, maker.tenant).await;
        let caller = Caller {
            run: Arc::clone(&run),
            channel,
            spoiler: Spoiler {
                random: Random(seed.wrapping_add(number)),
            },
            maker,
            attacker: Attacker {
                tenant: TenantId(Uuid::from_u128(0xabcd << 64 | u128::from(number))),
                victims: Arc::clone(&victims),
                random: Random(seed.wrapping_mul(31).wrapping_add(number)),
                handles: Arc::clone(&handles),
                attempts: 0,
                way: 0,
                time_of: String::new(),
                is_honest: false,
            },
        };
        callers.spawn(caller.go_on());
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("nobody found anything");
    }
    is_well(&server, &run, begun.elapsed()).await;
}

async fn is_well(server: &Server, run: &Run, lasted: Duration) {
    let (calls, spoilt, good) = (
        run.calls.load(Relaxed),
        run.spoilt.load(Relaxed),
        run.good.load(Relaxed),
    );
    let seed = run.seed;
    let memory = server.most_memory();
    println!(
        "seed {seed}: {calls} calls and {spoilt} spoilt records in {lasted:.1?}, {good} good ones found, {} MiB",
        memory >> 20
    );
    let codes = run.codes.lock().expect("no panic").clone();
    for (method, codes) in &codes {
        println!("  {method}: {codes:?}");
    }
    assert_eq!(
        codes.len(),
        run.api.methods.len(),
        "seed {seed}: every method was called"
    );
    assert!(calls * 10 >= calls + spoilt, "seed {seed}: too few calls");
    assert!(memory < MEMORY, "seed {seed}: {memory} bytes");
    assert!(server.logged("panick").is_empty(), "seed {seed}");
    let failed = server.logged("\"level\":\"ERROR\"");
    assert!(
        failed.is_empty(),
        "seed {seed}: {} errors in its log",
        failed.len()
    );
    let channel = Channel::from_shared(server.url.clone())
        .expect("a URI")
        .connect()
        .await;
    let mut admin = AdminServiceClient::new(channel.expect("it lives"));
    let info = admin
        .get_server_info(pb::GetServerInfoRequest::default())
        .await;
    info.expect("it answers");
    let figures = [
        ("calls", calls as f64),
        ("spoilt_records", spoilt as f64),
        ("good_found", good as f64),
        ("most_memory_mib", (memory >> 20) as f64),
        ("per_second", (calls + spoilt) as f64 / lasted.as_secs_f64()),
    ];
    ledger::tell("hostile", calls + spoilt, &figures);
}
