//! A real browser without a screen, driven by its DevTools protocol over two pipes.

use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Browser {
    process: Child,
    input: ChildStdin,
    answers: Receiver<Value>,
    session: String,
    number: u64,
    /// What has happened and nobody has asked about yet.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// `None`, said aloud, where there is no Chromium; that is a failure under `tests/run`.
    pub fn start() -> Option<Self> {
        let program = std::env::var("SENTBY_TEST_CHROMIUM").unwrap_or_default();
        if program.is_empty() {
            assert!(
                std::env::var_os("REQUIRE_CHROMIUM").is_none(),
                "SENTBY_TEST_CHROMIUM names no Chromium: start the suite with tests/run"
            );
            eprintln!("SKIPPED: no SENTBY_TEST_CHROMIUM; tests/run finds a Chromium");
            return None;
        }
        let profile = tempfile::tempdir().expect("a folder");
        // the protocol is spoken on descriptors 3 and 4
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 1>&2", &program])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync"])
            .args([
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = process.stdin.take().expect("piped");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let (told, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while let Ok(1..) = output.read_until(0, &mut message) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("JSON");
                message.clear();
                if told.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            process,
            input,
            answers,
            session: String::new(),
            number: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).expect("JSON");
        bytes.push(0);
        self.input.write_all(&bytes).expect("it reads");
        loop {
            let answer = self.next(method);
            if answer["id"] != self.number {
                self.events.push(answer);
                continue;
            }
            assert_eq!(answer["error"], Value::Null, "{method}");
            return answer["result"].clone();
        }
    }

    fn next(&mut self, waiting_for: &str) -> Value {
        let next = self.answers.recv_timeout(PATIENCE);
        next.unwrap_or_else(|error| panic!("the browser does not answer {waiting_for}: {error}"))
    }

    /// Opens a file, and waits until it is loaded.
    pub fn open(&mut self, path: &Path) {
        let url = format!("file://{}", path.display());
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        self.eval("1"); // what has happened before is told before, and is of another page
        self.events.retain(|event| !is_loaded(event));
        self.call("Page.navigate", json!({"url": url}));
        loop {
            if let Some(at) = self.events.iter().position(is_loaded) {
                self.events.remove(at);
                return;
            }
            let event = self.next("Page.loadEventFired");
            self.events.push(event);
        }
    }

    /// A window of this width, `light` or `dark`, for a `screen` or for `print`.
    pub fn look(&mut self, width: u32, scheme: &str, media: &str) {
        let window = json!({"width": width, "height": 900, "deviceScaleFactor": 1,
            "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", window);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = json!({"media": media, "features": features});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// What an expression is, as JSON.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    pub fn press_tab(&mut self) {
        for kind in ["rawKeyDown", "keyUp"] {
            let key = json!({"type": kind, "key": "Tab", "code": "Tab",
                "windowsVirtualKeyCode": 9, "nativeVirtualKeyCode": 9});
            self.call("Input.dispatchKeyEvent", key);
        }
    }

    /// All that the page has complained of, and all that it has asked the network for but files.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("1"); // what has happened before is told before
        let of = |event: &Value| {
            let parameters = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" | "Log.entryAdded" => Some(parameters.to_string()),
                "Runtime.consoleAPICalled" => Some(parameters["args"].to_string()),
                "Network.requestWillBeSent" => {
                    let url = parameters["request"]["url"].as_str().unwrap_or_default();
                    (!url.starts_with("file://") || !url.ends_with(".html")).then(|| url.to_owned())
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(of).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
