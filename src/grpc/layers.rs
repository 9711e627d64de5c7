//! What stands before every service.

use super::status;
use http::{HeaderMap, Request, Response};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// No call takes longer, whatever its caller allows, and no batch of a stream.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// An answer needs this much of the caller's time to travel; of a short one a quarter.
const TRAVEL: Duration = Duration::from_millis(20);

/// Keeps the caller's deadline (of a stream it is kept by the caller alone, who ends it), and
/// gives every error its reason, also those that arise
/// before a handler sees the call.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLayer;

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge(inner)
    }
}

#[derive(Clone, Debug)]
pub struct Edge<S>(S);

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let patience = patience(request.headers());
        let answer = self.0.call(request);
        Box::pin(async move {
            let Ok(response) = tokio::time::timeout(patience, answer).await else {
                return Ok(status::deadline_exceeded().into_http());
            };
            let response = response?;
            Ok(match transport_status(response.headers()) {
                Some(status) => status.into_http(),
                None => response,
            })
        })
    }
}

/// How long the answer may take: the caller's `grpc-timeout`, cut to ours.
fn patience(headers: &HeaderMap) -> Duration {
    headers
        .get("grpc-timeout")
        .and_then(|value| timeout(value.to_str().ok()?))
        .map_or(LONGEST, |timeout| {
            timeout.saturating_sub(TRAVEL).min(LONGEST)
        })
}

/// At most 8 digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The status of an answer that is nothing but an error, if tonic made it.
fn transport_status(headers: &HeaderMap) -> Option<Status> {
    // most answers have their status in the trailers: those are a handler's
    headers.get(Status::GRPC_STATUS)?;
    status::from_transport(&Status::from_header_map(headers)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_or_left_out() {
        for (text, expected) in [
            ("500m", Some(Duration::from_millis(500))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("999999999H", None),
            ("3", None),
            ("S", None),
            ("", None),
            ("3\u{e9}", None),
        ] {
            assert_eq!(timeout(text), expected, "{text}");
        }
    }
}
