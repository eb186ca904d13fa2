//! What one change set does to one collection: read everything it touches, decide in memory, write it back.
//!
//! Holders, votes and revisions are not touched here: they follow from the movements, once others may see them.

use std::collections::{BTreeSet, HashMap};

use choir_shared::index_api::ChangeSet;
use choir_shared::{Digest, FileId};

use super::claims::Claims;
use super::collections::{Collection, Totals};
use super::columns::{digest, json};
use super::error::StoreError;
use super::files::KnownFile;
use super::folders::Folders;
use super::numbers::{ClaimNo, CollectionNo, FileNo, next_no};
use super::publish::ChangeError;
use super::settle::Movement;
use super::sql::{Connection, query};
use super::sweep;

/// A decision that is not carried out yet.
pub(super) struct Edit {
    /// The collection's afterwards.
    pub(super) totals: Totals,
    pub(super) movements: Vec<Movement>,
    collection: CollectionNo,
    folders: Folders,
    rows: Rows,
}

impl Edit {
    pub(super) async fn save(&self, database: &mut Connection) -> Result<(), StoreError> {
        self.rows.save(database, self.collection).await?;
        self.folders.save(database).await
    }
}

/// Decides what the set does to the collection. Everything that can be refused is refused here.
pub(super) async fn plan(
    database: &mut Connection,
    collection: &Collection,
    set: &ChangeSet,
    files: &HashMap<FileId, KnownFile>,
    claims: &Claims<'_>,
) -> Result<Edit, ChangeError> {
    let mut held = held(database, collection.no, files).await?;
    let touched: BTreeSet<u32> = set
        .folders
        .iter()
        .map(|folder| folder.number)
        .chain(set.add.iter().map(|entry| entry.folder))
        .chain(held.values().map(|holding| holding.folder))
        .collect();
    let mut folders = Folders::load(database, collection.no, &touched).await?;
    set.folders.iter().for_each(|folder| folders.set(folder));

    let mut totals = collection.totals;
    let mut rows = Rows::default();
    let mut movements = Vec::new();
    for file in &set.remove {
        let Some(&KnownFile { no, .. }) = files.get(file) else { continue };
        let Some(old) = held.remove(&no) else { continue };
        totals.remove(file, &old);
        folders.leave(old.folder);
        rows.removed.push(no);
        movements.push(Movement { file: no, before: Some(old.claim), after: None });
    }
    let mut next_file = next_no(database, "SELECT coalesce(max(no), 0) FROM files").await?;
    for entry in &set.add {
        let claim = claims.of(&entry.file).ok_or(StoreError::Corrupt("a claim that vanished"))?;
        if claim.audio.is_some_and(|audio| !audio.lies_in(entry.file.length())) {
            let file = entry.file.short();
            return Err(ChangeError::BadEntry(format!("the claim of file {file} names audio that lies outside of it")));
        }
        let no = match files.get(&entry.file) {
            Some(known) => known.no,
            None => {
                let no = FileNo(next_file);
                next_file = next_file.checked_add(1).ok_or(StoreError::Corrupt("more files than numbers"))?;
                rows.new_files.push((no, entry.file.root().to_string(), entry.file.length().bytes(), claim.no));
                no
            }
        };
        let old = held.remove(&no);
        if let Some(old) = &old {
            totals.remove(&entry.file, old);
            folders.leave(old.folder);
        }
        if !folders.enter(entry.folder) {
            return Err(ChangeError::BadEntry(format!("there is no folder {}", entry.folder)));
        }
        totals.add(&entry.file, &entry.claim_hash, claim.bytes);
        rows.held.push((no, claim.no, entry.folder));
        let before = old.map(|old| old.claim);
        if before != Some(claim.no) {
            movements.push(Movement { file: no, before, after: Some(claim.no) });
        }
    }
    if let Some(number) = folders.removed_with_files() {
        return Err(ChangeError::BadEntry(format!("folder {number} is not empty")));
    }
    totals.folders = folders.count(totals.folders);
    Ok(Edit { totals, movements, collection: collection.no, folders, rows })
}

/// A holding as it was.
struct Held {
    claim: ClaimNo,
    claim_hash: Digest,
    claim_bytes: u64,
    folder: u32,
}

impl Totals {
    fn add(&mut self, file: &FileId, claim: &Digest, claim_bytes: u64) {
        self.digest.insert(file, claim);
        self.count += 1;
        self.bytes += file.length().bytes();
        self.claim_bytes += claim_bytes;
    }

    fn remove(&mut self, file: &FileId, old: &Held) {
        self.digest.remove(file, &old.claim_hash);
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(file.length().bytes());
        self.claim_bytes = self.claim_bytes.saturating_sub(old.claim_bytes);
    }
}

async fn held(
    database: &mut Connection,
    collection: CollectionNo,
    files: &HashMap<FileId, KnownFile>,
) -> Result<HashMap<FileNo, Held>, StoreError> {
    let numbers: BTreeSet<FileNo> = files.values().map(|known| known.no).collect();
    let rows: Vec<(u32, u32, u32, Vec<u8>, u64)> = query(
        "SELECT h.file, h.folder, h.claim, c.hash, CAST(octet_length(c.json) AS BIGINT)
         FROM json_each($2) j CROSS JOIN holdings h CROSS JOIN claims c
         WHERE h.collection = $1 AND h.file = CAST(j.value AS BIGINT) AND c.no = h.claim",
    )
    .bind(collection.0)
    .bind(json(&numbers))
    .fetch_all(database)
    .await?;
    let holding = |(file, folder, claim, hash, claim_bytes): (u32, u32, u32, Vec<u8>, u64)| {
        Ok((FileNo(file), Held { claim: ClaimNo(claim), claim_hash: digest(&hash)?, claim_bytes, folder }))
    };
    rows.into_iter().map(holding).collect()
}

/// The rows that one set writes.
#[derive(Default)]
struct Rows {
    new_files: Vec<(FileNo, String, u64, ClaimNo)>,
    removed: Vec<FileNo>,
    held: Vec<(FileNo, ClaimNo, u32)>,
}

impl Rows {
    async fn save(&self, database: &mut Connection, collection: CollectionNo) -> Result<(), StoreError> {
        if !self.new_files.is_empty() {
            query(
                "INSERT INTO files (no, root, length, holders, revision, claim, ballot)
                 SELECT CAST(value ->> 0 AS BIGINT), unhex(value ->> 1), CAST(value ->> 2 AS BIGINT), 0, 0,
                 CAST(value ->> 3 AS BIGINT), '[]' FROM json_each($1)",
            )
            .bind(json(&self.new_files))
            .execute(&mut *database)
            .await?;
        }
        if !self.removed.is_empty() {
            query("DELETE FROM holdings WHERE collection = $1 AND file IN (SELECT CAST(value AS BIGINT) FROM json_each($2))")
                .bind(collection.0)
                .bind(json(&self.removed))
                .execute(&mut *database)
                .await?;
        }
        if !self.held.is_empty() {
            let held = json(&self.held);
            sweep::take_up(database, &held).await?;
            query(
                "INSERT INTO holdings (collection, file, claim, folder)
                 SELECT $1, CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT)
                 FROM json_each($2) WHERE true
                 ON CONFLICT (collection, file) DO UPDATE SET claim = excluded.claim, folder = excluded.folder",
            )
            .bind(collection.0)
            .bind(held)
            .execute(database)
            .await?;
        }
        Ok(())
    }
}
