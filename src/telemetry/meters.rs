//! The metrics as the code counts them: handles that are made once, so that counting is one
//! addition. Without [`install`] they count nothing.

use super::{
    process,
    table::{Kind, METRICS, Metric},
};
use metrics::{Counter, Gauge, Histogram, Label};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

/// How often what histograms have gathered is folded into their buckets.
pub const UPKEEP: Duration = Duration::from_secs(5);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
static METERS: OnceLock<Meters> = OnceLock::new();
static SAMPLERS: Mutex<Vec<Sampler>> = Mutex::new(Vec::new());

type Sampler = Box<dyn Fn() + Send>;

/// Starts to count. Before anything else has asked for [`meters`]: handles that were made
/// earlier count nothing. Later calls change nothing.
pub fn install() {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        let name = Matcher::Full(metric.name.to_owned());
        builder = builder
            .set_buckets_for_metric(name, metric.buckets)
            .expect("there are buckets");
    }
    let Ok(handle) = builder.install_recorder() else {
        return;
    };
    let _ = HANDLE.set(handle);
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    gauge(
        "sentby_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
    )
    .set(1);
    // how long ago is then never more than the process is old
    set_to_now(&meters().tenants.surveyed_at);
    set_to_now(&meters().housekeeping.done_at);
    process::sampled();
}

/// Whether anybody may ask for them.
pub fn is_installed() -> bool {
    HANDLE.get().is_some()
}

/// Called before each [`render`], to set gauges of what is cheaper to ask than to follow. It must
/// not wait. Kept for the life of the process.
pub fn on_render(sampler: impl Fn() + Send + 'static) {
    if is_installed() {
        samplers().push(Box::new(sampler));
    }
}

fn samplers() -> std::sync::MutexGuard<'static, Vec<Sampler>> {
    SAMPLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text format of Prometheus.
pub fn render() -> String {
    for sampler in samplers().iter() {
        sampler();
    }
    HANDLE
        .get()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

pub fn upkeep() {
    if let Some(handle) = HANDLE.get() {
        handle.run_upkeep();
    }
}

/// Until when the server's certificate is good, in seconds since 1970.
pub fn certificate_expires(at: i64) {
    gauge("sentby_tls_certificate_expiry_timestamp_seconds", &[]).set(at as f64);
}

/// For gauges of when something was last done.
pub fn set_to_now(gauge: &Gauge) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    gauge.set(since.map_or(0.0, |since| since.as_secs_f64()));
}

pub fn meters() -> &'static Meters {
    METERS.get_or_init(Meters::new)
}

fn known(name: &'static str, kind: Kind, labels: &[(&'static str, &'static str)]) -> Vec<Label> {
    let fits = |metric: &&Metric| {
        metric.name == name
            && metric.kind == kind
            && metric.labels.len() == labels.len()
            && metric.labels.iter().zip(labels).all(|(a, (b, _))| a == b)
    };
    assert!(
        METRICS.iter().any(|m| fits(&m)),
        "{name} is not in the table"
    );
    let labels = labels.iter();
    labels
        .map(|(key, value)| Label::from_static_parts(key, value))
        .collect()
}

fn counter(name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
    metrics::counter!(name, known(name, Kind::Counter, labels))
}

pub(super) fn gauge(name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
    metrics::gauge!(name, known(name, Kind::Gauge, labels))
}

pub(super) fn absolute(name: &'static str) -> Counter {
    counter(name, &[])
}

fn histogram(name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
    metrics::histogram!(name, known(name, Kind::Histogram, labels))
}

/// What the rooms count. Each knows its part.
#[derive(Debug)]
pub struct Meters {
    pub ingest: Ingest,
    pub admission: Admission,
    pub tenants: Tenants,
    pub feed: Feed,
    pub cache: Cache,
    pub store: Store,
    pub housekeeping: Housekeeping,
    pub(super) log_errors: Counter,
    pub(super) log_warnings: Counter,
    pub(super) spans_exported: Counter,
    pub(super) spans_lost: Counter,
    pub(super) ready: Gauge,
}

#[derive(Debug)]
pub struct Ingest {
    pub stored: Counter,
    pub replayed: Counter,
    pub validated: Counter,
    pub bytes: Counter,
    pub kept: Counter,
    pub repeated: Counter,
    pub ignored: Counter,
    pub quarantined: Counter,
    pub without_copy: Counter,
    pub changed_messages: Counter,
    /// Seconds.
    pub lag: Histogram,
    pub rounds_committed: Counter,
    pub rounds_split: Counter,
    pub rounds_failed: Counter,
    pub round_batches: Histogram,
}

#[derive(Debug)]
pub struct Admission {
    pub used: Gauge,
    pub limit: Gauge,
    pub waiting: Gauge,
    pub refused: Counter,
}

#[derive(Debug)]
pub struct Tenants {
    pub active: Gauge,
    pub revoked: Gauge,
    pub deleted: Gauge,
    pub covered: Gauge,
    pub silence: Gauge,
    pub lag: Gauge,
    pub open_gaps: Gauge,
    pub lost_gaps: Gauge,
    pub quarantined: Gauge,
    pub quarantined_bytes: Gauge,
    pub surveyed_at: Gauge,
}

#[derive(Debug)]
pub struct Feed {
    pub watches: Gauge,
    pub told: Counter,
    /// Seconds.
    pub told_lag: Histogram,
    pub streams: Gauge,
}

#[derive(Debug)]
pub struct Cache {
    pub hits: Counter,
    pub misses: Counter,
    pub lost: Counter,
    pub foreign: Counter,
}

#[derive(Debug)]
pub struct Store {
    /// Seconds.
    pub begin: Histogram,
    pub transaction: Histogram,
    pub begun: Counter,
    pub committed: Counter,
    pub unavailable: Counter,
    pub contended: Counter,
    pub corrupt: Counter,
    pub refused: Counter,
    pub wall: Counter,
}

#[derive(Debug)]
pub struct Housekeeping {
    pub done_at: Gauge,
}

impl Meters {
    fn new() -> Self {
        let batches = |outcome| counter("sentby_ingest_batches_total", &[("outcome", outcome)]);
        let records = |outcome| counter("sentby_ingest_records_total", &[("outcome", outcome)]);
        let rounds = |outcome| counter("sentby_ingest_rounds_total", &[("outcome", outcome)]);
        let room = |state| gauge("sentby_admission_bytes", &[("state", state)]);
        let spans = |outcome| counter("sentby_trace_spans_total", &[("outcome", outcome)]);
        let lines = |level| counter("sentby_log_lines_total", &[("level", level)]);
        Self {
            ingest: Ingest {
                stored: batches("stored"),
                replayed: batches("replayed"),
                validated: batches("validated"),
                bytes: counter("sentby_ingest_bytes_total", &[]),
                kept: records("kept"),
                repeated: records("repeated"),
                ignored: records("ignored"),
                quarantined: records("quarantined"),
                without_copy: counter("sentby_ingest_quarantined_without_copy_total", &[]),
                changed_messages: counter("sentby_ingest_changed_messages_total", &[]),
                lag: histogram("sentby_ingest_lag_seconds", &[]),
                rounds_committed: rounds("committed"),
                rounds_split: rounds("split"),
                rounds_failed: rounds("failed"),
                round_batches: histogram("sentby_ingest_round_batches", &[]),
            },
            admission: Admission {
                used: room("used"),
                limit: room("limit"),
                waiting: gauge("sentby_admission_waiting", &[]),
                refused: counter("sentby_admission_refused_total", &[]),
            },
            tenants: Tenants::new(),
            feed: Feed {
                watches: gauge("sentby_feed_watches", &[]),
                told: counter("sentby_feed_changes_told_total", &[]),
                told_lag: histogram("sentby_feed_told_lag_seconds", &[]),
                streams: gauge("sentby_answer_streams", &[]),
            },
            cache: Cache::new(),
            store: Store::new(),
            housekeeping: Housekeeping {
                done_at: gauge("sentby_housekeeping_last_success_timestamp_seconds", &[]),
            },
            log_errors: lines("error"),
            log_warnings: lines("warn"),
            spans_exported: spans("exported"),
            spans_lost: spans("lost"),
            ready: gauge("sentby_ready", &[]),
        }
    }
}

impl Tenants {
    fn new() -> Self {
        let tenants = |state| gauge("sentby_tenants", &[("state", state)]);
        Self {
            active: tenants("active"),
            revoked: tenants("revoked"),
            deleted: tenants("deleted"),
            covered: gauge("sentby_coverage_tenants", &[]),
            silence: gauge("sentby_collector_silence_max_seconds", &[]),
            lag: gauge("sentby_coverage_lag_max_seconds", &[]),
            open_gaps: gauge("sentby_coverage_open_gaps", &[]),
            lost_gaps: gauge("sentby_coverage_lost_gaps", &[]),
            quarantined: gauge("sentby_quarantine_records", &[]),
            quarantined_bytes: gauge("sentby_quarantine_bytes", &[]),
            surveyed_at: gauge("sentby_survey_last_success_timestamp_seconds", &[]),
        }
    }
}

impl Cache {
    fn new() -> Self {
        let lookups = |outcome| counter("sentby_cache_lookups_total", &[("outcome", outcome)]);
        Self {
            hits: lookups("hit"),
            misses: lookups("miss"),
            lost: counter("sentby_cache_lost_total", &[]),
            foreign: counter("sentby_cache_foreign_values_total", &[]),
        }
    }
}

impl Cache {
    /// Of a Redis: whether it is read from, and what is owed to it. For a sampler.
    pub fn redis() -> (Gauge, Gauge) {
        (
            gauge("sentby_cache_up", &[]),
            gauge("sentby_cache_owed_keys", &[]),
        )
    }
}

impl Store {
    fn new() -> Self {
        let writes = |outcome| counter("sentby_store_transactions_total", &[("outcome", outcome)]);
        let errors = |class| counter("sentby_store_errors_total", &[("class", class)]);
        Self {
            begin: histogram("sentby_store_begin_seconds", &[]),
            transaction: histogram("sentby_store_transaction_seconds", &[]),
            begun: writes("begun"),
            committed: writes("committed"),
            unavailable: errors("unavailable"),
            contended: errors("contended"),
            corrupt: errors("corrupt"),
            refused: errors("refused"),
            wall: counter("sentby_tenant_wall_refusals_total", &[]),
        }
    }

    /// Used and idle connections of a pool, for a sampler.
    pub fn connections(pool: &'static str) -> (Gauge, Gauge) {
        let name = "sentby_store_connections";
        let of = |state| gauge(name, &[("pool", pool), ("state", state)]);
        (of("used"), of("idle"))
    }
}

impl Ingest {
    /// Of stored batches; rare, so it is looked up each time.
    pub fn quarantined_as(reason: &'static str, records: u64) {
        let name = "sentby_ingest_quarantined_records_total";
        counter(name, &[("reason", reason)]).increment(records);
    }
}

impl Housekeeping {
    /// Rare, so it is looked up each time.
    pub fn expired(what: &'static str, rows: u64) {
        let name = "sentby_housekeeping_expired_rows_total";
        counter(name, &[("what", what)]).increment(rows);
    }
}

/// The calls of one method.
pub struct Method {
    pub name: &'static str,
    pub started: Counter,
    pub in_progress: Gauge,
    pub duration: Histogram,
    pub bytes: Counter,
    /// By gRPC code; there is a series of what has happened, and of OK.
    ended: [OnceLock<Counter>; CODES.len()],
}

/// By their numbers.
pub const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Method {
    /// `name`: `sentby.v1.TenantService/GetTenant`.
    pub fn new(name: &'static str) -> Self {
        let labels = [("method", name)];
        let method = Self {
            name,
            started: counter("sentby_grpc_calls_started_total", &labels),
            in_progress: gauge("sentby_grpc_calls_in_progress", &labels),
            duration: histogram("sentby_grpc_call_duration_seconds", &labels),
            bytes: counter("sentby_grpc_response_bytes_total", &labels),
            ended: [const { OnceLock::new() }; CODES.len()],
        };
        method.ended(0).increment(0);
        method
    }

    /// `code`: a number of gRPC.
    pub fn ended(&self, code: usize) -> &Counter {
        let code = if code < CODES.len() { code } else { 2 };
        self.ended[code].get_or_init(|| {
            let labels = [("method", self.name), ("code", CODES[code])];
            counter("sentby_grpc_calls_total", &labels)
        })
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
