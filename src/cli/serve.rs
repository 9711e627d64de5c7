//! `sentby serve`

use super::{Outcome, settings::ServeSettings};
use crate::{
    config::Config,
    server::{self, Door},
};
use anyhow::Context as _;
use std::{future::Future, io, net::SocketAddr};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

/// Serve the gRPC API.
///
/// Without any setting: on this machine only, data in ./sentby.db, answers cached in the
/// process. SIGINT and SIGTERM end it once the calls in flight are answered (10 seconds at
/// most); a second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    pub settings: ServeSettings,
}

const EXAMPLES: &str = "\
Examples:
  sentby serve
  sentby serve --database sqlite:///var/lib/sentby/sentby.db
  SENTBY_DATABASE=postgres://sentby:…@db/sentby sentby serve --log-format json
  SENTBY_CACHE=redis://sentby:…@cache:6379 sentby serve --database postgres://db/sentby
  sentby serve --config /etc/sentby.toml

  with /etc/sentby.toml:
    database = \"sqlite:///var/lib/sentby/sentby.db\"
    listen = \"127.0.0.1:50051\"
    cache_entries = 500000

Then:
  grpcurl -plaintext 127.0.0.1:50051 list
  grpcurl -plaintext 127.0.0.1:50051 grpc.health.v1.Health/Check

A Postgres database gets its tables by `sentby migrate`; a SQLite file gets them by itself.";

impl Serve {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            configuration = config.to_string(),
            "starting"
        );
        let shutdown = shutdown()?;
        let listener = listen(config.listen).await?;
        let address = listener.local_addr()?;
        let door = Door::open(listener, &config).await?;
        if let Some(address) = config.ops_listen {
            let ops = listen_at(address, "--ops-listen").await?;
            tracing::info!(address = %ops.local_addr()?, "probes and metrics");
            tokio::spawn(server::ops::serve(ops));
        }
        let app = server::open(&config).await?;
        tracing::info!(%address, "serving");
        server::serve(app, door, shutdown).await?;
        tracing::info!("stopped");
        Ok(Outcome::Done)
    }
}

/// Binds, and says what to do where that fails.
pub(super) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen_at(address, "--listen").await
}

async fn listen_at(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => anyhow::anyhow!(
                "{address} is taken, maybe by another sentby: choose another with {flag} \
                 (port 0 takes a free one)"
            ),
            _ => anyhow::Error::from(error).context(format!("cannot listen on {address}")),
        })
}

/// Resolves at the first SIGINT or SIGTERM; a second one ends the process. The handlers are
/// in place when this returns.
pub(super) fn shutdown() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let install = |kind| signal(kind).context("cannot handle signals");
    let mut signals = [
        install(SignalKind::interrupt())?,
        install(SignalKind::terminate())?,
    ];
    Ok(async move {
        let name = first(&mut signals).await;
        tracing::info!("{name}");
        tokio::spawn(async move {
            first(&mut signals).await;
            // as the shell reports a process that SIGINT ended
            std::process::exit(130);
        });
    })
}

async fn first([interrupt, terminate]: &mut [Signal; 2]) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
