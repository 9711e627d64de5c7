//! Messages as protobuf, but for those that are small on the wire and large in memory: an empty
//! field takes two bytes there and a hundred here.

use super::status;
use bytes::Buf as _;
use prost::{
    Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Fields of a message. None that is taken has more, but batches, which are not read here.
const MOST_FIELDS: usize = 20_000;
/// With those of the messages in it, of which the most are texts: aliases.
const MOST_IN_ALL: usize = 1_000_000;
/// So deep a repeated field may be in a request.
const DEPTH: usize = 3;

/// What generated clients and servers read and write by.
#[derive(Clone, Copy, Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<T, U>::default().decoder())
    }
}

#[derive(Clone, Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // a message of so many fields is larger
        if is_request::<U>() && source.remaining() > MOST_FIELDS && has_too_many(source.chunk()) {
            return Err(status::too_many_fields());
        }
        self.0.decode(source)
    }
}

/// An answer is what a client has asked for; the copies of records in it may look like fields.
fn is_request<U>() -> bool {
    std::any::type_name::<U>().ends_with("Request")
}

fn has_too_many(message: &[u8]) -> bool {
    let mut in_all = 0;
    fields(message, DEPTH, &mut in_all) > MOST_FIELDS || in_all > MOST_IN_ALL
}

/// How many fields a message has. `in_all`: with those of what may be messages in it; of a text
/// that is read as one, as many as there are until it shows that it is none.
fn fields(mut message: &[u8], depth: usize, in_all: &mut usize) -> usize {
    let mut count = 0;
    while !message.is_empty() && *in_all <= MOST_IN_ALL {
        let Ok((tag, wire_type)) = decode_key(&mut message) else {
            break;
        };
        count += 1;
        *in_all += 1;
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
                break;
            }
            continue;
        }
        let length = decode_varint(&mut message).map(usize::try_from);
        let Ok(Ok(length)) = length else { break };
        let Some((field, rest)) = message.split_at_checked(length) else {
            break;
        };
        if depth > 1 {
            fields(field, depth - 1, in_all);
        }
        message = rest;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    #[test]
    fn answers_are_taken_as_they_are() {
        assert!(is_request::<pb::LookupAttributionsRequest>());
        assert!(!is_request::<pb::ListQuarantinedRecordsResponse>());
    }

    #[test]
    fn what_is_large_in_memory_only_is_told_apart() {
        let lookup = pb::LookupAttributionsRequest {
            queries: vec![pb::lookup_attributions_request::Query::default(); 2_000_000],
            ..Default::default()
        };
        assert!(has_too_many(&lookup.encode_to_vec()));
        let aliases = pb::PutMailboxesRequest {
            mailboxes: vec![pb::Mailbox {
                aliases: vec![String::new(); 1_900_000],
                ..Default::default()
            }],
            ..Default::default()
        };
        assert!(has_too_many(&aliases.encode_to_vec()));
        // as large as may be, and as many as may be
        let lookup = pb::LookupAttributionsRequest {
            message_ids: vec!["<0a0a0a0a@mail.contoso.com>".repeat(30); 1_000],
            ..Default::default()
        };
        assert!(!has_too_many(&lookup.encode_to_vec()));
        let most = pb::PutMailboxesRequest {
            mailboxes: vec![
                pb::Mailbox {
                    aliases: vec!["ab@cd.ef".into(); 400],
                    ..Default::default()
                };
                1_000
            ],
            ..Default::default()
        };
        assert!(!has_too_many(&most.encode_to_vec()));
        let text = "DisplayName : Support\r\n\r\n".repeat(100_000);
        assert!(!has_too_many(text.as_bytes()));
    }
}
