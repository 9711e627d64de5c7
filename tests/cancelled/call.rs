//! A call that is polled so often, and then dropped: in process, where its future and the bodies
//! of both ways are all there is, or over the wire, where the server is told by RST_STREAM.

use crate::support::messages::open;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{convert::Infallible, future::poll_fn, task::Poll, time::Duration};
use tokio::{sync::oneshot, task::yield_now, time::timeout};
use tonic::{Code, Status, body::Body, transport::Channel};
use tower::{Service as _, util::BoxCloneSyncService};

pub type InProcess = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A call of which nothing may come any more is waited for no longer.
const QUIET: Duration = Duration::from_millis(30);

#[derive(Clone)]
pub enum Way {
    InProcess(InProcess),
    Wire(Channel),
}

/// What is sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub messages: Vec<Vec<u8>>,
    /// Bytes of a frame in process: each is waited for.
    pub piece: usize,
    /// The caller does not end its side.
    pub is_held: bool,
}

/// What was answered, message by message, and how it ended.
#[derive(Debug)]
pub struct Answer {
    pub messages: Vec<Bytes>,
    pub status: Status,
}

/// When a call is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub polls: usize,
    /// How often others are let go on between the last poll and the drop.
    pub pauses: usize,
}

/// `None`: it was dropped. With how often it was polled.
pub async fn until(
    cut: Option<Cut>,
    is_endless: bool,
    call: impl Future<Output = Answer>,
) -> (usize, Option<Answer>) {
    let mut call = Box::pin(call);
    let mut polls = 0;
    let polled = poll_fn(|context| {
        polls += 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if cut.is_some_and(|cut| polls >= cut.polls) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let answer = match is_endless {
        true => timeout(QUIET, polled).await.ok().flatten(),
        false => polled.await,
    };
    if answer.is_none() {
        for _ in 0..cut.map_or(0, |cut| cut.pauses) {
            yield_now().await;
        }
    }
    (polls, answer)
}

impl Way {
    pub async fn call(&self, path: &str, sent: Sent) -> Answer {
        match self {
            Self::InProcess(service) => in_process(service.clone(), path, sent).await,
            Self::Wire(channel) => over_the_wire(channel, path, sent).await,
        }
    }
}

async fn in_process(mut service: InProcess, path: &str, sent: Sent) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let request = request.body(body(&sent)).expect("a request");
    let ready = poll_fn(|context| service.poll_ready(context)).await;
    let response = match ready {
        Ok(()) => service.call(request).await,
        Err(never) => match never {},
    };
    let (parts, mut body) = match response {
        Ok(response) => response.into_parts(),
        Err(never) => match never {},
    };
    let mut status = Status::from_header_map(&parts.headers);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(broken) => {
                status = Some(broken);
                break;
            }
        };
        match frame.into_data() {
            Ok(data) => bytes.put(data),
            Err(frame) => {
                let trailers = frame.into_trailers().expect("data or trailers");
                status = Status::from_header_map(&trailers);
            }
        }
    }
    Answer {
        messages: messages(bytes.freeze()),
        status: status.unwrap_or_else(|| Status::unknown("no status")),
    }
}

fn body(sent: &Sent) -> Body {
    let mut bytes = BytesMut::new();
    for message in &sent.messages {
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.len()).expect("short"));
        bytes.put_slice(message);
    }
    let bytes = bytes.freeze();
    let piece = sent.piece.max(1);
    let pieces: Vec<Bytes> = (0..bytes.len())
        .step_by(piece)
        .map(|at| bytes.slice(at..bytes.len().min(at + piece)))
        .collect();
    let frames = stream::iter(pieces).then(async |piece| {
        yield_now().await;
        Ok::<_, Status>(Frame::data(piece))
    });
    match sent.is_held {
        true => Body::new(StreamBody::new(Box::pin(frames.chain(stream::pending())))),
        false => Body::new(StreamBody::new(Box::pin(frames))),
    }
}

/// Each has a flag and its length before it.
fn messages(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while bytes.len() > 4 {
        assert_eq!(bytes.get_u8(), 0, "it is not compressed");
        let length = bytes.get_u32() as usize;
        messages.push(bytes.split_to(length));
    }
    assert!(bytes.is_empty(), "the answer ends with a message");
    messages
}

async fn over_the_wire(channel: &Channel, path: &str, sent: Sent) -> Answer {
    let mut messages = Vec::new();
    let ended = async {
        // the client's library goes on with a side that does not end, whoever has left
        let (open_side, ended) = oneshot::channel::<()>();
        let _open_side = sent.is_held.then_some(open_side);
        let end = stream::once(ended).filter_map(async |_| None);
        let requests = stream::iter(sent.messages).chain(end);
        let mut answers = open(channel, path, Box::pin(requests)).await?;
        while let Some(message) = answers.message().await? {
            messages.push(message);
        }
        Ok(())
    };
    let ended: Result<(), Status> = ended.await;
    Answer {
        messages,
        status: ended.err().unwrap_or_else(|| Status::new(Code::Ok, "")),
    }
}
