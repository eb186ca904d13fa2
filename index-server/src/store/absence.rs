//! Libraries of members who stay away: kept for a while, so that they can be browsed and are there when their owner is
//! back, and then forgotten.
//!
//! - **In small steps**, each in a transaction of its own, so that nobody waits for long. After each of them counts and
//!   sums are right, as if the owner had taken some files away.
//! - **What is left in the middle has generation 0.** Nobody who comes back knows that one, so the welcome names the
//!   collection, and its owner publishes it anew.
//! - **Whoever is back keeps what is left.** Each step looks first whether the member was seen. Where other programs
//!   let members in, it looks where it writes, and they wait for it.

use choir_shared::index_api::{ChangeSet, Phase};
use choir_shared::{Digest, FileId, PeerId};

use super::claims::Claims;
use super::collections::{Collection, Stage, Totals, others};
use super::columns::{json, peer, time};
use super::error::StoreError;
use super::files::file_id;
use super::numbers::MemberNo;
use super::publish::ChangeError;
use super::replicas::has_place;
use super::settle::{self, Holder};
use super::sql::{Connection, Readers, Row, query};
use super::{Store, edit, files};

/// Owners looked up at once: some milliseconds of reading.
const PAGE: usize = 10_000;

/// Holdings, or folders, of one step: some ten milliseconds of the writer's time, which is everybody's.
const STEP: usize = 500;

/// What a step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// And there is more.
    Something,
    /// Nothing of the library is left.
    Everything,
    /// The member was here, or was erased.
    Nothing,
}

impl Store {
    /// Those who share something and were not seen since.
    pub async fn absent_owners(&self, unseen_since_unix_s: u64) -> Result<Vec<(MemberNo, PeerId)>, StoreError> {
        let owners: Vec<MemberNo> = self.owners().await?.into_iter().map(|(no, _)| no).collect();
        let mut absent = Vec::new();
        for page in owners.chunks(PAGE) {
            let rows: Vec<(u32, Vec<u8>)> = query(
                "SELECT m.no, m.peer FROM json_each($1) j CROSS JOIN members m
                 WHERE m.no = CAST(j.value AS BIGINT) AND m.last_seen_unix_s < $2",
            )
            .bind(json(&page))
            .bind(time(unseen_since_unix_s))
            .fetch_all(&self.accounts.readers)
            .await?;
            for (no, key) in rows {
                absent.push((MemberNo(no), peer(&key)?));
            }
        }
        Ok(absent)
    }

    /// Forgets a part of what a member shares, unless the member was seen since, or is at another program. Whether it
    /// is at this one is the caller's to know, who lets nobody else change or load the library meanwhile.
    pub async fn forget_some(&self, member: MemberNo, unseen_since_unix_s: u64) -> Result<Forgotten, StoreError> {
        self.forget_up_to(member, unseen_since_unix_s, STEP).await
    }

    async fn forget_up_to(&self, member: MemberNo, unseen_since: u64, most: usize) -> Result<Forgotten, StoreError> {
        if matches!(self.accounts.readers, Readers::Sqlite(_)) {
            let unseen = query("SELECT last_seen_unix_s < $2 FROM members WHERE no = $1");
            let unseen = unseen.bind(member.0).bind(time(unseen_since)).fetch_optional(&self.accounts.readers).await?;
            if unseen != Some(true) {
                return Ok(Forgotten::Nothing);
            }
        }
        let forget = async move |database: &mut Connection| match is_here(database, member, unseen_since).await? {
            true => Ok(Forgotten::Nothing),
            false => forget(database, member, most).await,
        };
        self.catalogue.writer.run(move |db| Box::pin(async move { forget(db).await })).await
    }
}

/// Whether the member is at another program, or has been let in by one, which waits from now on until this
/// transaction has ended. The accounts are within reach exactly where there can be other programs.
async fn is_here(catalogue: &mut Connection, member: MemberNo, unseen_since_unix_s: u64) -> Result<bool, StoreError> {
    if matches!(catalogue, Connection::Sqlite(_)) {
        return Ok(false);
    }
    let unseen: Option<bool> = query("SELECT last_seen_unix_s < $2 FROM accounts.members WHERE no = $1 FOR UPDATE")
        .bind(member.0)
        .bind(time(unseen_since_unix_s))
        .fetch_optional(&mut *catalogue)
        .await?;
    Ok(unseen != Some(true) || has_place(catalogue, member).await?)
}

async fn forget(database: &mut Connection, member: MemberNo, most: usize) -> Result<Forgotten, StoreError> {
    let first: Option<(String, bool)> =
        query("SELECT name, staged FROM collections WHERE member = $1 ORDER BY staged DESC, name LIMIT 1")
            .bind(member.0)
            .fetch_optional(&mut *database)
            .await?;
    let Some((name, staged)) = first else {
        query("DELETE FROM owners WHERE member = $1").bind(member.0).execute(database).await?;
        return Ok(Forgotten::Everything);
    };
    let stage = if staged { Stage::Staged } else { Stage::Live };
    let found = Collection::find(database, member, &name, stage).await?;
    let mut collection = found.ok_or(StoreError::Corrupt("a collection that vanished"))?;
    let files = first_files(database, &collection, most).await?;
    if files.is_empty() {
        let folders = drop_folders(database, &collection, most).await?;
        if folders < most as u64 {
            Collection::delete(database, collection.no).await?;
            return Ok(Forgotten::Something);
        }
        collection.totals.folders = collection.totals.folders.saturating_sub(folders);
    } else {
        collection.totals = take_away(database, member, &collection, stage, name, files).await?;
    }
    let left = Collection { generation: 0, last_set: Digest::ZERO, ..collection };
    left.save(database, stage, None).await?;
    Ok(Forgotten::Something)
}

async fn first_files(
    database: &mut Connection,
    collection: &Collection,
    most: usize,
) -> Result<Vec<FileId>, StoreError> {
    let rows: Vec<Row> = query(
        "SELECT f.root, f.length FROM holdings h CROSS JOIN files f
         WHERE h.collection = $1 AND f.no = h.file ORDER BY h.file LIMIT $2",
    )
    .bind(collection.no.0)
    .bind(most as i64)
    .fetch_all(database)
    .await?;
    rows.iter().map(file_id).collect()
}

/// How many.
async fn drop_folders(database: &mut Connection, collection: &Collection, most: usize) -> Result<u64, StoreError> {
    query(
        "DELETE FROM folders WHERE collection = $1 AND number IN
         (SELECT number FROM folders WHERE collection = $1 ORDER BY number LIMIT $2)",
    )
    .bind(collection.no.0)
    .bind(most as i64)
    .execute(database)
    .await
}

/// The collection's totals afterwards.
async fn take_away(
    database: &mut Connection,
    member: MemberNo,
    collection: &Collection,
    stage: Stage,
    name: String,
    files: Vec<FileId>,
) -> Result<Totals, StoreError> {
    let set = ChangeSet {
        collection: name,
        base_generation: collection.generation,
        generation: collection.generation,
        phase: Phase::Change,
        folders: Vec::new(),
        add: Vec::new(),
        remove: files,
        head: None,
    };
    let known = files::known(database, set.remove.iter()).await?;
    let edit =
        edit::plan(database, collection, &set, &known, &Claims::default()).await.map_err(|error| match error {
            ChangeError::Store(error) => error,
            _ => StoreError::Corrupt("holdings that cannot be taken away"),
        })?;
    edit.save(database).await?;
    if stage == Stage::Live {
        let voter = settle::voter(database, member).await?;
        let voter = voter.ok_or(StoreError::Corrupt("a collection without an owner"))?;
        let holder = Holder { voter, elsewhere: others(database, member, collection.no).await? };
        settle::settle(database, &holder, &edit.movements).await?;
    }
    Ok(edit.totals)
}

#[cfg(test)]
mod tests;
