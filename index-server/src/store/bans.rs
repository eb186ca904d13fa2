//! Who may not be here. The caller keeps the list in memory; this is where it outlives a restart.

use std::net::IpAddr;

use choir_shared::PeerId;
use choir_shared::address::Subnet;

use super::Store;
use super::columns::time;
use super::error::StoreError;
use super::invites::note;
use super::replicas::{Kept, count};
use super::sql::{Connection, query};

/// Whom a ban keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanTarget {
    Peer(PeerId),
    /// Everybody whose address lies in it.
    Prefix(Subnet),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub target: BanTarget,
    pub reason: String,
    /// `None`: for good.
    pub until_unix_s: Option<u64>,
}

impl Ban {
    pub fn is_over(&self, now_unix_s: u64) -> bool {
        self.until_unix_s.is_some_and(|until| until <= now_unix_s)
    }
}

impl BanTarget {
    pub(super) const fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Peer(peer) => Some(*peer),
            Self::Prefix(_) => None,
        }
    }
}

impl std::fmt::Display for BanTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Prefix(network) => write!(f, "{}/{}", network.address, network.prefix_bits),
        }
    }
}

impl std::str::FromStr for BanTarget {
    type Err = InvalidBanTarget;

    fn from_str(text: &str) -> Result<Self, InvalidBanTarget> {
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse().map(Self::Peer).map_err(|_| InvalidBanTarget);
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidBanTarget)?;
        let prefix_bits: u8 = bits.parse().map_err(|_| InvalidBanTarget)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > width {
            return Err(InvalidBanTarget);
        }
        Ok(Self::Prefix(Subnet { address, prefix_bits }))
    }
}

/// The text names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ban names a peer by its key, or a network as address/bits")]
pub struct InvalidBanTarget;

impl Store {
    /// Keeps the target out, in place of an earlier ban of the same target.
    pub async fn ban(&self, ban: Ban, now_unix_s: u64) -> Result<(), StoreError> {
        self.accounts.writer.run(move |db| Box::pin(async move { insert(db, &ban, now_unix_s).await })).await
    }

    /// Whether there was a ban to lift.
    pub async fn unban(&self, target: &BanTarget, now_unix_s: u64) -> Result<bool, StoreError> {
        let target = target.to_string();
        self.accounts.writer.run(move |db| Box::pin(async move { remove(db, &target, now_unix_s).await })).await
    }

    /// All of them, those that are over included.
    pub async fn bans(&self) -> Result<Vec<Ban>, StoreError> {
        let rows: Vec<(String, String, Option<u64>)> =
            query("SELECT target, reason, until_unix_s FROM bans ORDER BY target")
                .fetch_all(&self.accounts.readers)
                .await?;
        let read = |(target, reason, until_unix_s): (String, String, Option<u64>)| {
            let target = target.parse().map_err(|_| StoreError::Corrupt("a ban of nobody"))?;
            Ok(Ban { target, reason, until_unix_s })
        };
        rows.into_iter().map(read).collect()
    }
}

/// Whether the key itself is banned now.
pub(super) async fn is_banned(database: &mut Connection, peer: &PeerId, now_unix_s: u64) -> Result<bool, StoreError> {
    query("SELECT count(*) > 0 FROM bans WHERE target = $1 AND (until_unix_s IS NULL OR until_unix_s > $2)")
        .bind(BanTarget::Peer(*peer).to_string())
        .bind(time(now_unix_s))
        .fetch_one(database)
        .await
}

async fn insert(database: &mut Connection, ban: &Ban, now_unix_s: u64) -> Result<(), StoreError> {
    query(
        "INSERT INTO bans (target, reason, until_unix_s, created_unix_s) VALUES ($1, $2, $3, $4)
         ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, until_unix_s = excluded.until_unix_s,
         created_unix_s = excluded.created_unix_s",
    )
    .bind(ban.target.to_string())
    .bind(&ban.reason)
    .bind(ban.until_unix_s.map(time))
    .bind(time(now_unix_s))
    .execute(&mut *database)
    .await?;
    count(database, Kept::Bans).await?;
    note(database, now_unix_s, &format!("banned {}: {}", ban.target, ban.reason)).await
}

async fn remove(database: &mut Connection, target: &str, now_unix_s: u64) -> Result<bool, StoreError> {
    let gone = query("DELETE FROM bans WHERE target = $1").bind(target).execute(&mut *database).await?;
    if gone == 0 {
        return Ok(false);
    }
    count(database, Kept::Bans).await?;
    note(database, now_unix_s, &format!("lifted the ban of {target}")).await?;
    Ok(true)
}
