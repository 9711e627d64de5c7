//! All that `serve` needs, looked at one by one. Nothing is changed.

mod files;
mod tls;

use crate::{
    cache,
    config::{CacheKind, Config, DatabaseUrl},
    domain::{Check, Timestamp},
    store::{self, SCHEMA_VERSIONS},
};

pub use crate::store::examine_clock as clock;

/// As HTTP writes it (`Sun, 06 Nov 1994 08:49:37 GMT`), in microseconds since 1970.
pub fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let parts: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    let time = Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z"))?;
    Some(time.micros())
}

/// The checks in the order in which a start needs them.
pub async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    let key = config.key_file.as_ref().map(|path| files::key(path));
    let key = key.and_then(|(check, key)| {
        checks.push(check);
        key
    });
    checks.extend(
        config
            .callers_file
            .as_ref()
            .map(|path| files::callers(path)),
    );
    if let (Some(certificates), Some(key)) = (&config.tls_cert_file, &config.tls_key_file) {
        checks.extend(tls::server(certificates, key));
    }
    checks.extend(
        config
            .tls_client_ca_file
            .iter()
            .flat_map(|path| tls::authorities("tls-client-ca", path)),
    );
    let shown = config.database.to_string();
    match &config.database {
        DatabaseUrl::Postgres(url) => {
            checks.extend(store::examine_postgres(url, &shown, key).await);
        }
        DatabaseUrl::Sqlite(path) => {
            checks.push(files::room(path));
            checks.extend(store::examine_sqlite(path, key).await);
        }
    }
    checks.extend(walls(config).await);
    if let CacheKind::Redis(url) = &config.cache {
        let ca = config.cache_ca_file.as_ref();
        if let Some(path) = ca {
            checks.extend(tls::authorities("cache-ca", path));
        }
        let ca = ca.and_then(|path| std::fs::read(path).ok());
        let shown = config.cache.to_string();
        checks.extend(cache::examine_redis(url, &shown, ca).await);
    }
    checks
}

/// What a start would refuse the database for. Nothing, where that cannot be looked at: why was
/// told before.
async fn walls(config: &Config) -> Vec<Check> {
    const NAME: &str = "walls";
    if matches!(&config.database, DatabaseUrl::Sqlite(path) if !path.exists()) {
        return Vec::new();
    }
    let Ok(store) = super::open_store(config) else {
        return Vec::new();
    };
    let version = store.schema_version().await;
    if !matches!(version, Ok(Some(version)) if SCHEMA_VERSIONS.contains(&version)) {
        return Vec::new();
    }
    let Ok(problems) = store.check().await else {
        return Vec::new();
    };
    if problems.is_empty() {
        let fine = "tables, keys and the walls between tenants are as the migrations make them";
        return vec![Check::ok(NAME, fine)];
    }
    let told = problems.into_iter().map(|problem| match problem.is_fatal {
        true => Check::error(NAME, problem.what, problem.repair),
        false => Check::warning(NAME, problem.what, problem.repair),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn the_time_of_an_answer() {
        let time = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(time, Some(784_111_777_000_000));
        assert_eq!(http_date("yesterday"), None);
    }
}
