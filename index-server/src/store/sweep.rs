//! Sweeping out what nobody shares any more: files that nobody holds, claims that nothing names.
//!
//! - **They stay for a while** ([`KEPT_S`]), and go at once when the member who brought them was erased.
//! - **A sweep is many small steps**: a page that is read, or a batch that is written. Between two of them everybody
//!   else has the database, and how slowly they follow each other is the caller's to decide.
//! - **It reads everything**, since there is no index from a file or a claim to its holdings, and notes a bit for each
//!   number that is named. What has none is noted as idle; what was idle long enough before this sweep is deleted.
//! - **Nothing that is in use is deleted, although others publish meanwhile.** A file that a change set names is idle
//!   no longer (`edit`). A claim is known of its file alone (`claims`): by a holding, a vote or what is shown, so that
//!   one which nothing names is never named again. A reference that moves does so from a holding to a vote and from a
//!   vote to what is shown, and in this order they are read. One that is made while this goes on, of a claim that
//!   something else names, may be missed; then the claim is noted as idle, and the next sweep takes that back before
//!   it deletes anything.
//! - **The last row of each table stays**, so that no number is given twice.
//! - **Search forgets first.** It hears of files by their revisions and cannot hear of one that is gone, so a file
//!   stays until search has seen that nobody holds it. [`Store::swept_revision`] tells whether an old search index,
//!   out of a backup perhaps, may have missed that.

use std::ops::ControlFlow;

use super::Store;
use super::columns::{json, time};
use super::error::StoreError;
use super::number_set::NumberSet;
use super::numbers::MemberNo;
use super::replicas::indexed_everywhere;
use super::sql::{Connection, query};

/// How long a row is kept that nothing names. Who moves a library to another machine is back within a week, and then
/// no claim has to be sent again.
pub const KEPT_S: u64 = 7 * 24 * 3600;

/// Rows of one page: some ten milliseconds of reading.
const PAGE: u32 = 10_000;

/// Rows of one batch: some milliseconds of the writer's time, which is everybody's.
const BATCH: usize = 500;

/// What a sweep has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub files: u64,
    pub claims: u64,
}

/// A sweep under way. There must be one at a time.
pub struct Sweep {
    store: Store,
    began_unix_s: u64,
    indexed_revision: u64,
    page: u32,
    batch: usize,
    /// The greatest numbers that may go.
    last_file: u32,
    last_claim: u32,
    /// Files that are held, and claims that are named.
    held: NumberSet,
    named: NumberSet,
    place: Place,
    swept: Swept,
}

/// What the next step does, and after which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Holdings { collection: u32, file: u32 },
    Votes { file: u32, voter: i64 },
    IdleFiles { after: u32 },
    Shown { file: u32 },
    IdleClaims { after: u32 },
}

impl Store {
    /// Begins a sweep. `indexed_revision` is the last that the search index has on disk.
    pub async fn sweep(&self, now_unix_s: u64, indexed_revision: u64) -> Result<Sweep, StoreError> {
        let (last_file, last_claim) =
            self.catalogue.writer.run(move |db| Box::pin(async move { begin(db).await })).await?;
        Ok(Sweep {
            store: self.clone(),
            began_unix_s: now_unix_s,
            indexed_revision,
            page: PAGE,
            batch: BATCH,
            last_file,
            last_claim,
            held: NumberSet::default(),
            named: NumberSet::default(),
            place: Place::Holdings { collection: 0, file: 0 },
            swept: Swept::default(),
        })
    }

    /// A search index that ends before this revision may hold files that are no longer here.
    pub async fn swept_revision(&self) -> Result<u64, StoreError> {
        query("SELECT swept_revision FROM catalogue").fetch_one(&self.catalogue.readers).await
    }
}

impl Sweep {
    /// Does one step; breaks with the sum of all when it was the last.
    pub async fn step(&mut self) -> Result<ControlFlow<Swept>, StoreError> {
        self.place = match self.place {
            Place::Holdings { collection, file } => self.read_holdings(collection, file).await?,
            Place::Votes { file, voter } => self.read_votes(file, voter).await?,
            Place::IdleFiles { after } => self.sweep_files(after).await?,
            Place::Shown { file } => self.read_shown(file).await?,
            Place::IdleClaims { after } => match self.sweep_claims(after).await? {
                Some(next) => next,
                None => return Ok(ControlFlow::Break(self.swept)),
            },
        };
        Ok(ControlFlow::Continue(()))
    }

    /// Smaller ones, so that a test has many.
    #[cfg(test)]
    pub(super) fn in_steps_of(self, rows: u8) -> Self {
        Self { page: rows.into(), batch: rows.into(), ..self }
    }

    async fn read_holdings(&mut self, collection: u32, file: u32) -> Result<Place, StoreError> {
        let rows: Vec<(u32, u32, u32)> = query(
            "SELECT collection, file, claim FROM holdings WHERE (collection, file) > ($1, $2)
             ORDER BY collection, file LIMIT $3",
        )
        .bind(collection)
        .bind(file)
        .bind(self.page)
        .fetch_all(&self.store.catalogue.readers)
        .await?;
        for &(_, file, claim) in &rows {
            self.held.insert(file);
            self.named.insert(claim);
        }
        Ok(match rows.last() {
            Some(&(collection, file, _)) => Place::Holdings { collection, file },
            None => Place::Votes { file: 0, voter: 0 },
        })
    }

    async fn read_votes(&mut self, file: u32, voter: i64) -> Result<Place, StoreError> {
        let rows: Vec<(u32, i64, u32)> =
            query("SELECT file, voter, claim FROM votes WHERE (file, voter) > ($1, $2) ORDER BY file, voter LIMIT $3")
                .bind(file)
                .bind(voter)
                .bind(self.page)
                .fetch_all(&self.store.catalogue.readers)
                .await?;
        rows.iter().for_each(|&(_, _, claim)| self.named.insert(claim));
        Ok(match rows.last() {
            Some(&(file, voter, _)) => Place::Votes { file, voter },
            None => Place::IdleFiles { after: 0 },
        })
    }

    async fn sweep_files(&mut self, after: u32) -> Result<Place, StoreError> {
        let Some(batch) = Batch::after(after, &self.held, self.last_file, self.batch) else {
            return Ok(Place::Shown { file: 0 });
        };
        let (through, began, indexed) = (batch.through, self.began_unix_s, self.indexed_revision);
        let sweeping = self
            .store
            .catalogue
            .writer
            .run(move |db| Box::pin(async move { batch.sweep_files(db, began, indexed).await }));
        self.swept.files += sweeping.await?;
        Ok(Place::IdleFiles { after: through })
    }

    /// The claims that are shown of files. Those of files that were just swept are not among them.
    async fn read_shown(&mut self, file: u32) -> Result<Place, StoreError> {
        let rows: Vec<(u32, u32)> = query("SELECT no, claim FROM files WHERE no > $1 ORDER BY no LIMIT $2")
            .bind(file)
            .bind(self.page)
            .fetch_all(&self.store.catalogue.readers)
            .await?;
        rows.iter().for_each(|&(_, claim)| self.named.insert(claim));
        Ok(rows.last().map_or(Place::IdleClaims { after: 0 }, |&(file, _)| Place::Shown { file }))
    }

    async fn sweep_claims(&mut self, after: u32) -> Result<Option<Place>, StoreError> {
        let Some(batch) = Batch::after(after, &self.named, self.last_claim, self.batch) else { return Ok(None) };
        let (through, began) = (batch.through, self.began_unix_s);
        let sweeping =
            self.store.catalogue.writer.run(move |db| Box::pin(async move { batch.sweep_claims(db, began).await }));
        self.swept.claims += sweeping.await?;
        Ok(Some(Place::IdleClaims { after: through }))
    }
}

/// What one step of the writer is about: the numbers after `after` up to `through`.
struct Batch {
    after: u32,
    through: u32,
    /// Those among them that nothing names, as JSON. There need not be rows of all of them.
    unnamed: String,
}

impl Batch {
    /// `None` if there are no numbers left.
    fn after(after: u32, named: &NumberSet, last: u32, most: usize) -> Option<Self> {
        let unnamed = named.missing(after, last, most);
        let through = if unnamed.len() < most { last } else { *unnamed.last()? };
        (after < last).then(|| Self { after, through, unnamed: json(&unnamed) })
    }

    async fn sweep_files(
        self,
        database: &mut Connection,
        now_unix_s: u64,
        indexed_revision: u64,
    ) -> Result<u64, StoreError> {
        let everywhere = indexed_everywhere(database).await?;
        let indexed_revision = everywhere.map_or(indexed_revision, |least| least.min(indexed_revision));
        query(
            "DELETE FROM idle_files WHERE file > $1 AND file <= $2 AND since_unix_s IS NOT NULL
             AND file NOT IN (SELECT CAST(value AS BIGINT) FROM json_each($3))",
        )
        .bind(self.after)
        .bind(self.through)
        .bind(&self.unnamed)
        .execute(&mut *database)
        .await?;
        let deleted: Vec<u32> = query(
            "DELETE FROM files WHERE holders = 0 AND revision <= $3 AND no IN
             (SELECT i.file FROM json_each($1) j CROSS JOIN idle_files i
              WHERE i.file = CAST(j.value AS BIGINT) AND i.since_unix_s <= $2)
             RETURNING no",
        )
        .bind(&self.unnamed)
        .bind(time(now_unix_s.saturating_sub(KEPT_S)))
        .bind(time(indexed_revision))
        .fetch_all(&mut *database)
        .await?;
        if !deleted.is_empty() {
            query("DELETE FROM idle_files WHERE file IN (SELECT CAST(value AS BIGINT) FROM json_each($1))")
                .bind(json(&deleted))
                .execute(&mut *database)
                .await?;
            query("UPDATE catalogue SET swept_revision = $1 WHERE swept_revision < $1")
                .bind(time(indexed_revision))
                .execute(&mut *database)
                .await?;
        }
        query(
            "INSERT INTO idle_files (file, since_unix_s) SELECT f.no, $2 FROM json_each($1) j CROSS JOIN files f
             WHERE f.no = CAST(j.value AS BIGINT) AND f.holders = 0 ON CONFLICT DO NOTHING",
        )
        .bind(&self.unnamed)
        .bind(time(now_unix_s))
        .execute(database)
        .await?;
        Ok(deleted.len() as u64)
    }

    async fn sweep_claims(self, database: &mut Connection, now_unix_s: u64) -> Result<u64, StoreError> {
        query(
            "DELETE FROM idle_claims WHERE claim > $1 AND claim <= $2 AND since_unix_s IS NOT NULL
             AND claim NOT IN (SELECT CAST(value AS BIGINT) FROM json_each($3))",
        )
        .bind(self.after)
        .bind(self.through)
        .bind(&self.unnamed)
        .execute(&mut *database)
        .await?;
        let deleted: Vec<u32> = query(
            "DELETE FROM claims WHERE no IN
             (SELECT i.claim FROM json_each($1) j CROSS JOIN idle_claims i
              WHERE i.claim = CAST(j.value AS BIGINT) AND i.since_unix_s <= $2) RETURNING no",
        )
        .bind(&self.unnamed)
        .bind(time(now_unix_s.saturating_sub(KEPT_S)))
        .fetch_all(&mut *database)
        .await?;
        if !deleted.is_empty() {
            query("DELETE FROM idle_claims WHERE claim IN (SELECT CAST(value AS BIGINT) FROM json_each($1))")
                .bind(json(&deleted))
                .execute(&mut *database)
                .await?;
        }
        query(
            "INSERT INTO idle_claims (claim, since_unix_s) SELECT c.no, $2 FROM json_each($1) j CROSS JOIN claims c
             WHERE c.no = CAST(j.value AS BIGINT) ON CONFLICT DO NOTHING",
        )
        .bind(&self.unnamed)
        .bind(time(now_unix_s))
        .execute(database)
        .await?;
        Ok(deleted.len() as u64)
    }
}

/// Makes due what erased members left behind; what is left behind from now on waits for the next sweep, because this
/// one may have read past it. Returns the greatest numbers that may go: those before the last.
async fn begin(database: &mut Connection) -> Result<(u32, u32), StoreError> {
    for statement in [
        "UPDATE idle_files SET since_unix_s = 0 WHERE since_unix_s IS NULL",
        "UPDATE idle_claims SET since_unix_s = 0 WHERE since_unix_s IS NULL",
    ] {
        query(statement).execute(&mut *database).await?;
    }
    query("SELECT coalesce((SELECT max(no) FROM files), 1) - 1, coalesce((SELECT max(no) FROM claims), 1) - 1")
        .fetch_one(database)
        .await
}

/// All that a member named goes with the member, if nobody else names it. Before the member's holdings are deleted.
pub(super) async fn leave_behind(database: &mut Connection, member: MemberNo) -> Result<(), StoreError> {
    for statement in [
        "INSERT INTO idle_files (file, since_unix_s) SELECT DISTINCT h.file, CAST(NULL AS BIGINT)
         FROM collections c CROSS JOIN holdings h WHERE h.collection = c.no AND c.member = $1
         ON CONFLICT (file) DO UPDATE SET since_unix_s = NULL",
        "INSERT INTO idle_claims (claim, since_unix_s) SELECT DISTINCT h.claim, CAST(NULL AS BIGINT)
         FROM collections c CROSS JOIN holdings h WHERE h.collection = c.no AND c.member = $1
         ON CONFLICT (claim) DO UPDATE SET since_unix_s = NULL",
    ] {
        query(statement).bind(member.0).execute(&mut *database).await?;
    }
    Ok(())
}

/// What is held again is idle no longer. `holdings` are a list of [file, …], as JSON.
pub(super) async fn take_up(database: &mut Connection, holdings: &str) -> Result<(), StoreError> {
    query("DELETE FROM idle_files WHERE file IN (SELECT CAST(value ->> 0 AS BIGINT) FROM json_each($1))")
        .bind(holdings)
        .execute(database)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
