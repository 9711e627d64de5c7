//! Calls whose messages are encoded beforehand, as fast as they are asked for or as they arrive,
//! and what became of each.

use crate::support::messages::Raw;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};

/// Of one client: a connection takes 200 calls at a time.
const CHANNELS: usize = 16;
/// What each call is given.
const TIME: &str = "5S";

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Answered,
    /// RESOURCE_EXHAUSTED: nothing was done.
    Refused,
    Failed(Code),
}

/// One call: when it was due, and how long after that it ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub due: Instant,
    pub took: Duration,
    pub end: End,
}

impl Seen {
    pub fn at(&self) -> Instant {
        self.due + self.took
    }
}

/// Makes call number `n`.
pub type Caller = Arc<dyn Fn(u64) -> BoxFuture<'static, End> + Send + Sync>;

pub fn caller<F>(make: impl Fn(u64) -> F + Send + Sync + 'static) -> Caller
where
    F: Future<Output = End> + Send + 'static,
{
    Arc::new(move |n| Box::pin(make(n)))
}

/// A call with one answer.
#[derive(Clone, Debug)]
pub struct Call {
    path: &'static str,
    message: Bytes,
}

impl Call {
    /// `path`: `/sentby.v1.SERVICE/METHOD`
    pub fn of(path: &'static str, message: &impl Message) -> Self {
        Self {
            path,
            message: message.encode_to_vec().into(),
        }
    }
}

/// Connections to one server.
#[derive(Clone, Debug)]
pub struct Client(Arc<Vec<Channel>>);

impl Client {
    /// They are made when they are used, and again when they are lost.
    pub fn to(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        Self(Arc::new(
            (0..CHANNELS).map(|_| endpoint.connect_lazy()).collect(),
        ))
    }

    pub fn channel(&self, n: u64) -> Channel {
        self.0[n as usize % CHANNELS].clone()
    }

    pub async fn call(&self, n: u64, call: Call) -> End {
        let mut grpc = Grpc::new(self.channel(n));
        if grpc.ready().await.is_err() {
            return End::Failed(Code::Unavailable);
        }
        let mut request = Request::new(call.message);
        let time = TIME.parse().expect("a value");
        request.metadata_mut().insert("grpc-timeout", time);
        let path = PathAndQuery::from_static(call.path);
        ended(grpc.unary(request, path, Raw::new()).await)
    }

    /// One of these calls after the other.
    pub fn calls(&self, calls: Vec<Call>) -> Caller {
        let (client, calls) = (self.clone(), Arc::new(calls));
        caller(move |n| {
            let (client, call) = (client.clone(), calls[n as usize % calls.len()].clone());
            async move { client.call(n, call).await }
        })
    }
}

/// How a call ended that ended so.
pub fn ended<T>(answer: Result<T, Status>) -> End {
    match answer.map_err(|status| status.code()) {
        Ok(_) => End::Answered,
        Err(Code::ResourceExhausted) => End::Refused,
        Err(code) => End::Failed(code),
    }
}

async fn seen(due: Instant, call: BoxFuture<'static, End>) -> Seen {
    let end = call.await;
    Seen {
        due,
        took: due.elapsed(),
        end,
    }
}

/// As many a second as this, whatever becomes of them; returns when all have ended.
pub async fn arriving(caller: &Caller, rate: f64, how_long: Duration) -> Vec<Seen> {
    let (begin, all) = (Instant::now(), (how_long.as_secs_f64() * rate) as u64);
    let (mut calls, mut n) = (JoinSet::new(), 0);
    while n < all {
        let due = (begin.elapsed().as_secs_f64() * rate) as u64;
        while n <= due && n < all {
            let due = begin + Duration::from_secs_f64(n as f64 / rate);
            calls.spawn(seen(due, caller(n)));
            n += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    calls.join_all().await
}

/// A loop that goes on until it is stopped.
pub struct Loop {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Seen>>>,
}

impl Loop {
    /// So many in flight, each followed by the next; who was not answered waits so long.
    pub fn start(caller: &Caller, in_flight: u64, after_failure: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..in_flight).map(|number| {
            let (caller, stop) = (Arc::clone(caller), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut all = Vec::new();
                for turn in 0.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let call = caller(number + turn * in_flight);
                    let seen = seen(Instant::now(), call).await;
                    all.push(seen);
                    if seen.end != End::Answered {
                        tokio::time::sleep(after_failure).await;
                    }
                }
                all
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    pub async fn stop(self) -> Vec<Seen> {
        self.stop.store(true, Relaxed);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.expect("a loop"));
        }
        all
    }
}

/// The same for so long.
pub async fn looping(caller: &Caller, in_flight: u64, how_long: Duration) -> Vec<Seen> {
    let running = Loop::start(caller, in_flight, Duration::from_millis(20));
    tokio::time::sleep(how_long).await;
    running.stop().await
}

/// Those that ended so.
pub fn those(seen: &[Seen], end: End) -> Vec<Duration> {
    let those = seen.iter().filter(|seen| seen.end == end);
    those.map(|seen| seen.took).collect()
}

/// Neither answered nor refused.
pub fn failed(seen: &[Seen]) -> usize {
    let failed = |seen: &&Seen| matches!(seen.end, End::Failed(_));
    seen.iter().filter(failed).count()
}

/// Answers a second, in a time.
pub fn rate(seen: &[Seen], from: Instant, until: Instant) -> f64 {
    let is_in = |seen: &&Seen| seen.end == End::Answered && (from..until).contains(&seen.at());
    seen.iter().filter(is_in).count() as f64 / (until - from).as_secs_f64()
}

/// Milliseconds, of so many of a hundred. Of none there is none: no goal is held by that.
pub fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
