//! What a server needs of its Redis. Nothing is left there but a value that ends in a second.

use super::server::{Connection, Server};
use crate::domain::Check;
use redis::{Cmd, RedisError, Value, cmd};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(5);
const KEY: &str = "sentby:doctor";
const RIGHTS: &str =
    "ACL SETUSER sentby on '>…' '~sentby:*' +ping +mget +getrange +set +del +eval +evalsha +info";

/// `shown`: the URL without its password.
pub async fn examine(url: &str, shown: &str, ca: Option<Vec<u8>>) -> Vec<Check> {
    let repair = "correct --cache, or start it: redis-cli -u URL ping";
    let unreachable = |why: String| {
        let says = format!("is not reached: {why}. Answers come from the database meanwhile");
        vec![Check::error("cache", says, repair)]
    };
    // the text of the error names what is wrong, never the URL
    let server = match Server::new(url, ca) {
        Ok(server) => server,
        Err(error) => return unreachable(error.to_string()),
    };
    let since = Instant::now();
    let mut connection = match timeout(PATIENCE, server.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return unreachable(error.to_string()),
        Err(_) => return unreachable("no answer in 5 s".into()),
    };
    let took = since.elapsed().as_millis();
    let mut checks = vec![Check::ok("cache", format!("{shown} answers in {took} ms"))];
    let rest = timeout(PATIENCE, async {
        let rights = rights(&mut connection).await;
        let info = text(connection.query(&cmd("INFO")).await);
        [rights, version(&info), eviction(&info)]
    });
    match rest.await {
        Ok(found) => checks.extend(found),
        Err(_) => return unreachable("no answer in 5 s".into()),
    }
    checks
}

/// All that it says, of a cluster by all nodes. Empty where it may not be asked.
fn text(answer: Result<Value, RedisError>) -> String {
    fn add(value: &Value, text: &mut String) {
        match value {
            Value::BulkString(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
            Value::SimpleString(simple) => text.push_str(simple),
            Value::VerbatimString { text: verbatim, .. } => text.push_str(verbatim),
            Value::Array(values) => values.iter().for_each(|value| add(value, text)),
            Value::Map(pairs) => pairs.iter().for_each(|(_, value)| add(value, text)),
            _ => {}
        }
    }
    let mut all = String::new();
    if let Ok(value) = answer {
        add(&value, &mut all);
    }
    all
}

fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let lines = info.lines().map(str::trim);
    lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(known, value)| (known == name).then_some(value))
}

fn version(info: &str) -> Check {
    const NAME: &str = "cache-version";
    let Some(version) = line(info, "redis_version") else {
        return Check::ok(
            NAME,
            "it does not tell (INFO is not allowed): Redis 7 or newer, or Valkey",
        );
    };
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let shown = match line(info, "valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    match major {
        7.. => Check::ok(NAME, shown),
        _ => Check::error(
            NAME,
            format!("{shown} is too old"),
            "upgrade it to 7 or newer",
        ),
    }
}

fn eviction(info: &str) -> Check {
    const NAME: &str = "cache-eviction";
    match (line(info, "maxmemory_policy"), line(info, "maxmemory")) {
        (Some("noeviction"), Some(limit)) if limit != "0" => Check::warning(
            NAME,
            "when it is full, it takes nothing new (noeviction)",
            "redis-cli CONFIG SET maxmemory-policy allkeys-lru",
        ),
        (Some("noeviction"), _) => Check::warning(
            NAME,
            "it may take all memory of its machine",
            "redis-cli CONFIG SET maxmemory 256mb; redis-cli CONFIG SET maxmemory-policy allkeys-lru",
        ),
        (Some(policy), _) => Check::ok(NAME, policy),
        (None, _) => Check::ok(NAME, "it does not tell (INFO is not allowed)"),
    }
}

/// Each command that a server uses.
async fn rights(connection: &mut Connection) -> Check {
    const NAME: &str = "cache-rights";
    let command = |words: &[&str]| {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command
    };
    let mut refused = Vec::new();
    for words in [
        &["PING"][..],
        &["SET", KEY, "x", "PX", "1000"],
        &["MGET", KEY],
        &["GETRANGE", KEY, "0", "1"],
        &[
            "EVAL",
            "return redis.call('GETRANGE', KEYS[1], 0, 1)",
            "1",
            KEY,
        ],
        &[
            "EVALSHA",
            "0000000000000000000000000000000000000000",
            "1",
            KEY,
        ],
        &["DEL", KEY],
    ] {
        match connection.query(&command(words)).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {}
            Err(error) => refused.push(format!("{}: {error}", words[0])),
            Ok(_) => {}
        }
    }
    match refused.is_empty() {
        true => Check::ok(NAME, "all commands on sentby:*"),
        false => Check::error(NAME, refused.join("; "), RIGHTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Level::{Error, Ok, Warning};

    #[test]
    fn what_info_says() {
        for (info, is_version, is_eviction) in [
            ("", Ok, Ok),
            (
                "redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
                Ok,
                Warning,
            ),
            (
                "redis_version:6.2.1\r\nmaxmemory:9\r\nmaxmemory_policy:noeviction\r\n",
                Error,
                Warning,
            ),
            (
                "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nmaxmemory_policy:allkeys-lru\r\n",
                Ok,
                Ok,
            ),
        ] {
            assert_eq!(version(info).level, is_version, "{info}");
            assert_eq!(eviction(info).level, is_eviction, "{info}");
        }
    }
}
