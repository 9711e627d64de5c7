//! The change feed: how soon a watcher is told, and what those cost that have nothing to hear.

use crate::{
    postgres::{self, Postgres},
    process::Server,
    table::{Goal, Results},
};
use sentby::pb::{
    IngestAuditBatchRequest, Operation, RegisterTenantRequest, SendEvent, WatchAttributionsRequest,
    WatchAttributionsResponse, WatchPosition, WatchStart,
    attribution_service_client::AttributionServiceClient,
    ingest_service_client::IngestServiceClient, tenant_service_client::TenantServiceClient,
    watch_position::Start,
};
use sqlx::{Connection as _, PgConnection, postgres::PgListener};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, time::sleep};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

/// Messages that are told one by one in a round.
const TOLD: usize = 200;
/// Watchers that have nothing to hear, each of a tenant of its own, and how many of them share a
/// connection.
const IDLE: u128 = 1_000;
const SHARED: usize = 150;

/// Two replicas on one database.
pub struct Feed {
    here: Server,
    there: Server,
    database: String,
    tenant: Uuid,
}

impl Feed {
    pub async fn start(postgres: &Postgres) -> Self {
        let database = postgres.create("bench_feed", true).await;
        let [here, there] = [0, 1].map(|_| Server::sentby(&database, "memory"));
        let tenant = Uuid::from_u128(0xfeed << 64);
        register(&channel(&here.address).await, tenant).await;
        let feed = Self {
            here,
            there,
            database,
            tenant,
        };
        // who the agent is is learned before
        let mut ingest = IngestServiceClient::new(channel(&feed.here.address).await);
        feed.commit(&mut ingest, 0).await;
        feed
    }

    /// One message after the other through one replica, watched on both; and the bare thing.
    pub async fn latency(&self, round: usize, results: &mut Results) {
        let [here, there] = [&self.here, &self.there].map(|server| &server.address);
        let (mut near, mut far) = (self.watch(here).await, self.watch(there).await);
        let mut ingest = IngestServiceClient::new(channel(here).await);
        let (mut same, mut other, mut answered) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..TOLD {
            let begin = Instant::now();
            let number = 1 + (round * TOLD + n) as u128;
            let ((), first, second) = tokio::join!(
                async {
                    self.commit(&mut ingest, number).await;
                    answered.push(begin.elapsed());
                },
                told(&mut near, begin),
                told(&mut far, begin),
            );
            same.push(first);
            other.push(second);
        }
        let bare = self.bare().await;
        let (bare_p50, bare_p99) = (at(&bare, 0.5), at(&bare, 0.99));
        for (name, times) in [("the same replica", same), ("another replica", other)] {
            results.add(
                &format!("one message in until a watcher of {name} is told, p50, against a bare insert, NOTIFY and select"),
                Goal::Told,
                "x",
                at(&times, 0.5) / bare_p50,
                &[
                    ("ours p50, ms", at(&times, 0.5)),
                    ("ours p99, ms", at(&times, 0.99)),
                    ("acknowledged p50, ms", at(&answered, 0.5)),
                    ("acknowledged p99, ms", at(&answered, 0.99)),
                    ("bare p50, ms", bare_p50),
                    ("bare p99, ms", bare_p99),
                ],
            );
        }
    }

    /// A row and a notification in one transaction, and a listener that reads the row.
    async fn bare(&self) -> Vec<Duration> {
        let mut writer = PgConnection::connect(&self.database).await.expect("there");
        postgres::run(
            &mut writer,
            "CREATE TABLE IF NOT EXISTS bare (n bigint PRIMARY KEY, text text)",
        )
        .await;
        postgres::run(&mut writer, "TRUNCATE bare").await;
        let mut reader = PgConnection::connect(&self.database).await.expect("there");
        let mut listener = PgListener::connect(&self.database).await.expect("there");
        listener.listen("bare").await.expect("it listens");
        let mut times = Vec::new();
        for n in 0..TOLD.cast_signed() as i64 {
            let begin = Instant::now();
            let write = async {
                let mut tx = writer.begin().await.expect("begun");
                let insert = sqlx::query("INSERT INTO bare VALUES ($1, repeat('x', 400))").bind(n);
                insert.execute(&mut *tx).await.expect("inserted");
                let notify = sqlx::query("SELECT pg_notify('bare', '')");
                notify.execute(&mut *tx).await.expect("told");
                tx.commit().await.expect("committed");
            };
            let read = async {
                listener.recv().await.expect("told");
                let row = sqlx::query("SELECT text FROM bare WHERE n = $1").bind(n);
                row.fetch_one(&mut reader).await.expect("it is there");
                begin.elapsed()
            };
            let ((), time) = tokio::join!(write, read);
            times.push(time);
        }
        times
    }

    /// What watchers cost that have nothing to hear: processors and memory.
    pub async fn idle(&self, postgres: &Postgres, how_long: Duration, results: &mut Results) {
        let (server, database) = self.idle_cost(postgres, how_long).await;
        let before = self.there.memory();
        let mut watchers = Vec::new();
        let mut connection = channel(&self.there.address).await;
        for n in 0..IDLE {
            if (n as usize).is_multiple_of(SHARED) {
                connection = channel(&self.there.address).await;
            }
            let tenant = Uuid::from_u128(0x1d1e << 64 | n);
            register(&connection, tenant).await;
            let mut watcher = watch(connection.clone(), tenant, WatchStart::Now).await;
            watcher.message().await.expect("no error").expect("at once");
            watchers.push(watcher);
        }
        let (with_server, with_database) = self.idle_cost(postgres, how_long).await;
        let per_mille = |with: f64, without: f64| (with - without).max(0.0) * 1e3;
        results.add(
            "1,000 idle watchers of as many tenants: processor time of server and Postgres, of one processor",
            Goal::Told,
            " ‰",
            per_mille(with_server + with_database, server + database),
            &[
                ("server, ‰", per_mille(with_server, server)),
                ("Postgres, ‰", per_mille(with_database, database)),
                ("memory of the server, MiB more", self.there.memory() - before),
            ],
        );
    }

    async fn idle_cost(&self, postgres: &Postgres, how_long: Duration) -> (f64, f64) {
        let how_long = how_long.max(Duration::from_secs(3)) * 3;
        sleep(Duration::from_secs(1)).await; // connections that were just closed take theirs with them
        let (server, database) = (self.there.cpu(), postgres.cpu());
        sleep(how_long).await;
        let share = |used: Duration| used.as_secs_f64() / how_long.as_secs_f64();
        (
            share(self.there.cpu().saturating_sub(server)),
            share(postgres.cpu().saturating_sub(database)),
        )
    }

    async fn commit(&self, ingest: &mut IngestServiceClient<Channel>, n: u128) {
        let event = SendEvent {
            record_id: Uuid::from_u128(n + 1).to_string(),
            time: Some("2026-03-02T09:00:00Z".parse().expect("a time")),
            operation: Operation::SendAs.into(),
            user_id: "anna@contoso.com".into(),
            mailbox_owner_address: "support@contoso.com".into(),
            internet_message_id: format!("<{n}@contoso.com>"),
            ..SendEvent::default()
        };
        let request = IngestAuditBatchRequest {
            tenant_id: self.tenant.to_string(),
            events: vec![event],
            ..IngestAuditBatchRequest::default()
        };
        let answer = ingest.ingest_audit_batch(request).await.expect("taken");
        assert_eq!(answer.into_inner().changed_messages, 1);
    }

    /// Changes as they come, each with the time at which it came.
    async fn watch(&self, address: &str) -> mpsc::Receiver<Instant> {
        let mut watcher = watch(channel(address).await, self.tenant, WatchStart::Now).await;
        watcher.message().await.expect("no error").expect("at once");
        let (sender, receiver) = mpsc::channel(TOLD);
        tokio::spawn(async move {
            while let Ok(Some(response)) = watcher.message().await {
                for _ in response.changes {
                    if sender.send(Instant::now()).await.is_err() {
                        return;
                    }
                }
            }
        });
        receiver
    }
}

async fn told(watcher: &mut mpsc::Receiver<Instant>, begin: Instant) -> Duration {
    watcher.recv().await.expect("it goes on") - begin
}

/// Milliseconds, of so many of a hundred.
fn at(times: &[Duration], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len() - 1;
    sorted[(last as f64 * share).round() as usize].as_secs_f64() * 1e3
}

async fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("it answers")
}

async fn register(channel: &Channel, tenant: Uuid) {
    let request = RegisterTenantRequest {
        tenant_id: tenant.to_string(),
        consented_at: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
        ..RegisterTenantRequest::default()
    };
    let mut tenants = TenantServiceClient::new(channel.clone());
    tenants.register_tenant(request).await.expect("registered");
}

async fn watch(
    channel: Channel,
    tenant: Uuid,
    from: WatchStart,
) -> Streaming<WatchAttributionsResponse> {
    let position = WatchPosition {
        tenant_id: tenant.to_string(),
        start: Some(Start::From(from.into())),
        at_least_revision: 0,
    };
    let request = WatchAttributionsRequest {
        positions: vec![position],
        follow: true,
        checkpoint_interval: None,
    };
    let mut client = AttributionServiceClient::new(channel);
    let opened = client.watch_attributions(request).await;
    opened.expect("opened").into_inner()
}
