//! The Redis that is named by the setting, and connections to it.

use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _, RedisError, RedisResult,
    TlsCertificates, Value,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};
use std::{fmt, time::Duration};

/// How long connecting may take, with TLS and password. Nobody waits for it.
pub(super) const CONNECT: Duration = Duration::from_millis(1_000);

/// One Redis, or a cluster of them.
pub(super) enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Server {
    /// `redis://`, `rediss://`, and with several hosts `redis-cluster://`, `rediss-cluster://`.
    /// `ca`: PEM; the authority to trust instead of the public ones.
    pub(super) fn new(url: &str, ca: Option<Vec<u8>>) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true);
        let certificates = ca.map(|ca| TlsCertificates {
            client_tls: None,
            root_cert: Some(ca),
        });
        if let Some((scheme, nodes)) = cluster_nodes(url) {
            let nodes: Vec<String> = nodes.iter().map(|n| format!("{scheme}://{n}")).collect();
            let mut builder = ClusterClientBuilder::new(nodes)
                .tcp_settings(tcp)
                .connection_timeout(CONNECT)
                .retries(1); // a key that has moved is followed; else the store is as quick
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            return Ok(Self::Cluster(Box::new(builder.build()?)));
        }
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        Ok(Self::Single(Box::new(client)))
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::Single(client) => {
                // each call has a time-out of its own: see `link.rs`
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(None);
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Connection::Single(connection.await?)
            }
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

/// Scheme of each node, and the nodes, each with user and password. `None`: no cluster.
fn cluster_nodes(url: &str) -> Option<(&'static str, Vec<String>)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "redis-cluster" => "redis",
        "rediss-cluster" => "rediss",
        _ => return None,
    };
    let (user, hosts) = match rest.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), rest),
    };
    let nodes = hosts.split(',').map(|host| format!("{user}{host}"));
    Some((scheme, nodes.collect()))
}

impl Connection {
    pub(super) async fn query(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl fmt::Debug for Server {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_a_cluster_gets_user_and_password() {
        let nodes = |url| cluster_nodes(url).map(|(scheme, nodes)| (scheme, nodes.join(" ")));
        assert_eq!(nodes("redis://h:1/0"), None);
        let two = Some(("redis", "a:1 b:2".into()));
        assert_eq!(nodes("redis-cluster://a:1,b:2"), two);
        let sealed = Some(("rediss", "u:p@a:1 u:p@b:2".into()));
        assert_eq!(nodes("rediss-cluster://u:p@a:1,b:2"), sealed);
    }

    #[test]
    fn urls_that_can_be_used() {
        for (url, fine) in [
            ("redis://127.0.0.1:6379/3", true),
            ("rediss://u:p@cache.example", true),
            ("redis-cluster://a:1,b:2", true),
            ("redis://h:port", false),
            ("http://h", false),
        ] {
            assert_eq!(Server::new(url, None).is_ok(), fine, "{url}");
        }
    }
}
