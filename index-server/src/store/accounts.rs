//! Members and their names.

use choir_shared::PeerId;

use super::columns::{json, peer, time};
use super::error::StoreError;
use super::invites::note;
use super::name::DisplayName;
use super::numbers::MemberNo;
use super::replicas::{Kept, count};
use super::sql::{Connection, On, Row, query};
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
    #[error("whoever made the invite is banned")]
    InviterBanned,
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
        find(&self.accounts.readers, peer).await
    }

    /// Who has this name. At most one member does: names are unique in both forms.
    pub async fn named(&self, name: &DisplayName) -> Result<Option<Named>, StoreError> {
        let row = query(
            "SELECT no, peer, name, browsable, created_unix_s, folded = $1 AS is_same FROM members
             WHERE folded = $1 OR skeleton = $2 ORDER BY is_same DESC LIMIT 1",
        )
        .bind(name.folded().to_owned())
        .bind(name.skeleton().to_owned())
        .fetch_optional(&self.accounts.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let member = read(&row)?;
        Ok(Some(if row.get("is_same")? { Named::Exactly(member) } else { Named::LooksLike(member) }))
    }

    pub async fn member_by_no(&self, no: MemberNo) -> Result<Option<Member>, StoreError> {
        Ok(self.members_by_no(&[no]).await?.pop())
    }

    /// Those that exist, in the order asked for.
    pub async fn members_by_no(&self, numbers: &[MemberNo]) -> Result<Vec<Member>, StoreError> {
        let rows = query(
            "SELECT m.no, m.peer, m.name, m.browsable, m.created_unix_s
             FROM json_each($1) j CROSS JOIN members m WHERE m.no = CAST(j.value AS BIGINT) ORDER BY j.key",
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
        let change =
            query("UPDATE members SET browsable = $2 WHERE peer = $1").bind(peer.as_bytes().to_vec()).bind(browsable);
        self.accounts.writer.run(move |db| Box::pin(async move { change.execute(db).await.map(drop) })).await
    }

    /// Notes that the member was here.
    pub async fn touch(&self, peer: &PeerId, now_unix_s: u64) -> Result<(), StoreError> {
        let step = now_unix_s - now_unix_s % LAST_SEEN_STEP_S;
        let change = query("UPDATE members SET last_seen_unix_s = $2 WHERE peer = $1 AND last_seen_unix_s < $2")
            .bind(peer.as_bytes().to_vec())
            .bind(time(step));
        self.accounts.writer.run(move |db| Box::pin(async move { change.execute(db).await.map(drop) })).await
    }

    /// Removes the account alone.
    pub(super) async fn erase_account(&self, peer: &PeerId) -> Result<Option<MemberNo>, StoreError> {
        let peer = *peer;
        self.accounts.writer.run(move |db| Box::pin(async move { erase(db, &peer).await })).await
    }

    /// Those of the owners whose number is no longer, or never was, that of their key.
    pub async fn strangers_among(&self, owners: &[(MemberNo, PeerId)]) -> Result<Vec<MemberNo>, StoreError> {
        let numbers: Vec<MemberNo> = owners.iter().map(|&(no, _)| no).collect();
        let known: std::collections::HashSet<(MemberNo, PeerId)> =
            self.members_by_no(&numbers).await?.into_iter().map(|member| (member.no, member.peer)).collect();
        Ok(owners.iter().filter(|owner| !known.contains(owner)).map(|&(no, _)| no).collect())
    }
}

async fn enrol(
    database: &mut Connection,
    peer: &PeerId,
    invite: Option<choir_shared::Digest>,
    now_unix_s: u64,
) -> Result<Member, EnrolError> {
    if let Some(member) = find(&mut *database, peer).await? {
        return Ok(member);
    }
    let invited_by = match &invite {
        None => None,
        Some(invite) => invites::redeem(database, invite, now_unix_s).await?.created_by,
    };
    query(
        "INSERT INTO members (peer, created_unix_s, last_seen_unix_s, invite, invited_by) VALUES ($1, $2, $2, $3, $4)",
    )
    .bind(peer.as_bytes().as_slice())
    .bind(time(now_unix_s))
    .bind(invite.map(|invite| invite.as_bytes().to_vec()))
    .bind(invited_by)
    .execute(&mut *database)
    .await?;
    Ok(find(database, peer).await?.ok_or(StoreError::Corrupt("a member that vanished"))?)
}

async fn erase(database: &mut Connection, peer: &PeerId) -> Result<Option<MemberNo>, StoreError> {
    query("UPDATE reports SET reporter = NULL WHERE reporter = $1")
        .bind(peer.as_bytes().as_slice())
        .execute(&mut *database)
        .await?;
    let erased: Option<u32> = query("DELETE FROM members WHERE peer = $1 RETURNING no")
        .bind(peer.as_bytes().as_slice())
        .fetch_optional(&mut *database)
        .await?;
    if erased.is_some() {
        count(database, Kept::Members).await?;
    }
    Ok(erased.map(MemberNo))
}

/// Whether another program has erased the member. The accounts are within reach of who writes to the catalogue exactly
/// where there can be other programs. The library is dropped after the account, in a turn of its own, so that whatever
/// is written in between goes with it.
pub(super) async fn is_erased_elsewhere(catalogue: &mut Connection, member: MemberNo) -> Result<bool, StoreError> {
    if matches!(catalogue, Connection::Sqlite(_)) {
        return Ok(false);
    }
    query("SELECT NOT EXISTS (SELECT FROM accounts.members WHERE no = $1)").bind(member.0).fetch_one(catalogue).await
}

async fn free_name(database: &mut Connection, peer: &PeerId, now_unix_s: u64) -> Result<bool, StoreError> {
    let freed =
        query("UPDATE members SET name = NULL, folded = NULL, skeleton = NULL WHERE peer = $1 AND name IS NOT NULL")
            .bind(peer.as_bytes().as_slice())
            .execute(&mut *database)
            .await?;
    if freed == 0 {
        return Ok(false);
    }
    note(database, now_unix_s, &format!("took the name of {peer}")).await?;
    Ok(true)
}

async fn rename(
    database: &mut Connection,
    peer: &PeerId,
    name: &DisplayName,
    now_unix_s: u64,
) -> Result<(), RenameError> {
    let unused_since = now_unix_s.saturating_sub(NAME_UNUSED_S);
    query(
        "UPDATE members SET name = NULL, folded = NULL, skeleton = NULL
         WHERE (folded = $2 OR skeleton = $3) AND peer <> $1 AND last_seen_unix_s < $4",
    )
    .bind(peer.as_bytes().as_slice())
    .bind(name.folded())
    .bind(name.skeleton())
    .bind(time(unused_since))
    .execute(&mut *database)
    .await?;

    let renamed = query("UPDATE members SET name = $2, folded = $3, skeleton = $4 WHERE peer = $1")
        .bind(peer.as_bytes().as_slice())
        .bind(name.as_str())
        .bind(name.folded())
        .bind(name.skeleton())
        .execute(database)
        .await;
    match renamed {
        Ok(0) => Err(RenameError::NoSuchMember),
        Ok(_) => Ok(()),
        Err(error) if error.is_unique_violation() => Err(RenameError::Taken),
        Err(error) => Err(error.into()),
    }
}

async fn find(database: impl Into<On<'_>>, peer: &PeerId) -> Result<Option<Member>, StoreError> {
    let row = query("SELECT no, peer, name, browsable, created_unix_s FROM members WHERE peer = $1")
        .bind(peer.as_bytes().as_slice())
        .fetch_optional(database)
        .await?;
    row.as_ref().map(read).transpose()
}

pub(super) fn read(row: &Row) -> Result<Member, StoreError> {
    Ok(Member {
        no: MemberNo(row.get("no")?),
        peer: peer(row.get("peer")?)?,
        name: row.get("name")?,
        browsable: row.get("browsable")?,
        created_unix_s: row.get("created_unix_s")?,
    })
}

#[cfg(test)]
mod tests;
