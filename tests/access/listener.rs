//! The socket under peers that do not behave, and without room.

use super::site::{Site, get_tenant, token, token_caller};
use crate::support::{
    TENANT, TestDb,
    process::{self, Server, database, succeeded},
    register,
};
use sentby::server::{self, Door};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::transport::Channel;

/// What a client of HTTP/2 begins with: the preface, and empty SETTINGS.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// How long until the server ends a connection on which it was sent this and nothing more.
async fn ends_after(address: SocketAddr, sent: &[u8]) -> Option<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(sent).await.expect("written");
    let start = Instant::now();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(13), ended).await;
    ended.is_ok().then(|| start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_not_kept() {
    let secure = Site::start(&token_caller("one", "reader", &token())).await;
    let db = TestDb::sqlite().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let plain = listener.local_addr().expect("an address");
    let serving = server::serve(db.app().await, listener, std::future::pending());
    let serving = tokio::spawn(serving);
    // the head of a TLS record that announces more
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let (nothing, half_hello, no_preface, half_preface, half_settings, opened) = tokio::join!(
        ends_after(secure.address, b""),
        ends_after(secure.address, hello),
        ends_after(plain, b""),
        ends_after(plain, &OPENING[..16]),
        ends_after(plain, &OPENING[..28]),
        ends_after(plain, OPENING),
    );
    for handshake in [nothing, half_hello] {
        let took = handshake.expect("closed");
        assert!((2_500..5_000).contains(&took.as_millis()), "{took:?}");
    }
    for silence in [no_preface, half_preface, half_settings] {
        let took = silence.expect("closed");
        assert!((9_500..12_500).contains(&took.as_millis()), "{took:?}");
    }
    assert_eq!(
        opened, None,
        "a client that has no call to make yet may stay"
    );
    serving.abort();
}

/// More peers that do not end their handshake than there may be handshakes: the others still come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_handshakes_do_not_shut_others_out() {
    let token = token();
    let site = Site::start(&token_caller("one", "reader", &token)).await;
    let open = site.channel().await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(TcpStream::connect(site.address).await.expect("connected"));
    }
    get_tenant(&open, Some(&token))
        .await
        .expect("open connections are not concerned");
    let start = Instant::now();
    let endpoint = site.endpoint(None).connect_timeout(Duration::from_secs(20));
    let channel = endpoint.connect().await.expect("connected");
    get_tenant(&channel, Some(&token)).await.expect("answered");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_above_the_limit_wait() {
    let db = TestDb::sqlite().await;
    let mut config = db.config.clone();
    config.max_connections = 3;
    let app = db.app_with_tenant().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let door = Door::open(listener, &config).await.expect("no files");
    let serving = server::serve(Arc::clone(&app), door, std::future::pending());
    let serving = tokio::spawn(serving);
    let connect = async || {
        let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URI");
        endpoint.connect().await.expect("connected")
    };
    let mut channels = Vec::new();
    for _ in 0..3 {
        let channel = connect().await;
        get_tenant(&channel, None).await.expect("answered");
        channels.push(channel);
    }
    let fourth = tokio::spawn({
        let channel = connect().await;
        async move { get_tenant(&channel, None).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!fourth.is_finished(), "it waits");
    for channel in &channels {
        get_tenant(channel, None)
            .await
            .expect("those that are in go on");
    }
    channels.pop();
    let answered = tokio::time::timeout(Duration::from_secs(5), fourth).await;
    let answered = answered.expect("in time").expect("no panic");
    answered.expect("it has the place");
    serving.abort();
}

/// Processor time that a process has used, in hundredths of a second.
fn used(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("its name in brackets");
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().expect("a number");
    number(11) + number(12)
}

/// Without file descriptors the program serves whom it has, waits without turning, and takes new
/// connections as soon as there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_descriptors_are_left() {
    let db = TestDb::sqlite().await;
    register(&*db.app().await, TENANT).await;
    let server = Server::with_descriptors(&database(&db.config.database), 100);
    let connect = async || {
        let endpoint = Channel::from_shared(server.url.clone()).expect("a URI");
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
        endpoint.timeout(Duration::from_secs(5)).connect().await
    };
    let channel = connect().await.expect("connected");
    // until it has all files that it needs
    let warm = (0..50).map(|_| get_tenant(&channel, None));
    for answered in futures_util::future::join_all(warm).await {
        answered.expect("answered");
    }
    let mut idle = Vec::new();
    for _ in 0..150 {
        let mut stream = TcpStream::connect(&server.address)
            .await
            .expect("connected");
        stream.write_all(OPENING).await.expect("written");
        idle.push(stream);
    }
    let told = || {
        server
            .logged("cannot accept connections for the moment")
            .len()
    };
    let start = Instant::now();
    while told() == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it has descriptors enough"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (before, lines, start) = (used(server.id()), told(), Instant::now());
    for _ in 0..20 {
        get_tenant(&channel, None).await.expect("answered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (share, lines) = (used(server.id()) - before, told() - lines);
    let seconds = start.elapsed().as_secs_f64();
    assert!(share as f64 / seconds < 25.0, "{share} % in {seconds} s");
    assert!(
        lines as f64 / seconds <= 21.0,
        "{lines} attempts in {seconds} s"
    );

    drop(idle);
    let start = Instant::now();
    let fresh = connect().await.expect("connected");
    get_tenant(&fresh, None).await.expect("answered");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    let tenant = TENANT.to_string();
    let lookup = ["coverage", "--tenant", &tenant, "--server", &server.url];
    succeeded(&process::run(&lookup));
}
