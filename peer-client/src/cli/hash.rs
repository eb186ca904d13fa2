//! `choir hash FILE...`

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use choir_shared::FileId;
use choir_shared::merkle::TreeHasher;
use choir_shared::text::escape_controls;
use serde_json::json;

use super::context::Context;
use super::progress::ByteBar;
use crate::api::{Answer, ErrorBody, ErrorKind, Exit, ServiceError};

/// Sixteen batches of the hasher at once: few calls, and little memory.
const READ_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn run(context: &Context, files: Vec<PathBuf>) -> Answer<Exit> {
    let mut shapes = Vec::new();
    let mut errors = Vec::new();
    for file in &files {
        match file_id(context, file).await {
            Ok(id) => {
                if !context.out.is_json() {
                    context.out.line(format!("{id}  {}", escape_controls(&file.to_string_lossy())));
                }
                shapes.push(json!({ "file_id": id, "path": file, "bytes": id.length().bytes() }));
            }
            Err(error) if error.code == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                if !context.out.is_json() {
                    context.out.error(&error);
                }
                shapes.push(json!({ "path": file, "error": ErrorBody { error: error.clone() }.error }));
                errors.push(error);
            }
        }
    }
    context.out.result(&json!({ "files": shapes }), |_| {});
    match errors.first() {
        None => Ok(Exit::Done),
        Some(error) if errors.len() == files.len() => Ok(error.exit()),
        Some(_) => Ok(Exit::Incomplete),
    }
}

/// The id of a file, read on a thread that may wait for the disk.
pub(super) async fn file_id(context: &Context, path: &Path) -> Answer<FileId> {
    let bar = ByteBar::new(&context.out, std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    let stop = context.interrupt.clone();
    let (progress, owned) = (bar.clone(), path.to_owned());
    let hashing = tokio::task::spawn_blocking(move || {
        hash(&owned, |bytes| {
            progress.advance(bytes);
            !stop.is_cancelled()
        })
    });
    let hashed = hashing.await;
    bar.finish();
    let failed = |message: String| ServiceError::new(ErrorKind::Internal, format!("{}: {message}", path.display()));
    match hashed {
        Ok(Ok(Some(id))) => Ok(id),
        Ok(Ok(None)) => Err(ServiceError::new(ErrorKind::Interrupted, "interrupted")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(ServiceError::new(ErrorKind::NotFound, format!("{}: there is no such file", path.display())))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// `None` if `goes_on` says no after some bytes.
fn hash(path: &Path, goes_on: impl Fn(u64) -> bool) -> io::Result<Option<FileId>> {
    let mut file = File::open(path)?;
    let mut hasher = TreeHasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        if !goes_on(read as u64) {
            return Ok(None);
        }
    }
    hasher.finish().map(|hashed| Some(hashed.id)).map_err(io::Error::other)
}
