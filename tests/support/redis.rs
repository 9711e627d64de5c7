//! A Redis of one test, and what can happen to it.

use super::{
    process::signal,
    resp::{self, Reply},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A private Redis on a port of its own. It keeps nothing on disk and ends with the test,
/// however that ends. To be started from the test's own task: it ends with its thread.
pub struct Redis {
    program: OsString,
    options: Vec<String>,
    folder: TempDir,
    process: Child,
    pub port: u16,
}

impl Redis {
    /// `None`, said aloud, where there is no Redis; that is a failure under `tests/run`.
    pub async fn start() -> Option<Self> {
        Some(Self::with(program()?, &[]).await)
    }

    async fn with(program: OsString, options: &[&str]) -> Self {
        for _ in 0..20 {
            let port = free_port();
            let mut options: Vec<String> = options.iter().map(|&o| o.into()).collect();
            if options.contains(&"--cluster-enabled".into()) {
                options.extend(["--cluster-port".into(), free_port().to_string()]);
            }
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut redis = Self {
                process: launch(&program, port, &options, &folder),
                program: program.clone(),
                options,
                folder,
                port,
            };
            // only the server itself can tell, without a race, whether a port is free
            if redis.is_ready().await {
                return redis;
            }
        }
        panic!("Redis does not start");
    }

    async fn is_ready(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log"));
            if log.unwrap_or_default().contains("Ready to accept") {
                return true;
            }
            if self.process.try_wait().expect("a child").is_some() || Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// For `--cache`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// It stops to answer; connections stay and can still be made.
    pub fn freeze(&self) {
        signal(self.process.id(), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.process.id(), "CONT");
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("a child");
    }

    /// Empty, on the same port, after [`Redis::kill`].
    pub async fn restart(&mut self) {
        self.process = launch(&self.program, self.port, &self.options, &self.folder);
        assert!(self.is_ready().await, "Redis does not start again");
    }

    /// Makes it refuse writes. What it has, it still tells.
    pub async fn read_only(&self) {
        // a replica of nobody
        self.command("REPLICAOF 127.0.0.1 1").await;
    }

    pub async fn read_write(&self) {
        self.command("REPLICAOF NO ONE").await;
    }

    /// How many questions for values there were.
    pub async fn reads(&self) -> u64 {
        let calls = |line: &str| {
            let (name, stats) = line.split_once(":calls=")?;
            let (calls, _) = stats.split_once(',')?;
            ["cmdstat_get", "cmdstat_mget"]
                .contains(&name)
                .then(|| calls.parse().ok())?
        };
        self.info("commandstats", calls).await
    }

    /// How many values were found. Scripts that look at a value count, too.
    pub async fn hits(&self) -> u64 {
        let hits = |line: &str| line.strip_prefix("keyspace_hits:")?.parse().ok();
        self.info("stats", hits).await
    }

    async fn info(&self, section: &str, number: impl Fn(&str) -> Option<u64>) -> u64 {
        let info = self.command(&format!("INFO {section}")).await;
        let info = String::from_utf8_lossy(info.bytes().expect("a text")).into_owned();
        info.lines().filter_map(number).sum()
    }

    /// A command of plain words; an error is a failure.
    pub async fn command(&self, line: &str) -> Reply {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.ask(&words).await
    }

    pub async fn ask(&self, words: &[&[u8]]) -> Reply {
        let questions = [resp::question(words)];
        let asked = tokio::time::timeout(PATIENCE, resp::exchange(self.port, &questions));
        let reply = asked.await.expect("in time").expect("an answer").remove(0);
        let refused = matches!(&reply, Reply::Line(line) if line.starts_with('-'));
        let question = String::from_utf8_lossy(words[0]);
        assert!(!refused, "{question}: {reply:?}");
        reply
    }

    /// The names of all keys, sorted.
    pub async fn keys(&self) -> Vec<Vec<u8>> {
        let Reply::Array(keys) = self.command("KEYS *").await else {
            panic!("KEYS is a list")
        };
        let mut keys: Vec<Vec<u8>> = keys
            .iter()
            .filter_map(|key| Some(key.bytes()?.to_vec()))
            .collect();
        keys.sort();
        keys
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Three nodes that share the slots, none of which has a replica.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    pub async fn start() -> Option<Self> {
        let program = program()?;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                "--cluster-require-full-coverage",
                "no", // the others serve on when one is lost
            ];
            nodes.push(Redis::with(program.clone(), &options).await);
        }
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            node.command(&format!("CLUSTER ADDSLOTSRANGE {slots}"))
                .await;
        }
        let bus = nodes[0].options.last().expect("the port of the bus");
        let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", nodes[0].port);
        for node in &nodes[1..] {
            node.command(&meet).await;
        }
        let cluster = Self { nodes };
        cluster.wait().await;
        Some(cluster)
    }

    /// Until each node knows of all slots and nodes.
    async fn wait(&self) {
        let until = Instant::now() + PATIENCE;
        for node in &self.nodes {
            loop {
                let info = node.command("CLUSTER INFO").await;
                let info = String::from_utf8_lossy(info.bytes().expect("a text")).into_owned();
                let whole = ["state:ok", "slots_ok:16384", "known_nodes:3"];
                if whole.iter().all(|part| info.contains(part)) {
                    break;
                }
                assert!(Instant::now() < until, "no cluster: {info}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// For `--cache`.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(Redis::address).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

fn program() -> Option<OsString> {
    let program = std::env::var_os("SENTBY_TEST_REDIS_SERVER");
    if program.is_none() {
        assert!(
            std::env::var_os("REQUIRE_REDIS").is_none(),
            "SENTBY_TEST_REDIS_SERVER is not set: start the suite with tests/run"
        );
        eprintln!("SKIPPED: no SENTBY_TEST_REDIS_SERVER; tests/run finds a Redis");
    }
    program
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn launch(program: &OsString, port: u16, options: &[String], folder: &TempDir) -> Child {
    let log = File::create(folder.path().join("log")).expect("a log");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"]) // also frozen, also when the test is killed
        .arg(program)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .args(options)
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .expect("Redis starts")
}
