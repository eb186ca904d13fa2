//! Members and their names.

use choir_shared::PeerId;
use sqlx::Row as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::columns::{json, peer, time};
use super::error::StoreError;
use super::invites::{Redeemed, note};
use super::name::DisplayName;
use super::numbers::MemberNo;
use super::{Store, invites};

/// A name that nobody has logged in under for so long is free again.
const NAME_UNUSED_S: u64 = 180 * 24 * 3600;

/// How exactly it is known when somebody was last here; a finer record would be a log of people's lives.
const LAST_SEEN_STEP_S: u64 = 3600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub no: MemberNo,
    pub peer: PeerId,
    pub name: Option<String>,
    pub browsable: bool,
    pub created_unix_s: u64,
}

/// Whom a name may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is this member's, written in whatever case and with whatever accents.
    Exactly(Member),
    /// It is nobody's, but looks like this member's.
    LooksLike(Member),
}

/// How a key that is not known yet becomes a member. Whether the index takes any is the caller's to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment<'a> {
    Open,
    /// With the code of an invite, as people type it.
    Invite(&'a str),
}

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("the invite is used up, expired or unknown")]
    InviteInvalid,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    #[error("another member has this name, or one that looks like it")]
    Taken,
    #[error("no such member")]
    NoSuchMember,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    pub async fn member(&self, peer: &PeerId) -> Result<Option<Member>, StoreError> {
        let mut connection = self.accounts.readers.acquire().await?;
        find(&mut connection, peer).await
    }

    /// Who has this name. At most one member does: names are unique in both forms.
    pub async fn named(&self, name: &DisplayName) -> Result<Option<Named>, StoreError> {
        let row = sqlx::query(
            "SELECT no, peer, name, browsable, created_unix_s, folded = ?1 AS is_same FROM members
             WHERE folded = ?1 OR skeleton = ?2 ORDER BY is_same DESC LIMIT 1",
        )
        .bind(name.folded().to_owned())
        .bind(name.skeleton().to_owned())
        .fetch_optional(&self.accounts.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let member = read(&row)?;
        Ok(Some(if row.try_get("is_same")? { Named::Exactly(member) } else { Named::LooksLike(member) }))
    }

    pub async fn member_by_no(&self, no: MemberNo) -> Result<Option<Member>, StoreError> {
        Ok(self.members_by_no(&[no]).await?.pop())
    }

    /// Those that exist, in the order asked for.
    pub async fn members_by_no(&self, numbers: &[MemberNo]) -> Result<Vec<Member>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.no, m.peer, m.name, m.browsable, m.created_unix_s
             FROM json_each(?1) j CROSS JOIN members m ON m.no = j.value ORDER BY j.key",
        )
        .bind(json(&numbers))
        .fetch_all(&self.accounts.readers)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Makes the key a member. A member already stays as it is, and uses no invite up.
    pub async fn enrol(&self, peer: &PeerId, how: Enrolment<'_>, now_unix_s: u64) -> Result<Member, EnrolError> {
        let peer = *peer;
        let invite = match how {
            Enrolment::Open => None,
            Enrolment::Invite(code) => Some(invites::hash(code)),
        };
        self.accounts.writer.run(move |db| Box::pin(async move { enrol(db, &peer, invite, now_unix_s).await })).await
    }

    /// Gives the member this name, if nobody else has it or one that looks like it.
    pub async fn rename(&self, peer: &PeerId, name: &DisplayName, now_unix_s: u64) -> Result<(), RenameError> {
        let (peer, name) = (*peer, name.clone());
        self.accounts.writer.run(move |db| Box::pin(async move { rename(db, &peer, &name, now_unix_s).await })).await
    }

    /// Takes the member's name away, at the operator's word. Whether it had one.
    pub async fn free_name(&self, peer: &PeerId, now_unix_s: u64) -> Result<bool, StoreError> {
        let peer = *peer;
        self.accounts.writer.run(move |db| Box::pin(async move { free_name(db, &peer, now_unix_s).await })).await
    }

    /// Whether others may browse the member's library.
    pub async fn set_browsable(&self, peer: &PeerId, browsable: bool) -> Result<(), StoreError> {
        let peer = *peer;
        let change = sqlx::query("UPDATE members SET browsable = ?2 WHERE peer = ?1")
            .bind(peer.as_bytes().to_vec())
            .bind(browsable);
        self.accounts.writer.run(move |db| Box::pin(async move { Ok(change.execute(db).await.map(drop)?) })).await
    }

    /// Notes that the member was here.
    pub async fn touch(&self, peer: &PeerId, now_unix_s: u64) -> Result<(), StoreError> {
        let step = now_unix_s - now_unix_s % LAST_SEEN_STEP_S;
        let change = sqlx::query("UPDATE members SET last_seen_unix_s = ?2 WHERE peer = ?1 AND last_seen_unix_s < ?2")
            .bind(peer.as_bytes().to_vec())
            .bind(time(step));
        self.accounts.writer.run(move |db| Box::pin(async move { Ok(change.execute(db).await.map(drop)?) })).await
    }

    /// Removes the account alone.
    pub(super) async fn erase_account(&self, peer: &PeerId) -> Result<Option<MemberNo>, StoreError> {
        let peer = *peer;
        self.accounts.writer.run(move |db| Box::pin(async move { erase(db, &peer).await })).await
    }

    /// Those of the owners whose number is no longer, or never was, that of their key.
    pub(super) async fn strangers_among(&self, owners: &[(MemberNo, PeerId)]) -> Result<Vec<MemberNo>, StoreError> {
        let numbers: Vec<MemberNo> = owners.iter().map(|&(no, _)| no).collect();
        let known: std::collections::HashSet<(MemberNo, PeerId)> =
            self.members_by_no(&numbers).await?.into_iter().map(|member| (member.no, member.peer)).collect();
        Ok(owners.iter().filter(|owner| !known.contains(owner)).map(|&(no, _)| no).collect())
    }
}

async fn enrol(
    database: &mut SqliteConnection,
    peer: &PeerId,
    invite: Option<choir_shared::Digest>,
    now_unix_s: u64,
) -> Result<Member, EnrolError> {
    if let Some(member) = find(database, peer).await? {
        return Ok(member);
    }
    let invited_by = match &invite {
        None => None,
        Some(invite) => match invites::redeem(database, invite, now_unix_s).await? {
            Some(Redeemed { created_by }) => created_by,
            None => return Err(EnrolError::InviteInvalid),
        },
    };
    sqlx::query(
        "INSERT INTO members (peer, created_unix_s, last_seen_unix_s, invite, invited_by) VALUES (?1, ?2, ?2, ?3, ?4)",
    )
    .bind(peer.as_bytes().as_slice())
    .bind(time(now_unix_s))
    .bind(invite.map(|invite| invite.as_bytes().to_vec()))
    .bind(invited_by)
    .execute(&mut *database)
    .await
    .map_err(StoreError::from)?;
    Ok(find(database, peer).await?.ok_or(StoreError::Corrupt("a member that vanished"))?)
}

async fn erase(database: &mut SqliteConnection, peer: &PeerId) -> Result<Option<MemberNo>, StoreError> {
    sqlx::query("UPDATE reports SET reporter = NULL WHERE reporter = ?1")
        .bind(peer.as_bytes().as_slice())
        .execute(&mut *database)
        .await?;
    let erased: Option<u32> = sqlx::query_scalar("DELETE FROM members WHERE peer = ?1 RETURNING no")
        .bind(peer.as_bytes().as_slice())
        .fetch_optional(database)
        .await?;
    Ok(erased.map(MemberNo))
}

async fn free_name(database: &mut SqliteConnection, peer: &PeerId, now_unix_s: u64) -> Result<bool, StoreError> {
    let freed = sqlx::query(
        "UPDATE members SET name = NULL, folded = NULL, skeleton = NULL WHERE peer = ?1 AND name IS NOT NULL",
    )
    .bind(peer.as_bytes().as_slice())
    .execute(&mut *database)
    .await?;
    if freed.rows_affected() == 0 {
        return Ok(false);
    }
    note(database, now_unix_s, &format!("took the name of {peer}")).await?;
    Ok(true)
}

async fn rename(
    database: &mut SqliteConnection,
    peer: &PeerId,
    name: &DisplayName,
    now_unix_s: u64,
) -> Result<(), RenameError> {
    let unused_since = now_unix_s.saturating_sub(NAME_UNUSED_S);
    sqlx::query(
        "UPDATE members SET name = NULL, folded = NULL, skeleton = NULL
         WHERE (folded = ?2 OR skeleton = ?3) AND peer <> ?1 AND last_seen_unix_s < ?4",
    )
    .bind(peer.as_bytes().as_slice())
    .bind(name.folded())
    .bind(name.skeleton())
    .bind(time(unused_since))
    .execute(&mut *database)
    .await
    .map_err(StoreError::from)?;

    let renamed = sqlx::query("UPDATE members SET name = ?2, folded = ?3, skeleton = ?4 WHERE peer = ?1")
        .bind(peer.as_bytes().as_slice())
        .bind(name.as_str())
        .bind(name.folded())
        .bind(name.skeleton())
        .execute(database)
        .await;
    match renamed {
        Ok(done) if done.rows_affected() == 0 => Err(RenameError::NoSuchMember),
        Ok(_) => Ok(()),
        Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
            Err(RenameError::Taken)
        }
        Err(error) => Err(StoreError::from(error).into()),
    }
}

async fn find(database: &mut SqliteConnection, peer: &PeerId) -> Result<Option<Member>, StoreError> {
    let row = sqlx::query("SELECT no, peer, name, browsable, created_unix_s FROM members WHERE peer = ?1")
        .bind(peer.as_bytes().as_slice())
        .fetch_optional(database)
        .await?;
    row.as_ref().map(read).transpose()
}

pub(super) fn read(row: &SqliteRow) -> Result<Member, StoreError> {
    Ok(Member {
        no: MemberNo(row.try_get("no")?),
        peer: peer(row.try_get("peer")?)?,
        name: row.try_get("name")?,
        browsable: row.try_get("browsable")?,
        created_unix_s: row.try_get("created_unix_s")?,
    })
}

#[cfg(test)]
mod tests;
