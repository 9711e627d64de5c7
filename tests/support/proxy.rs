//! Stands between the program and its Redis, and spoils what Redis answers.

use super::resp;
use sentby::simulate::Random;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// What happens to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Connections are cut, and new ones as soon as they are there.
    Cut,
    /// They come so much later.
    Slow(Duration),
    /// Random bytes in their place.
    Noise,
    /// Well-formed answers to some other question.
    WrongTypes,
    /// A byte is wrong in so many of a hundred of them.
    Corrupt(u64),
    /// Some end in the middle, and the connection with them.
    Torn,
    /// Two answers change places, and the values of one do.
    Crossed,
}

/// A port of its own that leads to a Redis.
pub struct Proxy {
    pub port: u16,
    mode: Arc<watch::Sender<Mode>>,
    _tasks: JoinSet<()>, // end with it
}

impl Proxy {
    pub async fn start(redis: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, redis, Arc::clone(&mode), Random(seed)));
        Self {
            port,
            mode,
            _tasks: tasks,
        }
    }

    /// For `--cache`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(
    listener: TcpListener,
    redis: u16,
    mode: Arc<watch::Sender<Mode>>,
    mut random: Random,
) {
    each_connection(listener, |client| {
        connection(client, redis, mode.subscribe(), Random(random.next()))
    })
    .await;
}

/// Serves every connection until it ends; they all end with this.
pub async fn each_connection<F>(listener: TcpListener, mut serve: impl FnMut(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let served = serve(client);
        connections.spawn(async move {
            // an error is the end of the connection, and that is all
            let _ = served.await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    client: TcpStream,
    redis: u16,
    mut mode: watch::Receiver<Mode>,
    random: Random,
) -> io::Result<()> {
    if *mode.borrow_and_update() == Mode::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", redis)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut questions, out) = client.into_split();
    let (answers, mut asked) = server.into_split();
    let spoiler = Spoiler {
        out,
        mode: mode.clone(),
        random,
        held: None,
    };
    tokio::select! {
        copied = tokio::io::copy(&mut questions, &mut asked) => copied.map(drop),
        spoiled = spoiler.run(answers) => spoiled,
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => Ok(()),
    }
}

struct Spoiler {
    out: OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
    random: Random,
    /// An answer that waits for another one to change places with.
    held: Option<Vec<u8>>,
}

impl Spoiler {
    async fn run(mut self, mut answers: OwnedReadHalf) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let read = if self.held.is_some() {
                // nobody else asked: it goes alone
                timeout(Duration::from_millis(3), answers.read_buf(&mut bytes)).await
            } else {
                Ok(answers.read_buf(&mut bytes).await)
            };
            match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => self.release().await?,
            }
            let mode = *self.mode.borrow();
            if let Mode::Slow(late) = mode {
                sleep(late).await;
            }
            while let Some((_, length)) = resp::parse(&bytes) {
                let frame: Vec<u8> = bytes.drain(..length).collect();
                self.pass(frame).await?;
            }
        }
    }

    async fn release(&mut self) -> io::Result<()> {
        match self.held.take() {
            Some(held) => self.out.write_all(&held).await,
            None => Ok(()),
        }
    }

    /// Hands one answer on, as the mode wants it.
    async fn pass(&mut self, mut frame: Vec<u8>) -> io::Result<()> {
        let mode = *self.mode.borrow();
        match mode {
            Mode::Noise => {
                let length = self.random.below(64) + 1;
                frame = (0..length)
                    .map(|_| self.random.next().to_le_bytes()[0])
                    .collect();
            }
            Mode::WrongTypes => frame = self.random.pick(&WRONG).to_vec(),
            Mode::Corrupt(percent) if self.random.chance(percent) => {
                let at = self.random.below(frame.len() as u64) as usize;
                frame[at] ^= 1 << self.random.below(8);
            }
            Mode::Torn if self.random.chance(5) => {
                self.out.write_all(&frame[..frame.len() / 2]).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Mode::Crossed => {
                frame = resp::rotated(&frame);
                if self.held.is_none() {
                    self.held = Some(frame);
                    return Ok(());
                }
            }
            _ => {}
        }
        self.out.write_all(&frame).await?;
        self.release().await
    }
}

const WRONG: [&[u8]; 8] = [
    b":42\r\n",
    b"+OK\r\n",
    b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    b"$-1\r\n",
    b"$5\r\nhello\r\n",
    b"*0\r\n",
    b"*2\r\n$1\r\nx\r\n:7\r\n",
    b"*-1\r\n",
];
