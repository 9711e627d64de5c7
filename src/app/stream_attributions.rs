//! StreamAttributions: the same walk as ListAttributions, as chunks that come unasked.
//!
//! Nothing of the store is held between two pages, neither a transaction nor a connection. The
//! next page is read while the chunks of this one are taken, and never more than that one: a
//! reader that stops costs two pages of memory, a reader that leaves at most one statement.

use super::{
    App, Error, Result,
    admission::Overloaded,
    coverage::RangeCoverage,
    list_attributions::{Page, Walk},
    places::Place,
};
use crate::{
    domain::{Answer, Revision},
    store::PageLimit,
    telemetry::call,
};
use std::{sync::Arc, vec};
use tokio::task::JoinHandle;

/// What one statement reads: enough that its own cost is small beside that of its rows.
const PAGE: PageLimit = PageLimit {
    rows: 4_000,
    bytes: 2 << 20,
};
/// A chunk ends with the answer that reaches this many bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Streams of this process at a time: each may hold two pages, however slowly it is read, and
/// all of them together no more than 100 MiB.
pub const MAX_STREAMS: usize = 16;

#[derive(Debug)]
pub struct Chunk {
    pub answers: Vec<Answer>,
    /// Of the place behind the chunk. Empty: this was the last one.
    pub resume_token: String,
    /// Of the first page of the walk, also where it was resumed.
    pub revision: Revision,
    pub watch_token: String,
    /// What may be missing: with the first chunk of a walk.
    pub coverage: Option<RangeCoverage>,
}

/// A walk under way.
#[derive(Debug)]
pub struct AnswerStream {
    app: Arc<App>,
    walk: Arc<Walk>,
    chunk_size: usize,
    /// The rest of it, and its page without answers.
    answers: vec::IntoIter<Answer>,
    page: Page,
    /// Being read.
    next: Option<JoinHandle<Result<Page>>>,
    is_done: bool,
    _place: Place,
}

impl App {
    /// Begins at the token, or at the start where it is empty. What is wrong with the call
    /// shows here and not in the stream.
    pub async fn stream_attributions(
        self: Arc<Self>,
        walk: Walk,
        chunk_size: u32,
        token: &str,
    ) -> Result<AnswerStream> {
        let place = self.streams.enter(Some(walk.tenant));
        let place = place.map_err(|Overloaded| Error::TooManyStreams { max: MAX_STREAMS })?;
        let page = self.page(&walk, PAGE, token).await?;
        let mut stream = AnswerStream {
            app: self,
            walk: Arc::new(walk),
            chunk_size: chunk_size as usize,
            answers: Vec::new().into_iter(),
            page,
            next: None,
            is_done: false,
            _place: place,
        };
        stream.turn();
        Ok(stream)
    }
}

impl AnswerStream {
    /// The next chunk; `None` after the last one, which an empty range has too.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        if self.is_done {
            return Ok(None);
        }
        if let (true, Some(next)) = (self.answers.as_slice().is_empty(), self.next.as_mut()) {
            let page = next.await;
            self.next = None;
            self.page = page.unwrap_or_else(|failed| Err(Error::bug(&failed)))?;
            self.turn();
        }
        let answers = self.take();
        let resume_token = match answers.last() {
            Some(last) if !self.answers.as_slice().is_empty() => {
                self.app.token_behind(&self.page, last).await?
            }
            _ => self.page.next_token.clone(),
        };
        self.is_done = resume_token.is_empty();
        Ok(Some(Chunk {
            answers,
            resume_token,
            revision: self.page.revision,
            watch_token: self.page.watch_token.clone(),
            coverage: self.page.coverage.take(),
        }))
    }

    /// Starts with a page, and with reading the one behind it. That runs in a task of its own,
    /// which nobody cuts off half-way.
    fn turn(&mut self) {
        self.answers = std::mem::take(&mut self.page.answers).into_iter();
        let token = self.page.next_token.clone();
        if !token.is_empty() {
            let (app, walk) = (Arc::clone(&self.app), Arc::clone(&self.walk));
            let read = async move { app.page(&walk, PAGE, &token).await };
            self.next = Some(call::spawn(read));
        }
    }

    fn take(&mut self) -> Vec<Answer> {
        let (mut answers, mut bytes) = (Vec::with_capacity(self.chunk_size), 0);
        while answers.len() < self.chunk_size && bytes < CHUNK_BYTES {
            let Some(answer) = self.answers.next() else {
                break;
            };
            bytes += answer.size();
            answers.push(answer);
        }
        answers
    }
}
