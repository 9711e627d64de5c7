//! Calls in a closed loop: so many in flight, each followed by the next.

use sentby::pb::{
    GetAttributionRequest, LookupAttributionsRequest,
    attribution_service_client::AttributionServiceClient,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::transport::{Channel, Endpoint};

const CHANNELS: usize = 4;
/// Calls in flight, of all channels together.
pub const IN_FLIGHT: usize = 64;

#[derive(Clone)]
pub struct Client {
    channels: Vec<Channel>,
}

/// What a loop saw.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub calls: u64,
    pub time: Duration,
    pub p50: Duration,
}

impl Run {
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.time.as_secs_f64()
    }
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
            channels.push(endpoint.connect().await.expect("it answers"));
        }
        Self { channels }
    }

    pub fn attributions(&self, number: usize) -> AttributionServiceClient<Channel> {
        let channel = self.channels[number % CHANNELS].clone();
        AttributionServiceClient::new(channel).max_decoding_message_size(16 << 20)
    }

    /// GetAttribution of these messages, over and over.
    pub async fn get(
        &self,
        tenant: &str,
        ids: &Arc<Vec<String>>,
        how_long: Duration,
        in_flight: usize,
    ) -> Run {
        closed_loop(how_long, in_flight, |number| {
            let (client, ids, tenant) = (
                self.attributions(number),
                Arc::clone(ids),
                tenant.to_owned(),
            );
            // another corner of the ids for each
            let mut next = number * 7919;
            move |turn| {
                next += 1 + turn % 3;
                let request = GetAttributionRequest {
                    tenant_id: tenant.clone(),
                    message_id: ids[next % ids.len()].clone(),
                    ..Default::default()
                };
                let mut client = client.clone();
                async move {
                    let answer = client.get_attribution(request).await.expect("an answer");
                    let answer = answer.into_inner().attribution.expect("an attribution");
                    assert!(!answer.agent.is_empty(), "an agent");
                }
            }
        })
        .await
    }

    /// LookupAttributions of 1,000 messages each.
    pub async fn lookup(
        &self,
        tenant: &str,
        ids: &Arc<Vec<String>>,
        how_long: Duration,
        in_flight: usize,
    ) -> Run {
        closed_loop(how_long, in_flight, |number| {
            let (client, ids, tenant) = (
                self.attributions(number),
                Arc::clone(ids),
                tenant.to_owned(),
            );
            let chunks = (ids.len() / 1000).max(1);
            move |turn| {
                let from = (number + turn) % chunks * 1000;
                let request = LookupAttributionsRequest {
                    tenant_id: tenant.clone(),
                    message_ids: ids[from..from + 1000].to_vec(),
                    ..Default::default()
                };
                let mut client = client.clone();
                async move {
                    let answer = client
                        .lookup_attributions(request)
                        .await
                        .expect("an answer");
                    let answers = answer.into_inner().attributions;
                    assert!(answers.len() == 1000 && !answers[0].agent.is_empty());
                }
            }
        })
        .await
    }

    /// Every message once: whatever caches there are know it then.
    pub async fn warm(&self, tenant: &str, ids: &[String]) {
        let mut client = self.attributions(0);
        for some in ids.chunks(1000) {
            let request = LookupAttributionsRequest {
                tenant_id: tenant.to_owned(),
                message_ids: some.to_vec(),
                ..Default::default()
            };
            client
                .lookup_attributions(request)
                .await
                .expect("an answer");
        }
    }
}

/// `caller(number)` makes the calls of one of those in flight.
async fn closed_loop<C, F>(how_long: Duration, in_flight: usize, caller: impl Fn(usize) -> C) -> Run
where
    C: FnMut(usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let calls = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|number| {
            let (mut call, calls) = (caller(number), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while start.elapsed() < how_long {
                    let begin = Instant::now();
                    call(took.len()).await;
                    took.push(begin.elapsed());
                }
                calls.fetch_add(took.len() as u64, Ordering::Relaxed);
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("a loop"));
    }
    let time = start.elapsed();
    took.sort_unstable();
    Run {
        calls: calls.load(Ordering::Relaxed),
        time,
        p50: took[took.len() / 2],
    }
}
