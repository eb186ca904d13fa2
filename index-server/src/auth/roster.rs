//! Who is a member, and who is banned: asked on every request, so it is answered from memory.
//!
//! The store has the truth. Members are remembered once they were looked up; bans and quotas of single members are few
//! and all of them are here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use choir_shared::PeerId;
use choir_shared::index_api::ErrorCode;

use super::bans::Bans;
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::origin::Origin;
use crate::store::{Ban, BanTarget, MemberNo, OwnQuota, Store, StoreError};

/// So many members are remembered; then all are forgotten and looked up again. Some 10 MB.
const REMEMBERED: usize = 100_000;

const DAY_S: u64 = 24 * 60 * 60;

pub(crate) struct Roster {
    store: Store,
    inside: Mutex<Inside>,
}

struct Inside {
    members: HashMap<PeerId, MemberNo>,
    bans: Bans,
    quotas: HashMap<MemberNo, OwnQuota>,
}

impl Roster {
    pub(crate) async fn load(store: Store) -> Result<Self, StoreError> {
        let bans = load_bans(&store).await?;
        let quotas = store.own_quotas().await?;
        Ok(Self { store, inside: Mutex::new(Inside { members: HashMap::new(), bans, quotas }) })
    }

    /// After another program has changed them.
    pub(crate) async fn reload_bans(&self) -> Result<(), StoreError> {
        let bans = load_bans(&self.store).await?;
        self.inside().bans = bans;
        Ok(())
    }

    /// The number of a member that is not banned.
    pub(crate) async fn member(&self, peer: &PeerId) -> Result<Option<MemberNo>, StoreError> {
        if self.is_banned(peer) {
            return Ok(None);
        }
        if let Some(member) = self.inside().members.get(peer) {
            return Ok(Some(*member));
        }
        let member = self.store.member(peer).await?.map(|member| member.no);
        if let Some(member) = member {
            self.remember(*peer, member);
        }
        Ok(member)
    }

    pub(crate) fn remember(&self, peer: PeerId, member: MemberNo) {
        let mut inside = self.inside();
        if inside.members.len() >= REMEMBERED {
            inside.members.clear();
        }
        inside.members.insert(peer, member);
    }

    /// After a member was erased.
    pub(crate) fn forget(&self, peer: &PeerId) {
        self.inside().members.remove(peer);
    }

    /// After somebody was erased or got another quota elsewhere: everybody is looked up again.
    pub(crate) async fn reload_members(&self) -> Result<(), StoreError> {
        let quotas = self.store.own_quotas().await?;
        let mut inside = self.inside();
        inside.members.clear();
        inside.quotas = quotas;
        Ok(())
    }

    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.inside().bans.of_peer(peer, now_unix_s()).is_some()
    }

    pub(crate) fn is_network_banned(&self, origin: Origin) -> bool {
        self.inside().bans.of_network(origin, now_unix_s()).is_some()
    }

    /// Refuses a peer that is banned, or whose network is, and says why and for how long.
    pub(crate) fn unless_banned(&self, peer: &PeerId, origin: Origin) -> Result<(), ApiError> {
        let (inside, now) = (self.inside(), now_unix_s());
        let Some(ban) = inside.bans.of_peer(peer, now).or_else(|| inside.bans.of_network(origin, now)) else {
            return Ok(());
        };
        let days = ban.until_unix_s.map(|until| (until - now).div_ceil(DAY_S));
        let term = days.map(|days| format!("for {days} more {}", if days == 1 { "day" } else { "days" }));
        let told: Vec<&str> = [Some(ban.reason.as_str()), term.as_deref()]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        match told.is_empty() {
            true => Err(ApiError::new(ErrorCode::Banned)),
            false => Err(ApiError::because(ErrorCode::Banned, told.join(", "))),
        }
    }

    pub(crate) async fn ban(&self, ban: Ban) -> Result<(), StoreError> {
        self.store.ban(ban.clone(), now_unix_s()).await?;
        self.inside().bans.add(ban);
        Ok(())
    }

    /// Whether there was a ban to lift.
    pub(crate) async fn unban(&self, target: &BanTarget) -> Result<bool, StoreError> {
        let lifted = self.store.unban(target, now_unix_s()).await?;
        self.inside().bans.lift(target);
        Ok(lifted)
    }

    pub(crate) fn own_quota(&self, member: MemberNo) -> OwnQuota {
        self.inside().quotas.get(&member).copied().unwrap_or_default()
    }

    pub(crate) async fn set_own_quota(&self, member: MemberNo, quota: OwnQuota) -> Result<(), StoreError> {
        self.store.set_own_quota(member, quota, now_unix_s()).await?;
        self.inside().quotas.insert(member, quota);
        Ok(())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn load_bans(store: &Store) -> Result<Bans, StoreError> {
    let mut bans = Bans::default();
    store.bans().await?.into_iter().for_each(|ban| bans.add(ban));
    Ok(bans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::World;

    #[tokio::test]
    async fn a_ban_that_the_store_could_not_lift_still_holds() {
        let world = World::new().await;
        let anna = world.member(1).await.peer();
        let roster = Roster::load(world.store.clone()).await.unwrap();
        let target = BanTarget::Peer(anna);
        roster.ban(Ban { target, reason: String::new(), until_unix_s: None }).await.unwrap();
        world.store.close().await;
        assert!(roster.unban(&target).await.is_err());
        assert!(roster.is_banned(&anna));
    }
}
