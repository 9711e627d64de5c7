//! What is another tenant's, or another message's, is never an answer: whatever stands in Redis.

use crate::{
    seed,
    stage::Replica,
    support::{OTHER_TENANT, TENANT, TestDb, redis::Redis, resp::Reply},
    truth::{MESSAGES, Truth, hits_are_back},
};
use sentby::simulate::Random;

/// Two tenants with the same message ids, and every value at another key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossed_values_are_never_answers() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(redis) = Redis::start().await else {
        return;
    };
    let server = Replica::start(&db, &redis.url());
    let client = server.client().await;
    let one = Truth::store(&client, TENANT).await;
    let other = Truth::store(&client, OTHER_TENANT).await;
    let seed = seed();
    let mut random = Random(seed);
    for round in 0..12 {
        let what = format!("round {round}, seed {seed}");
        // all is in Redis, and comes from there
        one.assert_all(&client, &what).await;
        other.assert_all(&client, &what).await;
        for truth in [&one, &other] {
            hits_are_back(std::slice::from_ref(truth), &client, &[&redis], &what).await;
        }
        let spoiled = spoil(&redis, round, &mut random).await;
        assert!(spoiled >= MESSAGES as usize, "{spoiled} values in Redis");
        one.assert_all(&client, &what).await;
        other.assert_all(&client, &what).await;
    }
    let alarms = server
        .server
        .logged("CACHE: Redis gave what sentby did not put there");
    assert!(!alarms.is_empty(), "it is told");
    server.stop();
}

/// Puts every value at another key, or something else in its place; how many.
async fn spoil(redis: &Redis, round: u32, random: &mut Random) -> usize {
    let mut values = Vec::new();
    for key in redis.keys().await {
        let dumped = redis.ask(&[b"DUMP", &key]).await;
        if let Reply::Bytes(Some(dumped)) = dumped {
            values.push((key, dumped));
        }
    }
    // sorted by key: half of all is mostly the other tenant's, one is a neighbour
    let by = match round % 6 {
        0 => values.len() / 2,
        1 => 1,
        _ => random.below(values.len() as u64) as usize,
    };
    for (at, (key, own)) in values.iter().enumerate() {
        let foreign = &values[(at + by) % values.len()].1;
        let bytes: Vec<u8> = own.iter().map(|_| random.next().to_le_bytes()[0]).collect();
        match round % 6 {
            3 => drop(redis.ask(&[b"SET", key, &bytes]).await),
            4 => drop(redis.ask(&[b"SET", key, b""]).await),
            5 => {
                redis.ask(&[b"DEL", key]).await;
                redis.ask(&[b"RPUSH", key, &bytes]).await;
            }
            _ => {
                let restore: [&[u8]; 5] = [b"RESTORE", key, b"60000", foreign, b"REPLACE"];
                redis.ask(&restore).await;
            }
        }
    }
    values.len()
}
