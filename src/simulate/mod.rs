//! A feed of audit records as Microsoft would deliver it, and the truth about it.
//!
//! A made-up tenant has people, shared mailboxes and messages; of each message one of the
//! [`Story`]s is told. The story says what the log holds about it, and what is true. The
//! truth is no result of any rule of this service: this room uses none of the others.
//!
//! | | where |
//! |---|---|
//! | the words: how much of what, and how it is told | [`Plan`], [`Story`] |
//! | who plays | `cast` |
//! | what a native record looks like | [`Scribe`], [`Record`], `noise` |
//! | what happened, and what is true of it | `stories`, [`Truth`] |
//! | late, repeated, out of order | [`Feed`] |
//! | every form that records come in | [`Envelope`], [`Files`] |
//! | a directory with all of it | [`write()`] |
//!
//! The same plan gives the same bytes, on every machine.

mod cast;
mod envelope;
mod feed;
mod files;
mod moment;
mod noise;
mod output;
mod random;
mod record;
mod scribe;
mod stories;
mod story;
#[cfg(test)]
mod tests;
pub mod truth;

pub use cast::Account;
pub use envelope::Envelope;
pub use feed::{Delivered, Feed, Kind};
pub use files::{File, Files};
pub use moment::Moment;
pub use output::{Summary, TenantSummary, write};
pub use random::Random;
pub use record::Record;
pub use scribe::{Mail, Scribe};
pub use story::Story;
pub use truth::Truth;

/// How much of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub seed: u64,
    /// Of all tenants together.
    pub messages: u64,
    /// 1 or more.
    pub tenants: usize,
    pub start: Moment,
    /// Over so many days the messages are spread evenly. What arrives between two records
    /// follows from it: at 3 records a second, a copy that comes 90 minutes later comes
    /// 16,000 records later.
    pub days: u32,
    /// Of each tenant; 2 or more. Some with a history of their own come on top.
    pub agents: usize,
    /// Of each tenant; 2 or more. As above.
    pub shared: usize,
    /// Records of other operations for each send event. 1.5 makes a feed of 40 % send
    /// events; 20 to 100 is what a real tenant has.
    pub noise: f64,
    /// Only these are told, each as often as it weighs among them.
    pub stories: Vec<Story>,
    /// Files are in one of these forms; blobs most often.
    pub envelopes: Vec<Envelope>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            messages: 1_000,
            tenants: 1,
            start: Moment::from_seconds(1_772_409_600), // Monday, 2026-03-02
            days: 14,
            agents: 12,
            shared: 3,
            noise: 3.0,
            stories: Story::ALL.to_vec(),
            envelopes: Envelope::ALL.to_vec(),
        }
    }
}

impl Plan {
    /// The log of each tenant.
    pub fn feeds(&self) -> impl Iterator<Item = Feed> {
        (0..self.tenants).map(|tenant| Feed::of(self, tenant))
    }

    /// The same, as files of the plan's envelopes.
    pub fn files(&self) -> impl Iterator<Item = Files> {
        self.feeds().map(|feed| Files::of(self, feed))
    }

    fn span_ms(&self) -> i64 {
        i64::from(self.days.max(1)) * feed::DAY
    }
}
