//! What the windows of batches do to the tenant's ledger, within their transaction.

use super::{Result, prepared::Prepared};
use crate::{
    domain::{
        Clock, Intervals, Lag, SendEvent, TimeRange, Timestamp, Window,
        coverage::{Failure, Line, SERVED},
        time::HOUR,
    },
    store::Tx,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Sources that have lines of their own.
const MAX_SOURCES: usize = 100;
/// Where the windows of further ones go.
const OTHER_SOURCES: &str = "(other)";

/// A longer window tells too little of how late its events came.
const LONGEST_TELLING: i64 = 6 * HOUR;

/// A window, and who sent it.
#[derive(Clone, Debug)]
pub(super) struct SentWindow {
    pub(super) source: String,
    pub(super) window: Window,
}

impl SentWindow {
    /// The end of the window, by which its events could be fetched, if that tells how late
    /// they came: a window of an older time is a back-fill.
    fn telling_end(&self, received_at: Timestamp) -> Option<Timestamp> {
        let range = self.window.range;
        let is_short = range.end <= range.start.plus(LONGEST_TELLING);
        let is_new = range.end >= received_at.plus(-SERVED);
        let is_telling = self.window.clock == Clock::ContentCreated && is_short && is_new;
        is_telling.then(|| range.end.min(received_at))
    }
}

/// Measures how late the new events of a batch came.
#[derive(Clone, Copy)]
pub(super) struct Stopwatch(Option<Timestamp>);

impl Stopwatch {
    pub(super) fn of(batch: &Prepared, received_at: Timestamp) -> Self {
        let window = batch.window.as_ref();
        Self(window.and_then(|window| window.telling_end(received_at)))
    }

    pub(super) fn is_running(self) -> bool {
        self.0.is_some()
    }

    pub(super) fn note(self, event: &SendEvent, lag: &mut Lag) {
        if let Some(end) = self.0 {
            lag.add(end.micros().saturating_sub(event.time.micros()));
        }
    }
}

/// Adds what the batches cover, and notes what they could not. Tells whether the ledger has
/// grown.
pub(super) async fn note_windows(
    tx: &mut dyn Tx,
    batches: &[Arc<Prepared>],
    received_at: Timestamp,
) -> Result<bool> {
    let mut lines: BTreeMap<Line, Intervals> = BTreeMap::new();
    let mut failures: HashMap<_, Failure> = HashMap::new();
    for SentWindow { source, window } in batches.iter().filter_map(|b| b.window.as_ref()) {
        for (line, range) in window.adds(source, received_at) {
            lines.entry(line).or_default().add(range);
        }
        if !window.is_complete() {
            let failure = Failure {
                source: source.clone(),
                window: window.clone(),
                received_at,
            };
            failures.insert(failure.id(), failure);
        }
    }
    for failure in failures.values() {
        tx.put_failure(failure).await?;
    }
    let mut has_grown = false;
    for (line, ranges) in lines {
        for range in ranges.iter() {
            has_grown |= cover(tx, line.clone(), range, received_at).await?;
        }
    }
    Ok(has_grown)
}

/// Tells whether that was new.
async fn cover(
    tx: &mut dyn Tx,
    mut line: Line,
    range: TimeRange,
    received_at: Timestamp,
) -> Result<bool> {
    let mut near = tx.covered_near(&line, range).await?;
    if near.is_empty() && !has_place(tx, &line.source).await? {
        line.source = OTHER_SOURCES.into();
        near = tx.covered_near(&line, range).await?;
    }
    let known: Intervals = near.into_iter().collect();
    if known.covers(range) {
        return Ok(false);
    }
    let mut merged = known;
    merged.add(range);
    // all of them touch it, so they are one now
    if let Some(merged) = merged.hull() {
        tx.cover(&line, merged, received_at).await?;
    }
    Ok(true)
}

/// Whether the source has lines, or may still get some.
async fn has_place(tx: &mut dyn Tx, source: &str) -> Result<bool> {
    let limit = u32::try_from(MAX_SOURCES + 1).unwrap_or(u32::MAX);
    let sources = tx.covering_sources(limit).await?;
    Ok(sources.len() < MAX_SOURCES || sources.iter().any(|known| known == source))
}

/// Adds how late new events came.
pub(super) async fn note_lag(tx: &mut dyn Tx, new: &Lag) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut lag = tx.lag().await?;
    lag.merge(new);
    Ok(tx.put_lag(&lag).await?)
}
