//! HTTP/2 by hand: frames that no client library would send.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len())
            .expect("short")
            .to_be_bytes();
        let head = [
            &length[1..],
            &[self.kind, self.flags],
            &self.stream.to_be_bytes(),
        ];
        [&head.concat()[..], &self.payload].concat()
    }

    /// Of a RST_STREAM all of it, of a GOAWAY the second part.
    pub fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// A field of HPACK, without any table and as it is.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => bytes.push(short as u8),
            mut long => {
                bytes.push(127);
                long -= 127;
                while long >= 128 {
                    bytes.push(0x80 | (long & 0x7f) as u8);
                    long >>= 7;
                }
                bytes.push(long as u8);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// The head of a call.
pub fn head(method: &str) -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", &format!("/sentby.v1.{method}")),
        field(":authority", "sentby"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat()
}

/// How a flood ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The error of the GOAWAY.
    GoAway(u32),
    Closed,
    /// It is not read any more.
    NotRead,
    /// All of it was taken.
    Taken,
}

pub struct Raw {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

impl Raw {
    /// Says nothing.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        let (read, write) = stream.into_split();
        Self { read, write }
    }

    /// A connection that is set up, with the settings of the server.
    pub async fn open(address: &str) -> (Self, Vec<(u16, u32)>) {
        Self::open_with(address, &[]).await
    }

    pub async fn open_with(address: &str, settings: &[u8]) -> (Self, Vec<(u16, u32)>) {
        let mut raw = Self::connect(address).await;
        raw.send_bytes(PREFACE).await.expect("sent");
        raw.send(SETTINGS, 0, 0, settings).await.expect("sent");
        let theirs = raw.next_of(SETTINGS, 0).await.expect("its settings");
        raw.send(SETTINGS, ACK, 0, []).await.expect("sent");
        let settings = theirs.payload.chunks(6).map(|one| {
            let name = u16::from_be_bytes([one[0], one[1]]);
            (name, u32::from_be_bytes([one[2], one[3], one[4], one[5]]))
        });
        (raw, settings.collect())
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    pub async fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: impl Into<Vec<u8>>,
    ) -> io::Result<()> {
        let frame = Frame::new(kind, flags, stream, payload);
        self.send_bytes(&frame.bytes()).await
    }

    /// `None`: the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.read.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame::new(head[3], head[4], stream, payload))
    }

    /// The next one of this kind on this stream; PINGs are answered meanwhile.
    pub async fn next_of(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        let wait = async {
            loop {
                let frame = self.next().await?;
                if (frame.kind, frame.stream) == (kind, stream) {
                    return Some(frame);
                }
                if (frame.kind, frame.flags) == (PING, 0) {
                    let _ = self.send(PING, ACK, 0, frame.payload).await;
                }
            }
        };
        let frame = timeout(PATIENCE, wait).await;
        frame.unwrap_or_else(|_| panic!("no frame {kind} on {stream}"))
    }

    /// Until the server closes the connection, which it must; the last GOAWAY.
    pub async fn closed(&mut self, within: Duration) -> Option<Frame> {
        let wait = async {
            let mut last = None;
            while let Some(frame) = self.next().await {
                if frame.kind == GOAWAY {
                    last = Some(frame);
                }
            }
            last
        };
        timeout(within, wait).await.expect("it is closed")
    }

    /// Sends all of it, whatever happens, and reads what comes meanwhile.
    pub async fn flood(self, bytes: Vec<u8>) -> End {
        let Self {
            mut read,
            mut write,
        } = self;
        let sending = tokio::spawn(async move {
            for piece in bytes.chunks(64 << 10) {
                match timeout(PATIENCE, write.write_all(piece)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return (End::Closed, write),
                    Err(_) => return (End::NotRead, write),
                }
            }
            (End::Taken, write)
        });
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            // a reset throws away what was not read yet: it is gathered as it comes
            let mut piece = vec![0; 64 << 10];
            loop {
                match timeout(Duration::from_secs(5), read.read(&mut piece)).await {
                    Ok(Ok(0) | Err(_)) => return (goaway(&all), true),
                    Ok(Ok(count)) => all.extend_from_slice(&piece[..count]),
                    Err(_) => return (goaway(&all), false),
                }
            }
        });
        let (sent, write) = sending.await.expect("no panic");
        let (goaway, is_closed) = reading.await.expect("no panic");
        drop(write);
        match goaway {
            Some(error) => End::GoAway(error),
            None if is_closed => End::Closed,
            None => sent,
        }
    }
}

/// The error of the last GOAWAY among frames.
fn goaway(mut frames: &[u8]) -> Option<u32> {
    let mut last = None;
    while frames.len() >= 9 {
        let length = u32::from_be_bytes([0, frames[0], frames[1], frames[2]]) as usize;
        let end = 9 + length;
        let payload = frames.get(9..end)?;
        if frames[3] == GOAWAY {
            last = Some(Frame::new(GOAWAY, 0, 0, payload).error());
        }
        frames = &frames[end..];
        if frames.len() < 9 {
            break;
        }
    }
    last
}
