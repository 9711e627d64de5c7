//! Whether the file is what the migrations have made.

use crate::store::{
    Problem, Result,
    check::{is_ours, lacking},
    queries,
};
use sqlx::{Pool, Sqlite, query_as, query_scalar};

const CHECK: &str = include_str!("check.sql");
const PARTS: &str = include_str!("parts.sql");
/// What [`PARTS`] finds where all is as it must be.
const EXPECTED: &str = include_str!("schema.txt");

pub(super) async fn check(pool: &Pool<Sqlite>) -> Result<Vec<Problem>, sqlx::Error> {
    let version = query_scalar(queries::SCHEMA_VERSION)
        .fetch_one(pool)
        .await?;
    let parts: Vec<String> = query_scalar(PARTS).fetch_all(pool).await?;
    let mut problems = lacking(EXPECTED, &parts, is_ours(version));
    let keys: Vec<(String, String, bool)> = query_as(CHECK).fetch_all(pool).await?;
    problems.extend(keys.into_iter().map(|(what, repair, is_fatal)| Problem {
        what,
        repair,
        is_fatal,
    }));
    Ok(problems)
}
