//! Other peers: who they are, what they share, and whether we deal with them.

use choir_shared::PeerId;
use choir_shared::identity::IndexKey;
use choir_shared::index_api::Profile;

use super::PeerService;
use crate::api::types::{BrowsePage, Whois, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::daemon::errors::index_error;

impl PeerService {
    pub(super) async fn who_is(&self, peer: &str, within: &Within) -> Answer<Whois> {
        let peer = peer_id(peer)?;
        let profiles = self.profiles(peer, within).await?;
        let Some((_, first)) = profiles.first() else {
            return Err(ServiceError::new(ErrorKind::NotFound, format!("no index knows {}", peer.short())));
        };
        Ok(Whois {
            peer,
            name: first.name.clone(),
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
        peer: &str,
        folder: &str,
        cursor: Option<&str>,
        within: &Within,
    ) -> Answer<BrowsePage> {
        let peer = peer_id(peer)?;
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
                    let name = index.profile(&peer).await.ok().and_then(|profile| profile.name);
                    return Ok(BrowsePage {
                        peer,
                        name,
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

    pub(super) async fn ban_peer(&self, peer: &str) -> Answer<Whois> {
        let peer = peer_id(peer)?;
        self.bans.ban(peer).await.map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
        if let Some(session) = self.reach.existing(peer).await {
            session.close(choir_shared::wire::CloseCode::Banned);
        }
        Ok(self.known_or_bare(peer).await)
    }

    pub(super) async fn unban_peer(&self, peer: &str) -> Answer<Whois> {
        let peer = peer_id(peer)?;
        self.bans.unban(peer).await.map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
        Ok(self.known_or_bare(peer).await)
    }

    /// A ban needs no index: what one would say is only nice to have.
    async fn known_or_bare(&self, peer: PeerId) -> Whois {
        self.who_is(&peer.to_string(), &Within::default()).await.unwrap_or_else(|_| Whois {
            peer,
            name: None,
            online: false,
            member_since_unix_s: None,
            files: 0,
            bytes: 0,
            browsable: false,
            banned: self.bans.contains(&peer),
            indexes: vec![],
        })
    }

    fn name_of(&self, index: &IndexKey) -> String {
        let state = self.client.states().into_iter().find(|state| state.key == *index);
        state.map_or_else(|| index.short(), |state| state.name)
    }
}

/// Indexes have no route from names to keys: a name is a claim, and the key stands in every list that shows one.
fn peer_id(text: &str) -> Answer<PeerId> {
    text.parse().map_err(|_| {
        ServiceError::new(ErrorKind::Usage, format!("{text} is no peer's key"))
            .hint("a peer is named by the 52 letters of its key; `choir get` and `choir uploads` show them")
    })
}
