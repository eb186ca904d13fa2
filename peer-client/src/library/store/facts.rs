//! Writing down what a scan found out.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use choir_shared::audio::HashedSong;
use sqlx::SqliteConnection;

use super::super::describe::DESCRIBER_VERSION;
use super::super::hash::{Content, Place, ReadFile};
use super::super::stamp::Stamp;
use super::{paths_below, unix_s};

/// A change that a scan found out.
#[derive(Debug)]
pub(in super::super) enum Fact {
    /// A file was read.
    Read(Box<ReadFile>),
    /// A file that had vanished is back as it was.
    Back {
        file: i64,
        stamp: Stamp,
    },
    Gone {
        file: i64,
    },
    /// There is nothing to share there, whatever was known of it.
    NotShared {
        place: Arc<Place>,
    },
    /// A directory is gone with all below.
    DirectoryGone {
        share: i64,
        directory: PathBuf,
    },
}

pub(super) async fn write(writing: &mut SqliteConnection, facts: &[Fact]) -> Result<(), sqlx::Error> {
    let mut directory = None;
    for fact in facts {
        if let Fact::Read(file) = fact {
            // Neighbours come one after the other.
            let its_own = (file.place.share, file.place.directory.as_path());
            if directory.replace(its_own) != Some(its_own) {
                write_directory(writing, its_own.0, its_own.1).await?;
            }
        }
        write_one(writing, fact).await?;
    }
    Ok(())
}

async fn write_one(writing: &mut SqliteConnection, fact: &Fact) -> Result<(), sqlx::Error> {
    match fact {
        Fact::Read(file) => write_file(writing, file).await,
        Fact::Back { file, stamp } => {
            let update = sqlx::query(
                "UPDATE files SET gone_since = NULL, size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE id = ?",
            );
            let update = update.bind(stamp.size.cast_signed()).bind(stamp.mtime_ns).bind(stamp.ctime_ns);
            update.bind(stamp.inode.cast_signed()).bind(file).execute(writing).await.map(drop)
        }
        Fact::Gone { file } => {
            let update = sqlx::query("UPDATE files SET gone_since = ? WHERE id = ? AND gone_since IS NULL");
            update.bind(unix_s()).bind(file).execute(writing).await.map(drop)
        }
        Fact::NotShared { place } => {
            let update = sqlx::query(
                "UPDATE files SET gone_since = ? WHERE gone_since IS NULL AND name = ? AND directory = \
                 (SELECT id FROM directories WHERE share = ? AND path = ?)",
            );
            let update = update.bind(unix_s()).bind(place.name.as_bytes()).bind(place.share);
            update.bind(place.directory.as_os_str().as_bytes()).execute(writing).await.map(drop)
        }
        Fact::DirectoryGone { share, directory } => {
            let (first, end) = paths_below(directory);
            let update = sqlx::query(
                "UPDATE files SET gone_since = ? WHERE gone_since IS NULL AND directory IN \
                 (SELECT id FROM directories WHERE share = ? AND (path = ? OR path >= ? AND path < ?))",
            );
            let update = update.bind(unix_s()).bind(share).bind(directory.as_os_str().as_bytes());
            update.bind(first).bind(end).execute(writing).await.map(drop)
        }
    }
}

async fn write_directory(writing: &mut SqliteConnection, share: i64, directory: &Path) -> Result<(), sqlx::Error> {
    // The share may have been removed while its last files were read.
    let added = sqlx::query("INSERT OR IGNORE INTO directories (share, path) SELECT id, ? FROM shares WHERE id = ?");
    added.bind(directory.as_os_str().as_bytes()).bind(share).execute(writing).await.map(drop)
}

async fn write_file(writing: &mut SqliteConnection, file: &ReadFile) -> Result<(), sqlx::Error> {
    let content = match &file.content {
        Content::Known(id) => *id,
        Content::Hashed(song) => write_content(writing, song).await?,
    };
    let directory = file.place.directory.as_os_str().as_bytes();
    let hash = file.claim.hash();
    let write = sqlx::query(
        "INSERT INTO files (directory, name, size, mtime_ns, ctime_ns, inode, content, claim, claim_hash, describer) \
         SELECT directories.id, ?, ?, ?, ?, ?, contents.id, ?, ?, ? \
         FROM directories JOIN contents ON contents.id = ? WHERE share = ? AND path = ? \
         ON CONFLICT (directory, name) DO UPDATE SET \
         size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode, \
         content = excluded.content, claim = excluded.claim, claim_hash = excluded.claim_hash, \
         describer = excluded.describer, gone_since = NULL",
    );
    write
        .bind(file.place.name.as_bytes())
        .bind(file.stamp.size.cast_signed())
        .bind(file.stamp.mtime_ns)
        .bind(file.stamp.ctime_ns)
        .bind(file.stamp.inode.cast_signed())
        .bind(file.claim.to_canonical_json())
        .bind(&hash.as_bytes()[..])
        .bind(DESCRIBER_VERSION)
        .bind(content)
        .bind(file.place.share)
        .bind(directory)
        .execute(writing)
        .await
        .map(drop)
}

async fn write_content(writing: &mut SqliteConnection, song: &HashedSong) -> Result<i64, sqlx::Error> {
    let id = &song.file.id;
    let insert = sqlx::query_scalar(
        "INSERT INTO contents (root, length, audio_root, audio_offset, audio_length) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (root, length) DO UPDATE SET \
         audio_root = excluded.audio_root, audio_offset = excluded.audio_offset, audio_length = excluded.audio_length \
         RETURNING id",
    );
    let content: i64 = insert
        .bind(&id.root().as_bytes()[..])
        .bind(id.length().bytes().cast_signed())
        .bind(song.audio.as_ref().map(|audio| &audio.root.as_bytes()[..]))
        .bind(song.audio.map(|audio| audio.offset.cast_signed()))
        .bind(song.audio.map(|audio| audio.length.bytes().cast_signed()))
        .fetch_one(&mut *writing)
        .await?;
    let leaves: Vec<u8> = song.file.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
    let insert = sqlx::query("INSERT OR IGNORE INTO trees (content, leaves) VALUES (?, ?)");
    insert.bind(content).bind(leaves).execute(writing).await?;
    Ok(content)
}
