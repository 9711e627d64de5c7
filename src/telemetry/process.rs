//! What `/proc` tells of the process. Elsewhere than on Linux there is nothing to read, and
//! these stay away.

use super::meters::{absolute, gauge, on_render};
use std::fs;

/// Clock ticks of a second in `/proc`: the same on all Linux machines of today.
const TICKS: f64 = 100.0;
const PAGE: f64 = 4_096.0;

pub(super) fn sampled() {
    if fs::read_to_string("/proc/self/stat").is_err() {
        return;
    }
    let cpu = absolute("process_cpu_seconds_total");
    let memory = gauge("process_resident_memory_bytes", &[]);
    let (open, most) = (
        gauge("process_open_fds", &[]),
        gauge("process_max_fds", &[]),
    );
    if let Some(started) = started() {
        gauge("process_start_time_seconds", &[]).set(started);
    }
    on_render(move || {
        if let Some(ticks) = stat().map(|stat| stat.user + stat.system) {
            cpu.absolute((ticks / TICKS) as u64);
        }
        if let Some(pages) = word("/proc/self/statm", 1) {
            memory.set(pages * PAGE);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            open.set(files.count() as f64);
        }
        if let Some(limit) = max_files() {
            most.set(limit);
        }
    });
}

struct Stat {
    user: f64,
    system: f64,
    /// Ticks since the machine started.
    started: f64,
}

fn stat() -> Option<Stat> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // the name of the program, in parentheses, may hold anything
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Stat {
        user: field(11)?,
        system: field(12)?,
        started: field(19)?,
    })
}

fn started() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let boot = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + stat()?.started / TICKS)
}

fn word(path: &str, at: usize) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().nth(at)?.parse().ok()
}

fn max_files() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
