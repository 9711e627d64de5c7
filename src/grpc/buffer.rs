//! Where the bytes of a batch are gathered.

use bytes::{Bytes, BytesMut};
use memmap2::MmapMut;

/// From this size on a buffer is the system's own. An allocator may keep what is given back to
/// it, glibc's up to 64 MiB in pieces, and batches come in all sizes from all threads.
const LARGE: usize = 1 << 20;

/// Takes as many bytes as a message has.
#[derive(Debug)]
pub(super) enum Buffer {
    Small(BytesMut),
    Large { pages: MmapMut, filled: usize },
}

impl Buffer {
    pub(super) fn new(length: usize) -> Self {
        let pages = (length >= LARGE).then(|| MmapMut::map_anon(length));
        match pages {
            Some(Ok(pages)) => {
                // a thousand fewer faults; a system that has no large pages does without
                #[cfg(target_os = "linux")]
                let _ = pages.advise(memmap2::Advice::HugePage);
                Self::Large { pages, filled: 0 }
            }
            // the system has no room for it apart; the allocator may still have
            Some(Err(_)) | None => Self::Small(BytesMut::with_capacity(length)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.len(),
            Self::Large { filled, .. } => *filled,
        }
    }

    /// No more than it was made for.
    pub(super) fn extend(&mut self, more: &[u8]) {
        match self {
            Self::Small(bytes) => bytes.extend_from_slice(more),
            Self::Large { pages, filled } => {
                pages[*filled..*filled + more.len()].copy_from_slice(more);
                *filled += more.len();
            }
        }
    }

    pub(super) fn freeze(self) -> Bytes {
        match self {
            Self::Small(bytes) => bytes.freeze(),
            Self::Large { pages, filled } => Bytes::from_owner(pages).slice(..filled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for length in [0, 5, LARGE - 1, LARGE, LARGE + 1] {
            let mut buffer = Buffer::new(length);
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for piece in bytes.chunks(70_001) {
                buffer.extend(piece);
            }
            assert_eq!(buffer.len(), length);
            assert!(buffer.freeze() == bytes, "{length}");
        }
    }
}
