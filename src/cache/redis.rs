//! The cache that replicas share: Redis, or a Redis Cluster.
//!
//! | file | |
//! |---|---|
//! | `redis/link.rs` | the one connection: in use, or away |
//! | `redis/owed.rs` | what writers could not set |
//! | `redis/server.rs` | the setting → connections |
//! | `redis/examine.rs` | what a server needs of it, looked at |
//! | `redis/*.lua` | what is compared and changed at once |

mod examine;
mod link;
mod owed;
mod server;

use super::{
    Cached, Coalescer, Scope, Source,
    scope::Seal,
    sealed::{AS_OF, Opened},
};
use crate::{
    domain::{MessageKey, Revision},
    telemetry::meters::{Cache as Counted, is_installed, meters, on_render},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub use examine::examine;
use link::{Failed, Link, Live, Refused};
use redis::{Cmd, Value};
use server::Server;
use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::AbortHandle};

/// How long an answer is kept: the longest that it can be out of date.
pub const FOUND: Duration = Duration::from_secs(30);
/// "Nothing is stored" is wrong as soon as a record arrives.
pub const ABSENT: Duration = Duration::from_secs(5);

/// Values of one script: Redis does nothing else meanwhile.
const CHUNK: usize = 500;
/// Fills under way. More are left out: they are a help, not a duty.
const FILLS: usize = 64;
/// How long the start waits for a Redis that is slow or not there.
const PATIENCE_AT_START: Duration = Duration::from_millis(500);

static SET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/set.lua")));
static DROP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/drop.lua")));
/// At most one report of foreign values in so long.
const REPORT: Duration = Duration::from_secs(10);

struct Script {
    text: &'static str,
    /// SHA-1 of the text, as Redis wants it.
    name: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let digits = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            text,
            name: digits.collect(),
        }
    }
}

#[derive(Debug)]
pub struct RedisCache {
    shared: Arc<Shared>,
    reads: Coalescer<Reads>,
    fills: Arc<Semaphore>,
    keeper: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    link: Arc<Link>,
    /// Values that were none of ours.
    alarms: AtomicU64,
    reported: Mutex<Option<Instant>>,
}

/// A value, where it belongs, and how long it lasts.
struct Entry {
    name: String,
    value: Vec<u8>,
    lasts: Duration,
}

/// What becomes of keys there is no room to set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfFull {
    Leave,
    Delete,
}

impl RedisCache {
    /// `url`: `redis://`, `rediss://`, `redis-cluster://`, `rediss-cluster://`. `ca`: PEM; the
    /// authority to trust instead of the public ones. A Redis that is not there now is
    /// connected to as soon as it is.
    pub async fn open(url: &str, ca: Option<Vec<u8>>) -> Result<Self, String> {
        // the text of the error names what is wrong, never the URL
        let server = Server::new(url, ca).map_err(|error| error.to_string())?;
        let link = Arc::new(Link::new(server, FOUND));
        let shared = Arc::new(Shared {
            link: Arc::clone(&link),
            alarms: AtomicU64::new(0),
            reported: Mutex::default(),
        });
        sampled(&link);
        let settling = Arc::clone(&shared);
        let keeper = tokio::spawn(Arc::clone(&link).keep(move |live, scope, keys| {
            let shared = Arc::clone(&settling);
            async move { shared.settle(&live, &scope, &keys).await }
        }));
        let cache = Self {
            reads: Coalescer::new(Reads(Arc::clone(&shared))),
            shared,
            fills: Arc::new(Semaphore::new(FILLS)),
            keeper: keeper.abort_handle(),
        };
        let _ = tokio::time::timeout(PATIENCE_AT_START, cache.until_up()).await;
        Ok(cache)
    }

    /// Returns as soon as values are read.
    pub(super) async fn until_up(&self) {
        while !self.shared.link.is_up() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn get(&self, scope: &Arc<Scope>, keys: &[MessageKey]) -> Vec<Option<Cached>> {
        if keys.is_empty() || !self.shared.link.is_up() {
            return Vec::new();
        }
        self.reads.read(scope, keys).await.unwrap_or_default()
    }

    pub(super) fn fill(&self, scope: &Arc<Scope>, values: Vec<(MessageKey, Cached)>) {
        let (Some(live), Ok(permit)) = (
            self.shared.link.writer(),
            Arc::clone(&self.fills).try_acquire_owned(),
        ) else {
            return;
        };
        let (shared, scope) = (Arc::clone(&self.shared), Arc::clone(scope));
        tokio::spawn(async move {
            if let Some(seal) = &scope.seal {
                let entries = entries(seal, &values);
                let _ = shared.put(&live, &entries, IfFull::Leave).await;
            }
            drop(permit);
        });
    }

    pub(super) async fn set(&self, scope: &Arc<Scope>, values: Vec<(MessageKey, Cached)>) {
        let Some(seal) = &scope.seal else { return };
        if values.is_empty() {
            return;
        }
        let done = match self.shared.link.writer() {
            Some(live) => {
                let entries = entries(seal, &values);
                let whole = entries.len() == values.len();
                let put = self.shared.put(&live, &entries, IfFull::Delete).await;
                whole && put.is_ok()
            }
            None => false,
        };
        if !done {
            let keys: Vec<_> = values.iter().map(|(key, v)| (*key, v.as_of)).collect();
            self.shared.link.owe(scope, &keys);
        }
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> u64 {
        self.shared.link.connections()
    }

    /// Values that were found and were none of ours: crossed, changed, or of another deployment.
    pub fn alarms(&self) -> u64 {
        self.shared.alarms.load(Ordering::Relaxed)
    }
}

fn sampled(link: &Arc<Link>) {
    if is_installed() {
        let (up, owed) = Counted::redis();
        let link = Arc::clone(link);
        on_render(move || {
            up.set(if link.is_up() { 1.0 } else { 0.0 });
            owed.set(link.owed() as f64);
        });
    }
}

impl Drop for RedisCache {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn name(seal: &Seal, key: MessageKey) -> String {
    let mut name = String::with_capacity(seal.name.len() + 22);
    name.push_str(&seal.name);
    URL_SAFE_NO_PAD.encode_string(key.0.as_bytes(), &mut name);
    name
}

/// What cannot be sealed is left out.
fn entries(seal: &Seal, values: &[(MessageKey, Cached)]) -> Vec<Entry> {
    let entry = |(key, cached): &(MessageKey, Cached)| {
        Some(Entry {
            name: name(seal, *key),
            value: seal.sealer.seal(*key, cached)?,
            lasts: match cached.answer {
                Some(_) => FOUND,
                None => ABSENT,
            },
        })
    };
    values.iter().filter_map(entry).collect()
}

impl Shared {
    /// Sets what is not older than what is there, a part after the other.
    async fn put(&self, live: &Live, entries: &[Entry], if_full: IfFull) -> Result<(), Failed> {
        for chunk in entries.chunks(CHUNK) {
            let script = |command: &mut Cmd| {
                command.arg(chunk.len());
                for entry in chunk {
                    command.arg(&entry.name);
                }
                for entry in chunk {
                    command
                        .arg(&entry.value)
                        .arg(entry.lasts.as_millis() as u64);
                }
            };
            match self.run(live, &SET, script).await {
                // an old value must not stay: deleting needs no room
                Err(Failed::Refused(Refused::Full)) if if_full == IfFull::Delete => {
                    let mut delete = redis::cmd("DEL");
                    for entry in chunk {
                        delete.arg(&entry.name);
                    }
                    self.link.call(live, &delete).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn settle(
        &self,
        live: &Live,
        scope: &Scope,
        keys: &[(MessageKey, Revision)],
    ) -> Result<(), Failed> {
        let Some(seal) = &scope.seal else {
            return Ok(());
        };
        let void = |(key, as_of): &(MessageKey, Revision)| {
            Some(Entry {
                name: name(seal, *key),
                value: seal.sealer.seal_void(*key, *as_of)?,
                lasts: FOUND,
            })
        };
        let voids: Vec<Entry> = keys.iter().filter_map(void).collect();
        if voids.len() < keys.len() {
            return Err(self.link.lost(live, "there is no randomness"));
        }
        self.put(live, &voids, IfFull::Delete).await
    }

    /// Runs a script by its name, and sends it where it is not known.
    async fn run(
        &self,
        live: &Live,
        script: &Script,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<(), Failed> {
        let mut by_name = redis::cmd("EVALSHA");
        by_name.arg(&script.name);
        arguments(&mut by_name);
        match self.link.call(live, &by_name).await {
            Err(Failed::Refused(Refused::NoScript)) => {
                let mut whole = redis::cmd("EVAL");
                whole.arg(script.text);
                arguments(&mut whole);
                self.link.call(live, &whole).await?;
            }
            done => drop(done?),
        }
        Ok(())
    }

    fn alarm(&self, foreign: usize) {
        meters().cache.foreign.increment(foreign as u64);
        let before = self.alarms.fetch_add(foreign as u64, Ordering::Relaxed);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|at| at.elapsed() > REPORT) {
            *reported = Some(Instant::now());
            let so_far = before + foreign as u64;
            tracing::error!(
                so_far,
                "CACHE: Redis gave what sentby did not put there; it was not answered"
            );
        }
    }

    /// They could keep true ones out: they may claim to be the newest.
    fn drop_foreign(self: &Arc<Self>, live: Live, foreign: Vec<(String, Vec<u8>)>) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            for chunk in foreign.chunks(CHUNK) {
                let arguments = |command: &mut Cmd| {
                    command.arg(chunk.len());
                    for (name, _) in chunk {
                        command.arg(name);
                    }
                    for (_, begins) in chunk {
                        command.arg(begins);
                    }
                };
                if shared.run(&live, &DROP, arguments).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Redis as the coalescer reads it.
#[derive(Debug)]
struct Reads(Arc<Shared>);

/// There is no answer: the store has to be asked.
#[derive(Clone, Copy, Debug)]
struct Away;

impl Source for Reads {
    type Of = Arc<Scope>;
    type Value = Option<Cached>;
    type Error = Away;

    async fn read(
        &self,
        scope: &Arc<Scope>,
        keys: &[MessageKey],
    ) -> Result<Vec<Option<Cached>>, Away> {
        let Self(shared) = self;
        let live = shared.link.reader().ok_or(Away)?;
        let seal = scope.seal.as_ref().ok_or(Away)?;
        let mut get = redis::cmd("MGET");
        for key in keys {
            get.arg(name(seal, *key));
        }
        let Ok(found) = shared.link.ask(&live, get).await else {
            return Err(Away);
        };
        let values = match found {
            Value::Array(values) if values.len() == keys.len() => values,
            _ => {
                shared.alarm(1);
                shared
                    .link
                    .lost(&live, "its answer was not to the question");
                return Err(Away);
            }
        };
        let mut foreign = Vec::new();
        let mut open = |(value, key): (Value, &MessageKey)| {
            let mut value = match value {
                Value::Nil => return None,
                Value::BulkString(value) => value,
                _ => Vec::new(),
            };
            let begins = value[..value.len().min(AS_OF)].to_vec();
            match seal.sealer.open(*key, &mut value) {
                Some(Opened::Value(cached)) => return Some(cached),
                Some(Opened::Void) => {}
                None => foreign.push((name(seal, *key), begins)),
            }
            None
        };
        let cached = values.into_iter().zip(keys).map(&mut open).collect();
        if !foreign.is_empty() {
            shared.alarm(foreign.len());
            shared.drop_foreign(live, foreign);
        }
        Ok(cached)
    }

    fn broken() -> Away {
        Away
    }
}
