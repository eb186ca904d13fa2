//! The library in the database: what scans found out. What of it is published is the [`ledger`]'s business.
//!
//! Facts are written by the scanner alone, so nobody else's writes come between two of its own. Each batch of facts
//! is published in the transaction that writes it, but for changes so large that they would keep others from
//! writing for too long; these are published in several, and where the program is killed in between, the next start
//! goes on.

mod facts;
mod ledger;
mod rows;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use choir_shared::{Claim, Digest, FileId};

use super::folders::Marker;
use super::hash::KnownContent;
use super::stamp::Stamp;
use crate::database::Database;

use rows::{read_counts, read_file_id, read_known_content, read_known_file, read_located, read_path, read_share};

pub(super) use facts::Fact;
pub use ledger::{ChangesError, ChangesPage, CollectionState};

/// A disk may be away for a holiday; hashes of files that are gone for longer are forgotten.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Files whose publication is brought up to date in one transaction: it takes a tenth of a second.
const PUBLISHED_AT_ONCE: i64 = 1000;

#[derive(Clone, Debug)]
pub(super) struct Store {
    database: Database,
}

/// A shared folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) id: i64,
    pub(super) alias: String,
    pub(super) path: PathBuf,
    pub(super) collection: String,
    /// If it had files.
    pub(super) marker: Option<Marker>,
    pub(super) absent: bool,
}

/// What is known of a file, or was when it vanished.
#[derive(Clone, Debug)]
pub(super) struct KnownFile {
    pub(super) id: i64,
    pub(super) name: OsString,
    pub(super) stamp: Stamp,
    pub(super) content: KnownContent,
    pub(super) is_described: bool,
    pub(super) is_gone: bool,
}

/// A file where it lies.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) share: Share,
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
    pub(super) id: FileId,
    pub(super) stamp: Stamp,
    pub(super) claim: Claim,
}

/// How much is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub files: u64,
    pub bytes: u64,
}

impl Store {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(super) async fn shares(&self) -> Result<Vec<Share>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id AS share, alias, path AS share_path, collection, root_dev, root_inode, absent_since FROM shares ORDER BY id",
        );
        rows.fetch_all(self.database.pool()).await?.iter().map(read_share).collect()
    }

    pub(super) async fn add_share(&self, alias: &str, path: &Path, collection: &str) -> Result<i64, sqlx::Error> {
        let mut writing = self.database.begin_write().await?;
        let inserted = sqlx::query("INSERT INTO shares (alias, path, collection) VALUES (?, ?, ?)");
        let id = inserted
            .bind(alias)
            .bind(path.as_os_str().as_bytes())
            .bind(collection)
            .execute(&mut *writing)
            .await?
            .last_insert_rowid();
        ledger::ensure_collection(&mut writing, collection).await?;
        writing.commit().await?;
        Ok(id)
    }

    /// Withdraws everything in it, then forgets it.
    pub(super) async fn remove_share(&self, share: i64) -> Result<(), sqlx::Error> {
        self.set_absent(share, true).await?;
        let mut writing = self.database.begin_write().await?;
        sqlx::query("DELETE FROM shares WHERE id = ?").bind(share).execute(&mut *writing).await?;
        writing.commit().await?;
        self.publish_rest().await
    }

    /// What the folder itself looks like, if it has files.
    pub(super) async fn set_marker(&self, share: i64, marker: Option<Marker>) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE shares SET root_dev = ?, root_inode = ? WHERE id = ?");
        let update = update.bind(marker.map(|marker| marker.dev.cast_signed()));
        let update = update.bind(marker.map(|marker| marker.inode.cast_signed())).bind(share);
        update.execute(self.database.pool()).await.map(drop)
    }

    pub(super) async fn has_files(&self, share: i64) -> Result<bool, sqlx::Error> {
        let any = sqlx::query(
            "SELECT 1 FROM files JOIN directories ON directories.id = files.directory \
             WHERE share = ? AND gone_since IS NULL LIMIT 1",
        );
        Ok(any.bind(share).fetch_optional(self.database.pool()).await?.is_some())
    }

    /// An absent share's files are withdrawn and kept; those of one that is back are published again.
    pub(super) async fn set_absent(&self, share: i64, absent: bool) -> Result<(), sqlx::Error> {
        let since = absent.then(unix_s);
        sqlx::query("UPDATE shares SET absent_since = ? WHERE id = ?")
            .bind(since)
            .bind(share)
            .execute(self.database.pool())
            .await?;
        self.publish_rest().await
    }

    /// All that is known of the files in one directory, of those that are gone as well.
    pub(super) async fn known_in(&self, share: i64, directory: &Path) -> Result<Vec<KnownFile>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT files.id, name, size, mtime_ns, ctime_ns, inode, describer, gone_since, \
                    content, root, audio_root, audio_offset, audio_length \
             FROM files JOIN directories ON directories.id = files.directory JOIN contents ON contents.id = files.content \
             WHERE share = ? AND path = ?",
        );
        let rows = rows.bind(share).bind(directory.as_os_str().as_bytes()).fetch_all(self.database.pool()).await?;
        rows.iter().map(read_known_file).collect()
    }

    /// The directories below one that have files, relative to the share.
    pub(super) async fn directories_below(&self, share: i64, directory: &Path) -> Result<Vec<PathBuf>, sqlx::Error> {
        let (first, end) = paths_below(directory);
        let paths = sqlx::query_scalar(
            "SELECT path FROM directories WHERE share = ? AND path >= ? AND path < ? \
             AND EXISTS (SELECT 1 FROM files WHERE files.directory = directories.id AND gone_since IS NULL)",
        );
        let paths: Vec<Vec<u8>> = paths.bind(share).bind(first).bind(end).fetch_all(self.database.pool()).await?;
        Ok(paths.into_iter().map(|path| OsString::from_vec(path).into()).collect())
    }

    /// What is known of the file that looks like this, wherever it lay. Where inode numbers are made up, only a file
    /// that is the only one to have looked so, and is not in its place any more.
    pub(super) async fn same_file(&self, stamp: &Stamp) -> Result<Option<KnownContent>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT files.name, directories.path, shares.path AS share_path, \
                    content, root, audio_root, audio_offset, audio_length \
             FROM files JOIN contents ON contents.id = files.content \
             JOIN directories ON directories.id = files.directory JOIN shares ON shares.id = directories.share \
             WHERE size = ? AND mtime_ns = ? AND inode = ? LIMIT 2",
        );
        let rows = rows.bind(stamp.size.cast_signed()).bind(stamp.mtime_ns).bind(stamp.inode.cast_signed());
        let rows = rows.fetch_all(self.database.pool()).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        if stamp.inode == 0 {
            let old = read_path(first, "share_path")?.join(read_path(first, "path")?).join(read_path(first, "name")?);
            let is_gone = tokio::fs::symlink_metadata(old).await.is_err();
            if rows.len() > 1 || !is_gone {
                return Ok(None);
            }
        }
        read_known_content(first).map(Some)
    }

    /// Writes what was found out, and publishes it.
    pub(super) async fn apply(&self, facts: &[Fact]) -> Result<(), sqlx::Error> {
        // Something may be left from a time when the disk was full.
        self.publish_rest().await?;
        let mut writing = self.database.begin_write().await?;
        facts::write(&mut writing, facts).await?;
        ledger::publish(&mut writing, PUBLISHED_AT_ONCE).await?;
        writing.commit().await?;
        self.publish_rest().await
    }

    /// Forgets files that have been gone for long, but not those of folders that are absent.
    pub(super) async fn forget_the_long_gone(&self) -> Result<(), sqlx::Error> {
        let limit = unix_s() - REMEMBERED.as_secs().cast_signed();
        let delete = sqlx::query(
            "DELETE FROM files WHERE gone_since < ? AND directory NOT IN \
             (SELECT directories.id FROM directories JOIN shares ON shares.id = share WHERE absent_since IS NOT NULL)",
        );
        delete.bind(limit).execute(self.database.pool()).await?;
        self.publish_rest().await?;
        // Read from a folder that was removed meanwhile.
        let orphans = "DELETE FROM contents WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.content = contents.id)";
        sqlx::query(orphans).execute(self.database.pool()).await.map(drop)
    }

    /// Brings the ledger up to date with whatever was touched.
    pub(super) async fn publish_rest(&self) -> Result<(), sqlx::Error> {
        loop {
            let mut writing = self.database.begin_write().await?;
            let published = ledger::publish(&mut writing, PUBLISHED_AT_ONCE).await?;
            writing.commit().await?;
            if published < PUBLISHED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// A number that grows with every change of any collection.
    pub(super) async fn revision(&self) -> Result<u64, sqlx::Error> {
        let sum: Option<i64> =
            sqlx::query_scalar("SELECT sum(generation) FROM collections").fetch_one(self.database.pool()).await?;
        Ok(sum.unwrap_or_default().cast_unsigned())
    }

    /// Every place of a file that is shared now, the one that is published first.
    pub(super) async fn places_of(&self, file: &FileId) -> Result<Vec<Located>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT shares.id AS share, alias, shares.path AS share_path, collection, root_dev, root_inode, absent_since, \
                    directories.path, files.name, size, mtime_ns, ctime_ns, inode, claim, root, length \
             FROM contents JOIN files ON files.content = contents.id \
             JOIN directories ON directories.id = files.directory JOIN shares ON shares.id = directories.share \
             WHERE root = ? AND length = ? AND gone_since IS NULL AND absent_since IS NULL ORDER BY files.id",
        );
        let rows = rows.bind(&file.root().as_bytes()[..]).bind(file.length().bytes().cast_signed());
        rows.fetch_all(self.database.pool()).await?.iter().map(read_located).collect()
    }

    pub(super) async fn at(&self, share: i64, directory: &Path, name: &OsStr) -> Result<Option<FileId>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT root, length FROM contents JOIN files ON files.content = contents.id \
             JOIN directories ON directories.id = files.directory \
             WHERE share = ? AND path = ? AND name = ? AND gone_since IS NULL",
        );
        let row = row.bind(share).bind(directory.as_os_str().as_bytes()).bind(name.as_bytes());
        row.fetch_optional(self.database.pool()).await?.as_ref().map(read_file_id).transpose()
    }

    /// Files that are shared and whose root lies between two, at most `limit` of them.
    pub(super) async fn between(
        &self,
        first: &[u8; 32],
        last: &[u8; 32],
        limit: u32,
    ) -> Result<Vec<FileId>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT DISTINCT root, length FROM holdings WHERE root BETWEEN ? AND ? AND gone = 0 LIMIT ?");
        let rows = rows.bind(&first[..]).bind(&last[..]).bind(limit).fetch_all(self.database.pool()).await?;
        rows.iter().map(read_file_id).collect()
    }

    pub(super) async fn with_audio(&self, audio_root: &Digest) -> Result<Vec<FileId>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT root, length FROM contents WHERE audio_root = ? AND EXISTS \
             (SELECT 1 FROM holdings WHERE holdings.root = contents.root AND holdings.length = contents.length AND gone = 0)",
        );
        let rows = rows.bind(&audio_root.as_bytes()[..]).fetch_all(self.database.pool()).await?;
        rows.iter().map(read_file_id).collect()
    }

    pub(super) async fn leaves(&self, file: &FileId) -> Result<Option<Vec<Digest>>, sqlx::Error> {
        let leaves = sqlx::query_scalar(
            "SELECT leaves FROM trees JOIN contents ON contents.id = trees.content WHERE root = ? AND length = ?",
        );
        let leaves: Option<Vec<u8>> = leaves
            .bind(&file.root().as_bytes()[..])
            .bind(file.length().bytes().cast_signed())
            .fetch_optional(self.database.pool())
            .await?;
        Ok(leaves.map(|bytes| bytes.as_chunks().0.iter().copied().map(Digest::new).collect()))
    }

    pub(super) async fn counts(&self) -> Result<Counts, sqlx::Error> {
        let row = sqlx::query(
            "SELECT count(*) AS files, sum(length) AS bytes FROM (SELECT DISTINCT root, length FROM holdings WHERE gone = 0)",
        );
        read_counts(&row.fetch_one(self.database.pool()).await?)
    }

    /// What is published from a share.
    pub(super) async fn counts_of(&self, share: i64) -> Result<Counts, sqlx::Error> {
        let row = sqlx::query(
            "SELECT count(*) AS files, sum(size) AS bytes FROM files JOIN directories ON directories.id = files.directory \
             WHERE share = ? AND EXISTS (SELECT 1 FROM holdings WHERE holdings.file = files.id AND gone = 0)",
        );
        read_counts(&row.bind(share).fetch_one(self.database.pool()).await?)
    }

    /// How many files of a share are published from somewhere else.
    pub(super) async fn duplicates_in(&self, share: i64) -> Result<u64, sqlx::Error> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM files JOIN directories ON directories.id = files.directory \
             JOIN shares ON shares.id = directories.share \
             WHERE share = ? AND absent_since IS NULL AND gone_since IS NULL \
             AND NOT EXISTS (SELECT 1 FROM holdings WHERE holdings.file = files.id AND gone = 0)",
        )
        .bind(share)
        .fetch_one(self.database.pool())
        .await?;
        Ok(count.cast_unsigned())
    }

    pub(super) async fn collections(&self) -> Result<Vec<CollectionState>, sqlx::Error> {
        ledger::collections(self.database.pool()).await
    }

    pub(super) async fn changes_since(
        &self,
        collection: &str,
        after: u64,
        limit: usize,
    ) -> Result<ChangesPage, ChangesError> {
        // One transaction, so that additions, digest and count are of the same moment.
        let mut reading = self.database.pool().begin().await?;
        ledger::changes_since(&mut reading, collection, after, limit).await
    }
}

/// The bounds of all paths strictly below a directory, the upper excluded.
fn paths_below(directory: &Path) -> (Vec<u8>, Vec<u8>) {
    // No path has this many bytes, so none is greater.
    const AFTER_ALL: [u8; 4097] = [0xff; 4097];
    let directory = directory.as_os_str().as_bytes();
    if directory.is_empty() {
        return (vec![0], AFTER_ALL.to_vec());
    }
    // '0' comes right after '/'.
    ([directory, b"/"].concat(), [directory, b"0"].concat())
}

fn unix_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}
