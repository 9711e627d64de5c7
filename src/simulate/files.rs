//! The feed of one tenant as files, each in one of the envelopes.

use super::{Delivered, Envelope, Feed, Kind, Plan, Random, Truth};
use std::collections::BTreeMap;

/// What somebody exported, or fetched in one go.
#[derive(Clone, Debug)]
pub struct File {
    /// `NNNN-<envelope>.<extension>`: in the order of the names is the order of delivery.
    pub name: String,
    pub envelope: Envelope,
    pub records: u64,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Files {
    feed: Feed,
    random: Random,
    envelopes: Vec<Envelope>,
    deck: Vec<Envelope>,
    /// On average.
    records_per_file: u64,
    number: u64,
    records: BTreeMap<Kind, u64>,
}

/// A short feed is spread over so many, so that it comes in every form.
const FILES: u64 = 48;
const MAX_RECORDS: u64 = 1_000;

impl Files {
    pub(super) fn of(plan: &Plan, feed: Feed) -> Self {
        let messages = plan.messages / plan.tenants.max(1) as u64;
        // most have two events, and some records come twice
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rough estimate
        let noise = plan.noise.max(0.0).ceil() as u64;
        let estimate = messages.saturating_mul(2).saturating_mul(1 + noise);
        Self {
            random: Random(plan.seed ^ u64::from(feed.tenant().as_fields().0)),
            feed,
            envelopes: plan.envelopes.clone(),
            deck: Vec::new(),
            records_per_file: (estimate / FILES).clamp(20, MAX_RECORDS),
            number: 0,
            records: BTreeMap::new(),
        }
    }

    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// See [`Feed::take_truth`].
    pub fn take_truth(&mut self) -> Vec<Truth> {
        self.feed.take_truth()
    }

    /// Records so far, by what they are to the service.
    pub fn records(&self) -> &BTreeMap<Kind, u64> {
        &self.records
    }

    fn envelope(&mut self) -> Envelope {
        if self.deck.is_empty() {
            for &envelope in &self.envelopes {
                self.deck
                    .extend(std::iter::repeat_n(envelope, envelope.share()));
            }
            self.random.shuffle(&mut self.deck);
        }
        self.deck.pop().unwrap_or(Envelope::Blob)
    }
}

impl Iterator for Files {
    type Item = File;

    fn next(&mut self) -> Option<File> {
        let most = self.records_per_file / 2 + self.random.below(self.records_per_file);
        let most = usize::try_from(most.max(1)).unwrap_or(1);
        let records: Vec<Delivered> = self.feed.by_ref().take(most).collect();
        if records.is_empty() {
            return None;
        }
        for record in &records {
            *self.records.entry(record.kind).or_default() += 1;
        }
        let envelope = self.envelope();
        self.number += 1;
        let (name, extension) = (envelope.name(), envelope.extension());
        Some(File {
            name: format!("{:04}-{name}.{extension}", self.number),
            envelope,
            records: records.len() as u64,
            bytes: envelope.wrap(&records, &mut self.random),
        })
    }
}
