//! Messages that are stored once, and what is true of them.

use crate::{
    stage::{Client, Message, RECORDS},
    support::redis::Redis,
};
use sentby::{domain::TenantId, pb};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Of a tenant.
pub const MESSAGES: u32 = 200;
/// In one batch.
const FEW: u32 = 50;
/// Within this the cache is used again.
const BACK: Duration = Duration::from_secs(15);

/// Which records are stored of a message. The last tenth has none.
fn stored(number: u32) -> u64 {
    match number {
        n if n >= MESSAGES / 10 * 9 => 0,
        n => 1 + u64::from(n) * 7 % 1_023,
    }
}

/// The true answers of a tenant, by the number of the message.
#[derive(Clone)]
pub struct Truth {
    tenant: TenantId,
    answers: Arc<Vec<pb::Attribution>>,
}

impl Truth {
    /// Stores messages and tells what is known of them from then on.
    pub async fn store(client: &Client, tenant: TenantId) -> Self {
        client.register(tenant).await;
        let mut answers = Vec::new();
        let messages = |numbers: Range<u32>| numbers.map(move |number| Message { tenant, number });
        for few in 0..MESSAGES / FEW {
            let few = few * FEW..(few + 1) * FEW;
            let records = messages(few.clone()).flat_map(|message| {
                let stored = stored(message.number);
                let stored = (0..RECORDS).filter(move |n| stored >> n & 1 == 1);
                stored.map(move |n| message.record(n))
            });
            let posted = client.post(tenant, &records.collect::<Vec<_>>()).await;
            let revision = posted.expect("ingested").revision;
            answers.extend(messages(few).map(|message| match stored(message.number) {
                0 => message.answer(0),
                records => pb::Attribution {
                    revision,
                    ..message.answer(records)
                },
            }));
        }
        let answers = Arc::new(answers);
        Self { tenant, answers }
    }

    pub async fn assert_answered(&self, client: &Client, numbers: &[usize], what: &str) {
        let ids = numbers.iter().map(|&n| self.answers[n].message_id.clone());
        let answers = client.lookup(self.tenant, ids.collect(), 0).await;
        let answers = answers.unwrap_or_else(|status| panic!("{what}: {status:?}"));
        let truth: Vec<_> = numbers.iter().map(|&n| self.answers[n].clone()).collect();
        assert_eq!(answers, truth, "{what}");
    }

    /// Every message in calls of many, some in calls of one.
    pub async fn assert_all(&self, client: &Client, what: &str) {
        let all: Vec<usize> = (0..self.answers.len()).collect();
        for numbers in all.chunks(1).step_by(7).chain(all.chunks(50)) {
            self.assert_answered(client, numbers, what).await;
        }
    }
}

/// Asks until one of these nodes finds again what it is asked for; how long that took.
pub async fn hits_are_back(
    truths: &[Truth],
    client: &Client,
    nodes: &[&Redis],
    what: &str,
) -> Duration {
    let healed = Instant::now();
    let numbers: Vec<usize> = (0..20).collect();
    loop {
        let before = used(nodes).await;
        for truth in truths {
            truth.assert_answered(client, &numbers, what).await;
        }
        let after = used(nodes).await;
        if after.0 > before.0 && after.1 > before.1 {
            return healed.elapsed();
        }
        assert!(
            healed.elapsed() < BACK,
            "{what}: the cache is not used again"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Questions for values, and values that were found.
async fn used(nodes: &[&Redis]) -> (u64, u64) {
    let (mut reads, mut hits) = (0, 0);
    for node in nodes {
        reads += node.reads().await;
        hits += node.hits().await;
    }
    (reads, hits)
}
