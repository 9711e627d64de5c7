//! What can be set, in one table. A flag goes before the environment, that before the file,
//! that before the default. An unknown name is an error: a setting that silently does
//! nothing is worse than one that stops the start.

mod cache;
mod database;
mod sources;
mod table;

pub use cache::CacheKind;
pub use database::DatabaseUrl;
pub use sources::{Origin, origins};
pub use table::{SETTINGS, Setting};

use sources::Values;
use std::{
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Every variable of the environment that begins with it is ours.
pub const ENV_PREFIX: &str = "SENTBY_";
/// Names the file; so it cannot stand in it.
pub const ENV_CONFIG: &str = "SENTBY_CONFIG";
/// What commands show a server. No setting: those are logged.
pub const ENV_TOKEN: &str = "SENTBY_TOKEN";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Who asks: a person's command is quiet where a server is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Serve,
    Command,
    /// A person's command with all settings of a server.
    Doctor,
}

/// The effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub database: DatabaseUrl,
    pub listen: SocketAddr,
    pub insecure: bool,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub tls_client_ca_file: Option<PathBuf>,
    pub callers_file: Option<PathBuf>,
    pub max_connections: usize,
    pub ops_listen: Option<SocketAddr>,
    /// `http://HOST:PORT`
    pub otlp_endpoint: Option<String>,
    pub key_file: Option<PathBuf>,
    pub cache: CacheKind,
    pub cache_ca_file: Option<PathBuf>,
    pub cache_entries: u64,
    /// In bytes.
    pub ingest_memory: usize,
    pub change_days: u32,
    pub unjoined_send_days: u32,
    pub delete_grace_days: u32,
    /// A filter of `tracing_subscriber`.
    pub log: String,
    pub log_format: LogFormat,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: there is no such setting{} Known: {known}", did_you_mean(.nearest))]
    UnknownKey {
        origin: Origin,
        nearest: Option<String>,
        known: String,
    },
    #[error("{origin}: {problem}")]
    BadValue { origin: Origin, problem: String },
    #[error("the configuration file {}: {problem}", .path.display())]
    File { path: PathBuf, problem: String },
    #[error(
        "{origin}: {address} can be reached from other machines: set {missing} too, so that it is \
         known who calls and nobody listens in. Or listen on 127.0.0.1, or give --insecure if \
         something in front of it does both"
    )]
    NotLoopback {
        origin: Origin,
        address: SocketAddr,
        missing: &'static str,
    },
    #[error("{origin}: it needs {missing} too")]
    Incomplete {
        origin: Origin,
        missing: &'static str,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or(".".into(), |nearest| format!(", did you mean {nearest}?"))
}

impl Config {
    /// `flags`: what the command line says, by key. `file`: of `--config`. `env`: the whole
    /// environment.
    pub fn load(
        role: Role,
        flags: &[(&'static str, String)],
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let values = Values::collect(flags, file, env)?;
        let config = Self {
            database: values.parse("database", DatabaseUrl::parse)?,
            listen: values.parse("listen", listen)?,
            insecure: values.parse("insecure", switch)?,
            tls_cert_file: values.path("tls_cert_file"),
            tls_key_file: values.path("tls_key_file"),
            tls_client_ca_file: values.path("tls_client_ca_file"),
            callers_file: values.path("callers_file"),
            max_connections: values.parse("max_connections", max_connections)?,
            ops_listen: values.optional("ops_listen", listen)?,
            otlp_endpoint: values.optional("otlp_endpoint", otlp_endpoint)?,
            key_file: values.path("key_file"),
            cache: values.parse("cache", CacheKind::parse)?,
            cache_ca_file: values.path("cache_ca_file"),
            cache_entries: values.parse("cache_entries", |text| {
                text.parse().map_err(|_| "is a whole number".into())
            })?,
            ingest_memory: values.parse("ingest_memory", ingest_memory)?,
            change_days: values.parse("change_days", days(1..=3_650))?,
            unjoined_send_days: values.parse("unjoined_send_days", days(1..=3_650))?,
            delete_grace_days: values.parse("delete_grace_days", days(0..=90))?,
            log: match values.get("log") {
                Some((_, Origin::Default)) | None if role != Role::Serve => "warn".into(),
                _ => values.parse("log", log_filter)?,
            },
            log_format: values.parse("log_format", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("is text or json".into()),
            })?,
        };
        if role != Role::Command {
            config.check_access(&values)?;
        }
        Ok(config)
    }

    /// Nobody serves a network by oversight: who listens to it says who may call, over TLS.
    fn check_access(&self, values: &Values) -> Result<(), ConfigError> {
        let has_tls = self.tls_cert_file.is_some();
        for (key, missing, is_incomplete) in [
            (
                "tls_cert_file",
                "tls_key_file",
                has_tls && self.tls_key_file.is_none(),
            ),
            (
                "tls_key_file",
                "tls_cert_file",
                self.tls_key_file.is_some() && !has_tls,
            ),
            (
                "tls_client_ca_file",
                "tls_cert_file and tls_key_file",
                self.tls_client_ca_file.is_some() && !has_tls,
            ),
        ] {
            if is_incomplete {
                let origin = values.origin(key);
                return Err(ConfigError::Incomplete { origin, missing });
            }
        }
        let missing = match (has_tls, self.callers_file.is_some()) {
            _ if self.insecure || self.listen.ip().is_loopback() => return Ok(()),
            (true, true) => return Ok(()),
            (false, true) => "tls_cert_file and tls_key_file",
            (true, false) => "callers_file",
            (false, false) => "tls_cert_file, tls_key_file and callers_file",
        };
        Err(ConfigError::NotLoopback {
            origin: values.origin("listen"),
            address: self.listen,
            missing,
        })
    }

    /// Every setting as it is in effect, without secrets: for the log.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        SETTINGS
            .iter()
            .map(|setting| (setting.key, self.value_of(setting.key)))
            .collect()
    }

    fn value_of(&self, key: &str) -> String {
        let path = |path: &Option<PathBuf>| {
            let path = path.as_ref();
            path.map_or(String::new(), |path| path.display().to_string())
        };
        match key {
            "database" => self.database.to_string(),
            "listen" => self.listen.to_string(),
            "insecure" => self.insecure.to_string(),
            "tls_cert_file" => path(&self.tls_cert_file),
            "tls_key_file" => path(&self.tls_key_file),
            "tls_client_ca_file" => path(&self.tls_client_ca_file),
            "callers_file" => path(&self.callers_file),
            "max_connections" => self.max_connections.to_string(),
            "ops_listen" => self.ops_listen.map_or(String::new(), |it| it.to_string()),
            "otlp_endpoint" => self.otlp_endpoint.clone().unwrap_or_default(),
            "key_file" => path(&self.key_file),
            "cache" => self.cache.to_string(),
            "cache_ca_file" => path(&self.cache_ca_file),
            "cache_entries" => self.cache_entries.to_string(),
            "ingest_memory" => (self.ingest_memory / MIB).to_string(),
            "change_days" => self.change_days.to_string(),
            "unjoined_send_days" => self.unjoined_send_days.to_string(),
            "delete_grace_days" => self.delete_grace_days.to_string(),
            "log" => self.log.clone(),
            "log_format" => match self.log_format {
                LogFormat::Text => "text".into(),
                LogFormat::Json => "json".into(),
            },
            _ => unreachable!("every key of the table is matched: a test walks it"),
        }
    }
}

/// One line, as the log shows it.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.effective().into_iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let value = if value.is_empty() {
                "(not set)"
            } else {
                &value
            };
            write!(f, "{space}{key}={value}")?;
        }
        Ok(())
    }
}

/// An address, not a name: what a name leads to can change under a running service. Only
/// `localhost` is as clear as an address.
fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into());
    }
    text.parse()
        .map_err(|_| format!("{text:?} is no address with a port, such as 127.0.0.1:50051"))
}

const MIB: usize = 1 << 20;
/// A largest batch must find room.
pub const MIN_INGEST_MEMORY: usize = 16 * MIB;

fn ingest_memory(text: &str) -> Result<usize, String> {
    let bytes = text
        .parse()
        .ok()
        .and_then(|mib: usize| mib.checked_mul(MIB));
    let bytes = bytes.filter(|bytes| (MIN_INGEST_MEMORY..=1 << 40).contains(bytes));
    bytes.ok_or_else(|| "is a whole number of MiB, at least 16".into())
}

fn days(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        let days = text.parse().ok().filter(|days| range.contains(days));
        let (first, last) = (range.start(), range.end());
        days.ok_or_else(|| format!("is a whole number of days, {first} to {last}"))
    }
}

fn max_connections(text: &str) -> Result<usize, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count| (1..=1_000_000).contains(count));
    count.ok_or_else(|| "is a whole number, 1 to 1000000".into())
}

fn otlp_endpoint(text: &str) -> Result<String, String> {
    let uri: Option<http::Uri> = text.parse().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.port().is_some());
    uri.map(|_| text.to_owned())
        .ok_or_else(|| format!("{text:?} is not http://HOST:PORT"))
}

fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "is true or false".into())
}

/// The filter's own parser takes any word for the name of a part, so that `inof` would
/// silence everything without a word.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for word in text.split(',').map(str::trim) {
        let lone = !word.contains(['=', '[']);
        if lone && !LEVELS.contains(&word.to_lowercase().as_str()) {
            return Err(format!(
                "{word:?} is no level: one of {}, or PART=LEVEL",
                LEVELS.join(", ")
            ));
        }
    }
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
