//! What arrives of a request, before anybody reads it as a message: whose it is, and how much
//! room it takes.

use super::status;
use crate::domain::TenantId;
use bytes::{Buf as _, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

/// A request of this size is like any other.
const SMALL: usize = 64 << 10;
/// What requests have in memory beyond that, all together; those of batches have a room of
/// their own.
const ROOM: usize = 8 << 20;

/// The room of the process for large requests.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

/// What a request takes of it, until its answer is out: that may be as large as the request, and
/// its caller slow to take it.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Held {
    /// An answer with what is held for it.
    pub(super) fn with(self, answer: Body) -> Body {
        let permit = self.lock().take();
        match permit {
            Some(_) => Body::new(Leaving { answer, permit }),
            None => answer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a large request. The first of its bytes have the permit: the connection keeps
/// them until the caller has taken them. Of a stream the others are as many as in any stream.
#[derive(Debug)]
struct Leaving {
    answer: Body,
    permit: Option<OwnedSemaphorePermit>,
}

struct Kept {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = ready!(Pin::new(&mut self.answer).poll_frame(context));
        let mut permit = self.permit.take();
        let mut keep = |bytes| match permit.take() {
            Some(permit) => Bytes::from_owner(Kept {
                bytes,
                _permit: permit,
            }),
            None => bytes,
        };
        Poll::Ready(next.map(|frame| frame.map(|frame| frame.map_data(&mut keep))))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

/// A request of which the first piece was seen.
#[derive(Debug)]
pub(super) struct Arriving {
    first: Option<Frame<Bytes>>,
    rest: Body,
    size: usize,
    /// `None`: it is given room where it is read.
    room: Option<Room>,
    held: Held,
}

impl Arriving {
    /// Waits for the first piece.
    pub(super) async fn of(mut body: Body, room: Option<Room>, held: Held) -> Result<Self, Status> {
        let first = body.frame().await.transpose()?;
        Ok(Self {
            first,
            rest: body,
            size: 0,
            room,
            held,
        })
    }

    /// Whose it is, if its beginning tells.
    pub(super) fn tenant(&self) -> Option<TenantId> {
        let mut piece = self.first.as_ref()?.data_ref()?.clone();
        if piece.len() < super::inbox::HEAD {
            return None;
        }
        piece.advance(super::inbox::HEAD);
        tenant(&piece)
    }

    fn take_room(&mut self, bytes: usize) -> Result<(), Status> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        let before = self.size.max(SMALL);
        self.size += bytes;
        let more = self.size.saturating_sub(before);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| status::too_many_calls())?;
        let permit = Arc::clone(&room.0).try_acquire_many_owned(more);
        let permit = permit.map_err(|_| status::too_many_calls())?;
        let mut held = self.held.lock();
        match held.as_mut() {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
        Ok(())
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        };
        if let Poll::Ready(Some(Ok(frame))) = &next
            && let Some(bytes) = frame.data_ref()
            && let Err(refused) = self.take_room(bytes.len())
        {
            return Poll::Ready(Some(Err(refused)));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Field 1 of the message, or of what field 1 or 2 holds: as every request of a tenant has its
/// id. `message` may be cut off anywhere.
pub(super) fn tenant(message: &[u8]) -> Option<TenantId> {
    const GUID: usize = 36;
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let field = &rest[..length.min(rest.len())];
        if tag == 1 && length == GUID {
            return TenantId::parse(std::str::from_utf8(field).ok()?);
        }
        if tag <= 2 && field.first() == Some(&0x0a) && field.get(1) == Some(&(GUID as u8)) {
            return TenantId::parse(std::str::from_utf8(field.get(2..2 + GUID)?).ok()?);
        }
        rest = rest.get(length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;
    use http_body_util::Full;
    use prost::Message as _;

    const TENANT: &str = "11111111-1111-4111-8111-111111111111";

    #[tokio::test]
    async fn a_large_request_has_its_room_until_its_answer_is_out() {
        let large = || Body::new(Full::new(Bytes::from(vec![0; ROOM])).map_err(|e| match e {}));
        let (room, held) = (Room::default(), Held::default());
        let request = Arriving::of(large(), Some(room.clone()), held.clone());
        let request = request.await.expect("a first piece");
        request.collect().await.expect("read");
        let another = async || {
            let (room, held) = (Some(room.clone()), Held::default());
            let request = Arriving::of(large(), room, held).await;
            request.expect("a first piece").collect().await
        };
        let mut answer = held.with(large());
        assert!(another().await.is_err(), "the answer is not read");
        let bytes = answer.frame().await.expect("a piece").expect("read");
        assert!(answer.frame().await.is_none());
        drop(answer);
        assert!(another().await.is_err(), "nor is it out");
        drop(bytes);
        assert!(another().await.is_ok());
    }

    #[test]
    fn a_beginning_tells_whose_a_request_is() {
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: TENANT.into(),
            message_ids: vec!["x".repeat(500); 100],
            ..Default::default()
        };
        let batch = pb::IngestAuditBatchRequest {
            tenant_id: TENANT.into(),
            content: vec![0x0a; 5_000].into(),
            ..Default::default()
        };
        let watch = pb::WatchAttributionsRequest {
            positions: vec![pb::WatchPosition {
                tenant_id: TENANT.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let streamed = pb::StreamAuditBatchesRequest {
            sequence: 7_000,
            batch: Some(batch.clone()),
        };
        for message in [
            lookup.encode_to_vec(),
            batch.encode_to_vec(),
            watch.encode_to_vec(),
            streamed.encode_to_vec(),
        ] {
            for length in 60.min(message.len())..message.len() {
                assert_eq!(tenant(&message[..length]), TenantId::parse(TENANT));
            }
            for length in 0..30 {
                assert_eq!(tenant(&message[..length]), None);
            }
        }
        let of_nobody = pb::ListTenantsRequest {
            page_size: 7,
            ..Default::default()
        };
        assert_eq!(tenant(&of_nobody.encode_to_vec()), None);
        assert_eq!(tenant(&[0xff; 100]), None);
    }
}
