//! The peer's own database: what it shares, and what it downloads.
//!
//! - **It can be made again.** Hashes cost reading the files once more, and unfinished downloads know themselves what
//!   they have. So a database that turns out to be corrupt is set aside, never repaired, and begun anew; the person is
//!   told where the old one lies. Keys and settings are files of their own and never in here.
//! - **Readers never wait for the writer** (WAL), and one writer waits for another for up to [`BUSY_TIMEOUT`]. So
//!   writers begin with [`Database::begin_write`]: a transaction that reads first and writes later would fail at once
//!   if somebody else wrote in between.
//! - **A power cut may take the last second, and never more** (`synchronous = NORMAL`): the next scan finds again
//!   whatever was lost.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

/// Longer than any transaction of ours takes on a slow disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One writer and a few readers; each costs a thread and 2 MiB of page cache.
const MAX_CONNECTIONS: u32 = 6;

/// Up to this size every start checks the whole database, which takes a tenth of a second. Larger ones are only
/// checked when the last stop was not clean.
const ALWAYS_CHECKED_BYTES: u64 = 64 << 20;

/// The open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
}

/// How opening went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    Fine,
    /// The database was corrupt. It lies here now, and a new one was begun.
    SetAside(PathBuf),
}

impl Database {
    /// Opens the database, which is made if there is none; its folder must exist.
    pub async fn open(path: &Path) -> Result<(Self, Opened), DatabaseError> {
        match Self::open_once(path).await {
            Ok(database) => Ok((database, Opened::Fine)),
            Err(DatabaseError::Corrupt) => {
                let aside = set_aside(path).map_err(DatabaseError::SetAside)?;
                tracing::error!(
                    "the database {} is corrupt; it was moved to {} and a new one begun, files will be hashed again",
                    path.display(),
                    aside.display(),
                );
                Ok((Self::open_once(path).await?, Opened::SetAside(aside)))
            }
            Err(error) => Err(error),
        }
    }

    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that may write, begun when no other can.
    pub async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// Waits for the last statement, folds the log into the database and closes both, after which the next start need
    /// not check them.
    pub async fn close(&self) {
        // The last connection would do so as well, but not always before this returns.
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await {
            tracing::debug!(%error, "the database's log stays beside it");
        }
        self.pool.close().await;
    }

    async fn open_once(path: &Path) -> Result<Self, DatabaseError> {
        let suspicious = needs_check(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(MAX_CONNECTIONS).connect_with(options).await?;
        let checked = async {
            if suspicious {
                let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&pool).await?;
                if verdict != "ok" {
                    return Err(DatabaseError::Corrupt);
                }
            }
            sqlx::migrate!("../migrations/peer").run(&pool).await.map_err(DatabaseError::from)
        };
        if let Err(error) = checked.await {
            pool.close().await;
            return Err(error);
        }
        Ok(Self { pool })
    }
}

/// A clean stop leaves no write-ahead log behind.
fn needs_check(path: &Path) -> bool {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    size(path) <= ALWAYS_CHECKED_BYTES || size(&with_suffix(path, "-wal")) > 0
}

fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let aside = with_suffix(path, &format!(".corrupt-{now}"));
    std::fs::rename(path, &aside)?;
    for companion in ["-wal", "-shm"] {
        match std::fs::rename(with_suffix(path, companion), with_suffix(&aside, companion)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database is corrupt")]
    Corrupt,
    #[error("the database was made by a newer version of Choir (its migration {0} is unknown here)")]
    Newer(i64),
    #[error("the corrupt database cannot be moved out of the way: {0}")]
    SetAside(#[source] std::io::Error),
    #[error("the database cannot be used: {0}")]
    Sql(#[source] sqlx::Error),
    #[error("the database cannot be brought up to date: {0}")]
    Migrate(#[source] MigrateError),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        if is_corruption(&error) { Self::Corrupt } else { Self::Sql(error) }
    }
}

impl From<MigrateError> for DatabaseError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(version) => Self::Newer(version),
            error => Self::Migrate(error),
        }
    }
}

/// `SQLITE_CORRUPT` with all its extended codes, and `SQLITE_NOTADB` (<https://sqlite.org/rescode.html>).
fn is_corruption(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(11 | 26))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tables(database: &Database) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'files'")
            .fetch_one(database.pool())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_new_database_is_fine_and_so_is_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.db");
        for _ in 0..2 {
            let (database, opened) = Database::open(&path).await.unwrap();
            assert_eq!(opened, Opened::Fine);
            assert_eq!(tables(&database).await, 1);
            database.close().await;
        }
    }

    #[tokio::test]
    async fn a_corrupt_database_is_set_aside_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.db");
        let (database, _) = Database::open(&path).await.unwrap();
        database.close().await;
        let sound = std::fs::read(&path).unwrap();
        // Of a header, of a page in the middle, and a file cut in half.
        let mut torn_page = sound.clone();
        torn_page[4096..12_000].fill(0x5a);
        for broken in [
            b"not a database, but long enough to be taken for one".repeat(100),
            torn_page,
            sound[..sound.len() / 2].to_vec(),
        ] {
            std::fs::write(&path, &broken).unwrap();
            let (database, opened) = Database::open(&path).await.unwrap();
            let Opened::SetAside(aside) = opened else { panic!("{opened:?}") };
            assert_eq!(std::fs::read(&aside).unwrap().len(), broken.len());
            assert_eq!(tables(&database).await, 1);
            database.close().await;
            std::fs::remove_file(aside).unwrap();
        }
    }

    #[tokio::test]
    async fn a_database_of_a_later_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.db");
        let (database, _) = Database::open(&path).await.unwrap();
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)";
        sqlx::query(later).execute(database.pool()).await.unwrap();
        database.close().await;
        assert!(matches!(Database::open(&path).await, Err(DatabaseError::Newer(9999))));
        assert!(path.exists());
    }
}
