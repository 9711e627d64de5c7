//! The log: on standard error, as text or JSON. Addresses and message ids are never logged;
//! a tenant, a revision, a count and a reason are.

use crate::config::{Config, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Once, at the start of the process; later calls change nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).expect("the configuration checked it");
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // the first one stays: tests of one process start it more than once
    let _ = match config.log_format {
        LogFormat::Text => log
            .with_ansi(std::io::stderr().is_terminal() && !no_color())
            .try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// <https://no-color.org>: set and not empty.
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
