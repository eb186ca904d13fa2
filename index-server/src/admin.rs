//! The operator's door: a unix socket in the data folder, for whoever may read that folder.
//!
//! One JSON object on a line each way, then the connection ends. `choir-index link` and the like are clients of it, so
//! that there is one program that holds the databases, and what is said takes effect at once.

mod obedience;
mod request;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::data_dir::DataDir;
use crate::index::Index;
use request::Answer;
pub use request::Request;

/// A circle of friends fits in, and a leaked link lets in no crowd.
pub const INVITE_USES: u32 = 10;

/// As long as people need to get round to it.
pub const INVITE_DAYS: u32 = 30;

/// Requests are short; the longest has a reason for a ban.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// Who opens the door and says nothing holds up the next one for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the index that runs on `data_dir`.
pub async fn ask(data_dir: &Path, request: &Request) -> Result<String, AskError> {
    let socket = DataDir::admin_socket(data_dir);
    let broken = |source| AskError::Broken { socket: socket.clone(), source };
    let mut stream = UnixStream::connect(&socket)
        .await
        .map_err(|source| AskError::NotRunning { data_dir: data_dir.to_owned(), source })?;
    let mut line = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(broken)?;
    match serde_json::from_str(&answer).map_err(|error| broken(error.into()))? {
        Answer::Done(text) => Ok(text),
        Answer::Failed(why) => Err(AskError::Refused(why)),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no index is running on {data_dir} (give --data-dir if it is elsewhere)")]
    NotRunning { data_dir: PathBuf, source: io::Error },
    #[error("the index did not answer on {socket}")]
    Broken { socket: PathBuf, source: io::Error },
    #[error("{0}")]
    Refused(String),
}

/// Opens the door. A socket that is left over is nobody's: the data folder is locked by us.
pub(crate) fn open(data_dir: &DataDir) -> Result<UnixListener, DoorError> {
    let path = DataDir::admin_socket(data_dir.path());
    let failed = |source| DoorError { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // The folder is closed to others, so nobody comes between these two lines.
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open the socket {path} for the operator's commands (the path must be shorter than 108 bytes)")]
pub struct DoorError {
    path: PathBuf,
    source: io::Error,
}

/// Answers one operator after the other until the index stops.
pub(crate) async fn serve(listener: UnixListener, index: Index) {
    let stopping = index.stopping.clone();
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        let served = async {
            let (mut stream, _) = accepted?;
            let line = tokio::time::timeout(PATIENCE, read_line(&mut stream)).await??;
            let answer = serde_json::to_vec(&answer(&index, &line).await)?;
            tokio::time::timeout(PATIENCE, stream.write_all(&answer)).await?
        };
        if let Err(error) = served.await {
            tracing::warn!(%error, "an operator's command failed");
        }
    }
}

async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).take(MAX_LINE_BYTES).read_line(&mut line).await?;
    Ok(line)
}

async fn answer(index: &Index, line: &str) -> Answer {
    match serde_json::from_str(line) {
        Ok(request) => match obedience::obey(index, request).await {
            Ok(text) => Answer::Done(text),
            Err(refusal) => Answer::Failed(refusal.to_string()),
        },
        Err(_) => Answer::Failed("this index does not know the command; is it another version?".to_owned()),
    }
}
