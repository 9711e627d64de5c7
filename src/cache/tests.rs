//! The same cases over the cache in the process and over a real Redis
//! (`SENTBY_TEST_REDIS_SERVER`: its program).

use super::{
    sealed::tests::{cached, key},
    *,
};
use crate::domain::{Generation, TenantId};
use ::redis::{AsyncConnectionConfig, Value};
use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};
use uuid::Uuid;

fn scope(tenant: u128, generation: i64) -> Arc<Scope> {
    let mut secret = [7; 32];
    secret[0] = u8::try_from(tenant + 16 * generation as u128).expect("small");
    let tenant = TenantId(Uuid::from_u128(tenant));
    Arc::new(Scope::new(tenant, Generation(generation), Some(secret)))
}

fn nothing(as_of: u64) -> Cached {
    Cached {
        as_of: Revision(as_of),
        answer: None,
    }
}

/// What a reader finds, wherever it is. Redis is asked until it is not too late with its answer,
/// as it is where the machine pauses.
async fn find(cache: &Cache, scope: &Arc<Scope>, keys: &[MessageKey]) -> Vec<Option<(u64, bool)>> {
    let mut held = cache.get(scope, keys).await;
    let until = Instant::now() + Duration::from_secs(30);
    while held.is_empty() && matches!(cache, Cache::Redis(_)) {
        assert!(Instant::now() < until, "Redis does not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
        held = cache.get(scope, keys).await;
    }
    let found = |(at, key)| {
        let held = held.get(at).cloned().flatten();
        let found = cache.peek(scope, key).or(held)?;
        Some((found.as_of.0, found.answer.is_some()))
    };
    keys.iter().copied().enumerate().map(found).collect()
}

/// Until it is so, and not for ever: what is filled or settled is there a little later.
async fn eventually(cache: &Cache, scope: &Arc<Scope>, n: u128, expected: Option<(u64, bool)>) {
    let mut found = None;
    for _ in 0..500 {
        found = find(cache, scope, &[key(n)]).await[0];
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found, expected, "key {n}");
}

/// What is set is found at once; where the connection was thrown away meanwhile, because the
/// machine paused, it is set again.
async fn set_is_found(
    cache: &Cache,
    scope: &Arc<Scope>,
    values: Vec<(MessageKey, Cached)>,
    expected: &[Option<(u64, bool)>],
) {
    let keys: Vec<MessageKey> = values.iter().map(|(key, _)| *key).collect();
    for _ in 0..20 {
        let before = connections(cache);
        cache.set(scope, values.clone()).await;
        let found = find(cache, scope, &keys).await;
        if connections(cache) == before {
            assert_eq!(found, expected);
            return;
        }
    }
    panic!("each time the connection was thrown away");
}

async fn conforms(cache: Cache) {
    let (a, b, later) = (scope(1, 1), scope(2, 1), scope(1, 2));
    assert_eq!(find(&cache, &a, &[key(1)]).await, [None]);
    // a writer is seen at once, also one that had nothing to change
    for as_of in [5, 6, 6] {
        let value = vec![(key(1), cached(1, as_of))];
        set_is_found(&cache, &a, value, &[Some((as_of, true))]).await;
    }
    // above 2^53 too
    let large = 1 << 60;
    let newer = [Some((large + 1, true))];
    set_is_found(&cache, &a, vec![(key(2), cached(2, large + 1))], &newer).await;
    set_is_found(&cache, &a, vec![(key(2), nothing(large))], &newer).await;
    // a reader that was overtaken puts nothing old back
    cache.fill(&a, vec![(key(1), nothing(5)), (key(3), nothing(5))]);
    eventually(&cache, &a, 3, Some((5, false))).await;
    cache.fill(&a, vec![(key(3), cached(3, 6))]);
    eventually(&cache, &a, 3, Some((6, true))).await;
    let all = [key(3), key(4), key(1)];
    let found = find(&cache, &a, &all).await;
    assert_eq!(found, [Some((6, true)), None, Some((6, true))]);
    // another tenant, and another life of this one
    assert_eq!(find(&cache, &b, &all).await, [None; 3]);
    assert_eq!(find(&cache, &later, &all).await, [None; 3]);
    // more than one script takes
    let many: Vec<_> = (100..1_300).map(|n| (key(n), cached(n, 7))).collect();
    set_is_found(&cache, &b, many, &[Some((7, true)); 1_200]).await;
}

#[tokio::test]
async fn memory_conforms() {
    conforms(Cache::Memory(MemoryCache::new(10_000))).await;
}

/// A Redis of its own, on a port of its own, that keeps nothing on disk.
struct TestRedis {
    program: PathBuf,
    port: u16,
    child: Child,
}

impl TestRedis {
    /// `None`, said aloud, where there is none; that is a failure under `tests/run`.
    fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("SENTBY_TEST_REDIS_SERVER") else {
            assert!(
                std::env::var_os("REQUIRE_REDIS").is_none(),
                "SENTBY_TEST_REDIS_SERVER is not set: start the suite with tests/run"
            );
            eprintln!("SKIPPED: no SENTBY_TEST_REDIS_SERVER; tests/run has one");
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let program = PathBuf::from(program);
        let child = Self::spawn(&program, port);
        Some(Self {
            program,
            port,
            child,
        })
    }

    fn spawn(program: &PathBuf, port: u16) -> Child {
        Command::new(program)
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                "/tmp",
                "--port",
            ])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts")
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn restart(&mut self) {
        self.kill();
        self.child = Self::spawn(&self.program, self.port);
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let done = Command::new("kill").args([name, &process]).status();
        assert!(done.expect("kill").success());
    }

    async fn cache(&self) -> Cache {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let cache = RedisCache::open(&url, None).await.expect("a URL");
        cache.until_up().await;
        Cache::Redis(cache)
    }

    /// As somebody else with a connection of his own.
    async fn command(&self, words: &[&[u8]]) -> Value {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let client = ::redis::Client::open(url).expect("a URL");
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let mut command = ::redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        for _ in 0..500 {
            let connected = client.get_multiplexed_async_connection_with_config(&config);
            if let Ok(mut connection) = connected.await {
                return command.query_async(&mut connection).await.expect("done");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("Redis does not come up");
    }

    async fn names(&self) -> Vec<Vec<u8>> {
        let Value::Array(names) = self.command(&[b"KEYS", b"sentby:{*"]).await else {
            panic!("names");
        };
        let name = |name| match name {
            Value::BulkString(name) => name,
            other => panic!("{other:?}"),
        };
        names.into_iter().map(name).collect()
    }

    async fn get(&self, name: &[u8]) -> Vec<u8> {
        match self.command(&[b"GET", name]).await {
            Value::BulkString(value) => value,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn connections(cache: &Cache) -> u64 {
    match cache {
        Cache::Redis(redis) => redis.connections(),
        _ => 0,
    }
}

fn alarms(cache: &Cache) -> u64 {
    match cache {
        Cache::Redis(redis) => redis.alarms(),
        Cache::None | Cache::Memory(_) => 0,
    }
}

#[tokio::test]
async fn redis_conforms() {
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    conforms(cache).await;
    let names = redis.names().await;
    assert!(names.len() > 1_000);
    for name in names.iter().take(20) {
        let value = redis.get(name).await;
        let telling = [b"contoso".as_slice(), b"a@x"];
        assert!(
            !telling
                .iter()
                .any(|word| memchr::memmem::find(&value, word).is_some())
        );
        let Value::Int(left) = redis.command(&[b"PTTL", name]).await else {
            panic!("a time");
        };
        assert!((1..=30_000).contains(&left), "{left}");
    }
}

/// Whatever stands there instead of a value is a miss, is counted, and keeps no true one out.
#[tokio::test]
async fn foreign_values_are_alarms_and_do_not_stay() {
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    let a = scope(1, 1);
    let both = vec![(key(1), cached(1, 5)), (key(2), cached(2, 5))];
    set_is_found(&cache, &a, both, &[Some((5, true)); 2]).await;
    let names = redis.names().await;
    let other = redis.get(&names[1]).await;
    let mut cut = redis.get(&names[0]).await;
    cut.pop();
    let foreign: [&[u8]; 5] = [b"", b"x", b"ffffffffffffffff and so on", &other, &cut];
    for (n, foreign) in foreign.into_iter().enumerate() {
        redis.command(&[b"SET", &names[0], foreign]).await;
        let found = find(&cache, &a, &[key(1), key(2)]).await;
        let expected = [None, Some((5, true))];
        assert!(found.iter().all(|one| expected.contains(one)), "{found:?}");
        assert_eq!(found.iter().flatten().count(), 1, "{foreign:?}");
        assert_eq!(alarms(&cache), n as u64 + 1);
        for _ in 0..500 {
            if redis.names().await.len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let both = vec![(key(1), cached(1, 5)), (key(2), cached(2, 5))];
        cache.fill(&a, both);
        eventually(&cache, &a, 1, Some((5, true))).await;
        eventually(&cache, &a, 2, Some((5, true))).await;
    }
    // no text at all
    redis.command(&[b"DEL", &names[0]]).await;
    redis.command(&[b"LPUSH", &names[0], b"x"]).await;
    let both = vec![(key(1), cached(1, 6)), (key(2), cached(2, 6))];
    set_is_found(&cache, &a, both, &[Some((6, true)); 2]).await;
}

/// What was written while Redis was gone is not hidden by what is there from before.
#[tokio::test]
async fn what_is_owed_is_settled_before_it_is_read() {
    let Some(mut redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    let a = scope(1, 1);
    let both = vec![(key(1), cached(1, 5)), (key(2), cached(2, 5))];
    set_is_found(&cache, &a, both, &[Some((5, true)); 2]).await;
    let names = redis.names().await;
    let values = [redis.get(&names[0]).await, redis.get(&names[1]).await];
    redis.kill();
    cache.set(&a, vec![(key(1), cached(1, 6))]).await;
    assert!(cache.get(&a, &[key(1)]).await.is_empty(), "it is away");
    redis.restart();
    for (name, value) in names.iter().zip(&values) {
        // as if it had been frozen only; this may come before or after it is settled
        redis.command(&[b"SET", name, value, b"NX"]).await;
    }
    eventually(&cache, &a, 2, Some((5, true))).await;
    assert_eq!(find(&cache, &a, &[key(1)]).await, [None]);
    // and a reader that was overtaken does not put it back
    cache.fill(&a, vec![(key(1), cached(1, 5)), (key(3), cached(3, 5))]);
    eventually(&cache, &a, 3, Some((5, true))).await;
    assert_eq!(find(&cache, &a, &[key(1)]).await, [None]);
    cache.fill(&a, vec![(key(1), cached(1, 6))]);
    eventually(&cache, &a, 1, Some((6, true))).await;
    assert_eq!(alarms(&cache), 0);
}

/// Errors of one call, and those after which it is not used.
#[tokio::test]
async fn redis_refuses() {
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    let a = scope(1, 1);
    cache.set(&a, vec![(key(1), cached(1, 5))]).await;
    // the scripts are gone: they are sent again
    redis.command(&[b"SCRIPT", b"FLUSH"]).await;
    let value = vec![(key(1), cached(1, 6))];
    set_is_found(&cache, &a, value, &[Some((6, true))]).await;
    // no room: the old value does not stay
    redis
        .command(&[b"CONFIG", b"SET", b"maxmemory", b"1"])
        .await;
    cache.set(&a, vec![(key(1), cached(1, 7))]).await;
    let found = cache.get(&a, &[key(1)]).await; // none at all, where it was late
    assert!(found.iter().all(Option::is_none), "{found:?}");
    redis
        .command(&[b"CONFIG", b"SET", b"maxmemory", b"0"])
        .await;
    let value = vec![(key(1), cached(1, 7))];
    set_is_found(&cache, &a, value, &[Some((7, true))]).await;
    // a replica takes no writes
    redis.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]).await;
    cache.set(&a, vec![(key(1), cached(1, 8))]).await;
    assert!(cache.get(&a, &[key(1)]).await.is_empty(), "it is away");
    redis.command(&[b"REPLICAOF", b"NO", b"ONE"]).await;
    cache.fill(&a, vec![(key(2), cached(2, 8))]);
    for _ in 0..300 {
        cache.fill(&a, vec![(key(2), cached(2, 8))]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eventually(&cache, &a, 2, Some((8, true))).await;
    assert_eq!(find(&cache, &a, &[key(1)]).await, [None], "void");
    assert_eq!(alarms(&cache), 0);
}

/// Frozen: who asks in that moment waits for tens of milliseconds, and nobody after him.
#[tokio::test]
async fn a_frozen_redis_is_waited_for_once() {
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    let a = scope(1, 1);
    let both = vec![(key(1), cached(1, 5)), (key(2), cached(2, 5))];
    set_is_found(&cache, &a, both, &[Some((5, true)); 2]).await;
    redis.signal("-STOP");
    cache.set(&a, vec![(key(1), cached(1, 6))]).await;
    for _ in 0..1_000 {
        assert!(cache.get(&a, &[key(1)]).await.is_empty(), "it is away");
    }
    redis.signal("-CONT");
    eventually(&cache, &a, 2, Some((5, true))).await;
    // the late write may have been done or not: the old value is gone in any case
    let found = find(&cache, &a, &[key(1)]).await;
    assert!([None, Some((6, true))].contains(&found[0]), "{found:?}");
    assert_eq!(alarms(&cache), 0);
}

/// Held up for milliseconds: who reads meanwhile has the store, and the connection stays.
#[tokio::test]
async fn a_redis_that_is_late_is_not_waited_for() {
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let cache = redis.cache().await;
    let a = scope(1, 1);
    // where this process is held up as well it may take too long
    let stays = async || {
        let value = vec![(key(1), cached(1, 5))];
        set_is_found(&cache, &a, value, &[Some((5, true))]).await;
        let connections = connections(&cache);
        redis.signal("-STOP");
        let found = cache.get(&a, &[key(1)]).await;
        redis.signal("-CONT");
        assert!(found.is_empty(), "it is late");
        eventually(&cache, &a, 1, Some((5, true))).await;
        connections == self::connections(&cache)
    };
    for _ in 0..20 {
        if stays().await {
            return;
        }
    }
    panic!("each time the connection was thrown away");
}
