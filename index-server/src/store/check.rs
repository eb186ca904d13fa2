//! Whether what the catalogue counts is what is there.
//!
//! Counts can be made anew. Whatever else does not agree means that something was lost, and the catalogue is begun
//! anew: its owners publish again what they share.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use choir_shared::FileId;
use choir_shared::leaf::FileLength;
use choir_shared::library::LibraryDigest;
use futures_util::TryStreamExt as _;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::columns::digest;
use super::database::{read_only, read_write};
use super::error::OpenError;
use super::{StoreError, database};

/// Something in the catalogue that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Totals of the catalogue.
    Totals,
    /// Files whose number of holders is wrong.
    Holders(u64),
    /// Holdings of files, claims or collections that are not there.
    Dangling(u64),
    /// Collections that hold something else than their owner published.
    Collections(u64),
}

impl Finding {
    /// Whether counting anew mends it.
    pub const fn is_a_count(&self) -> bool {
        matches!(self, Self::Totals | Self::Holders(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Totals => f.write_str("the totals of files and holdings are wrong"),
            Self::Holders(files) => write!(f, "{files} files have a wrong number of holders"),
            Self::Dangling(holdings) => write!(f, "{holdings} holdings point at nothing"),
            Self::Collections(collections) => {
                write!(f, "{collections} collections are not what their owners published")
            }
        }
    }
}

/// Compares counts and sums in the catalogue of `dir` with what they count, as of one moment.
pub async fn check_catalogue(dir: &Path) -> Result<Vec<Finding>, OpenError> {
    let path = dir.join("catalogue.db");
    let mut connection = read_only(&path).await?;
    let found = check(&mut connection).await;
    let _ = connection.close().await;
    found.map_err(OpenError::Store)
}

/// Counts anew. Not for a catalogue that is in use.
pub async fn recount(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join("catalogue.db");
    let mut connection = read_write(&path).await?;
    let counted = count_anew(&mut connection).await;
    let closed = connection.close().await;
    counted.and(closed).map_err(|error| OpenError::Database(path, error))
}

/// Moves the catalogue aside, so that the next start begins a new one. Where to.
pub fn begin_anew(dir: &Path) -> Result<std::path::PathBuf, OpenError> {
    database::set_aside(&dir.join("catalogue.db")).map_err(|error| OpenError::Folder(dir.to_owned(), error))
}

async fn check(connection: &mut SqliteConnection) -> Result<Vec<Finding>, StoreError> {
    let mut now = connection.begin().await?;
    let holders = wrong_holders(&mut now).await?;
    let dangling: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM holdings h
         LEFT JOIN collections c ON c.no = h.collection LEFT JOIN files f ON f.no = h.file
         LEFT JOIN claims l ON l.no = h.claim WHERE c.no IS NULL OR f.no IS NULL OR l.no IS NULL",
    )
    .fetch_one(&mut *now)
    .await?;
    let totals_right: bool = sqlx::query_scalar(
        "SELECT files = (SELECT count(*) FROM files WHERE holders > 0)
         AND holdings = (SELECT coalesce(sum(holders), 0) FROM files) FROM catalogue",
    )
    .fetch_one(&mut *now)
    .await?;
    let collections = wrong_collections(&mut now).await?;
    now.rollback().await?;
    let mut findings = Vec::new();
    findings.extend((!totals_right).then_some(Finding::Totals));
    findings.extend((holders > 0).then_some(Finding::Holders(holders)));
    findings.extend((dangling > 0).then_some(Finding::Dangling(dangling.unsigned_abs())));
    findings.extend((collections > 0).then_some(Finding::Collections(collections)));
    Ok(findings)
}

/// How many files have another number of holders than is written. Read in one pass: there is no index from a file to
/// its holdings.
async fn wrong_holders(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM files f LEFT JOIN (
             SELECT h.file, count(DISTINCT c.member) AS members FROM collections c
             CROSS JOIN holdings h ON h.collection = c.no WHERE c.staged = 0 GROUP BY h.file
         ) t ON t.file = f.no WHERE f.holders <> coalesce(t.members, 0)",
    )
    .fetch_one(connection)
    .await?;
    Ok(wrong.unsigned_abs())
}

/// How many collections have another count or digest than is written.
async fn wrong_collections(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let mut sums: HashMap<u32, (LibraryDigest, u64)> = HashMap::new();
    let mut rows = sqlx::query_as::<_, (u32, Vec<u8>, u64, Vec<u8>)>(
        "SELECT h.collection, f.root, f.length, l.hash FROM holdings h
         CROSS JOIN files f ON f.no = h.file CROSS JOIN claims l ON l.no = h.claim",
    )
    .fetch(&mut *connection);
    while let Some((collection, root, length, claim)) = rows.try_next().await? {
        let length = FileLength::new(length).map_err(|_| StoreError::Corrupt("a length out of range"))?;
        let (sum, count) = sums.entry(collection).or_insert((LibraryDigest::EMPTY, 0));
        sum.insert(&FileId::new(digest(&root)?, length), &digest(&claim)?);
        *count += 1;
    }
    drop(rows);
    let written: Vec<(u32, Vec<u8>, u64)> =
        sqlx::query_as("SELECT no, digest, count FROM collections").fetch_all(connection).await?;
    let mut wrong = 0;
    for (no, written, count) in written {
        let there = sums.remove(&no).unwrap_or((LibraryDigest::EMPTY, 0));
        wrong += u64::from(there != (digest(&written)?.into(), count));
    }
    Ok(wrong)
}

async fn count_anew(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut change = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "UPDATE files SET holders = coalesce(t.members, 0) FROM (
             SELECT f.no, t.members FROM files f LEFT JOIN (
                 SELECT h.file, count(DISTINCT c.member) AS members FROM collections c
                 CROSS JOIN holdings h ON h.collection = c.no WHERE c.staged = 0 GROUP BY h.file
             ) t ON t.file = f.no WHERE f.holders <> coalesce(t.members, 0)
         ) t WHERE t.no = files.no",
    )
    .execute(&mut *change)
    .await?;
    sqlx::query(
        "UPDATE catalogue SET files = (SELECT count(*) FROM files WHERE holders > 0),
         holdings = (SELECT coalesce(sum(holders), 0) FROM files)",
    )
    .execute(&mut *change)
    .await?;
    change.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{World, song};

    /// A world of two sharers with one file in common.
    async fn world() -> World {
        let world = World::new().await;
        let (mut anna, mut bert) = (world.member(1).await, world.member(2).await);
        anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
        bert.share(&world, &[(2, &song("Two"))]).await;
        world
    }

    /// What is found after `meddling` with the catalogue.
    async fn found_after(world: &World, meddling: &'static str) -> Vec<Finding> {
        let mut connection = read_write(&world.dir.path().join("catalogue.db")).await.unwrap();
        sqlx::query(meddling).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        check_catalogue(world.dir.path()).await.unwrap()
    }

    #[tokio::test]
    async fn a_sound_catalogue_has_nothing_to_be_found() {
        assert_eq!(check_catalogue(world().await.dir.path()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn wrong_counts_are_found_and_mended() {
        let world = world().await;
        assert_eq!(found_after(&world, "UPDATE catalogue SET holdings = 99").await, [Finding::Totals]);
        let found = found_after(&world, "UPDATE files SET holders = 7 WHERE no = 2").await;
        assert_eq!(found, [Finding::Totals, Finding::Holders(1)]);
        assert!(found.iter().all(Finding::is_a_count));
        recount(world.dir.path()).await.unwrap();
        assert_eq!(check_catalogue(world.dir.path()).await.unwrap(), []);
        assert_eq!(world.store.counts().await.unwrap().holdings, 3);
    }

    #[tokio::test]
    async fn what_was_lost_is_found() {
        let lost = [
            ("DELETE FROM holdings WHERE file = 1", vec![Finding::Holders(1), Finding::Collections(1)]),
            ("UPDATE collections SET digest = zeroblob(32) WHERE no = 1", vec![Finding::Collections(1)]),
            (
                "DELETE FROM claims WHERE no = (SELECT claim FROM holdings WHERE file = 1)",
                vec![Finding::Dangling(1), Finding::Collections(1)],
            ),
        ];
        for (meddling, expected) in lost {
            let found = found_after(&world().await, meddling).await;
            assert_eq!(found, expected, "{meddling}");
            assert!(!found.iter().all(Finding::is_a_count));
        }
    }
}
