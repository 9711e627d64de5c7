//! A store, a cache, tenants whose values carry their marks, and two ways to call.

use crate::{
    call::{InProcess, Sent, Way},
    quiet,
    requests::{self, Batch},
    support::{
        TestDb,
        again::again,
        messages::{Api, Method},
        postgres::Alone,
        records::{Record, blob},
        redis::Redis,
        register,
    },
};
use prost::Message as _;
use sentby::{
    app::{App, register_tenant::Registration},
    config::CacheKind,
    domain::TenantId,
    pb, server,
    simulate::Random,
};
use std::sync::{Arc, Mutex};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, transport::Channel};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use uuid::Uuid;

/// Those that calls are about.
pub const TENANTS: usize = 7;
/// The one of which people are erased; nothing is ingested for it meanwhile.
pub const ERASED: usize = TENANTS - 1;
/// Messages of each that are there from the start.
pub const KNOWN: u64 = 40;
/// More than there are connections for writers: all of them are used at once.
const WRITERS: usize = 16;
/// Connections of callers.
const CHANNELS: usize = 4;

/// How a method is called, and what its calls are counted as.
#[derive(Clone, Debug)]
pub struct Target {
    pub method: Method,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Write,
    Stream,
}

/// Methods that change nothing begin with one of these.
const READS: [&str; 6] = ["Get", "List", "Lookup", "Explain", "Summarize", "Check"];

pub struct Stage {
    /// Of Postgres: nobody else has sessions there.
    pub alone: Option<tokio::sync::Mutex<Alone>>,
    pub db: TestDb,
    pub redis: Option<Redis>,
    pub app: Arc<App>,
    pub api: Api,
    pub targets: Vec<Target>,
    pub tenants: Vec<TenantId>,
    writers: Vec<TenantId>,
    pub ways: Vec<Way>,
    pub seed: u64,
    /// Of the process, before this began.
    pub alarms: [(&'static str, f64); 3],
    /// What has to be sent again.
    pub again: Mutex<Vec<Batch>>,
    server: (oneshot::Sender<()>, JoinHandle<()>),
}

/// Ours by their descriptors, and the standard ones.
fn targets(api: &Api) -> Vec<Target> {
    let standard = [
        ("grpc.health.v1.Health", "Check", false),
        ("grpc.health.v1.Health", "Watch", true),
        (
            "grpc.reflection.v1.ServerReflection",
            "ServerReflectionInfo",
            true,
        ),
        (
            "grpc.reflection.v1alpha.ServerReflection",
            "ServerReflectionInfo",
            true,
        ),
    ];
    let standard = standard.map(|(service, method, is_stream)| Method {
        name: method.into(),
        path: format!("/{service}/{method}"),
        request: String::new(),
        response: String::new(),
        is_stream,
    });
    let methods = api.methods.iter().cloned().chain(standard);
    let kind = |method: &Method| {
        let is_read = READS.iter().any(|read| method.name.starts_with(read));
        match method.name.as_str() {
            _ if method.is_stream => Kind::Stream,
            "CheckAuditSettings" => Kind::Write,
            _ if is_read => Kind::Read,
            _ => Kind::Write,
        }
    };
    methods
        .map(|method| Target {
            kind: kind(&method),
            method,
        })
        .collect()
}

fn ids(first: u128, count: usize) -> Vec<TenantId> {
    let ids = (0..count as u128).map(|n| TenantId(Uuid::from_u128(first + n)));
    ids.collect()
}

impl Stage {
    pub async fn postgres(seed: u64) -> Option<Self> {
        let (alone, redis) = (Alone::start().await?, Redis::start().await?);
        let template = TestDb::sqlite().await;
        let mut db = TestDb::other(&template, alone.url.clone());
        db.config.cache = CacheKind::Redis(redis.url());
        server::migrate(&db.config).await.expect("migrated");
        Some(Self::set(db, Some(alone), Some(redis), seed).await)
    }

    pub async fn sqlite(seed: u64) -> Self {
        Self::set(TestDb::sqlite().await, None, None, seed).await
    }

    async fn set(db: TestDb, alone: Option<Alone>, redis: Option<Redis>, seed: u64) -> Self {
        let app = db.app().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn({
            let app = Arc::clone(&app);
            async move {
                let stopped = async { stopped.await.unwrap_or_default() };
                server::serve(app, listener, stopped).await.expect("served");
            }
        });
        let service = server::service(Arc::clone(&app)).await;
        let service = service
            .map_response(|response: http::Response<_>| response.map(tonic::body::Body::new));
        let service: InProcess = BoxCloneSyncService::new(service);
        let mut ways = vec![Way::InProcess(service)];
        for _ in 0..CHANNELS {
            let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URI");
            ways.push(Way::Wire(endpoint.connect().await.expect("connected")));
        }
        let api = Api::read();
        let stage = Self {
            targets: targets(&api),
            tenants: ids(0x7777_7777_7777_4777_8777_0000_0000_0000, TENANTS),
            writers: ids(0x9999_9999_9999_4999_8999_0000_0000_0000, WRITERS),
            alone: alone.map(tokio::sync::Mutex::new),
            db,
            redis,
            app,
            api,
            ways,
            seed,
            alarms: quiet::alarms(),
            again: Mutex::default(),
            server: (stop, serving),
        };
        for tenant in stage.tenants.iter().chain(&stage.writers) {
            register(&stage.app, *tenant).await;
        }
        for tenant in 0..TENANTS {
            stage.fill(tenant).await;
        }
        stage
    }

    /// What is known of a tenant from the start, and one record that nobody can read.
    async fn fill(&self, tenant: usize) {
        let records: Vec<Record> = (0..KNOWN)
            .map(|number| {
                let (agent, message) = (
                    requests::agent(tenant, number),
                    requests::message_id(tenant, number),
                );
                requests::record(self, tenant, 1 + u128::from(number), &agent, &message)
            })
            .collect();
        let mut content = blob(&records);
        content.pop();
        content.extend(format!(",{{\"Id\": \"broken@t{tenant}.example\"}}]").bytes());
        let message = pb::IngestAuditBatchRequest {
            tenant_id: self.tenants[tenant].to_string(),
            content: content.into(),
            // sent again it is answered the same
            request_id: format!("what is known of {tenant}"),
            ..Default::default()
        };
        let response = self.ingest(message).await;
        let counts = response.counts.expect("counts");
        assert_eq!((counts.kept, counts.quarantined), (KNOWN, 1));
    }

    /// As it should be: in process, to its end, and again while the store is busy.
    async fn ingest(&self, message: pb::IngestAuditBatchRequest) -> pb::IngestAuditBatchResponse {
        let sent = Sent {
            messages: vec![message.encode_to_vec()],
            piece: usize::MAX,
            is_held: false,
        };
        let path = "/sentby.v1.IngestService/IngestAuditBatch";
        let messages = again(|| async {
            let answer = self.ways[0].call(path, sent.clone()).await;
            match answer.status.code() {
                Code::Ok => Ok(answer.messages),
                _ => Err(answer.status),
            }
        });
        let messages = messages.await.expect("ingested");
        let message = messages.into_iter().next().expect("an answer");
        pb::IngestAuditBatchResponse::decode(message).expect("a response")
    }

    /// A tenant that a call may put an end to.
    pub async fn fresh(&self, random: &mut Random, name: String) -> TenantId {
        let tenant = TenantId(Uuid::from_u128(random.id()));
        let registered = self.app.register_tenant(Registration {
            tenant,
            display_name: name,
            consented_at: crate::support::time("2026-01-01T00:00:00Z"),
            retention_days: None,
        });
        registered.await.expect("registered");
        tenant
    }

    /// Sends again what was sent before: each batch was stored wholly or not at all, and what was
    /// acknowledged is stored. How many of those whose call was dropped (or refused for the
    /// moment) had been stored, and how many not.
    pub async fn send_again(&self, stored: &mut [u64]) -> [u64; 2] {
        let batches = std::mem::take(&mut *self.again.lock().expect("no panic"));
        let mut dropped = [0, 0];
        for batch in batches {
            let what = format!("seed {}: {batch:?}", self.seed);
            let response = self.ingest(batch.request(self)).await;
            let counts = response.counts.expect("counts");
            assert_eq!(counts.received, requests::MESSAGES, "{what}");
            let was_stored = if batch.request_id.is_empty() {
                assert!(
                    [0, requests::MESSAGES].contains(&counts.kept),
                    "{what}: a part of it: {counts:?}"
                );
                assert_eq!(
                    counts.kept + counts.repeated,
                    requests::MESSAGES,
                    "{what}: {counts:?}"
                );
                counts.kept == 0
            } else {
                assert_eq!(counts.kept, requests::MESSAGES, "{what}: {counts:?}");
                response.replayed
            };
            assert!(
                was_stored || !batch.is_acknowledged,
                "{what}: acknowledged and not stored"
            );
            if !batch.is_acknowledged {
                dropped[usize::from(!was_stored)] += 1;
            }
            stored[batch.tenant] += requests::MESSAGES;
        }
        dropped
    }

    /// What another connection sees: each message that was ingested once, revisions without a gap,
    /// and mailboxes that were put together together.
    pub async fn assert_stored(&self, stored: &[u64]) {
        // in the order of tenants, and no others have messages
        let rows =
            "SELECT CAST(count(*) AS text) FROM attribution GROUP BY tenant_id ORDER BY tenant_id";
        let expected = stored.iter().map(|stored| (KNOWN + stored).to_string());
        let expected: Vec<String> = expected.collect();
        assert_eq!(self.db.texts(rows).await, expected, "seed {}", self.seed);
        let wrong = "SELECT CAST(count(*) AS text) FROM tenant t WHERE revision <> \
             (SELECT count(*) FROM change c WHERE c.tenant_id = t.tenant_id) OR revision <> \
             (SELECT coalesce(max(c.revision), 0) FROM change c WHERE c.tenant_id = t.tenant_id) \
             UNION ALL SELECT CAST(count(*) AS text) FROM \
             (SELECT tenant_id FROM mailbox WHERE address LIKE 'pair-%' GROUP BY tenant_id \
             HAVING count(*) <> 2 OR count(DISTINCT display_name) <> 1) half";
        let wrong = self.db.texts(wrong).await;
        assert_eq!(
            wrong,
            ["0", "0"],
            "seed {}: gaps, halves of pairs",
            self.seed
        );
    }

    /// Each connection of writers is used, all at once; what is acknowledged on it is there for
    /// others.
    pub async fn write_everywhere(&self, round: usize) {
        let name = format!("round {round}");
        let writes = self.writers.iter().map(|tenant| {
            self.app.register_tenant(Registration {
                tenant: *tenant,
                display_name: name.clone(),
                consented_at: crate::support::time("2026-01-01T00:00:00Z"),
                retention_days: None,
            })
        });
        for written in futures_util::future::join_all(writes).await {
            written.expect("written");
        }
        let sql = format!("SELECT display_name FROM tenant WHERE display_name = '{name}'");
        let there = self.db.texts(&sql).await.len();
        assert_eq!(there, WRITERS, "seed {}: acknowledged and gone", self.seed);
    }

    pub async fn stop(self) {
        let Self {
            alone,
            app,
            ways,
            server,
            ..
        } = self;
        let (stop, serving) = server;
        drop(ways);
        stop.send(()).expect("it waits for it");
        serving.await.expect("it ends without a panic");
        drop(app);
        if let Some(alone) = alone {
            alone.into_inner().stop().await;
        }
    }

    pub async fn at_rest(&self, tasks: Option<usize>) {
        quiet::at_rest(self, tasks).await;
    }
}
