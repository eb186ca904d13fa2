//! Rows of the database as what they stand for.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use choir_shared::audio::AudioId;
use choir_shared::leaf::FileLength;
use choir_shared::{Claim, Digest, FileId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::describe::DESCRIBER_VERSION;
use super::super::folders::Marker;
use super::super::hash::KnownContent;
use super::super::stamp::Stamp;
use super::{Counts, KnownFile, Located, Share};

pub(super) fn read_share(row: &SqliteRow) -> Result<Share, sqlx::Error> {
    let (dev, inode): (Option<i64>, Option<i64>) = (row.try_get("root_dev")?, row.try_get("root_inode")?);
    Ok(Share {
        id: row.try_get("share")?,
        alias: row.try_get("alias")?,
        path: read_path(row, "share_path")?,
        collection: row.try_get("collection")?,
        marker: dev.zip(inode).map(|(dev, inode)| Marker { dev: dev.cast_unsigned(), inode: inode.cast_unsigned() }),
        absent: row.try_get::<Option<i64>, _>("absent_since")?.is_some(),
    })
}

pub(super) fn read_located(row: &SqliteRow) -> Result<Located, sqlx::Error> {
    Ok(Located {
        share: read_share(row)?,
        directory: read_path(row, "path")?,
        name: read_path(row, "name")?.into(),
        id: read_file_id(row)?,
        stamp: read_stamp(row)?,
        claim: Claim::parse(row.try_get::<&str, _>("claim")?.as_bytes()).map_err(broken("claim"))?,
    })
}

pub(super) fn read_known_file(row: &SqliteRow) -> Result<KnownFile, sqlx::Error> {
    Ok(KnownFile {
        id: row.try_get("id")?,
        name: read_path(row, "name")?.into(),
        stamp: read_stamp(row)?,
        content: read_known_content(row)?,
        is_described: row.try_get::<u32, _>("describer")? == DESCRIBER_VERSION,
        is_gone: row.try_get::<Option<i64>, _>("gone_since")?.is_some(),
    })
}

pub(super) fn read_known_content(row: &SqliteRow) -> Result<KnownContent, sqlx::Error> {
    let root: Option<&[u8]> = row.try_get("audio_root")?;
    let audio = match root {
        Some(root) => Some(AudioId {
            root: Digest::try_from(root).map_err(broken("audio_root"))?,
            offset: row.try_get::<i64, _>("audio_offset")?.cast_unsigned(),
            length: read_length(row, "audio_length")?,
        }),
        None => None,
    };
    Ok(KnownContent { id: row.try_get("content")?, audio })
}

pub(super) fn read_stamp(row: &SqliteRow) -> Result<Stamp, sqlx::Error> {
    Ok(Stamp {
        size: row.try_get::<i64, _>("size")?.cast_unsigned(),
        mtime_ns: row.try_get("mtime_ns")?,
        ctime_ns: row.try_get("ctime_ns")?,
        inode: row.try_get::<i64, _>("inode")?.cast_unsigned(),
    })
}

pub(super) fn read_counts(row: &SqliteRow) -> Result<Counts, sqlx::Error> {
    let (files, bytes): (i64, Option<i64>) = (row.try_get("files")?, row.try_get("bytes")?);
    Ok(Counts { files: files.cast_unsigned(), bytes: bytes.unwrap_or_default().cast_unsigned() })
}

pub(super) fn read_file_id(row: &SqliteRow) -> Result<FileId, sqlx::Error> {
    Ok(FileId::new(read_digest(row, "root")?, read_length(row, "length")?))
}

pub(super) fn read_length(row: &SqliteRow, column: &'static str) -> Result<FileLength, sqlx::Error> {
    FileLength::new(row.try_get::<i64, _>(column)?.cast_unsigned()).map_err(broken(column))
}

pub(super) fn read_digest(row: &SqliteRow, column: &'static str) -> Result<Digest, sqlx::Error> {
    Digest::try_from(row.try_get::<&[u8], _>(column)?).map_err(broken(column))
}

pub(super) fn read_path(row: &SqliteRow, column: &str) -> Result<PathBuf, sqlx::Error> {
    Ok(OsString::from_vec(row.try_get(column)?).into())
}

/// What we wrote ourselves and cannot read any more.
pub(super) fn broken<E: std::error::Error + Send + Sync + 'static>(column: &'static str) -> impl Fn(E) -> sqlx::Error {
    move |error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}
