//! Flags, environment and file, brought together by key. What a value means is not known
//! here; where it came from is, so that every error can say it.

use super::{Config, ConfigError, ENV_CONFIG, ENV_PREFIX, ENV_TOKEN, SETTINGS, Setting};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Where a value was set, in the words in which the person set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Env(String),
    File { key: String, path: PathBuf },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File { key, path } => write!(f, "{key} in {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

pub(super) struct Values(BTreeMap<&'static str, (String, Origin)>);

impl Values {
    /// Weakest first: the stronger overwrites.
    pub fn collect(
        flags: &[(&'static str, String)],
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<_, _> = SETTINGS
            .iter()
            .filter(|setting| !setting.default.is_empty())
            .map(|setting| (setting.key, (setting.default.into(), Origin::Default)))
            .collect();
        let (env, env_file) = read_env(env)?;
        if let Some(path) = file.map(Path::to_owned).or(env_file) {
            values.extend(read_file(&path)?);
        }
        values.extend(env);
        for (key, value) in flags {
            let setting = find(|setting| setting.key == *key).expect("flags are of the table");
            values.insert(
                key,
                (value.clone(), Origin::Flag(format!("--{}", setting.flag))),
            );
        }
        Ok(Self(values))
    }

    pub fn get(&self, key: &str) -> Option<&(String, Origin)> {
        self.0.get(key)
    }

    pub fn origin(&self, key: &str) -> Origin {
        self.get(key)
            .map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// `None`: not set.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        let (path, _) = self.get(key)?;
        Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())
    }

    /// `None`: not set.
    pub fn optional<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        match self.get(key) {
            Some((text, _)) if !text.trim().is_empty() => self.parse(key, parse).map(Some),
            _ => Ok(None),
        }
    }

    /// Only for settings with a default.
    pub fn parse<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self.get(key).expect("the setting has a default");
        parse(text.trim()).map_err(|problem| ConfigError::BadValue {
            origin: origin.clone(),
            problem,
        })
    }
}

/// Of each setting, in the order of the table.
pub fn origins(
    flags: &[(&'static str, String)],
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Origin>, ConfigError> {
    let values = Values::collect(flags, file, env)?;
    Ok(SETTINGS
        .iter()
        .map(|setting| values.origin(setting.key))
        .collect())
}

type Found = Vec<(&'static str, (String, Origin))>;

fn find(wanted: impl Fn(&Setting) -> bool) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| wanted(setting))
}

/// The settings of the environment, and the file that it names. An empty variable counts as
/// not set: that is how compose files pass on what nobody gave.
fn read_env(
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Found, Option<PathBuf>), ConfigError> {
    let (mut found, mut file) = (Vec::new(), None);
    for (name, value) in env {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with(ENV_PREFIX) || name == ENV_TOKEN || is_of_kubernetes(&name) {
            continue;
        }
        let setting = find(|setting| setting.env() == name);
        if setting.is_none() && name != ENV_CONFIG {
            let known = SETTINGS.iter().map(Setting::env);
            return Err(unknown(
                Origin::Env(name.clone()),
                &name,
                known.chain([ENV_CONFIG.into()]),
            ));
        }
        if value.is_empty() {
            continue;
        }
        let Some(setting) = setting else {
            file = Some(PathBuf::from(value));
            continue;
        };
        let origin = Origin::Env(name);
        match value.into_string() {
            Ok(value) => found.push((setting.key, (value, origin))),
            Err(_) => {
                let problem = "is not UTF-8".into();
                return Err(ConfigError::BadValue { origin, problem });
            }
        }
    }
    Ok((found, file))
}

/// Kubernetes puts `SENTBY_SERVICE_HOST`, `SENTBY_PORT`, `SENTBY_PORT_50051_TCP_ADDR` and
/// their like into every container next to a Service that is called `sentby`.
fn is_of_kubernetes(name: &str) -> bool {
    let name = &name[ENV_PREFIX.len()..];
    name == "PORT"
        || name == "SERVICE_HOST"
        || name == "SERVICE_PORT"
        || name.starts_with("SERVICE_PORT_")
        || (name.starts_with("PORT_") && (name.contains("_TCP") || name.contains("_UDP")))
}

fn read_file(path: &Path) -> Result<Found, ConfigError> {
    let failed = |problem: String| ConfigError::File {
        path: path.to_owned(),
        problem,
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // not its Display: that quotes the line, which may be the one with the password
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        failed(format!("line {line}: {}", error.message()))
    })?;
    let mut found = Vec::new();
    for (key, value) in table {
        let origin = Origin::File {
            key: key.clone(),
            path: path.to_owned(),
        };
        let Some(setting) = find(|setting| setting.key == key) else {
            let known = SETTINGS.iter().map(|setting| setting.key.to_owned());
            return Err(unknown(origin, &key, known));
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(switch) => switch.to_string(),
            _ => {
                let problem = "is a string, a number or a switch, not a table or a list".into();
                return Err(ConfigError::BadValue { origin, problem });
            }
        };
        found.push((setting.key, (text, origin)));
    }
    Ok(found)
}

fn unknown(origin: Origin, name: &str, known: impl Iterator<Item = String>) -> ConfigError {
    let known: Vec<String> = known.collect();
    let nearest = known
        .iter()
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known.clone());
    ConfigError::UnknownKey {
        origin,
        nearest,
        known: known.join(", "),
    }
}

/// Letters to add, remove or change to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl Config {
    /// As without flags, environment and file.
    pub fn defaults() -> Self {
        Self::load(super::Role::Command, &[], None, [])
            .expect("the defaults of the table are valid")
    }
}
