//! Ranges: StreamAttributions against a bare sqlx fetch, and pages at depth.

use crate::{
    load::Client,
    postgres::SEEDED_FROM,
    process::Server,
    table::{Goal, Results},
};
use prost_types::Timestamp;
use sentby::pb::{ListAttributionsRequest, StreamAttributionsRequest};
use sqlx::{
    Connection as _, Decode, PgConnection, Postgres, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
};
use std::time::{Duration, Instant};
use tokio_stream::StreamExt as _;
use uuid::Uuid;

/// Where the page at depth begins.
const DEPTH: u64 = 900_000;
const PAGE: i32 = 1_000;
/// Pages of each kind in one round.
const PAGES: usize = 21;

#[derive(sqlx::FromRow)]
#[allow(dead_code)] // decoded: that is the work
struct Row {
    message_key: Uuid,
    message_id: Option<String>,
    sent_at: Micros,
    revision: i64,
    verdict: String,
    basis: Option<String>,
    agent: Option<String>,
    agent_object_id: Option<Uuid>,
    mailbox: Option<String>,
    candidates: Option<String>,
    confirmed: bool,
    contradicted: bool,
}

/// `timestamptz`, as Postgres sends it.
#[allow(dead_code)]
struct Micros(i64);

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Postgres>>::decode(value).map(Self)
    }
}

/// The same columns in the same order.
const FETCH: &str = "SELECT message_key, message_id, sent_at, revision, verdict, basis, agent, \
    agent_object_id, mailbox, candidates, confirmed, contradicted \
    FROM attribution WHERE tenant_id = $1 AND listed AND sent_at >= to_timestamp($2) \
    AND sent_at < to_timestamp($3) ORDER BY sent_at, message_key";

/// A database with so many seeded messages.
pub struct Range<'a> {
    pub database: &'a str,
    pub tenant: &'a str,
    pub rows: u64,
}

impl Range<'_> {
    fn start(&self) -> Timestamp {
        Timestamp {
            seconds: SEEDED_FROM,
            nanos: 0,
        }
    }

    fn end(&self) -> Timestamp {
        let seconds = SEEDED_FROM + self.rows.cast_signed();
        Timestamp { seconds, nanos: 0 }
    }

    pub async fn rounds(&self, rounds: usize, results: &mut Results) {
        let server = Server::sentby(self.database, "memory");
        let client = Client::connect(&server.address).await;
        let mut peer = PgConnection::connect(self.database)
            .await
            .expect("it is there");
        // the peer has no limit: without this Postgres would sort it all on the disk
        crate::postgres::run(
            &mut peer,
            "SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off",
        )
        .await;
        for _ in 0..rounds {
            let ours = self.stream(&client).await;
            let theirs = self.fetch(&mut peer).await;
            let rate = |time: Duration| self.rows as f64 / time.as_secs_f64();
            results.add(
                "StreamAttributions rows/s against a bare sqlx fetch",
                Goal::AtLeast {
                    gate: 0.65,
                    aim: 0.8,
                },
                "x",
                rate(ours) / rate(theirs),
                &[("ours, rows/s", rate(ours)), ("sqlx, rows/s", rate(theirs))],
            );
            if self.rows > DEPTH {
                self.depth(&client, results).await;
            }
        }
        let work = format!("memory while streaming {} M rows", self.rows as f64 / 1e6);
        let goal = Goal::AtMost {
            gate: 128.0,
            aim: 64.0,
        };
        results.add(&work, goal, " MiB", server.peak_memory(), &[]);
    }

    async fn stream(&self, client: &Client) -> Duration {
        let begin = Instant::now();
        let request = StreamAttributionsRequest {
            tenant_id: self.tenant.to_owned(),
            start: Some(self.start()),
            end: Some(self.end()),
            ..StreamAttributionsRequest::default()
        };
        let chunks = client.attributions(0).stream_attributions(request).await;
        let mut chunks = chunks.expect("a stream").into_inner();
        let mut rows = 0;
        while let Some(chunk) = chunks.next().await {
            rows += chunk.expect("a chunk").attributions.len() as u64;
        }
        assert_eq!(rows, self.rows);
        begin.elapsed()
    }

    async fn fetch(&self, peer: &mut PgConnection) -> Duration {
        let begin = Instant::now();
        let tenant = Uuid::parse_str(self.tenant).expect("a GUID");
        let mut found = sqlx::query_as::<_, Row>(FETCH)
            .bind(tenant)
            .bind(self.start().seconds as f64)
            .bind(self.end().seconds as f64)
            .fetch(peer);
        let mut rows = 0;
        while let Some(row) = found.next().await {
            let _row = row.expect("a row");
            rows += 1;
        }
        assert_eq!(rows, self.rows);
        begin.elapsed()
    }

    /// First pages, and pages behind [`DEPTH`] messages, in turn.
    async fn depth(&self, client: &Client, results: &mut Results) {
        let token = self.token_at_depth(client).await;
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..2 * PAGES {
            let deep = turn % 2 == 1;
            let begin = Instant::now();
            let token = if deep { token.as_str() } else { "" };
            self.page(client, token).await;
            times[usize::from(deep)].push(begin.elapsed());
        }
        let [first, deep] = times.map(|mut times| {
            times.sort_unstable();
            times[PAGES / 2].as_secs_f64() * 1e3
        });
        results.add(
            "a page at depth 900,000 against the first page",
            Goal::AtMost {
                gate: 1.3,
                aim: 1.05,
            },
            "x",
            deep / first,
            &[("first, ms", first), ("deep, ms", deep)],
        );
    }

    /// The token of the page that ends there.
    async fn token_at_depth(&self, client: &Client) -> String {
        let mut token = String::new();
        for _ in 0..DEPTH / PAGE.cast_unsigned() as u64 {
            token = self.page(client, &token).await;
        }
        token
    }

    async fn page(&self, client: &Client, token: &str) -> String {
        let request = ListAttributionsRequest {
            tenant_id: self.tenant.to_owned(),
            start: Some(self.start()),
            end: Some(self.end()),
            page_size: PAGE,
            page_token: token.to_owned(),
            ..ListAttributionsRequest::default()
        };
        let page = client.attributions(0).list_attributions(request).await;
        let page = page.expect("a page").into_inner();
        assert_eq!(page.attributions.len(), PAGE.cast_unsigned() as usize);
        page.next_page_token
    }
}
