//! Who may call what, and on which tenants. No I/O, and no word of gRPC beyond the names of
//! methods: the table of callers is read elsewhere and handed in.
//!
//! | file | |
//! |---|---|
//! | `matrix.rs` | method → who may call it, and how its request names tenants |
//! | `callers.rs` | the callers file: who there is, by which token or certificate |
//! | `token.rs` | tokens, and their hashes: only those are kept |
//! | `caller.rs` | one call: who makes it, by what, and whether that still holds |

mod caller;
mod callers;
mod matrix;
mod token;

pub use caller::{Caller, Denied, Shown, Standing};
pub use callers::{Callers, CallersError, Grant};
pub use matrix::{MATRIX, Named, Role, Rule, Who, rule};
pub use token::{TOKEN_PREFIX, TokenHash, new_token};

use crate::domain::Timestamp;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// What decides about calls.
#[derive(Debug)]
pub enum Access {
    /// Everybody who gets here may do everything: a command on its own database, and a server
    /// for development.
    Everybody,
    /// Those of the callers file, as it is now.
    Listed(watch::Sender<Arc<Callers>>),
}

impl Access {
    pub fn listed(callers: Callers) -> Self {
        Self::Listed(watch::Sender::new(Arc::new(callers)))
    }

    /// From now on those. Calls under way notice.
    pub fn replace(&self, callers: Callers) {
        if let Self::Listed(table) = self {
            table.send_replace(Arc::new(callers));
        }
    }
}

/// Who is at the other end of a connection, as far as the connection tells.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// Of a handshake that was checked.
    pub certificate: Option<Arc<Certificate>>,
}

/// What counts of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its one URI; where it has none, its DNS names. None at all: it names nobody.
    pub names: Vec<String>,
    pub not_after: Timestamp,
}

/// Among the names of certificates. DNS names have no colon.
pub fn is_uri(name: &str) -> bool {
    name.contains(':')
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
