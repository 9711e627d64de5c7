//! Lines of the log. One event is one line, whatever it holds: what could end a line, or steer a
//! terminal, is escaped in every value.
//!
//! Each is told of the call that it is about: its id, its method, and its trace if it is traced.

use super::{call, meters::meters};
use crate::config::LogFormat;
use std::{
    fmt::{self, Write as _},
    io::Write as _,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::Context,
};

pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) ansi: bool,
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => meters().log_errors.increment(1),
            Level::WARN => meters().log_warnings.increment(1),
            _ => {}
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(call) = call::current() {
            fields.inherit("request_id", &call.request_id);
            fields.inherit("method", call.method);
            if let Some(trace_id) = &call.trace_id {
                fields.inherit("trace_id", trace_id);
            }
        }
        let line = match self.format {
            LogFormat::Text => fields.text(*event.metadata().level(), self.ansi),
            LogFormat::Json => fields.json(*event.metadata().level()),
        };
        // in one piece; a log that nobody takes is no reason to stop
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

#[derive(Debug)]
enum Value {
    /// A number or a truth: as it is.
    Plain(String),
    Text(String),
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Plain(text) | Value::Text(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }

    /// What the event tells itself counts.
    fn inherit(&mut self, name: &'static str, value: &str) {
        if self.others.iter().all(|(known, _)| *known != name) {
            self.others.push((name, Value::Text(value.to_owned())));
        }
    }

    fn text(&self, level: Level, ansi: bool) -> String {
        let mut line = String::with_capacity(256);
        let (dim, colour, end) = match (ansi, level) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[34m", "\x1b[0m"),
        };
        let _ = write!(line, "{dim}{}{end} {colour}{level:>5}{end} ", now());
        escape(&self.message, &mut line, false);
        for (name, value) in &self.others {
            let _ = write!(line, " {name}=");
            match value {
                Value::Plain(value) => line.push_str(value),
                Value::Text(value) if is_plain(value) => line.push_str(value),
                Value::Text(value) => quote(value, &mut line),
            }
        }
        line.push('\n');
        line
    }

    fn json(&self, level: Level) -> String {
        let mut line = String::with_capacity(256);
        let _ = write!(
            line,
            "{{\"timestamp\":\"{}\",\"level\":\"{level}\",\"message\":",
            now()
        );
        quote(&self.message, &mut line);
        for (name, value) in &self.others {
            line.push(',');
            quote(name, &mut line);
            line.push(':');
            match value {
                Value::Plain(value) => line.push_str(value),
                Value::Text(value) => quote(value, &mut line),
            }
        }
        line.push_str("}\n");
        line
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        self.put(
            field,
            if value.is_finite() {
                Value::Plain(text)
            } else {
                Value::Text(text)
            },
        );
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
}

fn now() -> String {
    let mut text = String::with_capacity(27);
    // it cannot fail on a string
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !is_unsafe(c) && !matches!(c, '"' | '\\' | '=');
    !text.is_empty() && text.chars().all(is_plain)
}

/// Controls of lines and terminals, and what reorders or hides text: all of them have four
/// hexadecimal digits.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn quote(text: &str, line: &mut String) {
    line.push('"');
    escape(text, line, true);
    line.push('"');
}

/// As JSON wants it, and more.
fn escape(text: &str, line: &mut String, quoted: bool) {
    for c in text.chars() {
        match c {
            '"' | '\\' if quoted => {
                line.push('\\');
                line.push(c);
            }
            c if is_unsafe(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &str, value: &str) -> Fields {
        Fields {
            message: message.into(),
            others: vec![
                ("why", Value::Text(value.into())),
                ("n", Value::Plain("3".into())),
            ],
        }
    }

    #[test]
    fn nothing_ends_a_line_or_steers_a_terminal() {
        let hostile = "a\nb\r\u{1b}[31mc\u{9b}31m\u{2028}\u{202e}\u{85}\0\u{7f}";
        let fields = fields(hostile, hostile);
        for line in [fields.text(Level::INFO, false), fields.json(Level::INFO)] {
            assert_eq!(line.lines().count(), 1);
            let inside = line.trim_end_matches('\n');
            assert!(!inside.chars().any(is_unsafe), "{inside:?}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&fields.json(Level::INFO)).expect("JSON");
        assert_eq!(json["why"], hostile);
        assert_eq!(json["message"], hostile);
        assert_eq!(json["n"], 3);
    }

    #[test]
    fn a_value_cannot_pose_as_another_field() {
        let line = fields("done", "x level=ERROR \"quoted\"").text(Level::INFO, false);
        assert!(
            line.ends_with("INFO done why=\"x level=ERROR \\\"quoted\\\"\" n=3\n"),
            "{line}"
        );
        let line = fields("done", "127.0.0.1:50051").text(Level::INFO, false);
        assert!(
            line.ends_with(" INFO done why=127.0.0.1:50051 n=3\n"),
            "{line}"
        );
    }

    #[test]
    fn what_an_event_tells_itself_counts() {
        let mut fields = fields("done", "this");
        fields.inherit("why", "that");
        fields.inherit("request_id", "r1");
        let line = fields.json(Level::WARN);
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            (json["why"].as_str(), json["request_id"].as_str()),
            (Some("this"), Some("r1"))
        );
    }
}
