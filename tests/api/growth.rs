//! How SummarizeAgents grows with the number of messages. Not a test but a measurement, on
//! Postgres, which takes some minutes and 6 GB of disk:
//!
//! `tests/run --test api growth -- --ignored --nocapture`

use super::server::{TestServer, timestamp};
use crate::support::{
    TENANT, TestDb,
    records::{Record, blob},
};
use sentby::pb::{Bucket, SummarizeAgentsRequest as Asked};
use std::time::{Duration, Instant};

/// So many messages over the year 2026, from 12 mailboxes by 60 agents, in the order of time.
macro_rules! fill {
    ($messages:literal) => {
        concat!(
            "INSERT INTO attribution SELECT tenant_id, md5('k' || n)::uuid, 'W' || n || '@x', \
             '2026-01-01T00:00:00Z'::timestamptz + n * (interval '365 days' / ",
            $messages,
            "), revision, verdict, basis, 'agent' || n / 12 % 60 || '@contoso.com', \
             agent_object_id, 'mailbox' || n % 12 || '@contoso.com', candidates, confirmed, \
             contradicted, listed, evidence FROM (SELECT * FROM attribution LIMIT 1) one, \
             generate_series(0, ",
            $messages,
            " - 1) n"
        )
    };
}

const FILLS: [(u64, &str); 3] = [
    (100_000, fill!("100000")),
    (1_000_000, fill!("1000000")),
    (10_000_000, fill!("10000000")),
];

/// The first page, all pages, their number and the messages that they count.
async fn walk(server: &TestServer, mut asked: Asked) -> (Duration, Duration, usize, u64) {
    let begin = Instant::now();
    let (mut first, mut pages, mut messages) = (Duration::ZERO, 0, 0);
    loop {
        let page = server.attributions().summarize_agents(asked.clone()).await;
        let page = page.expect("a page").into_inner();
        if pages == 0 {
            first = begin.elapsed();
        }
        pages += 1;
        messages += page.rows.iter().map(|row| row.messages).sum::<u64>();
        asked.page_token = page.next_page_token;
        if asked.page_token.is_empty() {
            return (first, begin.elapsed(), pages, messages);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn growth_of_summaries() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let server = TestServer::with_tenant(&db).await;
    let one = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2025-03-02T00:00:00");
    let two = Record::agent_side(2, "anna@contoso.com", "M@x", "2025-03-02T00:00:00");
    server.post(blob(&[one, two])).await.expect("ingested");
    println!("| messages | buckets | counted | rows' pages | first page | all pages |");
    println!("|---|---|---|---|---|---|");
    for (messages, fill) in FILLS {
        db.execute("DELETE FROM attribution WHERE sent_at >= '2026-01-01T00:00:00Z'")
            .await;
        db.execute(fill).await;
        db.execute("VACUUM ANALYZE attribution").await;
        for (name, bucket, start, end) in [
            (
                "the hours of a day",
                Bucket::Hour,
                "2026-06-01",
                "2026-06-02",
            ),
            (
                "the days of a month",
                Bucket::Day,
                "2026-06-01",
                "2026-07-01",
            ),
            (
                "the days of the year",
                Bucket::Day,
                "2026-01-01",
                "2027-01-01",
            ),
            ("the year as one", Bucket::Total, "2026-01-01", "2027-01-01"),
        ] {
            let asked = Asked {
                tenant_id: TENANT.to_string(),
                start: timestamp(&format!("{start}T00:00:00Z")),
                end: timestamp(&format!("{end}T00:00:00Z")),
                bucket: bucket.into(),
                ..Default::default()
            };
            let (first, all, pages, counted) = walk(&server, asked).await;
            println!("| {messages} | {name} | {counted} | {pages} | {first:.1?} | {all:.1?} |");
            assert!(first < Duration::from_secs(30), "the statement_timeout");
        }
    }
}
