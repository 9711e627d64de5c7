//! No call is served from a store that was not looked at, or in which the last look found what
//! makes answers wrong.

use super::status;
use crate::app::App;
use futures_util::future::{BoxFuture, Either};
use http::{Request, Response};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// A service behind the gate.
#[derive(Clone, Debug)]
pub(super) struct Gated<S> {
    service: S,
    app: Arc<App>,
}

impl<S> Gated<S> {
    pub(super) fn new(service: S, app: &Arc<App>) -> Self {
        let app = Arc::clone(app);
        Self { service, app }
    }
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.app.is_fit() {
            return Either::Left(self.service.call(request));
        }
        let app = Arc::clone(&self.app);
        // the one that is ready is taken, its copy is for the next call
        let copy = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, copy);
        Either::Right(Box::pin(async move {
            match app.fit().await {
                Ok(()) => service.call(request).await,
                Err(error) => Ok(status::from_error(error).into_http()),
            }
        }))
    }
}
