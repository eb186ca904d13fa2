//! What the operator lets one member do, in place of what the settings let everybody do.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;

use choir_shared::PeerId;
use serde::Serialize;

use super::columns::peer;
use super::error::StoreError;
use super::invites::note;
use super::numbers::MemberNo;
use super::replicas::{Kept, count};
use super::sql::{Connection, Row, query};
use super::{Quotas, Store};

/// Where it says nothing, the settings hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnQuota {
    pub files: Option<u64>,
    pub changes_per_minute: Option<NonZeroU32>,
}

impl OwnQuota {
    /// What the member may store, where `all` is what everybody may. Who may list more files has room for what is
    /// said of them; who may list fewer may say as much of each as before.
    pub fn apply(&self, all: Quotas) -> Quotas {
        let Some(files) = self.files else { return all };
        let of_each = all.claim_bytes_per_peer.div_ceil(all.files_per_peer.max(1));
        Quotas {
            files_per_peer: files,
            claim_bytes_per_peer: all.claim_bytes_per_peer.max(of_each.saturating_mul(files)),
        }
    }

    /// This, but what `newer` says.
    pub fn with(self, newer: Self) -> Self {
        Self {
            files: newer.files.or(self.files),
            changes_per_minute: newer.changes_per_minute.or(self.changes_per_minute),
        }
    }
}

impl fmt::Display for OwnQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.files, self.changes_per_minute) {
            (None, None) => write!(f, "as the settings say"),
            (Some(files), None) => write!(f, "at most {files} files"),
            (None, Some(changes)) => write!(f, "at most {changes} change sets a minute"),
            (Some(files), Some(changes)) => write!(f, "at most {files} files and {changes} change sets a minute"),
        }
    }
}

impl Store {
    /// Of all members that have one; they are few.
    pub async fn own_quotas(&self) -> Result<HashMap<MemberNo, OwnQuota>, StoreError> {
        let rows: Vec<Row> = query(
            "SELECT no, own_files, own_changes_per_minute FROM members
             WHERE own_files IS NOT NULL OR own_changes_per_minute IS NOT NULL",
        )
        .fetch_all(&self.accounts.readers)
        .await?;
        rows.iter().map(|row| Ok((MemberNo(row.get("no")?), read(row)?))).collect()
    }

    /// In place of what the member had.
    pub async fn set_own_quota(&self, member: MemberNo, quota: OwnQuota, now_unix_s: u64) -> Result<(), StoreError> {
        self.accounts.writer.run(move |db| Box::pin(async move { set(db, member, quota, now_unix_s).await })).await
    }
}

pub(super) fn read(row: &Row) -> Result<OwnQuota, StoreError> {
    let changes: Option<u32> = row.get("own_changes_per_minute")?;
    Ok(OwnQuota { files: row.get("own_files")?, changes_per_minute: changes.and_then(NonZeroU32::new) })
}

async fn set(database: &mut Connection, member: MemberNo, quota: OwnQuota, now_unix_s: u64) -> Result<(), StoreError> {
    // As SQLite's signed integers.
    let files = quota.files.map(|files| i64::try_from(files).unwrap_or(i64::MAX));
    let of: Option<Vec<u8>> =
        query("UPDATE members SET own_files = $2, own_changes_per_minute = $3 WHERE no = $1 RETURNING peer")
            .bind(member.0)
            .bind(files)
            .bind(quota.changes_per_minute.map(NonZeroU32::get))
            .fetch_optional(&mut *database)
            .await?;
    let Some(of) = of else { return Ok(()) };
    let of: PeerId = peer(&of)?;
    count(database, Kept::Members).await?;
    note(database, now_unix_s, &format!("quota of {of}: {quota}")).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{NOW, World, on_both_databases};

    const ALL: Quotas = Quotas { files_per_peer: 100, claim_bytes_per_peer: 50_000 };

    #[test]
    fn who_may_list_more_files_may_say_as_much_of_each() {
        let own = |files| OwnQuota { files: Some(files), ..OwnQuota::default() }.apply(ALL);
        assert_eq!(OwnQuota::default().apply(ALL), ALL);
        assert_eq!(own(1000), Quotas { files_per_peer: 1000, claim_bytes_per_peer: 500_000 });
        assert_eq!(own(1), Quotas { files_per_peer: 1, ..ALL });
        assert_eq!(own(u64::MAX).claim_bytes_per_peer, u64::MAX);
        let none = Quotas { files_per_peer: 0, ..ALL };
        assert_eq!(OwnQuota { files: Some(1), ..OwnQuota::default() }.apply(none).files_per_peer, 1);
    }

    async fn a_quota_is_of_one_member_outlives_a_restart_and_is_on_record(world: World) {
        let (anna, _bert) = (world.member(1).await, world.member(2).await);
        let quota = OwnQuota { files: Some(7), changes_per_minute: NonZeroU32::new(3) };
        world.store.set_own_quota(anna.no, quota, NOW).await.unwrap();
        let world = world.reopened(|_| {}).await;
        assert_eq!(world.store.own_quotas().await.unwrap(), [(anna.no, quota)].into());
        let shown: Vec<_> = world.store.members().await.unwrap().into_iter().map(|joined| joined.quota).collect();
        assert_eq!(shown, [quota, OwnQuota::default()]);
        assert_eq!(world.store.export(&anna.peer()).await.unwrap().account.unwrap().own_quota, quota);

        world.store.set_own_quota(anna.no, OwnQuota::default(), NOW).await.unwrap();
        assert!(world.store.own_quotas().await.unwrap().is_empty());
        let audit: Vec<_> = world.store.audit(9).await.unwrap().into_iter().map(|entry| entry.what).collect();
        let of = anna.peer();
        assert_eq!(
            audit,
            [
                format!("quota of {of}: as the settings say"),
                format!("quota of {of}: at most 7 files and 3 change sets a minute")
            ]
        );
    }

    on_both_databases! {
        a_quota_is_of_one_member_outlives_a_restart_and_is_on_record,
    }
}
