//! StreamAttributions: chunks of a range.

use super::{
    Handler,
    convert::attribution,
    coverage_service::RangeFields,
    outbox::{self, Answers, Source, StreamEnds},
};
use crate::{
    app::{
        self,
        stream_attributions::{AnswerStream, Chunk},
    },
    pb::StreamAttributionsResponse,
};

const RESUME: &str = "open a new stream with the resume_token of the last chunk";

pub(super) type Chunks = Answers<StreamAttributionsResponse>;

pub(super) fn chunks(handler: &Handler, answers: AnswerStream, ends: StreamEnds) -> Chunks {
    outbox::answers(handler, answers, ends, RESUME)
}

impl Source for AnswerStream {
    type Answer = StreamAttributionsResponse;

    async fn next(&mut self) -> app::Result<Option<StreamAttributionsResponse>> {
        Ok(AnswerStream::next(self).await?.map(pb_chunk))
    }
}

fn pb_chunk(chunk: Chunk) -> StreamAttributionsResponse {
    let told = chunk.coverage.map(RangeFields::from).unwrap_or_default();
    StreamAttributionsResponse {
        attributions: chunk.answers.into_iter().map(attribution).collect(),
        resume_token: chunk.resume_token,
        revision: chunk.revision.0,
        watch_token: chunk.watch_token,
        complete_since: told.complete_since,
        complete_through: told.complete_through,
        gaps: told.gaps,
        gaps_omitted: told.gaps_omitted,
    }
}
