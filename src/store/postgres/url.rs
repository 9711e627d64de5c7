//! The URL of a database, and whether a pooler is in front of it.

use crate::store::{Result, StoreError};
use sqlx::postgres::PgConnectOptions;
use std::str::FromStr as _;

/// What is added to the URL where PgBouncer, or what is like it, gives each transaction another
/// session of the server (`pool_mode = transaction`).
const PARAMETER: &str = "pool";

pub(super) struct PostgresUrl {
    pub options: PgConnectOptions,
    /// Sessions of the server are shared with others, between transactions.
    pub is_shared: bool,
}

/// The error never repeats the URL: it may hold a password.
pub(super) fn parse(url: &str) -> Result<PostgresUrl> {
    let (url, pool) = split(url);
    let is_shared = match pool {
        None | Some("session") => false,
        Some("transaction") => true,
        Some(_) => return Err(StoreError::Url("pool is session or transaction".into())),
    };
    let options = PgConnectOptions::from_str(&url);
    let options = options.map_err(|error| StoreError::Url(error.to_string()))?;
    let options = match is_shared {
        // a pooler refuses what it cannot keep for a session
        true => options.extra_float_digits(None),
        false => options,
    };
    Ok(PostgresUrl { options, is_shared })
}

/// The URL without the parameter that is ours, and its value.
fn split(url: &str) -> (String, Option<&str>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let mut pool = None;
    let mut others = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some((PARAMETER, value)) => pool = Some(value),
            _ => others.push(part),
        }
    }
    match others.is_empty() {
        true => (base.to_owned(), pool),
        false => (format!("{base}?{}", others.join("&")), pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_taken_out_of_the_url() {
        for (url, rest, pool) in [
            ("postgres://h/d", "postgres://h/d", None),
            ("postgres://h/d?a=1", "postgres://h/d?a=1", None),
            (
                "postgres://h/d?pool=session",
                "postgres://h/d",
                Some("session"),
            ),
            (
                "postgres://h/d?a=1&pool=x&b",
                "postgres://h/d?a=1&b",
                Some("x"),
            ),
        ] {
            assert_eq!(split(url), (rest.to_owned(), pool), "{url}");
        }
    }

    #[test]
    fn a_kind_of_pool_that_is_not_known_is_refused() {
        let of = |url| parse(url).map(|found| found.is_shared);
        assert_eq!(of("postgres://h/d").ok(), Some(false));
        assert_eq!(of("postgres://h/d?pool=session").ok(), Some(false));
        assert_eq!(of("postgres://h/d?pool=transaction").ok(), Some(true));
        assert!(of("postgres://h/d?pool=statement").is_err());
    }
}
