//! The table of settings.

use super::ENV_PREFIX;

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

pub const SETTINGS: &[Setting] = &[
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
               loopback needs TLS and a callers file, or --insecure",
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
        key: "tls_cert_file",
        flag: "tls-cert-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "Serve TLS with this certificate and what leads to its authority (PEM)",
    },
    Setting {
        key: "tls_key_file",
        flag: "tls-key-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "The key of the certificate (PEM)",
    },
    Setting {
        key: "tls_client_ca_file",
        flag: "tls-client-ca-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "Clients show a certificate of one of these authorities (PEM): all of them, or \
               where the callers file has tokens, those without one",
    },
    Setting {
        key: "callers_file",
        flag: "callers-file",
        value: "FILE",
        default: "",
        serve_only: true,
        help: "The table of who may call what, on which tenants (TOML). Not set: everybody may do \
               everything",
    },
    Setting {
        key: "max_connections",
        flag: "max-connections",
        value: "N",
        default: "1000",
        serve_only: true,
        help: "Connections of callers at a time. More wait to be accepted",
    },
    Setting {
        key: "ops_listen",
        flag: "ops-listen",
        value: "ADDRESS:PORT",
        default: "",
        serve_only: true,
        help: "Where probes and metrics are served over HTTP: /livez, /readyz, /metrics. Not set: \
               nowhere",
    },
    Setting {
        key: "otlp_endpoint",
        flag: "otlp-endpoint",
        value: "URL",
        default: "",
        serve_only: true,
        help: "The OTLP receiver (gRPC) that traces are sent to: http://HOST:4317. Not set: none \
               are made",
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
        key: "unjoined_send_days",
        flag: "unjoined-send-days",
        value: "DAYS",
        default: "30",
        serve_only: true,
        help: "How long an agent's own mail, which answers nothing but its id, is kept: 1 to 3650",
    },
    Setting {
        key: "delete_grace_days",
        flag: "delete-grace-days",
        value: "DAYS",
        default: "7",
        serve_only: true,
        help: "How long a deleted tenant can still be brought back, 0 to 90",
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
