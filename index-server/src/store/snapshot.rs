//! Copies of databases that may be in use.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::database::read_only;
use super::error::OpenError;

/// Copies the database at `from` as it is now, whoever is writing to it, to a file that is not there yet or is
/// replaced. The copy is checked, whole on disk, and for its owner alone.
pub async fn snapshot(from: &Path, to: &Path) -> Result<(), OpenError> {
    let mut connection = read_only(from).await?;
    let copied = copy(&mut connection, from, to).await;
    let _ = connection.close().await;
    copied
}

/// The same over a connection that is there.
pub(super) async fn copy(connection: &mut SqliteConnection, from: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Folder(to.to_owned(), error);
    let unfinished = to.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let path = unfinished.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(path).execute(&mut *connection).await;
    copied.map_err(|error| OpenError::Database(from.to_owned(), error))?;
    verify(&unfinished).await?;
    let finish = || {
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, to)?;
        to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    finish().map_err(failed)
}

/// Reads every page of a database and compares its indexes with its tables.
pub async fn verify(path: &Path) -> Result<(), OpenError> {
    let mut connection = read_only(path).await?;
    let check = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await;
    let _ = connection.close().await;
    let damaged = |reason| OpenError::Damaged { path: path.to_owned(), reason };
    let finding: String = check.map_err(|error| damaged(error.to_string()))?;
    if finding == "ok" { Ok(()) } else { Err(damaged(finding)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{World, song};

    #[tokio::test]
    async fn a_database_in_use_is_copied_whole_and_privately() {
        let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
        let mut anna = world.member(1).await;
        anna.share(&world, &[(1, &song("One"))]).await;
        for (name, table) in [("accounts.db", "members"), ("catalogue.db", "files")] {
            let to = dir.path().join(name);
            snapshot(&world.dir.path().join(name), &to).await.unwrap();
            snapshot(&world.dir.path().join(name), &to).await.unwrap();
            assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
            let mut copy = read_only(&to).await.unwrap();
            let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
                .fetch_all(&mut copy)
                .await
                .unwrap();
            assert!(tables.iter().any(|known| known == table), "{tables:?}");
            copy.close().await.unwrap();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
        fs::write(dir.path().join("accounts.db"), b"no database at all".repeat(500)).unwrap();
        assert!(matches!(verify(&dir.path().join("accounts.db")).await, Err(OpenError::Damaged { .. })));
    }
}
