//! `choir-index` on a free port with a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, io};

use choir_shared::identity::IndexKey;
use choir_shared::link::{JoinLink, Link};
use tempfile::TempDir;

use crate::namespace::{Namespace, seen_by};
use crate::process::Process;
use crate::programs::programs;

/// A running index.
pub struct TestIndex {
    pub process: Process,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    pub join_link: String,
    folder: TempDir,
    extra: Vec<String>,
    namespace: Option<Namespace>,
}

impl TestIndex {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with(arguments: &[&str]) -> Self {
        Self::begin(arguments, "", |_| None)
    }

    /// With other limits, as lines of the settings file, and with more arguments.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with_limits(limits: &str, arguments: &[&str]) -> Self {
        Self::begin(arguments, limits, |_| None)
    }

    /// In a namespace that is made for its folder.
    ///
    /// # Panics
    /// If it does not start.
    pub fn inside(namespace: impl FnOnce(&Path) -> Namespace) -> Self {
        Self::begin(&[], "", |folder| Some(namespace(folder)))
    }

    /// A replica of the index on this database, with the key of `first`, if that is not the first itself. Its limits are
    /// none that a test could reach, and its peers come back within a second.
    ///
    /// # Panics
    /// If it does not start.
    pub fn replica(database: &str, first: Option<&Self>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some(first) = first {
            fs::copy(first.data_dir().join("index.key"), folder.path().join("index.key")).expect("a key to copy");
        }
        let config = folder.path().join("config.toml");
        fs::write(&config, "[limits]\nsearches_per_minute = 1000000\nreconnect_spread_seconds = 1\n")
            .expect("a new file");
        let listen = own_address().to_string();
        let url = format!("http://{listen}");
        let config = config.display().to_string();
        let extra = ["--database", database, "--replica-url", &url, "--config", &config].map(str::to_owned).to_vec();
        let (process, url, join_link) = run(folder.path(), &listen, &extra, None);
        Self { process, url, join_link, folder, extra, namespace: None }
    }

    fn begin(arguments: &[&str], limits: &str, namespace: impl FnOnce(&Path) -> Option<Namespace>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut extra: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        if !limits.is_empty() {
            let settings = folder.path().join("settings.toml");
            fs::write(&settings, format!("[limits]\n{limits}")).expect("a folder of ours");
            extra.extend(["--config".to_owned(), settings.to_str().expect("a plain path").to_owned()]);
        }
        let namespace = namespace(folder.path());
        let (process, url, join_link) = run(folder.path(), "127.0.0.1:0", &extra, namespace.as_ref());
        Self { process, url, join_link, folder, extra, namespace }
    }

    /// Copies its folder out of its namespace, from where it starts next.
    ///
    /// # Panics
    /// If that cannot be read.
    pub fn move_out(&mut self) {
        let inside = seen_by(&self.process, self.folder.path());
        copy(&inside, self.folder.path()).expect("a folder to copy");
        self.namespace = None;
    }

    /// Starts again on the same port with the same folder, after it was stopped or killed.
    pub fn restart(&mut self) {
        self.process.kill();
        let (process, url, _) =
            run(self.folder.path(), &self.address().to_string(), &self.extra, self.namespace.as_ref());
        assert_eq!(url, self.url);
        self.process = process;
    }

    /// Where it speaks HTTP.
    ///
    /// # Panics
    /// If its first line was wrong.
    pub fn address(&self) -> SocketAddr {
        self.url.rsplit('/').next().and_then(|address| address.parse().ok()).expect("a URL of an address")
    }

    /// Its key, as the join link tells it.
    ///
    /// # Panics
    /// If it does not.
    pub fn key(&self) -> IndexKey {
        match self.join_link.parse() {
            Ok(Link::Join(JoinLink { key: Some(key), .. })) => key,
            other => panic!("no key in {}: {other:?}", self.join_link),
        }
    }

    /// Runs one of the operator's commands on its folder. Its exit code, and what it printed.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn operate(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(&programs().index);
        let ended = command.args(arguments).arg("--data-dir").arg(self.folder.path()).output().expect("it starts");
        (
            ended.status.code(),
            [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat(),
        )
    }

    /// Asks it for a page that needs no login. The status, and the body.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn probe(&self, path: &str) -> (u16, String) {
        let address = self.url.strip_prefix("http://").expect("loopback is plain HTTP");
        let mut line = TcpStream::connect(address).expect("it listens");
        write!(line, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        line.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }
}

/// A free address that stays free: no other test listens at this host.
fn own_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(1);
    let ([high, low], pid) = (GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes(), std::process::id().to_be_bytes());
    let host = Ipv4Addr::new(127, pid[3] | 1, high ^ pid[2], low);
    TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr()).expect("loopback has free ports")
}

/// Files and folders; sockets are made anew.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        match (kind.is_dir(), kind.is_file()) {
            (true, _) => copy(&entry.path(), &to)?,
            (_, true) => fs::copy(entry.path(), to).map(drop)?,
            _ => {}
        }
    }
    Ok(())
}

fn run(folder: &Path, listen: &str, extra: &[String], namespace: Option<&Namespace>) -> (Process, String, String) {
    let mut command = Command::new(&programs().index);
    command.args(["--listen", listen, "--rendezvous", "127.0.0.1:0", "--data-dir"]).arg(folder).args(extra);
    if let Some(namespace) = namespace {
        command = namespace.enter(&command);
    }
    let process = Process::start("choir-index", &mut command);
    let url = process.line().strip_prefix("listening on ").expect("the first line says where").to_owned();
    let join_link = process.line().strip_prefix("join link: ").expect("the second line has the link").to_owned();
    (process, url, join_link)
}
