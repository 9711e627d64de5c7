//! Stands between two parts, whatever they speak, and cuts or stops what goes between them.

use super::proxy::each_connection;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
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
}

#[derive(Clone, Copy)]
struct State {
    flow: Flow,
    /// Connections made before that one pass nothing any more, and do not say so.
    frozen_before: u64,
}

/// A port of its own that leads to another one of this machine.
pub struct Wire {
    pub port: u16,
    target: Arc<AtomicU16>,
    state: Arc<watch::Sender<State>>,
    made: watch::Receiver<u64>,
    _tasks: JoinSet<()>, // end with it
}

impl Wire {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let target = Arc::new(AtomicU16::new(target));
        let state = Arc::new(watch::Sender::new(State {
            flow: Flow::Pass,
            frozen_before: 0,
        }));
        let (count, made) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (target, state) = (Arc::clone(&target), Arc::clone(&state));
            each_connection(listener, move |client| {
                let number = *count.borrow();
                count.send_replace(number + 1);
                connection(client, target.load(Relaxed), number, state.subscribe())
            })
        });
        Self {
            port,
            target,
            state,
            made,
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
}

async fn connection(
    client: TcpStream,
    target: u16,
    number: u64,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    if state.borrow_and_update().flow == Flow::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pump(from_client, to_server, number, state.clone()) => ended,
        ended = pump(from_server, to_client, number, state.clone()) => ended,
        _ = state.wait_for(|state| state.flow == Flow::Cut) => Ok(()),
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut bytes = vec![0; 8 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let passes = |state: &State| state.flow != Flow::Stall && number >= state.frozen_before;
        let flow = match state.wait_for(passes).await {
            Ok(state) => state.flow,
            Err(_) => return Ok(()),
        };
        if let Flow::Slow(late) = flow {
            sleep(late).await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}
