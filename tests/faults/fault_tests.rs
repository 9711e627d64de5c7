//! A fault that is none would prove nothing: each is felt by who asks Redis, and not after it.

use super::*;
use crate::{lookups::FAULTS, support::resp};
use std::time::Duration;
use tokio::time::timeout;

/// What is asked and what is answered at a port, if it is.
async fn asked(port: u16) -> Option<Vec<resp::Reply>> {
    let words: [&[&[u8]]; 4] = [
        &[b"SET", b"one", b"1"],
        &[b"GET", b"two"],
        &[b"MGET", b"one", b"two"],
        &[b"GET", b"three"],
    ];
    let questions = words.map(resp::question);
    let answered = timeout(Duration::from_millis(150), resp::exchange(port, &questions));
    answered.await.ok()?.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_felt_while_it_lasts() {
    for (name, fault) in FAULTS {
        let Some(mut redis) = Redis::start().await else {
            return;
        };
        let proxies = [Proxy::start(redis.port, 1).await];
        let port = proxies[0].port;
        let fill = async |redis: &Redis| {
            redis.command("MSET one 1 two 2 three 3").await;
        };
        fill(&redis).await;
        let right = asked(port).await.expect("answered");

        fault.strike(&mut redis, &proxies, &[0]).await;
        let mut felt = 0;
        for _ in 0..40 {
            felt += usize::from(asked(port).await.as_ref() != Some(&right));
        }
        fault.heal(&mut redis, &proxies, &[0]).await;

        fill(&redis).await;
        let healed = timeout(Duration::from_secs(10), async {
            while asked(port).await.as_ref() != Some(&right) {}
        });
        healed.await.unwrap_or_else(|_| panic!("{name} goes on"));
        assert_eq!(felt > 0, name != "none", "{name}");
    }
}
