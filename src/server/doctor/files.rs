//! Files that a server reads, and room for the one that it writes.

use crate::{access::Callers, domain::Check, server::key_file};
use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

/// A secret that everybody on the machine can read is none.
pub(super) fn read_by_others(name: &'static str, path: &Path) -> Option<Check> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o007 != 0).then(|| {
        let says = format!(
            "{} can be used by every user of this machine",
            path.display()
        );
        Check::error(name, says, format!("chmod o= '{}'", path.display()))
    })
}

/// Also the key, where it can be read.
pub(super) fn key(path: &Path) -> (Check, Option<[u8; 32]>) {
    const NAME: &str = "key-file";
    let key = match key_file(&path.to_owned()) {
        Ok(key) => key,
        Err(error) => {
            let repair = format!(
                "(umask 077; openssl rand -hex 32 > '{}'), or give back the one that was there",
                path.display()
            );
            return (Check::error(NAME, error.to_string(), repair), None);
        }
    };
    let fine = || Check::ok(NAME, format!("{} holds a key", path.display()));
    (read_by_others(NAME, path).unwrap_or_else(fine), Some(key))
}

/// As a start reads it.
pub(super) fn callers(path: &Path) -> Check {
    const NAME: &str = "callers-file";
    let shown = path.display();
    let callers = match fs::read_to_string(path) {
        Ok(text) => Callers::parse(&text),
        Err(error) => return unreadable(NAME, path, &error),
    };
    match callers {
        Ok(_) => Check::ok(NAME, format!("{shown} says who may call")),
        Err(error) => {
            let says = format!("{shown} cannot be used: {error}");
            Check::error(NAME, says, "correct it: docs/access.md shows one")
        }
    }
}

pub(super) fn unreadable(name: &'static str, path: &Path, error: &io::Error) -> Check {
    let shown = path.display();
    let repair = format!("ls -l '{shown}': name the right file, and let this user read it");
    Check::error(name, format!("{shown} cannot be read: {error}"), repair)
}

/// Free space where the database file is, in MiB.
const FEW: u64 = 1024;
const TOO_FEW: u64 = 100;

pub(super) fn room(database: &Path) -> Check {
    const NAME: &str = "disk-space";
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let shown = folder.display();
    if !folder.is_dir() {
        let says = format!("there is no folder {shown}");
        return Check::error(NAME, says, format!("mkdir -p '{shown}'"));
    }
    // the standard library cannot tell
    let df = Command::new("df").arg("-Pk").arg(folder).output();
    let free = df
        .ok()
        .and_then(|df| free_mib(&String::from_utf8_lossy(&df.stdout)));
    let repair = "free some, or move the file: --database sqlite://PATH";
    match free {
        None => Check::ok(NAME, "not known: there is no df here"),
        Some(free) if free < TOO_FEW => {
            Check::error(NAME, format!("{free} MiB are free in {shown}"), repair)
        }
        Some(free) if free < FEW => {
            Check::warning(NAME, format!("{free} MiB are free in {shown}"), repair)
        }
        Some(free) => Check::ok(NAME, format!("{free} MiB are free in {shown}")),
    }
}

/// The fourth column of the second line, of KiB.
fn free_mib(df: &str) -> Option<u64> {
    let kib: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::free_mib;

    #[test]
    fn what_df_says() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  /dev/sda1 10000000 1 2097152 1% /\n";
        assert_eq!(free_mib(df), Some(2_048));
        assert_eq!(free_mib(""), None);
    }
}
