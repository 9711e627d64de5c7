//! What an examination of the set-up finds.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// It serves, and something is not as it should be.
    Warning,
    /// It does not serve, or not safely.
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable, for programs: lower case with `-`.
    pub name: &'static str,
    pub level: Level,
    pub says: String,
    /// What to do, as a command where one does it. Empty: nothing.
    pub repair: String,
}

impl Check {
    pub fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self {
            name,
            level: Level::Ok,
            says: says.into(),
            repair: String::new(),
        }
    }

    pub fn warning(name: &'static str, says: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            repair: repair.into(),
            ..Self::ok(name, says)
        }
    }

    pub fn error(name: &'static str, says: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            repair: repair.into(),
            ..Self::ok(name, says)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_how_bad_it_is_and_what_repairs_it() {
        for (check, level, repair) in [
            (Check::ok("disk", "is there"), "OK", ""),
            (Check::warning("disk", "is there", "do"), "WARNING", "do"),
            (Check::error("disk", "is there", "do"), "ERROR", "do"),
        ] {
            assert_eq!((check.level.name(), &*check.repair), (level, repair));
            assert_eq!((check.name, &*check.says), ("disk", "is there"));
        }
        assert!(Level::Ok < Level::Warning && Level::Warning < Level::Error);
    }
}
