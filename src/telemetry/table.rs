//! Every metric, in one table. docs/operations.md lists the same (a test compares).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Its unit is in its name. No label tells of a tenant, an address or a message: the values of
/// all labels are fixed by the program.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// Upper bounds, of a histogram.
    pub buckets: &'static [f64],
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels,
        buckets: &[],
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels,
        buckets: &[],
        help,
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
        labels,
        buckets,
        help,
    }
}

/// Of calls and transactions, in seconds: from a hit of the cache to the longest call.
const CALL: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// From an event to its acknowledgement, in seconds: Microsoft takes minutes to days.
const LAG: &[f64] = &[
    60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0,
    432_000.0, 864_000.0,
];
/// From a commit to its reader, in seconds.
const TOLD: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0,
];
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

pub const METRICS: &[Metric] = &[
    // calls
    counter(
        "sentby_grpc_calls_started_total",
        &["method"],
        "Calls that have begun. A method that this server does not have is called other",
    ),
    counter(
        "sentby_grpc_calls_total",
        &["method", "code"],
        "Calls that have ended, with their gRPC code; of a stream, when its last answer is out",
    ),
    gauge(
        "sentby_grpc_calls_in_progress",
        &["method"],
        "Calls that have begun and not ended",
    ),
    histogram(
        "sentby_grpc_call_duration_seconds",
        &["method"],
        CALL,
        "From the head of a call to the end of its answer; a watch may last for hours",
    ),
    counter(
        "sentby_grpc_response_bytes_total",
        &["method"],
        "Bytes of answers, before they are framed and encrypted",
    ),
    // ingest
    counter(
        "sentby_ingest_batches_total",
        &["outcome"],
        "Acknowledged batches: stored, replayed (the request id was known), validated (nothing \
         is stored of them)",
    ),
    counter(
        "sentby_ingest_bytes_total",
        &[],
        "Bytes of batches that were read, as they were sent",
    ),
    counter(
        "sentby_ingest_records_total",
        &["outcome"],
        "Records of stored batches: kept, repeated, ignored (operations that do not matter), \
         quarantined",
    ),
    counter(
        "sentby_ingest_quarantined_records_total",
        &["reason"],
        "Records of stored batches that went into quarantine, by reason",
    ),
    counter(
        "sentby_ingest_quarantined_without_copy_total",
        &[],
        "Quarantined records of which no copy is kept: another tenant's, or there was no room",
    ),
    counter(
        "sentby_ingest_changed_messages_total",
        &[],
        "Messages whose attribution is new or another one",
    ),
    histogram(
        "sentby_ingest_lag_seconds",
        &[],
        LAG,
        "From the newest send event of a batch to the acknowledgement of the batch",
    ),
    counter(
        "sentby_ingest_rounds_total",
        &["outcome"],
        "Transactions of batches: committed, split (one batch failed it, so each goes alone), \
         failed",
    ),
    histogram(
        "sentby_ingest_round_batches",
        &[],
        BATCHES,
        "Batches of one transaction",
    ),
    gauge(
        "sentby_admission_bytes",
        &["state"],
        "Room for batches in memory: used, and limit",
    ),
    gauge(
        "sentby_admission_waiting",
        &[],
        "Batches that wait for room",
    ),
    counter(
        "sentby_admission_refused_total",
        &[],
        "Batches and streams that were refused for want of room",
    ),
    // tenants
    gauge(
        "sentby_tenants",
        &["state"],
        "Tenants: active (consented), revoked, deleted (to be purged)",
    ),
    gauge(
        "sentby_coverage_tenants",
        &[],
        "Tenants with consent for which a collector has completed a period of content: those that \
         silence, lag and gaps are about",
    ),
    gauge(
        "sentby_collector_silence_max_seconds",
        &[],
        "Of the tenant whose collectors completed nothing for longest, how long",
    ),
    gauge(
        "sentby_coverage_lag_max_seconds",
        &[],
        "Of the tenant that is furthest behind: the time since which its events may be missing",
    ),
    gauge(
        "sentby_coverage_open_gaps",
        &[],
        "Gaps in covered time of all tenants that Microsoft still serves",
    ),
    gauge(
        "sentby_coverage_lost_gaps",
        &[],
        "Gaps in covered time of all tenants that Microsoft serves no more",
    ),
    gauge(
        "sentby_quarantine_records",
        &[],
        "Records in quarantine, of all tenants",
    ),
    gauge(
        "sentby_quarantine_bytes",
        &[],
        "Bytes of them that are kept",
    ),
    gauge(
        "sentby_survey_last_success_timestamp_seconds",
        &[],
        "When the tenants were last looked through for these gauges, or the process started",
    ),
    // feed
    gauge("sentby_feed_watches", &[], "Watches under way"),
    counter(
        "sentby_feed_changes_told_total",
        &[],
        "Changes that watches were told",
    ),
    histogram(
        "sentby_feed_told_lag_seconds",
        &[],
        TOLD,
        "From a commit until a watch that had caught up is told its first change",
    ),
    gauge("sentby_answer_streams", &[], "StreamAttributions under way"),
    // cache
    counter(
        "sentby_cache_lookups_total",
        &["outcome"],
        "Messages looked up: hit (answered by a cache), miss (read from the store)",
    ),
    gauge(
        "sentby_cache_up",
        &[],
        "1 while answers are read from Redis; 0 while it is away, or is being brought up to date",
    ),
    gauge(
        "sentby_cache_owed_keys",
        &[],
        "Messages that could not be set in Redis, and will be made void before it is read again",
    ),
    counter(
        "sentby_cache_lost_total",
        &[],
        "Times that Redis failed or was too slow, and its use ended",
    ),
    counter(
        "sentby_cache_foreign_values_total",
        &[],
        "Values in Redis that sentby did not put there",
    ),
    // store
    gauge(
        "sentby_store_connections",
        &["pool", "state"],
        "Connections of the store: used, idle",
    ),
    histogram(
        "sentby_store_begin_seconds",
        &[],
        CALL,
        "How long a write waited for a connection and the tenant's lock",
    ),
    histogram(
        "sentby_store_transaction_seconds",
        &[],
        CALL,
        "From the lock of a write to the end of its commit",
    ),
    counter(
        "sentby_store_transactions_total",
        &["outcome"],
        "Writes of a tenant: begun, committed",
    ),
    counter(
        "sentby_store_errors_total",
        &["class"],
        "Errors of the store: unavailable, contended (another writer was in the way), corrupt, \
         refused",
    ),
    counter(
        "sentby_tenant_wall_refusals_total",
        &[],
        "Rows of another tenant that the store gave and that were refused: must stay 0",
    ),
    // housekeeping
    counter(
        "sentby_housekeeping_expired_rows_total",
        &["what"],
        "Rows deleted because they expired: receipts, quarantine, changes, failures",
    ),
    gauge(
        "sentby_housekeeping_last_success_timestamp_seconds",
        &[],
        "When all that had expired was last deleted, or the process started",
    ),
    // the process
    gauge(
        "sentby_ready",
        &[],
        "1 while the store is reached, its schema fits, and the server does not stop",
    ),
    gauge("sentby_build_info", &["version"], "1"),
    gauge(
        "sentby_tls_certificate_expiry_timestamp_seconds",
        &[],
        "Until when the server's certificate is good",
    ),
    counter(
        "sentby_log_lines_total",
        &["level"],
        "Lines of the log: error, warn",
    ),
    counter(
        "sentby_trace_spans_total",
        &["outcome"],
        "Spans: exported, lost (the receiver did not take them)",
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "Processor time of the process",
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory of the process",
    ),
    gauge(
        "process_open_fds",
        &[],
        "Open file descriptors of the process",
    ),
    gauge(
        "process_max_fds",
        &[],
        "File descriptors that the process may open",
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the process started",
    ),
];
