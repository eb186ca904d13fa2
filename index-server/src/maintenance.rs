//! What is done to an index's folder from outside of the program that runs on it.
//!
//! Databases on a PostgreSQL server are copied with the server's own means; what can be checked and mended with
//! statements is checked and mended here, wherever they are.
//!
//! - **Looking and copying** (`check`, `backup`, `migrate --check`) may happen while the index runs.
//! - **Changing** (`check --repair`, `restore`, `migrate`) takes the folder's lock, and so asks for the index to be
//!   stopped.

mod backup;
mod check;
mod migrate;
mod restore;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use backup::Extent;

use crate::data_dir::DataDirError;
use crate::indexer;
use crate::store::{self, Location, PostgresUrl};

/// The precious database: where it is, there is an index.
const ACCOUNTS: &str = "accounts.db";

const CATALOGUE: &str = "catalogue.db";

/// Small files that belong to an index's identity, and go into every backup if they are there.
const KEY: &str = "index.key";
const FIRST_INVITE: &str = "first-invite";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    Check { repair: Repair },
    Backup { to: PathBuf, extent: Extent },
    Restore { from: PathBuf },
    Migrate { mode: Migrate },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    Look,
    Mend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    Look,
    Do,
}

/// What a task has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For people.
    pub text: String,
    pub state: State,
}

/// What scripts ask: is all as it should be now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Sound,
    NeedsAttention,
}

impl Outcome {
    fn sound(text: impl Into<String>) -> Self {
        Self { text: text.into(), state: State::Sound }
    }

    fn needs_attention(text: impl Into<String>) -> Self {
        Self { text: text.into(), state: State::NeedsAttention }
    }
}

/// Does a task on the index in `data_dir`.
pub async fn perform(data_dir: &Path, database: &Location, task: &Task) -> Result<Outcome, MaintenanceError> {
    let precious = match database {
        Location::Folder(_) => ACCOUNTS,
        Location::Postgres(_) => KEY,
    };
    // A new folder is begun by running an index, and by restoring one.
    if !matches!(task, Task::Restore { .. }) && !data_dir.join(precious).exists() {
        return Err(MaintenanceError::NoIndex(data_dir.to_owned()));
    }
    match (task, database) {
        (Task::Check { repair }, _) => check::check(data_dir, database, *repair).await,
        (Task::Migrate { mode }, _) => migrate::migrate(data_dir, database, *mode).await,
        (Task::Backup { to, extent }, Location::Folder(_)) => backup::backup(data_dir, to, *extent).await,
        (Task::Restore { from }, Location::Folder(_)) => restore::restore(data_dir, from).await,
        (Task::Backup { .. }, Location::Postgres(url)) => {
            Err(MaintenanceError::BackupOfServer(url.clone(), data_dir.join(KEY)))
        }
        (Task::Restore { .. }, Location::Postgres(url)) => {
            Err(MaintenanceError::RestoreOfServer(url.clone(), data_dir.join(KEY)))
        }
    }
}

/// Why a task was not done.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    #[error("there is no index in {path} (give --data-dir if it is elsewhere)", path = .0.display())]
    NoIndex(PathBuf),
    #[error("{path} is there already, and a backup replaces nothing", path = .0.display())]
    Exists(PathBuf),
    #[error("{path} is no backup: it has no {ACCOUNTS} and {KEY}", path = .0.display())]
    NoBackup(PathBuf),
    #[error("the key in {path} is damaged", path = .0.display())]
    Key(PathBuf),
    #[error("{path} was written by a later version of this program", path = .0.display())]
    TooNew(PathBuf),
    #[error("stop the index first: {0}")]
    Running(#[source] DataDirError),
    #[error("cannot use {path}: {source}", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "the database is on a server: copy it with pg_dump --schema=accounts (and --schema=catalogue for what is \
         shared) from {0}, and keep {path} with it", path = .1.display()
    )]
    BackupOfServer(PostgresUrl, PathBuf),
    #[error(
        "the database is on a server: stop the index, drop the schemas accounts and catalogue of {0}, put a copy made \
         with pg_dump back with psql or pg_restore, and its key into {path}", path = .1.display()
    )]
    RestoreOfServer(PostgresUrl, PathBuf),
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    Search(#[from] indexer::OpenError),
}

fn folder(path: &Path) -> impl Fn(io::Error) -> MaintenanceError {
    move |source| MaintenanceError::Folder { path: path.to_owned(), source }
}

/// Joins what is to be read line by line.
fn lines(lines: &[impl fmt::Display]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
