//! Peers that mean no good: each is cut off or held up as promised, nobody else notices, and
//! the real program's memory stays bounded.

use super::support::{
    TENANT, TestDb,
    process::{Server, database},
    raw::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, Frame, HEADERS, PING,
        REFUSED_STREAM, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, field, head,
    },
    register,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use sentby::{
    pb::{self, attribution_service_client::AttributionServiceClient},
    simulate::Random,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use tonic::{Code, Status, body::Body, transport::Channel};
use tower::ServiceExt as _;

const LOOKUP: &str = "AttributionService/LookupAttributions";
const LIMIT: u64 = 128 << 20;
/// Calls of somebody else while each of it happens.
const OTHERS: u64 = 10;

/// Somebody else, who asks all the time and is always answered.
struct Neighbour {
    answered: Arc<AtomicU64>,
    asking: JoinHandle<()>,
}

impl Neighbour {
    async fn of(server: &Server) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let channel = Channel::from_shared(server.url.clone()).expect("a URI");
        let mut client = AttributionServiceClient::new(channel.connect().await.expect("connected"));
        let asking = tokio::spawn({
            let answered = Arc::clone(&answered);
            async move {
                loop {
                    let request = pb::LookupAttributionsRequest {
                        tenant_id: TENANT.to_string(),
                        message_ids: vec!["a@x".into()],
                        ..Default::default()
                    };
                    client.lookup_attributions(request).await.expect("answered");
                    answered.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        Self { answered, asking }
    }

    /// What happens, and that it is answered meanwhile, or soon after.
    async fn during<T>(&self, what: &str, happens: impl Future<Output = T>) -> T {
        let before = self.answered.load(Relaxed);
        let seen = happens.await;
        let waited = async {
            while self.answered.load(Relaxed) < before + OTHERS {
                assert!(
                    !self.asking.is_finished(),
                    "{what}: somebody else was refused"
                );
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
        waited.unwrap_or_else(|_| panic!("{what}: others are not answered"));
        seen
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// The numbers of the streams that a caller opens.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

fn frames(each: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    let each = each.into_iter().map(|frame| frame.bytes());
    each.collect::<Vec<_>>().concat()
}

fn of_many(count: u32, of_one: impl Fn(u32) -> Vec<Frame>) -> Vec<u8> {
    frames(streams(count).flat_map(of_one))
}

fn open(stream: u32, more: &[u8]) -> Frame {
    Frame::new(
        HEADERS,
        END_HEADERS,
        stream,
        [&head(LOOKUP)[..], more].concat(),
    )
}

/// What must end in GOAWAY ENHANCE_YOUR_CALM.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let reset = |stream| {
        let cancel = Frame::new(RST_STREAM, 0, stream, 8u32.to_be_bytes());
        vec![open(stream, &[]), cancel]
    };
    let longer_than_it_says = |stream| {
        let ten = Frame::new(DATA, 0, stream, [0; 10]);
        vec![open(stream, &field("content-length", "5")), ten]
    };
    let names = (0..100).flat_map(|n| field(&format!("x-{n}"), "y"));
    let names: Vec<u8> = names.collect();
    let unended = Frame::new(HEADERS, 0, 1, head(LOOKUP));
    let more = Frame::new(CONTINUATION, 0, 1, names);
    let nothing = Frame::new(DATA, 0, 1, []);
    vec![
        ("rapid resets", of_many(50_000, reset)),
        ("forced resets", of_many(2_000, longer_than_it_says)),
        (
            "a head without an end",
            frames([unended].into_iter().chain(vec![more; 10_000])),
        ),
        (
            "empty pieces",
            frames([open(1, &[])].into_iter().chain(vec![nothing; 100_000])),
        ),
    ]
}

/// What no rule of the protocol ends: it costs the peer as much as the server, and memory none.
fn nuisances() -> Vec<(&'static str, Vec<u8>)> {
    let ping = Frame::new(PING, 0, 0, [7; 8]);
    let settings = Frame::new(SETTINGS, 0, 0, [0, 4, 0, 1, 0, 0]);
    let update = Frame::new(WINDOW_UPDATE, 0, 0, 1u32.to_be_bytes());
    vec![
        ("pings", frames(vec![ping; 50_000])),
        ("settings", frames(vec![settings; 50_000])),
        ("window updates", frames(vec![update; 100_000])),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_hostile_peer() {
    let db = TestDb::sqlite().await;
    register(&*db.app().await, TENANT).await;
    let server = Server::start(&database(&db.config.database));
    let address = &server.address;
    // all the time it answers no PING: 30 seconds later it is taken for gone
    let (mut gone, settings) = Raw::open(address).await;
    // streams, window, frame, head: what peers are told, so that honest ones keep to it
    for expected in [(3, 200), (4, 1 << 20), (5, 256 << 10), (6, 16 << 10)] {
        assert!(settings.contains(&expected), "{expected:?}: {settings:?}");
    }
    let gone = tokio::spawn(async move { gone.closed(Duration::from_secs(50)).await });
    let others = Neighbour::of(&server).await;

    for (what, bytes) in floods() {
        let (raw, _) = Raw::open(address).await;
        let end = others.during(what, raw.flood(bytes)).await;
        assert_eq!(end, End::GoAway(ENHANCE_YOUR_CALM), "{what}");
    }
    for (what, bytes) in nuisances() {
        let (raw, _) = Raw::open(address).await;
        let end = others.during(what, raw.flood(bytes)).await;
        println!("{what}: {end:?}");
        assert!(!matches!(end, End::NotRead), "{what}: {end:?}");
    }
    others
        .during("too many streams", too_many_streams(address))
        .await;
    others
        .during("a head that is too large", too_large_a_head(address))
        .await;
    others.during("no window", no_window(address)).await;
    for (what, bytes) in no_http2() {
        let mut raw = Raw::connect(address).await;
        let _ = raw.send_bytes(&bytes).await;
        let wait = others.during(what, raw.closed(Duration::from_secs(20)));
        wait.await;
    }
    gone.await.expect("closed in time");
    let peak = server.most_memory();
    println!("peak {peak} bytes");
    assert!(peak <= LIMIT, "{peak} bytes");
    assert_eq!(
        server.logged("panicked").len() + server.logged("BUG").len(),
        0
    );
    drop(others);
    assert_eq!(server.stop(), Some(0));
}

/// One more than there may be is refused, those that there are go on.
async fn too_many_streams(address: &str) {
    let (mut raw, _) = Raw::open(address).await;
    for stream in streams(201) {
        raw.send_bytes(&open(stream, &[]).bytes())
            .await
            .expect("sent");
    }
    let refused = raw.next_of(RST_STREAM, 401).await.expect("refused");
    assert_eq!(refused.error(), REFUSED_STREAM);
    let message = Frame::new(DATA, END_STREAM, 1, lookup_bytes());
    raw.send_bytes(&message.bytes()).await.expect("sent");
    raw.next_of(HEADERS, 1).await.expect("answered");
}

/// A call whose head is a little too large is answered unread, and the connection goes on. One
/// that is much too large ends it.
async fn too_large_a_head(address: &str) {
    let (mut raw, _) = Raw::open(address).await;
    let large = open(1, &field("x-large", &"y".repeat(17 << 10)));
    raw.send_bytes(&large.bytes()).await.expect("sent");
    raw.next_of(HEADERS, 1).await.expect("431");
    raw.send_bytes(&open(3, &[]).bytes()).await.expect("sent");
    let message = Frame::new(DATA, END_STREAM, 3, lookup_bytes());
    raw.send_bytes(&message.bytes()).await.expect("sent");
    raw.next_of(DATA, 3).await.expect("answered");
    let many: Vec<u8> = (0..10_000)
        .flat_map(|n| field(&format!("x-{n}"), ""))
        .collect();
    let end = raw.flood(open(5, &many).bytes()).await;
    assert_eq!(end, End::GoAway(ENHANCE_YOUR_CALM));
}

/// It takes nothing of any answer. That costs as much as the answers are large.
async fn no_window(address: &str) {
    let (mut raw, _) = Raw::open_with(address, &[0, 4, 0, 0, 0, 0]).await;
    for stream in streams(200) {
        let message = Frame::new(DATA, END_STREAM, stream, lookup_bytes());
        let call = [open(stream, &[]).bytes(), message.bytes()].concat();
        raw.send_bytes(&call).await.expect("sent");
    }
    // heads have no window
    raw.next_of(HEADERS, 399).await.expect("answered");
}

fn lookup_bytes() -> Vec<u8> {
    let request = pb::LookupAttributionsRequest {
        tenant_id: TENANT.to_string(),
        message_ids: vec!["a@x".into()],
        ..Default::default()
    };
    framed(&request.encode_to_vec())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.to_vec()
}

fn no_http2() -> Vec<(&'static str, Vec<u8>)> {
    let mut random = Random(7);
    let noise = (0..8_000)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x55; 500]].concat();
    vec![
        ("HTTP/1", b"GET / HTTP/1.1\r\nhost: sentby\r\n\r\n".to_vec()),
        ("TLS", hello),
        ("noise", noise),
    ]
}

/// What is said to these bytes as the request of a method.
async fn call(channel: &Channel, method: &str, bytes: Vec<u8>) -> Status {
    let request = http::Request::post(format!("http://sentby/sentby.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(bytes))))
        .expect("a request");
    let response = channel.clone().oneshot(request).await.expect("an answer");
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let body = response.into_body().collect().await.expect("a body");
    let trailers = body.trailers().cloned().unwrap_or_default();
    Status::from_header_map(&trailers).expect("a status")
}

/// Every method of the API.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(sentby::grpc::DESCRIPTORS);
    let files = files.expect("descriptors").file.into_iter();
    let services = files.filter(|file| file.package() == "sentby.v1");
    let services = services.flat_map(|file| file.service);
    let methods = services.flat_map(|service| {
        let name = service.name().to_owned();
        let methods = service.method.into_iter();
        methods.map(move |method| format!("{name}/{}", method.name()))
    });
    let methods: Vec<String> = methods.collect();
    assert!(methods.len() > 20, "{methods:?}");
    methods
}

/// Whatever bytes a method gets, it says what is wrong with them, in little memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_are_too_bad_for_an_answer() {
    let db = TestDb::sqlite().await;
    register(&*db.app().await, TENANT).await;
    let server = Server::start(&database(&db.config.database));
    let channel = Channel::from_shared(server.url.clone()).expect("a URI");
    let channel = channel.connect().await.expect("connected");
    let others = Neighbour::of(&server).await;
    // so long it says that it is, and does not come; all that may be, as empty entries of the
    // first fields; groups; and what nests without end
    let endless = [&[0][..], &u32::MAX.to_be_bytes(), &[0; 100]].concat();
    let empty = |tag: u8| framed(&[tag << 3 | 2, 0].repeat((4 << 20) / 2 - 10));
    let nested = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut length = BytesMut::new();
        prost::encoding::encode_varint(inner.len() as u64, &mut length);
        [&[0x0a][..], &length, &inner].concat()
    });
    let mut random = Random(11);
    let bad = [
        endless,
        empty(2),
        empty(4),
        framed(&[0x0b, 0x0b, 0x0b]),
        framed(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        framed(&[0xff; 40]),
        framed(&nested),
        framed(
            &(0..64)
                .flat_map(|_| random.next().to_le_bytes())
                .collect::<Vec<u8>>(),
        ),
        vec![0, 0, 0],
        vec![7, 0, 0, 0, 0],
    ];
    for method in methods() {
        for (at, bytes) in bad.iter().enumerate() {
            let status = others
                .during(&method, call(&channel, &method, bytes.clone()))
                .await;
            let is_told = match status.code() {
                // a field that a method does not have is nothing to it
                Code::Ok => at == 1 || at == 2 || method.starts_with("Admin"),
                Code::InvalidArgument | Code::OutOfRange => true,
                Code::Unimplemented => at == 9,
                _ => false,
            };
            assert!(is_told, "{method}, {at}: {status:?}");
        }
    }
    let peak = server.most_memory();
    println!("peak {peak} bytes");
    assert!(peak <= LIMIT, "{peak} bytes");
    assert_eq!(
        server.logged("panicked").len() + server.logged("BUG").len(),
        0
    );
}

/// Many of the largest requests that are no batches, at the same time: what there is no room for
/// is refused, and the rest answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_have_their_room() {
    let db = TestDb::sqlite().await;
    register(&*db.app().await, TENANT).await;
    let server = Server::start(&database(&db.config.database));
    let request = pb::LookupAttributionsRequest {
        tenant_id: TENANT.to_string(),
        message_ids: (0..1_000).map(|n| format!("{n:0990}@x")).collect(),
        ..Default::default()
    };
    let bytes = framed(&request.encode_to_vec());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let channel = Channel::from_shared(server.url.clone()).expect("a URI");
        let channel = channel.connect().await.expect("connected");
        for _ in 0..15 {
            let (channel, bytes) = (channel.clone(), bytes.clone());
            calls.spawn(async move { call(&channel, LOOKUP, bytes).await.code() });
        }
    }
    let codes = calls.join_all().await;
    let answered = codes.iter().filter(|code| **code == Code::Ok).count();
    let refused = codes
        .iter()
        .filter(|code| **code == Code::ResourceExhausted);
    let peak = server.most_memory();
    println!("peak {peak} bytes; {answered} answered");
    assert_eq!(answered + refused.count(), codes.len(), "{codes:?}");
    assert!(answered > 0);
    assert!(peak <= LIMIT, "{peak} bytes");
}
