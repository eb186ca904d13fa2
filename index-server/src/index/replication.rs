//! Keeping in agreement with the other programs of the index.

use std::time::Duration;

use choir_shared::PeerId;
use choir_shared::control::FromIndex;
use futures_util::StreamExt as _;

use super::Index;
use crate::online::Online;
use crate::origin::Origin;
use crate::replicas::{Outbox, Place, Replicas};
use crate::store::{Beat, FileNo, MemberNo, Moved, Pulse, ReplicaNo, StoreError, Versions};

/// Libraries that are loaded at a time; as many as the store has readers.
const LOADED_AT_ONCE: usize = 4;

/// After the blocks could not be enforced.
const TRY_AGAIN: Duration = Duration::from_secs(5);

impl Index {
    /// Tells the others what has happened here, hears what has happened there, and acts on it.
    pub(crate) async fn beat(&self) -> Result<(), StoreError> {
        let Some(replicas) = &self.replicas else { return Ok(()) };
        let (replica, heard, outbox) = replicas.begin_beat();
        let beat = Beat {
            replica,
            url: replicas.url.clone(),
            indexed_revision: *self.indexed_revision.borrow(),
            heard,
            came: outbox.placed(Place::Here),
            left: outbox.placed(Place::Gone),
            changed: outbox.changes(),
        };
        match self.store.beat(beat).await {
            Ok(pulse) => self.heed(replicas, pulse, &outbox).await,
            Err(error) => {
                replicas.take_back(outbox);
                Err(error)
            }
        }
    }

    /// Acts on what a beat has heard. `told` is what it has told.
    pub(crate) async fn heed(&self, replicas: &Replicas, pulse: Pulse, told: &Outbox) -> Result<(), StoreError> {
        let me = pulse.replica;
        if replicas.note(me, pulse.living, pulse.heard) {
            tracing::warn!("the other replicas had taken this one for dead");
            let here: Vec<MemberNo> = self.presence().places().map(|(_, member)| member).collect();
            here.into_iter().for_each(|member| replicas.came(member));
        }
        let moved = replicas.with_unfinished(pulse.moved);
        futures_util::stream::iter(moved)
            .for_each_concurrent(LOADED_AT_ONCE, async |moved| {
                // Who has come here, and those who come meanwhile, have come later than all that this beat heard.
                let is_newer_here = told.is_coming(moved.member) || replicas.is_coming(moved.member);
                let moved = if is_newer_here { Moved { at: Some(me), ..moved } } else { moved };
                if let Err(error) = self.follow(replicas, me, moved).await {
                    tracing::warn!(%error, "what a peer at another replica holds could not be loaded");
                    replicas.leave_unfinished(moved);
                }
            })
            .await;
        self.renew(replicas, pulse.versions).await
    }

    /// Takes over where a member is, and what it holds.
    async fn follow(&self, replicas: &Replicas, me: ReplicaNo, moved: Moved) -> Result<(), StoreError> {
        let Moved { member, peer, at } = moved;
        let _library = self.library(member).await;
        let peer = peer.filter(|peer| !self.roster.is_banned(peer));
        match (peer, at) {
            (Some(peer), Some(at)) if at != me && self.has_moved(replicas, peer, member, at) => {
                self.load(peer, member).await
            }
            (Some(peer), _) if self.presence().has_place(&peer, member) => {
                if at.is_none() {
                    replicas.came(member);
                }
                self.load(peer, member).await
            }
            _ => {
                replicas.forget(member);
                self.lose(member).await;
                Ok(())
            }
        }
    }

    /// Notes that a member has its place at another program now. Whether it has: it may be coming here.
    fn has_moved(&self, replicas: &Replicas, peer: PeerId, member: MemberNo, at: ReplicaNo) -> bool {
        let older = {
            let mut presence = self.presence();
            if replicas.is_coming(member) {
                return false;
            }
            replicas.moved_to(peer, member, at);
            presence.remove(&peer)
        };
        if let Some(line) = older {
            line.say(FromIndex::Superseded);
            self.watches().forget(&peer);
        }
        true
    }

    /// Makes memory agree with the store about what a member holds. Under the library lock.
    pub(super) async fn load(&self, peer: PeerId, member: MemberNo) -> Result<(), StoreError> {
        let files = self.store.holdings(member).await?;
        match self.online.held_by(member) {
            None => self.gain(peer, member, files, |online, member, files| online.arrive(member, files)).await,
            Some(held) => {
                let removed: Vec<_> = held.iter().copied().filter(|file| files.binary_search(file).is_err()).collect();
                let added = files.into_iter().filter(|file| held.binary_search(file).is_err()).collect();
                let change = move |online: &Online, member, added: &[FileNo]| {
                    online.remove(member, &removed);
                    online.add(member, added);
                };
                self.gain(peer, member, added, change).await;
            }
        }
        Ok(())
    }

    /// Loads anew what operators and other programs have changed.
    async fn renew(&self, replicas: &Replicas, now: Versions) -> Result<(), StoreError> {
        let known = replicas.known_versions();
        if now == known {
            return Ok(());
        }
        if now.bans != known.bans {
            self.roster.reload_bans().await?;
            self.expel_those(|peer, _, line| self.is_shut_out(peer, line.origin())).await;
        }
        if now.members != known.members {
            self.roster.reload_members().await?;
            let here: Vec<(MemberNo, PeerId)> =
                self.presence().places().map(|(peer, member)| (member, *peer)).collect();
            let erased = self.store.strangers_among(&here).await?;
            self.expel_those(|_, member, _| erased.contains(&member)).await;
        }
        if now.texts != known.texts {
            let said = self.store.message_of_the_day().await?;
            let said = said.or_else(|| self.settings.description.message_of_the_day.clone());
            self.set_message_of_the_day(said.unwrap_or_default());
        }
        if now.blocks != known.blocks && self.blocks.reload(&self.store).await? {
            let index = self.clone();
            // Looks at every file, which is no reason to miss beats.
            self.connections.spawn(async move {
                while let Err(error) = index.enforce_blocks().await {
                    tracing::error!(%error, "the operator's blocks are not enforced yet");
                    if index.stopping.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await.is_none() {
                        return;
                    }
                }
            });
        }
        replicas.set_versions(now);
        Ok(())
    }

    fn is_shut_out(&self, peer: &PeerId, origin: Origin) -> bool {
        let met = self.addresses.address(peer).map(|address| Origin::of(address.ip()));
        self.roster.is_banned(peer)
            || self.roster.is_network_banned(origin)
            || met.is_some_and(|met| self.roster.is_network_banned(met))
    }
}
