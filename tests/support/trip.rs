//! Where a connection to a Postgres breaks: at a message of who asks it.

/// Messages are counted over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// This one never arrives.
    Before(u64),
    /// This one arrives, and is not answered any more.
    After(u64),
    /// Every COMMIT arrives, and who asked for it never knows.
    Commits,
}

impl Trip {
    pub fn is_at(self, nth: u64, message: &[u8]) -> bool {
        match self {
            Self::Before(trip) | Self::After(trip) => nth == trip,
            // a query of one word
            Self::Commits => message.starts_with(b"Q") && message[5..].starts_with(b"COMMIT"),
        }
    }

    pub fn lets_arrive(self) -> bool {
        !matches!(self, Self::Before(_))
    }
}

/// Cuts what a client sends into the messages of the protocol.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// The first ones have no letter before their length.
    is_begun: bool,
}

/// Asks for TLS. A server without it says so, and the client begins anew.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

impl Messages {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole one.
    #[allow(clippy::should_implement_trait)] // there may be more of them later
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let head = usize::from(self.is_begun);
        let length = self.bytes.get(head..head + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        let length = head + length as usize;
        if self.bytes.len() < length {
            return None;
        }
        let message: Vec<u8> = self.bytes.drain(..length).collect();
        if !self.is_begun {
            self.is_begun = message.get(4..8) != Some(&SSL_REQUEST);
        }
        Some(message)
    }
}
