//! Runs the program.

use sentby::config::DatabaseUrl;
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// The program with arguments, and nothing of the environment that it would read.
pub fn sentby(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentby"));
    command.args(arguments);
    without_settings(command)
}

/// A command that sees no settings of the environment.
pub fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SENTBY_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Output {
    let output = sentby(arguments).stdin(Stdio::null()).output();
    output.expect("the program runs")
}

/// Runs it with this standard input.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = sentby(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[track_caller]
pub fn succeeded(output: &Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    text(&output.stdout)
}

/// One JSON object a line.
#[track_caller]
pub fn json_lines(output: &Output) -> Vec<Value> {
    let lines = succeeded(output);
    let lines = lines.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON lines")
}

pub fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// With its password, as a flag has it.
pub fn database(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(path) => self::url(path),
        DatabaseUrl::Postgres(url) => url.clone(),
    }
}

/// Long enough for a busy machine; a good run needs a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// `sentby serve` on a free port, ended with the test.
pub struct Server {
    process: Child,
    /// HOST:PORT
    pub address: String,
    pub url: String,
    log: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Server {
    pub fn start(database: &str) -> Self {
        Self::start_with(database, &[])
    }

    /// With more arguments of `serve`.
    pub fn start_with(database: &str, arguments: &[&str]) -> Self {
        Self::start_logging(database, "info", arguments)
    }

    /// The same at another level.
    pub fn start_logging(database: &str, log: &str, arguments: &[&str]) -> Self {
        let mut command = sentby(&["serve", "--listen", "127.0.0.1:0", "--database", database]);
        command.args(arguments);
        Self::logging(command, log)
    }

    /// With so many file descriptors and no more.
    pub fn with_descriptors(database: &str, descriptors: u32) -> Self {
        let mut command = Command::new("sh");
        let limit = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        command.args(["-c", &limit, env!("CARGO_BIN_EXE_sentby"), "serve"]);
        command.args(["--listen", "127.0.0.1:0", "--database", database]);
        Self::of(without_settings(command))
    }

    /// Of a command that ends up in `serve`.
    pub fn of(command: Command) -> Self {
        Self::logging(command, "info")
    }

    fn logging(mut command: Command, log: &str) -> Self {
        let mut process = command
            .args(["--log", log, "--log-format", "json"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut server = Self {
            process,
            address: String::new(),
            url: String::new(),
            log: Arc::default(),
        };
        let lines = Arc::clone(&server.log);
        // in a thread, to the end: a server whose log nobody reads stops at a full pipe
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                eprintln!("{line}");
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (true, Some(address)) =
                    (event["message"] == "serving", event["address"].as_str())
                {
                    let _ = found.send(address.to_owned());
                }
                lines.lock().expect("no panic").push((Instant::now(), line));
            }
        });
        let address = address.recv_timeout(PATIENCE);
        server.address = address.expect("it logs where it serves");
        server.url = format!("http://{}", server.address);
        server
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that it has had, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).expect("a process");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = kib.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib << 10).expect("a number")
    }

    /// All that it has logged.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().expect("no panic");
        let lines = lines.iter().map(|(_, line)| serde_json::from_str(line));
        lines.collect::<Result<_, _>>().expect("JSON lines")
    }

    /// Where probes and metrics are: HOST:PORT
    pub fn ops(&self) -> String {
        let log = self.log();
        let line = log
            .iter()
            .find(|line| line["message"] == "probes and metrics");
        let address = line.and_then(|line| line["address"].as_str());
        address.expect("--ops-listen was given").to_owned()
    }

    /// The same as it wrote it, also what is no JSON.
    pub fn log_lines(&self) -> Vec<String> {
        let lines = self.log.lock().expect("no panic");
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// When it logged lines with these words.
    pub fn logged(&self, words: &str) -> Vec<Instant> {
        let lines = self.log.lock().expect("no panic");
        let those = lines.iter().filter(|(_, line)| line.contains(words));
        those.map(|(at, _)| *at).collect()
    }

    /// It stops to answer; connections stay and can still be made.
    pub fn freeze(&self) {
        signal(self.id(), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.id(), "CONT");
    }

    /// Stops it as a service manager does, with SIGTERM; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        terminate(&mut self.process)
    }
}

/// Sends a process a signal, by its name.
pub fn signal(id: u32, name: &str) {
    // by the shell's own kill: a program of that name is not everywhere
    let kill = format!("kill -{name} {id}");
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.expect("a shell").success());
}

/// Asks a process to end, with SIGTERM; its exit code.
pub fn terminate(process: &mut Child) -> Option<i32> {
    signal(process.id(), "TERM");
    ended(process)
}

/// Waits for the end of a process; its exit code.
pub fn ended(process: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().expect("a child") {
            return status.code();
        }
        assert!(Instant::now() < until, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Server {
    /// A test that failed leaves no server behind.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
