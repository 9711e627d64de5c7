//! health: as people and the checks of containers ask.

use crate::support::{
    TestDb,
    process::{Server, database, run, sentby, succeeded, text},
};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Output,
    thread,
};

/// With the settings of a server, as in its container.
fn health_of(setting: &str, value: &str) -> Output {
    let mut command = sentby(&["health"]);
    command.env(setting, value).output().expect("the program")
}

/// What it says of a server that asks its store right after it has begun to listen, and may be
/// late with it later.
fn soon(mut asked: impl FnMut() -> Output) -> Output {
    let mut said = asked();
    for _ in 0..50 {
        if said.status.success() {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(100));
        said = asked();
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_says_whether_it_is_ready() {
    let db = TestDb::sqlite().await;
    let server = Server::start(&database(&db.config.database));
    let named = soon(|| run(&["health", "--server", &server.url]));
    assert_eq!(succeeded(&named), "SERVING\n");
    let own = soon(|| health_of("SENTBY_LISTEN", &server.address));
    assert_eq!(succeeded(&own), "SERVING\n");
    let (_, port) = server.address.rsplit_once(':').expect("a port");
    let everywhere = soon(|| health_of("SENTBY_LISTEN", &format!("0.0.0.0:{port}")));
    assert_eq!(succeeded(&everywhere), "SERVING\n");

    let address = server.address.clone();
    assert_eq!(server.stop(), Some(0));
    let gone = health_of("SENTBY_LISTEN", &address);
    assert_eq!(gone.status.code(), Some(1));
    let said = text(&gone.stderr);
    assert!(said.contains(&address), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_its_database_is_not_ready() {
    let server = Server::start("postgres://sentby@127.0.0.1:1/none");
    let asked = run(&["health", "--server", &server.url]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked.stdout).starts_with("NOT_SERVING"));
}

/// The port for probes, as far as this command sees of it.
fn probes(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut asked = [0; 64];
        let length = stream.read(&mut asked).expect("a request");
        assert!(asked[..length].starts_with(b"GET /readyz HTTP/1.0\r\n"));
        stream.write_all(answer.as_bytes()).expect("it reads");
    });
    address.to_string()
}

#[test]
fn where_there_is_a_port_for_probes_that_is_asked() {
    let yes = probes("HTTP/1.0 200 OK\r\n\r\nready\n");
    let yes = health_of("SENTBY_OPS_LISTEN", &yes);
    assert_eq!(succeeded(&yes), "SERVING\n");

    let no = probes("HTTP/1.0 503 Service Unavailable\r\n\r\nthe store does not answer\n");
    let no = health_of("SENTBY_OPS_LISTEN", &no);
    assert_eq!(no.status.code(), Some(1));
    assert_eq!(text(&no.stdout), "NOT_SERVING: the store does not answer\n");

    let other = health_of("SENTBY_OPS_LISTEN", &probes("SSH-2.0-x\r\n"));
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("no sentby"));
}

#[test]
fn it_says_how_to_ask_what_it_cannot_find() {
    let any = health_of("SENTBY_LISTEN", "127.0.0.1:0");
    assert_eq!(any.status.code(), Some(2));
    assert!(text(&any.stderr).contains("--server"));
    let tls = health_of("SENTBY_TLS_CERT_FILE", "/etc/sentby/tls/tls.crt");
    assert_eq!(tls.status.code(), Some(2));
    assert!(text(&tls.stderr).contains("ops_listen"));
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = deaf.local_addr().expect("an address").to_string();
    let asked = health_of("SENTBY_OPS_LISTEN", &address);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked.stderr).contains("4 seconds"));
}
