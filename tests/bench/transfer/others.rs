//! What else moves a file from one machine to another, as people would use it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use harness::process::Process;
use tempfile::TempDir;

use crate::goods::{Goods, files_of};
use crate::report::Candidate;
use crate::usage::{Run, Usage, measure};

/// A Python that has libtorrent, where the usual one has not.
const PYTHON: &str = "CHOIR_BENCH_PYTHON";

/// Those that this machine has. The others are named on standard error, with how to get them.
pub(crate) fn installed(goods: &Rc<Goods>) -> anyhow::Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    if runs(Command::new("sendme").arg("--version")) {
        let mut sender = Sendme::of(goods)?;
        candidates.push(Candidate::new("sendme", move || sender.receive()));
    } else {
        eprintln!("sendme is missing: cargo install sendme");
    }
    if goods.is_folder() {
        return Ok(candidates);
    }
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    if runs(Command::new(&python).args(["-c", "import libtorrent"])) {
        let mut seed = Seed::of(goods, python)?;
        candidates.push(Candidate::new("libtorrent, v2 torrent over TCP", move || seed.fetch()));
    } else {
        eprintln!(
            "libtorrent is missing: python3 -m venv V && V/bin/pip install libtorrent, and {PYTHON}=V/bin/python"
        );
    }
    let needed = [("nginx", "-v"), ("curl", "--version"), ("openssl", "version")];
    if needed.iter().all(|(program, argument)| runs(Command::new(program).arg(argument))) {
        let mut server = Nginx::of(goods)?;
        candidates.push(Candidate::new("curl from nginx, HTTPS, nothing verified", move || server.fetch()));
    } else {
        eprintln!("nginx, curl or openssl is missing: apt-get install nginx-light curl openssl");
    }
    Ok(candidates)
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs `command` and adds what `sender` used meanwhile.
fn run(sender: &Process, command: &mut Command) -> anyhow::Result<Run> {
    let before = Usage::of(sender.id())?;
    let (seconds, receiving) = measure(command)?;
    Ok(Run { seconds, receiving, sending: Usage::of(sender.id())?.since(before) })
}

/// Reads and hashes, and nothing else.
pub(crate) fn sha256sum(goods: &Goods) -> anyhow::Result<Run> {
    let (seconds, receiving) = measure(Command::new("sha256sum").args(files_of(&goods.path)))?;
    Ok(Run { seconds, receiving, sending: Usage::default() })
}

struct Sendme {
    process: Process,
    ticket: String,
    goods: Rc<Goods>,
    _folder: TempDir,
}

impl Sendme {
    fn of(goods: &Rc<Goods>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("sendme");
        command.args(["send", "--relay", "disabled", "--no-progress"]).arg(&goods.path).current_dir(folder.path());
        let process = Process::start("sendme", &mut command);
        let ticket = loop {
            let line = process.line();
            if let Some(ticket) = line.split_whitespace().find(|word| word.starts_with("blob") && word.len() > 40) {
                break ticket.to_owned();
            }
        };
        Ok(Self { process, ticket, goods: Rc::clone(goods), _folder: folder })
    }

    fn receive(&mut self) -> anyhow::Result<Run> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("sendme");
        command.args(["receive", "--relay", "disabled", "--no-progress", &self.ticket]).current_dir(folder.path());
        let run = run(&self.process, command.stderr(Stdio::null()))?;
        self.goods.check(folder.path())?;
        Ok(run)
    }
}

struct Seed {
    process: Process,
    python: String,
    port: String,
    torrent: PathBuf,
    goods: Rc<Goods>,
    _folder: TempDir,
}

impl Seed {
    fn of(goods: &Rc<Goods>, python: String) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let torrent = folder.path().join("song.torrent");
        let mut command = Command::new(&python);
        command.arg(script()).arg("seed").arg(&torrent).arg(&goods.path);
        let process = Process::start("libtorrent", &mut command);
        let port = process.line();
        Ok(Self { process, python, port, torrent, goods: Rc::clone(goods), _folder: folder })
    }

    fn fetch(&mut self) -> anyhow::Result<Run> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(&self.python);
        command.arg(script()).arg("fetch").arg(&self.torrent).arg(folder.path()).arg(&self.port);
        let run = run(&self.process, &mut command)?;
        self.goods.check(folder.path())?;
        Ok(run)
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/transfer/torrent.py")
}

struct Nginx {
    process: Process,
    url: String,
    goods: Rc<Goods>,
    _folder: TempDir,
}

impl Nginx {
    fn of(goods: &Rc<Goods>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().to_str().context("a plain path")?;
        let mut certify = Command::new("openssl");
        certify.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        certify.args(["-subj", "/CN=localhost", "-keyout"]).arg(folder.path().join("key.pem"));
        certify.arg("-out").arg(folder.path().join("certificate.pem"));
        ensure!(runs(&mut certify), "openssl makes a certificate");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let root = goods.path.parent().and_then(Path::to_str).context("a plain path")?;
        let configuration = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr;
            events {{}}
            http {{
                access_log off; sendfile on;
                client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
                uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
                server {{
                    listen 127.0.0.1:{port} ssl; root '{root}';
                    ssl_certificate {place}/certificate.pem; ssl_certificate_key {place}/key.pem;
                }}
            }}"
        );
        fs::write(folder.path().join("nginx.conf"), configuration)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        let process = Process::start("nginx", &mut command);
        let name = goods.path.file_name().and_then(|name| name.to_str()).context("a plain name")?.replace(' ', "%20");
        let url = format!("https://127.0.0.1:{port}/{name}");
        harness::eventually("nginx answers", || runs(Command::new("curl").args(["-ksI", &url])).then_some(()));
        Ok(Self { process, url, goods: Rc::clone(goods), _folder: folder })
    }

    fn fetch(&mut self) -> anyhow::Result<Run> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("curl");
        command.args(["-ks", &self.url, "-o"]).arg(folder.path().join("song"));
        let run = run(&self.process, &mut command)?;
        self.goods.check(folder.path())?;
        Ok(run)
    }
}
