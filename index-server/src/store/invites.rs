//! Invites, and the record of what operators did.
//!
//! - **An invite** is a random code that lets a number of keys in. Only its hash is kept: whoever reads the database,
//!   or a backup of it, cannot join with what it finds.
//! - **While whoever had it made is banned it lets nobody in**, or a branch would grow again at once. It is not revoked:
//!   a ban can be lifted.

use std::collections::HashSet;

use choir_shared::{Digest, PeerId};

use super::Store;
use super::accounts::EnrolError;
use super::bans::is_banned;
use super::columns::{digest, peer, time};
use super::error::StoreError;
use super::sql::{Connection, Row, query};

/// Crockford's base 32: no letter that is mistaken for another, and no `u`.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 80 bits: beyond guessing, and still short enough to be read over the telephone.
const CODE_LETTERS: usize = 16;

/// Letters between two hyphens.
const GROUP_LETTERS: usize = 4;

/// Of an invite's hash, to name it by.
const LABEL_DIGITS: usize = 12;

const HASH_DOMAIN: &[u8] = b"choir invite 1";

/// An invite that still lets somebody in. Its code is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Names the invite when it is revoked.
    pub hash: Digest,
    pub uses_left: u32,
    pub expires_unix_s: u64,
    /// `None`: the operator.
    pub created_by: Option<PeerId>,
    /// Whoever had it made is banned, and it lets nobody in until that is over.
    pub suspended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub time_unix_s: u64,
    pub what: String,
}

impl Store {
    /// Makes an invite and returns its code, which is kept nowhere. `by` is `None` for the operator.
    pub async fn create_invite(
        &self,
        uses: u32,
        expires_unix_s: u64,
        by: Option<&PeerId>,
        now_unix_s: u64,
    ) -> Result<String, StoreError> {
        let code = new_code()?;
        let (hash, by) = (hash(&code), by.copied());
        self.accounts
            .writer
            .run(move |db| Box::pin(async move { insert(db, &hash, uses, expires_unix_s, by, now_unix_s).await }))
            .await?;
        Ok(code)
    }

    /// Those that are not used up and not over, the last to expire first.
    pub async fn live_invites(&self, now_unix_s: u64) -> Result<Vec<Invite>, StoreError> {
        let rows = query(
            "SELECT code_hash, uses_left, expires_unix_s, created_by FROM invites
             WHERE uses_left > 0 AND expires_unix_s > $1 ORDER BY expires_unix_s DESC, code_hash",
        )
        .bind(time(now_unix_s))
        .fetch_all(&self.accounts.readers)
        .await?;
        let bans = self.bans().await?.into_iter().filter(|ban| !ban.is_over(now_unix_s));
        let banned: HashSet<PeerId> = bans.filter_map(|ban| ban.target.peer()).collect();
        let read = |row: &Row| {
            let by: Option<&[u8]> = row.get("created_by")?;
            let created_by = by.map(peer).transpose()?;
            Ok(Invite {
                hash: digest(row.get("code_hash")?)?,
                uses_left: row.get("uses_left")?,
                expires_unix_s: row.get("expires_unix_s")?,
                created_by,
                suspended: created_by.is_some_and(|by| banned.contains(&by)),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Whether there was one to revoke.
    pub async fn revoke_invite(&self, hash: &Digest, now_unix_s: u64) -> Result<bool, StoreError> {
        let hash = *hash;
        self.accounts.writer.run(move |db| Box::pin(async move { revoke(db, &hash, now_unix_s).await })).await
    }

    /// What operators did, the latest first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows: Vec<(u64, String)> = query("SELECT time_unix_s, what FROM audit ORDER BY no DESC LIMIT $1")
            .bind(limit)
            .fetch_all(&self.accounts.readers)
            .await?;
        Ok(rows.into_iter().map(|(time_unix_s, what)| AuditEntry { time_unix_s, what }).collect())
    }
}

/// What is kept of a code. People may write it with capitals, without hyphens, and with the letters that ours
/// replace.
pub(super) fn hash(code: &str) -> Digest {
    let plain = code.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    });
    Digest::of_parts(&[HASH_DOMAIN, plain.collect::<String>().as_bytes()])
}

/// An invite that was good for one more.
pub(super) struct Redeemed {
    /// The key of whoever had it made.
    pub(super) created_by: Option<Vec<u8>>,
}

/// Takes one use off, if there is one left and whoever had it made is not banned.
pub(super) async fn redeem(database: &mut Connection, hash: &Digest, now_unix_s: u64) -> Result<Redeemed, EnrolError> {
    let used: Option<Option<Vec<u8>>> = query(
        "UPDATE invites SET uses_left = uses_left - 1
         WHERE code_hash = $1 AND uses_left > 0 AND expires_unix_s > $2 RETURNING created_by",
    )
    .bind(hash.as_bytes().as_slice())
    .bind(time(now_unix_s))
    .fetch_optional(&mut *database)
    .await?;
    let created_by = used.ok_or(EnrolError::InviteInvalid)?;
    // What is refused is undone: the use is not lost.
    if let Some(by) = &created_by
        && is_banned(database, &peer(by)?, now_unix_s).await?
    {
        return Err(EnrolError::InviterBanned);
    }
    Ok(Redeemed { created_by })
}

/// What an operator calls an invite: enough digits of its hash to tell it from the others.
pub fn label(hash: &Digest) -> String {
    let mut digits = hash.to_string();
    digits.truncate(LABEL_DIGITS);
    digits
}

async fn insert(
    database: &mut Connection,
    hash: &Digest,
    uses: u32,
    expires_unix_s: u64,
    by: Option<PeerId>,
    now_unix_s: u64,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO invites (code_hash, uses_left, expires_unix_s, created_by, created_unix_s) 
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(hash.as_bytes().as_slice())
    .bind(uses)
    .bind(time(expires_unix_s))
    .bind(by.as_ref().map(|by| by.as_bytes().to_vec()))
    .bind(time(now_unix_s))
    .execute(&mut *database)
    .await?;
    let by = by.map_or_else(|| "the operator".to_owned(), |by| by.to_string());
    note(database, now_unix_s, &format!("invite {} for {uses} made for {by}", label(hash))).await
}

async fn revoke(database: &mut Connection, hash: &Digest, now_unix_s: u64) -> Result<bool, StoreError> {
    let gone = query("DELETE FROM invites WHERE code_hash = $1")
        .bind(hash.as_bytes().as_slice())
        .execute(&mut *database)
        .await?;
    if gone == 0 {
        return Ok(false);
    }
    note(database, now_unix_s, &format!("invite {} revoked", label(hash))).await?;
    Ok(true)
}

/// Adds a line to the record, in the transaction of what it tells.
pub(super) async fn note(database: &mut Connection, now_unix_s: u64, what: &str) -> Result<(), StoreError> {
    query("INSERT INTO audit (time_unix_s, what) VALUES ($1, $2)")
        .bind(time(now_unix_s))
        .bind(what)
        .execute(database)
        .await?;
    Ok(())
}

fn new_code() -> Result<String, StoreError> {
    let mut random = [0; CODE_LETTERS];
    getrandom::fill(&mut random).map_err(|_| StoreError::Unavailable)?;
    // 256 is a multiple of 32, so every letter is equally likely.
    let letters = random.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    let groups: Vec<String> = letters.chunks(GROUP_LETTERS).map(String::from_iter).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_being_read_aloud_and_typed_in() {
        let code = new_code().unwrap();
        assert_eq!(code.len(), 19);
        assert_eq!(hash(&code), hash(&code.to_uppercase().replace('-', " ")));
        assert_eq!(hash("0o1-il"), hash("OO1l1"));
        assert_ne!(hash(&code), hash(&new_code().unwrap()));
    }
}
