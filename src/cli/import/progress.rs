//! How far it is: a bar on a terminal, a line now and then elsewhere. On standard error.

use super::{super::show, input::Input};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

const BETWEEN_LINES: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// Bytes of all files, if that is known.
    total: Option<u64>,
    bytes: u64,
    records: u64,
    last_line: Instant,
}

impl Progress {
    pub fn new(inputs: &[Input]) -> Self {
        let total = inputs.iter().map(|input| input.size).sum::<Option<u64>>();
        Self {
            bar: std::io::stderr().is_terminal().then(|| bar(total)),
            total,
            bytes: 0,
            records: 0,
            last_line: Instant::now(),
        }
    }

    /// Bytes and records that are stored now.
    pub fn advance(&mut self, bytes: u64, records: u64) {
        self.bytes += bytes;
        self.records += records;
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.bytes);
                bar.set_message(show::plural(self.records, "record"));
            }
            None if self.last_line.elapsed() >= BETWEEN_LINES => {
                self.last_line = Instant::now();
                eprintln!("import: {}", self.line());
            }
            None => {}
        }
    }

    /// Something to tell meanwhile.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self) -> String {
        let records = show::plural(self.records, "record");
        let mib = |bytes: u64| show::count(bytes / (1024 * 1024));
        match self.total {
            Some(total) => format!("{records}, {} of {} MiB", mib(self.bytes), mib(total)),
            None => format!("{records}, {} MiB", mib(self.bytes)),
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{wide_bar} {percent:>3}%  {bytes} of {total_bytes}  {msg}  {eta} left",
        None => "{spinner} {bytes}  {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    bar.set_style(style.progress_chars("━━ "));
    bar
}
