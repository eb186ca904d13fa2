//! Distinct files: their numbers, what is shown of them, and what search has to be told.

use std::collections::HashMap;

use choir_shared::album::album_key;
use choir_shared::claim::Kind;
use choir_shared::index_api::SearchRow;
use choir_shared::leaf::FileLength;
use choir_shared::{Claim, FileId};

use super::Store;
use super::ballot::Ballot;
use super::columns::{claim, digest, json};
use super::error::StoreError;
use super::numbers::{ClaimNo, FileNo};
use super::sql::{Connection, On, Row, query};

/// A file as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRow {
    pub no: FileNo,
    /// With `sources` 0: who is online is not known here.
    pub row: SearchRow,
    pub claim: Claim,
    /// Distinct members that hold it, online or not.
    pub holders: u32,
}

/// A file that search has to learn about, or to forget.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedFile {
    pub no: FileNo,
    pub id: FileId,
    pub revision: u64,
    pub claim: Claim,
    pub holders: u32,
    /// Whether the operator lets nobody find it. Not known to the store.
    pub blocked: bool,
}

impl IndexedFile {
    /// Whether search should find it: a song that somebody holds and nobody has blocked.
    pub fn is_searchable(&self) -> bool {
        self.holders > 0 && !self.blocked && self.claim.kind == Kind::Song
    }
}

/// What tells whether a search index is fit for the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueMark {
    pub identity: [u8; 16],
    /// Of the latest change.
    pub revision: u64,
    /// A search index that ends before this one may hold files that are no longer here.
    pub swept_revision: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Distinct files that somebody holds.
    pub files: u64,
    /// Pairs of a member and a file.
    pub holdings: u64,
    pub members: u64,
}

impl Store {
    pub async fn file_no(&self, file: &FileId) -> Result<Option<FileNo>, StoreError> {
        let no: Option<u32> = query("SELECT no FROM files WHERE root = $1 AND length = $2")
            .bind(file.root().as_bytes().to_vec())
            .bind(file.length().bytes() as i64)
            .fetch_optional(&self.catalogue.readers)
            .await?;
        Ok(no.map(FileNo))
    }

    /// Those of the files that are known, with their numbers.
    pub async fn file_nos(&self, files: &[FileId]) -> Result<HashMap<FileId, FileNo>, StoreError> {
        let found: Vec<(u32, u32)> = query(
            "SELECT j.key, f.no FROM json_each($1) j
             CROSS JOIN files f WHERE f.root = unhex(j.value ->> 0) AND f.length = CAST(j.value ->> 1 AS BIGINT)",
        )
        .bind(keys(files.iter()))
        .fetch_all(&self.catalogue.readers)
        .await?;
        Ok(found.into_iter().filter_map(|(key, no)| Some((*files.get(key as usize)?, FileNo(no)))).collect())
    }

    /// Those of the files that exist, in the order asked for.
    pub async fn files_by_no(&self, numbers: &[FileNo]) -> Result<Vec<FileRow>, StoreError> {
        let rows = query(
            "SELECT f.no, f.root, f.length, f.holders, coalesce(f.composed, c.json) AS claim
             FROM json_each($1) j CROSS JOIN files f CROSS JOIN claims c
             WHERE f.no = CAST(j.value AS BIGINT) AND c.no = f.claim
             ORDER BY j.key",
        )
        .bind(json(&numbers))
        .fetch_all(&self.catalogue.readers)
        .await?;
        rows.iter().map(file_row).collect()
    }

    /// Files whose revision is greater than `after`, in the order of their revisions.
    pub async fn changed_files(&self, after_revision: u64, limit: u32) -> Result<Vec<IndexedFile>, StoreError> {
        let rows = query(
            "SELECT f.no, f.root, f.length, f.revision, f.holders, coalesce(f.composed, c.json) AS claim
             FROM files f CROSS JOIN claims c
             WHERE c.no = f.claim AND f.revision > $1 AND f.revision > 0 ORDER BY f.revision LIMIT $2",
        )
        .bind(i64::try_from(after_revision).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.catalogue.readers)
        .await?;
        rows.iter().map(indexed_file).collect()
    }

    /// What the search index must agree with.
    pub async fn catalogue_mark(&self) -> Result<CatalogueMark, StoreError> {
        mark(&self.catalogue.readers).await
    }

    /// The revision of the latest change.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        query("SELECT revision FROM catalogue").fetch_one(&self.catalogue.readers).await
    }

    /// Tells this catalogue from every other. Whatever was derived from one with another identity (a search index,
    /// numbers of files) is void.
    pub async fn catalogue_identity(&self) -> Result<[u8; 16], StoreError> {
        Ok(self.catalogue_mark().await?.identity)
    }

    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let (files, holdings) =
            query("SELECT files, holdings FROM catalogue").fetch_one(&self.catalogue.readers).await?;
        let members = query("SELECT count(*) FROM members").fetch_one(&self.accounts.readers).await?;
        Ok(Counts { files, holdings, members })
    }
}

pub(super) async fn mark(database: impl Into<On<'_>>) -> Result<CatalogueMark, StoreError> {
    let row: Row = query("SELECT identity, revision, swept_revision FROM catalogue").fetch_one(database).await?;
    let identity: &[u8] = row.get("identity")?;
    Ok(CatalogueMark {
        identity: identity.try_into().map_err(|_| StoreError::Corrupt("an identity of another length"))?,
        revision: row.get("revision")?,
        swept_revision: row.get("swept_revision")?,
    })
}

/// A file that is here, and what is said of it.
pub(super) struct KnownFile {
    pub(super) no: FileNo,
    shown: ClaimNo,
    ballot: Ballot,
}

impl KnownFile {
    /// Those in the running, and the one that is shown: it stays when nobody holds the file any more.
    pub(super) fn claims(&self) -> impl Iterator<Item = ClaimNo> {
        let running = self.ballot.variants().iter().map(|variant| variant.0);
        running.chain([self.shown])
    }
}

/// Those of the files that are known.
pub(super) async fn known(
    database: &mut Connection,
    files: impl Iterator<Item = &FileId> + Clone,
) -> Result<HashMap<FileId, KnownFile>, StoreError> {
    let rows: Vec<(u32, u32, u32, String)> = query(
        "SELECT j.key, f.no, f.claim, f.ballot FROM json_each($1) j
         CROSS JOIN files f WHERE f.root = unhex(j.value ->> 0) AND f.length = CAST(j.value ->> 1 AS BIGINT)",
    )
    .bind(keys(files.clone()))
    .fetch_all(database)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for (key, no, claim, ballot) in rows {
        let ballot = serde_json::from_str(&ballot).map_err(|_| StoreError::Corrupt("a ballot"))?;
        found.insert(key, KnownFile { no: FileNo(no), shown: ClaimNo(claim), ballot });
    }
    Ok((0..).zip(files).filter_map(|(key, file)| Some((*file, found.remove(&key)?))).collect())
}

/// As `json_each` reads them.
fn keys<'a>(files: impl Iterator<Item = &'a FileId>) -> String {
    json(&files.map(|file| (file.root().to_string(), file.length().bytes())).collect::<Vec<_>>())
}

/// From the columns no, root, length, holders and claim.
pub(super) fn file_row(row: &Row) -> Result<FileRow, StoreError> {
    let claim = claim(row.get("claim")?)?;
    Ok(FileRow {
        no: FileNo(row.get("no")?),
        row: search_row(file_id(row)?, &claim),
        claim,
        holders: row.get("holders")?,
    })
}

/// From the columns no, root, length, revision, holders and claim.
pub(super) fn indexed_file(row: &Row) -> Result<IndexedFile, StoreError> {
    Ok(IndexedFile {
        no: FileNo(row.get("no")?),
        id: file_id(row)?,
        revision: row.get("revision")?,
        claim: claim(row.get("claim")?)?,
        holders: row.get("holders")?,
        blocked: false,
    })
}

pub(super) fn file_id(row: &Row) -> Result<FileId, StoreError> {
    let length = FileLength::new(row.get("length")?).map_err(|_| StoreError::Corrupt("a length out of range"))?;
    Ok(FileId::new(digest(row.get("root")?)?, length))
}

fn search_row(file_id: FileId, claim: &Claim) -> SearchRow {
    SearchRow {
        file_id,
        title: claim.title.clone(),
        artist: claim.artist.clone(),
        album: claim.album.clone(),
        album_artist: claim.album_artist.clone(),
        track: claim.track,
        disc: claim.disc,
        year: claim.year,
        genre: claim.genre.clone(),
        file_name: claim.file_name.clone(),
        format: claim.format.to_string(),
        size: file_id.length().bytes(),
        duration_ms: claim.duration_ms,
        bitrate_kbps: claim.bitrate_kbps,
        sample_rate_hz: claim.sample_rate_hz,
        audio: claim.audio.map(|audio| audio.as_file()),
        sources: 0,
        album_key: album_key(claim),
    }
}
