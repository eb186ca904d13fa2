//! The claims that a change set names: those that are known, those it brings, and those that are neither.
//!
//! A claim is known **of a file**: if it is in the running for it, shown of it, or what this member holds it by
//! already. There is no index of all claims by their hash. It would be in no order that anything is published in, so
//! that each new claim would write a page of its own; without it new songs are published a third faster.

use std::collections::{BTreeSet, HashMap};

use choir_shared::audio::AudioId;
use choir_shared::{Digest, FileId};

use super::change_set::{BroughtClaim, Checked};
use super::columns::{digest, json};
use super::error::StoreError;
use super::files::KnownFile;
use super::numbers::{ClaimNo, FileNo, MemberNo, next_no};
use super::sql::{Connection, query};

/// The claims that one set names. Nothing is stored before [`Claims::save`].
#[derive(Default)]
pub(super) struct Claims<'a> {
    of_file: HashMap<FileId, KnownClaim>,
    new: Vec<(ClaimNo, String, &'a str)>,
    /// Neither here nor in the set.
    pub(super) unknown: Vec<Digest>,
}

#[derive(Clone, Copy)]
pub(super) struct KnownClaim {
    pub(super) no: ClaimNo,
    /// Of its canonical JSON.
    pub(super) bytes: u64,
    /// If the set brought the claim. It may be made of several files, and its audio need not lie in all of them; what
    /// is known of a file has been looked at.
    pub(super) audio: Option<AudioId>,
}

impl<'a> Claims<'a> {
    /// `files` are those of the set that are known.
    pub(super) async fn resolve(
        database: &mut Connection,
        member: MemberNo,
        checked: &'a Checked,
        files: &HashMap<FileId, KnownFile>,
    ) -> Result<Self, StoreError> {
        let mut claims = Self::default();
        let mentioned: BTreeSet<ClaimNo> =
            checked.set.add.iter().filter_map(|entry| files.get(&entry.file)).flat_map(KnownFile::claims).collect();
        let mentioned = load(database, &mentioned).await?;
        let mut elsewhere = Vec::new();
        for entry in &checked.set.add {
            let Some(file) = files.get(&entry.file) else { continue };
            let same = |no: &ClaimNo| mentioned.get(no).filter(|(hash, _)| *hash == entry.claim_hash);
            match file.claims().find_map(|no| same(&no)) {
                Some((_, claim)) => drop(claims.of_file.insert(entry.file, *claim)),
                None => elsewhere.push(file.no),
            }
        }
        let held = load_held(database, member, &elsewhere).await?;
        let mut next = next_no(database, "SELECT coalesce(max(no), 0) FROM claims").await?;
        let (mut new, mut unknown) = (HashMap::new(), BTreeSet::new());
        for entry in &checked.set.add {
            if claims.of_file.contains_key(&entry.file) {
                continue;
            }
            let held = files.get(&entry.file).and_then(|file| held.get(&(file.no, entry.claim_hash)));
            let claim = match (held, new.get(&entry.claim_hash), checked.claims.get(&entry.claim_hash)) {
                (Some(claim), ..) | (None, Some(claim), _) => *claim,
                (None, None, Some(BroughtClaim { canonical_json, audio })) => {
                    let claim = KnownClaim { no: ClaimNo(next), bytes: canonical_json.len() as u64, audio: *audio };
                    new.insert(entry.claim_hash, claim);
                    claims.new.push((claim.no, entry.claim_hash.to_string(), canonical_json));
                    next = next.checked_add(1).ok_or(StoreError::Corrupt("more claims than numbers"))?;
                    claim
                }
                (None, None, None) => {
                    unknown.insert(entry.claim_hash);
                    continue;
                }
            };
            claims.of_file.insert(entry.file, claim);
        }
        claims.unknown = unknown.into_iter().collect();
        Ok(claims)
    }

    /// What the set says of the file. `None` only if that is unknown.
    pub(super) fn of(&self, file: &FileId) -> Option<KnownClaim> {
        self.of_file.get(file).copied()
    }

    pub(super) async fn save(&self, database: &mut Connection) -> Result<(), StoreError> {
        if self.new.is_empty() {
            return Ok(());
        }
        query(
            "INSERT INTO claims (no, hash, json)
             SELECT CAST(value ->> 0 AS BIGINT), unhex(value ->> 1), value ->> 2 FROM json_each($1)",
        )
        .bind(json(&self.new))
        .execute(database)
        .await?;
        Ok(())
    }
}

/// Claims by their numbers, with their hashes.
async fn load(
    database: &mut Connection,
    numbers: &BTreeSet<ClaimNo>,
) -> Result<HashMap<ClaimNo, (Digest, KnownClaim)>, StoreError> {
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(u32, Vec<u8>, u64)> = query(
        "SELECT c.no, c.hash, CAST(octet_length(c.json) AS BIGINT)
         FROM json_each($1) j CROSS JOIN claims c WHERE c.no = CAST(j.value AS BIGINT)",
    )
    .bind(json(numbers))
    .fetch_all(database)
    .await?;
    let known = |(no, hash, bytes): (u32, Vec<u8>, u64)| {
        let no = ClaimNo(no);
        Ok((no, (digest(&hash)?, KnownClaim { no, bytes, audio: None })))
    };
    rows.into_iter().map(known).collect()
}

/// What the member says of these files already, in whichever of its collections.
async fn load_held(
    database: &mut Connection,
    member: MemberNo,
    files: &[FileNo],
) -> Result<HashMap<(FileNo, Digest), KnownClaim>, StoreError> {
    if files.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(u32, u32, Vec<u8>, u64)> = query(
        "SELECT h.file, c.no, c.hash, CAST(octet_length(c.json) AS BIGINT)
         FROM collections k CROSS JOIN json_each($2) j CROSS JOIN holdings h CROSS JOIN claims c
         WHERE k.member = $1 AND h.collection = k.no AND h.file = CAST(j.value AS BIGINT) AND c.no = h.claim",
    )
    .bind(member.0)
    .bind(json(&files))
    .fetch_all(database)
    .await?;
    let held = |(file, no, hash, bytes): (u32, u32, Vec<u8>, u64)| {
        Ok(((FileNo(file), digest(&hash)?), KnownClaim { no: ClaimNo(no), bytes, audio: None }))
    };
    rows.into_iter().map(held).collect()
}
