//! One file, or standard input; unpacked if it is a gzip.

use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 256 * 1024;
/// Characters of a source that a server takes.
const MAX_SOURCE: usize = 100;

#[derive(Clone, Debug)]
pub(in crate::cli) struct Input {
    /// As given.
    pub name: String,
    /// Bytes, where it is a file.
    pub size: Option<u64>,
}

impl Input {
    pub fn of(name: &str) -> Self {
        let metadata = std::fs::metadata(name).ok();
        let size = metadata.filter(std::fs::Metadata::is_file).map(|m| m.len());
        Self {
            name: name.to_owned(),
            size: if name == "-" { None } else { size },
        }
    }

    /// How people call it.
    pub fn title(&self) -> &str {
        if self.name == "-" {
            "standard input"
        } else {
            &self.name
        }
    }

    /// For the receipts of its batches: the name without the folder, which is private.
    pub fn source(&self) -> String {
        let name = Path::new(self.title()).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let name = name.chars().filter(|c| !c.is_control());
        "import ".chars().chain(name).take(MAX_SOURCE).collect()
    }

    /// Its content, and a counter of the bytes that were read of it (as they are stored).
    pub fn open(&self) -> io::Result<(Box<dyn Read>, Arc<AtomicU64>)> {
        let raw: Box<dyn Read> = if self.name == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(&self.name)?)
        };
        let count = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: raw,
            count: Arc::clone(&count),
        };
        Ok((unpacked(counted)?, count))
    }
}

/// By content, not by name: exports are renamed more often than repacked. Several gzip
/// members one after the other are one file.
pub(super) fn unpacked(mut raw: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::with_capacity(2);
    raw.by_ref().take(2).read_to_end(&mut magic)?;
    let is_gzip = magic == GZIP;
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(magic).chain(raw));
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// What the first bytes of a file that no reader knows say to the person who gave it.
pub(in crate::cli) fn hint(start: &[u8]) -> Option<&'static str> {
    match start {
        [b'P', b'K', 3, 4, ..] => Some("it is a ZIP or Excel file: unpack it, or save it as CSV"),
        [b'<', ..] => Some("it looks like a web page, maybe one that says why the download failed"),
        _ => None,
    }
}

/// Why a file cannot be read to its end.
pub(in crate::cli) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        // of a gzip
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("is cut off or damaged ({error}): fetch it again")
        }
        _ => format!("cannot be read: {error}"),
    }
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        unpacked(io::Cursor::new(bytes))?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn gzip_is_told_by_its_content() {
        assert_eq!(read(b"[{}]".to_vec()).unwrap(), "[{}]");
        assert_eq!(read(packed("[{}]")).unwrap(), "[{}]");
        let members = [packed("one\n"), packed("two\n")].concat();
        assert_eq!(read(members).unwrap(), "one\ntwo\n");
        assert_eq!(read(vec![]).unwrap(), "");
        assert_eq!(read(b"[".to_vec()).unwrap(), "[");
        let mut cut = packed("a text of some length");
        cut.truncate(cut.len() - 5);
        assert!(read(cut).is_err());
    }

    #[test]
    fn a_source_tells_the_file_and_not_the_folder() {
        let source = |name: &str| Input::of(name).source();
        assert_eq!(source("/home/anna/blob.json"), "import blob.json");
        assert_eq!(source("-"), "import standard input");
        assert_eq!(source("a\n\u{7}b"), "import ab");
        assert_eq!(source(&"\u{fc}".repeat(200)).chars().count(), 100);
    }

    /// A pipe hands out single bytes.
    #[test]
    fn gzip_is_told_from_a_slow_pipe_too() {
        struct Slow(io::Cursor<Vec<u8>>);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let one = buffer.len().min(1);
                self.0.read(&mut buffer[..one])
            }
        }
        let mut text = String::new();
        let slow = Slow(io::Cursor::new(packed("text")));
        unpacked(slow).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }
}
