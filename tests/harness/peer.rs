//! `choir` with a home of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::index::TestIndex;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::programs::programs;

/// One person's peer: a home, a music folder, and the commands typed there.
pub struct TestPeer {
    pub name: String,
    folder: TempDir,
    indexes: Vec<String>,
}

/// What a command said.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// This answer, if the command ended with `code`.
    ///
    /// # Panics
    /// If not.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The code of the error that `--json` tells.
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl TestPeer {
    /// A peer that uses `index`.
    ///
    /// # Panics
    /// If there is no temporary folder to be had.
    pub fn new(name: &str, index: &TestIndex) -> Self {
        Self::at(name, &index.url)
    }

    /// A peer that uses the index at `url`.
    ///
    /// # Panics
    /// If there is no temporary folder to be had.
    pub fn at(name: &str, url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for part in ["home", "music", "downloads"] {
            std::fs::create_dir(folder.path().join(part)).expect("a new folder takes a folder");
        }
        Self { name: name.to_owned(), folder, indexes: vec![url.to_owned()] }
    }

    /// The same peer, using the index at `url` as well.
    #[must_use]
    pub fn and_at(mut self, url: &str) -> Self {
        self.indexes.push(url.to_owned());
        self
    }

    /// Its commands use the index at `url` from now on, or several, with commas between.
    pub fn turn_to(&mut self, url: &str) {
        self.indexes = vec![url.to_owned()];
    }

    /// The text of its key.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn key(&self) -> String {
        let status = self.json(["status"]).expect_code(0).json();
        status["peer_id"].as_str().expect("a status has the peer's key").to_owned()
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn music(&self) -> PathBuf {
        self.folder.path().join("music")
    }

    pub fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Puts a file into the music folder.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn add_music(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.music().join(name);
        std::fs::create_dir_all(path.parent().expect("below the music folder")).expect("a folder for the song");
        std::fs::write(&path, bytes).expect("a song");
        path
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&programs().peer);
        command.arg("--home").arg(self.home());
        for index in &self.indexes {
            command.arg("--index").arg(index);
        }
        // The person's own settings must not leak into a test.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CHOIR_")) {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1");
        command
    }

    /// Types a command and waits for its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let output = self.command().args(arguments).output().expect("choir starts");
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Types a command with `--json`.
    pub fn json<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        self.run(std::iter::once("--json".into()).chain(arguments))
    }

    /// Runs the peer on free ports.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with_environment(&[])
    }

    pub fn daemon_with_environment(&self, environment: &[(&str, &str)]) -> Daemon {
        let mut command = self.daemon_command();
        command.envs(environment.iter().copied());
        self.run_daemon(command)
    }

    /// Runs the peer at an address to which it can come back.
    pub fn daemon_at(&self, listen: SocketAddr, environment: &[(&str, &str)]) -> Daemon {
        let mut command = self.daemon_command_at(listen);
        command.envs(environment.iter().copied());
        self.run_daemon(command)
    }

    /// Runs the peer in a namespace; the commands typed beside it stay outside.
    pub fn daemon_in(&self, namespace: &Namespace) -> Daemon {
        self.run_daemon(namespace.enter(&self.daemon_command()))
    }

    fn daemon_command(&self) -> Command {
        self.daemon_command_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn daemon_command_at(&self, listen: SocketAddr) -> Command {
        let mut command = self.command();
        command.args(["daemon", "--listen", &listen.to_string(), "--api", "127.0.0.1:0"]);
        command
    }

    fn run_daemon(&self, mut command: Command) -> Daemon {
        let process = Process::start(&format!("choir of {}", self.name), &mut command);
        let url = process.line().strip_prefix("web page and API on ").expect("the first line says where").to_owned();
        Daemon { process, url }
    }

    /// Shares the music folder and waits until others can find it. Needs a daemon to be lasting.
    pub fn share(&self) -> Answer {
        self.json(["share".as_ref(), "add".as_ref(), self.music().as_os_str(), "--wait".as_ref()])
    }

    /// The rows of a search, as `--json` gives them.
    pub fn search(&self, arguments: &[&str]) -> Vec<Value> {
        // Whoever searches again and again until something shows is asked to slow down, and does.
        let answer = crate::eventually("the index lets it search", || {
            let answer = self.json(["search"].iter().chain(arguments));
            (answer.code != 5 || answer.error_code() != "rate_limited").then_some(answer)
        });
        if answer.code == 3 {
            return Vec::new();
        }
        answer.expect_code(0).json()["results"].as_array().cloned().unwrap_or_default()
    }

    /// As [`Self::search`], once anything is found: an index makes new songs searchable within two seconds.
    pub fn find(&self, arguments: &[&str]) -> Vec<Value> {
        crate::eventually(&format!("{arguments:?} finds something"), || {
            let rows = self.search(arguments);
            (!rows.is_empty()).then_some(rows)
        })
    }

    /// Downloads into the downloads folder.
    pub fn get(&self, what: &str) -> Answer {
        self.json(["get".as_ref(), what.as_ref(), "-o".as_ref(), self.downloads().as_os_str()])
    }

    /// As [`Self::get`], without waiting for its end.
    pub fn begin_get(&self, what: &str) -> Process {
        let mut command = self.command();
        command.args(["get", what, "-o"]).arg(self.downloads());
        Process::start(&format!("get of {}", self.name), &mut command)
    }

    /// The first line of the downloads list.
    pub fn download(&self) -> Option<Value> {
        self.json(["downloads", "ls"]).json()["downloads"].as_array()?.first().cloned()
    }

    /// What the first line of the downloads list tells of one source.
    pub fn source(&self, peer: impl ToString) -> Option<Value> {
        let (line, peer) = (self.download()?, peer.to_string());
        line["sources"].as_array()?.iter().find(|source| source["peer"] == peer).cloned()
    }

    /// The key of this peer. Needs a daemon.
    ///
    /// # Panics
    /// If it does not tell.
    pub fn id(&self) -> String {
        self.json(["status"]).json()["peer_id"].as_str().expect("a key").to_owned()
    }

    /// Where other peers reach this one. Needs a daemon.
    ///
    /// # Panics
    /// If it does not tell.
    pub fn udp_address(&self) -> SocketAddr {
        let findings = self.json(["doctor"]).json()["findings"].as_array().cloned().unwrap_or_default();
        let listens = |finding: &Value| Some(finding["message"].as_str()?.strip_prefix("listening on ")?.to_owned());
        findings.iter().find_map(listens).and_then(|address| address.parse().ok()).expect("an address")
    }

    /// The first line of the downloads list, once it is as wanted.
    pub fn download_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        crate::eventually(what, || self.download().filter(&wanted))
    }
}

/// A running peer.
pub struct Daemon {
    pub process: Process,
    /// Of the local API.
    pub url: String,
}

/// Every file below `folder`, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect();
    files.sort();
    files
}
