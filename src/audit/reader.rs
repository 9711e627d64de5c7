//! Records of a file of any size.

use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::cut::{Cutter, Step, WINDOW};
use super::form::{self, Form};
use super::utf16::{MAX_PORTION, Utf8Input};
use super::{NotRecognised, csv};

/// The bytes of one record after the other, for [`super::decode_record`]. The form is
/// detected as in [`super::decode_content`]; UTF-16 with a byte order mark is read too.
///
/// Memory does not depend on the size of the file: one record normally, about two of the
/// longest to find the end of a broken one, or to know a page that is larger. One byte more than [`super::MAX_RECORD`] is what a
/// record comes with that is too large.
pub struct Reader<R> {
    input: Utf8Input<R>,
    buffer: Vec<u8>,
    /// What stands before it in the buffer is done with.
    at: usize,
    cutter: AnyCutter,
    failed: bool,
}

enum AnyCutter {
    Json(Cutter),
    Csv(csv::Cutter),
}

impl<R: Read> Reader<R> {
    /// Reads the beginning, to detect the form.
    pub fn new(source: R) -> io::Result<Result<Self, NotRecognised>> {
        let mut reader = Self {
            input: Utf8Input::new(source),
            buffer: Vec::new(),
            at: 0,
            cutter: AnyCutter::Json(Cutter::new()),
            failed: false,
        };
        loop {
            reader.at += form::start(reader.view());
            // a byte order mark may be cut in two
            if reader.view().len() >= form::PREFIX || reader.input.is_ended() {
                break;
            }
            reader.fill(form::PREFIX)?;
        }
        let view = reader.view();
        Ok(
            form::detect(&view[..view.len().min(form::PREFIX)]).map(|(skip, form)| {
                reader.at += skip;
                reader.cutter = match form {
                    Form::Json => AnyCutter::Json(Cutter::new()),
                    Form::Csv(cutter) => AnyCutter::Csv(cutter),
                };
                reader
            }),
        )
    }

    /// How many bytes of the source were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.input.bytes()
    }

    fn view(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Until so many bytes are in view, or to the end.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        // no more than that: a vector that grows by itself doubles
        self.buffer
            .reserve_exact((length + MAX_PORTION).saturating_sub(self.buffer.len()));
        while self.buffer.len() < length && !self.input.is_ended() {
            self.input.read_into(&mut self.buffer)?;
        }
        Ok(())
    }

    fn cut(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let end = self.input.is_ended();
            let view = &self.buffer[self.at..];
            let (bytes, next) = if view.is_empty() {
                if end {
                    return Ok(None);
                }
                (None, 0)
            } else {
                match &mut self.cutter {
                    AnyCutter::Json(cutter) => take(cutter.step::<IgnoredAny>(view, end)),
                    AnyCutter::Csv(cutter) => take(cutter.step(view, end)),
                }
            };
            self.at += next;
            if bytes.is_some() {
                return Ok(bytes);
            }
            if next == 0 && !end {
                let more = 2 * self.view().len();
                self.fill(more.clamp(form::PREFIX, WINDOW))?;
            }
        }
    }
}

/// The record's bytes, and how far to go on. Nothing and nowhere: more is needed.
fn take<T>(step: Step<'_, T>) -> (Option<Vec<u8>>, usize) {
    match step {
        Step::More => (None, 0),
        Step::Skip(length) => (None, length),
        Step::Record { bytes, next, .. } => (Some(bytes.into_owned()), next),
    }
}

/// Ends after the first error.
impl<R: Read> Iterator for Reader<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.cut();
        self.failed = record.is_err();
        record.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one text again and again, so that the file is never in memory as a whole.
    struct Repeated(Vec<u8>);

    impl Read for Repeated {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = out.len().min(self.0.len());
            out[..length].copy_from_slice(&self.0[..length]);
            Ok(length)
        }
    }

    #[test]
    fn memory_does_not_depend_on_the_size() {
        const LENGTH: u64 = 24 << 20;
        for (start, pattern, most) in [
            ("[", "{\"a\":1},", 4 * form::PREFIX),
            ("{}\n", "{\"a\":1}\n", 4 * form::PREFIX),
            (
                "A,AuditData\n",
                "\"x\",\"{\"\"a\"\":1}\"\n",
                4 * form::PREFIX,
            ),
            // the beginning of a page, until it is known as one
            (
                "{\"a\":1,\"value\":[",
                "{\"a\":1},",
                WINDOW + 4 * form::PREFIX,
            ),
            ("[", "x", WINDOW + 4 * form::PREFIX),
            ("[", "{\"a\":\"", WINDOW + 4 * form::PREFIX),
            ("A,AuditData\n", "\"\"\"", WINDOW + 4 * form::PREFIX),
        ] {
            let repeated = Repeated(pattern.repeat(1000).into_bytes()).take(LENGTH);
            let source = start.as_bytes().chain(repeated);
            let mut reader = Reader::new(source)
                .expect("no error")
                .expect("a known form");
            while let Some(record) = reader.next() {
                record.expect("no error");
                let capacity = reader.buffer.capacity();
                assert!(capacity <= most, "{pattern}: {capacity}");
            }
            assert_eq!(reader.bytes_read(), LENGTH + start.len() as u64);
        }
    }
}
