//! WatchAttributions: where it begins, and the changes on its stream.

use super::{
    Handler,
    convert::{Fields, attribution, guid, revision, timestamp},
    outbox::{self, Answers, Source, StreamEnds},
};
use crate::{
    app::{
        self,
        watch_attributions::{Asked, Chunk, MAX_TENANTS, Place, Start, Told, Watch},
    },
    domain::ChangeKind,
    pb::{self, WatchStart, watch_position},
};
use std::{collections::HashSet, time::Duration};

const RESUME: &str = "open a new watch with the last resume_token of each tenant";

const CHECKPOINT: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

pub(super) type Changes = Answers<pb::WatchAttributionsResponse>;

pub(super) fn changes(handler: &Handler, watch: Watch, ends: StreamEnds) -> Changes {
    outbox::answers(handler, watch, ends, RESUME)
}

impl Source for Watch {
    type Answer = pb::WatchAttributionsResponse;

    async fn next(&mut self) -> app::Result<Option<pb::WatchAttributionsResponse>> {
        Ok(Watch::next(self).await?.map(pb_changes))
    }
}

/// Check `fields` before it is used.
pub(super) fn asked(fields: &mut Fields, request: pb::WatchAttributionsRequest) -> Asked {
    let count = request.positions.len();
    if !(1..=MAX_TENANTS).contains(&count) {
        fields.wrong("positions", format!("must be 1 to {MAX_TENANTS}"));
    }
    let mut seen = HashSet::new();
    let positions = request.positions.into_iter().take(MAX_TENANTS).enumerate();
    let places = positions.map(|(at, position)| {
        let field = format!("positions[{at}].tenant_id");
        let tenant = fields.tenant_id_at(&field, &position.tenant_id);
        if !seen.insert(tenant) {
            fields.wrong(field, "is named twice");
        }
        Place {
            tenant,
            start: start(fields, at, position.start),
            at_least: revision(position.at_least_revision),
        }
    });
    Asked {
        places: places.collect(),
        follow: request.follow,
        checkpoint: checkpoint(fields, request.checkpoint_interval),
    }
}

fn start(fields: &mut Fields, at: usize, start: Option<watch_position::Start>) -> Start {
    match start {
        None => Start::Beginning,
        Some(watch_position::Start::ResumeToken(token)) => Start::Token(token),
        Some(watch_position::Start::From(from)) => match WatchStart::try_from(from) {
            Ok(WatchStart::Unspecified | WatchStart::Beginning) => Start::Beginning,
            Ok(WatchStart::Now) => Start::Now,
            Err(_) => {
                let field = format!("positions[{at}].from");
                fields.wrong(field, "must be BEGINNING or NOW");
                Start::Now
            }
        },
    }
}

fn checkpoint(fields: &mut Fields, interval: Option<prost_types::Duration>) -> Duration {
    let Some(interval) = interval else {
        return CHECKPOINT;
    };
    // prost's own conversion panics at the smallest of all numbers
    let seconds = u64::try_from(interval.seconds).ok();
    let nanos = u32::try_from(interval.nanos).ok();
    let interval = seconds
        .zip(nanos.filter(|nanos| *nanos < 1_000_000_000))
        .map(|(seconds, nanos)| Duration::new(seconds, nanos))
        .filter(|interval| (SHORTEST..=LONGEST).contains(interval));
    fields
        .required("checkpoint_interval", interval, "must be 1 s to 10 min")
        .unwrap_or(CHECKPOINT)
}

fn pb_changes(chunk: Chunk) -> pb::WatchAttributionsResponse {
    pb::WatchAttributionsResponse {
        tenant_id: guid(chunk.tenant.0),
        changes: chunk.changes.into_iter().map(pb_change).collect(),
        after_revision: chunk.after.0,
        revision: chunk.revision.0,
        newest_revision: chunk.newest.0,
        resume_token: chunk.resume_token,
        caught_up: chunk.caught_up,
    }
}

fn pb_change(told: Told) -> pb::AttributionChange {
    pb::AttributionChange {
        kind: pb_kind(told.change.kind).into(),
        revision: told.change.revision.0,
        committed_at: Some(timestamp(told.change.committed_at)),
        message_key: guid(told.change.key.0),
        attribution: told.answer.map(attribution),
    }
}

fn pb_kind(kind: ChangeKind) -> pb::ChangeKind {
    match kind {
        ChangeKind::Created => pb::ChangeKind::Created,
        ChangeKind::Confirmed => pb::ChangeKind::Confirmed,
        ChangeKind::Corrected => pb::ChangeKind::Corrected,
        ChangeKind::Erased => pb::ChangeKind::Erased,
    }
}
