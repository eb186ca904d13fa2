//! How a command finds the daemon: a file that says where it listens and holds the token that opens it.
//!
//! - Mode 0600, and written under a passing name first: a reader sees a whole file or none, and nobody else sees it.
//! - It may be stale: a daemon that was killed leaves it behind. So its process must live, and something must answer
//!   there that knows the token.
//! - A daemon that ends removes the file only if it is still its own.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::client::ApiClient;
use super::token::Token;

/// Four short fields; anything longer is another file.
const MAX_FILE_BYTES: u64 = 4096;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorFile {
    /// `http://127.0.0.1:6688`
    pub url: String,
    pub token: Token,
    pub pid: u32,
    pub started_unix_s: u64,
}

impl DoorFile {
    /// For this process.
    pub fn new(url: impl Into<String>, token: &Token) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { url: url.into(), token: token.clone(), pid: std::process::id(), started_unix_s: started.as_secs() }
    }

    /// Puts the file at `path`, in place of any other. It goes when the result is dropped.
    pub fn publish(self, path: &Path) -> io::Result<OpenDoor> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)?;
        // `tempfile` creates with mode 0600.
        let mut file = tempfile::Builder::new().prefix(".api-").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(&self)?)?;
        file.persist(path)?;
        Ok(OpenDoor { path: path.to_owned(), file: self })
    }

    /// `None` if there is no such file or it says something else.
    pub fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether the process that wrote it, or another with its number, still runs.
    pub fn is_alive(&self) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        // A process of another user that has this number now could not have written the file, but costs only a try.
        !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
    }
}

/// Keeps the file there.
#[derive(Debug)]
pub struct OpenDoor {
    path: PathBuf,
    file: DoorFile,
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        if DoorFile::read(&self.path).as_ref() == Some(&self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The daemon whose file is at `path`, if it runs.
pub async fn attach(path: &Path) -> Option<ApiClient> {
    let file = DoorFile::read(path).filter(DoorFile::is_alive)?;
    let client = ApiClient::new(&file.url, &file.token).ok()?;
    match client.alive().await {
        Ok(_) => Some(client),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "the file of a daemon is stale");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_goes_with_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state").join("api.json");
        let first = DoorFile::new("http://127.0.0.1:1", &Token::random().unwrap()).publish(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let second = DoorFile::new("http://127.0.0.1:2", &Token::random().unwrap()).publish(&path).unwrap();
        drop(first);
        assert_eq!(DoorFile::read(&path).unwrap().url, "http://127.0.0.1:2", "the newer file stays");
        drop(second);
        assert_eq!(DoorFile::read(&path), None);
    }

    #[test]
    fn junk_and_dead_processes_are_no_daemon() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api.json");
        for junk in ["", "{}", "[1]", &"x".repeat(100_000)] {
            fs::write(&path, junk).unwrap();
            assert_eq!(DoorFile::read(&path), None);
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let file = DoorFile { pid, ..DoorFile::new("http://127.0.0.1:1", &Token::random().unwrap()) };
        assert!(!file.is_alive());
        for pid in [0, u32::MAX] {
            assert!(!DoorFile { pid, ..file.clone() }.is_alive());
        }
    }

    #[tokio::test]
    async fn a_daemon_that_was_killed_is_not_attached_to() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api.json");
        assert!(attach(&path).await.is_none());
        // Our own process lives, but nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let _open = DoorFile::new(format!("http://{free}"), &Token::random().unwrap()).publish(&path).unwrap();
        assert!(attach(&path).await.is_none());
    }
}
