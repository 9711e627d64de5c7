//! The only wiring: configuration → store → cache → use cases → services → connections.

pub mod doctor;
mod door;
mod listener;
pub mod ops;
mod tls;

pub use door::Door;

use crate::{
    access::Access,
    app::{self, App, Limits, Unfit, restored::Restored},
    cache::{Cache, MemoryCache, RedisCache},
    config::{self, CacheKind, Config, DatabaseUrl},
    domain::TenantId,
    grpc::{self, access::AccessLayer, health, layers, observe},
    store::{self, SCHEMA_VERSIONS, Store, StoreError, retrying},
    telemetry::meters,
};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, future::Future, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint, Server},
};
use tower::{
    Layer as _, Service,
    layer::util::{Identity, Stack},
    service_fn,
};

/// How long calls in progress may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How often work that another process left is looked for.
const RESUME: Duration = Duration::from_secs(60);
/// How often what has expired is deleted.
const EXPIRE: Duration = Duration::from_secs(3_600);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Access(String),
    #[error("the key file {path} cannot be used: {why}")]
    KeyFile { path: PathBuf, why: String },
    #[error(
        "the schema of {database} is not one that this program works with (found {found}, it \
         works with version {} to {}): run `sentby migrate --database URL`, or a newer program",
        SCHEMA_VERSIONS.start(), SCHEMA_VERSIONS.end()
    )]
    Schema { database: String, found: String },
    #[error("{database} is not as it must be: {unfit}")]
    Unfit { database: String, unfit: Unfit },
    #[error("the cache {cache} cannot be used: {why}")]
    Cache { cache: String, why: String },
    #[error("{database} cannot be opened: {}", chain(.error))]
    Store { database: String, error: StoreError },
}

/// From which version of the schema to which. `from` is `None` where there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    pub from: Option<i64>,
    pub to: i64,
}

/// Opens the store and builds the use cases. An SQLite file is migrated by itself; a
/// Postgres only by `migrate`, since other replicas may be at work on it.
pub async fn open(config: &Config) -> Result<Arc<App>, OpenError> {
    let secret = config.key_file.as_ref().map(key_file).transpose()?;
    let store = open_store(config)?;
    if matches!(config.database, DatabaseUrl::Sqlite(_)) {
        // a file that other processes make at this moment is locked without a time to wait
        retrying(|| store.migrate())
            .await
            .map_err(|source| failed(config, source))?;
    }
    let is_reached = match retrying(|| store.schema_version()).await {
        Ok(Some(version)) if SCHEMA_VERSIONS.contains(&version) => true,
        Ok(found) => {
            return Err(OpenError::Schema {
                database: config.database.to_string(),
                found: found.map_or("no schema".into(), |version| format!("version {version}")),
            });
        }
        // a database that is down now may be up in a minute: health tells until then
        Err(StoreError::Unavailable(cause)) => {
            tracing::warn!(error = %cause, "the database cannot be reached yet");
            false
        }
        Err(source) => return Err(failed(config, source)),
    };
    let cache = open_cache(config).await?;
    let limits = Limits {
        ingest_memory: config.ingest_memory,
        change_days: config.change_days,
        connections: config.max_connections,
        unjoined_send_days: config.unjoined_send_days,
        delete_grace_days: config.delete_grace_days,
    };
    let app = App::new(store, cache, secret, limits);
    let app = Arc::new(app.with_settings(config.effective()));
    // what cannot be reached is looked at before the first call is served
    if is_reached {
        match app.unfit(true).await {
            Ok(None) => {}
            Ok(Some(unfit)) => {
                let database = config.database.to_string();
                return Err(OpenError::Unfit { database, unfit });
            }
            Err(error) => tracing::warn!(%error, "the database could not be looked at yet"),
        }
    }
    Ok(app)
}

async fn open_cache(config: &Config) -> Result<Cache, OpenError> {
    let refuse = |why: String| OpenError::Cache {
        cache: config.cache.to_string(),
        why,
    };
    Ok(match &config.cache {
        CacheKind::Memory => Cache::Memory(MemoryCache::new(config.cache_entries)),
        CacheKind::None => Cache::None,
        CacheKind::Redis(url) => {
            let ca = config.cache_ca_file.as_ref().map(std::fs::read);
            let ca = ca.transpose();
            let ca = ca.map_err(|error| refuse(format!("cache-ca-file: {error}")))?;
            Cache::Redis(RedisCache::open(url, ca).await.map_err(refuse)?)
        }
    })
}

/// Applies the migrations that are missing.
pub async fn migrate(config: &Config) -> Result<MigrationReport, OpenError> {
    let store = open_store(config)?;
    let (from, to) = store
        .migrate()
        .await
        .map_err(|source| failed(config, source))?;
    if !SCHEMA_VERSIONS.contains(&to) {
        return Err(OpenError::Schema {
            database: config.database.to_string(),
            found: format!("version {to}"),
        });
    }
    Ok(MigrationReport { from, to })
}

/// After a restore from a backup: what was told since that backup is refused from now on. Of
/// one tenant, or of all.
pub async fn restored(
    config: &Config,
    tenant: Option<TenantId>,
) -> Result<Vec<Restored>, RestoredError> {
    let app = open(config).await?;
    Ok(app
        .detached(move |app| async move { app.restored(tenant).await })
        .await?)
}

#[derive(Debug, thiserror::Error)]
pub enum RestoredError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Failed(#[from] app::Error),
}

/// Lets a role of Postgres read the views and nothing else; makes it if it is not there. SQLite
/// has no roles. `tenants`: whose rows it reads from now on; `None`: all.
pub async fn grant_reader(
    config: &Config,
    role: &str,
    tenants: Option<&[TenantId]>,
) -> Result<(), OpenError> {
    let url = postgres(config)?;
    let granted = store::grant_reader(url, role, tenants).await;
    granted.map_err(|source| failed(config, source))
}

/// Lets a role of Postgres serve and nothing else; makes it if it is not there.
pub async fn grant_program(config: &Config, role: &str) -> Result<(), OpenError> {
    let granted = store::grant_program(postgres(config)?, role).await;
    granted.map_err(|source| failed(config, source))
}

fn postgres(config: &Config) -> Result<&str, OpenError> {
    match &config.database {
        DatabaseUrl::Postgres(url) => Ok(url),
        DatabaseUrl::Sqlite(_) => {
            let why = "SQLite has no roles".into();
            Err(failed(config, StoreError::Url(why)))
        }
    }
}

/// Serves until `shutdown`, then lets calls in progress end, at most [`DRAIN`] long.
pub async fn serve(
    app: Arc<App>,
    door: impl Into<Door>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    let door = door.into();
    let access = door.access();
    let (connections, following) = door.into_parts();
    let following = tokio::spawn(following);
    let (reporter, health) = health::new().await;
    let watch = tokio::spawn(health::watch(Arc::clone(&app), reporter.clone()));
    let housekeeping = tokio::spawn(housekeeping(Arc::clone(&app)));
    let stopping = CancellationToken::new();
    let stop = {
        let (watch, stopping) = (watch.abort_handle(), stopping.clone());
        async move {
            shutdown.await;
            tracing::info!("stopping: no new calls, those in progress may end");
            watch.abort();
            health::draining(&reporter).await;
            stopping.cancel();
        }
    };
    let serving = builder(&app, access)
        .max_connection_age(age())
        .add_routes(grpc::routes(&app, health, &stopping))
        .serve_with_incoming_shutdown(connections, stop);
    // an idle peer can hold a graceful stop for ever
    let result = tokio::select! {
        result = serving => result,
        () = async { stopping.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("stopped with connections still open");
            Ok(())
        }
    };
    watch.abort();
    following.abort();
    housekeeping.abort();
    result
}

/// The same services over a connection in memory: what a command does straight on a
/// database goes the same way as what it does through a server.
pub fn in_process(app: Arc<App>) -> Channel {
    let (client, server) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let (_, health) = health::new().await;
        let connection = tokio_stream::once(Ok::<DuplexStream, io::Error>(server));
        // who holds the database needs nobody's leave
        let serving = builder(&app, Arc::new(Access::Everybody))
            // it ends with its one client
            .add_routes(grpc::routes(&app, health, &CancellationToken::new()))
            .serve_with_incoming(connection);
        if let Err(error) = serving.await {
            tracing::error!(%error, "the connection in memory broke");
        }
    });
    let mut client = Some(client);
    Endpoint::from_static("http://in-process").connect_with_connector_lazy(service_fn(
        move |_: http::Uri| {
            let client = client.take().map(TokioIo::new);
            async move { client.ok_or_else(|| io::Error::other("there is one connection only")) }
        },
    ))
}

/// The same services behind the same layers, without a connection: for those who decide themselves
/// when a call is polled, and when it is dropped.
pub async fn service(
    app: Arc<App>,
) -> impl Service<
    http::Request<Body>,
    Response = http::Response<impl http_body::Body<Data = Bytes, Error = Status>>,
    Error = Infallible,
    Future: Send,
> + Clone {
    let (_, health) = health::new().await;
    let routes = grpc::routes(&app, health, &CancellationToken::new());
    stack(&app, Arc::new(Access::Everybody)).layer(routes)
}

/// Calls of one connection at a time.
const CALLS: u32 = grpc::MAX_CONNECTION_CALLS;
/// Largest frame that callers may send: a batch of megabytes in few of them.
const FRAME: u32 = 256 << 10;
/// What may be on the way to one call, which no admission counts. Each time it is used up the
/// caller waits until we were scheduled, which on busy processors takes milliseconds.
const WINDOW: u32 = 1 << 20;
/// Of the names and values of one call's metadata. More is answered by 431 without being kept.
const HEADERS: u32 = 16 << 10;
/// Streams that a peer resets before we looked at them, and those that we reset for what it
/// sent on them. One more ends the connection (ENHANCE_YOUR_CALM).
const UNSEEN_RESETS: usize = 20;
const FORCED_RESETS: usize = 256;
/// A peer that does not answer for so long is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// A connection this old takes no new calls, so that callers spread over new replicas. Its
/// streams live on: a watch ends with the server, or when its caller does. (tonic's grace would
/// cut the calls in progress off.)
const AGE: Duration = Duration::from_secs(600);

const _: () = assert!(config::MIN_INGEST_MEMORY == grpc::MAX_INGEST_BYTES);

/// The last one is the first to see a call.
type Layers = Stack<AccessLayer, Stack<layers::EdgeLayer, observe::ObserveLayer>>;

/// What stands before every service.
fn stack(app: &Arc<App>, access: Arc<Access>) -> Layers {
    let edge = layers::EdgeLayer::new(Arc::clone(app));
    let outer = Stack::new(edge, observe::ObserveLayer);
    Stack::new(AccessLayer::new(access), outer)
}

/// Each guard is set here: those that hyper has by itself tonic takes away where it is not told.
fn builder(app: &Arc<App>, access: Arc<Access>) -> Server<Stack<Layers, Identity>> {
    Server::builder()
        .max_concurrent_streams(CALLS)
        .http2_max_pending_accept_reset_streams(Some(UNSEEN_RESETS))
        .http2_max_local_error_reset_streams(Some(FORCED_RESETS))
        .http2_max_header_list_size(HEADERS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .max_frame_size(FRAME)
        .initial_stream_window_size(WINDOW)
        // for all its calls: those that wait for room are not read, and must not keep the one
        // that has it from being read
        .initial_connection_window_size(CALLS * WINDOW)
        .layer(stack(app, access))
}

/// Uneven, so that the connections of replicas that started together do not all end together.
fn age() -> Duration {
    let tenth = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    AGE * 9 / 10 + AGE / 5 * tenth / 255
}

/// What is done unasked.
pub async fn housekeeping(app: Arc<App>) {
    tokio::join!(resume(&app), expire(&app), survey(&app));
}

/// How often metrics of all tenants are gathered.
const SURVEY: Duration = Duration::from_secs(60);

/// Gathers what metrics tell of all tenants, where somebody may ask for it.
async fn survey(app: &Arc<App>) {
    while meters::is_installed() {
        let surveyed = app.detached(|app| async move { app.survey().await });
        if let Err(error) = surveyed.await {
            tracing::debug!(%error, "cannot look through the tenants yet");
        }
        tokio::time::sleep(SURVEY).await;
    }
}

/// Ends what a call or another process began and did not end: at the start, when a call says
/// so, and now and then for replicas that died since.
async fn resume(app: &Arc<App>) {
    loop {
        let resumed = app.detached(|app| async move { app.resume_reattribution().await });
        if let Err(error) = resumed.await {
            tracing::warn!(%error, "cannot look for changed directories yet");
        }
        let erased = app.detached(|app| async move { app.resume_erasures().await });
        if let Err(error) = erased.await {
            tracing::warn!(%error, "cannot look for erased people yet");
        }
        let purged = app.detached(|app| async move { app.resume_purges().await });
        if let Err(error) = purged.await {
            tracing::warn!(%error, "cannot look for deleted tenants yet");
        }
        let _ = tokio::time::timeout(RESUME, app.unsettled()).await;
    }
}

/// Deletes what has expired; if that fails it is done the next time.
async fn expire(app: &Arc<App>) {
    loop {
        let expired = app.detached(|app| async move { app.expire().await });
        if let Err(error) = expired.await {
            tracing::warn!(%error, "cannot delete what has expired yet");
        }
        tokio::time::sleep(EXPIRE).await;
    }
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    match &config.database {
        DatabaseUrl::Sqlite(path) => Ok(store::open_sqlite(path)),
        DatabaseUrl::Postgres(url) => {
            store::open_postgres(url).map_err(|source| failed(config, source))
        }
    }
}

/// 64 hexadecimal digits.
fn key_file(path: &PathBuf) -> Result<[u8; 32], OpenError> {
    let refuse = |why: String| OpenError::KeyFile {
        path: path.clone(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let hash = blake3::Hash::from_hex(text.trim()).map_err(|_| {
        refuse("it must hold 64 hexadecimal digits (`openssl rand -hex 32`)".into())
    })?;
    Ok(*hash.as_bytes())
}

fn failed(config: &Config, error: StoreError) -> OpenError {
    OpenError::Store {
        database: config.database.to_string(),
        error,
    }
}

/// An error with its causes; many repeat theirs in their own text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_do_not_all_grow_as_old() {
        let ages: Vec<Duration> = (0..100).map(|_| age()).collect();
        assert!(
            ages.iter()
                .all(|age| (AGE * 9 / 10..=AGE * 11 / 10).contains(age))
        );
        assert!(ages.iter().any(|age| *age != ages[0]));
    }
}
