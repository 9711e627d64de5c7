//! Where callers come in: the socket, its TLS, and the table of who may call; all of it as the
//! files say by now.

use super::{
    OpenError,
    listener::{self, Connection},
    tls::{self, Demand, Pem},
};
use crate::{
    access::{Access, Callers},
    config::Config,
};
use futures_util::Stream;
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{fs, net::TcpListener, sync::watch};

/// How often the files are looked at. A file that is mounted is changed in ways that no
/// notification tells.
const LOOK: Duration = Duration::from_millis(500);
/// Connections at a time, where nothing is configured.
const MAX_CONNECTIONS: usize = 1_000;

#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    access: Arc<Access>,
    max_connections: usize,
    files: Files,
    /// What of them is in effect.
    seen: Contents,
}

/// Open for everybody who reaches the listener, without TLS: of a demonstration, and of tests.
impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self {
            listener,
            tls: None,
            access: Arc::new(Access::Everybody),
            max_connections: MAX_CONNECTIONS,
            files: Files::default(),
            seen: Contents::default(),
        }
    }
}

impl Door {
    /// As the configuration says; a file that cannot be used is an error.
    pub async fn open(listener: TcpListener, config: &Config) -> Result<Self, OpenError> {
        let files = Files {
            cert: config.tls_cert_file.clone(),
            key: config.tls_key_file.clone(),
            client_ca: config.tls_client_ca_file.clone(),
            callers: config.callers_file.clone(),
        };
        let contents = files.read().await;
        let access = match contents.callers(&files) {
            None => Access::Everybody,
            Some(callers) => Access::listed(callers.map_err(OpenError::Access)?),
        };
        let access = Arc::new(access);
        let tls = contents.tls(&files, &access);
        let tls = tls.transpose().map_err(OpenError::Access)?;
        tell(config);
        Ok(Self {
            listener,
            tls: tls.map(|config| watch::Sender::new(Arc::new(config))),
            access,
            max_connections: config.max_connections,
            files,
            seen: contents,
        })
    }

    pub(super) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access)
    }

    /// The connections that come in, and what follows the files as long as it is polled.
    pub(super) fn into_parts(
        self,
    ) -> (
        impl Stream<Item = Result<Connection, Infallible>>,
        impl Future<Output = ()>,
    ) {
        let tls = self.tls.as_ref().map(watch::Sender::subscribe);
        let connections = listener::connections(self.listener, tls, self.max_connections);
        (
            connections,
            follow(self.files, self.seen, self.access, self.tls),
        )
    }
}

/// Once, at the start: who can come in.
fn tell(config: &Config) {
    if config.callers_file.is_none() {
        let tls = config.tls_cert_file.is_some();
        if config.insecure {
            tracing::warn!(
                tls,
                "no callers_file: whoever reaches this may do everything"
            );
        } else {
            tracing::info!(
                tls,
                "no callers_file: who is on this machine may do everything"
            );
        }
    } else if config.tls_cert_file.is_none() && !config.listen.ip().is_loopback() {
        tracing::warn!("no TLS: who sees the network sees the tokens of callers");
    }
}

/// Those that are set.
#[derive(Clone, Debug, Default)]
struct Files {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    callers: Option<PathBuf>,
}

/// What a file holds, or why it cannot be read; `None`: it is not set.
type Content = Option<Result<Vec<u8>, String>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    cert: Content,
    key: Content,
    client_ca: Content,
    callers: Content,
}

impl Files {
    async fn read(&self) -> Contents {
        Contents {
            cert: read(self.cert.as_deref()).await,
            key: match &self.key {
                Some(path) => Some(read_key(path).await),
                None => None,
            },
            client_ca: read(self.client_ca.as_deref()).await,
            callers: read(self.callers.as_deref()).await,
        }
    }
}

async fn read(path: Option<&Path>) -> Content {
    let read = fs::read(path?).await;
    Some(read.map_err(|error| unreadable(&error)))
}

/// A key that everybody on the machine can read is none.
async fn read_key(path: &Path) -> Result<Vec<u8>, String> {
    let mode = fs::metadata(path).await.map_err(|error| unreadable(&error));
    if mode?.permissions().mode() & 0o004 != 0 {
        return Err(format!(
            "everybody on this machine can read it: chmod o= {} (of a Kubernetes secret: \
             defaultMode 0440, with an fsGroup)",
            path.display()
        ));
    }
    fs::read(path).await.map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

/// The content of a file with its name for errors.
fn content<'a>(
    setting: &str,
    path: &Option<PathBuf>,
    content: &'a Content,
) -> Result<Option<&'a [u8]>, String> {
    match (path, content) {
        (Some(_), Some(Ok(bytes))) => Ok(Some(bytes)),
        (Some(path), Some(Err(why))) => Err(format!("{setting} {}: {why}", path.display())),
        _ => Ok(None),
    }
}

impl Contents {
    /// `None`: there is no such file.
    fn callers(&self, files: &Files) -> Option<Result<Callers, String>> {
        let path = files.callers.as_ref()?;
        let read = content("callers_file", &files.callers, &self.callers);
        let parsed = read.and_then(|bytes| {
            let text = std::str::from_utf8(bytes.unwrap_or_default());
            let text = text.map_err(|_| "it is not UTF-8".to_owned());
            let callers = text.and_then(|text| {
                let callers = Callers::parse(text).map_err(|error| error.to_string())?;
                let is_lost = callers.have_certificates() && files.client_ca.is_none();
                if is_lost && !callers.have_tokens() {
                    return Err(
                        "all callers have certificates, and nobody can show one: set \
                                tls_client_ca_file"
                            .into(),
                    );
                }
                Ok(callers)
            });
            callers.map_err(|why| format!("callers_file {}: {why}", path.display()))
        });
        Some(parsed)
    }

    /// `None`: without TLS.
    fn tls(&self, files: &Files, access: &Access) -> Option<Result<ServerConfig, String>> {
        files.cert.as_ref()?;
        let pem = || {
            Ok(Pem {
                cert: content("tls_cert_file", &files.cert, &self.cert)?.unwrap_or_default(),
                key: content("tls_key_file", &files.key, &self.key)?.unwrap_or_default(),
                client_ca: content("tls_client_ca_file", &files.client_ca, &self.client_ca)?,
            })
        };
        let demand = demand(files, access);
        Some(pem().and_then(|pem| tls::config(pem, demand)))
    }
}

fn demand(files: &Files, access: &Access) -> Demand {
    match access {
        _ if files.client_ca.is_none() => Demand::NotAsked,
        Access::Listed(callers) if callers.borrow().have_tokens() => Demand::Optional,
        Access::Listed(_) | Access::Everybody => Demand::Required,
    }
}

/// Puts into effect what changes in the files. What cannot be used is told once, and what was
/// there before stays.
async fn follow(
    files: Files,
    mut seen: Contents,
    access: Arc<Access>,
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
) {
    let mut demanded = demand(&files, &access);
    if files.callers.is_none() && files.cert.is_none() {
        return;
    }
    loop {
        let now = files.read().await;
        if now.callers != seen.callers {
            match now.callers(&files) {
                Some(Ok(callers)) => {
                    access.replace(callers);
                    tracing::info!("the callers file is in effect");
                }
                Some(Err(why)) => {
                    tracing::error!(why, "the callers file cannot be used: the last one stays");
                }
                None => {}
            }
        }
        let demand = demand(&files, &access);
        let is_new = demanded != demand
            || (&now.cert, &now.key, &now.client_ca) != (&seen.cert, &seen.key, &seen.client_ca);
        if let (true, Some(tls)) = (is_new, &tls) {
            match now.tls(&files, &access) {
                Some(Ok(config)) => {
                    tls.send_replace(Arc::new(config));
                    tracing::info!("the certificates are in effect");
                }
                Some(Err(why)) => {
                    tracing::error!(why, "the certificates cannot be used: the last ones stay");
                }
                None => {}
            }
        }
        (seen, demanded) = (now, demand);
        tokio::time::sleep(LOOK).await;
    }
}
