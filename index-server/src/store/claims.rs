//! The claims that a change set names: those that are known, those it brings, and those that are neither.

use std::collections::{BTreeSet, HashMap};

use choir_shared::Digest;
use choir_shared::audio::AudioId;

use super::change_set::{BroughtClaim, Checked};
use super::columns::{digest, json};
use super::error::StoreError;
use super::numbers::{ClaimNo, next_no};
use super::sql::{Connection, query, query_either};

/// The claims that one set names. Nothing is stored before [`Claims::save`].
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) known: HashMap<Digest, KnownClaim>,
    new: Vec<(u32, String, &'a str)>,
    /// Neither here nor in the set.
    pub(super) unknown: Vec<Digest>,
}

#[derive(Clone, Copy)]
pub(super) struct KnownClaim {
    pub(super) no: ClaimNo,
    /// Of its canonical JSON.
    pub(super) bytes: u64,
    /// One claim may be made of several files, and its audio need not lie in all of them.
    pub(super) audio: Option<AudioId>,
}

impl<'a> Claims<'a> {
    pub(super) async fn resolve(database: &mut Connection, checked: &'a Checked) -> Result<Self, StoreError> {
        let hashes: BTreeSet<Digest> = checked.set.add.iter().map(|entry| entry.claim_hash).collect();
        let rows: Vec<(u32, Vec<u8>, u64, Option<String>)> = query_either(
            "SELECT c.no, c.hash, octet_length(c.json), c.json -> '$.audio'
             FROM json_each($1) j CROSS JOIN claims c WHERE c.hash = unhex(j.value ->> 0)",
            "SELECT c.no, c.hash, CAST(octet_length(c.json) AS BIGINT), CAST(CAST(c.json AS JSON) -> 'audio' AS TEXT)
             FROM json_each($1) j CROSS JOIN claims c WHERE c.hash = unhex(j.value ->> 0)",
        )
        .bind(json(&hashes.iter().map(|hash| [hash]).collect::<Vec<_>>()))
        .fetch_all(&mut *database)
        .await?;
        let mut claims = Self { known: HashMap::new(), new: Vec::new(), unknown: Vec::new() };
        for (no, hash, bytes, audio) in rows {
            let audio = audio.map(|json| serde_json::from_str(&json)).transpose();
            let audio = audio.map_err(|_| StoreError::Corrupt("an audio id that is none"))?;
            claims.known.insert(digest(&hash)?, KnownClaim { no: ClaimNo(no), bytes, audio });
        }
        let mut next = next_no(database, "SELECT coalesce(max(no), 0) FROM claims").await?;
        for hash in hashes {
            if claims.known.contains_key(&hash) {
                continue;
            }
            let Some(BroughtClaim { canonical_json, audio }) = checked.claims.get(&hash) else {
                claims.unknown.push(hash);
                continue;
            };
            let bytes = canonical_json.len() as u64;
            claims.known.insert(hash, KnownClaim { no: ClaimNo(next), bytes, audio: *audio });
            claims.new.push((next, hash.to_string(), canonical_json));
            next = next.checked_add(1).ok_or(StoreError::Corrupt("more claims than numbers"))?;
        }
        Ok(claims)
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
