//! The programs under measure, each a process of its own, and what the system says of them.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A server on a free port, ended with its value.
pub struct Server {
    process: Child,
    /// HOST:PORT
    pub address: String,
}

impl Server {
    /// The program as a user starts it.
    pub fn sentby(database: &str, cache: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentby"));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--database", database, "--cache", cache]);
        command.args(["--log", "info", "--log-format", "json"]);
        Self::start(command)
    }

    /// A peer of `peers.rs`, which is this program again.
    pub fn peer(name: &str, arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("it runs");
        let mut command = Command::new(program);
        command.args(["--peer", name]).args(arguments);
        Self::start(command)
    }

    /// Waits until it logs where it serves.
    pub fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                match event["address"].as_str() {
                    Some(address) if event["message"] == "serving" => {
                        let _ = found.send(address.to_owned());
                    }
                    _ if event["level"] == "INFO" => {}
                    _ => eprintln!("{line}"),
                }
            }
        });
        let mut server = Self {
            process,
            address: String::new(),
        };
        let address = address.recv_timeout(Duration::from_secs(60));
        server.address = address.expect("it says where it serves");
        server
    }

    pub fn cpu(&self) -> Duration {
        cpu_of(self.process.id())
    }

    /// The most memory that it has had, in MiB.
    pub fn peak_memory(&self) -> f64 {
        self.status("VmHWM:")
    }

    /// What it has now, in MiB.
    pub fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.expect("Linux says it") / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process has used of the processors, in ticks of 10 ms.
fn ticks(stat: &str) -> Option<(u32, u64)> {
    // behind the name, which may hold anything: state, parent, …
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let used = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((fields.get(1)?.parse().ok()?, used))
}

/// What this program has used.
pub fn own_cpu() -> Duration {
    cpu_of(std::process::id())
}

fn cpu_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    Duration::from_millis(ticks(&stat).map_or(0, |(_, used)| used * 10))
}

/// Of a Postgres: all processes that the postmaster has now. What a backend used is lost
/// with it, so connections have to stay open over a measure.
pub fn cpu_of_family(postmaster: u32) -> Duration {
    let mut sum = cpu_of(postmaster);
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((parent, used)) = ticks(&stat)
            && parent == postmaster
        {
            sum += Duration::from_millis(used * 10);
        }
    }
    sum
}
