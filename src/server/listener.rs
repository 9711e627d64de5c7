//! Connections, from the socket to the first byte of HTTP/2.
//!
//! tonic's own loop has no limit of connections and of handshakes, waits for a peer that says
//! nothing for ever, and turns at full speed while there are no file descriptors left.

use super::tls;
use crate::access::Peer;
use futures_util::{Stream, stream};
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    future::Future as _,
    io::{self, ErrorKind, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

/// Handshakes at a time: they are what a connection costs most.
const HANDSHAKES: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(3);
/// After an error that the next call of `accept` would meet too.
const BACK_OFF: Duration = Duration::from_millis(75);
/// Until a peer has said that it speaks HTTP/2.
const SILENCE: Duration = Duration::from_secs(10);
/// The preface of HTTP/2, and the head of the SETTINGS behind it.
const OPENING: usize = 24 + 9;

/// What handshakes are made with, as it is now.
pub(super) type TlsNow = watch::Receiver<Arc<ServerConfig>>;

/// Connections that are ready to be served, at most so many at a time. Dropped, it takes the
/// listener and the handshakes in progress with it.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<TlsNow>,
    max_connections: usize,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let gate = Gate {
        listener,
        tls,
        places: Arc::new(Semaphore::new(max_connections)),
        handshakes: JoinSet::new(),
    };
    stream::unfold(gate, |mut gate| async move {
        let connection = gate.next().await;
        Some((Ok(connection), gate))
    })
}

struct Gate {
    listener: TcpListener,
    /// `None`: without TLS.
    tls: Option<TlsNow>,
    places: Arc<Semaphore>,
    handshakes: JoinSet<Option<Connection>>,
}

impl Gate {
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(made) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = made {
                        return connection;
                    }
                }
                (stream, address, place) = accept(&self.listener, &self.places),
                    if self.handshakes.len() < HANDSHAKES =>
                {
                    let Some(tls) = &self.tls else {
                        return Connection::new(Io::Plain(stream), address, None, place);
                    };
                    let config = Arc::clone(&tls.borrow());
                    self.handshakes.spawn(handshake(config, stream, address, place));
                }
            }
        }
    }
}

/// Waits for a place first: who has none waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // small answers must not wait for more to come
                let _ = stream.set_nodelay(true);
                return (stream, address, place);
            }
            // of the one connection, which is gone
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for the moment");
                sleep(BACK_OFF).await;
            }
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

async fn handshake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    let accept = TlsAcceptor::from(config).accept(stream).into_fallible();
    let made = timeout(HANDSHAKE, async {
        match accept.await {
            Ok(stream) => Some(stream),
            Err((error, stream)) => {
                tracing::debug!(%address, %error, "no handshake");
                farewell(stream).await;
                None
            }
        }
    });
    let stream = made.await.ok()??;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = match leaf {
        // one that the handshake took and we cannot read must not count as none
        Some(leaf) => Some(Arc::new(tls::certificate(leaf)?)),
        None => None,
    };
    let io = Io::Tls(Box::new(stream));
    Some(Connection::new(io, address, certificate, place))
}

/// What was not read makes the system forget what was written: the alert that tells the peer
/// what is wrong with it.
async fn farewell(mut stream: TcpStream) {
    let mut rest = [0; 1_024];
    let _ = stream.shutdown().await;
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection with its place among all.
pub(super) struct Connection {
    io: Io,
    peer: Peer,
    /// Until it has said that it speaks HTTP/2.
    opening: Option<Opening>,
    _place: OwnedSemaphorePermit,
}

struct Opening {
    read: usize,
    patience: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(
        io: Io,
        address: SocketAddr,
        certificate: Option<Arc<crate::access::Certificate>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            io,
            peer: Peer {
                address,
                certificate,
            },
            opening: Some(Opening {
                read: 0,
                patience: Box::pin(sleep(SILENCE)),
            }),
            _place: place,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let Some(opening) = &mut this.opening else {
            return read;
        };
        if read.is_pending() {
            ready!(opening.patience.as_mut().poll(context));
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        opening.read += buffer.filled().len() - before;
        if opening.read >= OPENING {
            this.opening = None;
        }
        read
    }
}

/// The same call to either kind.
macro_rules! either {
    ($this:ident.$call:ident($($argument:expr),*)) => {
        match &mut $this.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Io::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
