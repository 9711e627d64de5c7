//! StreamAttributions: chunks as fast as the caller takes them.
//!
//! A chunk is made when the connection asks for it, so a caller that does not read is not read
//! for either, but for the page that is read ahead.

use super::{
    Handler,
    convert::attribution,
    coverage_service::RangeFields,
    status::{from_error, stopping},
};
use crate::{
    app::stream_attributions::{AnswerStream, Chunk},
    pb::StreamAttributionsResponse,
};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::Status;

const RESUME: &str = "open a new stream with the resume_token of the last chunk";

pub(super) type Chunks = BoxStream<'static, Result<StreamAttributionsResponse, Status>>;

/// Ends with the walk, its first error, or the stop of the server.
pub(super) fn chunks(handler: Handler, answers: AnswerStream) -> Chunks {
    stream::unfold(Some((handler, answers)), |open| async move {
        let (handler, mut answers) = open?;
        let chunk = tokio::select! {
            biased;
            () = handler.stopping.cancelled() => Err(stopping(RESUME)),
            chunk = answers.next() => chunk.map_err(from_error),
        };
        match chunk.transpose()? {
            Ok(chunk) => Some((Ok(pb_chunk(chunk)), Some((handler, answers)))),
            Err(status) => Some((Err(status), None)),
        }
    })
    .boxed()
}

fn pb_chunk(chunk: Chunk) -> StreamAttributionsResponse {
    let told = chunk.coverage.map(RangeFields::from).unwrap_or_default();
    StreamAttributionsResponse {
        attributions: chunk.answers.into_iter().map(attribution).collect(),
        resume_token: chunk.resume_token,
        revision: chunk.revision.0,
        complete_since: told.complete_since,
        complete_through: told.complete_through,
        gaps: told.gaps,
        gaps_omitted: told.gaps_omitted,
    }
}
