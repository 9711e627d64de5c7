//! Applying migrations while others are at work on the database.
//!
//! One `migrate` at a time, by the lock that sqlx takes too, so that older programs wait. It is
//! asked for again and again, never waited for: whoever waits has a snapshot, and
//! `CREATE INDEX CONCURRENTLY` waits for all snapshots.
//!
//! A statement that changes a table waits for everybody who uses it, and all who come later wait
//! behind it. So it waits two seconds at most; then it lets them pass and tries again.

use super::walls;
use crate::store::{Result, StoreError};
use sqlx::{
    ConnectOptions as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
    query_scalar,
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// No limit of time for a statement: an index of a large table takes as long as it takes.
const SESSION: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("timezone", "UTC"),
];

/// Between two attempts to get the lock of migrations.
const LOCK_AGAIN: Duration = Duration::from_millis(50);
/// Between two attempts to get the lock of a table: long enough for those who were held up.
const TABLE_AGAIN: Duration = Duration::from_secs(1);
/// After so many it is somebody's long transaction that has to end first.
const ATTEMPTS: u32 = 20;

pub(super) async fn migrate(options: &PgConnectOptions, mut migrator: Migrator) -> Result<()> {
    let mut connection = options.clone().options(SESSION).connect().await?;
    lock(&mut connection).await?;
    migrator.set_locking(false);
    let mut attempt = 1;
    loop {
        let done = match migrator.run_direct(None, &mut connection, false).await {
            Ok(()) => walls::raise(&mut connection, None)
                .await
                .map_err(MigrateError::from),
            Err(error) => Err(error),
        };
        match done {
            // the session ends, and with it the lock
            Ok(()) => return Ok(()),
            Err(error) if is_in_the_way(&error) && attempt < ATTEMPTS => {
                tracing::warn!(
                    attempt,
                    "somebody uses a table that has to be changed: they go first"
                );
                attempt += 1;
                sleep(TABLE_AGAIN).await;
            }
            Err(error) => return Err(StoreError::Migrate(Arc::new(error))),
        }
    }
}

async fn lock(connection: &mut PgConnection) -> Result<()> {
    let database: String = query_scalar("SELECT current_database()")
        .fetch_one(&mut *connection)
        .await?;
    let mut waits = false;
    loop {
        let is_ours: bool = query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock_id(&database))
            .fetch_one(&mut *connection)
            .await?;
        if is_ours {
            return Ok(());
        }
        if !std::mem::replace(&mut waits, true) {
            tracing::warn!("another migrate is at work on this database: waiting for it");
        }
        sleep(LOCK_AGAIN).await;
    }
}

/// As sqlx numbers it.
fn lock_id(database: &str) -> i64 {
    let mut crc = flate2::Crc::new();
    crc.update(database.as_bytes());
    0x3d32_ad9e * i64::from(crc.sum())
}

/// A lock that did not come in time, or two that waited for each other.
fn is_in_the_way(error: &MigrateError) -> bool {
    let (MigrateError::ExecuteMigration(error, _) | MigrateError::Execute(error)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["55P03", "40P01"].contains(&&*code))
}
