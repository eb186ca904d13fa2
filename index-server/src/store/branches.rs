//! Who came through whom.

use choir_shared::{Digest, PeerId};

use super::Store;
use super::accounts::{Member, read};
use super::columns::{digest, peer};
use super::error::StoreError;
use super::own_quota::{self, OwnQuota};
use super::sql::{Row, query};

/// A member, and how it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub member: Member,
    /// The hash of the invite; `None` if none was needed.
    pub invite: Option<Digest>,
    /// Who had the invite made; `None`: the operator.
    pub invited_by: Option<PeerId>,
    pub quota: OwnQuota,
}

impl Store {
    /// All members, in the order in which they came.
    pub async fn members(&self) -> Result<Vec<Joined>, StoreError> {
        let rows = query(
            "SELECT no, peer, name, browsable, created_unix_s, invite, invited_by, own_files, own_changes_per_minute
             FROM members ORDER BY no",
        )
        .fetch_all(&self.accounts.readers)
        .await?;
        rows.iter().map(joined).collect()
    }

    /// A member and everybody who came through it, directly or through others, also through members erased since.
    pub async fn branch(&self, root: &PeerId) -> Result<Vec<PeerId>, StoreError> {
        let peers: Vec<Vec<u8>> = query(
            "WITH RECURSIVE branch(peer) AS (
                 SELECT $1 UNION SELECT m.peer FROM members m JOIN branch b ON m.invited_by = b.peer
             ) SELECT peer FROM branch",
        )
        .bind(root.as_bytes().to_vec())
        .fetch_all(&self.accounts.readers)
        .await?;
        peers.iter().map(|bytes| peer(bytes)).collect()
    }
}

fn joined(row: &Row) -> Result<Joined, StoreError> {
    let (invite, by): (Option<&[u8]>, Option<&[u8]>) = (row.get("invite")?, row.get("invited_by")?);
    Ok(Joined {
        member: read(row)?,
        invite: invite.map(digest).transpose()?,
        invited_by: by.map(peer).transpose()?,
        quota: own_quota::read(row)?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use choir_shared::identity::SecretKey;

    use super::*;
    use crate::store::Enrolment;
    use crate::store::testing::{NOW, World, on_both_databases};

    fn id(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    async fn a_branch_is_a_member_and_all_who_came_through_it(world: World) {
        for (seed, by) in [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1)), (5, None), (6, Some(5))] {
            let code = world.store.create_invite(1, NOW + 9, by.map(id).as_ref(), NOW).await.unwrap();
            world.store.enrol(&id(seed), Enrolment::Invite(&code), NOW).await.unwrap();
        }
        let branch = async |seed| BTreeSet::from_iter(world.store.branch(&id(seed)).await.unwrap());
        assert_eq!(branch(1).await, [1, 2, 3, 4].map(id).into());
        assert_eq!(branch(3).await, [id(3)].into());
        let members = world.store.members().await.unwrap();
        let inviters: Vec<_> = members.iter().map(|joined| joined.invited_by).collect();
        assert_eq!(inviters, [None, Some(id(1)), Some(id(2)), Some(id(1)), None, Some(id(5))]);
        assert!(members.iter().all(|joined| joined.invite.is_some()));
    }

    on_both_databases! {
        a_branch_is_a_member_and_all_who_came_through_it,
    }
}
