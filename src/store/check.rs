//! Whether the database is what the migrations have made, with its walls between tenants.

use super::SCHEMA_VERSIONS;
use std::{collections::HashSet, fmt};

/// Something about the database that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    /// A command, or what to do.
    pub repair: String,
    /// Answers could be wrong, or another tenant's: nothing is served.
    pub is_fatal: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.repair)
    }
}

const REPAIR: &str = "put it back as the files of migrations/ make it, or restore the database; if it was changed on \
     purpose, change it by a migration";

/// What there should be, a line for each thing, and is not. More than that does no harm: a newer
/// program may have put it there.
///
/// `is_exact`: the lines are written as this database writes them. Where they are not, or where
/// the schema is a newer one, what differs need not be wrong.
pub(super) fn lacking(expected: &str, found: &[String], is_exact: bool) -> Vec<Problem> {
    let found: HashSet<&str> = found.iter().map(String::as_str).collect();
    let lines = expected.lines().filter(|line| !line.starts_with('#'));
    let lacking = lines.filter(|line| !line.is_empty() && !found.contains(line));
    lacking
        .map(|line| Problem {
            what: format!("the schema lacks: {line}"),
            repair: REPAIR.into(),
            is_fatal: is_exact || line.starts_with("column ") || line.starts_with("primary key "),
        })
        .collect()
}

/// The schema is the one that the list of its parts was written for.
pub(super) fn is_ours(version: Option<i64>) -> bool {
    version == Some(*SCHEMA_VERSIONS.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_and_what_is_more_is_not() {
        let expected = "# a comment\n\ncolumn a.b text\nindex i on a (b)\n";
        let found = |lines: &[&str]| lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        let all = found(&["index i on a (b)", "column a.b text", "column a.c text"]);
        assert_eq!(lacking(expected, &all, true), []);
        let other = found(&["index i on a (c)"]);
        let fatal = |is_exact| {
            let problems = lacking(expected, &other, is_exact);
            problems.iter().map(|p| p.is_fatal).collect::<Vec<_>>()
        };
        assert_eq!(fatal(true), [true, true]);
        assert_eq!(
            fatal(false),
            [true, false],
            "an index may be written otherwise"
        );
    }
}
