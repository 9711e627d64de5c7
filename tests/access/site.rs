//! A server with TLS and a callers file, in a folder of its own.

use super::authority::{Authority, Pair};
use crate::support::{OTHER_TENANT, TENANT, TestDb, register};
use sentby::{
    access::{TokenHash, new_token},
    app::App,
    config::Config,
    pb::{self, tenant_service_client::TenantServiceClient},
    server::{self, Door},
};
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// What is written for a caller with a token.
pub fn token_caller(name: &str, role: &str, token: &str) -> String {
    format!(
        "[[caller]]\nname = '{name}'\nroles = ['{role}']\ntoken_hashes = ['{}']\n",
        TokenHash::of(token)
    )
}

pub fn certificate_caller(name: &str, role: &str, certificate: &str) -> String {
    format!("[[caller]]\nname = '{name}'\nroles = ['{role}']\ncertificate = '{certificate}'\n")
}

/// The entry before it is for these tenants only.
pub fn only(tenants: &[sentby::domain::TenantId]) -> String {
    let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
    format!("tenants = {tenants:?}\n")
}

pub fn token() -> String {
    new_token().expect("random bits")
}

/// The files of a server.
pub struct Files {
    folder: TempDir,
    pub servers: Authority,
    pub clients: Authority,
}

impl Files {
    pub fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().expect("a folder"),
            servers: Authority::new(),
            clients: Authority::new(),
        };
        files.write("ca.pem", &files.servers.pem());
        files.write("client-ca.pem", &files.clients.pem());
        files.write_pair("server", &files.servers.server());
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// At once: nobody reads half of it.
    pub fn write(&self, name: &str, text: &str) {
        let part = self.path(&format!("{name}.part"));
        fs::write(&part, text).expect("written");
        fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).expect("set");
        fs::rename(part, self.path(name)).expect("renamed");
    }

    pub fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.pem"), &pair.cert);
        self.write(&format!("{name}.key"), &pair.key);
    }
}

pub struct Site {
    pub files: Files,
    pub address: SocketAddr,
    pub app: Arc<App>,
    serving: JoinHandle<()>,
    db: Option<TestDb>,
}

impl Site {
    /// With TLS, certificates of clients, these callers, and two tenants.
    pub async fn start(callers: &str) -> Self {
        let db = TestDb::sqlite().await;
        let mut site = Self::over(db.config.clone(), callers).await;
        register(&site.app, TENANT).await;
        register(&site.app, OTHER_TENANT).await;
        site.db = Some(db);
        site
    }

    /// From now on every read and write fails.
    pub async fn lose_all_tables(&self) {
        let db = self.db.as_ref().expect("of its own");
        db.execute("DROP VIEW attribution_v1").await;
        db.execute("DROP VIEW tenant_v1").await;
        db.execute("DROP TABLE attribution").await;
        db.execute("DROP TABLE tenant").await;
    }

    pub async fn over(mut config: Config, callers: &str) -> Self {
        let files = Files::new();
        files.write("callers.toml", callers);
        config.tls_cert_file = Some(files.path("server.pem"));
        config.tls_key_file = Some(files.path("server.key"));
        config.tls_client_ca_file = Some(files.path("client-ca.pem"));
        config.callers_file = Some(files.path("callers.toml"));
        Self::with(config, files).await
    }

    pub async fn with(config: Config, files: Files) -> Self {
        let app = server::open(&config).await.expect("opened");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let door = Door::open(listener, &config)
            .await
            .expect("its files are good");
        let serving = tokio::spawn({
            let app = Arc::clone(&app);
            async move {
                let never = std::future::pending();
                server::serve(app, door, never).await.expect("served");
            }
        });
        Self {
            files,
            address,
            app,
            serving,
            db: None,
        }
    }

    pub fn endpoint(&self, client: Option<&Pair>) -> Endpoint {
        let ca = Certificate::from_pem(self.files.servers.pem());
        let mut tls = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(pair) = client {
            tls = tls.identity(Identity::from_pem(&pair.cert, &pair.key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).expect("a URI");
        let endpoint = endpoint.tls_config(tls).expect("its files are good");
        endpoint.timeout(Duration::from_secs(30))
    }

    /// Without a certificate.
    pub async fn channel(&self) -> Channel {
        self.endpoint(None).connect().await.expect("connected")
    }

    /// GetTenant of [`TENANT`] on a new connection with this certificate: what is answered, or why
    /// there is no connection.
    pub async fn as_client(&self, client: Option<&Pair>) -> Result<(), Status> {
        let connected = self.endpoint(client).connect().await;
        let channel = connected.map_err(|error| Status::from_error(error.into()))?;
        get_tenant(&channel, None).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// GetTenant of [`TENANT`].
pub async fn get_tenant(channel: &Channel, token: Option<&str>) -> Result<(), Status> {
    let request = pb::GetTenantRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    };
    let request = with_token(request, token);
    let answered = TenantServiceClient::new(channel.clone())
        .get_tenant(request)
        .await;
    answered.map(|_| ())
}

pub fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// How long it takes until calls are answered so.
pub async fn until(channel: &Channel, token: &str, code: Code) -> Duration {
    let start = Instant::now();
    loop {
        let answered = get_tenant(channel, Some(token)).await;
        if answered.err().map_or(Code::Ok, |status| status.code()) == code {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "never {code:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The code and the reason.
#[track_caller]
pub fn refused(answered: Result<(), Status>) -> (Code, String) {
    use tonic_types::StatusExt as _;
    let status = answered.expect_err("refused");
    let reason = status.get_details_error_info();
    (
        status.code(),
        reason.map(|info| info.reason).unwrap_or_default(),
    )
}

pub fn unauthenticated() -> (Code, String) {
    (Code::Unauthenticated, "UNAUTHENTICATED".into())
}

pub fn permission_denied() -> (Code, String) {
    (Code::PermissionDenied, "PERMISSION_DENIED".into())
}
