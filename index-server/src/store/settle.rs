//! What follows when a member's holdings change: holders are counted, votes are cast, and every change that others
//! can see gets a revision.
//!
//! Search reads changes by revision. A file gets a new one when another claim is shown, when its number of holders
//! crosses a power of two (the ranking knows no finer step), and when its first holder comes or its last one goes.

use std::collections::{HashMap, HashSet};

use choir_shared::Claim;

use super::ballot::{Ballot, Vote};
use super::columns::{claim, digest, json};
use super::election::{Candidate, elect};
use super::error::StoreError;
use super::numbers::{ClaimNo, CollectionNo, FileNo, MemberNo};
use super::sql::{Connection, Row, query};

/// Movements that are settled at once: enough to make a statement worth its while, little enough for any memory.
const BATCH: usize = 2000;

/// A holding of one collection that came, went or got another claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    pub(super) file: FileNo,
    pub(super) before: Option<ClaimNo>,
    pub(super) after: Option<ClaimNo>,
}

/// Whose holdings move.
pub(super) struct Holder {
    /// The keyed hash of its network.
    pub(super) voter: i64,
    /// Its other collections: a file that lies there too neither comes nor goes.
    pub(super) elsewhere: Vec<CollectionNo>,
}

/// Files that the member did not hold before, and those it does not hold any more.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) added: Vec<FileNo>,
    pub(super) removed: Vec<FileNo>,
}

impl Movement {
    /// What moves when one collection takes the place of another, in the order of the files on either database.
    pub(super) async fn between(
        database: &mut Connection,
        old: Option<CollectionNo>,
        new: Option<CollectionNo>,
    ) -> Result<Vec<Self>, StoreError> {
        let rows: Vec<(u32, Option<u32>, Option<u32>)> = query(
            "SELECT n.file, o.claim, n.claim FROM holdings n
             LEFT JOIN holdings o ON o.collection = $1 AND o.file = n.file
             WHERE n.collection = $2 AND o.claim IS DISTINCT FROM n.claim
             UNION ALL
             SELECT o.file, o.claim, NULL FROM holdings o
             WHERE o.collection = $1
             AND NOT EXISTS (SELECT 1 FROM holdings n WHERE n.collection = $2 AND n.file = o.file)
             ORDER BY 1",
        )
        .bind(old.map(|no| no.0))
        .bind(new.map(|no| no.0))
        .fetch_all(database)
        .await?;
        let movement = |(file, before, after): (u32, Option<u32>, Option<u32>)| Self {
            file: FileNo(file),
            before: before.map(ClaimNo),
            after: after.map(ClaimNo),
        };
        Ok(rows.into_iter().map(movement).collect())
    }
}

/// The network that a member votes from.
pub(super) async fn voter(database: &mut Connection, member: MemberNo) -> Result<Option<i64>, StoreError> {
    query("SELECT voter FROM owners WHERE member = $1").bind(member.0).fetch_optional(database).await
}

pub(super) async fn settle(
    database: &mut Connection,
    holder: &Holder,
    movements: &[Movement],
) -> Result<Settled, StoreError> {
    let mut settled = Settled::default();
    for batch in movements.chunks(BATCH) {
        settle_batch(database, holder, batch, &mut settled).await?;
    }
    Ok(settled)
}

async fn settle_batch(
    database: &mut Connection,
    holder: &Holder,
    movements: &[Movement],
    settled: &mut Settled,
) -> Result<(), StoreError> {
    let mut files = load(database, holder.voter, movements).await?;
    let elsewhere = held_elsewhere(database, holder, movements).await?;
    let (mut vanished, mut appeared, mut gained, mut lost) = (0i64, 0i64, 0i64, 0i64);
    for &Movement { file, before, after } in movements {
        let state = files.get_mut(&file).ok_or(StoreError::Corrupt("a holding of an unknown file"))?;
        state.vote = state.ballot.cast(state.vote, before, after);
        if elsewhere.contains(&file) {
            continue;
        }
        match (before, after) {
            (None, Some(_)) => {
                appeared += i64::from(state.holders == 0);
                gained += 1;
                state.holders += 1;
                settled.added.push(file);
            }
            (Some(_), None) => {
                state.holders = state.holders.saturating_sub(1);
                vanished += i64::from(state.holders == 0);
                lost += 1;
                settled.removed.push(file);
            }
            _ => {}
        }
    }
    choose_claims(database, &mut files).await?;

    let changes = files.values().filter(|state| state.is_visibly_changed()).count() as i64;
    let last: u64 = query(
        "UPDATE catalogue SET revision = revision + $1, files = files + $2, holdings = holdings + $3 RETURNING revision",
    )
    .bind(changes)
    .bind(appeared - vanished)
    .bind(gained - lost)
    .fetch_one(&mut *database)
    .await?;
    // In the order of the movements, so that what was published together is indexed together.
    let mut revision = last.saturating_sub(changes as u64);
    for movement in movements {
        if let Some(state) = files.get_mut(&movement.file).filter(|state| state.is_visibly_changed()) {
            revision += 1;
            state.revision = revision;
            state.was = state.seen();
        }
    }
    save_files(database, &files).await?;
    save_votes(database, holder.voter, &files).await
}

/// One file, and the vote of the holder's network on it.
struct FileState {
    holders: u32,
    shown: Shown,
    ballot: Ballot,
    vote: Option<Vote>,
    revision: u64,
    /// What others saw before.
    was: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    claim: ClaimNo,
    /// A claim that no single holder made, as JSON.
    composed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    shown: Shown,
    /// The whole part of log2(1 + holders): 0 exactly if there is none.
    popularity: u32,
}

impl FileState {
    fn seen(&self) -> Seen {
        Seen { shown: self.shown.clone(), popularity: popularity(self.holders) }
    }

    fn is_visibly_changed(&self) -> bool {
        self.was.popularity != popularity(self.holders) || self.was.shown != self.shown
    }
}

const fn popularity(holders: u32) -> u32 {
    holders.saturating_add(1).ilog2()
}

async fn load(
    database: &mut Connection,
    voter: i64,
    movements: &[Movement],
) -> Result<HashMap<FileNo, FileState>, StoreError> {
    let numbers: Vec<FileNo> = movements.iter().map(|movement| movement.file).collect();
    let rows: Vec<Row> = query(
        "SELECT f.no, f.holders, f.revision, f.claim, f.composed, f.ballot, v.claim AS voted, v.holdings
         FROM json_each($1) j CROSS JOIN files f LEFT JOIN votes v ON v.file = f.no AND v.voter = $2
         WHERE f.no = CAST(j.value AS BIGINT)",
    )
    .bind(json(&numbers))
    .bind(voter)
    .fetch_all(database)
    .await?;
    let mut files = HashMap::with_capacity(rows.len());
    for row in rows {
        let shown = Shown { claim: ClaimNo(row.get("claim")?), composed: row.get("composed")? };
        let holders = row.get("holders")?;
        let voted: Option<u32> = row.get("voted")?;
        let vote = match voted {
            Some(claim) => Some(Vote { claim: ClaimNo(claim), holdings: row.get("holdings")? }),
            None => None,
        };
        let state = FileState {
            holders,
            ballot: serde_json::from_str(row.get("ballot")?).map_err(|_| StoreError::Corrupt("a ballot"))?,
            vote,
            revision: row.get("revision")?,
            was: Seen { shown: shown.clone(), popularity: popularity(holders) },
            shown,
        };
        files.insert(FileNo(row.get("no")?), state);
    }
    Ok(files)
}

async fn held_elsewhere(
    database: &mut Connection,
    holder: &Holder,
    movements: &[Movement],
) -> Result<HashSet<FileNo>, StoreError> {
    if holder.elsewhere.is_empty() {
        return Ok(HashSet::new());
    }
    let numbers: Vec<FileNo> = movements.iter().map(|movement| movement.file).collect();
    let held: Vec<u32> = query(
        "SELECT h.file FROM json_each($1) c CROSS JOIN json_each($2) f CROSS JOIN holdings h
         WHERE h.collection = CAST(c.value AS BIGINT) AND h.file = CAST(f.value AS BIGINT)",
    )
    .bind(json(&holder.elsewhere))
    .bind(json(&numbers))
    .fetch_all(database)
    .await?;
    Ok(held.into_iter().map(FileNo).collect())
}

/// Nobody left to vote: what was shown last stays. One variant: that. More: an election.
async fn choose_claims(database: &mut Connection, files: &mut HashMap<FileNo, FileState>) -> Result<(), StoreError> {
    let contested: HashSet<ClaimNo> = files
        .values()
        .filter(|state| state.ballot.variants().len() > 1)
        .flat_map(|state| state.ballot.variants().iter().map(|variant| variant.0))
        .collect();
    let claims = load_claims(database, &contested).await?;
    for state in files.values_mut() {
        match state.ballot.variants() {
            [] => {}
            [only] => state.shown = Shown { claim: only.0, composed: None },
            many @ [first, ..] => {
                let candidate = |no: ClaimNo, voters| {
                    claims.get(&no).map(|(hash, claim)| Candidate { claim: claim.clone(), hash: *hash, voters })
                };
                let candidates = many.iter().filter_map(|variant| candidate(variant.0, variant.1)).collect();
                let elected = elect(candidates).ok_or(StoreError::Corrupt("a ballot of unknown claims"))?;
                let same =
                    many.iter().find(|variant| claims.get(&variant.0).is_some_and(|(_, claim)| *claim == elected));
                state.shown = match same {
                    Some(variant) => Shown { claim: variant.0, composed: None },
                    // One of those it was composed of, so that nothing keeps a claim that nobody makes any more.
                    None => Shown { claim: first.0, composed: Some(elected.to_canonical_json()) },
                };
            }
        }
    }
    Ok(())
}

async fn load_claims(
    database: &mut Connection,
    numbers: &HashSet<ClaimNo>,
) -> Result<HashMap<ClaimNo, (choir_shared::Digest, Claim)>, StoreError> {
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(u32, Vec<u8>, String)> = query(
        "SELECT c.no, c.hash, c.json FROM json_each($1) j CROSS JOIN claims c WHERE c.no = CAST(j.value AS BIGINT)",
    )
    .bind(json(numbers))
    .fetch_all(database)
    .await?;
    rows.into_iter().map(|(no, hash, json)| Ok((ClaimNo(no), (digest(&hash)?, claim(&json)?)))).collect()
}

async fn save_files(database: &mut Connection, files: &HashMap<FileNo, FileState>) -> Result<(), StoreError> {
    let mut rows: Vec<(FileNo, u32, u64, ClaimNo, Option<&str>, String)> = files
        .iter()
        .map(|(&no, state)| {
            let Shown { claim, composed } = &state.shown;
            (no, state.holders, state.revision, *claim, composed.as_deref(), json(&state.ballot))
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.0);
    query(
        "UPDATE files SET holders = CAST(j.value ->> 1 AS BIGINT), revision = CAST(j.value ->> 2 AS BIGINT),
         claim = CAST(j.value ->> 3 AS BIGINT), composed = j.value ->> 4, ballot = j.value ->> 5
         FROM json_each($1) j WHERE files.no = CAST(j.value ->> 0 AS BIGINT)",
    )
    .bind(json(&rows))
    .execute(database)
    .await?;
    Ok(())
}

async fn save_votes(
    database: &mut Connection,
    voter: i64,
    files: &HashMap<FileNo, FileState>,
) -> Result<(), StoreError> {
    let mut cast: Vec<(FileNo, ClaimNo, u32)> =
        files.iter().filter_map(|(&no, state)| state.vote.map(|vote| (no, vote.claim, vote.holdings))).collect();
    if !cast.is_empty() {
        cast.sort_unstable();
        query(
            "INSERT INTO votes (file, voter, claim, holdings)
             SELECT CAST(value ->> 0 AS BIGINT), $1, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT)
             FROM json_each($2) WHERE true
             ON CONFLICT (file, voter) DO UPDATE SET claim = excluded.claim, holdings = excluded.holdings",
        )
        .bind(voter)
        .bind(json(&cast))
        .execute(&mut *database)
        .await?;
    }
    let ended: Vec<FileNo> = files.iter().filter(|(_, state)| state.vote.is_none()).map(|(&no, _)| no).collect();
    if !ended.is_empty() {
        query("DELETE FROM votes WHERE voter = $1 AND file IN (SELECT CAST(value AS BIGINT) FROM json_each($2))")
            .bind(voter)
            .bind(json(&ended))
            .execute(database)
            .await?;
    }
    Ok(())
}
