//! Opening SQLite files.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::Options;
use super::error::{OpenError, SQLITE_CORRUPT, SQLITE_NOTADB, result_code};
use super::sql::{Connect, Readers, ToSqlite};
use super::upgrade;
use super::writer::Writer;
use crate::giving_way;

pub(super) static ACCOUNTS: Migrator = sqlx::migrate!("../migrations/sqlite/accounts");
pub(super) static CATALOGUE: Migrator = sqlx::migrate!("../migrations/sqlite/catalogue");

/// The files of the two databases.
pub(super) const ACCOUNTS_FILE: &str = "accounts.db";
pub(super) const CATALOGUE_FILE: &str = "catalogue.db";

/// Measured for holdings: 8 KiB pages keep the tree one level lower than 4 KiB.
const CATALOGUE_PAGE_BYTES: u32 = 8192;

/// The writer touches pages all over the tree; the upper levels and the newest leaves should stay in memory.
const WRITER_CACHE: &str = "-65536"; // SQLite's unit: negative is KiB.

/// Pages of the log before they are copied into the database (256 MiB): a page that changes often is copied once. With
/// 64 MiB 400,000 songs were published a tenth more slowly.
const CATALOGUE_CHECKPOINT_PAGES: &str = "32768";

/// Rows that a connection's thread reads ahead of whoever asked. Of a change set there are a thousand, and with the
/// usual 50 both threads wait for each other twenty times.
const CATALOGUE_ROW_BUFFER: usize = 1024;

/// Only other programs can make us wait (a backup, an operator's shell): our own writer is alone.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One database: the task that writes, and connections that read.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
}

impl Database {
    pub(super) async fn close(&self) {
        // The writer last: whoever closes last folds the log into the database.
        self.readers.close().await;
        self.writer.close().await;
    }

    fn new(connect: ToSqlite, connection: SqliteConnection, options: Options, tracker: &TaskTracker) -> Self {
        let read = connect.options.clone().read_only(true).create_if_missing(false);
        let readers = SqlitePoolOptions::new().max_connections(options.readers.max(1)).connect_lazy_with(read);
        let runtime = if connect.gives_way { giving_way::tasks() } else { Handle::current() };
        Self {
            writer: Writer::spawn(Connect::Sqlite(Box::new(connect)), connection.into(), tracker, &runtime),
            readers: Readers::Sqlite(readers),
        }
    }
}

/// The folder is ours until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Folder(dir.to_owned(), error);
    fs::create_dir_all(dir).map_err(failed)?;
    let file = File::create(dir.join("store.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

pub(super) async fn open_accounts(dir: &Path, options: Options, tracker: &TaskTracker) -> Result<Database, OpenError> {
    let path = dir.join(ACCOUNTS_FILE);
    let file = connect_options(&path).synchronous(SqliteSynchronous::Full);
    let connect = ToSqlite { options: file, gives_way: false };
    let connection = checked(&path, &connect, &ACCOUNTS).await.map_err(|error| match error {
        OpenError::Damaged { .. } => OpenError::NeedsBackup(error.into()),
        error => error,
    })?;
    Ok(Database::new(connect, connection, options, tracker))
}

/// A catalogue that is damaged, or that this version cannot read, makes room for an empty one.
pub(super) async fn open_catalogue(dir: &Path, options: Options, tracker: &TaskTracker) -> Result<Database, OpenError> {
    let path = dir.join(CATALOGUE_FILE);
    let file = connect_options(&path)
        .page_size(CATALOGUE_PAGE_BYTES)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", WRITER_CACHE)
        .row_buffer_size(CATALOGUE_ROW_BUFFER)
        .pragma("wal_autocheckpoint", CATALOGUE_CHECKPOINT_PAGES);
    // Who publishes has time.
    let connect = ToSqlite { options: file, gives_way: true };
    let connection = match checked(&path, &connect, &CATALOGUE).await {
        Err(error @ (OpenError::Damaged { .. } | OpenError::Migration(..))) => {
            let aside = set_aside(&path).map_err(|error| OpenError::Folder(dir.to_owned(), error))?;
            tracing::error!(%error, moved_to = %aside.display(), "the catalogue begins anew; peers will publish again");
            checked(&path, &connect, &CATALOGUE).await?
        }
        other => other?,
    };
    Ok(Database::new(connect, connection, options, tracker))
}

/// A connection for looking only, also at a database that is in use.
pub(super) async fn read_only(path: &Path) -> Result<SqliteConnection, OpenError> {
    // Without a journal mode: to set one is to write.
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    connect(path, options.busy_timeout(BUSY_TIMEOUT).disable_statement_logging()).await
}

/// A connection to a database that is there and that nobody else uses.
pub(super) async fn read_write(path: &Path) -> Result<SqliteConnection, OpenError> {
    connect(path, connect_options(path).create_if_missing(false)).await
}

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqliteConnection, OpenError> {
    options.connect().await.map_err(|error| sorted(path, error))
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// A connection to a database that is sound and up to date.
async fn checked(path: &Path, connect: &ToSqlite, migrations: &Migrator) -> Result<SqliteConnection, OpenError> {
    let sort_error = |error: sqlx::Error| sorted(path, error);
    let mut connection = connect.connect().await.map_err(sort_error)?;
    match check_and_migrate(path, &mut connection, migrations, sort_error).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // Whatever closing says, the first error says more.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

async fn check_and_migrate(
    path: &Path,
    connection: &mut SqliteConnection,
    migrations: &Migrator,
    sort_error: impl Fn(sqlx::Error) -> OpenError,
) -> Result<(), OpenError> {
    let check = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await;
    let finding: String = check.map_err(&sort_error)?;
    if finding != "ok" {
        return Err(damaged(path, finding));
    }
    if std::ptr::eq(migrations, &ACCOUNTS) {
        upgrade::keep_accounts(path, connection).await?;
    }
    migrations.run(connection).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => sort_error(error),
        error => OpenError::Migration(path.to_owned(), error),
    })
}

/// Damage, or circumstance.
fn sorted(path: &Path, error: sqlx::Error) -> OpenError {
    match result_code(&error) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => damaged(path, error.to_string()),
        _ => OpenError::Database(path.to_owned(), error),
    }
}

fn damaged(path: &Path, reason: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), reason }
}

/// Renames the database with its log, so that it can still be looked at.
pub(super) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let aside = with_suffix(path, &format!(".corrupt-{now}"));
    fs::rename(path, &aside)?;
    for companion in ["-wal", "-shm"] {
        let from = with_suffix(path, companion);
        if from.exists() {
            fs::rename(from, with_suffix(&aside, companion))?;
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileNo;
    use crate::store::testing::{World, file, song};

    #[tokio::test]
    async fn a_catalogue_of_the_first_version_is_taken_over() {
        let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
        let mut anna = world.member(1).await;
        let path = dir.path().join("catalogue.db");
        let mut first = connect_options(&path).connect().await.unwrap();
        let version = Migrator::with_migrations(CATALOGUE.iter().take(1).cloned().collect());
        version.run(&mut first).await.unwrap();
        let claim = sqlx::query("INSERT INTO claims VALUES (1, ?1, ?2)").bind(song("Old").hash().as_bytes().to_vec());
        claim.bind(song("Old").to_canonical_json()).execute(&mut first).await.unwrap();
        let old = sqlx::query("INSERT INTO files VALUES (1, ?1, ?2, 0, 0, 1, NULL, '[]')");
        let old = old.bind(file(9).root().as_bytes().to_vec()).bind(file(9).length().bytes() as i64);
        old.execute(&mut first).await.unwrap();
        let owner = sqlx::query("INSERT INTO owners VALUES (?1, ?2, 7)").bind(anna.no.0);
        owner.bind(anna.peer().as_bytes().to_vec()).execute(&mut first).await.unwrap();
        for (name, folders) in [("emptied", 0), ("everyone", 1)] {
            let collection = sqlx::query(
                "INSERT INTO collections
                 (member, name, staged, generation, digest, count, bytes, claim_bytes, folders, last_set)
                 VALUES (?1, ?2, 0, 3, zeroblob(32), 0, 0, 0, ?3, zeroblob(32))",
            );
            collection.bind(anna.no.0).bind(name).bind(folders).execute(&mut first).await.unwrap();
        }
        first.close().await.unwrap();

        let replace = |dir: &Path| assert!(fs::copy(&path, dir.join("catalogue.db")).is_ok());
        let world = world.reopened(replace).await;
        let known = world.store.collections(anna.no).await.unwrap();
        let [state] = &known[..] else { panic!("what was emptied is gone: {known:?}") };
        assert_eq!((state.collection.as_str(), state.generation), ("everyone", 3));
        anna.generation = 3;
        let mut bare = anna.change(&[(9, &song("Old"))], &[]);
        bare.add[0].claim = None;
        assert_eq!(anna.send(&world, bare).await.unwrap().added, [FileNo(1)], "its claim is known");
        assert_eq!(anna.share(&world, &[(1, &song("One"))]).await.added.len(), 1);
        assert_eq!(world.store.swept_revision().await.unwrap(), 0);
    }
}
