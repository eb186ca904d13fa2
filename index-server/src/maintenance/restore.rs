//! Puts a backup in the place of what is there.
//!
//! Nothing is deleted: what was there lies in a folder beside it afterwards. At every moment there is a key, or the
//! index would make itself a new one and be a stranger to its members. Libraries whose owner the restored accounts do
//! not know are dropped at the next start.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use choir_shared::Digest;

use super::{ACCOUNTS, CATALOGUE, FIRST_INVITE, KEY, MaintenanceError, Outcome, folder};
use crate::clock::now_unix_s;
use crate::data_dir::{DataDir, write_secret};
use crate::store;

pub(super) async fn restore(data_dir: &Path, from: &Path) -> Result<Outcome, MaintenanceError> {
    check(from).await?;
    let locked = DataDir::open(data_dir).map_err(MaintenanceError::Running)?;
    let aside = data_dir.join(format!("replaced-{}", now_unix_s()));
    DirBuilder::new().mode(0o700).create(&aside).map_err(folder(&aside))?;
    for database in [CATALOGUE, ACCOUNTS] {
        let source = from.join(database);
        if source.exists() {
            let fresh = data_dir.join(database).with_extension("restored");
            store::snapshot(&source, &fresh).await?;
            put(&fresh, data_dir, database, &aside).map_err(folder(data_dir))?;
        }
    }
    for name in [KEY, FIRST_INVITE] {
        let source = from.join(name);
        if source.exists() {
            let contents = fs::read(&source).map_err(folder(&source))?;
            let fresh = data_dir.join(name).with_extension("restored");
            write_secret(&fresh, &contents).map_err(folder(&fresh))?;
            put(&fresh, data_dir, name, &aside).map_err(folder(data_dir))?;
        }
    }
    drop(locked);
    Ok(Outcome::sound(format!("restored from {}; what was there is in {}", from.display(), aside.display())))
}

/// Whether a folder is a backup that this program can run on.
async fn check(from: &Path) -> Result<(), MaintenanceError> {
    let key = from.join(KEY);
    if !from.join(ACCOUNTS).exists() || !key.exists() {
        return Err(MaintenanceError::NoBackup(from.to_owned()));
    }
    let text = fs::read_to_string(&key).map_err(folder(&key))?;
    text.trim_end().parse::<Digest>().map_err(|_| MaintenanceError::Key(key))?;
    for database in [ACCOUNTS, CATALOGUE] {
        let path = from.join(database);
        if path.exists() {
            store::verify(&path).await?;
        }
    }
    match store::upgrades(&from.into()).await?.iter().find(|upgrade| !upgrade.unknown.is_empty()) {
        Some(upgrade) => Err(MaintenanceError::TooNew(from.join(upgrade.database))),
        None => Ok(()),
    }
}

/// Moves `fresh` to its name. What has that name is linked aside first, so that the name is never free; and the log
/// of a database goes before it, or SQLite would play it into the other one.
fn put(fresh: &Path, data_dir: &Path, name: &str, aside: &Path) -> io::Result<()> {
    for companion in ["-wal", "-shm"] {
        let log = format!("{name}{companion}");
        if data_dir.join(&log).exists() {
            fs::rename(data_dir.join(&log), aside.join(&log))?;
        }
    }
    if data_dir.join(name).exists() {
        fs::hard_link(data_dir.join(name), aside.join(name))?;
    }
    fs::rename(fresh, data_dir.join(name))?;
    File::open(data_dir)?.sync_all()
}
