//! Sources for downloads: indexes say who has a file and introduce us, the road leads there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use choir_shared::identity::IndexKey;
use choir_shared::index_api::{ErrorCode, Reach as Reachable};
use choir_shared::{FileId, PeerId};

use super::alternates;
use super::bans::Bans;
use super::greetings::Greetings;
use super::indexes::Indexes;
use crate::connectivity::{ConnectError, Reach, Route};
use crate::download::about::About;
use crate::download::alternate::Alternate;
use crate::download::{BoxFuture, Finder, FoundSource, IndexUnreachable, NoSession};
use crate::index_client::IndexClient;
use crate::session::Session;
use crate::upload::admit::Audience;

/// Files whose indexes are remembered; a search for sources tells them again.
const MAX_REMEMBERED: usize = 10_000;

pub(super) struct IndexFinder {
    client: IndexClient,
    indexes: Indexes,
    reach: Reach,
    greetings: Arc<Greetings>,
    bans: Arc<Bans>,
    /// Which indexes listed sources of a file.
    listed_by: Mutex<HashMap<FileId, Vec<IndexKey>>>,
}

impl IndexFinder {
    pub(super) fn new(
        client: IndexClient,
        indexes: Indexes,
        reach: Reach,
        greetings: Arc<Greetings>,
        bans: Arc<Bans>,
    ) -> Self {
        Self { client, indexes, reach, greetings, bans, listed_by: Mutex::default() }
    }

    /// For whom parts of a file are: for those who use the indexes that listed it.
    pub(super) fn audience(&self, file: FileId) -> Audience {
        let listed_by = self.listed_by.lock().unwrap_or_else(PoisonError::into_inner).get(&file).cloned();
        self.indexes.audience_of(&listed_by.unwrap_or_default())
    }

    async fn find(&self, file: FileId) -> Result<Vec<FoundSource>, IndexUnreachable> {
        self.indexes.settled().await;
        let found = self.client.sources(&file).await;
        let found = match found {
            Err(error) if error.code() == Some(ErrorCode::NotFound) => Vec::new(),
            found => found.map_err(|error| IndexUnreachable(error.to_string()))?,
        };
        self.note_listed(file, found.iter().map(|(index, _)| *index));
        let me = self.reach.endpoint().secret().peer_id();
        let mut sources: Vec<(bool, FoundSource)> = Vec::new();
        for (index, source) in found.into_iter().filter(|(_, source)| source.peer != me) {
            self.greetings.told_of(source.peer, index);
            if !sources.iter().any(|(_, known)| known.peer == source.peer) {
                let found = FoundSource { peer: source.peer, name: source.name, complete: source.complete };
                sources.push((source.reach == Reachable::Direct, found));
            }
        }
        // Those with a proved address first: only so many are tried at once.
        sources.sort_by_key(|(direct, _)| !direct);
        Ok(sources.into_iter().map(|(_, source)| source).collect())
    }

    fn note_listed(&self, file: FileId, indexes: impl Iterator<Item = IndexKey>) {
        let mut listed_by = self.listed_by.lock().unwrap_or_else(PoisonError::into_inner);
        if listed_by.len() > MAX_REMEMBERED {
            listed_by.clear();
        }
        let known = listed_by.entry(file).or_default();
        indexes.for_each(|index| {
            if !known.contains(&index) {
                known.push(index);
            }
        });
    }

    async fn reach(&self, peer: PeerId, file: FileId) -> Result<Session, NoSession> {
        if let Some(session) = self.reach.existing(peer).await {
            return Ok(session);
        }
        let mut indexes = self.greetings.through(&peer);
        if indexes.is_empty() {
            indexes = self.client.indexes().iter().map(|index| index.key()).collect();
        }
        let mut failure = NoSession::Failed("no index knows how to reach it".to_owned());
        for index in indexes {
            let introduction = match self.client.introduce(&index, peer, file).await {
                Ok(introduction) => introduction,
                Err(error) if error.code() == Some(ErrorCode::Offline) => {
                    failure = NoSession::Offline;
                    continue;
                }
                Err(error) => {
                    failure = NoSession::Failed(error.to_string());
                    continue;
                }
            };
            self.greetings.told_of(peer, index);
            let Some(surroundings) = self.indexes.surroundings(&index) else { continue };
            let candidates: Vec<_> = introduction.candidates.iter().map(|candidate| candidate.address).collect();
            let observed = candidates.first().map(|address| address.ip());
            match self.reach.connect(&Route { peer, candidates, observed, surroundings }).await {
                Ok(session) => return Ok(session),
                Err(ConnectError::AnotherKey) => failure = NoSession::AnotherKey,
                Err(error) => failure = NoSession::Failed(error.to_string()),
            }
        }
        Err(failure)
    }
}

impl Finder for IndexFinder {
    fn sources(&self, file: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
        Box::pin(self.find(file))
    }

    fn alternates<'a>(&'a self, file: FileId, about: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
        Box::pin(alternates::look_for(&self.client, file, about))
    }

    fn connect(&self, peer: PeerId, file: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
        Box::pin(self.reach(peer, file))
    }

    fn misbehaved(&self, peer: PeerId, file: FileId) {
        self.bans.misbehaved(peer, file);
    }

    fn is_banned(&self, peer: PeerId) -> bool {
        self.bans.contains(&peer)
    }

    fn is_distrusted(&self, peer: PeerId, file: FileId) -> bool {
        self.bans.distrusts(&peer, &file)
    }
}
