//! A Postgres of one test, started, killed and started again; and a database of one test on the
//! server that all share.

use super::{
    TestDb,
    disk::{Disk, is_root},
};
use sentby::config::DatabaseUrl;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the programs of the server that all share. `None`, said aloud, without one.
pub async fn programs() -> Option<PathBuf> {
    let db = TestDb::postgres().await?;
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!("a case of Postgres")
    };
    let mut connection = PgConnection::connect(url).await.expect("Postgres");
    let row = sqlx::query("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let row = row.fetch_one(&mut connection).await.expect("a folder");
    Some(PathBuf::from(row.get::<String, _>(0)))
}

/// A command of these programs, with their libraries.
pub fn program(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.env("LD_LIBRARY_PATH", libraries(programs));
    command
}

/// Programs that were only unpacked have their libraries beside them.
fn libraries(programs: &Path) -> String {
    let usr_lib = programs.join("../../..");
    let entries = fs::read_dir(&usr_lib).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    let folders = folders.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let folders: Vec<String> = folders.map(|path| path.display().to_string()).collect();
    folders.join(":")
}

/// A private server that is not started yet. It ends with the test, however that ends.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    process: Option<Child>,
    pub port: u16,
    /// That its data are on, where it has one of its own.
    pub disk: Option<Disk>,
}

impl Postgres {
    /// Everything but the start.
    pub async fn prepare() -> Option<Self> {
        Self::prepare_on(|_| Some(None)).await
    }

    /// The same on a disk of so many MiB. `None`, said aloud, also where there can be none.
    pub async fn prepare_on_disk(mib: u32) -> Option<Self> {
        Self::prepare_on(|folder| Disk::over(folder, mib).map(Some)).await
    }

    async fn prepare_on(disk: impl FnOnce(&Path) -> Option<Option<Disk>>) -> Option<Self> {
        let programs = programs().await?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        if is_root() {
            // which Postgres refuses to run as
            let owned = Command::new("chown").arg(OWNER).arg(folder.path()).status();
            assert!(owned.expect("chown").success());
        }
        let postgres = Self {
            programs,
            disk: disk(folder.path())?,
            folder,
            process: None,
            port,
        };
        let made = postgres
            .command("initdb")
            .args(["-D", "data", "--no-sync", "--auth", "trust"])
            .args(["--username", "postgres", "--encoding", "UTF8"])
            .args(["--locale", "C.UTF-8"])
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{made:?}");
        Some(postgres)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = match &self.disk {
            Some(disk) => disk.command("setpriv"),
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL"]);
        if is_root() {
            command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups"]);
        } else if self.disk.is_some() {
            // root in the namespace of the disk, as which Postgres refuses to run too
            command.args(["unshare", "-U", "--map-user", OWNER, "--map-group", OWNER]);
        }
        command
            .arg(self.programs.join(name))
            .env("LD_LIBRARY_PATH", libraries(&self.programs))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Returns when it answers: when that was.
    pub async fn start(&mut self) -> Instant {
        self.start_with(&[]).await
    }

    /// With more arguments.
    pub async fn start_with(&mut self, arguments: &[&str]) -> Instant {
        let log = File::create(self.folder.path().join("log")).expect("a log");
        let process = self
            .command("postgres")
            .args(["-D", "data", "-h", "127.0.0.1", "-k", ""])
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(process.expect("it starts"));
        self.answers().await
    }

    /// Returns when it answers, also after a crash of one session: when that was.
    pub async fn answers(&mut self) -> Instant {
        let until = Instant::now() + PATIENCE;
        while PgConnection::connect(&self.url()).await.is_err() {
            assert!(!self.has_ended(), "Postgres has ended: {}", self.log());
            let is_late = Instant::now() >= until;
            assert!(!is_late, "Postgres does not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Instant::now()
    }

    /// The process of one session, at once: one of the program that is in a transaction, if there is
    /// one. Postgres then ends all of them and recovers.
    pub async fn crash_session(&self) {
        let one = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' \
                   ORDER BY application_name <> 'sentby', xact_start IS NULL, random() LIMIT 1";
        let mut own = PgConnection::connect(&self.url()).await.expect("Postgres");
        let until = Instant::now() + PATIENCE;
        loop {
            let row = sqlx::query(one).fetch_one(&mut own).await.expect("a row");
            let pid: i32 = row.get(0);
            if kill("KILL", &pid.to_string()) {
                break;
            }
            // that session has ended meanwhile
            assert!(Instant::now() < until, "no session stays");
        }
        // this one is ended with all others: until then it has not noticed
        while own.ping().await.is_ok() {
            assert!(Instant::now() < until, "Postgres goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// It stops to answer; connections stay and can still be made.
    pub fn freeze(&self) {
        self.signal_all("STOP");
    }

    pub fn thaw(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, name: &str) {
        let pid = self.process.as_ref().expect("it runs").id();
        // a session may end meanwhile: whether each got it is not asked
        kill(name, &format!("{pid} {}", children(pid)));
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// It has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_none_or(|process| process.try_wait().expect("a child").is_some())
    }

    /// At once, as a crash ends it: no session is told.
    pub fn crash(&mut self) {
        self.end("KILL");
    }

    /// As a restart by its administrator ends it: every session is told.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    fn end(&mut self, signal: &str) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let pid = process.id();
        // its processes too: each of them holds the port's memory
        let children = children(pid);
        let others = if signal == "KILL" {
            children.as_str()
        } else {
            ""
        };
        kill(signal, &format!("{pid} {others}"));
        if !ends(&mut process) {
            eprintln!("Postgres does not end by {signal}");
            kill("KILL", &format!("{pid} {children}"));
            let _ = process.wait();
        }
        let until = Instant::now() + PATIENCE;
        let lives = |pid: &str| Path::new(&format!("/proc/{pid}/cwd")).exists();
        while children.split_whitespace().any(lives) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The processes that this one has started, one after another.
fn children(pid: u32) -> String {
    let children = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(children).unwrap_or_default()
}

/// With some patience.
fn ends(process: &mut Child) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Whether each of these processes got the signal.
fn kill(signal: &str, pids: &str) -> bool {
    // by the shell's own: a program of that name is not everywhere
    let kill = format!("kill -{signal} {pids}");
    let mut shell = Command::new("sh");
    let sent = shell.args(["-c", &kill]).stderr(Stdio::null()).status();
    sent.expect("a shell").success()
}

/// Below those that the system hands to clients, so that none of them takes it before the server does.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let random = || 20_000 + (Uuid::new_v4().as_u128() % 12_000) as u16;
    let port = (0..20).map(|_| random()).find(is_free);
    port.expect("a free port")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.thaw(); // the test may have failed while it was frozen: then it hears nothing else
        }
        self.end("INT");
    }
}

/// Nobody, on every system.
const OWNER: &str = "65534";

/// A database of its own on the server that all share: nobody else has sessions in it.
pub struct Alone {
    name: String,
    server: PgConnection,
    pub url: String,
}

impl Alone {
    pub async fn start() -> Option<Self> {
        let db = TestDb::postgres().await?;
        let DatabaseUrl::Postgres(shared) = &db.config.database else {
            unreachable!("a case of Postgres")
        };
        let mut server = PgConnection::connect(shared).await.expect("Postgres");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        let created = sqlx::query(create).execute(&mut server).await;
        created.expect("a database");
        let (address, _) = shared.split_once('?').expect("a schema");
        let (address, _) = address.rsplit_once('/').expect("a database");
        let url = format!("{address}/{name}");
        Some(Self { name, server, url })
    }

    /// Sessions of the program of which this is true.
    pub async fn sessions(&mut self, which: &str) -> i64 {
        let count = AssertSqlSafe(format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = $1 AND application_name = 'sentby' AND {which}"
        ));
        let row = sqlx::query(count).bind(&self.name);
        row.fetch_one(&mut self.server).await.expect("a row").get(0)
    }

    pub async fn stop(mut self) {
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropped = sqlx::query(drop).execute(&mut self.server).await;
        dropped.expect("dropped");
    }
}
