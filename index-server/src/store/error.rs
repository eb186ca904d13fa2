//! What can go wrong with a database.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Our own failure; the caller did nothing wrong and nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store is closed, or has lost its database")]
    Unavailable,
    /// Shared, because one failed commit is the answer to many.
    #[error("the database failed: {0}")]
    Database(Arc<sqlx::Error>),
    #[error("the database holds {0}, which this program never writes")]
    Corrupt(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the folder {path}: {error}", path = .0.display(), error = .1)]
    Folder(PathBuf, #[source] io::Error),
    #[error("another index is using {path}", path = .0.display())]
    InUse(PathBuf),
    /// Not repaired by itself: names, invites and bans exist nowhere else.
    #[error("{path} is damaged ({reason}): restore it from a backup", path = path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("cannot open {path}: {error}", path = .0.display(), error = .1)]
    Database(PathBuf, #[source] sqlx::Error),
    /// A database of a later version, or one that was tampered with.
    #[error("cannot bring {path} up to date: {error}", path = .0.display(), error = .1)]
    Migration(PathBuf, #[source] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
