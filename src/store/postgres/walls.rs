//! The walls between tenants that the database itself keeps, and whether they stand.

use super::url;
use crate::store::{
    Problem, Result,
    check::{is_ours, lacking},
    queries,
};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Pool, Postgres, query, query_as,
    query_scalar, raw_sql,
};

const WALLS: &str = include_str!("walls.sql");
const CHECK: &str = include_str!("walls_check.sql");
const PARTS: &str = include_str!("parts.sql");
/// What [`PARTS`] finds where all is as it must be, as [`WRITTEN_BY`] writes it.
const EXPECTED: &str = include_str!("schema.txt");
/// Version of Postgres: another one writes the text of a view otherwise.
const WRITTEN_BY: i32 = 15;

/// All tables behind their walls; `program`: one more role that may serve. All of it or nothing
/// is done.
pub(super) async fn raise(
    connection: &mut PgConnection,
    program: Option<&str>,
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    // a DO block takes no parameters
    query("SELECT set_config('sentby.program', $1, true)")
        .bind(program.unwrap_or_default())
        .execute(&mut *tx)
        .await?;
    raw_sql(WALLS).execute(&mut *tx).await?;
    tx.commit().await
}

/// Lets a role serve: all rows of all tables, and nothing else of the database.
pub(in crate::store) async fn grant_program(url: &str, role: &str) -> Result<()> {
    let mut connection = url::parse(url)?.options.connect().await?;
    raise(&mut connection, Some(role)).await?;
    Ok(connection.close().await?)
}

/// Row security is on for us: then Postgres takes no COPY.
pub(super) async fn is_behind(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = query_scalar("SELECT row_security_active('attribution')");
    asked.fetch_one(connection).await
}

pub(super) async fn check(pool: &Pool<Postgres>) -> Result<Vec<Problem>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let version = query_scalar(queries::SCHEMA_VERSION)
        .fetch_one(&mut *connection)
        .await?;
    let postgres: i32 = query_scalar("SELECT current_setting('server_version_num')::int / 10000")
        .fetch_one(&mut *connection)
        .await?;
    let parts: Vec<String> = query_scalar(PARTS).fetch_all(&mut *connection).await?;
    let is_exact = is_ours(version) && postgres == WRITTEN_BY;
    let mut problems = lacking(EXPECTED, &parts, is_exact);
    let walls: Vec<(String, String, bool)> = query_as(CHECK).fetch_all(&mut *connection).await?;
    let walls = walls.into_iter().map(|(what, repair, is_fatal)| Problem {
        what,
        repair,
        is_fatal,
    });
    problems.extend(walls);
    Ok(problems)
}
