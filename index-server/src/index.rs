//! The parts of a running index that requests need, and what is done to several of them at once.
//!
//! Presence, holdings in memory and watch lists must agree with the store. The rules for that:
//!
//! - Whatever changes what a member holds, or loads it, does so under the member's library lock ([`Index::library`]).
//! - A place is taken without that lock, because a change set may hold it for as long as a database is locked. Who had
//!   no place has its holdings loaded afterwards, under the lock; so whoever has the lock and finds no place may forget
//!   them.
//! - A place is taken, and given up, in one step with telling the other replicas.

mod absence;
mod blocking;
mod replication;
#[cfg(test)]
mod testing;

use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::FromRef;
use choir_shared::address::Subnet;
use choir_shared::control::FromIndex;
use choir_shared::index_api::UdpEndpoint;
use choir_shared::{FileId, PeerId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::caller::Caller;
use crate::auth::roster::Roster;
use crate::blocks::Blocks;
use crate::control::Line;
use crate::join_link::JoinHost;
use crate::keys::IndexKeys;
use crate::limits::Limits;
use crate::locks::{Lock, Locks};
use crate::online::Online;
use crate::origin::{Origin, Proxies};
use crate::presence::{ConnectionNumber, Departure, Presence};
use crate::rendezvous::address_book::AddressBook;
use crate::replicas::Replicas;
use crate::search::SearchEngine;
use crate::settings::Settings;
use crate::store::{FileNo, MemberNo, Store, StoreError};
use crate::turns::SearchTurns;
use crate::uploads::Uploads;
use crate::watches::Watches;

/// Two thirds of the time for which a replica's places outlive it.
const SPREAD_AMONG_REPLICAS_S: u32 = 20;

/// So many files are loaded before the welcome, in some milliseconds: then whoever was welcomed is a source already.
const SOON_LOADED: u64 = 10_000;

/// Cheap to clone; all clones are the same index.
#[derive(Clone)]
pub(crate) struct Index(Arc<Parts>);

impl Deref for Index {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<Index> for Proxies {
    fn from_ref(index: &Index) -> Self {
        index.settings.proxies.clone()
    }
}

pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) keys: IndexKeys,
    pub(crate) store: Store,
    pub(crate) search: SearchEngine,
    pub(crate) online: Online,
    pub(crate) presence: Mutex<Presence<Line>>,
    pub(crate) watches: Mutex<Watches>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) blocks: Blocks,
    /// What the operator said last; empty for nothing.
    pub(crate) message_of_the_day: Mutex<String>,
    /// Held while all files are compared with the blocks.
    pub(crate) enforcing: tokio::sync::Mutex<()>,
    pub(crate) addresses: Arc<AddressBook>,
    /// `None` for an index that is one program.
    pub(crate) replicas: Option<Replicas>,
    pub(crate) limits: Limits,
    pub(crate) join_host: JoinHost,
    pub(crate) rendezvous: UdpEndpoint,
    pub(crate) search_turns: SearchTurns,
    pub(crate) changes: Semaphore,
    pub(crate) uploads: Uploads,
    /// Tells the indexer that something was published.
    pub(crate) published: Notify,
    /// Whether the search index has caught up since the start.
    pub(crate) caught_up: AtomicBool,
    /// The last revision that the search index has on disk.
    pub(crate) indexed_revision: watch::Sender<u64>,
    /// WebSockets outlive the connections that they came over.
    pub(crate) connections: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) giving_up: CancellationToken,
    pub(crate) library_locks: Locks<MemberNo>,
}

/// One control connection as far as presence goes. When it is dropped, for whatever reason, the peer departs.
pub(crate) struct Attendance {
    index: Index,
    peer: PeerId,
    number: ConnectionNumber,
    departure: Departure,
}

impl Attendance {
    /// The peer said that it goes.
    pub(crate) async fn leave(mut self) {
        self.departure = Departure::Left;
        let index = self.index.clone();
        drop(self);
        index.end_leases(Instant::now()).await;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if self.index.presence().depart(self.peer, self.number, self.departure, Instant::now()) {
            self.index.watches().forget(&self.peer);
        }
        self.index.measure_presence();
    }
}

impl Index {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// While this is held, nothing else changes or loads what the member holds.
    pub(crate) async fn library(&self, member: MemberNo) -> Lock<MemberNo> {
        self.library_locks.lock(member).await
    }

    /// Does `work` to its end, even if whoever waits for it gives up: a request is dropped when its connection
    /// breaks, and what is in memory would no longer agree with the store.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.connections.spawn(work).await
    }

    /// A peer has a new control connection. It is present until what is returned is dropped; `None` if it has been
    /// erased or banned meanwhile.
    ///
    /// What it holds is in memory afterwards, unless that takes long: because a set of its own is being written, or
    /// because it is very much. Then it is soon after that, and its welcome does not wait for it.
    pub(crate) async fn arrive(&self, caller: &Caller, line: Line) -> Result<Option<Attendance>, StoreError> {
        let Caller { peer, member, .. } = *caller;
        let arrival = {
            let mut presence = self.presence();
            self.tell_replicas(|replicas| replicas.came(member));
            presence.arrive(peer, member, line)
        };
        let attendance = Attendance { index: self.clone(), peer, number: arrival.number, departure: Departure::Lost };
        if let Some(older) = arrival.superseded {
            older.say(FromIndex::Superseded);
        }
        self.measure_presence();
        if arrival.had_a_place {
            let files = self.online.held_by(member).unwrap_or_default();
            // It could not be met while it was away, although it was counted.
            self.tell_watchers(&peer, &self.awaited_among(&files));
            self.tell_blocked(&peer, &files).await?;
        } else {
            self.online.appear(member);
            let library = self.library_locks.try_lock(member);
            let is_free = library.is_some();
            // First of all: whoever comes back to the place later is not loaded.
            let settled = self.connections.spawn(self.clone().settle(*caller, library));
            if is_free && self.store.profile(member).await?.0 <= SOON_LOADED {
                settled.await.map_err(|_| StoreError::Unavailable)?;
            }
        }
        // Now, since whoever erases or bans a member looks for its place after that.
        if self.roster.member(&peer).await? == Some(member) {
            return Ok(Some(attendance));
        }
        attendance.leave().await;
        Ok(None)
    }

    /// Loads what a member holds that has come. `library` is its library lock, if that was free.
    async fn settle(self, caller: Caller, library: Option<Lock<MemberNo>>) {
        let Caller { peer, member, .. } = caller;
        let _library = match library {
            Some(library) => library,
            None => self.library(member).await,
        };
        if !self.has_place(&peer, member) {
            return self.lose(member).await;
        }
        let loaded = async {
            self.load(peer, member).await?;
            self.tell_blocked(&peer, &self.online.held_by(member).unwrap_or_default()).await
        };
        if let Err(error) = loaded.await {
            tracing::error!(%error, "what a peer holds could not be loaded");
            self.doubt(&caller).await;
        }
    }

    /// Ends the leases that are over.
    pub(crate) async fn end_leases(&self, now: Instant) {
        let expired = self.presence().expire(now);
        for (peer, member) in expired {
            let _library = self.library(member).await;
            // It may have come back while the lock was waited for, here or at another replica.
            if !self.has_place(&peer, member) {
                self.leave(&peer, member).await;
            }
        }
    }

    /// Puts a peer out of presence at once: it is banned, or has erased itself.
    pub(crate) async fn expel(&self, peer: &PeerId, member: Option<MemberNo>) {
        self.addresses.expel(peer);
        self.watches().forget(peer);
        if let Some(line) = self.presence().remove(peer) {
            line.hang_up();
        }
        if let Some(member) = member {
            let _library = self.library(member).await;
            self.tell_replicas(|replicas| replicas.forget(member));
            self.leave(peer, member).await;
        }
        self.measure_presence();
    }

    /// Lets go of a peer of which memory may not know what it holds. It comes back at once, and that is read anew.
    /// Under the library lock.
    pub(crate) async fn doubt(&self, caller: &Caller) {
        if let Some(line) = self.presence().remove(&caller.peer) {
            line.hang_up();
        }
        self.leave(&caller.peer, caller.member).await;
        self.measure_presence();
    }

    /// Erases a member, its libraries and its name at once, even if whoever waits for it gives up.
    pub(crate) async fn erase(&self, peer: PeerId, member: MemberNo) -> Result<(), StoreError> {
        let index = self.clone();
        let erased = async move {
            index.store.erase(&peer).await?;
            index.roster.forget(&peer);
            index.expel(&peer, Some(member)).await;
            index.published.notify_one();
            Ok(())
        };
        self.to_the_end(erased).await.unwrap_or(Err(StoreError::Unavailable))
    }

    pub(crate) fn message_of_the_day(&self) -> Option<String> {
        let text = self.message_of_the_day.lock().unwrap_or_else(PoisonError::into_inner);
        Some(text.clone()).filter(|text| !text.is_empty())
    }

    pub(crate) fn set_message_of_the_day(&self, text: String) {
        *self.message_of_the_day.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Within which its peers come back after this program has stopped. Where others live they come back to those, and
    /// are to do so while their places are kept.
    pub(crate) fn spread_of_return_s(&self) -> u32 {
        let spread = self.settings.limits.reconnect_spread_seconds;
        match &self.replicas {
            Some(replicas) if replicas.has_others() => spread.min(SPREAD_AMONG_REPLICAS_S),
            _ => spread,
        }
    }

    /// Puts everybody who comes from a network out of presence.
    pub(crate) async fn expel_network(&self, network: &Subnet) {
        let in_network = |peer: &PeerId, _, line: &Line| {
            let met = self.addresses.address(peer).map(|address| Origin::of(address.ip()));
            line.origin().lies_in(network) || met.is_some_and(|met| met.lies_in(network))
        };
        self.expel_those(in_network).await;
    }

    async fn expel_those(&self, are_meant: impl Fn(&PeerId, MemberNo, &Line) -> bool) {
        let there: Vec<(PeerId, MemberNo)> = {
            let presence = self.presence();
            let meant = presence.connections().filter(|(peer, member, line)| are_meant(peer, *member, line));
            meant.map(|(peer, member, _)| (*peer, member)).collect()
        };
        for (peer, member) in there {
            self.expel(&peer, Some(member)).await;
        }
    }

    /// What a change set did, if the peer has a place. `ids` are the files it named. Under the library lock.
    pub(crate) async fn library_changed(
        &self,
        caller: &Caller,
        ids: &[FileId],
        added: Vec<FileNo>,
        removed: Vec<FileNo>,
    ) -> Result<(), StoreError> {
        self.published.notify_one();
        self.learn_numbers(ids).await?;
        if self.has_place(&caller.peer, caller.member) {
            self.tell_replicas(|replicas| replicas.changed(caller.member));
            self.tell_blocked(&caller.peer, &added).await?;
            let change = move |online: &Online, member, added: &[FileNo]| {
                online.remove(member, &removed);
                online.add(member, added);
            };
            self.gain(caller.peer, caller.member, added, change).await;
        }
        Ok(())
    }

    /// Replaces what a peer waits for. Returns those files that it did not wait for before and that have a source.
    pub(crate) async fn watch(&self, peer: &PeerId, files: Vec<FileId>) -> Result<Vec<FileId>, StoreError> {
        let before = self.watches().replace(*peer, files.clone());
        let numbers = self.store.file_nos(&files).await?;
        let mut watches = self.watches();
        numbers.iter().for_each(|(file, number)| watches.learn(*file, *number));
        let is_there = |number: &FileNo| self.online.sources(*number) > 0 && !self.blocks.is_blocked(*number);
        let available = |file: &FileId| numbers.get(file).is_some_and(is_there);
        Ok(files.into_iter().filter(|file| !before.contains(file)).filter(available).collect())
    }

    /// Replaces the files that a peer has parts of. They are no part of its library, so that this need not wait
    /// until what it publishes is written.
    pub(crate) async fn fetching(&self, member: MemberNo, files: &[FileId]) -> Result<(), StoreError> {
        let numbers: Vec<FileNo> = self.store.file_nos(files).await?.into_values().collect();
        self.online.set_fetching(member, &numbers);
        Ok(())
    }

    /// Says something to a peer. Whether it is online.
    pub(crate) fn say(&self, peer: &PeerId, message: FromIndex) -> bool {
        self.presence().connection(peer).is_some_and(|line| line.say(message))
    }

    pub(crate) fn is_online(&self, peer: &PeerId) -> bool {
        self.presence().connection(peer).is_some()
            || self.replicas.as_ref().is_some_and(|replicas| replicas.url_of(peer).is_some())
    }

    /// Whether the peer is counted as a source, wherever it has its place.
    fn has_place(&self, peer: &PeerId, member: MemberNo) -> bool {
        self.presence().has_place(peer, member)
            || self.replicas.as_ref().is_some_and(|replicas| replicas.has_place(peer))
    }

    /// Runs `change`, which makes a peer a source of `files`, and tells those who waited for another. A large
    /// library takes a tenth of a second, so this is no work for the threads that serve requests.
    async fn gain(
        &self,
        peer: PeerId,
        member: MemberNo,
        files: Vec<FileNo>,
        change: impl FnOnce(&Online, MemberNo, &[FileNo]) + Send + 'static,
    ) {
        let index = self.clone();
        let gained = tokio::task::spawn_blocking(move || {
            let mut awaited = index.awaited_among(&files);
            awaited.retain(|file| !index.online.holds(member, *file));
            change(&index.online, member, &files);
            index.tell_watchers(&peer, &awaited);
        });
        if gained.await.is_err() {
            tracing::error!("what a peer holds could not be taken over");
        }
    }

    fn awaited_among(&self, files: &[FileNo]) -> Vec<FileNo> {
        let mut awaited = self.watches().watched_among(files);
        awaited.retain(|file| !self.blocks.is_blocked(*file));
        awaited
    }

    fn tell_watchers(&self, source: &PeerId, files: &[FileNo]) {
        let news = self.watches().to_tell(files, source);
        for (watcher, files) in news {
            self.say(&watcher, FromIndex::Available { files });
        }
    }

    fn tell_replicas(&self, news: impl FnOnce(&Replicas)) {
        if let Some(replicas) = &self.replicas {
            news(replicas);
        }
    }

    /// A member has no place here any more, unless it has come back this moment. Under the library lock.
    async fn leave(&self, peer: &PeerId, member: MemberNo) {
        {
            let presence = self.presence();
            if presence.has_place(peer, member) {
                return;
            }
            self.tell_replicas(|replicas| replicas.left(member));
        }
        self.lose(member).await;
    }

    async fn lose(&self, member: MemberNo) {
        let index = self.clone();
        if tokio::task::spawn_blocking(move || index.online.leave(member)).await.is_err() {
            tracing::error!("what a peer held could not be forgotten");
        }
    }

    /// Somebody may wait for files that have only now got a number.
    async fn learn_numbers(&self, ids: &[FileId]) -> Result<(), StoreError> {
        let awaited: Vec<FileId> = {
            let watches = self.watches();
            ids.iter().copied().filter(|file| watches.is_watched(file)).collect()
        };
        // Most of the time nobody waits for anything.
        if awaited.is_empty() {
            return Ok(());
        }
        let numbers = self.store.file_nos(&awaited).await?;
        let mut watches = self.watches();
        numbers.into_iter().for_each(|(file, number)| watches.learn(file, number));
        Ok(())
    }

    fn presence(&self) -> MutexGuard<'_, Presence<Line>> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure_presence(&self) {
        metrics::gauge!("choir_index_peers_online").set(self.presence().online() as f64);
    }
}
