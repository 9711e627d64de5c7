//! A program on this store, without anything that is not asked for.

use sentby::config::{CacheKind, Config, DatabaseUrl, LogFormat};
use std::net::SocketAddr;

pub fn config(database: DatabaseUrl) -> Config {
    Config {
        database,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        insecure: false,
        tls_cert_file: None,
        tls_key_file: None,
        tls_client_ca_file: None,
        callers_file: None,
        max_connections: 1_000,
        ops_listen: None,
        otlp_endpoint: None,
        key_file: None,
        cache: CacheKind::Memory,
        cache_ca_file: None,
        cache_entries: 10_000,
        ingest_memory: 32 << 20,
        change_days: 30,
        unjoined_send_days: 3_650, // the records of most tests are of one month, long ago
        delete_grace_days: 7,
        log: "off".into(),
        log_format: LogFormat::Text,
    }
}
