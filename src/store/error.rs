//! Which database errors mean what to a caller.

use crate::telemetry::meters;
use sqlx::error::ErrorKind;
use std::{future::Future, sync::Arc, time::Duration};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Can be cloned: several callers may have waited for the same read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reached, or no answer in time. Whether a write happened is unknown.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Another writer was in the way; nothing happened. Try again.
    #[error("another writer was in the way")]
    Contended(#[source] Arc<sqlx::Error>),
    /// A stored row cannot be right. It is not answered.
    #[error("the store holds a row that cannot be right: {0}")]
    Corrupt(String),
    #[error("the database URL cannot be used: {0}")]
    Url(String),
    #[error("the schema cannot be migrated")]
    Migrate(#[source] Arc<sqlx::migrate::MigrateError>),
    /// A statement that the database refuses: a bug.
    #[error("the database refused a statement")]
    Refused(#[source] Arc<sqlx::Error>),
}

impl StoreError {
    /// Nobody waits for the answer any longer.
    pub(super) fn timed_out() -> Self {
        Self::Unavailable(Arc::new(sqlx::Error::PoolTimedOut))
    }

    /// For the log. What a database says of a statement that it refuses may quote its values:
    /// of that only the code and the names.
    pub fn cause(&self) -> String {
        let (Self::Refused(source) | Self::Unavailable(source) | Self::Contended(source)) = self
        else {
            let source = std::error::Error::source(self).map(ToString::to_string);
            return source.map_or_else(|| self.to_string(), |source| format!("{self}: {source}"));
        };
        match (self, source.as_database_error()) {
            (Self::Refused(_), Some(refused)) => format!(
                "code {}, table {}, constraint {}",
                refused.code().unwrap_or_default(),
                refused.table().unwrap_or_default(),
                refused.constraint().unwrap_or_default()
            ),
            _ => source.to_string(),
        }
    }

    /// Of a statement that stores what was not there when the writer looked. The tenant's lock
    /// keeps other writers out, so this is somebody who does not take it.
    pub(super) fn of_row_that_is_there(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Contended(Arc::new(error))
            }
            _ => error.into(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = Self::of(error);
        let counted = &meters().store;
        match &error {
            Self::Unavailable(_) => counted.unavailable.increment(1),
            Self::Contended(_) => counted.contended.increment(1),
            Self::Corrupt(_) => counted.corrupt.increment(1),
            Self::Refused(_) | Self::Migrate(_) => counted.refused.increment(1),
            Self::Url(_) => {}
        }
        error
    }
}

impl StoreError {
    fn of(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if is_of_a_pooler(database.message()) {
                    return Self::Url(
                        "there is a pooler (PgBouncer) in front of the database: add \
                         pool=transaction to the URL"
                            .into(),
                    );
                }
                // constraint names are ours; what breaks one is a bug, not the caller's fault
                if database.kind() != ErrorKind::Other {
                    return Self::Refused(Arc::new(error));
                }
                match database.code().as_deref().map(classify) {
                    Some(Class::Contended) => Self::Contended(Arc::new(error)),
                    Some(Class::Unavailable) => Self::Unavailable(Arc::new(error)),
                    _ => Self::Refused(Arc::new(error)),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(Arc::new(error)),
            sqlx::Error::Configuration(why) => Self::Url(why.to_string()),
            sqlx::Error::RowNotFound
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Corrupt(error.to_string()),
            _ => Self::Refused(Arc::new(error)),
        }
    }
}

/// How PgBouncer refuses what a session is told once.
fn is_of_a_pooler(message: &str) -> bool {
    message.starts_with("unsupported startup parameter")
}

/// The connection is gone; a read may be tried on another one.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // ended by an administrator, a crash, or a shutdown
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["57P01", "57P02", "57P03"].contains(&&*code)),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Contended,
    Unavailable,
    Other,
}

/// By SQLSTATE (five characters, Postgres) or result code (a number, SQLite).
fn classify(code: &str) -> Class {
    let digits = code.len();
    if let Ok(code) = code.parse::<u32>()
        && digits < 5
    {
        // the low byte is the primary result code
        return match code & 0xff {
            5 | 6 => Class::Contended,                   // BUSY, LOCKED
            7..=10 | 13 | 14 | 26 => Class::Unavailable, // NOMEM … IOERR, FULL, CANTOPEN, NOTADB
            _ => Class::Other,
        };
    }
    match code {
        "40001" | "40P01" | "55P03" => Class::Contended,
        // cancelled by a time-out; no schema (migrate runs later); read-only standby
        "57014" | "42P01" | "42703" | "25006" | "25P03" => Class::Unavailable,
        _ => match code.get(..2) {
            // connection, authorisation, resources, operator, system; and what Postgres calls errors
            // of its own, which a disk without room makes too
            Some("08" | "28" | "3D" | "53" | "57" | "58" | "XX") => Class::Unavailable,
            _ => Class::Other,
        },
    }
}

/// Runs a write again when another writer was in the way: at most four times, a little later
/// each time. `write` must start over from `begin`.
pub async fn retrying<T, E, F, Fut>(mut write: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: AsContended,
{
    for pause in [5, 20, 80] {
        match write().await {
            Err(error) if error.is_contended() => {
                tracing::debug!("another writer was in the way; trying again");
                // uneven, so that two writers do not meet again
                let jitter = uuid::Uuid::new_v4().as_bytes()[0] % 8;
                tokio::time::sleep(Duration::from_millis(pause + u64::from(jitter))).await;
            }
            done => return done,
        }
    }
    write().await
}

/// An error that may be [`StoreError::Contended`] inside.
pub trait AsContended {
    fn is_contended(&self) -> bool;
}

impl AsContended for StoreError {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases() {
        for (code, class) in [
            ("40001", Class::Contended),
            ("55P03", Class::Contended),
            ("08006", Class::Unavailable), // a number, but no SQLite code
            ("57014", Class::Unavailable),
            ("53300", Class::Unavailable),
            ("XX000", Class::Unavailable),
            ("22021", Class::Other),
            ("5", Class::Contended),
            ("517", Class::Contended), // SQLITE_BUSY_SNAPSHOT
            ("13", Class::Unavailable),
            ("2067", Class::Other),
        ] {
            assert_eq!(classify(code), class, "{code}");
        }
    }
}
