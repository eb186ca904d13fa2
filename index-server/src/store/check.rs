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

use super::columns::digest;
use super::database::{CATALOGUE_FILE, read_only, read_write};
use super::error::OpenError;
use super::files::{self, CatalogueMark};
use super::location::Location;
use super::postgres::{self, Schema};
use super::sql::{Connection, query};
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

/// Compares counts and sums in the catalogue with what they count, as of one moment.
pub async fn check_catalogue(at: &Location) -> Result<Vec<Finding>, OpenError> {
    let mut connection = look_at(at).await?;
    let found = check(&mut connection).await;
    let _ = connection.close().await;
    found.map_err(OpenError::Store)
}

/// What a search index must agree with. Opens nothing for writing, and so mends nothing either.
pub async fn catalogue_mark(at: &Location) -> Result<CatalogueMark, OpenError> {
    let mut connection = look_at(at).await?;
    let mark = files::mark(&mut connection).await;
    let _ = connection.close().await;
    mark.map_err(OpenError::Store)
}

/// Counts anew. A catalogue in a folder must not be in use.
pub async fn recount(at: &Location) -> Result<(), OpenError> {
    let mut connection = match at {
        Location::Folder(dir) => read_write(&dir.join(CATALOGUE_FILE)).await?.into(),
        Location::Postgres(url) => postgres::connect(url, Schema::Catalogue).await?.into(),
    };
    count_anew(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Moves the catalogue in `dir` aside, so that the next start begins a new one. Where to.
pub fn begin_anew(dir: &Path) -> Result<std::path::PathBuf, OpenError> {
    database::set_aside(&dir.join(CATALOGUE_FILE)).map_err(|error| OpenError::Folder(dir.to_owned(), error))
}

async fn look_at(at: &Location) -> Result<Connection, OpenError> {
    Ok(match at {
        Location::Folder(dir) => read_only(&dir.join(CATALOGUE_FILE)).await?.into(),
        Location::Postgres(url) => postgres::connect(url, Schema::Catalogue).await?.into(),
    })
}

async fn check(connection: &mut Connection) -> Result<Vec<Finding>, StoreError> {
    connection.begin_reading().await?;
    let holders = wrong_holders(connection).await?;
    let dangling: i64 = query(
        "SELECT count(*) FROM holdings h
         LEFT JOIN collections c ON c.no = h.collection LEFT JOIN files f ON f.no = h.file
         LEFT JOIN claims l ON l.no = h.claim WHERE c.no IS NULL OR f.no IS NULL OR l.no IS NULL",
    )
    .at_length()
    .fetch_one(&mut *connection)
    .await?;
    let totals_right: bool = query(
        "SELECT files = (SELECT count(*) FROM files WHERE holders > 0)
         AND holdings = (SELECT CAST(coalesce(sum(holders), 0) AS BIGINT) FROM files) FROM catalogue",
    )
    .at_length()
    .fetch_one(&mut *connection)
    .await?;
    let collections = wrong_collections(connection).await?;
    connection.roll_back().await?;
    let mut findings = Vec::new();
    findings.extend((!totals_right).then_some(Finding::Totals));
    findings.extend((holders > 0).then_some(Finding::Holders(holders)));
    findings.extend((dangling > 0).then_some(Finding::Dangling(dangling.unsigned_abs())));
    findings.extend((collections > 0).then_some(Finding::Collections(collections)));
    Ok(findings)
}

/// How many files have another number of holders than is written. Read in one pass: there is no index from a file to
/// its holdings.
async fn wrong_holders(connection: &mut Connection) -> Result<u64, StoreError> {
    let wrong: i64 = query(
        "SELECT count(*) FROM files f LEFT JOIN (
             SELECT h.file, count(DISTINCT c.member) AS members FROM collections c
             CROSS JOIN holdings h WHERE h.collection = c.no AND NOT c.staged GROUP BY h.file
         ) t ON t.file = f.no WHERE f.holders <> coalesce(t.members, 0)",
    )
    .at_length()
    .fetch_one(connection)
    .await?;
    Ok(wrong.unsigned_abs())
}

/// How many collections have another count or digest than is written.
async fn wrong_collections(connection: &mut Connection) -> Result<u64, StoreError> {
    let mut sums: HashMap<u32, (LibraryDigest, u64)> = HashMap::new();
    let rows = query(
        "SELECT h.collection, f.root, f.length, l.hash FROM holdings h
         CROSS JOIN files f CROSS JOIN claims l WHERE f.no = h.file AND l.no = h.claim",
    );
    let add = |(collection, root, length, claim): (u32, Vec<u8>, u64, Vec<u8>)| {
        let length = FileLength::new(length).map_err(|_| StoreError::Corrupt("a length out of range"))?;
        let (sum, count) = sums.entry(collection).or_insert((LibraryDigest::EMPTY, 0));
        sum.insert(&FileId::new(digest(&root)?, length), &digest(&claim)?);
        *count += 1;
        Ok(())
    };
    rows.for_each(connection, add).await?;
    let written: Vec<(u32, Vec<u8>, u64)> =
        query("SELECT no, digest, count FROM collections").at_length().fetch_all(connection).await?;
    let mut wrong = 0;
    for (no, written, count) in written {
        let there = sums.remove(&no).unwrap_or((LibraryDigest::EMPTY, 0));
        wrong += u64::from(there != (digest(&written)?.into(), count));
    }
    Ok(wrong)
}

async fn count_anew(connection: &mut Connection) -> Result<(), StoreError> {
    connection.begin_writing().await?;
    query(
        "UPDATE files SET holders = coalesce(t.members, 0) FROM (
             SELECT f.no, t.members FROM files f LEFT JOIN (
                 SELECT h.file, count(DISTINCT c.member) AS members FROM collections c
                 CROSS JOIN holdings h WHERE h.collection = c.no AND NOT c.staged GROUP BY h.file
             ) t ON t.file = f.no WHERE f.holders <> coalesce(t.members, 0)
         ) t WHERE t.no = files.no",
    )
    .at_length()
    .execute(&mut *connection)
    .await?;
    query(
        "UPDATE catalogue SET files = (SELECT count(*) FROM files WHERE holders > 0),
         holdings = (SELECT CAST(coalesce(sum(holders), 0) AS BIGINT) FROM files)",
    )
    .at_length()
    .execute(&mut *connection)
    .await?;
    connection.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{World, on_both_databases, song};

    /// Two sharers with one file in common.
    async fn share(world: &World) {
        let (mut anna, mut bert) = (world.member(1).await, world.member(2).await);
        anna.share(world, &[(1, &song("One")), (2, &song("Two"))]).await;
        bert.share(world, &[(2, &song("Two"))]).await;
    }

    /// What is found after `meddling` with the catalogue.
    async fn found_after(world: &World, meddling: &'static str) -> Vec<Finding> {
        let meddle = query(meddling);
        let meddling = world.store.catalogue.writer.run(|db| Box::pin(async { meddle.execute(db).await.map(drop) }));
        meddling.await.unwrap();
        check_catalogue(&world.location).await.unwrap()
    }

    async fn a_sound_catalogue_has_nothing_to_be_found(world: World) {
        share(&world).await;
        assert_eq!(check_catalogue(&world.location).await.unwrap(), []);
    }

    async fn wrong_counts_are_found_and_mended(world: World) {
        share(&world).await;
        assert_eq!(found_after(&world, "UPDATE catalogue SET holdings = 99").await, [Finding::Totals]);
        let found = found_after(&world, "UPDATE files SET holders = 7 WHERE no = 2").await;
        assert_eq!(found, [Finding::Totals, Finding::Holders(1)]);
        assert!(found.iter().all(Finding::is_a_count));
        recount(&world.location).await.unwrap();
        assert_eq!(check_catalogue(&world.location).await.unwrap(), []);
        assert_eq!(world.store.counts().await.unwrap().holdings, 3);
    }

    async fn lost_holdings_are_found(world: World) {
        share(&world).await;
        let found = found_after(&world, "DELETE FROM holdings WHERE file = 1").await;
        assert_eq!(found, [Finding::Holders(1), Finding::Collections(1)]);
        assert!(!found.iter().all(Finding::is_a_count));
    }

    async fn a_changed_digest_is_found(world: World) {
        share(&world).await;
        let meddling = "UPDATE collections SET digest = (SELECT hash FROM claims WHERE no = 1) WHERE no = 1";
        assert_eq!(found_after(&world, meddling).await, [Finding::Collections(1)]);
    }

    async fn lost_claims_are_found(world: World) {
        share(&world).await;
        let meddling = "DELETE FROM claims WHERE no = (SELECT claim FROM holdings WHERE file = 1)";
        assert_eq!(found_after(&world, meddling).await, [Finding::Dangling(1), Finding::Collections(1)]);
    }

    on_both_databases! {
        a_sound_catalogue_has_nothing_to_be_found,
        wrong_counts_are_found_and_mended,
        lost_holdings_are_found,
        a_changed_digest_is_found,
        lost_claims_are_found,
    }
}
