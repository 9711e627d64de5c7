//! Lookups: by every cache and by none, against a bare echo and one statement a call.

use crate::{
    load::{Client, IN_FLIGHT},
    process::Server,
    table::{Goal, Results},
};
use sentby::pb::{Attribution, GetAttributionRequest};
use std::{sync::Arc, time::Duration};

/// The servers under measure; all know the same messages.
pub struct Lookups {
    pub tenant: String,
    pub ids: Arc<Vec<String>>,
    echo: Side,
    memory: Side,
    redis: Side,
    none: Side,
    query: Side,
}

/// A server and its client.
struct Side {
    server: Server,
    client: Client,
}

impl Side {
    async fn of(server: Server) -> Self {
        let client = Client::connect(&server.address).await;
        Self { server, client }
    }
}

impl Lookups {
    pub async fn start(database: &str, redis: &str, tenant: &str, ids: Vec<String>) -> Self {
        let none = Side::of(Server::sentby(database, "none")).await;
        let answer = one_answer(&none.client, tenant, &ids[0]).await;
        let fields = [
            &answer.message_id,
            &answer.message_key,
            &answer.agent,
            &answer.mailbox,
        ];
        let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
        Self {
            tenant: tenant.to_owned(),
            ids: Arc::new(ids),
            echo: Side::of(Server::peer("echo", &fields)).await,
            memory: Side::of(Server::sentby(database, "memory")).await,
            redis: Side::of(Server::sentby(database, redis)).await,
            query: Side::of(Server::peer("query", &[database])).await,
            none,
        }
    }

    /// Calls per second and CPU of the server per call, in µs.
    async fn get(&self, side: &Side, how_long: Duration) -> (f64, f64) {
        let before = side.server.cpu();
        let run = side
            .client
            .get(&self.tenant, &self.ids, how_long, IN_FLIGHT)
            .await;
        let cpu = (side.server.cpu() - before).as_secs_f64() * 1e6;
        (run.rate(), cpu / run.calls as f64)
    }

    async fn warm(&self, side: &Side) {
        side.client.warm(&self.tenant, &self.ids).await;
    }

    /// One round: everything once, in turn.
    pub async fn round(&self, how_long: Duration, results: &mut Results) {
        let echo = self.get(&self.echo, how_long).await;
        self.warm(&self.redis).await;
        let redis = self.get(&self.redis, how_long).await;
        self.warm(&self.memory).await;
        let memory = self.get(&self.memory, how_long).await;
        let query = self.get(&self.query, how_long).await;
        let none = self.get(&self.none, how_long).await;
        for (work, goal, ours, theirs) in [
            (
                "cached lookup (Redis) against a bare tonic echo",
                Goal::AtLeast {
                    gate: 0.65,
                    aim: 0.75,
                },
                redis,
                echo,
            ),
            (
                "cached lookup (in-process) against a bare tonic echo",
                Goal::AtLeast {
                    gate: 0.85,
                    aim: 0.95,
                },
                memory,
                echo,
            ),
            (
                "Postgres lookup, misses coalesced, against one sqlx query a call",
                Goal::AtLeast {
                    gate: 1.4,
                    aim: 1.7,
                },
                none,
                query,
            ),
        ] {
            let parts = [
                ("ours, calls/s", ours.0),
                ("peer, calls/s", theirs.0),
                ("ours, server CPU µs/call", ours.1),
                ("peer, server CPU µs/call", theirs.1),
            ];
            results.add(work, goal, "x", ours.0 / theirs.0, &parts);
        }
        self.thousands(how_long, (memory.1, redis.1), results).await;
    }

    /// LookupAttributions of 1,000; `unary`: µs of a call, in-process and by Redis.
    async fn thousands(&self, how_long: Duration, unary: (f64, f64), results: &mut Results) {
        for (work, side, unary) in [
            (
                "LookupAttributions of 1,000, in-process: server CPU per id against unary",
                &self.memory,
                unary.0,
            ),
            (
                "LookupAttributions of 1,000, Redis: server CPU per id against unary",
                &self.redis,
                unary.1,
            ),
        ] {
            self.warm(side).await;
            let before = side.server.cpu();
            let run = side
                .client
                .lookup(&self.tenant, &self.ids, how_long, 8)
                .await;
            let cpu = (side.server.cpu() - before).as_secs_f64() * 1e6;
            let per_id = cpu / (run.calls as f64 * 1000.0);
            let parts = [
                ("µs per id", per_id),
                ("µs per unary call", unary),
                ("ids/s", run.rate() * 1000.0),
            ];
            let goal = Goal::AtMost {
                gate: 1.0 / 8.0,
                aim: 1.0 / 12.0,
            };
            results.add(work, goal, "x", per_id / unary, &parts);
        }
    }
}

async fn one_answer(client: &Client, tenant: &str, id: &str) -> Attribution {
    let request = GetAttributionRequest {
        tenant_id: tenant.to_owned(),
        message_id: id.to_owned(),
        ..Default::default()
    };
    let answer = client.attributions(0).get_attribution(request).await;
    answer
        .expect("an answer")
        .into_inner()
        .attribution
        .expect("an attribution")
}

/// Lookups one at a time, without a cache, in a small and in a large table.
pub async fn growth(
    small: (&str, u64),
    large: (&str, u64),
    tenant: &str,
    how_long: Duration,
    rounds: usize,
    results: &mut Results,
) {
    let mut sides = Vec::new();
    for (database, rows) in [small, large] {
        let ids: Vec<String> = (0..20_000)
            .map(|n| crate::postgres::seeded_id(n * 7_919_003 % rows))
            .collect();
        let side = Side::of(Server::sentby(database, "none")).await;
        side.client.warm(tenant, &ids).await;
        sides.push((side, Arc::new(ids)));
    }
    for _ in 0..rounds {
        let mut p50 = Vec::new();
        for (side, ids) in &sides {
            let run = side.client.get(tenant, ids, how_long, 1).await;
            p50.push(run.p50.as_secs_f64() * 1e6);
        }
        let work = format!(
            "{} → {} rows: lookup p50",
            million(small.1),
            million(large.1)
        );
        let parts = [("small, µs", p50[0]), ("large, µs", p50[1])];
        let goal = Goal::AtMost {
            gate: 1.6,
            aim: 1.2,
        };
        results.add(&work, goal, "x", p50[1] / p50[0], &parts);
    }
}

fn million(rows: u64) -> String {
    format!("{} M", rows as f64 / 1e6)
}
