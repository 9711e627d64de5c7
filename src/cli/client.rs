//! Whom a command asks: a server, or the same services in this process, straight on the
//! database. Behind it everything is the same gRPC code.

use super::{
    credentials::{Bearer, Credentials, in_words},
    settings::{CommonSettings, Flags},
    status::Refused,
};
use crate::{
    config::{Config, DatabaseUrl},
    pb::{
        admin_service_client::AdminServiceClient,
        attribution_service_client::AttributionServiceClient,
        coverage_service_client::CoverageServiceClient, ingest_service_client::IngestServiceClient,
        tenant_service_client::TenantServiceClient,
    },
    server,
};
use std::{sync::Arc, time::Duration};
use tonic::{
    Request, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::health_client::HealthClient;

/// An ingest request of this size is taken, so an answer may be as large.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call may take. A write that is cut off is sent again.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Ask this server (https://HOST:PORT, or http://) instead of opening the database
    #[arg(long, value_name = "URL", value_parser = server_url, conflicts_with = "database")]
    server: Option<Endpoint>,
    #[command(flatten)]
    credentials: Credentials,
    #[command(flatten)]
    settings: CommonSettings,
}

/// What the command may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Reads: a database that is not there is a wrong path, not a new database.
    Existing,
    /// Writes: a SQLite file that is not there is created.
    Any,
}

impl Target {
    pub fn flags(&self) -> &Flags {
        self.settings.flags()
    }

    /// A server, or settings of a database.
    pub fn is_named(&self) -> bool {
        self.server.is_some() || !self.flags().values.is_empty()
    }

    pub fn names_server(&self) -> bool {
        self.server.is_some()
    }

    pub async fn connect(&self, config: &Config, need: Need) -> anyhow::Result<Api> {
        let channel = match &self.server {
            Some(endpoint) => {
                let bearer = self.credentials.bearer()?;
                let endpoint = self.credentials.secure(endpoint.clone())?;
                return Ok(Api {
                    channel: connect(&endpoint).await?,
                    bearer,
                });
            }
            None => {
                if need == Need::Existing {
                    check_exists(&config.database)?;
                }
                let app = server::open(config).await?;
                if need == Need::Any {
                    // there may be no server that does it
                    tokio::spawn(server::housekeeping(Arc::clone(&app)));
                }
                server::in_process(app)
            }
        };
        Ok(Api::over(channel))
    }
}

pub(super) async fn connect(endpoint: &Endpoint) -> anyhow::Result<Channel> {
    endpoint
        .clone()
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .connect()
        .await
        .map_err(|error| {
            let uri = endpoint.uri();
            let cause = root_cause(&error);
            anyhow::anyhow!("no sentby answers at {uri}: {cause}\n  what to do: start one (sentby serve), or correct --server")
        })
}

/// The causes above it repeat it, or say "transport error".
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let root = causes.last().map_or(String::new(), ToString::to_string);
    in_words(&root)
}

fn check_exists(database: &DatabaseUrl) -> anyhow::Result<()> {
    match database {
        DatabaseUrl::Sqlite(path) if !path.exists() => anyhow::bail!(
            "there is no database {database}: name it with --database, name a server with \
             --server, or fill one (sentby import --help)"
        ),
        _ => Ok(()),
    }
}

pub(super) fn server_url(text: &str) -> Result<Endpoint, String> {
    let url = match text.split_once("://") {
        None => format!("http://{text}"),
        Some(("http" | "https", _)) => text.to_owned(),
        Some((scheme, _)) => {
            return Err(format!("{scheme}:// is not supported: https://HOST:PORT"));
        }
    };
    let endpoint = Endpoint::from_shared(url).map_err(|_| "is not http://HOST:PORT".to_owned())?;
    let uri = endpoint.uri();
    match uri.port() {
        None => Err("has no port: http://HOST:PORT, and sentby's is 50051 by default".into()),
        Some(_) if uri.path() != "/" => Err("has a path: http://HOST:PORT is all".into()),
        Some(_) => Ok(endpoint),
    }
}

/// The services, whoever answers.
#[derive(Clone)]
pub(super) struct Api {
    channel: Channel,
    bearer: Bearer,
}

/// A connection that shows who calls.
type Link = InterceptedService<Channel, Bearer>;

impl Api {
    pub fn over(channel: Channel) -> Self {
        Self {
            channel,
            bearer: Bearer::default(),
        }
    }

    /// Of a server that this process has just started.
    pub async fn of(address: std::net::SocketAddr) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Ok(Self::over(connect(&endpoint).await?))
    }

    fn link(&self) -> Link {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    pub fn health(&self) -> HealthClient<Link> {
        HealthClient::new(self.link())
    }

    pub fn tenants(&self) -> TenantServiceClient<Link> {
        TenantServiceClient::new(self.link())
    }

    pub fn ingest(&self) -> IngestServiceClient<Link> {
        IngestServiceClient::new(self.link()).max_encoding_message_size(MAX_MESSAGE)
    }

    pub fn attributions(&self) -> AttributionServiceClient<Link> {
        AttributionServiceClient::new(self.link()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub fn admin(&self) -> AdminServiceClient<Link> {
        AdminServiceClient::new(self.link())
    }

    pub fn coverage(&self) -> CoverageServiceClient<Link> {
        CoverageServiceClient::new(self.link())
    }
}

/// A message as a request that does not wait for ever.
pub(super) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Unwraps an answer; a refusal says what to do.
pub(super) fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Refused> {
    result.map(Response::into_inner).map_err(Refused)
}

/// Waits before what failed is tried again; together they outlast a restart of the server.
const BACK_OFF: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// What a server may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often and when a broken stream is tried again.
pub(super) struct BackOff {
    waits: Vec<Duration>,
    /// Since anything was answered.
    failures: usize,
}

impl Default for BackOff {
    fn default() -> Self {
        Self::of(&BACK_OFF)
    }
}

impl BackOff {
    pub fn of(waits: &[Duration]) -> Self {
        Self {
            waits: waits.to_vec(),
            failures: 0,
        }
    }

    /// Something was answered: the next failure is the first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// `false`: waiting any longer has no chance.
    pub async fn wait_after(&mut self, broken: &Refused) -> bool {
        let wait = self.waits.get(self.failures);
        let (Some(told), Some(&wait)) = (broken.retry_after(), wait) else {
            return false;
        };
        self.failures += 1;
        tokio::time::sleep(told.clamp(wait, LONGEST_WAIT.max(wait))).await;
        true
    }
}

/// The answer to a read, asked again as often as a refusal leaves a chance. Many reads make one
/// answer to a person: a single busy moment of the server is not to cost all of them.
pub(super) async fn again<T>(
    ask: impl AsyncFn() -> Result<Response<T>, Status>,
) -> Result<T, Refused> {
    let mut back_off = BackOff::default();
    loop {
        match answer(ask().await) {
            Err(refused) if back_off.wait_after(&refused).await => {
                tracing::info!(%refused, "asking again");
            }
            told => return told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    #[tokio::test]
    async fn a_read_is_asked_again_where_that_has_a_chance() {
        let ask = async |code, wait| {
            let asked = Cell::new(0);
            let told = again(async || {
                asked.set(asked.get() + 1);
                let details = ErrorDetails::with_retry_info(wait);
                match asked.get() {
                    1 => Err(Status::with_error_details(code, "", details)),
                    _ => Ok(Response::new(7)),
                }
            });
            (told.await.ok(), asked.get())
        };
        let wait = Some(Duration::from_millis(1));
        assert_eq!(ask(Code::ResourceExhausted, wait).await, (Some(7), 2));
        assert_eq!(ask(Code::ResourceExhausted, None).await, (None, 1));
        assert_eq!(ask(Code::InvalidArgument, wait).await, (None, 1));
    }

    #[test]
    fn a_server_is_named_with_or_without_scheme() {
        let url = |text: &str| server_url(text).map(|endpoint| endpoint.uri().to_string());
        assert_eq!(url("localhost:50051"), Ok("http://localhost:50051/".into()));
        assert_eq!(url("https://h:1"), Ok("https://h:1/".into()));
        assert_eq!(url("http://[::1]:7"), Ok("http://[::1]:7/".into()));
        for wrong in [
            "",
            "localhost",
            "http://h",
            "unix:///x",
            "http://h:1/v1",
            "h:port",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_file_is_told_before_it_would_be_created() {
        let dir = tempfile::tempdir().unwrap();
        let database = DatabaseUrl::Sqlite(dir.path().join("missing.db"));
        let error = check_exists(&database).unwrap_err().to_string();
        assert!(
            error.contains("--database") && error.contains("--server"),
            "{error}"
        );
    }
}
