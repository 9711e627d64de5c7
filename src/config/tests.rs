use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let os = |text: &&str| OsString::from(text);
    pairs.iter().map(|(k, v)| (os(k), os(v))).collect()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sentby.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn load(
    role: Role,
    flags: &[(&'static str, &str)],
    vars: &[(&str, &str)],
) -> Result<Config, String> {
    let flags: Vec<_> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    Config::load(role, &flags, None, env(vars)).map_err(|error| error.to_string())
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let (_dir, path) = file(
        "database = 'sqlite://file.db'\nlisten = '127.0.0.1:1'\ncache_entries = 7\ninsecure = true",
    );
    let vars = [
        ("SENTBY_DATABASE", "sqlite://env.db"),
        ("SENTBY_LISTEN", "127.0.0.1:2"),
    ];
    let flags = [("database", "sqlite://flag.db".to_owned())];
    let config = Config::load(Role::Serve, &flags, Some(&path), env(&vars)).unwrap();
    assert_eq!(config.database.to_string(), "sqlite://flag.db");
    assert_eq!(config.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.cache_entries, 7);
    assert!(config.insecure);
    assert_eq!(config.cache, CacheKind::Memory);

    // the file may be named by the environment, and the flag goes before that
    let (_other, other) = file("cache_entries = 8");
    let named = [("SENTBY_CONFIG", other.to_str().unwrap())];
    let config = |file| Config::load(Role::Serve, &[], file, env(&named)).unwrap();
    assert_eq!(config(None).cache_entries, 8);
    assert_eq!(config(Some(&path)).cache_entries, 7);
}

#[test]
fn unknown_names_are_errors_that_name_the_nearest() {
    let error = load(Role::Serve, &[], &[("SENTBY_DATABSE", "x")]).unwrap_err();
    assert_eq!(
        error,
        "environment variable SENTBY_DATABSE: there is no such setting, did you mean \
         SENTBY_DATABASE? Known: SENTBY_DATABASE, SENTBY_LISTEN, SENTBY_INSECURE, \
         SENTBY_TLS_CERT_FILE, SENTBY_TLS_KEY_FILE, SENTBY_TLS_CLIENT_CA_FILE, \
         SENTBY_CALLERS_FILE, SENTBY_MAX_CONNECTIONS, SENTBY_OPS_LISTEN, SENTBY_OTLP_ENDPOINT, \
         SENTBY_KEY_FILE, SENTBY_CACHE, SENTBY_CACHE_CA_FILE, SENTBY_CACHE_ENTRIES, \
         SENTBY_INGEST_MEMORY, SENTBY_CHANGE_DAYS, SENTBY_UNJOINED_SEND_DAYS, \
         SENTBY_DELETE_GRACE_DAYS, SENTBY_LOG, \
         SENTBY_LOG_FORMAT, SENTBY_CONFIG"
    );
    let (_dir, path) = file("listn = '127.0.0.1:1'");
    let error = Config::load(Role::Serve, &[], Some(&path), []).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("listn in "), "{error}");
    assert!(error.contains("did you mean listen?"), "{error}");
    let error = load(Role::Serve, &[], &[("SENTBY_REDIS_PASSWORD", "x")]).unwrap_err();
    assert!(error.contains("no such setting. Known"), "{error}");
}

#[test]
fn what_kubernetes_and_empty_variables_say_is_not_ours() {
    let config = load(
        Role::Serve,
        &[],
        &[
            ("SENTBY_SERVICE_HOST", "10.0.0.1"),
            ("SENTBY_SERVICE_PORT_GRPC", "50051"),
            ("SENTBY_PORT", "tcp://10.0.0.1:50051"),
            ("SENTBY_PORT_50051_TCP_ADDR", "10.0.0.1"),
            ("SENTBY_KEY_FILE", ""),
            ("SENTBY_DATABASE", ""),
            ("SENTBY_TOKEN", "sentby_x"),
            ("OTHER", "x"),
        ],
    );
    assert_eq!(config.unwrap().effective(), {
        let mut defaults = Config::defaults();
        defaults.log = "info".into();
        defaults.effective()
    });
}

#[test]
fn wrong_values_say_where_they_were_set() {
    for (key, value, expected) in [
        (
            "listen",
            "50051",
            "--listen: \"50051\" is no address with a port",
        ),
        ("cache", "redis", "--cache: two slashes are missing"),
        (
            "cache",
            "redis://u:secret@h:port",
            "--cache: a port is no number",
        ),
        ("cache_entries", "-1", "--cache-entries: is a whole number"),
        (
            "ingest_memory",
            "15",
            "--ingest-memory: is a whole number of MiB, at least 16",
        ),
        (
            "ingest_memory",
            "18446744073709551615",
            "--ingest-memory: is a whole number of MiB",
        ),
        ("insecure", "yes", "--insecure: is true or false"),
        ("log", "inof", "--log: \"inof\" is no level"),
        ("log", "sqlx=loud", "--log: "),
        ("log_format", "xml", "--log-format: is text or json"),
        (
            "database",
            "mysql://u:secret@h",
            "--database: mysql:// is not supported",
        ),
    ] {
        let error = load(Role::Serve, &[(key, value)], &[]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let (_dir, path) = file("log = 'info'\ndatabase = 'postgres://u:secret@h\n");
    let error = Config::load(Role::Serve, &[], Some(&path), []).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("line 2: ") && !error.contains("secret"),
        "{error}"
    );
    let (_dir, path) = file("[log]\nfilter = 'info'");
    let error = Config::load(Role::Serve, &[], Some(&path), []).unwrap_err();
    assert!(error.to_string().contains("not a table"), "{error}");
}

#[test]
fn other_machines_are_served_only_if_asked_for_twice() {
    let listen = ("listen", "0.0.0.0:50051");
    let error = load(Role::Serve, &[listen], &[]).unwrap_err();
    assert!(error.contains("--insecure"), "{error}");
    let error = load(Role::Serve, &[], &[("SENTBY_LISTEN", "[::]:1")]).unwrap_err();
    assert!(
        error.starts_with("environment variable SENTBY_LISTEN: [::]:1"),
        "{error}"
    );
    assert!(load(Role::Serve, &[listen, ("insecure", "true")], &[]).is_ok());
    assert!(load(Role::Serve, &[("listen", "localhost:0")], &[]).is_ok());
    assert!(load(Role::Serve, &[("listen", "[::1]:1")], &[]).is_ok());
    let (cert, key) = (("tls_cert_file", "c"), ("tls_key_file", "k"));
    let (ca, callers) = (("tls_client_ca_file", "a"), ("callers_file", "f"));
    for (flags, told) in [
        (
            &[listen][..],
            "set tls_cert_file, tls_key_file and callers_file too",
        ),
        (&[listen, cert, key], "set callers_file too"),
        (&[listen, callers], "set tls_cert_file and tls_key_file too"),
        (&[cert], "--tls-cert-file: it needs tls_key_file too"),
        (&[key], "--tls-key-file: it needs tls_cert_file too"),
        (&[ca], "--tls-client-ca-file: it needs tls_cert_file and"),
    ] {
        let error = load(Role::Serve, flags, &[]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    for fine in [
        &[listen, cert, key, callers][..],
        &[callers],
        &[cert, key, ca],
    ] {
        assert!(load(Role::Serve, fine, &[]).is_ok(), "{fine:?}");
    }
    // a command that does not listen does not mind
    assert!(load(Role::Command, &[], &[("SENTBY_LISTEN", "0.0.0.0:1")]).is_ok());
}

#[test]
fn the_effective_configuration_shows_every_setting_and_no_secret() {
    let mut config = Config::defaults();
    config.database = DatabaseUrl::parse("postgres://u:secret@h/d").unwrap();
    let keys: Vec<_> = config.effective().into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        SETTINGS
            .iter()
            .map(|setting| setting.key)
            .collect::<Vec<_>>()
    );
    for setting in SETTINGS {
        assert_eq!(setting.flag, setting.key.replace('_', "-"));
    }
    assert_eq!(
        config.to_string(),
        "database=postgres://u:***@h/d listen=127.0.0.1:50051 insecure=false tls_cert_file=(not set) \
         tls_key_file=(not set) tls_client_ca_file=(not set) callers_file=(not set) \
         max_connections=1000 ops_listen=(not set) otlp_endpoint=(not set) key_file=(not set) \
         cache=memory cache_ca_file=(not set) cache_entries=50000 ingest_memory=32 change_days=30 \
         unjoined_send_days=30 delete_grace_days=7 log=warn \
         log_format=text"
    );
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn only_serve_is_talkative() {
    let log = |role, flags: &[_]| load(role, flags, &[]).unwrap().log;
    assert_eq!(log(Role::Serve, &[]), "info");
    assert_eq!(log(Role::Command, &[]), "warn");
    assert_eq!(log(Role::Command, &[("log", "debug")]), "debug");
}
