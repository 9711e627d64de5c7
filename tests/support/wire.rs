//! Stands between two parts, whatever they speak, and cuts or stops what goes between them.

use super::{
    proxy::each_connection,
    trip::{Messages, Trip},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// What happens to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Pass,
    /// Connections are cut, and new ones as soon as they are there.
    Cut,
    /// They wait until something else happens to them.
    Stall,
    /// Every 8 KiB of them take so much longer.
    Slow(Duration),
    /// What is asked arrives. Instead of the answer the connection ends.
    Unanswered,
}

/// How long a message may go unanswered before its connection ends all the same.
const LINGER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
struct State {
    flow: Flow,
    /// Connections made before that one pass nothing any more, and do not say so.
    frozen_before: u64,
    trip: Option<Trip>,
}

/// A port of its own that leads to another one of this machine.
pub struct Wire {
    pub port: u16,
    target: Arc<AtomicU16>,
    state: Arc<watch::Sender<State>>,
    made: watch::Receiver<u64>,
    /// Messages to a Postgres since the last trip was set.
    told: Arc<AtomicU64>,
    _tasks: JoinSet<()>, // end with it
}

impl Wire {
    pub async fn to(target: u16) -> Self {
        Self::with(target, false).await
    }

    /// Knows where the messages to it end, and may break there.
    pub async fn to_postgres(target: u16) -> Self {
        Self::with(target, true).await
    }

    async fn with(target: u16, is_postgres: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let target = Arc::new(AtomicU16::new(target));
        let state = Arc::new(watch::Sender::new(State {
            flow: Flow::Pass,
            frozen_before: 0,
            trip: None,
        }));
        let told = Arc::new(AtomicU64::new(0));
        let (count, made) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (target, state) = (Arc::clone(&target), Arc::clone(&state));
            let told = Arc::clone(&told);
            each_connection(listener, move |client| {
                let number = *count.borrow();
                count.send_replace(number + 1);
                let line = Line {
                    number,
                    state: state.subscribe(),
                    told: is_postgres.then(|| Arc::clone(&told)),
                    unanswered: Arc::default(),
                };
                connection(client, target.load(Relaxed), line)
            })
        });
        Self {
            port,
            target,
            state,
            made,
            told,
            _tasks: tasks,
        }
    }

    /// New connections lead there: who was there has moved, and callers shall not know.
    pub fn lead_to(&self, target: u16) {
        self.target.store(target, Relaxed);
    }

    pub fn set(&self, flow: Flow) {
        self.state.send_modify(|state| state.flow = flow);
    }

    /// As if the other end had lost its power: what is connected now stays so, and nothing comes.
    pub fn freeze(&self) {
        let made = *self.made.borrow();
        self.state.send_modify(|state| state.frozen_before = made);
    }
    /// Of a wire to a Postgres: where it breaks from now on, until it is told another thing.
    pub fn trip(&self, trip: Option<Trip>) {
        self.told.store(0, Relaxed);
        self.state.send_modify(|state| state.trip = trip);
    }

    /// How many messages went to the Postgres since then.
    pub fn told(&self) -> u64 {
        self.told.load(Relaxed)
    }
}

/// One connection, as both of its directions know it.
#[derive(Clone)]
struct Line {
    number: u64,
    state: watch::Receiver<State>,
    /// Of a Postgres: counts its messages.
    told: Option<Arc<AtomicU64>>,
    unanswered: Arc<AtomicBool>,
}

impl Line {
    /// Waits until bytes may pass, and as long as they take; what is the matter then.
    async fn passes(&mut self) -> Option<State> {
        let number = self.number;
        let passes = |state: &State| state.flow != Flow::Stall && number >= state.frozen_before;
        let state = *self.state.wait_for(passes).await.ok()?;
        if let Flow::Slow(late) = state.flow {
            sleep(late).await;
        }
        Some(state)
    }
}

async fn connection(client: TcpStream, target: u16, line: Line) -> io::Result<()> {
    let mut state = line.state.clone();
    if state.borrow_and_update().flow == Flow::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = ask(from_client, to_server, line.clone()) => ended,
        ended = answer(from_server, to_client, line) => ended,
        _ = state.wait_for(|state| state.flow == Flow::Cut) => Ok(()),
    }
}

async fn ask(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: Line,
) -> io::Result<()> {
    let mut bytes = vec![0; 8 << 10];
    let mut messages = Messages::default();
    loop {
        let count = from.read(&mut bytes).await?;
        let state = match count {
            0 => None,
            _ => line.passes().await,
        };
        let Some(state) = state else { return Ok(()) };
        let Some(told) = &line.told else {
            to.write_all(&bytes[..count]).await?;
            continue;
        };
        messages.push(&bytes[..count]);
        let mut whole = Vec::new();
        let mut breaks = false;
        while !breaks {
            let Some(message) = messages.next() else {
                break;
            };
            let nth = told.fetch_add(1, Relaxed) + 1;
            breaks = state.trip.is_some_and(|trip| trip.is_at(nth, &message));
            if !breaks || state.trip.is_some_and(Trip::lets_arrive) {
                whole.extend(message);
            }
        }
        line.unanswered.store(breaks, Relaxed);
        to.write_all(&whole).await?;
        if breaks {
            let waits = state.trip.is_some_and(Trip::lets_arrive);
            sleep(if waits { LINGER } else { Duration::ZERO }).await;
            return Ok(());
        }
    }
}

async fn answer(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: Line,
) -> io::Result<()> {
    let mut bytes = vec![0; 8 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let state = line.passes().await;
        let is_lost = line.unanswered.load(Relaxed);
        match state {
            Some(state) if state.flow != Flow::Unanswered && !is_lost => {
                to.write_all(&bytes[..count]).await?;
            }
            _ => return Ok(()),
        }
    }
}
