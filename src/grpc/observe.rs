//! What stands before everything else: each call gets its id, is counted and timed, is a span of
//! its caller's trace, and if it fails a line of the log.
//!
//! A call ends when the last of its answer is out, or its caller has left.

use super::DESCRIPTORS;
use crate::telemetry::{
    call,
    meters::{CODES, Method},
    trace,
};
use foldhash::fast::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use prost::Message as _;
use std::{
    collections::HashMap,
    future::Future,
    hash::BuildHasher as _,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Instant,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty};

/// The caller's name for a call, and ours where it has none.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a caller's name.
const LONGEST_ID: usize = 64;

/// The id of the call that this is done for; a new one where it is done for none.
pub(super) fn request_id() -> Arc<str> {
    call::current().map_or_else(new_id, |call| Arc::clone(&call.request_id))
}

/// A random UUID, of a seed of the process: asking the system for each costs more than the rest.
fn new_id() -> Arc<str> {
    static SEED: LazyLock<(RandomState, u128)> =
        LazyLock::new(|| (RandomState::default(), uuid::Uuid::new_v4().as_u128()));
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (hasher, seed) = &*SEED;
    let number = NUMBER.fetch_add(1, Relaxed);
    let halves = [0u8, 1].map(|half| u128::from(hasher.hash_one((seed, number, half))));
    let random = (halves[0] << 64 | halves[1]) ^ seed;
    let id = uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    Arc::from(&*id.hyphenated().encode_lower(&mut text))
}

/// The caller's, if it is one word that no log or header can stumble on.
fn id_of(headers: &HeaderMap) -> Arc<str> {
    let is_sane = |id: &&str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_word)
    };
    let id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    id.filter(is_sane).map_or_else(new_id, Arc::from)
}

/// A method and how it is counted.
#[derive(Debug)]
struct Known {
    meter: Method,
    /// Of a span.
    service: &'static str,
    method: &'static str,
    /// Probes and reflection are no trace.
    is_quiet: bool,
    /// It does its work while its answers are taken.
    is_stream: bool,
}

impl Known {
    /// `name`: `SERVICE/METHOD`.
    fn new(name: &'static str, is_stream: bool) -> Self {
        let (service, method) = name.split_once('/').unwrap_or(("", name));
        Self {
            meter: Method::new(name),
            service,
            method,
            is_quiet: service.starts_with("grpc."),
            is_stream,
        }
    }
}

/// Every method of the server, by path. What callers make up besides is one.
static METHODS: LazyLock<HashMap<String, Known, RandomState>> = LazyLock::new(|| {
    let all = [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .flat_map(methods)
        .chain(["v1", "v1alpha"].map(|v| {
            (
                format!("grpc.reflection.{v}.ServerReflection/ServerReflectionInfo"),
                true,
            )
        }));
    // once, for the life of the process
    let known = |(name, is_stream): (String, bool)| {
        (format!("/{name}"), Known::new(name.leak(), is_stream))
    };
    all.map(known).collect()
});
static OTHER: LazyLock<Known> = LazyLock::new(|| Known::new("other", true));

/// Names, and whether the answer is a stream.
pub(super) fn methods(descriptors: &[u8]) -> Vec<(String, bool)> {
    let files = prost_types::FileDescriptorSet::decode(descriptors).expect("our own descriptors");
    let mut names = Vec::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                let name = format!("{package}.{service}/{}", method.name());
                names.push((name, method.server_streaming()));
            }
        }
    }
    names
}

#[derive(Clone, Copy, Debug)]
pub struct ObserveLayer;

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        // there from the start, so that what happens first is an increase too
        LazyLock::force(&METHODS);
        LazyLock::force(&OTHER);
        Observe(inner)
    }
}

#[derive(Clone, Debug)]
pub struct Observe<S>(S);

impl<S, B, A> Service<Request<B>> for Observe<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    A: Body,
{
    type Response = Response<Observed<A>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::begin(&request);
        let answer = call.within(|| self.0.call(request));
        let answer = call::scope(Arc::clone(&call.told), answer.instrument(call.span.clone()));
        Box::pin(async move {
            let response = answer.await?;
            let (mut parts, body) = response.into_parts();
            if let Ok(mut id) = HeaderValue::from_str(&call.told.request_id) {
                // never the same again: it has no place in the tables of header compression
                id.set_sensitive(true);
                parts.headers.insert(REQUEST_ID, id);
            }
            let mut body = Observed { body, call };
            // an answer that is nothing but its status
            if parts.headers.contains_key(Status::GRPC_STATUS) {
                body.call.end(Status::from_header_map(&parts.headers));
            }
            Ok(Response::from_parts(parts, body))
        })
    }
}

/// A span of its caller's trace, and the id of that.
fn traced(known: &Known, id: &str, headers: &HeaderMap) -> (Span, Option<String>) {
    let span = tracing::error_span!(
        "call",
        request_id = id,
        method = known.meter.name,
        trace_id = Empty,
        otel.name = known.meter.name,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = known.service,
        rpc.method = known.method,
        rpc.grpc.status_code = Empty,
    );
    let trace_id = trace::join(&span, headers);
    if let Some(trace_id) = &trace_id {
        span.record("trace_id", trace_id);
    }
    (span, trace_id)
}

/// A call under way.
#[derive(Debug)]
struct Call {
    known: &'static Known,
    told: Arc<call::Call>,
    /// None, where there are no traces: one more for the log alone would be a tenth of a lookup.
    span: Span,
    begun: Instant,
    is_over: bool,
}

impl Call {
    fn begin<B>(request: &Request<B>) -> Self {
        let known = METHODS.get(request.uri().path()).unwrap_or(&OTHER);
        let request_id = id_of(request.headers());
        let (span, trace_id) = if trace::is_on() && !known.is_quiet {
            traced(known, &request_id, request.headers())
        } else {
            (Span::none(), None)
        };
        let told = Arc::new(call::Call {
            request_id,
            method: known.meter.name,
            trace_id,
        });
        known.meter.started.increment(1);
        known.meter.in_progress.increment(1);
        Self {
            known,
            told,
            span,
            begun: Instant::now(),
            is_over: false,
        }
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        call::sync_scope(&self.told, || self.span.in_scope(work))
    }

    /// Counted once: later calls change nothing. `None`: the caller has left.
    fn end(&mut self, status: Option<Status>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let code = status.as_ref().map_or(Code::Cancelled, Status::code);
        let lasted = self.begun.elapsed();
        let meter = &self.known.meter;
        meter.in_progress.decrement(1);
        meter.duration.record(lasted.as_secs_f64());
        meter.ended(code as usize).increment(1);
        self.span.record("rpc.grpc.status_code", code as i32);
        if is_ours(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        self.within(|| tell(code, status.as_ref(), lasted));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// What callers cannot help.
fn is_ours(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The text of an error is for its caller: it may name what the log must not.
fn tell(code: Code, status: Option<&Status>, lasted: std::time::Duration) {
    let reason = || {
        let info = status.and_then(|status| status.get_details_error_info());
        info.map_or(String::new(), |info| info.reason)
    };
    let (name, ms) = (CODES[code as usize], lasted.as_secs_f64() * 1e3);
    match code {
        Code::Ok => tracing::debug!(code = name, ms, "answered"),
        Code::Internal | Code::DataLoss | Code::Unknown => {
            tracing::error!(code = name, reason = reason(), ms, "failed");
        }
        Code::Unavailable => match reason().as_str() {
            // the caller only has to come again
            reason @ ("SERVER_STOPPING" | "REVISION_NOT_REACHED") => {
                tracing::debug!(code = name, reason, ms, "refused");
            }
            reason => tracing::warn!(code = name, reason, ms, "failed"),
        },
        _ => tracing::debug!(code = name, reason = reason(), ms, "refused"),
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct Observed<A> {
    body: A,
    call: Call,
}

impl<A> Body for Observed<A>
where
    A: Body<Data = bytes::Bytes> + Unpin,
{
    type Data = bytes::Bytes;
    type Error = A::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, A::Error>>> {
        let Self { body, call } = self.get_mut();
        let polled = if call.known.is_stream {
            call.within(|| Pin::new(body).poll_frame(context))
        } else {
            Pin::new(body).poll_frame(context)
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    call.known.meter.bytes.increment(data.len() as u64);
                } else if let Some(trailers) = frame.trailers_ref() {
                    call.end(Status::from_header_map(trailers));
                }
            }
            Poll::Ready(Some(Err(_)) | None) => {
                call.end(Some(Status::unknown("")));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_taken_if_it_is_one_word() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            let id = HeaderValue::from_bytes(id.as_bytes()).expect("a header");
            headers.insert(REQUEST_ID, id);
            id_of(&headers).to_string()
        };
        let long = "a".repeat(64);
        for id in ["a", "7b1f-4.x_Y", &long] {
            assert_eq!(of(id), id);
        }
        let too_long = "a".repeat(65);
        for id in ["", " ", "a b", "a@b", "ä", "a;b", "\u{9b}31m", &too_long] {
            assert!(uuid::Uuid::try_parse(&of(id)).is_ok(), "{id:?}");
        }
        assert_ne!(id_of(&HeaderMap::new()), id_of(&HeaderMap::new()));
    }

    #[test]
    fn every_method_is_known() {
        for path in [
            "/sentby.v1.IngestService/StreamAuditBatches",
            "/sentby.v1.AttributionService/LookupAttributions",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(METHODS.contains_key(path), "{path}");
        }
        let known = &METHODS["/sentby.v1.TenantService/GetTenant"];
        assert_eq!(
            (known.service, known.method, known.is_stream),
            ("sentby.v1.TenantService", "GetTenant", false)
        );
    }
}
