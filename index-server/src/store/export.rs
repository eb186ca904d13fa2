//! Everything that is kept of one peer, for that peer.

use choir_shared::{Claim, FileId, PeerId};
use serde::Serialize;

use super::columns::{claim, peer};
use super::error::StoreError;
use super::files::file_id;
use super::numbers::MemberNo;
use super::own_quota::{self, OwnQuota};
use super::reports::Report;
use super::sql::{Row, query};
use super::{Store, invites};

#[derive(Debug, Serialize)]
pub struct Export {
    pub peer: PeerId,
    pub account: Option<Account>,
    /// The first digits of the hashes of invites that were made for it.
    pub invites: Vec<String>,
    pub ban: Option<String>,
    pub reports: Vec<Report>,
    pub library: Vec<Holding>,
}

#[derive(Debug, Serialize)]
pub struct Account {
    pub name: Option<String>,
    pub browsable: bool,
    pub created_unix_s: u64,
    pub last_seen_unix_s: u64,
    pub invited_by: Option<PeerId>,
    pub own_quota: OwnQuota,
}

#[derive(Debug, Serialize)]
pub struct Holding {
    pub collection: String,
    pub folder: Option<String>,
    pub file: FileId,
    pub claim: Claim,
}

impl Store {
    pub async fn export(&self, of: &PeerId) -> Result<Export, StoreError> {
        let bans = self.bans().await?;
        let ban = bans.into_iter().find(|ban| ban.target == super::BanTarget::Peer(*of));
        let library = match self.member(of).await? {
            Some(member) => self.whole_library(member.no).await?,
            None => Vec::new(),
        };
        Ok(Export {
            peer: *of,
            account: self.account(of).await?,
            invites: self.invites_of(of).await?,
            ban: ban.map(|ban| ban.reason),
            reports: self.reports_by(of).await?,
            library,
        })
    }

    async fn account(&self, of: &PeerId) -> Result<Option<Account>, StoreError> {
        let row: Option<Row> = query(
            "SELECT name, browsable, created_unix_s, last_seen_unix_s, invited_by, own_files, own_changes_per_minute
             FROM members WHERE peer = $1",
        )
        .bind(of.as_bytes().to_vec())
        .fetch_optional(&self.accounts.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let by: Option<&[u8]> = row.get("invited_by")?;
        Ok(Some(Account {
            name: row.get("name")?,
            browsable: row.get("browsable")?,
            created_unix_s: row.get("created_unix_s")?,
            last_seen_unix_s: row.get("last_seen_unix_s")?,
            invited_by: by.map(peer).transpose()?,
            own_quota: own_quota::read(&row)?,
        }))
    }

    async fn invites_of(&self, of: &PeerId) -> Result<Vec<String>, StoreError> {
        let hashes: Vec<Vec<u8>> = query("SELECT code_hash FROM invites WHERE created_by = $1 ORDER BY created_unix_s")
            .bind(of.as_bytes().to_vec())
            .fetch_all(&self.accounts.readers)
            .await?;
        hashes.iter().map(|hash| Ok(invites::label(&super::columns::digest(hash)?))).collect()
    }

    async fn whole_library(&self, member: MemberNo) -> Result<Vec<Holding>, StoreError> {
        let rows = query(
            "SELECT c.name, d.path, f.root, f.length, l.json FROM collections c
             CROSS JOIN holdings h CROSS JOIN files f CROSS JOIN claims l
             LEFT JOIN folders d ON d.collection = c.no AND d.number = h.folder
             WHERE c.member = $1 AND NOT c.staged AND h.collection = c.no AND f.no = h.file AND l.no = h.claim
             ORDER BY c.name, h.file",
        )
        .bind(member.0)
        .fetch_all(&self.catalogue.readers)
        .await?;
        let holding = |row: &Row| {
            Ok(Holding {
                collection: row.get("name")?,
                folder: row.get("path")?,
                file: file_id(row)?,
                claim: claim(row.get("json")?)?,
            })
        };
        rows.iter().map(holding).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::testing::{NOW, World, file, on_both_databases, song};
    use crate::store::{Ban, BanTarget};

    async fn an_export_has_what_is_kept_of_a_peer_and_nothing_of_others(world: World) {
        let (mut anna, mut bert) = (world.member(1).await, world.member(2).await);
        anna.share(&world, &[(1, &song("One"))]).await;
        bert.share(&world, &[(2, &song("Two"))]).await;
        let ban = Ban { target: BanTarget::Peer(anna.peer()), reason: "noise".into(), until_unix_s: None };
        world.store.ban(ban, NOW).await.unwrap();
        let export = world.store.export(&anna.peer()).await.unwrap();
        assert_eq!(export.ban.as_deref(), Some("noise"));
        assert_eq!(export.account.as_ref().unwrap().created_unix_s, NOW);
        let [holding] = &export.library[..] else { panic!("{export:?}") };
        assert_eq!((holding.file, holding.folder.as_deref()), (file(1), Some("Music")));
        let text = serde_json::to_string(&export).unwrap();
        assert!(text.contains("One") && !text.contains("Two"), "{text}");

        world.store.erase(&anna.peer()).await.unwrap();
        let export = world.store.export(&anna.peer()).await.unwrap();
        assert!(export.account.is_none() && export.library.is_empty());
    }

    on_both_databases! {
        an_export_has_what_is_kept_of_a_peer_and_nothing_of_others,
    }
}
