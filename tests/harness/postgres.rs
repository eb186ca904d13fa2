//! A PostgreSQL server for tests: private, in a temporary folder, reached over a socket in it and from nowhere else.
//!
//! A shell script runs it and obeys orders on its standard input. When that ends, because the server is dropped or
//! because the test's process is gone for whatever reason, the script stops the server and deletes the folder.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Debian keeps the programs that nobody calls by hand out of the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running server. Dropping the last handle ends it.
#[derive(Clone)]
pub struct Postgres(Arc<Server>);

struct Server {
    folder: PathBuf,
    databases: AtomicU32,
    script: Mutex<Script>,
}

struct Script {
    child: Child,
    /// Gone when the script is to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// An empty database. Dropping it drops it.
pub struct Database {
    server: Postgres,
    name: String,
}

impl Postgres {
    /// # Panics
    /// If there is no PostgreSQL on this machine, or if it does not start.
    pub fn start() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("postgres.sh"), "sh"]).arg(programs());
        if is_root() {
            // PostgreSQL refuses to run as root.
            let user = if is_user("postgres") { "postgres" } else { "nobody" };
            command.args(["setpriv", &format!("--reuid={user}"), "--clear-groups", "--"]);
            command.env("CHOIR_POSTGRES_USER", user);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped above"));
        let mut script = Script { child, orders, answers };
        script.expect_done("start");
        let folder = script.line().into();
        Self(Arc::new(Server { folder, databases: AtomicU32::new(0), script: script.into() }))
    }

    /// A new database.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn database(&self) -> Database {
        let name = format!("choir_{}", self.0.databases.fetch_add(1, Ordering::Relaxed));
        self.order(&format!("create {name}"));
        Database { server: self.clone(), name }
    }

    /// Stops it as a power failure does, and whoever is connected loses the connection.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn resume(&self) {
        self.order("start");
    }

    fn order(&self, order: &str) {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner).obey(order);
    }
}

impl Database {
    /// As `--database` takes it.
    pub fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.server.0.folder.as_os_str().as_encoded_bytes() {
            write!(host, "%{byte:02x}").expect("a string takes everything");
        }
        format!("postgres:///{}?host={host}&user=postgres", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that has failed already, perhaps because the server is gone, must not panic once more.
        let mut script = self.server.0.script.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = script.answer_to(&format!("drop {}", self.name));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let script = self.script.get_mut().unwrap_or_else(PoisonError::into_inner);
        script.orders = None;
        let _ = script.child.wait();
    }
}

impl Script {
    fn obey(&mut self, order: &str) {
        let answer = self.answer_to(order);
        assert_eq!(answer, "done", "{order}");
    }

    fn answer_to(&mut self, order: &str) -> String {
        let Some(orders) = &mut self.orders else { return "it is gone".to_owned() };
        match writeln!(orders, "{order}") {
            Ok(()) => self.line(),
            Err(error) => error.to_string(),
        }
    }

    fn expect_done(&mut self, what: &str) {
        let answer = self.line();
        assert_eq!(answer, "done", "{what}");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

/// The folder of `initdb`: the newest of Debian's, or where the path leads.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort_unstable();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = || std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    let programs = found.pop().map(|(_, programs)| programs).or_else(in_path);
    programs.expect("PostgreSQL is missing: install Debian's package postgresql, or its like")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` is everywhere");
    id.stdout.trim_ascii() == b"0"
}

fn is_user(name: &str) -> bool {
    Command::new("id").args(["-u", name]).output().is_ok_and(|id| id.status.success())
}
