//! What holds for any bytes: a body for each target. The fuzzers call them with what they find, and
//! `tests/corpora` with all that was found, on every run of the suite.

pub mod cached;
pub mod callers;
#[path = "../../tests/support/config.rs"]
pub mod config;
pub mod content;
pub mod evidence;
pub mod grpc;
pub mod merge;
pub mod message_id;
#[path = "../../tests/support/messages.rs"]
pub mod messages;
pub mod setup;
pub mod story;
pub mod token;
pub mod wrap;

/// Panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus too.
pub const TARGETS: &[(&str, Target)] = &[
    ("native", content::native),
    ("search", content::search),
    ("csv", content::csv),
    ("graph", content::graph),
    ("siem", content::siem),
    ("pages", content::pages),
    ("setup", setup::holds),
    ("message_id", message_id::holds),
    ("callers", callers::holds),
    ("evidence", evidence::holds),
    ("cached", cached::holds),
    ("token", token::holds),
    ("merge", merge::holds),
    ("grpc", grpc::holds),
];
