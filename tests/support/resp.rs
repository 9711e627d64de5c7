//! The wire format of Redis, as far as tests need it: they ask and spoil Redis without the
//! library that the program asks it with.

use std::io;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A line: a status, a number, an error with its `-`, nothing (`_`).
    Line(String),
    /// `None`: there is no such value.
    Bytes(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

impl Reply {
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => bytes.as_deref(),
            _ => None,
        }
    }
}

/// The first answer in these bytes and its length; `None` where it is not whole yet.
pub fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let start = end + 2;
    let number = || line[1..].parse::<i64>().unwrap_or(-1);
    match line.as_bytes().first() {
        Some(b'$' | b'=' | b'!') => {
            let Ok(length) = usize::try_from(number()) else {
                return Some((Reply::Bytes(None), start));
            };
            let value = bytes.get(start..start + length)?;
            bytes.get(start + length..start + length + 2)?;
            Some((Reply::Bytes(Some(value.to_vec())), start + length + 2))
        }
        Some(b'*' | b'~' | b'>') => several(bytes, start, number()),
        Some(b'%') => several(bytes, start, number() * 2),
        _ => Some((Reply::Line(line), start)),
    }
}

fn several(bytes: &[u8], mut at: usize, count: i64) -> Option<(Reply, usize)> {
    let mut replies = Vec::new();
    for _ in 0..count {
        let (reply, length) = parse(bytes.get(at..)?)?;
        replies.push(reply);
        at += length;
    }
    Some((Reply::Array(replies), at))
}

/// A question.
pub fn question(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(blob(word));
    }
    bytes
}

pub fn blob(value: &[u8]) -> Vec<u8> {
    let mut bytes = format!("${}\r\n", value.len()).into_bytes();
    bytes.extend(value);
    bytes.extend(b"\r\n");
    bytes
}

/// As it came, but an array begins with its last part: every value stands at another's key.
pub fn rotated(frame: &[u8]) -> Vec<u8> {
    let head = frame.windows(2).position(|two| two == b"\r\n");
    let head = head.map_or(frame.len(), |end| end + 2);
    let mut parts = Vec::new();
    let mut at = head;
    while let Some((_, length)) = parse(&frame[at..]).filter(|_| frame.first() == Some(&b'*')) {
        parts.push(&frame[at..at + length]);
        at += length;
    }
    if !parts.is_empty() {
        parts.rotate_right(1);
    }
    let mut turned = frame[..head].to_vec();
    turned.extend(parts.concat());
    turned.extend(&frame[at..]);
    turned
}

/// Asks all of it at once, on a connection of its own; an answer each.
pub async fn exchange(port: u16, questions: &[Vec<u8>]) -> io::Result<Vec<Reply>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&questions.concat()).await?;
    let (mut bytes, mut replies) = (Vec::new(), Vec::new());
    while replies.len() < questions.len() {
        while let Some((reply, length)) = parse(&bytes) {
            bytes.drain(..length);
            replies.push(reply);
        }
        if replies.len() < questions.len() && stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(replies)
}
