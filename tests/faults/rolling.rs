//! Two replicas are restarted one after the other while callers look up, ingest and watch: with
//! the stated retry policy (docs/clients.md) not one call fails, nothing that was acknowledged
//! is lost, and the watch tells each message once.
//!
//! `SENTBY_TEST_RESTARTS` sets how many restarts there are.

use crate::{
    set,
    stage::{Client, Message, Replica},
    support::{TENANT, TestDb, ledger, wire::Wire},
};
use sentby::pb;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Status};

const WRITERS: u32 = 2;
const READERS: u32 = 3;
/// Messages between two restarts.
const BETWEEN: usize = 25;
/// The policy of docs/clients.md.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// What all callers share: where the replicas are, and what was acknowledged.
struct Play {
    ports: [u16; 2],
    acknowledged: Mutex<Vec<(Message, u64)>>,
    next: AtomicU32,
    calls: AtomicUsize,
    retries: AtomicUsize,
    over: AtomicBool,
    /// All that was written is acknowledged.
    written: AtomicBool,
}

impl Play {
    /// Until there are so many more messages.
    async fn go_on(&self) {
        let count = || self.acknowledged.lock().expect("no panic").len();
        let enough = count() + BETWEEN;
        let wait = async {
            while count() < enough {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        waited.expect("callers go on");
    }

    fn acknowledge(&self, message: Message, revision: u64) {
        let mut acknowledged = self.acknowledged.lock().expect("no panic");
        acknowledged.push((message, revision));
    }
}

/// A caller that spreads its calls over both, as a balancing client does.
struct Caller {
    play: Arc<Play>,
    clients: [Option<Client>; 2],
    turn: usize,
}

impl Caller {
    fn new(play: &Arc<Play>) -> Self {
        Self {
            play: Arc::clone(play),
            clients: [None, None],
            turn: 0,
        }
    }

    async fn client(&mut self) -> Result<Client, Status> {
        self.turn += 1;
        let at = self.turn % 2;
        if self.clients[at].is_none() {
            let url = format!("http://127.0.0.1:{}", self.play.ports[at]);
            let connected = Client::connect(url).await;
            let refused = |error: tonic::transport::Error| Status::unavailable(error.to_string());
            self.clients[at] = Some(connected.map_err(refused)?);
        }
        Ok(self.clients[at].clone().expect("connected"))
    }

    /// One call, by the policy.
    async fn call<T, F>(&mut self, call: impl Fn(Client) -> F) -> T
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.play.calls.fetch_add(1, Relaxed);
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let called = match self.client().await {
                Ok(client) => call(client).await,
                Err(refused) => Err(refused),
            };
            match called {
                Ok(answer) => return answer,
                Err(status) if attempt < ATTEMPTS && is_unavailable(&status) => {
                    self.play.retries.fetch_add(1, Relaxed);
                    // its connection may be of a server that has gone
                    self.clients[self.turn % 2] = None;
                    sleep(wait).await;
                    wait *= 2;
                }
                Err(status) => panic!("attempt {attempt}: {status:?}"),
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// By the server, or because the connection broke, which other clients call so by themselves.
fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

async fn write(play: Arc<Play>) {
    let mut caller = Caller::new(&play);
    while !play.over.load(Relaxed) {
        let number = play.next.fetch_add(1, Relaxed);
        let message = Message {
            tenant: TENANT,
            number,
        };
        let post = |client: Client| async move {
            let records = [message.record(1)];
            client.post(TENANT, &records).await
        };
        let posted = caller.call(post).await;
        play.acknowledge(message, posted.revision);
        sleep(Duration::from_millis(3)).await;
    }
}

async fn read(play: Arc<Play>, seed: u32) {
    let mut caller = Caller::new(&play);
    let mut random = sentby::simulate::Random(u64::from(seed));
    while !play.over.load(Relaxed) {
        let asked = {
            let acknowledged = play.acknowledged.lock().expect("no panic");
            (!acknowledged.is_empty()).then(|| *random.pick(&acknowledged))
        };
        let Some((message, revision)) = asked else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let look = |client: Client| async move {
            let ids = vec![message.id()];
            client.lookup(TENANT, ids, revision).await
        };
        let answers = caller.call(look).await;
        assert_eq!(answers[0].verdict(), pb::Verdict::Attributed, "{answers:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// How often each message was told. Ends when all that was acknowledged was.
async fn watch(play: Arc<Play>) -> HashMap<String, u32> {
    let mut caller = Caller::new(&play);
    let mut told: HashMap<String, u32> = HashMap::new();
    let mut token = String::new();
    loop {
        let start = (!token.is_empty()).then(|| token.clone());
        let start = start.map(pb::watch_position::Start::ResumeToken);
        let position = pb::WatchPosition {
            tenant_id: TENANT.to_string(),
            start,
            ..Default::default()
        };
        let request = pb::WatchAttributionsRequest {
            positions: vec![position],
            follow: true,
            checkpoint_interval: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
        };
        let open = |client: Client| {
            let request = request.clone();
            async move { client.attributions().watch_attributions(request).await }
        };
        let mut stream = caller.call(open).await.into_inner();
        loop {
            match stream.message().await {
                Ok(Some(more)) => {
                    token = more.resume_token;
                    for change in more.changes {
                        let id = change.attribution.expect("an attribution").message_id;
                        *told.entry(id).or_default() += 1;
                    }
                }
                Ok(None) => panic!("a watch has no end"),
                Err(status) if is_unavailable(&status) => break,
                Err(status) => panic!("{status:?}"),
            }
            let count = play.acknowledged.lock().expect("no panic").len();
            if play.written.load(Relaxed) && told.len() >= count {
                return told;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_rolling_restart() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let restarts: usize = set("SENTBY_TEST_RESTARTS").unwrap_or(4);
    let start = || Replica::start(&db, "none");
    let mut replicas = [Some(start()), Some(start())];
    let port = |replica: &Option<Replica>| {
        let address = &replica.as_ref().expect("running").server.address;
        let (_, port) = address.rsplit_once(':').expect("a port");
        port.parse::<u16>().expect("a number")
    };
    // callers know a place, whoever is there now
    let places = [
        Wire::to(port(&replicas[0])).await,
        Wire::to(port(&replicas[1])).await,
    ];
    let client = replicas[0].as_ref().expect("running").client().await;
    client.register(TENANT).await;
    let play = Arc::new(Play {
        ports: [places[0].port, places[1].port],
        acknowledged: Mutex::default(),
        next: AtomicU32::new(1),
        calls: AtomicUsize::new(0),
        retries: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        written: AtomicBool::new(false),
    });
    let mut callers = JoinSet::new();
    for n in 0..WRITERS.max(READERS) {
        if n < WRITERS {
            callers.spawn(write(Arc::clone(&play)));
        }
        if n < READERS {
            callers.spawn(read(Arc::clone(&play), n));
        }
    }
    let watching = tokio::spawn(watch(Arc::clone(&play)));
    for restart in 0..restarts {
        play.go_on().await;
        let at = restart % 2;
        let begun = Instant::now();
        let old = replicas[at].take().expect("running");
        // as who waits for the end of a process does, without keeping callers from running
        let stopped = tokio::task::spawn_blocking(move || old.stop()).await;
        stopped.expect("in order");
        let took = begun.elapsed();
        replicas[at] = Some(start());
        places[at].lead_to(port(&replicas[at]));
        println!("restart {restart}: stopped in {took:?}");
        assert!(took < Duration::from_secs(12), "{took:?}");
        assert!(!watching.is_finished(), "it watches on");
    }
    play.go_on().await;
    play.over.store(true, Relaxed);
    callers.join_all().await;
    play.written.store(true, Relaxed);
    let told = tokio::time::timeout(Duration::from_secs(30), watching).await;
    let told = told.expect("all is told").expect("no panic");
    let acknowledged = play.acknowledged.lock().expect("no panic").clone();
    println!(
        "{} calls, {} retried, 0 failed; {} messages",
        play.calls.load(Relaxed),
        play.retries.load(Relaxed),
        acknowledged.len()
    );
    for (message, _) in &acknowledged {
        assert_eq!(told.get(&message.id()), Some(&1), "{message:?}");
    }
    assert_eq!(told.len(), acknowledged.len());
    let stored = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
    assert_eq!(db.number(stored, TENANT).await, acknowledged.len() as i64);
    db.assert_gapless(TENANT).await;
    let calls = [("calls", play.calls.load(Relaxed) as f64)];
    ledger::tell("rolling-restarts", restarts as u64, &calls);
    replicas.into_iter().flatten().for_each(Replica::stop);
}
