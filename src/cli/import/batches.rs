//! Files → batches of records, in a thread of its own: reading blocks.

use super::input::{Input, hint, unreadable};
use crate::audit;
use std::{
    io::{self, Read},
    sync::atomic::Ordering,
};
use tokio::sync::mpsc::Sender;
use tonic::codegen::Bytes;

pub(super) const MAX_RECORDS: usize = 5_000;
/// A record is not longer than this and a little, so that a batch stays far below the 16 MiB
/// that a request may have.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What the reading of the files yields, in order.
#[derive(Debug)]
pub(super) enum Piece {
    Batch(Batch),
    /// The file is read to its end, or as far as it could be.
    End {
        file: usize,
        records: u64,
        problem: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Position in the list of files.
    pub file: usize,
    /// Number of its first record in the file, from 1.
    pub first: u64,
    pub records: Vec<Bytes>,
    /// Bytes of the file (packed, if it is) that were read since the batch before.
    pub progress: u64,
}

/// The other end is closed: nobody wants more.
#[derive(Debug)]
struct Closed;

/// Reads all files. Stops early when nobody listens any more.
pub(super) fn read(inputs: &[Input], sender: &Sender<Piece>) {
    for (file, input) in inputs.iter().enumerate() {
        if read_file(file, input, sender).is_err() {
            return;
        }
    }
}

fn read_file(file: usize, input: &Input, sender: &Sender<Piece>) -> Result<(), Closed> {
    let mut cutter = Cutter::new(file, sender);
    let problem = match input.open() {
        Ok((content, read)) => {
            cutter.read = Some(read);
            cut(content, &mut cutter)?
        }
        Err(error) => Some(unreadable(&error)),
    };
    cutter.flush()?;
    let records = cutter.next - 1;
    let end = Piece::End {
        file,
        records,
        problem,
    };
    sender.blocking_send(end).map_err(|_| Closed)
}

/// Cuts the content into records; the answer is what was wrong with the file.
fn cut(content: Box<dyn Read>, cutter: &mut Cutter<'_>) -> Result<Option<String>, Closed> {
    let mut content = content;
    let mut start = Vec::new();
    if let Err(error) = content.by_ref().take(4).read_to_end(&mut start) {
        return Ok(Some(unreadable(&error)));
    }
    let content = io::Cursor::new(start.clone()).chain(content);
    let mut records = match audit::Reader::new(content) {
        Ok(Ok(records)) => records,
        Ok(Err(unknown)) => {
            return Ok(Some(match hint(&start) {
                Some(hint) => format!("not taken in: {hint}"),
                None => {
                    format!(
                        "not taken in: {unknown}. It reads JSON arrays, pages and lines of audit records, \
                     and CSV with a column such as AuditData: sentby import --help"
                    )
                }
            }));
        }
        Err(error) => return Ok(Some(unreadable(&error))),
    };
    // Microsoft's answer to a failed request is one object too, and no audit record
    let Some(first) = records.next() else {
        return Ok(None);
    };
    let second = records.next();
    if let (Ok(first), None) = (&first, &second)
        && let Some(error) = audit::microsoft_error(first)
    {
        return Ok(Some(format!(
            "holds no audit records but Microsoft's answer to a failed request: {} {}. \
             Repair what it says and fetch again",
            error.code,
            error.message.trim_end_matches('.')
        )));
    }
    for record in [first].into_iter().chain(second).chain(records) {
        match record {
            Ok(record) => cutter.add(record)?,
            Err(error) => {
                return Ok(Some(format!(
                    "cannot be read after record {}: {error}. What was read is taken in; \
                     repair the file and import it again",
                    cutter.next - 1
                )));
            }
        }
    }
    Ok(None)
}

/// Fills batches and hands them on.
struct Cutter<'a> {
    file: usize,
    sender: &'a Sender<Piece>,
    records: Vec<Bytes>,
    bytes: usize,
    /// Number of the next record, from 1.
    next: u64,
    read: Option<std::sync::Arc<std::sync::atomic::AtomicU64>>,
    read_before: u64,
}

impl<'a> Cutter<'a> {
    fn new(file: usize, sender: &'a Sender<Piece>) -> Self {
        Self {
            file,
            sender,
            records: Vec::new(),
            bytes: 0,
            next: 1,
            read: None,
            read_before: 0,
        }
    }

    fn add(&mut self, record: Vec<u8>) -> Result<(), Closed> {
        let full = self.records.len() == MAX_RECORDS || self.bytes + record.len() > MAX_BYTES;
        if full {
            self.flush()?;
        }
        self.bytes += record.len();
        self.records.push(record.into());
        self.next += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if self.records.is_empty() {
            return Ok(());
        }
        let read = self.read.as_ref().map_or(0, |r| r.load(Ordering::Relaxed));
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        let batch = Batch {
            file: self.file,
            first: self.next - records.len() as u64,
            records,
            progress: read - self.read_before,
        };
        self.read_before = read;
        let sent = self.sender.blocking_send(Piece::Batch(batch));
        sent.map_err(|_| Closed)
    }
}
