//! What every scenario stands on: a Postgres of its own with the messages of ten tenants, and
//! calls about them.

use crate::{
    calls::{Call, Caller, Client, End, caller},
    ingest::{self, Feed},
    postgres,
    support::{
        postgres::Postgres,
        process::{self, Server},
    },
};
use sentby::pb::{
    GetAttributionRequest, IngestAuditBatchRequest, ListAttributionsRequest, Operation,
    RegisterTenantRequest, SendEvent, tenant_service_client::TenantServiceClient,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tempfile::TempDir;
use uuid::Uuid;

/// Messages of each tenant.
const MESSAGES: u64 = 2_000;
pub const TENANTS: u128 = 10;

pub struct Stage {
    pub postgres: Postgres,
    pub tenants: Vec<String>,
    _folder: TempDir,
}

impl Stage {
    pub async fn set() -> Self {
        let mut postgres = Postgres::prepare().await.expect("a Postgres");
        postgres.start_with(&["-c", "max_connections=200"]).await;
        let url = postgres.url();
        process::succeeded(&process::run(&["migrate", "--database", &url]));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = serve(&url, "none");
        let feed = Feed::write(folder.path(), 50, 1.0);
        ingest::register(&server.address, &feed).await;
        ingest::send(&server.address, &feed, false).await;
        let client = Client::to(&server.address);
        let tenants: Vec<String> = (1..=TENANTS)
            .map(|n| Uuid::from_u128(n << 64).to_string())
            .collect();
        for tenant in &tenants {
            let request = RegisterTenantRequest {
                tenant_id: tenant.clone(),
                consented_at: Some("2020-01-01T00:00:00Z".parse().expect("a time")),
                ..Default::default()
            };
            let mut service = TenantServiceClient::new(client.channel(0));
            service.register_tenant(request).await.expect("registered");
            postgres::seed(&url, tenant, 0, MESSAGES).await;
        }
        // what it teaches about the agent is learned before
        let batches = batches(&client, &tenants);
        for n in 0..TENANTS as u64 {
            assert_eq!(batches(n).await, End::Answered);
        }
        Self {
            postgres,
            tenants,
            _folder: folder,
        }
    }
}

/// The program on this database. It says where it serves, and nothing of each call that it refuses:
/// whoever reads that takes time of those who call.
pub fn serve(database: &str, cache: &str) -> Server {
    let log = "off,sentby::cli::serve=info";
    Server::start_logging(database, log, &["--cache", cache])
}

/// GetAttribution of each message of these, in another order.
pub fn lookups(tenants: &[String]) -> Vec<Call> {
    let mut calls = Vec::new();
    for n in 0..MESSAGES {
        calls.extend(tenants.iter().map(|tenant| {
            let get = GetAttributionRequest {
                tenant_id: tenant.clone(),
                message_id: postgres::seeded_id(n * 7_919 % MESSAGES),
                ..Default::default()
            };
            Call::of("/sentby.v1.AttributionService/GetAttribution", &get)
        }));
    }
    calls
}

/// ListAttributions: the first page of each tenant. No call shares its statement with another.
pub fn pages(tenants: &[String], page_size: i32) -> Vec<Call> {
    let page = |tenant: &String| {
        let list = ListAttributionsRequest {
            tenant_id: tenant.clone(),
            start: Some(at(0)),
            end: Some(at(MESSAGES)),
            page_size,
            ..Default::default()
        };
        Call::of("/sentby.v1.AttributionService/ListAttributions", &list)
    };
    tenants.iter().map(page).collect()
}

/// When message number `n` was sent.
pub fn at(n: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: postgres::SEEDED_FROM + n.cast_signed(),
        nanos: 0,
    }
}

pub const PERIOD: u64 = MESSAGES;

/// IngestAuditBatch of one new message each, for each tenant in turn.
pub fn batches(client: &Client, tenants: &[String]) -> Caller {
    let (client, tenants) = (client.clone(), tenants.to_vec());
    caller(move |n| {
        let batch = batch(&tenants[n as usize % tenants.len()]);
        let call = Call::of("/sentby.v1.IngestService/IngestAuditBatch", &batch);
        let client = client.clone();
        async move { client.call(n, call).await }
    })
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A batch with one message that nobody has seen.
pub fn batch(tenant: &str) -> IngestAuditBatchRequest {
    let n = NEXT.fetch_add(1, Relaxed);
    let event = SendEvent {
        record_id: Uuid::from_u128(0xba7c << 96 | u128::from(n)).to_string(),
        time: Some(at(n % PERIOD)),
        operation: Operation::SendAs.into(),
        user_id: "anna@contoso.com".into(),
        mailbox_owner_address: "support@contoso.com".into(),
        internet_message_id: format!("<{n}@strain.contoso.com>"),
        ..SendEvent::default()
    };
    IngestAuditBatchRequest {
        tenant_id: tenant.to_owned(),
        events: vec![event],
        ..Default::default()
    }
}
