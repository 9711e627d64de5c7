//! What a server needs of its file. Nothing is changed, and no file is made.

use crate::{
    domain::Check,
    store::{
        examine::{deployment_key, schema},
        queries,
        sql::Engine as _,
    },
};
use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, query_scalar, raw_sql,
    sqlite::SqliteConnectOptions,
};
use std::{path::Path, time::Duration};

/// Larger ones are not read from end to end.
const READ_WHOLE: u64 = 256 << 20;

pub(in crate::store) async fn examine(path: &Path, key: Option<[u8; 32]>) -> Vec<Check> {
    let shown = path.display();
    let size = match std::fs::metadata(path) {
        Ok(file) => file.len(),
        Err(_) => {
            let says = format!("{shown} is not there: the first command makes it");
            return vec![Check::ok("database", says)];
        }
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5));
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(error) => {
            let repair = format!("ls -l '{shown}': this user has to read and write it");
            let says = format!("{shown} cannot be opened: {error}");
            return vec![Check::error("database", says, repair)];
        }
    };
    let mut checks = vec![Check::ok(
        "database",
        format!("{shown}, {} MiB", size >> 20),
    )];
    let examined = async {
        checks.push(whole(&mut connection, size).await?);
        let tables: i64 = query_scalar(Sqlite::HAS_SCHEMA)
            .fetch_one(&mut connection)
            .await?;
        let found: Option<i64> = match tables {
            0 => None,
            _ => {
                query_scalar(queries::SCHEMA_VERSION)
                    .fetch_one(&mut connection)
                    .await?
            }
        };
        checks.push(schema(found, "", true));
        if found.is_some() {
            let stored: Option<Vec<u8>> = query_scalar(queries::DEPLOYMENT_KEY)
                .fetch_optional(&mut connection)
                .await?;
            checks.push(deployment_key(stored.as_deref(), key));
            checks.push(can_write(&mut connection, path).await);
        }
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = examined.await {
        let says = format!("{shown} is damaged, or no database: {error}");
        let repair = format!(
            "restore it from a backup, or save what can be read: sqlite3 '{shown}' .recover"
        );
        checks.push(Check::error("examination", says, repair));
    }
    let _ = connection.close().await;
    checks
}

async fn whole(connection: &mut SqliteConnection, size: u64) -> Result<Check, sqlx::Error> {
    const NAME: &str = "integrity";
    if size > READ_WHOLE {
        return Ok(Check::ok(
            NAME,
            "not read from end to end: it is large (PRAGMA quick_check)",
        ));
    }
    let found: String = query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await?;
    Ok(match found.as_str() {
        "ok" => Check::ok(NAME, "every page can be read"),
        _ => Check::error(
            NAME,
            format!("it is damaged: {found}"),
            "restore it from a backup",
        ),
    })
}

/// Really takes the lock of a write.
async fn can_write(connection: &mut SqliteConnection, path: &Path) -> Check {
    const NAME: &str = "write";
    let written = raw_sql(
        "BEGIN IMMEDIATE; INSERT INTO deployment_key (key_id, secret, created_at) \
         VALUES (-1, x'00', 0); ROLLBACK",
    );
    match written.execute(connection).await {
        Ok(_) => Check::ok(NAME, "a row was written, and rolled back"),
        Err(error) => Check::error(
            NAME,
            format!("a row cannot be written: {error}"),
            format!(
                "chown it to this user, with its folder: ls -l '{}'",
                path.display()
            ),
        ),
    }
}
