//! Applying change sets.
//!
//! - **Whole or not at all.** A set runs in a savepoint; whatever refuses it, however late, undoes all of it.
//! - **A set that is repeated** (its answer was lost) changes nothing and is answered as before.
//! - **A resync** fills a second collection beside the one that others see. The commit compares the two, settles
//!   what differs, and lets the new one take the old one's place. What is the same in both is not touched: search
//!   hears nothing of a resync that changes nothing.
//! - **Both sides count.** A head whose digest or count is not ours ends in [`ChangeError::HeadMismatch`], and the
//!   peer publishes anew. So removing what is not held, or a folder that is not there, needs no error of its own.
//! - **A collection without files and folders is none.** It is forgotten when its owner has emptied it, and a head
//!   that says so is right about a collection that is not there.
//! - **Quotas** count all collections of a member, staged ones included. Who is above one, because the operator has
//!   lowered it, may still change what makes nothing more.

use std::panic::resume_unwind;

use choir_shared::index_api::{ChangeSet, ChangesAnswer, Phase};
use choir_shared::library::{Head, LibraryDigest};
use choir_shared::{Digest, PeerId};

use super::change_set::{self, Checked};
use super::claims::Claims;
use super::collections::{Collection, Stage, Totals, others};
use super::error::StoreError;
use super::numbers::{FileNo, MemberNo};
use super::settle::{self, Holder, Movement, Settled};
use super::sql::{Connection, query};
use super::{Store, accounts, edit, files};
use crate::giving_way;

/// Names of collections that one member may use: more than anyone can keep apart.
const MAX_COLLECTIONS: u64 = 64;

/// What one member may store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    pub files_per_peer: u64,
    pub claim_bytes_per_peer: u64,
}

/// What a change set has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub answer: ChangesAnswer,
    /// Files that the member did not hold before.
    pub added: Vec<FileNo>,
    /// Files that the member does not hold any more.
    pub removed: Vec<FileNo>,
}

/// Why a change set changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("the index has generation {generation}")]
    WrongBase { generation: u64 },
    #[error("{0}")]
    BadEntry(String),
    #[error("{0}")]
    QuotaExceeded(String),
    /// The peer should publish the collection anew.
    #[error("the head does not agree with what the index counts")]
    HeadMismatch,
    /// Erased while the set was under way.
    #[error("no such member")]
    NoSuchMember,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Applies one change set. `voter` is a keyed hash of the network prefix that the member publishes from.
    pub async fn apply(
        &self,
        member: MemberNo,
        peer: &PeerId,
        voter: u64,
        set: ChangeSet,
        quotas: &Quotas,
    ) -> Result<Applied, ChangeError> {
        let owner = *peer;
        let checking = giving_way::tasks().spawn_blocking(move || change_set::check(set, &owner)).await;
        // What panics there panics here.
        let checked = checking.unwrap_or_else(|failure| resume_unwind(failure.into_panic()));
        let checked = checked.map_err(ChangeError::BadEntry)?;
        // The same 64 bits, as SQLite's signed integer.
        let publication = Publication { member, peer: *peer, voter: voter as i64, quotas: *quotas, checked };
        let erased = self.erased.clone();
        let change = async move |database: &mut Connection| {
            if erased.contains(member) || accounts::is_erased_elsewhere(database, member).await? {
                return Err(ChangeError::NoSuchMember);
            }
            publication.apply(database).await
        };
        self.catalogue.writer.run(move |db| Box::pin(change(db))).await
    }
}

struct Publication {
    member: MemberNo,
    peer: PeerId,
    voter: i64,
    quotas: Quotas,
    checked: Checked,
}

impl Publication {
    async fn apply(self, database: &mut Connection) -> Result<Applied, ChangeError> {
        let set = &self.checked.set;
        let live = Collection::find(database, self.member, &set.collection, Stage::Live).await?;
        let staged = Collection::find(database, self.member, &set.collection, Stage::Staged).await?;
        if self.is_repeated(live.as_ref(), staged.as_ref()) {
            return Ok(answer(live.as_ref(), Vec::new(), Settled::default()));
        }
        if live.is_none() && staged.is_none() && self.leaves_nothing() {
            return Ok(nothing_left(set.generation));
        }
        let generation = live.as_ref().map_or(0, |live| live.generation);
        let on_base = match set.phase {
            Phase::Change => set.base_generation == generation,
            Phase::Begin => true,
            Phase::Staging | Phase::Commit => staged.is_some(),
        };
        if !on_base {
            return Err(ChangeError::WrongBase { generation });
        }
        let mentioned = set.add.iter().map(|entry| &entry.file).chain(&set.remove);
        let files = files::known(database, mentioned).await?;
        let claims = Claims::resolve(database, self.member, &self.checked, &files).await?;
        if !claims.unknown.is_empty() {
            return Ok(answer(live.as_ref(), claims.unknown, Settled::default()));
        }

        let elsewhere = self.elsewhere(database).await?;
        let voter = self.voter(database, live.as_ref(), &elsewhere).await?;
        let (target, stage) = match set.phase {
            Phase::Change => (live.clone(), Stage::Live),
            Phase::Begin => {
                if let Some(staged) = staged {
                    Collection::delete(database, staged.no).await?;
                }
                (None, Stage::Staged)
            }
            Phase::Staging | Phase::Commit => (staged, Stage::Staged),
        };
        let target = match target {
            Some(target) => target,
            None => self.create(database, stage, &elsewhere).await?,
        };
        let edit = edit::plan(database, &target, set, &files, &claims).await?;
        self.check_totals(&target.totals, &edit.totals, &elsewhere)?;
        claims.save(database).await?;
        edit.save(database).await?;
        let edited = Collection {
            generation: set.generation,
            totals: edit.totals,
            last_set: self.checked.fingerprint,
            ..target
        };
        if matches!(set.phase, Phase::Begin | Phase::Staging) {
            edited.save(database, Stage::Staged, None).await?;
            return Ok(answer(live.as_ref(), Vec::new(), Settled::default()));
        }

        let (old, new) = (live.as_ref().map(|live| live.no), edited.no);
        let movements = match set.phase {
            Phase::Commit => Movement::between(database, old, Some(new)).await?,
            _ => edit.movements,
        };
        let holder = Holder { voter, elsewhere: others(database, self.member, old.unwrap_or(new)).await? };
        let settled = settle::settle(database, &holder, &movements).await?;
        if let Some(old) = old.filter(|&old| old != new) {
            Collection::delete(database, old).await?;
        }
        if edited.is_empty() {
            Collection::delete(database, edited.no).await?;
        } else {
            edited.save(database, Stage::Live, set.head.as_ref()).await?;
        }
        Ok(answer(Some(&edited), Vec::new(), settled))
    }

    /// While something is staged, a commit is the first of its kind, even if it looks like the last one.
    fn is_repeated(&self, live: Option<&Collection>, staged: Option<&Collection>) -> bool {
        let set = &self.checked.set;
        let could_be = match set.phase {
            Phase::Change => true,
            Phase::Commit => staged.is_none(),
            Phase::Begin | Phase::Staging => false,
        };
        could_be
            && live.is_some_and(|live| {
                let same_head = |head: &Head| head.digest == live.totals.digest && head.count == live.totals.count;
                live.generation == set.generation
                    && (live.last_set == self.checked.fingerprint || set.head.as_ref().is_some_and(same_head))
            })
    }

    /// Whether the set adds nothing and its head says that nothing is there afterwards.
    fn leaves_nothing(&self) -> bool {
        let set = &self.checked.set;
        let is_last = matches!(set.phase, Phase::Change | Phase::Commit);
        let adds = !set.add.is_empty() || set.folders.iter().any(|folder| folder.path.is_some());
        let empty = |head: &Head| head.digest == LibraryDigest::EMPTY && head.count == 0;
        is_last && !adds && set.head.as_ref().is_some_and(empty)
    }

    /// Sums over the member's collections of other names.
    async fn elsewhere(&self, database: &mut Connection) -> Result<Elsewhere, StoreError> {
        let (collections, live_files, files, claim_bytes) = query(
            "SELECT count(DISTINCT name), CAST(coalesce(sum(count) FILTER (WHERE NOT staged), 0) AS BIGINT),
             CAST(coalesce(sum(count), 0) AS BIGINT), CAST(coalesce(sum(claim_bytes), 0) AS BIGINT)
             FROM collections WHERE member = $1 AND name <> $2",
        )
        .bind(self.member.0)
        .bind(&self.checked.set.collection)
        .fetch_one(database)
        .await?;
        Ok(Elsewhere { collections, live_files, files, claim_bytes })
    }

    /// The network that the member votes from: the one it published from first. It may change only while the member
    /// holds nothing, or votes cast from the old network could not be taken back.
    async fn voter(
        &self,
        database: &mut Connection,
        live: Option<&Collection>,
        elsewhere: &Elsewhere,
    ) -> Result<i64, StoreError> {
        let holds_something = elsewhere.live_files > 0 || live.is_some_and(|live| live.totals.count > 0);
        if holds_something && let Some(voter) = settle::voter(database, self.member).await? {
            return Ok(voter);
        }
        query(
            "INSERT INTO owners (member, peer, voter) VALUES ($1, $2, $3)
             ON CONFLICT (member) DO UPDATE SET peer = excluded.peer, voter = excluded.voter",
        )
        .bind(self.member.0)
        .bind(self.peer.as_bytes().as_slice())
        .bind(self.voter)
        .execute(database)
        .await?;
        Ok(self.voter)
    }

    async fn create(
        &self,
        database: &mut Connection,
        stage: Stage,
        elsewhere: &Elsewhere,
    ) -> Result<Collection, ChangeError> {
        if elsewhere.collections >= MAX_COLLECTIONS {
            return Err(ChangeError::QuotaExceeded(format!("a member has at most {MAX_COLLECTIONS} collections")));
        }
        Ok(Collection::create(database, self.member, &self.checked.set.collection, stage).await?)
    }

    fn check_totals(&self, before: &Totals, totals: &Totals, elsewhere: &Elsewhere) -> Result<(), ChangeError> {
        let Quotas { files_per_peer, claim_bytes_per_peer } = self.quotas;
        let too_many = |what: &str, most: u64| Err(ChangeError::QuotaExceeded(format!("at most {most} {what}")));
        if totals.count > before.count && elsewhere.files + totals.count > files_per_peer {
            return too_many("files", files_per_peer);
        }
        if totals.claim_bytes > before.claim_bytes && elsewhere.claim_bytes + totals.claim_bytes > claim_bytes_per_peer
        {
            return too_many("bytes of claims", claim_bytes_per_peer);
        }
        // A folder is there for its files.
        if totals.folders > before.folders && totals.folders > files_per_peer {
            return too_many("folders", files_per_peer);
        }
        let set = &self.checked.set;
        let final_state = matches!(set.phase, Phase::Change | Phase::Commit);
        match &set.head {
            Some(head) if final_state && (head.digest != totals.digest || head.count != totals.count) => {
                Err(ChangeError::HeadMismatch)
            }
            _ => Ok(()),
        }
    }
}

fn nothing_left(generation: u64) -> Applied {
    let answer = ChangesAnswer { generation, digest: LibraryDigest::EMPTY, count: 0, unknown_claims: Vec::new() };
    Applied { answer, added: Vec::new(), removed: Vec::new() }
}

fn answer(live: Option<&Collection>, unknown_claims: Vec<Digest>, settled: Settled) -> Applied {
    let totals = live.map(|live| live.totals).unwrap_or_default();
    let answer = ChangesAnswer {
        generation: live.map_or(0, |live| live.generation),
        digest: totals.digest,
        count: totals.count,
        unknown_claims,
    };
    Applied { answer, added: settled.added, removed: settled.removed }
}

struct Elsewhere {
    collections: u64,
    live_files: u64,
    files: u64,
    claim_bytes: u64,
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
