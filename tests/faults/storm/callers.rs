//! Those who write, read and watch while everything is struck, by way of whatever is in between;
//! and what they must never be told.

use super::batches::{Batch, Batches, Sent, TENANTS};
use crate::{
    frozen,
    history::{Read, Shown},
    stage::{Client, Message},
    support::copy::Copy,
};
use sentby::{
    domain::TenantId,
    pb::{
        IngestAuditBatchResponse, WatchAttributionsRequest, WatchPosition, watch_position::Start,
    },
    simulate::Random,
};
use std::{
    collections::BTreeMap,
    error::Error as _,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic_types::StatusExt as _;

/// What a caller may be told of that it can try again, by code and reason.
const MAY_FAIL: [&str; 6] = [
    "Unavailable STORE_UNAVAILABLE",
    "Unavailable SERVER_STOPPING",
    "DeadlineExceeded DEADLINE_EXCEEDED",
    "ResourceExhausted OVERLOADED",
    "ResourceExhausted READER_TOO_SLOW",
    "Cancelled CANCELLED",
];
/// So often is a call made again, at most, when nothing is struck any more.
const TRIES: u32 = 100;

/// What all callers share.
pub struct Play {
    start: Instant,
    ports: [u16; 2],
    pub batches: Batches,
    /// Batches that were acknowledged, and calls that were not answered.
    pub acknowledged: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
    /// The newest revision that anybody knows of, by tenant.
    newest: [AtomicU64; TENANTS.len()],
    over: AtomicBool,
    /// Up to where watchers watch, when all is over.
    pub goal: OnceLock<BTreeMap<TenantId, u64>>,
}

impl Play {
    pub fn new(ports: [u16; 2]) -> Self {
        Self {
            start: Instant::now(),
            ports,
            batches: Batches::new(),
            acknowledged: AtomicU64::new(0),
            failed: Mutex::default(),
            newest: TENANTS.map(|_| AtomicU64::new(0)),
            over: AtomicBool::new(false),
            goal: OnceLock::new(),
        }
    }

    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn newest(&self, tenant: TenantId) -> &AtomicU64 {
        let of = TENANTS.iter().position(|one| *one == tenant);
        &self.newest[of.expect("one of them")]
    }

    /// How often callers were told what.
    pub fn failures(&self) -> BTreeMap<String, u64> {
        self.failed.lock().expect("no panic").clone()
    }

    fn failed(&self, what: String) {
        *self
            .failed
            .lock()
            .expect("no panic")
            .entry(what)
            .or_default() += 1;
    }

    /// Whatever happens, callers are told what is documented and nothing else.
    #[track_caller]
    fn judge(&self, status: &Status) {
        let Some(info) = status.get_details_error_info() else {
            // no word of sentby: the connection broke, or the client's own clock rang
            let is_broken = status.source().is_some();
            assert!(is_broken, "nobody documented {status:?}");
            self.failed("no answer".into());
            return;
        };
        let told = format!("{:?} {}", status.code(), info.reason);
        assert!(MAY_FAIL.contains(&told.as_str()), "{status:?}");
        self.failed(told);
    }
}

/// A connection to each place, made anew when it breaks.
pub struct Caller {
    play: Arc<Play>,
    clients: [Option<Client>; 2],
    pub random: Random,
    /// It leaves no call early and gives nothing up.
    is_patient: bool,
}

impl Caller {
    pub fn new(play: &Arc<Play>, random: Random) -> Self {
        Self {
            play: Arc::clone(play),
            clients: [None, None],
            random,
            is_patient: false,
        }
    }

    pub fn patient(self) -> Self {
        Self {
            is_patient: true,
            ..self
        }
    }

    async fn client(&mut self, at: usize) -> Option<Client> {
        if self.clients[at].is_none() {
            let url = format!("http://127.0.0.1:{}", self.play.ports[at]);
            let connected = timeout(Duration::from_secs(2), Client::connect(url)).await;
            self.clients[at] = connected.ok()?.ok();
        }
        self.clients[at].clone()
    }

    /// One call there. `None`: it was not answered, or could not be; that is documented.
    async fn call<T, F>(&mut self, at: usize, call: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let client = self.client(at).await?;
        // some leave early
        let patience = match self.random.below(10) {
            0 if !self.is_patient => 20 + self.random.below(200),
            _ => 6_000,
        };
        match timeout(Duration::from_millis(patience), call(client)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(status)) => self.play.judge(&status),
            Err(_) => self.play.failed("left".into()),
        }
        // its connection may be of a server that has gone
        self.clients[at] = None;
        None
    }

    /// Until it is acknowledged; in the storm it may be given up.
    pub async fn send(&mut self, batch: &Arc<Batch>, home: Option<usize>) -> Sent {
        let mut sent = Sent {
            batch: Arc::clone(batch),
            call: self.play.now(),
            answers: Vec::new(),
        };
        let mut tries = 0;
        loop {
            let at = home.unwrap_or(self.random.below(2) as usize);
            let request = batch.request();
            let post = |client: Client| async move {
                let answered = client.ingest().ingest_audit_batch(request).await;
                answered.map(tonic::Response::into_inner)
            };
            if let Some(answer) = self.call(at, post).await {
                self.acknowledged(&mut sent, answer);
                return sent;
            }
            if self.play.is_over() || self.is_patient {
                tries += 1;
                assert!(tries < TRIES, "{batch:?} is never acknowledged");
            } else if self.random.chance(8) {
                return sent;
            }
            sleep(Duration::from_millis(10 + self.random.below(70))).await;
        }
    }

    fn acknowledged(&self, sent: &mut Sent, answer: IngestAuditBatchResponse) {
        sent.batch.assert_answered(&answer);
        let newest = self.play.newest(sent.batch.tenant);
        newest.fetch_max(answer.revision, Relaxed);
        self.play.acknowledged.fetch_add(1, Relaxed);
        sent.answers.push((self.play.now(), answer));
    }
}

/// Sends until all is over, some batches through both at once.
pub async fn write(play: Arc<Play>, mut random: Random) -> Vec<Sent> {
    let mut one = Caller::new(&play, Random(random.next()));
    let mut other = Caller::new(&play, Random(random.next()));
    let mut all = Vec::new();
    while !play.is_over() {
        let batch = play.batches.next(&mut random);
        if random.chance(10) {
            let (a, b) = tokio::join!(one.send(&batch, Some(0)), other.send(&batch, Some(1)));
            all.extend([a, b]);
        } else {
            all.push(one.send(&batch, None).await);
        }
        sleep(Duration::from_millis(random.below(20))).await;
    }
    all
}

/// Of what was given up, the half is sent once more.
pub async fn send_again(play: Arc<Play>, sent: &[Sent], mut random: Random) -> Vec<Sent> {
    let mut caller = Caller::new(&play, Random(random.next()));
    let mut again = Vec::new();
    for sent in sent.iter().filter(|sent| sent.answers.is_empty()) {
        if random.chance(50) {
            again.push(caller.send(&sent.batch, None).await);
        }
    }
    again
}

/// What readers saw, by tenant.
#[derive(Default)]
pub struct Seen(pub BTreeMap<TenantId, (Vec<Read>, Shown)>);

impl Seen {
    pub fn join(&mut self, other: Self) {
        for (tenant, (reads, shown)) in other.0 {
            let known = self.0.entry(tenant).or_default();
            known.0.extend(reads);
            known.1.join(shown);
        }
    }
}

/// Looks messages up until all is over.
pub async fn read(play: Arc<Play>, random: Random) -> Seen {
    let mut caller = Caller::new(&play, random);
    let mut seen = Seen::default();
    while !play.is_over() {
        let random = &mut caller.random;
        let of = random.below(TENANTS.len() as u64) as usize;
        let (tenant, count) = (TENANTS[of], 1 + random.below(8));
        let messages: Vec<u32> = (0..count)
            .map(|_| play.batches.message(of, random))
            .collect();
        let newest = play.newest(tenant).load(Relaxed);
        let asked = match random.below(3) {
            0 => 0,
            1 => newest,
            _ => newest.saturating_sub(random.below(20)),
        };
        let (get, at) = (random.chance(30), random.below(2) as usize);
        let number = |number: &u32| Message {
            tenant,
            number: *number,
        };
        let mut ids: Vec<String> = messages.iter().map(|one| number(one).id()).collect();
        let call = play.now();
        let answers = if get {
            let id = ids.remove(0);
            let get = |client: Client| async move { client.get(tenant, id, asked).await };
            caller.call(at, get).await.map(|one| vec![one])
        } else {
            let lookup = |client: Client| async move { client.lookup(tenant, ids, asked).await };
            caller.call(at, lookup).await
        };
        let returned = play.now();
        let known = seen.0.entry(tenant).or_default();
        for (answer, &message) in answers.into_iter().flatten().zip(&messages) {
            known.0.push(Read {
                message,
                call,
                returned,
                asked,
                seen: answer.revision,
            });
            known.1.add(message, answer);
        }
        sleep(Duration::from_millis(caller.random.below(8))).await;
    }
    seen
}

/// Makes calls of every kind until all is over.
pub async fn visit(play: Arc<Play>, random: Random) -> u64 {
    let mut caller = Caller::new(&play, random);
    let mut calls = 0;
    while !play.is_over() {
        let at = caller.random.below(2) as usize;
        if let Some(client) = caller.client(at).await {
            let done = frozen::calls(client.channel()).await;
            calls += done.len() as u64;
            for (_, done, _) in done {
                if let Err(status) = done {
                    play.judge(&status);
                    caller.clients[at] = None;
                }
            }
        }
        sleep(Duration::from_millis(100 + caller.random.below(200))).await;
    }
    calls
}

/// When nothing is struck any more each kind of call works, at the latest after some tries.
pub async fn assert_all_works(play: &Play, client: &Client) {
    let mut missing = BTreeMap::new();
    for _ in 0..TRIES {
        let done = frozen::calls(client.channel()).await;
        for (call, done, _) in done {
            match done {
                Ok(()) => drop(missing.insert(call, None)),
                Err(status) => {
                    play.judge(&status);
                    missing.entry(call).or_insert(Some(status));
                }
            }
        }
        if missing.values().all(Option::is_none) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("something does not work again: {missing:?}");
}

/// Watches all tenants by the tokens that it was told, until it is at the goal.
pub async fn watch(play: Arc<Play>, random: Random) -> BTreeMap<TenantId, Copy> {
    let mut caller = Caller::new(&play, random);
    let mut copies: BTreeMap<TenantId, Copy> = TENANTS
        .iter()
        .map(|&tenant| (tenant, Copy::of_nothing()))
        .collect();
    loop {
        let position = |(tenant, copy): (&TenantId, &Copy)| WatchPosition {
            tenant_id: tenant.to_string(),
            start: Some(copy.token.clone())
                .filter(|token| !token.is_empty())
                .map(Start::ResumeToken),
            at_least_revision: 0,
        };
        let asked = WatchAttributionsRequest {
            positions: copies.iter().map(position).collect(),
            follow: true,
            checkpoint_interval: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
        };
        let at = caller.random.below(2) as usize;
        let open = |client: Client| async move {
            let opened = client.attributions().watch_attributions(asked).await;
            opened.map(tonic::Response::into_inner)
        };
        let Some(mut stream) = caller.call(at, open).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // it looks for itself now and then, also where nothing is said any more
        let cut = Instant::now() + Duration::from_millis(100 + caller.random.below(1_500));
        while Instant::now() < cut {
            match timeout(Duration::from_millis(100), stream.message()).await {
                Err(_) => {}
                Ok(Ok(Some(response))) => {
                    let tenant = TenantId::parse(&response.tenant_id).expect("an id");
                    let copy = copies.get_mut(&tenant).expect("one that was asked for");
                    copy.take(response);
                    assert_eq!(copy.repeats, 0, "nothing comes again");
                }
                Ok(Ok(None)) => panic!("a watch that follows has no end"),
                Ok(Err(status)) => {
                    play.judge(&status);
                    caller.clients[at] = None;
                    break;
                }
            }
            let is_at = |goal: &BTreeMap<TenantId, u64>| {
                goal.iter()
                    .all(|(tenant, goal)| copies[tenant].revision == Some(*goal))
            };
            if play.goal.get().is_some_and(is_at) {
                return copies;
            }
        }
    }
}
