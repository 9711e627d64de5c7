//! doctor on set-ups that are really broken; and its repairs, where they are commands that run
//! here.

use crate::support::{
    TestDb,
    postgres::{Alone, Postgres},
    process::{Server, database, run, succeeded, text, url},
    redis::Redis,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// What it says, by the name of the check: level, words, repair. The worst counts.
struct Examined {
    code: Option<i32>,
    lines: Vec<Value>,
}

fn doctor(arguments: &[&str]) -> Examined {
    let output = run(&[&["doctor", "--json"][..], arguments].concat());
    let lines = text(&output.stdout);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    let examined = Examined {
        code: output.status.code(),
        lines: lines.collect(),
    };
    let is_broken = examined.lines.iter().any(|line| line["level"] == "ERROR");
    assert_eq!(
        examined.code,
        Some(i32::from(is_broken)),
        "{}",
        text(&output.stderr)
    );
    for line in examined
        .lines
        .iter()
        .filter(|line| line["level"] == "ERROR" || line["level"] == "WARNING")
    {
        assert!(line["repair"].is_string(), "{line}");
    }
    examined
}

impl Examined {
    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let rank = |line: &&Value| match line["level"].as_str() {
            Some("ERROR") => 2,
            Some("WARNING") => 1,
            _ => 0,
        };
        let those = self.lines.iter().filter(|line| line["check"] == name);
        those
            .max_by_key(rank)
            .unwrap_or_else(|| panic!("{name} in {:?}", self.lines))
    }

    #[track_caller]
    fn is(&self, name: &str, level: &str, words: &str) -> &Value {
        let check = self.check(name);
        assert_eq!(check["level"], level, "{check}");
        assert!(check.to_string().contains(words), "{words} in {check}");
        check
    }
}

fn secret(path: &Path, content: &str) {
    fs::write(path, content).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_its_folder_and_its_key() {
    let db = TestDb::sqlite().await;
    let target = database(&db.config.database);
    let found = doctor(&["--database", &target]);
    assert_eq!(found.code, Some(0));
    for name in ["database", "integrity", "schema", "deployment-key"] {
        found.is(name, "OK", "");
    }
    let setting = |key: &str| {
        let lines = found.lines.iter();
        lines
            .clone()
            .find(|line| line["setting"] == key)
            .expect("a setting")
            .clone()
    };
    assert_eq!(setting("database")["from"], "--database");
    assert_eq!(setting("cache")["from"], "the default");
    let words = text(&run(&["doctor", "--database", &target]).stdout);
    assert!(
        words.contains("nothing is wrong.") || words.contains("to look at."),
        "{words}"
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let nowhere = url(&path("missing/sentby.db"));
    doctor(&["--database", &nowhere]).is("disk-space", "ERROR", "mkdir -p");
    assert!(!path("missing").exists());
    let fresh = url(&path("new.db"));
    doctor(&["--database", &fresh]).is("database", "OK", "the first command makes it");
    assert!(!path("new.db").exists(), "it makes no file");
    fs::write(path("damaged.db"), "no database at all".repeat(1_000)).expect("written");
    let found = doctor(&["--database", &url(&path("damaged.db"))]);
    found.is("examination", "ERROR", "restore it from a backup");

    let key = path("key");
    let with_key = || {
        doctor(&[
            "--database",
            &fresh,
            "--key-file",
            key.to_str().expect("a path"),
        ])
    };
    with_key().is("key-file", "ERROR", "openssl rand -hex 32");
    secret(&key, "no key");
    with_key().is("key-file", "ERROR", "64 hexadecimal digits");
    secret(&key, &"0f".repeat(32));
    with_key().is("key-file", "OK", "");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("permissions");
    let found = with_key();
    let repair = found.is("key-file", "ERROR", "chmod")["repair"]
        .as_str()
        .expect("a command");
    let repaired = Command::new("sh").args(["-c", repair]).status();
    assert!(repaired.expect("a shell").success());
    with_key().is("key-file", "OK", "");

    let callers = path("callers.toml");
    fs::write(&callers, "x = \"S3cret\" y").expect("written");
    let found = doctor(&[
        "--database",
        &fresh,
        "--callers-file",
        callers.to_str().expect("a path"),
    ]);
    found.is("callers-file", "ERROR", "cannot be used");
    assert!(!format!("{:?}", found.lines).contains("S3cret"));
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
    done.expect("executed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_and_the_role_in_it() {
    let Some(alone) = Alone::start().await else {
        return;
    };
    let found = doctor(&["--database", &alone.url]);
    found.is("schema", "ERROR", "sentby migrate");
    found.is("server-version", "OK", "PostgreSQL");
    found.is("database-clock", "OK", "");
    found.is("database-encryption", "OK", "on this machine");
    assert_eq!(
        run(&["migrate", "--database", &alone.url]).status.code(),
        Some(0)
    );
    let found = doctor(&["--database", &alone.url]);
    found.is("schema", "OK", "");
    found.is("write", "OK", "");
    found.is("rights", "WARNING", "superuser");

    let mut owner = PgConnection::connect(&alone.url).await.expect("Postgres");
    let role = format!("r{}", uuid::Uuid::new_v4().simple());
    execute(
        &mut owner,
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'S3cret'"),
    )
    .await;
    execute(
        &mut owner,
        &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"),
    )
    .await;
    let limited = alone
        .url
        .replace("//postgres@", &format!("//{role}:S3cret@"));
    let found = doctor(&["--database", &limited]);
    found.is("write", "ERROR", "permission denied");
    let told = found.is("rights", "ERROR", "attribution")["repair"].clone();
    let told = told.as_str().expect("a command");
    assert!(told.ends_with(&format!("--app-role {role}")), "{told}");
    succeeded(&run(&[
        "migrate",
        "--database",
        &alone.url,
        "--app-role",
        &role,
    ]));
    let found = doctor(&["--database", &limited]);
    found.is("rights", "OK", "");
    found.is("write", "OK", "");
    assert!(
        !format!("{:?}", found.lines).contains("S3cret"),
        "no password is shown"
    );

    for (change, name, level, words) in [
        (
            "CONNECTION LIMIT 10",
            "connections",
            "ERROR",
            "too few for one",
        ),
        (
            "CONNECTION LIMIT 40",
            "connections",
            "WARNING",
            "too few for two",
        ),
        ("CONNECTION LIMIT -1", "connections", "OK", ""),
        (
            "SET default_transaction_read_only = on",
            "write",
            "ERROR",
            "primary",
        ),
        ("RESET default_transaction_read_only", "write", "OK", ""),
        (
            "SET synchronous_commit = off",
            "synchronous-commit",
            "WARNING",
            "ALTER SYSTEM",
        ),
    ] {
        execute(&mut owner, &format!("ALTER ROLE {role} {change}")).await;
        doctor(&["--database", &limited]).is(name, level, words);
    }
    // the file's key is another one than that of the tokens given so far
    execute(
        &mut owner,
        "INSERT INTO deployment_key VALUES (1, decode(repeat('0f', 32), 'hex'), now())",
    )
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (digits, level) in [("0f", "OK"), ("10", "WARNING")] {
        let key = folder.path().join(digits);
        secret(&key, &digits.repeat(32));
        let key = key.to_str().expect("a path");
        doctor(&["--database", &limited, "--key-file", key]).is("deployment-key", level, "");
    }
    execute(
        &mut owner,
        "UPDATE _sqlx_migrations SET version = version + 100",
    )
    .await;
    doctor(&["--database", &limited]).is("schema", "ERROR", "newer");
    let wrong = alone.url.replace("//postgres@", "//nobody_of_this_name@");
    doctor(&["--database", &wrong]).is("database", "ERROR", "CREATE ROLE");
    let wrong = format!("{}_not_there", alone.url);
    doctor(&["--database", &wrong]).is("database", "ERROR", "createdb");
    execute(
        &mut owner,
        &format!("DROP OWNED BY {role}; DROP ROLE {role}"),
    )
    .await;
    drop(owner);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_would_lose_what_it_acknowledged() {
    let Some(mut postgres) = Postgres::prepare().await else {
        return;
    };
    let gone = doctor(&["--database", &postgres.url()]);
    gone.is("database", "ERROR", "pg_isready");
    postgres.start_with(&["-c", "fsync=off"]).await;
    let found = doctor(&["--database", &postgres.url()]);
    let check = found.is("durability", "ERROR", "fsync off");
    found.is("data-checksums", "WARNING", "pg_checksums");
    postgres.stop();
    postgres.start_with(&["-c", "full_page_writes=off"]).await;
    doctor(&["--database", &postgres.url()]).is("durability", "ERROR", "full_page_writes");
    postgres.stop();
    postgres.start().await;
    let mut owner = PgConnection::connect(&postgres.url())
        .await
        .expect("Postgres");
    assert!(
        check["repair"]
            .as_str()
            .is_some_and(|sql| sql.starts_with("ALTER SYSTEM"))
    );
    doctor(&["--database", &postgres.url()]).is("durability", "OK", "");
    let sql = "CREATE DATABASE old ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
    execute(&mut owner, sql).await;
    let (server, _) = postgres
        .url()
        .rsplit_once('/')
        .map(|(s, d)| (s.to_owned(), d.to_owned()))
        .expect("a database");
    let old = format!("{server}/old");
    doctor(&["--database", &old]).is("encoding", "ERROR", "SQL_ASCII");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_and_the_user_in_it() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = url(&folder.path().join("sentby.db"));
    let look = |cache: &str| doctor(&["--database", &database, "--cache", cache]);
    let found = look(&redis.url());
    found.is("cache", "OK", "");
    found.is("cache-rights", "OK", "");
    found.is("cache-version", "OK", "");
    found.is("cache-eviction", "WARNING", "maxmemory-policy");
    redis
        .command("CONFIG SET maxmemory-policy allkeys-lru")
        .await;
    look(&redis.url()).is("cache-eviction", "OK", "allkeys-lru");

    redis
        .command("ACL SETUSER sentby on >S3cret ~sentby:* +ping +get +set")
        .await;
    let as_user = redis.url().replace("redis://", "redis://sentby:S3cret@");
    let found = look(&as_user);
    let check = found.is("cache-rights", "ERROR", "MGET");
    assert!(!format!("{:?}", found.lines).contains("S3cret"));
    let repair = check["repair"].as_str().expect("a command");
    let repair = repair.replace("'>…'", ">S3cret").replace('\'', "");
    redis.command(&repair).await;
    look(&as_user).is("cache-rights", "OK", "");
    let wrong = redis.url().replace("redis://", "redis://sentby:wrong@");
    look(&wrong).is("cache", "ERROR", "redis-cli");
    redis.kill();
    look(&as_user).is("cache", "ERROR", "redis-cli");
}

/// Certificates of a server, as an authority gives them.
struct Certificates {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        let authority = Issuer::new(params, key);
        Self { folder, authority }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    /// Ends so many days from now.
    fn make(&self, name: &str, days: i64, names: &[&str]) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(since.expect("after 1970").as_secs()).expect("seconds");
        let until = u64::try_from(now + days * 86_400 + 3_600).expect("after 1970");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until);
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("written");
        secret(
            &PathBuf::from(self.path(&format!("{name}.key"))),
            &key.serialize_pem(),
        );
    }

    fn look(&self, certificate: &str, key: &str) -> Examined {
        let database = url(&self.folder.path().join("sentby.db"));
        let (certificate, key) = (self.path(certificate), self.path(key));
        doctor(&[
            "--database",
            &database,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ])
    }
}

#[test]
fn certificates_and_their_keys() {
    let made = Certificates::new();
    for (name, days) in [("good", 90), ("soon", 10), ("ended", -3), ("other", 90)] {
        made.make(name, days, &["sentby.example"]);
    }
    made.make("nameless", 90, &[]);
    let found = made.look("good.pem", "good.key");
    for name in ["tls-cert", "tls-key", "tls-chain"] {
        found.is(name, "OK", "");
    }
    found.is("tls-names", "OK", "sentby.example");
    made.look("soon.pem", "soon.key")
        .is("tls-cert", "WARNING", "ends in 10 days");
    made.look("ended.pem", "ended.key")
        .is("tls-cert", "ERROR", "ended 2 days ago");
    made.look("good.pem", "other.key")
        .is("tls-key", "ERROR", "not the certificate's");
    made.look("nameless.pem", "nameless.key")
        .is("tls-names", "ERROR", "subjectAltName");
    made.look("missing.pem", "good.key")
        .is("tls-cert", "ERROR", "cannot be read");
    made.look("good.pem", "good.pem").is("tls-key", "ERROR", "");
    fs::write(made.path("empty.pem"), "").expect("written");
    made.look("empty.pem", "good.key")
        .is("tls-cert", "ERROR", "holds no certificate");

    let chain = |parts: [&str; 2]| parts.map(|part| made.read(part)).concat();
    fs::write(made.path("chain.pem"), chain(["good.pem", "ca.pem"])).expect("written");
    made.look("chain.pem", "good.key")
        .is("tls-chain", "OK", "leads to");
    fs::write(made.path("mixed.pem"), chain(["good.pem", "other.pem"])).expect("written");
    made.look("mixed.pem", "good.key")
        .is("tls-chain", "ERROR", "is not from");

    let key = made.path("good.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).expect("permissions");
    made.look("good.pem", "good.key")
        .is("tls-key", "ERROR", "chmod");

    let database = url(&made.folder.path().join("sentby.db"));
    for (name, level) in [("ca.pem", "OK"), ("good.pem", "ERROR")] {
        let authority = made.path(name);
        let (cert, key) = (made.path("good.pem"), made.path("good.key"));
        let found = doctor(&[
            "--database",
            &database,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-client-ca-file",
            &authority,
        ]);
        found.is("tls-client-ca", level, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_runs() {
    let db = TestDb::sqlite().await;
    let server = Server::start(&database(&db.config.database));
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let mut found = doctor(&["--server", &server.url]);
    // a machine that pauses between the server's clock and ours makes them differ
    while found.code != Some(0) || found.check("server-clock")["level"] != "OK" {
        assert!(std::time::Instant::now() < until, "it serves");
        found = doctor(&["--server", &server.url]);
    }
    found.is("health", "OK", "SERVING");
    found.is("server-clock", "OK", "");
    found.is("reflection", "OK", "services");
    let address = server.url.clone();
    assert_eq!(server.stop(), Some(0));
    doctor(&["--server", &address]).is("server", "ERROR", "sentby serve");
}
