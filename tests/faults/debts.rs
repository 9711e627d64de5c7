//! What a writer could not set in Redis is made good: as soon as he uses Redis again nobody
//! finds the old answer there, though it would last.

use crate::{
    fault::Fault,
    stage::{Client, Message, Replica},
    support::{
        TENANT, TestDb,
        proxy::{Mode, Proxy},
        redis::Redis,
    },
};
use sentby::pb;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const MESSAGES: u32 = 40;

/// That leave in Redis what is there. The last is none: old answers are replaced.
const FAULTS: [(&str, Fault); 8] = [
    ("cut off", Fault::Answers(Mode::Cut)),
    ("frozen", Fault::Frozen),
    ("read-only", Fault::ReadOnly),
    ("out of memory", Fault::OutOfMemory),
    (
        "late",
        Fault::Answers(Mode::Slow(Duration::from_millis(200))),
    ),
    ("random bytes", Fault::Answers(Mode::Noise)),
    ("wrong types", Fault::Answers(Mode::WrongTypes)),
    ("none", Fault::Answers(Mode::Pass)),
];

fn messages() -> impl Iterator<Item = Message> {
    let message = |number| Message {
        tenant: TENANT,
        number,
    };
    (0..MESSAGES).map(message)
}

/// Every message has one record more; the answers from then on.
async fn write(client: &Client, record: u8) -> Vec<pb::Attribution> {
    let records: Vec<_> = messages().map(|message| message.record(record)).collect();
    let posted = client.post(TENANT, &records).await;
    let revision = posted.expect("a cache never fails an ingest").revision;
    let answer = |message: Message| pb::Attribution {
        revision,
        ..message.answer((2 << record) - 1)
    };
    messages().map(answer).collect()
}

async fn answers(client: &Client) -> Vec<pb::Attribution> {
    let ids = messages().map(Message::id).collect();
    let answers = client.lookup(TENANT, ids, 0).await;
    answers.expect("a cache never fails a lookup")
}

/// Each process says that it uses Redis, last.
async fn used_again(replicas: &[Replica], what: &str) {
    sleep(Duration::from_millis(200)).await; // whoever was held up has noticed
    let healed = Instant::now();
    let last = |replica: &Replica, words| replica.server.logged(words).last().copied();
    let is_used = |one| last(one, "\"Redis is used\"") > last(one, "Redis is not used");
    while !replicas.iter().all(is_used) {
        assert!(healed.elapsed() < Duration::from_secs(15), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_makes_good_what_it_could_not_set() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let proxies = [
        Proxy::start(redis.port, 1).await,
        Proxy::start(redis.port, 2).await,
    ];
    let replicas = [0, 1].map(|at: usize| Replica::start(&db, &proxies[at].url()));
    let clients = [replicas[0].client().await, replicas[1].client().await];
    clients[0].register(TENANT).await;
    for (record, (name, fault)) in (1..).zip(FAULTS) {
        // both find the same in Redis
        let old = write(&clients[0], record - 1).await;
        used_again(&replicas, "before").await;
        for client in clients.iter().chain(&clients) {
            assert_eq!(answers(client).await, old, "before {name}");
        }
        fault.strike(&mut redis, &proxies, &[0]).await;
        let new = write(&clients[0], record).await;
        fault.heal(&mut redis, &proxies, &[0]).await;
        used_again(&replicas, name).await;
        for client in &clients {
            assert_eq!(answers(client).await, new, "after {name}");
        }
    }
    replicas.into_iter().for_each(Replica::stop);
}
