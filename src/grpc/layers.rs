//! What stands before every service.

use super::{
    arriving::{Arriving, Held, Room},
    deadline::Deadline,
    status,
};
use crate::{app::App, store};
use http::{HeaderMap, Request, Response};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Refuses at once what cannot be done in time, or is more than the process works on; keeps the
/// caller's deadline (a stream keeps its own, from the extension); and gives every error its
/// reason, also those that arise before a handler sees the call.
#[derive(Clone, Debug)]
pub struct EdgeLayer {
    app: Arc<App>,
    room: Room,
}

impl EdgeLayer {
    pub fn new(app: Arc<App>) -> Self {
        Self {
            app,
            room: Room::default(),
        }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, service: S) -> Edge<S> {
        Edge {
            service,
            layer: self.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Edge<S> {
    service: S,
    layer: EdgeLayer,
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Ok(deadline) = Deadline::of(request.headers()) else {
            return Box::pin(async { Ok(status::deadline_exceeded().into_http()) });
        };
        request.extensions_mut().insert(deadline);
        // the one that is ready goes, another one stays
        let another = self.service.clone();
        let service = std::mem::replace(&mut self.service, another);
        let layer = self.layer.clone();
        Box::pin(async move {
            let until = deadline.of_answer();
            let answer = store::until(until, layer.answer(service, request));
            let Ok(response) = tokio::time::timeout_at(until, answer).await else {
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

impl EdgeLayer {
    /// A call has a place until its answer is made, a stream until it is opened: how many there
    /// may be of those is counted apart, for each kind.
    async fn answer<S>(
        self,
        mut service: S,
        request: Request<Body>,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        if !is_counted(request.uri().path()) {
            return service.call(request).await;
        }
        let (parts, body) = request.into_parts();
        let held = Held::default();
        // a batch waits for room of its own (inbox.rs), and may be larger than all of this
        let room = (!parts.uri.path().ends_with("/IngestAuditBatch")).then_some(self.room);
        let body = match Arriving::of(body, room, held.clone()).await {
            Ok(body) => body,
            Err(broken) => return Ok(broken.into_http()),
        };
        let tenant = body.tenant();
        let Ok(_place) = self.app.places().enter(tenant) else {
            return Ok(status::too_many_calls().into_http());
        };
        let mut _walk = None;
        if let Some(tenant) = tenant.filter(|_| walks(parts.uri.path())) {
            let Ok(walk) = self.app.walks().enter(tenant).await else {
                return Ok(status::too_much_is_read().into_http());
            };
            _walk = Some(walk);
        }
        let request = Request::from_parts(parts, Body::new(body));
        let response = service.call(request).await?;
        Ok(response.map(|answer| held.with(answer)))
    }
}

/// All but what tells how the process is, and a stream of batches: it is read as there is room,
/// and its caller may wait for its head before it sends anything.
fn is_counted(path: &str) -> bool {
    path.starts_with("/sentby.") && !path.ends_with("/StreamAuditBatches")
}

/// A call that reads for itself alone, and much: it takes turns with others, a stream until it is
/// opened. Lookups are read together, and writes of a tenant are written together; summaries and
/// findings take turns of their own.
fn walks(path: &str) -> bool {
    const WALKS: [&str; 7] = [
        "ListAttributions",
        "StreamAttributions",
        "ExplainAttribution",
        "GetCoverage",
        "ListMailboxes",
        "ListAuditBatches",
        "ListQuarantinedRecords",
    ];
    path.rsplit('/')
        .next()
        .is_some_and(|method| WALKS.contains(&method))
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
    fn every_method_that_reads_a_range_walks() {
        let ranges = ["List", "Stream", "Explain", "GetCoverage"];
        let methods = super::super::observe::methods(super::super::DESCRIPTORS);
        assert!(methods.len() > 20);
        for (name, _) in methods {
            let method = name.rsplit('/').next().expect("a name");
            // one is of no tenant, one has turns of its own, one writes
            let is_other = ["ListTenants", "ListFindings", "StreamAuditBatches"].contains(&method);
            let reads_a_range = ranges.iter().any(|range| method.starts_with(range)) && !is_other;
            assert_eq!(walks(&format!("/{name}")), reads_a_range, "{name}");
        }
    }
}
