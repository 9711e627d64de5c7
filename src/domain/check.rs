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
