//! How far a person has come in the change feed of each tenant.

use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The token of each tenant, by its id: a JSON object where it is kept in a file.
#[derive(Debug, Default)]
pub(super) struct Places {
    tokens: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl Places {
    /// Those of the file, if it is there.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let tokens = match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} holds no places of a watch", file.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        Ok(Self {
            tokens,
            file: Some(file.to_owned()),
        })
    }

    pub fn token(&self, tenant: &str) -> Option<&str> {
        self.tokens.get(tenant).map(String::as_str)
    }

    /// What was printed before is behind this place. The file is whole at any time.
    pub fn reach(&mut self, tenant: &str, token: &str) -> anyhow::Result<()> {
        self.tokens.insert(tenant.to_owned(), token.to_owned());
        let Some(file) = &self.file else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&self.tokens)?;
        let mut part = file.clone().into_os_string();
        part.push(".part");
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// How to go on, for a person who has no file.
    pub fn tell(&self) {
        if self.file.is_none() {
            for (tenant, token) in &self.tokens {
                eprintln!("go on with: --tenant {tenant} --token {token}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("place.json");
        let mut places = Places::open(Some(&file)).unwrap();
        assert_eq!(places.token("t"), None);
        places.reach("t", "one").unwrap();
        places.reach("t", "two").unwrap();
        let again = Places::open(Some(&file)).unwrap();
        assert_eq!(again.token("t"), Some("two"));
        fs::write(&file, "nonsense").unwrap();
        let error = Places::open(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("place.json"), "{error}");
    }
}
