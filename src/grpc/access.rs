//! Who calls is known, and whether the method is for them, before anything of a request's
//! message is read.

use super::status;
use crate::access::{Access, Peer, Shown, Who, rule};
use futures_util::future::{Either, Ready, ready};
use http::{Request, Response, header::AUTHORIZATION};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::{Layer, Service};

/// Refuses calls, and gives the others their [`crate::access::Caller`].
#[derive(Clone, Debug)]
pub struct AccessLayer(Arc<Access>);

impl AccessLayer {
    pub fn new(access: Arc<Access>) -> Self {
        Self(access)
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        let access = Arc::clone(&self.0);
        Guard { access, inner }
    }
}

#[derive(Clone, Debug)]
pub struct Guard<S> {
    access: Arc<Access>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let rule = rule(path.strip_prefix('/').unwrap_or(path));
        if rule.is_some_and(|rule| rule.who == Who::Anybody) {
            return Either::Left(self.inner.call(request));
        }
        let authorization = request.headers().get(AUTHORIZATION);
        let shown = Shown::new(
            authorization.map(|value| value.as_bytes()),
            request.extensions().get::<Peer>(),
        );
        match self.access.admit(rule, shown) {
            Ok(caller) => {
                // nothing behind this has a use for it, and what nobody has is in no log
                request.headers_mut().remove(AUTHORIZATION);
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(denied) => Either::Right(ready(Ok(status::denied(&denied).into_http()))),
        }
    }
}
