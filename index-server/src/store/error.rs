//! What can go wrong with a database.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::location::PostgresUrl;

/// Our own failure; the caller did nothing wrong and nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store is closed, or has lost its database")]
    Unavailable,
    /// Through no fault of the request and none of this program; it may be back soon.
    #[error("the database cannot be used at the moment: {0}")]
    Lost(Arc<sqlx::Error>),
    /// Shared, because one failed commit is the answer to many.
    #[error("the database failed: {0}")]
    Database(Arc<sqlx::Error>),
    #[error("the database holds {0}, which this program never writes")]
    Corrupt(&'static str),
}

/// Primary result codes of SQLite that mean damage, not circumstance.
pub(super) const SQLITE_CORRUPT: u32 = 11;
pub(super) const SQLITE_NOTADB: u32 = 26;

/// Those that mean that the database does not serve now: another program holds it (5, 6), memory is short (7), it may
/// only be read (8), the disk fails (10) or is full (13), or a file cannot be opened (14).
const SQLITE_OUTAGES: [u32; 9] = [5, 6, 7, 8, 10, 13, 14, SQLITE_CORRUPT, SQLITE_NOTADB];

/// The low byte of SQLite's; the others only refine it.
pub(super) fn result_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = Arc::new(error);
        if is_passing(&error) { Self::Lost(error) } else { Self::Database(error) }
    }
}

impl StoreError {
    /// Whether a row is there already that may be there once.
    pub(super) fn is_unique_violation(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

/// Beginnings of SQLSTATE codes that tell of circumstance: no connection, no connection left, cancelled, not the
/// primary server, another's turn for too long, too long in a transaction, shut down.
const PASSING: [&str; 7] = ["08", "53300", "57", "25006", "55P03", "25P03", "40"];

/// SQLSTATE codes have five characters, and the numbers that SQLite gives fewer.
const SQLSTATE_CHARS: usize = 5;

/// Whether the same may succeed a little later, or once somebody has seen to the disk.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(answer) => match answer.code() {
            Some(code) if code.len() == SQLSTATE_CHARS => PASSING.iter().any(|beginning| code.starts_with(beginning)),
            _ => result_code(error).is_some_and(|code| SQLITE_OUTAGES.contains(&code)),
        },
        _ => false,
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the folder {path}: {error}", path = .0.display(), error = .1)]
    Folder(PathBuf, #[source] io::Error),
    #[error("another index is using {path}", path = .0.display())]
    InUse(PathBuf),
    #[error("{path} is damaged ({reason})", path = path.display())]
    Damaged { path: PathBuf, reason: String },
    /// Not repaired by itself: names, invites and bans exist nowhere else.
    #[error("{0}; `choir-index check` says how much, `choir-index restore DIR` puts a backup in its place")]
    NeedsBackup(Box<Self>),
    #[error("cannot open {path}: {error}", path = .0.display(), error = .1)]
    Database(PathBuf, #[source] sqlx::Error),
    /// A database of a later version, or one that was tampered with.
    #[error("cannot bring {path} up to date: {error}", path = .0.display(), error = .1)]
    Migration(PathBuf, #[source] sqlx::migrate::MigrateError),
    #[error("cannot use the database {0}: {1}")]
    Server(PostgresUrl, #[source] sqlx::Error),
    #[error("cannot bring the database {0} up to date: {1}")]
    ServerMigration(PostgresUrl, #[source] sqlx::migrate::MigrateError),
    /// Texts of other encodings have other bytes, and claims are known by their bytes.
    #[error("the database {0} is encoded in {1}: create it with ENCODING 'UTF8'")]
    Encoding(PostgresUrl, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}
