//! The rows that stand for whole collections, and what is asked of them.

use choir_shared::control::CollectionState;
use choir_shared::library::{Head, LibraryDigest};
use choir_shared::{Digest, PeerId};

use super::Store;
use super::columns::{digest, json, peer};
use super::error::StoreError;
use super::numbers::{CollectionNo, FileNo, MemberNo};
use super::settle::{self, Holder, Movement};
use super::sql::{Connection, Row, query};
use super::sweep;

/// Whether a collection can be seen, or is being published anew beside the one it will replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Live,
    Staged,
}

/// One collection, without its holdings.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    pub(super) no: CollectionNo,
    pub(super) generation: u64,
    pub(super) totals: Totals,
    pub(super) last_set: Digest,
}

/// What is kept up to date with every holding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) digest: LibraryDigest,
    pub(super) count: u64,
    /// Of the files.
    pub(super) bytes: u64,
    pub(super) claim_bytes: u64,
    pub(super) folders: u64,
}

impl Store {
    /// What the index knows of each of the member's collections.
    pub async fn collections(&self, member: MemberNo) -> Result<Vec<CollectionState>, StoreError> {
        let rows =
            query("SELECT name, generation, digest FROM collections WHERE member = $1 AND NOT staged ORDER BY name")
                .bind(member.0)
                .fetch_all(&self.catalogue.readers)
                .await?;
        let read = |row: &Row| {
            Ok(CollectionState {
                collection: row.get("name")?,
                generation: row.get("generation")?,
                digest: digest(row.get("digest")?)?.into(),
            })
        };
        rows.iter().map(read).collect()
    }

    /// The distinct files of a member, in the order of their numbers.
    pub async fn holdings(&self, member: MemberNo) -> Result<Vec<FileNo>, StoreError> {
        // One text instead of many rows: each row costs a message between threads.
        let lists: Vec<String> = query(
            "SELECT (SELECT string_agg(CAST(h.file AS TEXT), ',') FROM holdings h WHERE h.collection = c.no)
             FROM collections c WHERE c.member = $1 AND NOT c.staged AND c.count > 0",
        )
        .bind(member.0)
        .fetch_all(&self.catalogue.readers)
        .await?;
        let numbers = lists.iter().flat_map(|list| list.split(',')).map(|number| number.parse().map(FileNo));
        let mut files: Vec<FileNo> =
            numbers.collect::<Result<_, _>>().map_err(|_| StoreError::Corrupt("a file's number"))?;
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// How many files a member shares and how many bytes they have. What lies in two collections counts twice.
    pub async fn profile(&self, member: MemberNo) -> Result<(u64, u64), StoreError> {
        let totals = query(
            "SELECT CAST(coalesce(sum(count), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT)
             FROM collections WHERE member = $1 AND NOT staged",
        );
        totals.bind(member.0).fetch_one(&self.catalogue.readers).await
    }

    /// Forgets a collection. Returns the files that the member no longer holds.
    pub async fn drop_collection(&self, member: MemberNo, name: &str) -> Result<Vec<FileNo>, StoreError> {
        let name = name.to_owned();
        self.catalogue.writer.run(move |db| Box::pin(async move { drop_named(db, member, &name).await })).await
    }

    /// Forgets all that a member shares.
    pub(super) async fn erase_library(&self, member: MemberNo) -> Result<Vec<FileNo>, StoreError> {
        self.catalogue.writer.run(move |db| Box::pin(async move { erase(db, member).await })).await
    }

    /// Everybody who has a library here.
    pub(super) async fn owners(&self) -> Result<Vec<(MemberNo, PeerId)>, StoreError> {
        let rows: Vec<(u32, Vec<u8>)> =
            query("SELECT member, peer FROM owners").fetch_all(&self.catalogue.readers).await?;
        rows.into_iter().map(|(no, key)| Ok((MemberNo(no), peer(&key)?))).collect()
    }
}

impl Collection {
    pub(super) async fn find(
        database: &mut Connection,
        member: MemberNo,
        name: &str,
        stage: Stage,
    ) -> Result<Option<Self>, StoreError> {
        let row = query(
            "SELECT no, generation, digest, count, bytes, claim_bytes, folders, last_set
             FROM collections WHERE member = $1 AND name = $2 AND staged = $3",
        )
        .bind(member.0)
        .bind(name)
        .bind(stage == Stage::Staged)
        .fetch_optional(database)
        .await?;
        row.as_ref().map(Self::read).transpose()
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            no: CollectionNo(row.get("no")?),
            generation: row.get("generation")?,
            totals: Totals {
                digest: digest(row.get("digest")?)?.into(),
                count: row.get("count")?,
                bytes: row.get("bytes")?,
                claim_bytes: row.get("claim_bytes")?,
                folders: row.get("folders")?,
            },
            last_set: digest(row.get("last_set")?)?,
        })
    }

    /// Whether nothing is left that could be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.totals.count == 0 && self.totals.folders == 0
    }

    /// A new one, empty, at generation 0.
    pub(super) async fn create(
        database: &mut Connection,
        member: MemberNo,
        name: &str,
        stage: Stage,
    ) -> Result<Self, StoreError> {
        let (totals, last_set) = (Totals::default(), Digest::ZERO);
        let no = query(
            "INSERT INTO collections
             (member, name, staged, generation, digest, count, bytes, claim_bytes, folders, last_set)
             VALUES ($1, $2, $3, 0, $4, 0, 0, 0, 0, $5) RETURNING no",
        )
        .bind(member.0)
        .bind(name)
        .bind(stage == Stage::Staged)
        .bind(totals.digest.as_digest().as_bytes().as_slice())
        .bind(last_set.as_bytes().as_slice())
        .fetch_one(database)
        .await?;
        Ok(Self { no: CollectionNo(no), generation: 0, totals, last_set })
    }

    /// Writes back what has changed. A collection that is saved as live has taken its place.
    pub(super) async fn save(
        &self,
        database: &mut Connection,
        stage: Stage,
        head: Option<&Head>,
    ) -> Result<(), StoreError> {
        let Totals { digest, count, bytes, claim_bytes, folders } = self.totals;
        query(
            "UPDATE collections SET staged = $2, generation = $3, digest = $4, count = $5, bytes = $6,
             claim_bytes = $7, folders = $8, last_set = $9, head = $10 WHERE no = $1",
        )
        .bind(self.no.0)
        .bind(stage == Stage::Staged)
        .bind(self.generation as i64)
        .bind(digest.as_digest().as_bytes().as_slice())
        .bind(count as i64)
        .bind(bytes as i64)
        .bind(claim_bytes as i64)
        .bind(folders as i64)
        .bind(self.last_set.as_bytes().as_slice())
        .bind(head.map(json))
        .execute(database)
        .await?;
        Ok(())
    }

    /// Deletes the rows alone; holders and votes are [`settle`]'s.
    pub(super) async fn delete(database: &mut Connection, no: CollectionNo) -> Result<(), StoreError> {
        for statement in [
            "DELETE FROM holdings WHERE collection = $1",
            "DELETE FROM folders WHERE collection = $1",
            "DELETE FROM collections WHERE no = $1",
        ] {
            query(statement).bind(no.0).execute(&mut *database).await?;
        }
        Ok(())
    }
}

/// The member's collections that others can see, but for one.
pub(super) async fn others(
    database: &mut Connection,
    member: MemberNo,
    but: CollectionNo,
) -> Result<Vec<CollectionNo>, StoreError> {
    let numbers: Vec<u32> = query("SELECT no FROM collections WHERE member = $1 AND NOT staged AND no <> $2")
        .bind(member.0)
        .bind(but.0)
        .fetch_all(database)
        .await?;
    Ok(numbers.into_iter().map(CollectionNo).collect())
}

async fn drop_named(database: &mut Connection, member: MemberNo, name: &str) -> Result<Vec<FileNo>, StoreError> {
    if let Some(staged) = Collection::find(database, member, name, Stage::Staged).await? {
        Collection::delete(database, staged.no).await?;
    }
    match Collection::find(database, member, name, Stage::Live).await? {
        Some(live) => drop_live(database, member, live.no).await,
        None => Ok(Vec::new()),
    }
}

async fn drop_live(database: &mut Connection, member: MemberNo, no: CollectionNo) -> Result<Vec<FileNo>, StoreError> {
    let movements = Movement::between(database, Some(no), None).await?;
    let elsewhere = others(database, member, no).await?;
    let voter = settle::voter(database, member).await?.ok_or(StoreError::Corrupt("a collection without an owner"))?;
    let holder = Holder { voter, elsewhere };
    let settled = settle::settle(database, &holder, &movements).await?;
    Collection::delete(database, no).await?;
    Ok(settled.removed)
}

async fn erase(database: &mut Connection, member: MemberNo) -> Result<Vec<FileNo>, StoreError> {
    sweep::leave_behind(database, member).await?;
    let rows: Vec<(u32, bool)> = query("SELECT no, staged FROM collections WHERE member = $1 ORDER BY name, staged")
        .bind(member.0)
        .fetch_all(&mut *database)
        .await?;
    let mut removed = Vec::new();
    for (no, staged) in rows {
        let no = CollectionNo(no);
        if staged {
            Collection::delete(database, no).await?;
        } else {
            removed.extend(drop_live(database, member, no).await?);
        }
    }
    query("DELETE FROM owners WHERE member = $1").bind(member.0).execute(database).await?;
    Ok(removed)
}
