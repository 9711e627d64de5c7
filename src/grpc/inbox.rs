//! Batches are read here, not by tonic: it would buffer a whole message before anything can
//! say whether there is room for it, and keep the buffer while a stream is idle.
//!
//! The head of a message tells its length. The rest is read when there is room for so many
//! bytes, which stay accounted for until the batch is written. Then tonic sees an empty
//! message in its place, and the handler takes the real one from the [`Inbox`].

use super::{arriving, buffer::Buffer, deadline::LONGEST, status};
use crate::{
    app::{
        self,
        admission::{Admission, Admitted, OpenStream, Overloaded},
        ingest_audit_batch::MAX_RECORDS,
    },
    pb::{IngestAuditBatchRequest, StreamAuditBatchesRequest},
};
use bytes::{Buf as _, Bytes};
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;
use tracing::Instrument as _;

/// Of a gRPC message: whether it is compressed, and its length.
pub(super) const HEAD: usize = 5;
const EMPTY: [u8; HEAD] = [0; HEAD];

/// A message and the room that it takes.
#[derive(Debug)]
pub(super) struct Arrived<T> {
    pub(super) message: T,
    pub(super) admitted: Admitted,
}

/// Where the message is that tonic has seen an empty one for. It goes with the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox(Arc<Mutex<Option<Arrived<Bytes>>>>);

impl Inbox {
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    fn put(&self, arrived: Arrived<Bytes>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
    }

    pub(super) fn take<T: Batches>(&self) -> Result<Arrived<T>, Status> {
        let arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let arrived = arrived.ok_or_else(|| status::from_error(app::Error::bug(&"no message")))?;
        let records = T::records(&arrived.message).map_err(|_| status::malformed())?;
        if records > MOST_RECORDS {
            let error = app::Error::TooManyRecords { max: MAX_RECORDS };
            return Err(status::from_error(error));
        }
        Ok(Arrived {
            // its bytes are shared, not copied
            message: T::decode(arrived.message).map_err(|_| status::malformed())?,
            admitted: arrived.admitted,
        })
    }
}

/// An empty record takes two bytes in a message and many more in memory: with more of them
/// than this a message is not even decoded. With fewer the batch is refused as any other.
const MOST_RECORDS: usize = 2 * MAX_RECORDS;

/// A message with a batch in it.
pub(super) trait Batches: Message + Default {
    /// How many records and events an encoded one has.
    fn records(message: &[u8]) -> Result<usize, DecodeError>;
}

impl Batches for IngestAuditBatchRequest {
    fn records(mut message: &[u8]) -> Result<usize, DecodeError> {
        let mut records = 0;
        while !message.is_empty() {
            let (tag, wire_type) = decode_key(&mut message)?;
            // `records` and `events`
            records += usize::from(tag == 3 || tag == 7);
            skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        }
        Ok(records)
    }
}

impl Batches for StreamAuditBatchesRequest {
    fn records(mut message: &[u8]) -> Result<usize, DecodeError> {
        let mut records = 0;
        while !message.is_empty() {
            let (tag, wire_type) = decode_key(&mut message)?;
            // `batch`
            if (tag, wire_type) == (2, WireType::LengthDelimited) {
                let length = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
                let (batch, rest) = message.split_at(length.min(message.len()));
                records += IngestAuditBatchRequest::records(batch)?;
                message = rest;
            } else {
                skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
            }
        }
        Ok(records)
    }
}

/// Reads the batches of a service.
#[derive(Clone, Debug)]
pub(super) struct Reading<S> {
    service: S,
    admission: Admission,
}

impl<S> Reading<S> {
    pub(super) fn new(service: S, admission: Admission) -> Self {
        Self { service, admission }
    }
}

impl<S: NamedService> NamedService for Reading<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Reading<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let method = request.uri().path().rsplit('/').next();
        let is_stream = match method {
            Some("IngestAuditBatch") => false,
            Some("StreamAuditBatches") => true,
            _ => return self.service.call(request),
        };
        let inbox = Inbox::default();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(inbox.clone());
        let reader = Reader {
            body,
            rest: Bytes::new(),
            admission: self.admission.clone(),
            inbox,
            stream: is_stream.then(|| self.admission.stream()),
            ended: false,
        };
        self.service
            .call(Request::from_parts(parts, reader.into_body()))
    }
}

struct Reader {
    body: Body,
    /// Read, and of the next message.
    rest: Bytes,
    admission: Admission,
    inbox: Inbox,
    /// Whether there is one more stream, if it is one.
    stream: Option<Result<OpenStream, Overloaded>>,
    ended: bool,
}

/// What tonic gets to see.
type Seen = Result<Option<Bytes>, Status>;

impl Reader {
    fn into_body(self) -> Body {
        let frames = stream::unfold(self, |mut reader| async move {
            let seen = if reader.ended {
                None
            } else {
                reader
                    .next()
                    .instrument(tracing::debug_span!("read request"))
                    .await
                    .transpose()
            };
            Some((seen?.map(Frame::data), reader))
        });
        Body::new(StreamBody::new(frames))
    }

    async fn next(&mut self) -> Seen {
        if let Some(Err(Overloaded)) = self.stream {
            return self.end(Err(status::overloaded()));
        }
        let mut head = Buffer::new(HEAD);
        while head.len() < HEAD {
            self.read_into(&mut head, HEAD).await?;
            if self.ended {
                // tonic knows how a body ends that ends too early
                return Ok((head.len() > 0).then(|| Bytes::from_static(&EMPTY[..1])));
            }
        }
        let head = head.freeze();
        let length = (&head[1..]).get_u32();
        if head[0] != 0 || length as usize > super::MAX_INGEST_BYTES {
            // tonic refuses it by its head
            return self.end(Ok(Some(head)));
        }
        // what has come of it mostly tells; else it is nobody's
        let tenant = arriving::tenant(&self.rest);
        if let Some(Ok(stream)) = &mut self.stream
            && stream.sends(tenant).is_err()
        {
            return self.end(Err(status::overloaded()));
        }
        let admitted = match self.stream {
            Some(_) => self.admission.wait(tenant, length).await,
            None => self.admission.ask(tenant, length).await,
        };
        let Ok(admitted) = admitted else {
            return self.end(Err(status::overloaded()));
        };
        // it has room now, which a sender must not keep for as long as it likes
        let reading = tokio::time::timeout(LONGEST, self.message(length as usize)).await;
        match reading {
            Ok(Ok(Some(message))) => self.inbox.put(Arrived { message, admitted }),
            Ok(Ok(None)) => return Ok(Some(Bytes::from_static(&EMPTY[..1]))),
            Ok(Err(broken)) => return self.end(Err(broken)),
            Err(_) => return self.end(Err(status::deadline_exceeded())),
        }
        if self.stream.is_none() {
            self.drain().await?;
        }
        Ok(Some(Bytes::from_static(&EMPTY)))
    }

    /// `None`: the body ends before the message.
    async fn message(&mut self, length: usize) -> Result<Option<Bytes>, Status> {
        let mut message = Buffer::new(length);
        while message.len() < length {
            self.read_into(&mut message, length).await?;
            if self.ended {
                return Ok(None);
            }
        }
        Ok(Some(message.freeze()))
    }

    /// More bytes, up to `length` of them in all.
    async fn read_into(&mut self, message: &mut Buffer, length: usize) -> Result<(), Status> {
        if self.rest.is_empty() {
            match self.body.frame().await {
                Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
                None => self.ended = true,
            }
        }
        let missing = length - message.len();
        message.extend(&self.rest.split_to(missing.min(self.rest.len())));
        if self.rest.is_empty() {
            // a piece is as large as the buffer that it was read into
            self.rest = Bytes::new();
        }
        Ok(())
    }

    /// A call has one message; what a caller sends behind it is read and dropped.
    async fn drain(&mut self) -> Result<(), Status> {
        self.rest = Bytes::new();
        while let Some(frame) = self.body.frame().await {
            frame?;
        }
        self.ended = true;
        Ok(())
    }

    fn end(&mut self, last: Seen) -> Seen {
        self.ended = true;
        last
    }
}
