//! Requests and answers of every method, by the descriptors alone: a method that is added is
//! called too. Messages are bytes.

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::{
    Message as _,
    encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use std::{collections::HashMap, marker::PhantomData};
use tonic::{
    IntoStreamingRequest, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

/// All that the server offers of its own.
pub struct Api {
    pub methods: Vec<Method>,
    messages: HashMap<String, DescriptorProto>,
}

#[derive(Clone, Debug)]
pub struct Method {
    pub name: String,
    /// `/package.Service/Method`
    pub path: String,
    pub request: String,
    pub response: String,
    /// Of requests, or of answers.
    pub is_stream: bool,
}

impl Method {
    /// As rules and metrics name it.
    pub fn full_name(&self) -> &str {
        &self.path[1..]
    }
}

/// What a field is filled with.
pub enum Value {
    Text(String),
    Bytes(Vec<u8>),
    Number(u64),
    /// The message of the field, filled in the same way.
    Nested,
}

impl Api {
    pub fn read() -> Self {
        let files = FileDescriptorSet::decode(sentby::grpc::DESCRIPTORS).expect("descriptors");
        let mut api = Self {
            methods: Vec::new(),
            messages: HashMap::new(),
        };
        for file in files.file {
            let package = file.package().to_owned();
            for message in &file.message_type {
                api.add(&format!(".{package}"), message);
            }
            for service in file.service.iter().filter(|_| package == "sentby.v1") {
                api.methods
                    .extend(service.method.iter().map(|method| Method {
                        name: method.name().into(),
                        path: format!("/{package}.{}/{}", service.name(), method.name()),
                        request: method.input_type().into(),
                        response: method.output_type().into(),
                        is_stream: method.client_streaming() || method.server_streaming(),
                    }));
            }
        }
        api
    }

    fn add(&mut self, outer: &str, message: &DescriptorProto) {
        let name = format!("{outer}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        self.messages.insert(name, message.clone());
    }

    pub fn fields(&self, message: &str) -> &[FieldDescriptorProto] {
        &self.messages[message].field
    }

    /// Somewhere in it.
    pub fn names_a_tenant(&self, message: &str) -> bool {
        self.fields(message).iter().any(|field| {
            let is_nested = field.r#type() == Type::Message;
            field.name() == "tenant_id" || is_nested && self.names_a_tenant(field.type_name())
        })
    }

    /// `fill` is asked for each value of each field; no values: it is left out.
    pub fn build(
        &self,
        message: &str,
        fill: &mut dyn FnMut(&str, &FieldDescriptorProto) -> Vec<Value>,
    ) -> Vec<u8> {
        let mut built = Vec::new();
        for field in self.fields(message) {
            let tag = u32::try_from(field.number()).expect("a tag");
            let mut values = fill(message, field);
            if field.label() != Label::Repeated {
                values.truncate(1);
            }
            for value in values {
                let bytes = match value {
                    Value::Number(number) => {
                        encode_key(tag, WireType::Varint, &mut built);
                        encode_varint(number, &mut built);
                        continue;
                    }
                    Value::Text(text) => text.into_bytes(),
                    Value::Bytes(bytes) => bytes,
                    Value::Nested => self.build(field.type_name(), fill),
                };
                encode_key(tag, WireType::LengthDelimited, &mut built);
                encode_varint(bytes.len() as u64, &mut built);
                built.extend(bytes);
            }
        }
        built
    }

    /// Every text of a message, with the name of its field.
    pub fn texts(&self, message: &str, mut bytes: Bytes, found: &mut dyn FnMut(&str, &str)) {
        while bytes.has_remaining() {
            let (tag, wire) = decode_key(&mut bytes).expect("a key");
            if wire != WireType::LengthDelimited {
                match wire {
                    WireType::Varint => drop(decode_varint(&mut bytes).expect("a number")),
                    WireType::SixtyFourBit => bytes.advance(8),
                    _ => bytes.advance(4),
                }
                continue;
            }
            let length = decode_varint(&mut bytes).expect("a length");
            let value = bytes.split_to(usize::try_from(length).expect("a length"));
            let fields = self.fields(message).iter();
            let field = fields.filter(|field| field.number() == i32::try_from(tag).unwrap_or(0));
            for field in field {
                match (field.r#type(), std::str::from_utf8(&value)) {
                    (Type::Message, _) => self.texts(field.type_name(), value.clone(), found),
                    (Type::String, Ok(text)) => found(field.name(), text),
                    _ => {}
                }
            }
        }
    }
}

/// A method of any kind, by its path.
pub async fn open(
    channel: &Channel,
    path: &str,
    requests: impl IntoStreamingRequest<Message = Vec<u8>>,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    let path = path.parse().expect("a path");
    let answers = grpc
        .streaming(requests.into_streaming_request(), path, Raw::new())
        .await?;
    Ok(answers.into_inner())
}

/// Messages as bytes, both ways.
pub struct Raw<T>(PhantomData<fn(T)>);

impl<T> Raw<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Into<Bytes> + Send + 'static> Codec for Raw<T> {
    type Encode = T;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::new()
    }

    fn decoder(&mut self) -> Self {
        Self::new()
    }
}

impl<T: Into<Bytes>> Encoder for Raw<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item.into());
        Ok(())
    }
}

impl<T> Decoder for Raw<T> {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
