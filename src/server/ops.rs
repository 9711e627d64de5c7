//! Probes and metrics over HTTP, for the platform: no data of tenants, no TLS, no authentication.
//!
//! | path | |
//! |---|---|
//! | `/livez` | 200 while the process answers |
//! | `/readyz` | 200, or 503 and why calls should not come here |
//! | `/metrics` | the text format of Prometheus |

use crate::telemetry::{meters, readiness};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{interval, sleep, timeout},
};

/// Connections at a time; more wait to be accepted. Each is good for one question.
const CONNECTIONS: usize = 16;
/// How long one may take, whatever it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the head of a question.
const HEAD: usize = 8 << 10;
/// Before the next attempt to accept, where there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the process ends, also while the API starts and stops.
pub async fn serve(listener: TcpListener) {
    tokio::join!(accept(listener), upkeep());
}

async fn upkeep() {
    let mut due = interval(meters::UPKEEP);
    loop {
        due.tick().await;
        meters::upkeep();
    }
}

async fn accept(listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return; // it is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    answer_one(stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no connection for probes and metrics");
                sleep(PAUSE).await;
            }
        }
    }
}

/// What goes wrong here is the asker's loss.
async fn answer_one(stream: TcpStream) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let _ = timeout(PATIENCE, connection).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let metrics = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, text, "alive\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => match readiness::get() {
            Ok(()) => (StatusCode::OK, text, "ready\n".into()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, text, why + "\n"),
        },
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics, meters::render()),
        (&Method::GET | &Method::HEAD, _) => {
            let paths = "there is /livez, /readyz and /metrics\n";
            (StatusCode::NOT_FOUND, text, paths.into())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, text, "GET only\n".into()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
