//! Other peers: who they are, what they share, and whether we deal with them.

use choir_shared::PeerId;
use choir_shared::identity::IndexKey;
use choir_shared::index_api::Profile;

use super::PeerService;
use super::meant::Meant;
use super::sharing::internal;
use crate::api::types::{BrowsePage, Whois, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::daemon::errors::index_error;

impl PeerService {
    pub(super) async fn who_is(&self, who: &str, within: &Within) -> Answer<Whois> {
        let meant = self.meant(who, within).await?;
        self.known(&meant, within).await
    }

    async fn known(&self, meant: &Meant, within: &Within) -> Answer<Whois> {
        let peer = meant.peer;
        let profiles = self.profiles(peer, within).await?;
        let Some((_, first)) = profiles.first() else {
            return Err(ServiceError::new(ErrorKind::NotFound, format!("no index knows {}", peer.short())));
        };
        Ok(Whois {
            peer,
            name: meant.name.clone().or_else(|| first.name.clone()),
            online: profiles.iter().any(|(_, profile)| profile.online),
            member_since_unix_s: Some(first.member_since_unix_s),
            files: first.files,
            bytes: first.bytes,
            browsable: profiles.iter().any(|(_, profile)| profile.browsable),
            banned: self.bans.contains(&peer),
            indexes: profiles.iter().map(|(index, _)| self.name_of(index)).collect(),
        })
    }

    async fn profiles(&self, peer: PeerId, within: &Within) -> Answer<Vec<(IndexKey, Profile)>> {
        let mut profiles = Vec::new();
        let mut failure = None;
        for key in self.indexes.within(within).await? {
            let Some(index) = self.client.index(&key) else { continue };
            match index.profile(&peer).await {
                Ok(profile) => profiles.push((key, profile)),
                Err(error) => failure = Some(index_error(&error)),
            }
        }
        match failure {
            Some(error) if profiles.is_empty() && error.code != ErrorKind::NotFound => Err(error),
            _ => Ok(profiles),
        }
    }

    pub(super) async fn browse_peer(
        &self,
        who: &str,
        folder: &str,
        cursor: Option<&str>,
        within: &Within,
    ) -> Answer<BrowsePage> {
        let Meant { peer, name, .. } = self.meant(who, within).await?;
        let mut failure = ServiceError::new(ErrorKind::NotFound, format!("no index knows {}", peer.short()));
        for key in self.indexes.within(within).await? {
            let Some(index) = self.client.index(&key) else { continue };
            match index.library(&peer, folder, cursor).await {
                Ok(page) => {
                    let mut files = Vec::with_capacity(page.files.len());
                    for row in page.files {
                        files.push(self.row(row).await);
                    }
                    self.seen.remember(&files);
                    return Ok(BrowsePage {
                        peer,
                        name: name.or(page.name),
                        folder: page.folder,
                        folders: page.folders,
                        files,
                        next: page.next,
                    });
                }
                Err(error) => failure = index_error(&error),
            }
        }
        Err(failure)
    }

    pub(super) async fn ban_peer(&self, who: &str, within: &Within) -> Answer<Whois> {
        let meant = self.meant(who, within).await?.certain()?;
        self.bans.ban(meant.peer).await.map_err(internal)?;
        if let Some(session) = self.reach.existing(meant.peer).await {
            session.close(choir_shared::wire::CloseCode::Banned);
        }
        Ok(self.known_or_bare(meant, within).await)
    }

    pub(super) async fn unban_peer(&self, who: &str, within: &Within) -> Answer<Whois> {
        let meant = self.meant(who, within).await?.certain()?;
        if !self.bans.contains(&meant.peer) {
            let error = ServiceError::new(ErrorKind::NotFound, format!("{meant} is not banned here"));
            return Err(error.hint("a ban is on the key; the name may have changed hands since"));
        }
        self.bans.unban(meant.peer).await.map_err(internal)?;
        Ok(self.known_or_bare(meant, within).await)
    }

    /// A ban needs no index: what one would say is only nice to have.
    async fn known_or_bare(&self, meant: Meant, within: &Within) -> Whois {
        let peer = meant.peer;
        self.known(&meant, within).await.unwrap_or_else(|_| Whois {
            peer,
            name: meant.name,
            online: false,
            member_since_unix_s: None,
            files: 0,
            bytes: 0,
            browsable: false,
            banned: self.bans.contains(&peer),
            indexes: vec![],
        })
    }

    pub(super) fn name_of(&self, index: &IndexKey) -> String {
        let state = self.client.states().into_iter().find(|state| state.key == *index);
        state.map_or_else(|| index.short(), |state| state.name)
    }
}
