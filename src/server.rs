//! The only wiring: configuration → store → cache → use cases → services → connections.

use crate::{
    app::{App, Limits},
    cache::{Cache, MemoryCache, RedisCache},
    config::{self, CacheKind, Config, DatabaseUrl},
    grpc::{self, health, layers},
    store::{self, SCHEMA_VERSIONS, Store, StoreError, retrying},
};
use hyper_util::rt::TokioIo;
use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{io::DuplexStream, net::TcpListener};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tower::{
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
    #[error("the key file {path} cannot be used: {why}")]
    KeyFile { path: PathBuf, why: String },
    #[error(
        "the schema of {database} is not one that this program works with (found {found}, it \
         works with version {} to {}): run `sentby migrate --database URL`, or a newer program",
        SCHEMA_VERSIONS.start(), SCHEMA_VERSIONS.end()
    )]
    Schema { database: String, found: String },
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
    match retrying(|| store.schema_version()).await {
        Ok(Some(version)) if SCHEMA_VERSIONS.contains(&version) => {}
        Ok(found) => {
            return Err(OpenError::Schema {
                database: config.database.to_string(),
                found: found.map_or("no schema".into(), |version| format!("version {version}")),
            });
        }
        // a database that is down now may be up in a minute: health tells until then
        Err(StoreError::Unavailable(cause)) => {
            tracing::warn!(error = %cause, "the database cannot be reached yet");
        }
        Err(source) => return Err(failed(config, source)),
    }
    let cache = open_cache(config).await?;
    let limits = Limits {
        ingest_memory: config.ingest_memory,
        change_days: config.change_days,
        unjoined_send_days: config.unjoined_send_days,
        delete_grace_days: config.delete_grace_days,
    };
    Ok(Arc::new(App::new(store, cache, secret, limits)))
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
    Ok(MigrationReport { from, to })
}

/// Lets a role of Postgres read the views and nothing else; makes it if it is not there. SQLite
/// has no roles.
pub async fn grant_reader(config: &Config, role: &str) -> Result<(), OpenError> {
    let granted = match &config.database {
        DatabaseUrl::Postgres(url) => store::grant_reader(url, role).await,
        DatabaseUrl::Sqlite(_) => Err(StoreError::Url("SQLite has no roles".into())),
    };
    granted.map_err(|source| failed(config, source))
}

/// Serves until `shutdown`, then lets calls in progress end, at most [`DRAIN`] long.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
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
    let serving = builder()
        .add_routes(grpc::routes(&app, health, &stopping))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop);
    // an idle peer can hold a graceful stop for ever
    let result = tokio::select! {
        result = serving => result,
        () = async { stopping.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("stopped with connections still open");
            Ok(())
        }
    };
    watch.abort();
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
        let serving = builder()
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

/// Calls of one connection at a time.
const CALLS: u32 = 200;
/// Largest frame that callers may send: a batch of megabytes in few of them.
const FRAME: u32 = 256 << 10;
/// What may be on the way to one call, which no admission counts. Each time it is used up the
/// caller waits until we were scheduled, which on busy processors takes milliseconds.
const WINDOW: u32 = 1 << 20;

const _: () = assert!(config::MIN_INGEST_MEMORY == grpc::MAX_INGEST_BYTES);

/// tonic takes hyper's guards against floods away unless they are set here.
fn builder() -> Server<Stack<layers::EdgeLayer, Identity>> {
    Server::builder()
        .max_concurrent_streams(CALLS)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(256))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_frame_size(FRAME)
        .initial_stream_window_size(WINDOW)
        // for all its calls: those that wait for room are not read, and must not keep the one
        // that has it from being read
        .initial_connection_window_size(CALLS * WINDOW)
        .layer(layers::EdgeLayer)
}

/// What is done unasked.
pub async fn housekeeping(app: Arc<App>) {
    tokio::join!(resume(&app), expire(&app));
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
