//! Behind a real PgBouncer that gives each transaction another session of the server.

use crate::support::{
    TENANT,
    postgres::Alone,
    process::{Server, run, run_with_input, succeeded, text},
    records::{Record, blob},
};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

struct PgBouncer {
    process: Child,
    folder: TempDir,
    url: String,
}

impl PgBouncer {
    /// In front of this database. `None`, said aloud, where there is none that is new enough.
    fn start(database: &str) -> Option<Self> {
        let program = std::env::var_os("SENTBY_TEST_PGBOUNCER").filter(|name| !name.is_empty());
        let program = program.unwrap_or("pgbouncer".into());
        let version = Command::new(&program).arg("--version").output().ok();
        let version = version
            .map(|output| text(&output.stdout))
            .unwrap_or_default();
        let number = version.split_whitespace().nth(1).unwrap_or_default();
        let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0u32));
        if (parts.next(), parts.next()) < (Some(1), Some(21)) {
            eprintln!(
                "SKIPPED: no PgBouncer 1.21 or newer ({number:?}): name one with \
                 SENTBY_TEST_PGBOUNCER"
            );
            return None;
        }
        let (server, name) = database.rsplit_once('/').expect("a database");
        let (_, server) = server.rsplit_once('@').expect("a user");
        let (host, server_port) = server.split_once(':').expect("a port");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = port.local_addr().expect("an address").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let open = Command::new("chmod").arg("755").arg(folder.path()).status();
        assert!(open.expect("chmod").success());
        fs::write(path("users"), "\"postgres\" \"\"\n").expect("written");
        let settings = format!(
            "[databases]\n{name} = host={host} port={server_port} dbname={name}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             max_prepared_statements = 200\ndefault_pool_size = 3\n",
            path("users").display()
        );
        fs::write(path("ini"), settings).expect("written");
        let log = File::create(path("log")).expect("a log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if fs::read_to_string("/proc/self/status").is_ok_and(|s| s.contains("Uid:\t0\t")) {
            // which it refuses to run as
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        let process = command
            .arg(&program)
            .arg(path("ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = fs::read_to_string(path("log")).unwrap_or_default();
            assert!(Instant::now() < until, "PgBouncer does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            process,
            folder,
            url: format!("postgres://postgres@127.0.0.1:{port}/{name}"),
        })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("{}", log.unwrap_or_default());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn import(server: &Server, first: u128, records: u128) {
    let records: Vec<Record> = (first..first + records)
        .map(|n| {
            let id = format!("<P{n}@x>");
            Record::mailbox_side(n + 1, "anna@contoso.com", &id, "2026-03-01T09:00:00")
        })
        .collect();
    let tenant = TENANT.to_string();
    let arguments = [
        "import",
        "--register",
        "--tenant",
        &tenant,
        "--server",
        &server.url,
        "-",
    ];
    succeeded(&run_with_input(&arguments, &blob(&records)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_three_sessions() {
    let Some(alone) = Alone::start().await else {
        return;
    };
    let Some(pooler) = PgBouncer::start(&alone.url) else {
        alone.stop().await;
        return;
    };
    let shared = format!("{}?pool=transaction", pooler.url);
    // a lock that a session keeps, and so not through the pooler
    let refused = run(&["migrate", "--database", &shared]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("session of its own"));
    // the pooler itself refuses what it cannot keep
    let told = run(&["migrate", "--database", &pooler.url]);
    assert_eq!(told.status.code(), Some(1));
    let words = text(&told.stderr);
    assert!(words.contains("pool=transaction"), "{words}");

    succeeded(&run(&["migrate", "--database", &alone.url]));
    let (first, second) = (Server::start(&shared), Server::start(&shared));
    let tenant = TENANT.to_string();
    import(&first, 0, 1_500); // once more below
    let watch = std::thread::spawn({
        let (tenant, url) = (tenant.clone(), second.url.clone());
        move || {
            std::thread::sleep(Duration::from_millis(500));
            let follow = ["watch", "--tenant", &tenant, "--server", &url, "--csv"];
            succeeded(&run(&follow))
        }
    });
    let since = Instant::now();
    // by COPY, by arrays, and two writers of one tenant at once
    std::thread::scope(|scope| {
        for (server, from) in [(&first, 0), (&second, 1_000_000)] {
            scope.spawn(move || {
                for n in 0..5 {
                    import(
                        server,
                        from + n * 10_000,
                        if n % 2 == 0 { 1_500 } else { 40 },
                    );
                }
            });
        }
    });
    println!("10 imports through 3 sessions took {:?}", since.elapsed());
    watch.join().expect("it ends");
    for server in [&first, &second] {
        let ids: Vec<String> = (0..40).map(|n| format!("<P{}@x>", 10_000 + n)).collect();
        let ids = ids.iter().map(String::as_str);
        let arguments = [
            "lookup",
            "--json",
            "--tenant",
            &tenant,
            "--server",
            &server.url,
        ];
        let answers: Vec<&str> = arguments.into_iter().chain(ids).collect();
        let answers = succeeded(&run(&answers));
        assert_eq!(answers.matches("ATTRIBUTED").count(), 40, "{answers}");
        let range = [
            "list",
            "--csv",
            "--tenant",
            &tenant,
            "--server",
            &server.url,
        ];
        let period = ["--from", "2026-03-01", "--to", "2026-03-02"];
        let listed = succeeded(&run(&[&range[..], &period].concat()));
        assert_eq!(listed.lines().count(), 1 + 2 * (3 * 1_500 + 2 * 40));
    }
    for server in [&first, &second] {
        let errors = server.logged("\"level\":\"ERROR\"");
        assert!(errors.is_empty());
    }
    assert_eq!(first.stop(), Some(0));
    assert_eq!(second.stop(), Some(0));
    alone.stop().await;
}
