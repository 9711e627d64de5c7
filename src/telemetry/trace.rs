//! Traces: the spans of calls, sent to an OTLP receiver.
//!
//! A call belongs to its caller's trace (W3C `traceparent`), and is traced if that is. Of calls
//! without one [`A_SECOND`] a second are traced, and those are all where there are few.
//!
//! Only spans of our own, without the events in them: what libraries tell at these levels has
//! statements and headers in it. A receiver that is away costs nothing but its spans.

use super::meters::meters;
use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, TraceId,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{Link, SpanKind, TraceContextExt as _, TraceState, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult,
        SdkTracer, SdkTracerProvider, ShouldSample, SpanData, SpanExporter as Export,
    },
};
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Calls without a caller's trace that are traced in a second.
const A_SECOND: u32 = 10;
/// How long the receiver may take for a batch, and the end of the process for the last ones.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How soon spans are sent.
const DELAY: Duration = Duration::from_secs(1);
/// Spans that wait for the receiver: the next ones are lost.
const QUEUE: usize = 4_096;
/// At most one line of the log about a receiver in so long.
const REPORT: Duration = Duration::from_secs(60);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// To be called in the runtime. Nothing is connected to yet.
pub(super) fn start(endpoint: &str) -> Result<SdkTracer, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(PATIENCE)
        .build()?;
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(DELAY)
        .build();
    let processor = BatchSpanProcessor::builder(Telling::new(exporter))
        .with_batch_config(config)
        .build();
    let resource = Resource::builder_empty()
        .with_service_name("sentby")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ])
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(Few::default())))
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("sentby");
    let _ = PROVIDER.set(provider);
    Ok(tracer)
}

/// What becomes part of a trace.
pub(super) fn is_traced(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span()
        && *metadata.level() <= Level::DEBUG
        && (target == "sentby" || target.starts_with("sentby::"))
}

/// Sends what there is. It may take [`PATIENCE`], and blocks.
pub fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // a receiver that is away was told of before
        let _ = provider.shutdown_with_timeout(PATIENCE);
    }
}

/// Whether calls can be part of a trace.
pub fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// Makes the span part of its caller's trace; the id of the trace, if it is traced. Before
/// anything else is done in the span.
pub fn join(span: &Span, headers: &HeaderMap) -> Option<String> {
    PROVIDER.get()?;
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    let _ = span.set_parent(parent);
    let context = span.context();
    let traced = context.span().span_context().clone();
    traced.is_sampled().then(|| traced.trace_id().to_string())
}

/// Of the caller's context its trace alone: what else is in it is not ours to send on.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).filter(|_| key == "traceparent");
        value?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The first of each second.
#[derive(Clone, Debug)]
struct Few(Arc<Mutex<(Instant, u32)>>);

impl Default for Few {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), 0))))
    }
}

impl Few {
    fn takes(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.0) >= Duration::from_secs(1) {
            *state = (now, 0);
        }
        state.1 += 1;
        state.1 <= A_SECOND
    }
}

impl ShouldSample for Few {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        kind: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        // what is done unasked is no call
        let takes = *kind == SpanKind::Server && self.takes(Instant::now());
        SamplingResult {
            decision: if takes {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// Tells of a receiver that does not take spans, now and then.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    reported: Mutex<Option<Instant>>,
    is_down: AtomicBool,
}

impl<E> Telling<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            reported: Mutex::new(None),
            is_down: AtomicBool::new(false),
        }
    }

    fn tell(&self, spans: usize, sent: &OTelSdkResult) {
        match sent {
            Ok(()) => {
                meters().spans_exported.increment(spans as u64);
                if self.is_down.swap(false, Relaxed) {
                    tracing::info!("the receiver of traces takes spans again");
                }
            }
            Err(error) => {
                meters().spans_lost.increment(spans as u64);
                self.is_down.store(true, Relaxed);
                let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
                if reported.is_none_or(|at| at.elapsed() > REPORT) {
                    *reported = Some(Instant::now());
                    tracing::warn!(%error, "the receiver of traces does not take spans: they are lost");
                }
            }
        }
    }
}

impl<E: Export> Export for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        self.tell(spans, &sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_second_are_traced() {
        let (few, begun) = (Few::default(), Instant::now());
        let taken = |at: u64| {
            let now = begun + Duration::from_millis(at);
            (0..100).filter(|_| few.takes(now)).count()
        };
        assert_eq!([taken(100), taken(900)], [A_SECOND as usize, 0]);
        assert_eq!([taken(1_900), taken(2_000)], [A_SECOND as usize, 0]);
        assert_eq!(taken(60_000), A_SECOND as usize);
    }
}
