//! What can be set, in one table. A flag goes before the environment, that before the file,
//! that before the default. An unknown name is an error: a setting that silently does
//! nothing is worse than one that stops the start.

mod cache;
mod database;
mod sources;

pub use cache::CacheKind;
pub use database::DatabaseUrl;
pub use sources::Origin;

use sources::Values;
use std::{
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// The same for people everywhere: `--cache-entries`, `SENTBY_CACHE_ENTRIES` and
/// `cache_entries` are one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in the file.
    pub key: &'static str,
    /// Without its `--`.
    pub flag: &'static str,
    /// What the help calls the value; empty for a switch.
    pub value: &'static str,
    /// Empty: nothing is set.
    pub default: &'static str,
    /// Of interest to `serve` alone: other commands have no flag for it.
    pub serve_only: bool,
    pub help: &'static str,
}

pub const SETTINGS: [Setting; 11] = [
    Setting {
        key: "database",
        flag: "database",
        value: "URL",
        default: "sqlite://sentby.db",
        serve_only: false,
        help: "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE",
    },
    Setting {
        key: "listen",
        flag: "listen",
        value: "ADDRESS:PORT",
        default: "127.0.0.1:50051",
        serve_only: true,
        help: "Where the gRPC API is served. Port 0 takes a free one. An address that is not \
               loopback needs --insecure",
    },
    Setting {
        key: "insecure",
        flag: "insecure",
        value: "",
        default: "false",
        serve_only: true,
        help: "Serve others than this machine without TLS and without authentication: only \
               behind something that does both",
    },
    Setting {
        key: "key_file",
        flag: "key-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "The key that page tokens are sealed with. Not set: one is made once and kept \
               in the database",
    },
    Setting {
        key: "cache",
        flag: "cache",
        value: "memory|none|URL",
        default: "memory",
        serve_only: true,
        help: "Where answers to lookups are kept: in the process, nowhere, or in a Redis that \
               replicas share: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// with TLS, \
               redis-cluster://HOST:PORT,HOST:PORT. A command that writes to the same \
               database itself needs it too, by environment or file",
    },
    Setting {
        key: "cache_ca_file",
        flag: "cache-ca-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "The authority (PEM) that the certificate of a rediss:// is from. Not set: one of \
               the public ones",
    },
    Setting {
        key: "cache_entries",
        flag: "cache-entries",
        value: "N",
        default: "50000",
        serve_only: true,
        help: "Messages that the cache in memory holds at most",
    },
    Setting {
        key: "ingest_memory",
        flag: "ingest-memory",
        value: "MIB",
        default: "32",
        serve_only: true,
        help: "Batches that are in memory at a time, in MiB as they were sent; at least 16. \
               More wait, or are refused for the moment",
    },
    Setting {
        key: "change_days",
        flag: "change-days",
        value: "DAYS",
        default: "30",
        serve_only: true,
        help: "How long changes are kept for those who watch, 1 to 3650. Who was away for longer \
               has to read the whole range anew",
    },
    Setting {
        key: "log",
        flag: "log",
        value: "FILTER",
        default: "info",
        serve_only: false,
        help: "What is logged: off, error, warn, info, debug or trace, also by part \
               (`info,sqlx=warn`). Commands other than serve start with warn",
    },
    Setting {
        key: "log_format",
        flag: "log-format",
        value: "text|json",
        default: "text",
        serve_only: false,
        help: "How it is logged, on standard error",
    },
];

impl Setting {
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.to_uppercase())
    }
}

/// Every variable of the environment that begins with it is ours.
pub const ENV_PREFIX: &str = "SENTBY_";
/// Names the file; so it cannot stand in it.
pub const ENV_CONFIG: &str = "SENTBY_CONFIG";

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
}

/// The effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub database: DatabaseUrl,
    pub listen: SocketAddr,
    pub insecure: bool,
    pub key_file: Option<PathBuf>,
    pub cache: CacheKind,
    pub cache_ca_file: Option<PathBuf>,
    pub cache_entries: u64,
    /// In bytes.
    pub ingest_memory: usize,
    pub change_days: u32,
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
        "{origin}: {address} can be reached from other machines, and sentby has no TLS and no \
         authentication yet. Listen on 127.0.0.1, or give --insecure if something in front \
         of it does both"
    )]
    NotLoopback { origin: Origin, address: SocketAddr },
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
            key_file: values.path("key_file"),
            cache: values.parse("cache", CacheKind::parse)?,
            cache_ca_file: values.path("cache_ca_file"),
            cache_entries: values.parse("cache_entries", |text| {
                text.parse().map_err(|_| "is a whole number".into())
            })?,
            ingest_memory: values.parse("ingest_memory", ingest_memory)?,
            change_days: values.parse("change_days", change_days)?,
            log: match values.get("log") {
                Some((_, Origin::Default)) | None if role == Role::Command => "warn".into(),
                _ => values.parse("log", log_filter)?,
            },
            log_format: values.parse("log_format", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("is text or json".into()),
            })?,
        };
        if role == Role::Serve && !config.insecure && !config.listen.ip().is_loopback() {
            return Err(ConfigError::NotLoopback {
                origin: values.origin("listen"),
                address: config.listen,
            });
        }
        Ok(config)
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
            "key_file" => path(&self.key_file),
            "cache" => self.cache.to_string(),
            "cache_ca_file" => path(&self.cache_ca_file),
            "cache_entries" => self.cache_entries.to_string(),
            "ingest_memory" => (self.ingest_memory / MIB).to_string(),
            "change_days" => self.change_days.to_string(),
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

fn change_days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| (1..=3_650).contains(days));
    days.ok_or_else(|| "is a whole number of days, 1 to 3650".into())
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
