//! `sentby health`

use super::{
    Outcome, Usage,
    client::{Api, Need, Target, answer, request, root_cause},
};
use crate::config::Config;
use anyhow::Context as _;
use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

/// Is a server ready: its store is reached, its schema fits, and it does not stop?
///
/// Without --server that is the one with the same settings on this machine: asked at `ops_listen`
/// (/readyz) if that is set, else at `listen`. So it is the health check of a container, whose
/// environment and file are those of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Health {
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby health
  sentby health --server http://127.0.0.1:50051
  SENTBY_OPS_LISTEN=127.0.0.1:9464 sentby health

Prints SERVING, or NOT_SERVING with the reason where it is told.
Exit code: 0 if it is ready, 1 if it is not or does not answer within 4 seconds.";

/// Shorter than those who wait for us do.
const PATIENCE: Duration = Duration::from_secs(4);
/// Of what /readyz says; more is not read.
const LONGEST_ANSWER: u64 = 16 << 10;

impl Health {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(&config)).await;
        let late = |_| anyhow::anyhow!("no answer within {} seconds", PATIENCE.as_secs());
        let (ready, line) = asked.map_err(late)??;
        writeln!(io::stdout(), "{line}")?;
        Ok(if ready { Outcome::Done } else { Outcome::No })
    }

    async fn ask(&self, config: &Config) -> anyhow::Result<(bool, String)> {
        if self.target.names_server() {
            return by_grpc(self.target.connect(config, Need::Existing).await?).await;
        }
        match config.ops_listen {
            Some(address) => by_http(here(address)?).await,
            None if config.tls_cert_file.is_some() => Err(Usage(
                "the server has TLS: give --server https://NAME:PORT, or the settings an \
                 ops_listen, where /readyz tells"
                    .into(),
            )
            .into()),
            None => by_grpc(Api::of(here(config.listen)?).await?).await,
        }
    }
}

/// Where this machine reaches what listens there.
fn here(listen: SocketAddr) -> Result<SocketAddr, Usage> {
    if listen.port() == 0 {
        let why = "port 0 is whichever was free: name the server by --server http://HOST:PORT";
        return Err(Usage(why.into()));
    }
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

async fn by_grpc(api: Api) -> anyhow::Result<(bool, String)> {
    let mut health = api.health();
    let asked = health.check(request(HealthCheckRequest::default()));
    let status = answer(asked.await)?.status();
    let ready = status == ServingStatus::Serving;
    let why = if ready { "" } else { ": its log tells why" };
    Ok((ready, format!("{}{why}", status.as_str_name())))
}

async fn by_http(address: SocketAddr) -> anyhow::Result<(bool, String)> {
    let read = async {
        let mut stream = TcpStream::connect(address).await?;
        // of HTTP/1.0 an answer ends with the connection
        let asked = format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let text = read.await.map_err(|error: io::Error| {
        let cause = root_cause(&error);
        anyhow::anyhow!("nobody answers at {address}, the ops_listen of the settings: {cause}")
    })?;
    readyz(&text).with_context(|| format!("what answers at {address} is no sentby"))
}

/// What an answer of /readyz says; `None` if it is none.
fn readyz(text: &str) -> Option<(bool, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    match code {
        "200" => Some((true, "SERVING".into())),
        "503" => Some((false, format!("NOT_SERVING: {}", body.trim()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_here() {
        let here = |text: &str| here(text.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(here("0.0.0.0:7").unwrap(), "127.0.0.1:7");
        assert_eq!(here("[::]:7").unwrap(), "[::1]:7");
        assert_eq!(here("10.1.2.3:7").unwrap(), "10.1.2.3:7");
        assert!(here("127.0.0.1:0").is_err());
    }

    #[test]
    fn answers_of_readyz_are_read() {
        let no = "HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nthe store does not answer\n";
        assert_eq!(
            readyz(no),
            Some((false, "NOT_SERVING: the store does not answer".into()))
        );
        let yes = "HTTP/1.0 200 OK\r\n\r\nready";
        assert_eq!(readyz(yes), Some((true, "SERVING".into())));
        for other in ["", "HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert_eq!(readyz(other), None, "{other}");
        }
    }
}
