//! What the process tells of itself: its log, metrics, traces, and whether it is ready. Addresses
//! and message ids are in none of them; a tenant, a revision, a count and a reason may be in
//! the log and in traces, and no tenant is in metrics.
//!
//! | file | |
//! |---|---|
//! | `call.rs` | the call that something is done for |
//! | `log.rs` | lines of the log, on standard error, as text or JSON |
//! | `table.rs` | every metric |
//! | `meters.rs` | the metrics as the code counts them |
//! | `process.rs` | what `/proc` tells |
//! | `trace.rs` | spans of calls, sent to an OTLP receiver |
//! | `readiness.rs` | whether calls should come here |

pub mod call;
pub mod log;
pub mod meters;
mod process;
pub mod readiness;
pub mod table;
pub mod trace;

use crate::config::{Config, Role};
use log::Log;
pub use meters::meters;
use std::io::IsTerminal as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Once, at the start of the process and in its runtime; later calls change nothing. Metrics
/// and traces are of a server alone.
pub fn start(config: &Config, role: Role) {
    let serves = role == Role::Serve;
    if serves && config.ops_listen.is_some() {
        meters::install();
    }
    let endpoint = config.otlp_endpoint.as_ref().filter(|_| serves);
    let tracer = endpoint.map(|endpoint| trace::start(endpoint)).transpose();
    let (tracer, refused) = match tracer {
        Ok(tracer) => (tracer, None),
        Err(error) => (None, Some(error)),
    };
    let traces = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(trace::is_traced))
    });
    let lines = Log {
        format: config.log_format,
        ansi: std::io::stderr().is_terminal() && !no_color(),
    };
    // the first one stays: tests of one process start it more than once
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter(&config.log)))
        .with(traces)
        .try_init();
    if serves {
        std::panic::set_hook(Box::new(panicked));
    }
    if let Some(error) = refused {
        tracing::error!(%error, "there will be no traces");
    }
}

/// Of what a panic says only what stands in the program: the rest may quote what it stumbled on.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let what: &str = panic.payload().downcast_ref().copied().unwrap_or_default();
    tracing::error!(place, what, "PANIC");
}

/// `debug` and `trace` alone are of our own parts. Libraries tell statements and frames at these
/// levels: whoever wants that names them (`debug,sqlx=debug`).
fn filter(text: &str) -> EnvFilter {
    let words = text.split(',').map(|word| match word.trim() {
        lone if matches!(lone.to_lowercase().as_str(), "debug" | "trace") => {
            format!("info,sentby={lone}")
        }
        other => other.to_owned(),
    });
    let text = words.collect::<Vec<_>>().join(",");
    EnvFilter::try_new(text).expect("the configuration checked it")
}

/// <https://no-color.org>: set and not empty.
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
