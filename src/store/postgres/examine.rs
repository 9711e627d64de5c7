//! What a server needs of its Postgres. Nothing is changed: what is written is rolled back.

use super::{
    BEGIN_SHARED, HINTS, LOOKUPS, READERS, WRITERS,
    url::{self, PostgresUrl},
};
use crate::{
    domain::Check,
    store::{
        StoreError,
        examine::{clock, deployment_key, schema},
        queries,
        sql::Engine as _,
    },
};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, Postgres,
    postgres::{PgConnectOptions, PgSslMode},
    query, query_as, query_scalar, raw_sql,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};
use tokio::time::timeout;

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sessions of one server: its pools, and the one that asks whether the database is there.
const SESSIONS: u32 = READERS + WRITERS + LOOKUPS + HINTS + 1;

pub(in crate::store) async fn examine(url: &str, shown: &str, key: Option<[u8; 32]>) -> Vec<Check> {
    let PostgresUrl { options, is_shared } = match url::parse(url) {
        Ok(parsed) => parsed,
        Err(error) => return vec![unreachable(&error.to_string())],
    };
    let since = Instant::now();
    let mut connection = match timeout(PATIENCE, options.clone().connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return vec![unreachable(&words(error))],
        Err(_) => return vec![unreachable("no answer in 5 s")],
    };
    let took = since.elapsed().as_millis();
    let mut checks = vec![Check::ok(
        "database",
        format!("{shown} answers in {took} ms"),
    )];
    let examined = async {
        let settings = settings(&mut connection).await?;
        checks.push(version(&settings));
        checks.push(encryption(&mut connection, &options).await?);
        checks.extend(of_settings(&settings, is_shared));
        checks.push(connections(&mut connection, &settings).await?);
        checks.extend(text(&mut connection, &settings).await?);
        checks.push(their_clock(&mut connection).await?);
        let found = found_schema(&mut connection).await?;
        checks.push(schema(found, shown, false));
        if found.is_some() {
            checks.push(rights(&mut connection).await?);
            checks.push(can_write(&mut connection).await?);
            let stored: Option<Vec<u8>> = query_scalar(queries::DEPLOYMENT_KEY)
                .fetch_optional(&mut connection)
                .await?;
            checks.push(deployment_key(stored.as_deref(), key));
        }
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = examined.await {
        let says = format!("it could not be examined to the end: {}", words(error));
        let repair = "see its log, and repair what is told above first";
        checks.push(Check::error("examination", says, repair));
    }
    let _ = connection.close().await;
    checks
}

/// Without the URL, which may hold a password.
fn words(error: sqlx::Error) -> String {
    let database = error
        .as_database_error()
        .map(|error| error.message().to_owned());
    let plain = error.to_string();
    match (StoreError::from(error), database) {
        (StoreError::Url(why), _) => why,
        (_, Some(message)) => message,
        (_, None) => plain,
    }
}

fn unreachable(why: &str) -> Check {
    let has = |part: &str| why.to_lowercase().contains(part);
    let repair = if has("pool=transaction") {
        "add pool=transaction to the URL (docs/operations.md, PgBouncer)"
    } else if has("refused") || has("no answer") {
        "start it, or correct host and port: pg_isready -h HOST -p PORT"
    } else if has("password") || has("authentication") || has("role") {
        "correct user and password, or let the user in: CREATE ROLE sentby LOGIN PASSWORD '…'; \
         and pg_hba.conf"
    } else if has("does not exist") {
        "createdb --owner sentby --encoding UTF8 --template template0 NAME"
    } else if has("certificate") || has("tls") || has("ssl") {
        "name the authority of its certificate: ?sslmode=verify-full&sslrootcert=FILE"
    } else {
        "correct --database, or start it: pg_isready -h HOST -p PORT"
    };
    Check::error("database", format!("is not reached: {why}"), repair)
}

type Settings = HashMap<String, String>;

/// As a session has them that says nothing.
async fn settings(connection: &mut PgConnection) -> Result<Settings, sqlx::Error> {
    let rows: Vec<(String, String)> = query_as("SELECT name, setting FROM pg_settings")
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

fn of<'a>(settings: &'a Settings, name: &str) -> &'a str {
    settings.get(name).map_or("", String::as_str)
}

fn version(settings: &Settings) -> Check {
    const NAME: &str = "server-version";
    let number: u32 = of(settings, "server_version_num").parse().unwrap_or(0);
    let version = of(settings, "server_version");
    match number {
        150_000.. => Check::ok(NAME, format!("PostgreSQL {version}")),
        _ => Check::error(
            NAME,
            format!("PostgreSQL {version} is too old"),
            "upgrade it to 15 or newer (pg_upgrade)",
        ),
    }
}

async fn encryption(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<Check, sqlx::Error> {
    const NAME: &str = "database-encryption";
    const REPAIR: &str = "add ?sslmode=verify-full&sslrootcert=FILE to the URL";
    let is_encrypted: Option<bool> =
        query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .fetch_optional(connection)
            .await?;
    let is_encrypted = is_encrypted == Some(true);
    let host = options.get_host();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.is_ok_and(|address| address.is_loopback());
    let is_proven = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    Ok(if is_local {
        let how = if is_encrypted {
            "with TLS"
        } else {
            "without TLS"
        };
        Check::ok(NAME, format!("{how}, on this machine"))
    } else if is_proven {
        Check::ok(
            NAME,
            "TLS, and its certificate is of this host (sslmode=verify-full)",
        )
    } else if is_encrypted {
        let says =
            "TLS, but whoever is on the way could be the server (sslmode is not verify-full)";
        Check::warning(NAME, says, REPAIR)
    } else {
        Check::warning(
            NAME,
            "no TLS: passwords and data can be read on the way",
            REPAIR,
        )
    })
}

fn of_settings(settings: &Settings, is_shared: bool) -> Vec<Check> {
    const ALTER: &str = "; SELECT pg_reload_conf()";
    let mut checks = Vec::new();
    let off: Vec<&str> = ["fsync", "full_page_writes"]
        .into_iter()
        .filter(|name| of(settings, name) != "on")
        .collect();
    checks.push(match off[..] {
        [] => Check::ok("durability", "what is acknowledged outlives a crash"),
        [first, ..] => Check::error(
            "durability",
            format!(
                "{} off: a crash can destroy the database",
                off.join(" and ")
            ),
            format!("ALTER SYSTEM SET {first} = on{ALTER}"),
        ),
    });
    if of(settings, "synchronous_commit") == "off" {
        checks.push(Check::warning(
            "synchronous-commit",
            "is off: writes of sentby turn it on for themselves, others may be lost in a crash",
            format!("ALTER SYSTEM SET synchronous_commit = on{ALTER}"),
        ));
    }
    checks.push(match of(settings, "data_checksums") {
        "on" => Check::ok("data-checksums", "are on"),
        _ => Check::warning(
            "data-checksums",
            "are off: a page that the disk has changed is taken for right",
            "stop the server, then pg_checksums --enable -D DIRECTORY",
        ),
    });
    checks.push(match of(settings, "wal_compression") {
        "off" => Check::ok(
            "wal-compression",
            "is off; with tens of millions of messages lz4 takes a third off the log: ALTER \
             SYSTEM SET wal_compression = lz4",
        ),
        how => Check::ok("wal-compression", how),
    });
    if is_shared {
        checks.push(pooler(settings));
    }
    checks
}

/// Where sessions are shared, the role has to bring along what reads are told otherwise.
fn pooler(settings: &Settings) -> Check {
    const NAME: &str = "pooler";
    let missing: Vec<&str> = [
        (
            of(settings, "statement_timeout") == "0",
            "statement_timeout = '30s'",
        ),
        (of(settings, "jit") == "on", "jit = off"),
    ]
    .into_iter()
    .filter_map(|(is_missing, setting)| is_missing.then_some(setting))
    .collect();
    if missing.is_empty() {
        return Check::ok(
            NAME,
            "sessions are shared, and the role brings along what reads need",
        );
    }
    let alter = missing
        .iter()
        .map(|setting| format!("ALTER ROLE sentby SET {setting}"));
    Check::warning(
        NAME,
        "sessions are shared, and the role does not bring along what reads need",
        alter.collect::<Vec<_>>().join("; "),
    )
}

async fn connections(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<Check, sqlx::Error> {
    const NAME: &str = "connections";
    let number = |name: &str| of(settings, name).parse::<u32>().unwrap_or(0);
    let reserved = number("superuser_reserved_connections") + number("reserved_connections");
    let mut room = number("max_connections").saturating_sub(reserved);
    let of_role: i32 =
        query_scalar("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user")
            .fetch_one(connection)
            .await?;
    if let Ok(limit) = u32::try_from(of_role) {
        room = room.min(limit);
    }
    let says = format!("room for {room}; a server opens up to {SESSIONS}");
    let repair = "ALTER SYSTEM SET max_connections = 200, and restart it; or PgBouncer";
    Ok(match room / SESSIONS {
        0 => Check::error(NAME, format!("{says}: too few for one"), repair),
        1 => Check::warning(
            NAME,
            format!("{says}: too few for two, as while one replaces another"),
            repair,
        ),
        servers => Check::ok(NAME, format!("{says}: enough for {servers} servers")),
    })
}

async fn text(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<Vec<Check>, sqlx::Error> {
    let encoding = match of(settings, "server_encoding") {
        "UTF8" => Check::ok("encoding", "UTF8"),
        other => Check::error(
            "encoding",
            format!("{other} cannot hold every name"),
            "createdb --owner sentby --encoding UTF8 --template template0 NAME",
        ),
    };
    let (name, kept, now): (String, Option<String>, Option<String>) = query_as(
        "SELECT datcollate, datcollversion, pg_database_collation_actual_version(oid) \
         FROM pg_database WHERE datname = current_database()",
    )
    .fetch_one(connection)
    .await?;
    let collation = match (kept, now) {
        (Some(kept), Some(now)) if kept != now => Check::warning(
            "collation",
            format!("{name} was version {kept} when indexes were made, and is {now} now"),
            "REINDEX DATABASE; ALTER DATABASE … REFRESH COLLATION VERSION",
        ),
        _ => Check::ok(
            "collation",
            format!("{name}; keys are compared by their bytes"),
        ),
    };
    Ok(vec![encoding, collation])
}

async fn their_clock(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let before = micros();
    let theirs: i64 =
        query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .fetch_one(connection)
            .await?;
    let ours = before + (micros() - before) / 2;
    Ok(clock(
        "database-clock",
        "the database's clock",
        theirs - ours,
    ))
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

async fn found_schema(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let tables: i64 = query_scalar(Postgres::HAS_SCHEMA)
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 {
        return Ok(None);
    }
    query_scalar(queries::SCHEMA_VERSION)
        .fetch_one(connection)
        .await
}

/// Of all our tables.
async fn rights(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    const NAME: &str = "rights";
    let (role, is_superuser): (String, bool) = query_as(
        "SELECT current_user::text, rolsuper FROM pg_roles \
         WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    let missing: Vec<String> = query_scalar(
        "SELECT c.relname::text FROM pg_class c \
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
         AND c.relname NOT IN ('_sqlx_migrations', 'reader', 'deployment_key') \
         AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) \
         ORDER BY 1",
    )
    .fetch_all(connection)
    .await?;
    Ok(if !missing.is_empty() {
        Check::error(
            NAME,
            format!("{role} may not read and write {}", missing.join(", ")),
            format!("as the owner of the tables: sentby migrate --database URL --app-role {role}"),
        )
    } else if is_superuser {
        Check::warning(
            NAME,
            format!("{role} is a superuser: no rule of the database holds for it"),
            "sentby migrate --database URL --app-role sentby_app, and serve as that role",
        )
    } else {
        Check::ok(NAME, format!("{role} may read and write all tables"))
    })
}

/// Really, in a transaction that is rolled back.
async fn can_write(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    const NAME: &str = "write";
    connection.execute(BEGIN_SHARED).await?;
    let written = query(
        "INSERT INTO deployment_key (key_id, secret, created_at) VALUES (-1, '\\x00', now())",
    )
    .execute(&mut *connection)
    .await;
    raw_sql("ROLLBACK").execute(&mut *connection).await?;
    Ok(match written {
        Ok(_) => Check::ok(NAME, "a row was written, and rolled back"),
        Err(error) => {
            let repair = match error
                .as_database_error()
                .and_then(|error| error.code())
                .as_deref()
            {
                Some("25006") => "name the primary in --database: this is a standby, or read-only",
                Some("42501") => {
                    "as the owner of the tables: sentby migrate --database URL --app-role ROLE"
                }
                _ => "see the log of the database",
            };
            Check::error(
                NAME,
                format!("a row cannot be written: {}", words(error)),
                repair,
            )
        }
    })
}
