//! The answer of LookupAttributions: up to 1,000 items, many of which are asked for again and
//! again.

use crate::pb::Attribution;
use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{
        DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, key_len, message,
        skip_field,
    },
};

const ATTRIBUTIONS: u32 = 1;

/// `sentby.v1.LookupAttributionsResponse`. A client reads messages; the server writes items
/// that are encoded already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookupAttributionsResponse {
    pub attributions: Vec<Attribution>,
    encoded: Vec<Bytes>,
}

impl LookupAttributionsResponse {
    /// `items`: encoded [`Attribution`]s.
    pub(super) fn of_encoded(items: Vec<Bytes>) -> Self {
        Self {
            attributions: Vec::new(),
            encoded: items,
        }
    }
}

impl Message for LookupAttributionsResponse {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        for item in &self.encoded {
            encode_key(ATTRIBUTIONS, WireType::LengthDelimited, buffer);
            encode_varint(item.len() as u64, buffer);
            buffer.put_slice(item);
        }
        message::encode_repeated(ATTRIBUTIONS, &self.attributions, buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            ATTRIBUTIONS => {
                message::merge_repeated(wire_type, &mut self.attributions, buffer, context)
            }
            _ => skip_field(wire_type, tag, buffer, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let item = |item: &Bytes| {
            key_len(ATTRIBUTIONS) + encoded_len_varint(item.len() as u64) + item.len()
        };
        let encoded: usize = self.encoded.iter().map(item).sum();
        encoded + message::encoded_len_repeated(ATTRIBUTIONS, &self.attributions)
    }

    fn clear(&mut self) {
        self.attributions.clear();
        self.encoded.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_items_and_messages_are_the_same_on_the_wire() {
        let attribution = |id: &str| Attribution {
            message_id: id.repeat(100),
            ..Attribution::default()
        };
        let messages = vec![attribution("a@x"), Attribution::default(), attribution("b")];
        let encoded = messages.iter().map(|m| m.encode_to_vec().into()).collect();
        let encoded = LookupAttributionsResponse::of_encoded(encoded);
        let plain = LookupAttributionsResponse {
            attributions: messages,
            encoded: Vec::new(),
        };
        assert_eq!(encoded.encode_to_vec(), plain.encode_to_vec());
        let read = LookupAttributionsResponse::decode(&*encoded.encode_to_vec());
        assert_eq!(read.expect("decoded"), plain);
    }
}
