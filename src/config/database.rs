//! Where the data is.

use std::{fmt, path::PathBuf};

/// `Debug` and `Display` never show a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// One file; relative paths start at the current directory.
    Sqlite(PathBuf),
    /// The whole URL, with its password.
    Postgres(String),
}

impl DatabaseUrl {
    /// The error never repeats the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE";
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(match text {
                "" => format!("is empty: {FORMS}"),
                _ if text.starts_with("sqlite:") => "two slashes are missing: sqlite://PATH".into(),
                _ => format!("is not {FORMS}"),
            });
        };
        match scheme {
            "sqlite" if rest.is_empty() => Err("the path is missing: sqlite://PATH".into()),
            "sqlite" if rest.contains(":memory:") => {
                Err("a database in memory would be gone with the command: name a file".into())
            }
            "sqlite" if rest.contains('?') => {
                Err("takes no options after `?`: sqlite://PATH".into())
            }
            "sqlite" => Ok(Self::Sqlite(rest.into())),
            "postgres" | "postgresql" if rest.is_empty() => {
                Err("the host is missing: postgres://USER:PASSWORD@HOST/DATABASE".into())
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(text.to_owned())),
            _ => Err(format!("{scheme}:// is not supported: {FORMS}")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&redact(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes passwords out of a URL. One that was pasted without escaping makes the URL
/// ambiguous; then more is hidden than needs be, never less.
pub(super) fn redact(url: &str) -> String {
    const HIDDEN: &str = "***";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (base, query) = match rest.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (rest, None),
    };
    if query.is_some_and(|query| query.contains('@')) {
        return format!("{scheme}://{HIDDEN}");
    }
    let base = match base.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => format!("{user}@{host}"),
        },
        None => base.to_owned(),
    };
    let Some(query) = query else {
        return format!("{scheme}://{base}");
    };
    let options: Vec<String> = query
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.contains("pass") => format!("{name}={HIDDEN}"),
            _ => option.to_owned(),
        })
        .collect();
    format!("{scheme}://{base}?{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_and_nothing_else() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(path.into()));
        assert_eq!(
            DatabaseUrl::parse("sqlite://sentby.db"),
            sqlite("sentby.db")
        );
        assert_eq!(
            DatabaseUrl::parse("sqlite:///var/s.db"),
            sqlite("/var/s.db")
        );
        let url = "postgresql://h/d";
        assert_eq!(
            DatabaseUrl::parse(url),
            Ok(DatabaseUrl::Postgres(url.into()))
        );
        for wrong in [
            "",
            "sentby.db",
            "sqlite:sentby.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a.db?mode=ro",
            "postgres://",
            "mysql://u:secret@h/d",
        ] {
            let error = DatabaseUrl::parse(wrong).expect_err(wrong);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            (
                "postgres://sentby:secret@db:5432/x",
                "postgres://sentby:***@db:5432/x",
            ),
            ("postgres://sentby@db/x", "postgres://sentby@db/x"),
            (
                "postgres://db/x?sslmode=require",
                "postgres://db/x?sslmode=require",
            ),
            (
                "postgres://db/x?user=u&password=secret",
                "postgres://db/x?user=u&password=***",
            ),
            // pasted without escaping
            ("postgres://u:se@secret@db/x", "postgres://u:***@db/x"),
            ("postgres://u:a/secret@db/x", "postgres://u:***@db/x"),
            ("postgres://u:a?secret@db/x", "postgres://***"),
        ] {
            let parsed = DatabaseUrl::parse(url).expect(url);
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), shown);
        }
    }
}
