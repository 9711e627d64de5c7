//! What a server needs of its database, looked at one by one, for whoever sets it up.

use super::{SCHEMA_VERSIONS, postgres, sqlite};
use crate::domain::Check;
use std::path::Path;

/// `key`: the deployment's, if it is in a file. `shown`: the URL without its password.
pub async fn examine_postgres(url: &str, shown: &str, key: Option<[u8; 32]>) -> Vec<Check> {
    postgres::examine(url, shown, key).await
}

/// Makes no file.
pub async fn examine_sqlite(path: &Path, key: Option<[u8; 32]>) -> Vec<Check> {
    sqlite::examine(path, key).await
}

/// `found`: the version of the schema. `None`: no schema. `itself`: whoever opens it migrates it.
pub(super) fn schema(found: Option<i64>, shown: &str, itself: bool) -> Check {
    const NAME: &str = "schema";
    let (oldest, newest) = (SCHEMA_VERSIONS.start(), SCHEMA_VERSIONS.end());
    let migrate = format!("sentby migrate --database '{shown}'");
    match found {
        Some(version) if version > *newest => Check::error(
            NAME,
            format!(
                "version {version} is of a newer program: this one works with {oldest} to {newest}"
            ),
            "use the program that made it, or a newer one",
        ),
        Some(version) if version > *oldest => Check::ok(
            NAME,
            format!("version {version}, one ahead of this program, which works with it"),
        ),
        Some(version) if version == *oldest => Check::ok(NAME, format!("version {version}")),
        _ if itself => Check::ok(NAME, "is brought up to date by the first command"),
        Some(version) => Check::error(
            NAME,
            format!("version {version} is older than this program needs: {oldest}"),
            migrate,
        ),
        None => Check::error(NAME, "there are no tables", migrate),
    }
}

/// `stored`: the key that is kept in the database.
pub(super) fn deployment_key(stored: Option<&[u8]>, key: Option<[u8; 32]>) -> Check {
    const NAME: &str = "deployment-key";
    match (stored, key) {
        (None, None) => Check::ok(NAME, "is made at the first start, and kept in the database"),
        (Some(_), None) => Check::ok(NAME, "is the one that is kept in the database"),
        (None, Some(_)) => Check::ok(NAME, "is the one in the file"),
        (Some(stored), Some(key)) if stored == key => {
            Check::ok(NAME, "is the one in the file; the database has the same")
        }
        (Some(_), Some(_)) => Check::warning(
            NAME,
            "the file has another key than the database, which was used before: page tokens and \
             positions of the feed that were given then are refused",
            "let all servers use the same --key-file; watchers begin anew",
        ),
    }
}

/// `ahead`: microseconds that the other clock is ahead of ours.
pub fn clock(name: &'static str, whose: &str, ahead: i64) -> Check {
    const SECOND: i64 = 1_000_000;
    let off = ahead.abs() as f64 / SECOND as f64;
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    let says = format!("{whose} is {off:.3} s {direction} the one of this machine");
    let repair = "let both follow one time server (chronyc tracking)";
    match ahead.abs() {
        off if off > 60 * SECOND => Check::error(name, says, repair),
        off if off > 2 * SECOND => Check::warning(name, says, repair),
        _ => Check::ok(name, says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Level::{Error, Ok, Warning};

    #[test]
    fn versions_of_the_schema() {
        let (oldest, newest) = (*SCHEMA_VERSIONS.start(), *SCHEMA_VERSIONS.end());
        for (found, itself, level) in [
            (None, false, Error),
            (None, true, Ok),
            (Some(oldest - 1), false, Error),
            (Some(oldest - 1), true, Ok),
            (Some(oldest), false, Ok),
            (Some(newest), false, Ok),
            (Some(newest + 1), false, Error),
            (Some(newest + 1), true, Error),
        ] {
            let check = schema(found, "postgres://db/sentby", itself);
            assert_eq!(check.level, level, "{found:?} {itself}");
            assert_eq!(check.repair.is_empty(), level == Ok, "{check:?}");
        }
    }

    #[test]
    fn clocks_may_be_two_seconds_apart() {
        for (ahead, level) in [
            (0, Ok),
            (2_000_000, Ok),
            (-2_000_001, Warning),
            (60_000_000, Warning),
            (-60_000_001, Error),
        ] {
            assert_eq!(clock("clock", "it", ahead).level, level, "{ahead}");
        }
    }

    #[test]
    fn two_keys_are_told_apart() {
        let (one, other) = ([1; 32], [2; 32]);
        assert_eq!(deployment_key(None, None).level, Ok);
        assert_eq!(deployment_key(Some(&one), Some(one)).level, Ok);
        assert_eq!(deployment_key(Some(&one), Some(other)).level, Warning);
    }
}
