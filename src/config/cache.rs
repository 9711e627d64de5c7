//! Where answers to lookups are kept.

use super::database::redact;
use std::fmt;

#[derive(Clone, PartialEq, Eq)]
pub enum CacheKind {
    Memory,
    None,
    /// The whole URL, with its password.
    Redis(String),
}

const FORMS: &str = "memory, none, redis://HOST:PORT, rediss://… (with TLS) or \
     redis-cluster://HOST:PORT,HOST:PORT";

impl CacheKind {
    /// The error never repeats the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "memory" => Ok(Self::Memory),
                "none" => Ok(Self::None),
                _ if text.starts_with("redis") => {
                    Err("two slashes are missing: redis://HOST:PORT".into())
                }
                _ => Err(format!("is {FORMS}")),
            };
        };
        let is_cluster = match scheme {
            "redis" | "rediss" => false,
            "redis-cluster" | "rediss-cluster" => true,
            "valkey" | "valkeys" => return Err("is redis:// or rediss:// for Valkey too".into()),
            _ => return Err(format!("this scheme is not supported: {FORMS}")),
        };
        let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        let (hosts, database) = match hosts.split_once(['/', '?']) {
            Some((hosts, database)) => (hosts, database),
            None => (hosts, ""),
        };
        if !is_cluster && hosts.contains(',') {
            return Err("has several hosts: redis-cluster://HOST:PORT,HOST:PORT".into());
        }
        if is_cluster && !database.is_empty() {
            return Err("a cluster has no numbered databases: end with the last HOST:PORT".into());
        }
        for host in hosts.split(',') {
            // of an IPv6 address the last colon is inside of the brackets
            let (name, port) = match host.rsplit_once(':') {
                Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
                _ => (host, None),
            };
            if name.is_empty() {
                return Err(format!("a host is missing: {scheme}://HOST:PORT"));
            }
            if port.is_some_and(|port| port.parse::<u16>().is_err()) {
                return Err(format!("a port is no number: {scheme}://HOST:PORT"));
            }
        }
        Ok(Self::Redis(text.to_owned()))
    }
}

impl fmt::Display for CacheKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::None => f.write_str("none"),
            Self::Redis(url) => f.write_str(&redact(url)),
        }
    }
}

impl fmt::Debug for CacheKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_cache() {
        for fine in [
            "memory",
            "none",
            "redis://127.0.0.1:6379",
            "redis://u:p@cache/3",
            "rediss://[::1]:6380",
            "redis://[::1]",
            "redis-cluster://a:1,b:2,c:3",
            "rediss-cluster://u:p@a",
        ] {
            assert!(CacheKind::parse(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "disk",
            "redis",
            "redis:6379",
            "redis://",
            "redis://u:secret@",
            "redis://:secret@:6379",
            "redis://h:secret",
            "redis://a:1,b:2",
            "redis-cluster://a:1,",
            "redis-cluster://a:1/2",
            "valkey://h",
            "http://u:secret@h",
        ] {
            let error = CacheKind::parse(wrong).expect_err(wrong);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://u:secret@h:1/2", "redis://u:***@h:1/2"),
            ("redis://:se@cret@h", "redis://:***@h"),
            (
                "redis-cluster://u:secret@a:1,b:2",
                "redis-cluster://u:***@a:1,b:2",
            ),
        ] {
            let parsed = CacheKind::parse(url).expect(url);
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), shown);
        }
    }
}
