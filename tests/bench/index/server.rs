//! The index that is measured: the real program, with a settings file of ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use harness::TestIndex;
use harness::load::peer::Door;
use harness::process::{Memory, memory};
use harness::programs;
use tempfile::TempDir;

use crate::measure::cpu_seconds;

/// With these nobody is refused: what is measured is what the index can, not what it allows.
pub(crate) const UNLIMITED: &str = "\
[limits]
connections = 19500
logins_per_minute = 1000000
searches_per_minute = 10000000
changes_per_minute = 1000000
control_messages_per_minute = 1000000
sources_per_minute = 1000000
files_per_peer = 2000000
claim_bytes_per_peer = 4000000000
";

/// A proxy that the index believes.
pub(crate) const PROXY: &str = "127.0.0.2";

pub(crate) struct Server {
    pub(crate) index: TestIndex,
    metrics: SocketAddr,
    _settings: TempDir,
}

impl Server {
    pub(crate) fn start(settings: &str) -> anyhow::Result<Self> {
        programs();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, format!("trusted_proxies = [\"{PROXY}\"]\n{settings}"))?;
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = file.to_str().context("a readable path")?;
        let index = TestIndex::with(&["--config", file, "--metrics", &metrics.to_string()]);
        Ok(Self { index, metrics, _settings: folder })
    }

    pub(crate) fn door(&self) -> Door {
        Door::of(&self.index)
    }

    pub(crate) fn resident(&self) -> u64 {
        memory(self.index.process.id(), Memory::Resident)
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.index.process.id())
    }

    /// Whether it says that it can serve.
    pub(crate) fn is_ready(&self) -> bool {
        answer(self.door().address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }

    /// The sum of a metric over all its labels that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let text = answer(self.metrics, "/metrics")?;
        let is_it = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(label)
        };
        Ok(text
            .lines()
            .filter(is_it)
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .fold(0.0, |sum, value| sum + value))
    }
}

/// What is answered to one request that needs nothing, headers and all.
fn answer(address: SocketAddr, path: &str) -> std::io::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
